"""The review app's pages at /admin/: whose rows they show, what they refuse, and what the preview says."""

import hashlib
import html
import itertools
import json
import re
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from pytest_django import Settings

from moderation import storage
from moderation.admin.scoping import AccountScoped
from moderation.models import Policy, User
from reviews import decisions, loops, queue, settlement
from reviews.condition_schema import MAX_CHARACTERS
from reviews.models import (
    Decision,
    FlowDefinition,
    GroundTruth,
    HumanLoop,
    HumanTaskUi,
    Refusal,
    ReviewQueue,
    ReviewTask,
    Routing,
    Skill,
    WorkTeam,
)
from tests.reviews import loop_world as made
from tests.world import World, person

pytestmark = pytest.mark.django_db

ROWS: list[type[Model]] = [
    *(Decision, FlowDefinition, GroundTruth, HumanLoop, HumanTaskUi, Refusal, ReviewQueue, ReviewTask, Routing, Skill),
    WorkTeam,
]
RECORDS: list[type[Model]] = [Decision, GroundTruth, HumanLoop, Refusal, ReviewTask, Routing]
BELOW_90 = {
    "ConditionType": "ModerationLabelConfidenceCheck",
    "ConditionParameters": {"ModerationLabelName": "*", "ConfidenceLessThan": 90},
}
SOURCE = FlowDefinition.RequestSource.MODERATION.value
TEN_PERCENT = {"ConditionType": "Sampling", "ConditionParameters": {"RandomSamplingPercentage": 10}}


def signed_in(user: User) -> Client:
    User.objects.filter(pk=user.pk, role=User.Role.ADMIN).update(is_staff=True)
    client = Client()
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


@pytest.fixture(autouse=True)
def answers_stand_at_once(settings: Settings) -> None:
    settings.UNDO_GRACE_SECONDS = 0


@pytest.fixture
def acme(world: World) -> Client:
    return signed_in(world.admin)


@pytest.fixture
def globex(world: World) -> Client:
    return signed_in(world.outsider)


@pytest.fixture
def flow(world: World) -> FlowDefinition:
    return made.flow(world.acme, (world.reviewer, world.lead), conditions=[BELOW_90])


@pytest.fixture
def everything(world: World, flow: FlowDefinition) -> HumanLoop:
    """One row of each kind, all of Acme's; the loop is settled."""
    loop = made.loop(flow, {"Weapons": 71.0})
    passed = queue.claim(world.lead)[0]
    queue.skip(passed.pk, passed.token, world.lead, "other")
    seat = queue.claim(world.reviewer)[0]
    decisions.submit(seat.pk, seat.token, world.reviewer, made.reject("Weapons", comment="a rifle"))
    settlement.settle(loop.pk)
    Skill.objects.create(user=world.reviewer, name="Welsh")
    HumanTaskUi.objects.create(account=world.acme, name="template", content="<p>", content_sha256="0" * 64)
    assert GroundTruth.objects.exists()
    loop.refresh_from_db()
    return loop


def address(model: type[Model], page: str, *args: Any) -> str:
    return reverse(f"admin:reviews_{model._meta.model_name}_{page}", args=args)


def text(response: Any) -> str:
    return html.unescape(response.content.decode())


def fields(client: Client, url: str) -> dict[str, Any]:
    """What the page's form would send."""
    form = client.get(url).context["adminform"].form
    values = {name: form[name].value() for name in form.fields}
    return {name: _sent(value) for name, value in values.items() if value is not None}


def _sent(value: Any) -> Any:
    if isinstance(value, list) and all(isinstance(each, Model) for each in value):
        return [each.pk for each in value]
    return value


# --- whose rows ---


def test_every_kind_of_row_has_its_page():
    assert {model for model in ROWS if isinstance(admin.site.get_model_admin(model), AccountScoped)} == set(ROWS)


@pytest.mark.parametrize("model", ROWS)
def test_each_account_sees_its_own_rows_alone(everything: HumanLoop, acme: Client, globex: Client, model: type[Model]):
    row = model._default_manager.order_by("pk").first()
    assert row is not None
    for page, seen, status in ((acme, 1, 200), (globex, 0, 302)):
        found = page.get(address(model, "changelist"))
        assert found.status_code == 200
        assert (found.context["cl"].result_count > 0) == bool(seen)
        assert page.get(address(model, "change", row.pk)).status_code == status
        assert page.get(address(model, "history", row.pk)).status_code == status


