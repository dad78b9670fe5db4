"""The operators' pages: each admin within the own account, nobody else inside, and what the pages change."""

import html
import re
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import CHANGE
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from pytest_django import Settings

from moderation.admin.scoping import AccountScoped
from moderation.models import (
    AccessKey,
    Account,
    Analysis,
    AuditEntry,
    Bucket,
    DeliveryAttempt,
    OutboxMessage,
    Policy,
    Submission,
    User,
    Verdict,
    WebhookEndpoint,
)
from moderation.policies import DEFAULT_RULES, Outcome, Rule
from reviews.models import FlowDefinition, ReviewQueue, WorkTeam
from tests.world import World, analysed, person, rules, world

__all__ = ["world"]

pytestmark = pytest.mark.django_db

REJECT_WEAPONS = Rule(label="Weapons", min_confidence=90.0, outcome=Outcome.REJECT)


def signed_in(user: User) -> Client:
    User.objects.filter(pk=user.pk, role=User.Role.ADMIN).update(is_staff=True)
    client = Client()
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


@pytest.fixture
def acme(world: World) -> Client:
    """Acme's admin."""
    return signed_in(world.admin)


@pytest.fixture
def globex(world: World) -> Client:
    """Globex's admin, who must not see anything of Acme's."""
    return signed_in(world.outsider)


@pytest.fixture
def root(world: World) -> Client:
    """A superuser, who crosses accounts."""
    return signed_in(person(world.acme, "root", User.Role.ADMIN, is_superuser=True, is_staff=True))


@pytest.fixture
def rows(world: World) -> list[Model]:
    """One row of Acme's for every page."""
    policy = rules(world.acme, REJECT_WEAPONS, name="acme-secret-policy", default=True)
    webhook = WebhookEndpoint.objects.create(account=world.acme, url="https://acme-secret.example.com/")
    submission = analysed(world.acme, "Weapons", 95, filename="acme-secret.jpg", external_id="acme-secret-id")
    message = OutboxMessage.objects.get(account=world.acme)
    DeliveryAttempt.objects.create(message=message, status_code=500, error="acme-secret-answer")
    bucket = Bucket.objects.create(account=world.acme, name="acme-secret-bucket", secret_access_key="acme-s3-secret")
    entry = AuditEntry.objects.log_actions(world.admin.pk, [policy], CHANGE, "acme-secret-change", single_object=True)
    analysis, verdict = submission.latest_analysis(), submission.latest_verdict()
    assert analysis and verdict
    found = [policy, webhook, submission, message, bucket, entry, analysis, verdict, world.acme, world.uploader]
    return [*found, world.key.key]


def url(row: Model | type[Model], page: str = "change") -> str:
    place = f"admin:{row._meta.app_label}_{row._meta.model_name}_{page}"
    return reverse(place, args=[row.pk] if isinstance(row, Model) else [])


def text(response: Any) -> str:
    return str(response.content.decode())


def words(response: Any) -> str:
    """What a person reads on the page, without addresses and what was typed into the search field."""
    return re.sub(r"<[^>]*>", " ", text(response))


def errors(response: Any) -> str:
    return " ".join(re.findall(r'<ul class="errorlist[^>]*>(.*?)</ul>', text(response), re.S))


@pytest.fixture(autouse=True)
def nobody_reviews(settings: Settings) -> None:
    settings.REVIEW_DOOR = "tests.moderation.closed_door"


# --- who gets in ---


@pytest.mark.parametrize("who", ["lead", "reviewer", "uploader", "auditor", "legal"])
@pytest.mark.parametrize("is_staff", [False, True])
def test_other_roles_get_nothing(world: World, rows: list[Model], who: str, is_staff: bool) -> None:
    client = signed_in(getattr(world, who))
    User.objects.filter(username=who).update(is_staff=is_staff)
    assert "acme-secret" not in text(client.get(reverse("admin:index")))
    for row in rows:
        for page in (url(row), url(type(row), "changelist")):
            assert client.get(page).status_code in (302, 403), page


def test_strangers_are_sent_to_the_one_sign_in_page() -> None:
    response = Client().get(reverse("admin:index"), follow=True)
    assert response.redirect_chain[-1][0].startswith(reverse("account_login"))


