"""The rows: what the database itself refuses, and questions asked of many."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pgtrigger
import pytest
from django.contrib.admin.models import CHANGE
from django.db import IntegrityError, ProgrammingError, connection, transaction
from django.db.models import ProtectedError
from django.utils import timezone
from pytest_django import Settings

from moderation.models import (
    AccessKey,
    Account,
    Analysis,
    AuditEntry,
    Blob,
    DeliveryAttempt,
    OutboxMessage,
    Policy,
    Submission,
    User,
    Verdict,
    WebhookEndpoint,
)
from moderation.policies import DEFAULT_RULES, Outcome, Rule
from tests import world as w
from tests.moderation.test_intake import at_once
from tests.world import World, person

Kind = OutboxMessage.Kind


# --- append-only ---


def verdict(world: World) -> Any:
    return w.analysed(world.acme, "Weapons").verdicts.get()


def policy_version(world: World) -> Any:
    return w.rules(world.acme, *DEFAULT_RULES).current()


def delivery_attempt(world: World) -> Any:
    return DeliveryAttempt.objects.create(message=message(world), error="refused")


def message(world: World, **more: Any) -> OutboxMessage:
    return OutboxMessage.objects.create(
        account=world.acme, kind=Kind.WEBHOOK, event="submission.approved", payload={}, **more
    )


def audit_entry(world: World) -> Any:
    changed = [world.acme]
    return AuditEntry.objects.log_actions(world.admin.pk, changed, CHANGE, "renamed", single_object=True)


ROWS = {verdict: "outcome", policy_version: "note", delivery_attempt: "error", audit_entry: "object_repr"}


@pytest.mark.parametrize(("make", "column"), ROWS.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_append_only_rows_never_change(world: World, make: Callable[[World], Any], column: str) -> None:
    row = make(world)
    model, table = type(row), type(row)._meta.db_table

    def raw(statement: str) -> Callable[[], Any]:
        def run() -> None:
            with connection.cursor() as cursor:
                cursor.execute(statement)

        return run

    connection.check_constraints()  # else the checks that wait for the commit would stop TRUNCATE as well
    before = model.objects.filter(pk=row.pk).values().get()
    setattr(row, column, "other")
    for change in (
        row.save,
        lambda: model.objects.filter(pk=row.pk).update(**{column: "other"}),
        lambda: model.objects.filter(pk=row.pk)._raw_delete("default"),
        row.delete,
        raw(f"UPDATE {table} SET {column} = 'other'"),
        raw(f"DELETE FROM {table}"),
        raw(f"TRUNCATE {table} CASCADE"),
    ):
        with pytest.raises((ProgrammingError, ProtectedError), match=r"(?i)cannot"), transaction.atomic():
            change()
        assert model.objects.filter(pk=row.pk).values().get() == before


def test_only_the_reviewed_path_lifts_the_guard(world: World) -> None:
    row = verdict(world)
    with transaction.atomic(), pgtrigger.ignore("moderation.Verdict:append_only"):
        Verdict.objects.filter(pk=row.pk).update(because=[])
    with pytest.raises(ProgrammingError, match="Cannot update"), transaction.atomic():
        Verdict.objects.filter(pk=row.pk).update(because=[])


def test_what_is_referred_to_stays(world: World) -> None:
    submission = w.analysed(world.acme, user=world.uploader)
    blob = submission.blob
    assert blob
    for row in (world.acme, world.uploader, submission, blob, submission.policy):
        with pytest.raises((ProtectedError, ProgrammingError), match=r"(?i)cannot"), transaction.atomic():
            row.delete()


# --- accounts, people, keys ---


@pytest.mark.parametrize("pk", ["1", "12345678901", "1234567890123", "12345678901a", "123456789012\n", "١٢٣٤٥٦٧٨٩٠١٢"])
def test_an_account_id_is_twelve_digits(pk: str) -> None:
    with pytest.raises(Exception, match=r"twelve digits|at most 12"):
        Account(pk=pk, name="x").clean_fields()


def test_roles(world: World) -> None:
    role = User.Role
    assert world.lead.has_role(role.LEAD, role.ADMIN) and not world.lead.has_role(role.ADMIN)
    boss = person(world.globex, "boss", role.LEGAL, is_superuser=True)
    assert boss.has_role(role.ADMIN) and boss.has_role(role.LEGAL) and not boss.has_role(role.REVIEWER)
    boss.is_active = False
    assert not boss.has_role(role.ADMIN, role.LEGAL)


def test_secrets_are_not_readable_in_the_database(world: World) -> None:
    issued = world.key
    with connection.cursor() as cursor:
        cursor.execute("SELECT moderation_accesskey::text FROM moderation_accesskey")
        stored = " ".join(row[0] for row in cursor.fetchall())
    assert issued.key.secret not in stored and issued.token not in stored
    key = AccessKey.objects.get(pk=issued.key.pk)
    assert key.secret == issued.key.secret
    assert issued.as_json() == {
        "AccessKeyId": key.key_id,
        "SecretAccessKey": key.secret,
        "Token": issued.token,
        "AccountId": w.ACME,
    }


def test_keys_are_found_by_id_and_by_token_while_they_live(world: World) -> None:
    key, token = world.uploader_key.key, world.uploader_key.token
    assert AccessKey.objects.live(key.key_id) == AccessKey.objects.by_token(token) == key
    for other in (token[:-1], token.upper(), key.key_id, "", key.token_digest):
        assert AccessKey.objects.by_token(other) is None
    User.objects.filter(pk=world.uploader.pk).update(is_active=False)
    assert AccessKey.objects.live(key.key_id) is None
    User.objects.filter(pk=world.uploader.pk).update(is_active=True)
    key.revoke()
    assert AccessKey.objects.live(key.key_id) is AccessKey.objects.by_token(token) is None


def test_uses_are_noted_once_a_minute(world: World) -> None:
    key = world.key.key
    key.touch()
    key.refresh_from_db()
    first = key.last_used_at
    key.touch()
    key.refresh_from_db()
    assert key.last_used_at == first
    AccessKey.objects.update(last_used_at=timezone.now() - timedelta(seconds=61))
    key.refresh_from_db()
    key.touch()
    key.refresh_from_db()
    assert first and key.last_used_at and key.last_used_at > first


def test_who_sees_which_submissions(world: World) -> None:
    mine = w.send(world.acme, user=world.uploader).submission
    other = w.send(world.acme, user=world.uploader2).submission
    theirs = w.send(world.globex).submission

    def seen(user: User) -> set[Any]:
        return set(Submission.objects.visible_to(user))

    assert seen(world.uploader) == {mine}
    assert seen(world.lead) == seen(world.auditor) == {mine, other}
    assert seen(world.outsider) == {theirs}
    assert seen(person(world.globex, "boss", User.Role.LEGAL, is_superuser=True)) == {mine, other, theirs}
    world.lead.is_active = False
    assert seen(world.lead) == set()


# --- policies ---


def test_a_revision_is_a_new_version(world: World) -> None:
    rule = Rule(label="Weapons", min_confidence=60, max_confidence=90, outcome=Outcome.REJECT)
    policy = w.rules(world.acme, *DEFAULT_RULES)
    second = policy.revise([rule], world.admin, "stricter")
    assert (second.number, second.created_by, second.note, second.parsed()) == (2, world.admin, "stricter", (rule,))
    assert policy.current() == second
    assert policy.versions.get(number=1).parsed() == DEFAULT_RULES


def test_one_default_and_one_name_for_each_account(world: World) -> None:
    w.rules(world.acme, name="a", default=True)
    w.rules(world.globex, name="a", default=True)
    for more in ({"name": "a"}, {"name": "b", "default": True}):
        with pytest.raises(IntegrityError), transaction.atomic():
            w.rules(world.acme, **more)


def test_the_default_where_the_name_is_taken(world: World) -> None:
    taken = w.rules(world.acme, name="default")
    made = Policy.objects.default_for(world.acme)
    assert made.is_default and made != taken
    assert Policy.objects.default_for(world.acme) == made


@pytest.mark.django_db(transaction=True)
def test_versions_made_at_once_are_numbered(transactional_db: None) -> None:
    policy = w.rules(w.build().acme, *DEFAULT_RULES)
    at_once(5, lambda place: policy.revise(DEFAULT_RULES))
    assert sorted(policy.versions.values_list("number", flat=True)) == [1, 2, 3, 4, 5, 6]


# --- blobs, analyses ---


def test_one_blob_for_each_file_and_account(world: World) -> None:
    blob = w.send(world.acme).submission.blob
    assert blob
    with pytest.raises(IntegrityError), transaction.atomic():
        Blob.objects.create(account=world.acme, sha256=blob.sha256, size=1, media_type="image/jpeg", name="x")


def test_what_is_due(world: World, settings: Settings) -> None:
    queued, running, lapsed, done, worn = (w.send(world.acme).analysis.pk for _ in range(5))
    past, future = (timezone.now() + timedelta(minutes=minutes) for minutes in (-1, 1))
    for pk, changes in {
        running: {"status": "running", "lease_expires_at": future},
        lapsed: {"status": "running", "lease_expires_at": past, "attempt": 1},
        done: {"status": "succeeded", "lease_expires_at": past},
        worn: {"status": "running", "lease_expires_at": past, "attempt": settings.ANALYSIS_MAX_ATTEMPTS},
    }.items():
        Analysis.objects.filter(pk=pk).update(**changes)
    assert {each.pk for each in Analysis.objects.due()} == {queued, lapsed, worn}
    assert [each.pk for each in Analysis.objects.exhausted()] == [worn]
    assert not Analysis.objects.overdue(30).exists()
    Analysis.objects.update(created_at=past)
    assert {each.pk for each in Analysis.objects.overdue(30)} == {queued, lapsed, worn}


# --- the outbox ---


def test_only_endpoints_that_want_an_event_get_it(world: World) -> None:
    def endpoint(account: Account, *events: str, active: bool = True) -> WebhookEndpoint:
        return WebhookEndpoint.objects.create(
            account=account, url="https://hooks.example.org/", events=list(events), is_active=active
        )

    everything = endpoint(world.acme)
    some = endpoint(world.acme, "submission.approved", "submission.failed")
    endpoint(world.acme, "submission.rejected")
    endpoint(world.acme, active=False)
    endpoint(world.globex)
    OutboxMessage.objects.publish("submission.approved", world.acme, {"a": 1})
    assert {each.endpoint for each in OutboxMessage.objects.all()} == {everything, some}


def test_messages_are_claimed_under_a_lease(world: World) -> None:
    due = message(world)
    message(world, not_before=timezone.now() + timedelta(minutes=1))
    message(world, status=OutboxMessage.Status.DELIVERED)
    [claimed] = OutboxMessage.objects.claim(10, Kind.WEBHOOK, lease_seconds=60)
    assert (claimed.pk, claimed.attempts) == (due.pk, 1)
    assert OutboxMessage.objects.claim(10, Kind.WEBHOOK) == []
    assert OutboxMessage.objects.claim(10, Kind.REVIEW) == []
    OutboxMessage.objects.filter(pk=due.pk).update(not_before=timezone.now())  # the sender has died
    assert [each.attempts for each in OutboxMessage.objects.claim(10, Kind.WEBHOOK)] == [2]


@pytest.mark.django_db(transaction=True)
def test_no_message_is_claimed_twice(transactional_db: None) -> None:
    world = w.build()
    expected = {message(world).pk for _ in range(40)}
    taken = at_once(8, lambda place: [each.pk for each in OutboxMessage.objects.claim(5, Kind.WEBHOOK)])
    everything = [pk for pks in taken for pk in pks]
    assert (len(everything), set(everything)) == (40, expected)


def test_a_message_is_given_up_after_its_last_attempt(world: World, settings: Settings) -> None:
    settings.WEBHOOK_MAX_ATTEMPTS = 2
    for attempts, status in ((1, "waiting"), (2, "dead")):
        late = message(world, attempts=attempts)
        late.postpone(30)
        late.refresh_from_db()
        assert late.status == status
        assert 25 < (late.not_before - timezone.now()).total_seconds() <= 30