@pytest.mark.parametrize("model", ROWS)
def test_only_admins_come_in(everything: HumanLoop, world: World, model: type[Model]):
    for user in (world.lead, world.reviewer, world.auditor, world.uploader, world.legal):
        response = signed_in(user).get(address(model, "changelist"))
        assert response.status_code in (302, 403), user


@pytest.mark.parametrize("model", RECORDS)
def test_records_are_neither_added_nor_changed_nor_deleted(everything: HumanLoop, acme: Client, model: type[Model]):
    row = model._default_manager.order_by("pk").first()
    assert row is not None
    assert acme.get(address(model, "add")).status_code == 403
    assert acme.post(address(model, "change", row.pk), {"_save": "Save"}).status_code == 403
    assert acme.post(address(model, "delete", row.pk), {"post": "yes"}).status_code == 403
    assert 'name="_save"' not in text(acme.get(address(model, "change", row.pk)))


@pytest.mark.parametrize("model", ROWS)
def test_lists_ask_no_more_questions_for_more_rows(
    acme: Client, world: World, flow: FlowDefinition, model: type[Model]
):
    numbers = itertools.count()

    def rows(number: int) -> None:
        for _ in range(number):
            name = f"{model.__name__.lower()}-{next(numbers)}"
            if model in (FlowDefinition, WorkTeam, ReviewQueue):
                made.flow(world.acme, name=name, line=name)
            elif model is Skill:
                Skill.objects.create(user=person(world.acme, name, User.Role.REVIEWER), name="Welsh")
            elif model is HumanTaskUi:
                HumanTaskUi.objects.create(account=world.acme, name=name, content="", content_sha256="")
            else:
                _settled(world, flow)

    rows(2)
    acme.get(address(model, "changelist"))
    with CaptureQueriesContext(connection) as few:
        acme.get(address(model, "changelist"))
    rows(3)
    with CaptureQueriesContext(connection) as more:
        acme.get(address(model, "changelist"))
    assert len(more) <= len(few)


def _settled(world: World, flow: FlowDefinition) -> HumanLoop:
    loop = made.loop(flow, {"Weapons": 71.0})
    passed = queue.claim(world.lead)[0]
    queue.skip(passed.pk, passed.token, world.lead, "other")
    seat = queue.claim(world.reviewer)[0]
    decisions.submit(seat.pk, seat.token, world.reviewer, made.reject("Weapons"))
    settlement.settle(loop.pk)
    return loop


# --- the loop ---


def test_the_loops_page_shows_seats_decisions_refusals_and_truth_and_leads_on(everything: HumanLoop, acme: Client):
    page = text(acme.get(address(HumanLoop, "change", everything.pk)))
    for words in ("reviewer", "Weapons", "a rifle", "Another reason", "Policy", "answered"):
        assert words.lower() in page.lower(), words
    assert everything.submission and everything.analysis and everything.routing
    assert reverse("admin:moderation_submission_change", args=[everything.submission.pk]) in page
    assert reverse("admin:moderation_analysis_change", args=[everything.analysis.pk]) in page
    for row in (everything.flow, everything.routing, GroundTruth.objects.get()):
        assert reverse(f"admin:reviews_{row._meta.model_name}_change", args=[row.pk]) in page


def test_who_was_affected_is_nobodys_business(everything: HumanLoop, acme: Client, world: World):
    Refusal.objects.update(reason=Refusal.Reason.AFFECTS_ME)
    row = Refusal.objects.get()
    for url in (address(Refusal, "changelist"), address(Refusal, "change", row.pk)):
        assert ">lead<" not in text(acme.get(url))
    assert ">lead<" not in text(acme.get(address(HumanLoop, "change", everything.pk)))
    Refusal.objects.update(reason=Refusal.Reason.OTHER)
    assert ">lead<" in text(acme.get(address(Refusal, "change", row.pk)))