def test_every_page_is_scoped() -> None:
    ours = {model: page for model, page in admin.site._registry.items() if not model.__module__.startswith("allauth")}
    assert Submission in ours
    assert [model.__name__ for model, page in ours.items() if not isinstance(page, AccountScoped)] == []


def test_every_page_opens(acme: Client, rows: list[Model]) -> None:
    for row in rows:
        for page in (url(row), url(type(row), "changelist"), url(row, "history")):
            assert acme.get(page).status_code == 200, page
    assert acme.get(reverse("admin:index")).status_code == 200


# --- the outsider ---


def test_an_outsider_sees_no_row_in_any_list(globex: Client, rows: list[Model]) -> None:
    for row in rows:
        for query in ("", "?q=acme", f"?q={row.pk}", "?q=acme-secret"):
            response = globex.get(url(type(row), "changelist") + query)
            assert response.status_code == 200
            assert "acme" not in words(response).lower(), (row, query)


def test_an_outsider_reaches_no_row_by_its_address(globex: Client, rows: list[Model]) -> None:
    for row in rows:
        for page in ("change", "history", "delete"):
            for method in (globex.get, globex.post):
                response = method(url(row, page))
                assert response.status_code in (302, 403, 404), (row, page)
                assert "acme-secret" not in text(response)
        assert "acme-secret" not in text(globex.get(url(row) + "?_popup=1", follow=True))


def test_an_outsider_changes_nothing(globex: Client, world: World, rows: list[Model]) -> None:
    policy = Policy.objects.get(account=world.acme)
    globex.post(url(policy), {"name": "mine", "rules-label": ["*"], "rules-outcome": ["reject"]})
    globex.post(
        reverse("admin:auth_user_password_change", args=[world.uploader.pk]), {"password1": "x", "password2": "x"}
    )
    globex.post(url(Bucket.objects.get()), {"name": "mine", "region": "r"})
    globex.post(url(world.acme), {"name": "mine", "taxonomy": "7.0"})
    policy.refresh_from_db()
    world.acme.refresh_from_db()
    assert (policy.name, policy.versions.count(), world.acme.name) == ("acme-secret-policy", 1, "Acme")
    assert Bucket.objects.get().name == "acme-secret-bucket"
    assert User.objects.get(pk=world.uploader.pk).password == world.uploader.password


def test_an_outsiders_actions_touch_nothing(globex: Client, world: World, rows: list[Model]) -> None:
    def act(model: type[Model], action: str, pk: object, **more: str) -> None:
        globex.post(url(model, "changelist"), {"action": action, "_selected_action": [str(pk)], **more})

    message = OutboxMessage.objects.get()
    OutboxMessage.objects.update(status=OutboxMessage.Status.DEAD)
    other = rules(world.acme, REJECT_WEAPONS, name="other")
    act(AccessKey, "revoke_selected", world.key.key.pk, confirmed="yes")
    act(OutboxMessage, "redeliver", message.pk)
    act(Policy, "make_default", other.pk)
    act(Bucket, "delete_selected", Bucket.objects.get().pk, post="yes")
    assert not AccessKey.objects.exclude(revoked_at=None).exists()
    assert OutboxMessage.objects.get(pk=message.pk).status == OutboxMessage.Status.DEAD
    assert Policy.objects.get(is_default=True, account=world.acme).name == "acme-secret-policy"
    assert Bucket.objects.exists()


def test_an_outsider_cannot_choose_another_accounts_rows(globex: Client, world: World) -> None:
    keys = AccessKey.objects.count()
    for account, user in ((world.acme.pk, ""), (world.globex.pk, world.uploader.pk)):
        response = globex.post(url(AccessKey, "add"), {"account": account, "name": "mine", "user": user, "policy": ""})
        assert "Select a valid choice" in errors(response)
    assert AccessKey.objects.count() == keys
    assert "Acme" not in text(globex.get(url(AccessKey, "add")))


def test_auto_completion_offers_own_people(globex: Client, acme: Client) -> None:
    query = {"app_label": "moderation", "model_name": "accesskey", "field_name": "user", "term": "uploader"}
    assert globex.get(reverse("admin:autocomplete"), query).json()["results"] == []
    found = acme.get(reverse("admin:autocomplete"), query).json()["results"]
    assert [each["text"] for each in found] == ["uploader", "uploader2"]


