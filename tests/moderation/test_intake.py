"""Accepting pictures: what is written, once and whole, and what is refused before anything is."""

import threading
import unicodedata
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.core.files.storage import default_storage
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from moderation import intake
from moderation.decoding.types import CorruptMedia, UnsupportedFormat
from moderation.intake import IdempotencyMismatch, IntakeError
from moderation.models import Analysis, Blob, IdempotencyKey, Policy, Submission
from moderation.policies import DEFAULT_RULES, to_json
from tests import media
from tests import world as w
from tests.media import picture
from tests.world import World


def nothing_written() -> bool:
    return not (Submission.objects.exists() or Analysis.objects.exists() or Blob.objects.exists())


# --- what is written ---


def test_a_picture(world: World) -> None:
    data = media.rotated(6)
    accepted = w.send(world.acme, data, world.uploader, filename="photo.jpg", external_id="7", metadata={"a": 1})
    submission = accepted.submission
    assert (submission.account, submission.uploader, submission.source) == (world.acme, world.uploader, "rest")
    assert (submission.filename, submission.external_id, submission.metadata) == ("photo.jpg", "7", {"a": 1})
    assert (submission.width, submission.height) == (320, 240)  # the right way up
    assert (submission.media_format, submission.media_size) == ("JPEG", len(data))
    assert submission.status == Submission.Status.QUEUED
    assert submission.blob and submission.blob.read() == data
    assert submission.blob.sha256 == submission.media_digest
    assert submission.blob.media_type == "image/jpeg"
    assert (accepted.analysis.status, accepted.analysis.attempt) == (Analysis.Status.QUEUED, 0)
    assert accepted.analysis.policy_version == submission.policy.current()
    assert accepted.decoded and not accepted.replayed


def test_the_same_file_twice_is_one_blob_and_two_submissions(world: World) -> None:
    first, second = w.send(world.acme), w.send(world.acme)
    assert first.submission.pk != second.submission.pk
    assert first.submission.blob == second.submission.blob
    assert Blob.objects.count() == 1


def test_the_same_file_in_two_accounts_is_two_blobs(world: World) -> None:
    ours, theirs = (w.send(account).submission.blob for account in (world.acme, world.globex))
    assert ours and theirs and ours.name != theirs.name
    assert ours.read() == theirs.read()


def test_without_keeping_it_only_the_digest_stays(world: World) -> None:
    sender = intake.Sender(world.acme, Submission.Source.AWS)
    accepted = intake.accept(sender, picture(), keep=False)
    assert accepted.submission.blob is None
    assert len(accepted.submission.media_digest) == 64
    assert not Blob.objects.exists()


def test_a_picture_kept_later(world: World) -> None:
    data = picture()
    accepted = intake.accept(intake.Sender(world.acme, Submission.Source.AWS), data, keep=False)
    assert accepted.decoded
    intake.keep_picture(accepted.submission, data, accepted.decoded.info)
    accepted.submission.refresh_from_db()
    assert accepted.submission.blob and accepted.submission.blob.read() == data


def test_a_lost_file_comes_back_with_the_next_submission(world: World) -> None:
    blob = w.send(world.acme).submission.blob
    assert blob
    default_storage.delete(blob.name)
    w.send(world.acme)
    assert blob.read() == picture()