def test_loops_are_stopped_after_a_question(acme: Client, flow: FlowDefinition):
    loop, other = made.loop(flow), made.loop(flow)
    chosen: dict[str, Any] = {"action": "stop_selected", "_selected_action": [loop.pk]}
    page = text(acme.post(address(HumanLoop, "changelist"), chosen))
    assert loop.name in page and other.name not in page
    assert HumanLoop.objects.get(pk=loop.pk).status == HumanLoop.Status.IN_PROGRESS
    acme.post(address(HumanLoop, "changelist"), chosen | {"confirmed": "yes"})
    assert HumanLoop.objects.get(pk=loop.pk).status == HumanLoop.Status.STOPPED
    assert HumanLoop.objects.get(pk=other.pk).status == HumanLoop.Status.IN_PROGRESS
    assert LogEntry.objects.get().object_id == str(loop.pk)
    assert "0 stopped" in text(acme.post(address(HumanLoop, "changelist"), chosen | {"confirmed": "yes"}, follow=True))


def test_nobody_stops_loops_of_another_account(globex: Client, flow: FlowDefinition):
    loop = made.loop(flow)
    sent = {"action": "stop_selected", "_selected_action": [loop.pk], "confirmed": "yes"}
    globex.post(address(HumanLoop, "changelist"), sent)
    assert HumanLoop.objects.get().status == HumanLoop.Status.IN_PROGRESS


# --- teams, queues, templates ---


def test_a_team_takes_only_people_who_may_review(acme: Client, world: World):
    sent = {"account": world.acme.pk, "name": "crew", "region": "us-east-1"}
    page = text(acme.post(address(WorkTeam, "add"), sent | {"members": [world.reviewer.pk, world.uploader.pk]}))
    assert "not uploader" in page and not WorkTeam.objects.exists()
    assert acme.post(address(WorkTeam, "add"), sent | {"members": [world.reviewer.pk]}).status_code == 302
    assert list(WorkTeam.objects.get().members.all()) == [world.reviewer]


def test_a_team_takes_nobody_of_another_account(acme: Client, world: World):
    far = person(world.globex, "far", User.Role.REVIEWER)
    sent = {"account": world.acme.pk, "name": "crew", "region": "us-east-1", "members": [far.pk]}
    assert acme.post(address(WorkTeam, "add"), sent).status_code == 200
    assert not WorkTeam.objects.exists()


def test_a_name_that_is_part_of_an_arn_stands(acme: Client, flow: FlowDefinition):
    team = flow.work_team
    sent = {"name": "other", "region": "eu-west-1", "description": "new", "members": []}
    acme.post(address(WorkTeam, "change", team.pk), sent)
    team.refresh_from_db()
    assert (team.name, team.region, team.description) == ("house-team", "us-east-1", "new")


def test_a_template_is_made_with_its_digest_and_not_changed(acme: Client, world: World):
    sent = {"account": world.acme.pk, "name": "ask", "region": "us-east-1", "content": "<p>Is it?</p>"}
    assert acme.post(address(HumanTaskUi, "add"), sent).status_code == 302
    template = HumanTaskUi.objects.get()
    assert template.content_sha256 == hashlib.sha256(b"<p>Is it?</p>").hexdigest()
    acme.post(address(HumanTaskUi, "change", template.pk), {"content": "other"})
    template.refresh_from_db()
    assert template.content == "<p>Is it?</p>"


# --- the flow definition ---


def change(client: Client, flow: FlowDefinition, button: str = "_save", **more: Any) -> Any:
    url = address(FlowDefinition, "change", flow.pk)
    return client.post(url, fields(client, url) | more | {button: "1"})


def as_text(*members: object) -> str:
    return json.dumps({"Conditions": members})


def test_a_flow_is_made_and_serves_its_policies(acme: Client, world: World, flow: FlowDefinition):
    policy = Policy.objects.default_for(world.acme)
    sent = fields(acme, address(FlowDefinition, "add")) | {
        "account": world.acme.pk,
        "name": "second",
        "work_team": flow.work_team_id,
        "queue": flow.queue_id,
        "conditions": as_text(BELOW_90),
        "policies": [policy.pk],
    }
    response = acme.post(address(FlowDefinition, "add"), sent)
    assert response.status_code == 302, response.context and response.context["adminform"].form.errors
    second = FlowDefinition.objects.get(name="second")
    assert list(second.policies.all()) == [policy] and second.version == 1


def test_wrong_conditions_are_refused_with_the_node_that_is_wrong(acme: Client, flow: FlowDefinition):
    wrong = {"ConditionType": "Sampling", "ConditionParameters": {"RandomSamplingPercentage": 101}}
    for button in ("_save", "_preview"):
        page = text(change(acme, flow, button, conditions=as_text(BELOW_90, wrong)))
        assert "Conditions[1].ConditionParameters.RandomSamplingPercentage must be a number from 0.01 to 100" in page
        assert "101" in page, "what was typed is still there"
    flow.refresh_from_db()
    assert "101" not in flow.conditions