def test_filters_offer_own_rows_and_reach_no_others(globex: Client, acme: Client, rows: list[Model]) -> None:
    policy = rows[0]
    assert "acme-secret-policy" in text(acme.get(url(Submission, "changelist")))
    mine = f"?policy__id__exact={policy.pk}"
    assert "acme-secret.jpg" in text(acme.get(url(Submission, "changelist") + mine))
    for query in (mine, "?account__id__exact=111111111111", "?account=111111111111"):
        assert "acme" not in text(globex.get(url(Submission, "changelist") + query, follow=True)).replace(query, "")


def test_a_superuser_crosses_accounts_and_cannot_mix_them(root: Client, world: World, rows: list[Model]) -> None:
    assert root.get(url(rows[0])).status_code == 200
    assert "Globex" in text(root.get(url(User, "changelist") + "?account__id__exact=222222222222"))
    form = {"account": world.globex.pk, "name": "mixed", "user": world.uploader.pk, "policy": ""}
    assert "belongs to another account" in errors(root.post(url(AccessKey, "add"), form))


def test_an_admin_makes_no_superuser_and_meets_none(acme: Client, root: Client, world: World) -> None:
    boss = User.objects.get(username="root")
    assert acme.get(url(boss)).status_code == 302
    assert acme.get(reverse("admin:auth_user_password_change", args=[boss.pk])).status_code == 404
    form = {"username": "uploader", "role": "admin", "is_active": "on", "is_superuser": "on", "user_permissions": "1"}
    assert acme.post(url(world.uploader), form).status_code == 302
    world.uploader.refresh_from_db()
    assert (world.uploader.role, world.uploader.is_staff, world.uploader.is_superuser) == ("admin", True, False)
    assert acme.get(url(Account, "add")).status_code == 403
    assert root.get(url(Account, "add")).status_code == 200


def test_nobody_locks_themselves_out(acme: Client, world: World) -> None:
    acme.post(url(world.admin), {"username": "admin", "role": "reviewer"})
    world.admin.refresh_from_db()
    assert (world.admin.role, world.admin.is_active) == ("admin", True)


# --- what is kept ---


def test_records_are_never_added_changed_or_deleted(root: Client, rows: list[Model]) -> None:
    for row in rows:
        if not isinstance(row, Submission | Analysis | Verdict | OutboxMessage | AuditEntry):
            continue
        assert root.get(url(type(row), "add")).status_code == 403
        assert root.post(url(row), {"status": "approved", "outcome": "approve"}).status_code == 403
        assert root.post(url(row, "delete"), {"post": "yes"}).status_code == 403
        assert 'name="_save"' not in text(root.get(url(row)))


def test_people_accounts_policies_and_keys_are_not_deleted(root: Client, world: World, rows: list[Model]) -> None:
    for row in (world.acme, world.uploader, rows[0], world.key.key):
        assert root.post(url(row, "delete"), {"post": "yes"}).status_code == 403


# --- users ---


def test_a_person_is_made_with_a_role(acme: Client, world: World) -> None:
    form = {"account": world.acme.pk, "username": "newcomer", "role": "admin", "usable_password": "true"}
    weak = acme.post(url(User, "add"), {**form, "password1": "short", "password2": "short"})
    assert "too short" in errors(weak)
    good = "three otters rowing"
    acme.post(url(User, "add"), {**form, "password1": good, "password2": good})
    made = User.objects.get(username="newcomer")
    assert (made.account, made.role, made.is_staff, made.is_superuser) == (world.acme, "admin", True, False)
    assert made.check_password(good)


def test_losing_the_role_loses_the_pages(acme: Client, world: World) -> None:
    other = person(world.acme, "second", User.Role.ADMIN, is_staff=True)
    acme.post(url(other), {"username": "second", "role": "lead", "is_active": "on"})
    other.refresh_from_db()
    assert (other.role, other.is_staff) == ("lead", False)


# --- access keys ---