# --- what is refused ---


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (media.zip_archive(), UnsupportedFormat),
        (media.truncated(), CorruptMedia),
        (media.truncated("PNG"), CorruptMedia),
    ],
)
def test_a_refused_picture_leaves_nothing(world: World, data: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        w.send(world.acme, data)
    assert nothing_written()


def test_the_size_has_a_limit(world: World, settings: Settings) -> None:
    data = picture()
    settings.UPLOAD_MAX_BYTES = len(data)
    w.send(world.acme, data)
    settings.UPLOAD_MAX_BYTES = len(data) - 1
    with pytest.raises(IntakeError) as caught:
        w.send(world.acme, data)
    assert (caught.value.code, caught.value.field, caught.value.limit) == ("too_large", "file", len(data) - 1)


@pytest.mark.parametrize(
    ("wishes", "field", "limit"),
    [
        ({"external_id": "x" * 201}, "external_id", 200),
        ({"external_id": "\0"}, "external_id", None),
        ({"policy": "x" * 121}, "policy", 120),
        ({"policy": "nothing"}, "policy", None),
        ({"idempotency_key": "x" * 256}, "Idempotency-Key", 255),
        ({"metadata": {"a": "x" * 16_384}}, "metadata", 16_384),
        ({"metadata": {"a": float("nan")}}, "metadata", None),
        ({"metadata": {"a": ["\0"]}}, "metadata", None),
        ({"metadata": {"\ud800": 1}}, "metadata", None),
    ],
    ids=lambda value: "" if isinstance(value, dict) else str(value),
)
def test_wishes_have_limits(world: World, wishes: dict[str, Any], field: str, limit: int | None) -> None:
    with pytest.raises(IntakeError) as caught:
        w.send(world.acme, **wishes)
    assert (caught.value.field, caught.value.limit) == (field, limit)
    assert nothing_written()


def test_wishes_up_to_their_limits_are_taken(world: World) -> None:
    deep: Any = 1
    for _ in range(intake.MAX_METADATA_DEPTH - 1):
        deep = [deep]
    metadata = {"a": deep, "b": ""}
    room = intake.MAX_METADATA_BYTES - len('{"a": , "b": ""}') - len(str(deep))
    metadata["b"] = "x" * room
    submission = w.send(world.acme, external_id="é" * 200, idempotency_key="k" * 255, metadata=metadata).submission
    submission.refresh_from_db()
    assert submission.metadata == metadata
    with pytest.raises(IntakeError):
        w.send(world.acme, metadata={**metadata, "b": "x" * (room + 1)})
    with pytest.raises(IntakeError, match="nesting"):
        w.send(world.acme, metadata={"a": [deep]})


# --- names ---


@given(st.text(max_size=600))
def test_any_name_can_be_shown_and_is_no_path(name: str) -> None:
    clean = intake.clean_filename(name)
    assert len(clean) <= 255
    assert "/" not in clean and "\\" not in clean
    assert all(unicodedata.category(character)[0] != "C" for character in clean)
    assert intake.clean_filename(clean) == clean


def test_names_keep_what_can_be_shown() -> None:
    assert intake.clean_filename("Größe \u202e(1).jpg") == "Größe (1).jpg"


# --- policies ---


def test_an_account_without_a_policy_gets_the_default(world: World) -> None:
    policy = w.send(world.acme).submission.policy
    assert (policy.name, policy.is_default, policy.account) == ("default", True, world.acme)
    assert policy.current().rules == to_json(DEFAULT_RULES)
    assert w.send(world.acme).submission.policy == policy


def test_the_version_of_the_moment_judges(world: World) -> None:
    policy = w.rules(world.acme, name="house")
    first = w.send(world.acme, policy="house").analysis
    policy.revise(DEFAULT_RULES)
    second = w.send(world.acme, policy="house").analysis
    assert (first.policy_version.number, second.policy_version.number) == (1, 2)


def test_policies_of_others_and_without_rules_are_unknown(world: World) -> None:
    w.rules(world.globex, name="theirs")
    Policy.objects.create(account=world.acme, name="empty")
    for name in ("theirs", "empty"):
        with pytest.raises(IntakeError, match="no policy"):
            w.send(world.acme, policy=name)


# --- the same request again ---


def test_keys_that_come_again(world: World) -> None:
    first = w.send(world.acme, key=world.key.key, idempotency_key="k")
    again = w.send(world.acme, key=world.key.key, idempotency_key="k", filename="other.jpg")
    assert (again.submission, again.analysis, again.replayed) == (first.submission, first.analysis, True)
    with pytest.raises(IdempotencyMismatch):
        w.send(world.acme, picture(seed=1), key=world.key.key, idempotency_key="k")
    assert w.send(world.acme, key=world.admin_key.key, idempotency_key="k").submission != first.submission


def test_an_upload_that_comes_again(world: World) -> None:
    pk = uuid4()
    first = w.send(world.acme, user=world.uploader, submission_id=pk)
    again = w.send(world.acme, user=world.uploader, submission_id=pk)
    assert (first.submission.pk, first.replayed) == (pk, False)
    assert (again.submission.pk, again.replayed) == (pk, True)
    for other in (world.uploader2, world.outsider):
        with pytest.raises(IdempotencyMismatch):
            w.send(other.account, user=other, submission_id=pk)
    with pytest.raises(IdempotencyMismatch):
        w.send(world.acme, picture(seed=1), world.uploader, submission_id=pk)
    assert Submission.objects.count() == 1


def at_once(number: int, call: Callable[[int], Any]) -> list[Any]:
    """What the calls return or raise, each in a thread and a connection of its own."""
    gate = threading.Barrier(number)
    results: list[Any] = [None] * number

    def run(place: int) -> None:
        gate.wait()
        try:
            results[place] = call(place)
        except Exception as error:
            results[place] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(place,)) for place in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.mark.django_db(transaction=True)
def test_races(transactional_db: None) -> None:
    """One account without a policy, one new file, one key, one upload, all at once."""
    world = w.build()
    data, pk = picture(), uuid4()

    def by_key(place: int) -> Any:
        return w.send(world.acme, data, key=world.key.key, idempotency_key="k").submission.pk

    def by_id(place: int) -> Any:
        return w.send(world.acme, data, world.uploader, submission_id=pk).submission.pk

    def by_other_files(place: int) -> Any:
        return w.send(world.acme, picture(seed=place), key=world.key.key, idempotency_key="other").submission.pk

    assert len(set(at_once(6, by_key))) == 1
    assert set(at_once(6, by_id)) == {pk}
    others = at_once(6, by_other_files)
    assert sum(isinstance(result, IdempotencyMismatch) for result in others) == 5
    assert (Submission.objects.count(), Analysis.objects.count()) == (3, 3)
    assert (IdempotencyKey.objects.count(), Policy.objects.count()) == (2, 1)
    assert Blob.objects.filter(submissions__isnull=False).distinct().count() <= 2