def test_conditions_are_said_back_in_words(acme: Client, flow: FlowDefinition):
    page = text(acme.get(address(FlowDefinition, "change", flow.pk)))
    assert "An item is reviewed when any label is below 90." in page


def test_conditions_are_laid_out_and_saving_them_so_makes_no_new_version(acme: Client, flow: FlowDefinition):
    url = address(FlowDefinition, "change", flow.pk)
    shown = fields(acme, url)["conditions"]
    assert shown.count("\n") > 5 and json.loads(shown) == json.loads(flow.conditions)
    assert change(acme, flow, task_title="New title").status_code == 302
    before = flow.conditions
    flow.refresh_from_db()
    assert (flow.task_title, flow.version, flow.conditions) == ("New title", 1, before)
    assert change(acme, flow, conditions=as_text(TEN_PERCENT)).status_code == 302
    flow.refresh_from_db()
    assert flow.version == 2


def test_conditions_that_would_become_too_long_are_shown_as_they_are(acme: Client, flow: FlowDefinition):
    flow.conditions = json.dumps({"Conditions": [BELOW_90] * 70}, separators=(",", ":"))
    assert len(flow.conditions) < MAX_CHARACTERS
    flow.save()
    assert fields(acme, address(FlowDefinition, "change", flow.pk))["conditions"] == flow.conditions


def test_odd_conditions_are_saved_with_a_warning(acme: Client, flow: FlowDefinition):
    odd = {**BELOW_90, "ConditionParameters": {"ModerationLabelName": "Unicorns", "ConfidenceLessThan": 50}}
    assert "'Unicorns' is not a label" in text(change(acme, flow, "_preview", conditions=as_text(odd)))
    url = address(FlowDefinition, "change", flow.pk)
    page = text(acme.post(url, fields(acme, url) | {"conditions": as_text(odd), "_continue": "1"}, follow=True))
    assert re.search(r'class="warning">[^<]*Unicorns', page)
    flow.refresh_from_db()
    assert "Unicorns" in flow.conditions


def test_a_preview_says_how_many_would_have_been_sent_and_saves_nothing(
    acme: Client, world: World, flow: FlowDefinition
):
    for confidence in (60.0, 70.0, 95.0, 96.0, 97.0, 98.0):
        made.analysis(world.acme, {"Weapons": confidence})
    made.analysis(world.globex, {"Weapons": 60.0})
    draft = as_text(
        {**BELOW_90, "ConditionParameters": {"ModerationLabelName": "*", "ConfidenceLessThan": 65}}, TEN_PERCENT
    )
    page = text(change(acme, flow, "_preview", conditions=draft, task_title="Typed"))
    shown = re.sub(r"<[^>]*>", "", page)
    assert "Of the last 6 analyses, this would have sent 2 (25.0 %)" in shown
    cells = re.findall(r"<td>([^<]*)</td>", page[page.index('id="preview"') :])
    assert cells[:6] == ["2 (25.0 %)", "1", "0.5", "2 (33.3 %)", "2", "0.0"]
    assert 'value="Typed"' in page and "Preview: nothing is saved" in page
    flow.refresh_from_db()
    assert (flow.task_title, flow.version) == ("Review the picture", 1) and not LogEntry.objects.exists()


def test_a_preview_of_a_flow_that_is_being_made_has_nothing_to_compare_with(acme: Client, world: World):
    made.analysis(world.acme, {"Weapons": 60.0})
    sent = {"account": world.acme.pk, "request_source": SOURCE, "conditions": as_text(BELOW_90), "_preview": "1"}
    page = text(acme.post(address(FlowDefinition, "add"), sent))
    assert "Of the last analysis, this would have sent" in page and "Those in force" not in page
    assert not FlowDefinition.objects.exists()


def test_a_preview_without_analyses_says_so(acme: Client, flow: FlowDefinition):
    assert "no analyses yet" in text(change(acme, flow, "_preview"))