def test_a_key_is_shown_once(acme: Client, world: World) -> None:
    response = acme.post(url(AccessKey, "add"), {"account": world.acme.pk, "name": "ci", "user": "", "policy": ""})
    key = AccessKey.objects.get(name="ci")
    token = re.search(r"sl_[\w-]{43}", text(response))
    assert token and AccessKey.objects.live(key.key_id) and key.secret in text(response)
    assert "no-store" in response.headers["Cache-Control"] and "messages" not in response.cookies
    assert AccessKey.objects.by_token(token[0]) == key
    for page in (url(key), url(AccessKey, "changelist"), url(key, "history")):
        shown = text(acme.get(page))
        assert key.secret not in shown and token[0] not in shown and key.token_digest not in shown


def test_a_keys_policy_is_checked(acme: Client, world: World) -> None:
    form = {"account": world.acme.pk, "name": "ci", "user": ""}
    wrong = {"Statement": [{"Effect": "Allow", "Action": "nonsense", "Resource": "*"}]}
    refused = acme.post(url(AccessKey, "add"), {**form, "policy": str(wrong).replace("'", '"')})
    assert "Statement[0].Action" in errors(refused)
    right = '{"Statement": [{"Effect": "Allow", "Action": "rekognition:*", "Resource": "*"}]}'
    acme.post(url(AccessKey, "add"), {**form, "policy": right})
    policy = AccessKey.objects.get(name="ci").policy
    assert policy and policy["Statement"][0]["Action"] == "rekognition:*"


def test_a_keys_secret_and_owner_cannot_be_changed(acme: Client, world: World) -> None:
    key = world.uploader_key.key
    form = {
        "name": "renamed",
        "policy": "",
        "user": world.admin.pk,
        "secret": "x",
        "token_digest": "x",
        "account": "222222222222",
    }
    acme.post(url(key), form)
    changed = AccessKey.objects.get(pk=key.pk)
    assert changed.name == "renamed"
    assert (changed.user, changed.secret, changed.token_digest) == (world.uploader, key.secret, key.token_digest)
    assert changed.account == world.acme


def test_revoking_asks_first(acme: Client, world: World) -> None:
    key = world.uploader_key.key
    form = {"action": "revoke_selected", "_selected_action": [str(key.pk)]}
    asked = acme.post(url(AccessKey, "changelist"), form)
    assert asked.status_code == 200 and key.key_id in text(asked)
    key.refresh_from_db()
    assert key.revoked_at is None
    acme.post(url(AccessKey, "changelist"), {**form, "confirmed": "yes"})
    assert AccessKey.objects.live(key.key_id) is None
    assert "Revoked." in text(acme.get(url(key, "history")))
    acme.post(url(key), {"name": "later", "policy": ""})
    assert AccessKey.objects.get(pk=key.pk).name == "uploader", "a revoked key is a record"


# --- policies ---


def table(*rows: tuple[str, str, str, str], **more: Any) -> dict[str, Any]:
    """The rules table as a browser sends it, with two of the empty rows below."""
    columns = zip(*rows, ("", "", "", ""), ("", "", "", ""), strict=True)
    names = ("label", "min_confidence", "max_confidence", "outcome")
    return {"name": "house", "note": "", **{f"rules-{name}": c for name, c in zip(names, columns, strict=True)}, **more}


def test_changed_rules_make_a_version_and_the_old_one_stays(acme: Client, world: World) -> None:
    policy = rules(world.acme, REJECT_WEAPONS, default=True)
    analysed(world.acme, "Weapons", 95)
    page = text(acme.get(url(policy)))
    assert "Reject Weapons from 90" in page
    sent = table(("Weapons", "80", "", "reject"), ("*", "99,5", "", "reject"), note="stricter")
    response = acme.post(url(policy), sent, follow=True)
    assert "Version 2 of house judges from now on" in text(response)
    second, first = policy.versions.all()
    assert first.parsed() == (REJECT_WEAPONS,)
    assert second.parsed() == (
        Rule(label="Weapons", min_confidence=80.0, outcome=Outcome.REJECT),
        Rule(label="*", min_confidence=99.5, outcome=Outcome.REJECT),
    )
    assert (second.created_by, second.note) == (world.admin, "stricter")
    shown = re.sub(r"\s+", " ", text(acme.get(url(policy))))
    assert re.search(r"<td>2</td>.*?<td>admin</td><td>stricter</td>.*?<td>0</td>.*?<td>1</td>.*?<td>1</td></tr>", shown)


def test_the_same_rules_again_make_no_version(acme: Client, world: World) -> None:
    policy = rules(world.acme, REJECT_WEAPONS)
    acme.post(url(policy), table(("Weapons", "90.00", "", "reject"), name="renamed"))
    policy.refresh_from_db()
    assert (policy.name, policy.versions.count()) == ("renamed", 1)


def test_rows_can_be_removed(acme: Client, world: World) -> None:
    alcohol = Rule(label="Alcohol", min_confidence=50.0, max_confidence=99.0, outcome=Outcome.APPROVE)
    policy = rules(world.acme, REJECT_WEAPONS, alcohol)
    sent = table(("Weapons", "90", "", "reject"), ("Alcohol", "50", "99", "approve"))
    acme.post(url(policy), {**sent, "rules-remove": ["0"]})
    assert policy.current().parsed() == (alcohol,)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (("Wepons", "50", "", "reject"), "Row 2, label: must be the exact name"),
        (("", "50", "", "reject"), "Row 2, label: must be the exact name"),
        (("Weapons", "abc", "", "reject"), "Row 2, from: must be a number from 0 to 100"),
        (("Weapons", "nan", "", "reject"), "Row 2, from: must be a number from 0 to 100"),
        (("Weapons", "101", "", "reject"), "Row 2, from: must be a number from 0 to 100"),
        (("Weapons", "50", "50", "reject"), "Row 2, to below: must be above the number before it (50)"),
        (("Weapons", "50", "", ""), "Row 2, outcome: must be approve, review or reject"),
        (("Weapons", "50", "", "delete"), "Row 2, outcome: must be approve, review or reject"),
    ],
)
def test_what_is_wrong_is_said_with_its_row(
    acme: Client, world: World, row: tuple[str, str, str, str], says: str
) -> None:
    policy = rules(world.acme, REJECT_WEAPONS)
    response = acme.post(url(policy), table(("Alcohol", "50", "", "approve"), row))
    assert says in errors(response)
    assert 'value="Alcohol" selected' in text(response), "what was typed stays"
    assert policy.versions.count() == 1


def test_too_many_rows_are_refused(acme: Client, world: World) -> None:
    policy = rules(world.acme, REJECT_WEAPONS)
    assert "at most 200" in errors(acme.post(url(policy), table(*[("Weapons", "50", "", "reject")] * 230)))


def test_a_missing_table_is_no_empty_table(acme: Client, world: World) -> None:
    policy = rules(world.acme, REJECT_WEAPONS)
    assert "table of rules is missing" in errors(acme.post(url(policy), {"name": "renamed", "note": ""}))
    assert policy.current().parsed() == (REJECT_WEAPONS,)


def test_a_name_taken_in_the_account_is_refused(acme: Client, world: World) -> None:
    policy = rules(world.acme, REJECT_WEAPONS)
    rules(world.acme, REJECT_WEAPONS, name="taken")
    rules(world.globex, REJECT_WEAPONS, name="free")
    row = ("Weapons", "90", "", "reject")
    assert "already exists" in errors(acme.post(url(policy), table(row, name="taken")))
    assert "already exists" in errors(acme.post(url(Policy, "add"), table(row, name="taken", account=world.acme.pk)))
    assert acme.post(url(policy), table(row, name="free")).status_code == 302


def test_a_review_rule_needs_somebody_who_reviews(acme: Client, world: World, settings: Settings) -> None:
    """Asked of the review app itself."""
    settings.REVIEW_DOOR = "reviews.activation"
    policy = rules(world.acme, REJECT_WEAPONS)
    row = ("Weapons", "50", "90", "review")
    assert "no active flow definition serves this policy" in errors(acme.post(url(policy), table(row)))
    added = acme.post(url(Policy, "add"), table(row, account=world.acme.pk, name="new"))
    assert "no active flow definition serves this policy" in errors(added)
    assert not Policy.objects.filter(name="new").exists() and policy.versions.count() == 1
    team = WorkTeam.objects.create(account=world.acme, name="team")
    queue = ReviewQueue.objects.create(account=world.acme, name="queue")
    flow = FlowDefinition.objects.create(account=world.acme, name="flow", work_team=team, queue=queue)
    flow.policies.add(policy)
    assert acme.post(url(policy), table(row)).status_code == 302
    assert policy.current().parsed()[0].outcome is Outcome.REVIEW