def test_no_preview_shows_the_pictures_of_another_account(acme: Client, world: World):
    made.analysis(world.globex, {"Weapons": 60.0})
    sent = {"account": world.globex.pk, "request_source": SOURCE, "conditions": as_text(BELOW_90), "_preview": "1"}
    page = text(acme.post(address(FlowDefinition, "add"), sent))
    assert "would have sent" not in page and "Choose the account first" in page


def test_a_custom_task_has_no_conditions(acme: Client, flow: FlowDefinition):
    for button in ("_save", "_preview"):
        page = text(change(acme, flow, button, request_source=""))
        assert "leave the conditions empty" in page and "would have sent" not in page
    assert change(acme, flow, request_source="", conditions="").status_code == 302


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("s3://answers/out", None),
        ("s3://nowhere/out", "has no bucket 'nowhere'"),
        ("s3://closed/out", "may not be written"),
        ("s3://theirs/out", "has no bucket 'theirs'"),
        ("/etc/passwd", "no S3 address"),
    ],
)
def test_answers_go_only_where_the_account_may_write(
    acme: Client, world: World, flow: FlowDefinition, path: str, words: str | None
):
    storage.make_bucket(world.acme, "answers")
    storage.make_bucket(world.globex, "theirs")
    storage.make_bucket(world.acme, "closed").__class__.objects.filter(name="closed").update(can_write=False)
    response = change(acme, flow, output_path=path)
    assert response.status_code == (302 if words is None else 200)
    assert words is None or words in text(response)


def test_teams_queues_and_policies_of_another_account_cannot_be_chosen(
    acme: Client, world: World, flow: FlowDefinition
):
    theirs = made.flow(world.globex, name="theirs")
    policy = Policy.objects.default_for(world.globex)
    for more in ({"work_team": theirs.work_team_id}, {"queue": theirs.queue_id}, {"policies": [policy.pk]}):
        assert change(acme, flow, **more).status_code == 200, more
    page = text(acme.get(address(FlowDefinition, "change", flow.pk)))
    assert "theirs-team" not in page


# --- ground truth ---


@pytest.mark.parametrize("fmt", ["manifest", "jsonl"])
def test_ground_truth_is_exported_line_by_line(everything: HumanLoop, acme: Client, globex: Client, fmt: str):
    url = reverse("admin:reviews_groundtruth_export", args=[fmt])
    response: Any = acme.post(url)
    assert response.streaming and "attachment" in response["Content-Disposition"]
    lines = b"".join(response.streaming_content).decode().splitlines()
    assert len(lines) == 1
    found = json.dumps(json.loads(lines[0]))
    assert "Weapons" in found and (fmt == "jsonl" or "source-ref" in found)
    theirs: Any = globex.post(url)
    assert b"".join(theirs.streaming_content) == b""


def test_only_the_own_accounts_truth_is_exported(everything: HumanLoop, globex: Client, world: World):
    url = reverse("admin:reviews_groundtruth_export", args=["jsonl"])
    assert globex.post(url, {"account": world.acme.pk}).status_code == 404
    root = person(world.globex, "root", User.Role.ADMIN, is_superuser=True, is_staff=True)
    response: Any = signed_in(root).post(url, {"account": world.acme.pk})
    assert b"Weapons" in b"".join(response.streaming_content)


def test_an_export_is_asked_for_by_a_form_and_by_admins(everything: HumanLoop, acme: Client, world: World):
    url = reverse("admin:reviews_groundtruth_export", args=["jsonl"])
    assert acme.get(url).status_code == 404
    assert acme.post(url.replace("jsonl", "csv")).status_code == 404
    assert signed_in(world.lead).post(url).status_code == 302
    assert 'action="' + reverse("admin:reviews_groundtruth_export", args=["manifest"]) in text(
        acme.get(address(GroundTruth, "changelist"))
    )


def test_the_truths_page_names_its_answers_and_versions(everything: HumanLoop, acme: Client):
    truth = GroundTruth.objects.get()
    page = text(acme.get(address(GroundTruth, "change", truth.pk)))
    assert address(Decision, "change", Decision.objects.get().pk) in page
    assert "flow_version" in page and address(HumanLoop, "change", everything.pk) in page


def test_loops_that_failed_by_themselves_show_why(acme: Client, flow: FlowDefinition):
    loop = made.loop(flow)
    loops.fail(loop.pk, loops.LIFETIME_OVER, "Nobody came.")
    assert "Nobody came." in text(acme.get(address(HumanLoop, "change", loop.pk)))