def test_a_new_policy_starts_from_rules_that_can_be_saved(acme: Client, world: World) -> None:
    page = html.unescape(text(acme.get(url(Policy, "add"))))
    typed = {
        f"rules-{name}": re.findall(rf'name="rules-{name}"[^>]*?value="([^"]*)"', page)
        for name in ("min_confidence", "max_confidence")
    }
    for name in ("label", "outcome"):
        cells = re.findall(rf'<select name="rules-{name}".*?</select>', page, re.S)
        typed[f"rules-{name}"] = [next(iter(re.findall(r'value="([^"]*)" selected', cell)), "") for cell in cells]
    acme.post(url(Policy, "add"), {"account": world.acme.pk, "name": "new", "note": "", **typed})
    started = Policy.objects.get(name="new").current().parsed()
    assert started == tuple(rule for rule in DEFAULT_RULES if rule.outcome is not Outcome.REVIEW) != ()


def test_one_policy_is_the_default(acme: Client, world: World) -> None:
    first, second = (rules(world.acme, REJECT_WEAPONS, name=name, default=name == "a") for name in "ab")
    elsewhere = rules(world.globex, REJECT_WEAPONS, default=True)
    form = {"action": "make_default", "_selected_action": [str(first.pk), str(second.pk)]}
    acme.post(url(Policy, "changelist"), form)
    assert Policy.objects.default_for(world.acme) == first, "both were selected"
    acme.post(url(Policy, "changelist"), {**form, "_selected_action": [str(second.pk)]})
    assert Policy.objects.default_for(world.acme) == second
    assert Policy.objects.default_for(world.globex) == elsewhere


# --- submissions ---


def test_a_submissions_page_tells_the_whole_story(acme: Client, world: World) -> None:
    rules(world.acme, REJECT_WEAPONS, default=True)
    submission = analysed(world.acme, "Weapons", 95, filename="<i>rifle.jpg", external_id="order-7")
    page = text(acme.get(url(submission)))
    assert reverse("submission", args=[submission.pk]) in page
    assert "&lt;i&gt;rifle" in page and "<i>rifle" not in page
    analysis = submission.latest_analysis()
    confidence = analysis.detections.get(label="Weapons").confidence if analysis else 0
    for said in (
        "Weapons",
        "Violence",
        f"{confidence:.1f}",
        "Reject",
        "house v1",
        "No person was asked",
        submission.media_digest,
    ):
        assert said in page, said


def test_submissions_are_found_by_what_people_know(acme: Client, world: World) -> None:
    wanted = analysed(world.acme, filename="Rifle.jpg", external_id="order-7", seed=1)
    analysed(world.acme, filename="other.jpg", external_id="order-8", seed=2)
    for term in (str(wanted.pk), wanted.media_digest, wanted.media_digest.upper(), "order-7", "rifle", "RIFLE.JPG"):
        page = text(acme.get(url(Submission, "changelist"), {"q": term}))
        assert "Rifle.jpg" in page and "other.jpg" not in page, term
    assert acme.get(url(Submission, "changelist"), {"q": "\0"}).status_code == 200
    for term in ("order", "ifle.jpg", "%", "' OR 1=1"):
        assert "Rifle.jpg" not in text(acme.get(url(Submission, "changelist"), {"q": term})), term


@pytest.mark.parametrize("model", [Submission, Analysis, Verdict, OutboxMessage])
def test_a_list_takes_the_same_few_queries_however_long(acme: Client, world: World, model: type[Model]) -> None:
    rules(world.acme, REJECT_WEAPONS, default=True)
    WebhookEndpoint.objects.create(account=world.acme, url="https://example.com/")

    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert acme.get(url(model, "changelist")).status_code == 200
        return len(captured)

    for seed in range(2):
        analysed(world.acme, "Weapons", 95, seed=seed, user=world.uploader)
    few = queries()
    for seed in range(2, 20):
        analysed(world.acme, "Weapons", 95, seed=seed, user=world.uploader)
    assert queries() == few <= 9


# --- webhooks, messages, buckets ---


@pytest.mark.parametrize(
    "wrong", ["http://example.com/", "https://127.0.0.1/", "https://u:p@example.com/", "https://example.com:22/", "x"]
)
def test_an_unsound_webhook_address_is_refused(acme: Client, world: World, wrong: str) -> None:
    response = acme.post(url(WebhookEndpoint, "add"), {"account": world.acme.pk, "url": wrong, "is_active": "on"})
    assert response.status_code == 200 and errors(response)
    assert not WebhookEndpoint.objects.exists()


def test_an_allowed_host_may_be_private(acme: Client, world: World, settings: Settings) -> None:
    settings.WEBHOOK_PRIVATE_HOSTS = ["hooks.internal", "10.0.0.0/8"]
    for address in ("http://hooks.internal:8080/x", "https://10.1.2.3/"):
        acme.post(url(WebhookEndpoint, "add"), {"account": world.acme.pk, "url": address, "is_active": "on"})
        assert WebhookEndpoint.objects.filter(url=address).exists(), address


def test_the_signing_secret_is_shown_when_made_and_when_asked_for(acme: Client, world: World) -> None:
    form = {
        "account": world.acme.pk,
        "url": "https://example.com/",
        "events": ["submission.approved"],
        "is_active": "on",
    }
    made = acme.post(url(WebhookEndpoint, "add"), form)
    endpoint = WebhookEndpoint.objects.get()
    assert endpoint.events == ["submission.approved"]
    assert endpoint.secret in text(made) and "no-store" in made.headers["Cache-Control"]
    assert endpoint.secret not in text(acme.get(url(endpoint)))
    page = reverse("admin:moderation_webhookendpoint_secret", args=[endpoint.pk])
    assert endpoint.secret not in text(acme.get(page))
    shown = acme.post(page)
    assert endpoint.secret in text(shown) and "no-store" in shown.headers["Cache-Control"]
    assert "Looked at the signing secret" in text(acme.get(url(endpoint, "history")))


def test_the_signing_secret_is_not_for_outsiders(globex: Client, world: World) -> None:
    endpoint = WebhookEndpoint.objects.create(account=world.acme, url="https://example.com/")
    page = reverse("admin:moderation_webhookendpoint_secret", args=[endpoint.pk])
    assert globex.get(page).status_code == globex.post(page).status_code == 404
    assert signed_in(world.lead).post(page).status_code in (302, 403)


def test_messages_are_sent_again(acme: Client, rows: list[Model]) -> None:
    OutboxMessage.objects.update(status=OutboxMessage.Status.DEAD, attempts=12)
    message = OutboxMessage.objects.get()
    assert "acme-secret-answer" in text(acme.get(url(message)))
    acme.post(url(OutboxMessage, "changelist"), {"action": "redeliver", "_selected_action": [str(message.pk)]})
    message.refresh_from_db()
    assert (message.status, message.attempts) == (OutboxMessage.Status.WAITING, 0)


def test_a_buckets_secret_goes_in_and_not_out(acme: Client, rows: list[Model]) -> None:
    bucket = Bucket.objects.get()
    form = {"region": "eu-west-1", "can_read": "on", "access_key_id": "AK", "endpoint_url": ""}
    assert "acme-s3-secret" not in text(acme.get(url(bucket)))
    acme.post(url(bucket), {**form, "secret_access_key": ""})
    bucket.refresh_from_db()
    assert (bucket.region, bucket.secret_access_key, bucket.can_write) == ("eu-west-1", "acme-s3-secret", False)
    response = acme.post(url(bucket), {**form, "secret_access_key": "new", "region": ""})
    assert errors(response) and "new" not in re.findall(r'value="([^"]*)"', text(response))
    acme.post(url(bucket), {**form, "secret_access_key": "new"})
    bucket.refresh_from_db()
    assert bucket.secret_access_key == "new"


def test_a_bucket_leads_to_no_private_server(acme: Client, world: World, settings: Settings) -> None:
    settings.S3_ENDPOINT_URL = "http://127.0.0.1:9000"
    form = {"account": world.acme.pk, "name": "pictures", "region": "us-east-1", "can_read": "on"}
    refused = acme.post(url(Bucket, "add"), {**form, "endpoint_url": "http://169.254.169.254/"})
    assert errors(refused) and not Bucket.objects.exists()
    acme.post(url(Bucket, "add"), {**form, "endpoint_url": "http://127.0.0.1:9000/"})
    assert Bucket.objects.exists(), "the installation's own S3 server"
