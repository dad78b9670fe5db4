"""Sending pictures, waiting for the answer, reading it, and the list."""

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from django.db import connection
from pytest_django import DjangoAssertNumQueries, DjangoCaptureOnCommitCallbacks, Settings

from moderation import pipeline
from moderation.api import waiting
from moderation.models import Analysis, Blob, IdempotencyKey, Submission
from moderation.policies import Outcome, Rule
from tests import world as w
from tests.media import picture, tiny
from tests.moderation.api.test_errors import check
from tests.moderation.brokers import broker_at, eagerly
from tests.world import World, api_client

LIST = "/api/v1/submissions/"


@pytest.fixture
def eager() -> Iterator[None]:
    """Tasks run where they are sent, at once."""
    with eagerly():
        yield


@pytest.fixture
def no_broker() -> Iterator[None]:
    """A broker that refuses connections."""
    with broker_at("redis://127.0.0.1:1/0"):
        yield


def post(
    key: Any, data: bytes | None = None, query: str = "", headers: dict[str, str] | None = None, **fields: str
) -> Any:
    form = {"file": w.upload(picture() if data is None else data), **fields}
    return api_client(key).post(LIST + query, form, headers=headers or {})


# --- sending ---


def test_a_picture_is_accepted(world: World) -> None:
    data = picture(size=(320, 240))
    answer = post(world.key, data, external_id="order 17", metadata='{"shop": {"id": 7}}')
    assert answer.status_code == 202
    shown = answer.json()
    submission = Submission.objects.get()
    assert shown == {
        "id": str(submission.pk),
        "status": "queued",
        "url": f"http://testserver/api/v1/submissions/{submission.pk}/",
        "source": "rest",
        "external_id": "order 17",
        "filename": "photo.jpg",
        "policy": "default",
        "media": {
            "kind": "image",
            "format": "JPEG",
            "width": 320,
            "height": 240,
            "size": len(data),
            "sha256": submission.media_digest,
        },
        "created_at": submission.created_at.isoformat().replace("+00:00", "Z"),
        "settled_at": None,
        "metadata": {"shop": {"id": 7}},
        "labels": [],
        "content_types": [],
        "verdict": None,
        "verdicts": [],
        "review": None,
        "model": None,
        "error": None,
    }
    assert answer["Location"] == shown["url"]
    assert api_client(world.key).get(urlsplit(shown["url"]).path).json() == shown
    assert submission.analyses.get().status == "queued"


def test_the_worker_is_told_once_it_is_committed(
    world: World, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    with django_capture_on_commit_callbacks() as callbacks:
        post(world.key)
    assert len(callbacks) == 1


def test_the_answer(
    world: World, eager: None, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        sent = post(world.key, picture("Weapons", 90, illustrated=True))
    shown = api_client(world.key).get(sent["Location"]).json()
    assert shown["status"] == "in_review"
    assert shown["settled_at"] is None
    names = [(label["name"], label["parent"], label["level"]) for label in shown["labels"]]
    assert names == [("Weapons", "Violence", 2), ("Violence", "", 1)]
    assert all(88 < label["confidence"] < 92 and label["timestamp_ms"] is None for label in shown["labels"])
    assert shown["labels"][0]["boxes"] == [{"left": 0, "top": 0, "width": 80, "height": 60}]
    assert [each["name"] for each in shown["content_types"]] == ["Illustrated"]
    assert shown["verdict"] == shown["verdicts"][0]
    verdict = {**shown["verdict"], "because": [each["label"] for each in shown["verdict"]["because"]]}
    assert datetime.fromisoformat(verdict.pop("decided_at")).tzinfo == UTC
    assert verdict == {
        "outcome": "review",
        "source": "policy",
        "because": ["Weapons"],
        "policy": "default",
        "policy_version": 1,
    }
    assert shown["model"] == {
        "engine": "fake-1",
        "heads": "none",
        "calibration": "none",
        "moderation_model": "7.0",
    }


def test_a_policy_by_name(world: World) -> None:
    w.rules(world.acme, Rule(label="Gambling", min_confidence=1, outcome=Outcome.REJECT), name="strict")
    w.rules(world.globex, name="theirs")
    assert post(world.key, policy="strict").json()["policy"] == "strict"
    for name in ("theirs", "nothing", "\0", "x" * 121):
        problem = check(post(world.key, policy=name), 400, "invalid")
        assert [each["field"] for each in problem["errors"]] == ["policy"]
    assert Submission.objects.count() == 1


def test_why_there_is_no_answer(world: World) -> None:
    accepted = w.send(world.acme)
    started = Analysis.objects.start(accepted.analysis.pk)
    assert started
    pipeline.fail(started, "media_gone", "The stored picture cannot be read.")
    shown = api_client(world.key).get(f"{LIST}{accepted.submission.pk}/").json()
    assert shown["status"] == "failed"
    assert shown["error"] == {"code": "media_gone", "message": "The stored picture cannot be read."}
    assert shown["verdict"] is None and shown["model"] is None


def test_reading_takes_few_queries(world: World, django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
    pk = w.analysed(world.acme, "Weapons").pk
    client = api_client(world.key)
    client.get(f"{LIST}{pk}/")
    with django_assert_max_num_queries(12):
        client.get(f"{LIST}{pk}/")
    for seed in range(5):
        w.send(world.acme, picture(seed=seed))
    with django_assert_max_num_queries(3):
        assert len(client.get(LIST).json()["results"]) == 6


# --- waiting ---


@pytest.mark.django_db(transaction=True)
def test_wait_answers_once_the_machine_has(transactional_db: None) -> None:
    world = w.build()

    def work() -> None:
        time.sleep(0.5)
        pipeline.moderate(Analysis.objects.get().pk)
        connection.close()

    worker = threading.Thread(target=work)
    worker.start()
    begin = time.monotonic()
    answer = post(world.key, query="?wait=20")
    took = time.monotonic() - begin
    worker.join()
    assert (answer.status_code, answer.json()["status"]) == (200, "approved")
    assert 0.4 < took < 10


def test_what_waits_for_people_is_answered(
    world: World, eager: None, settings: Settings, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    accepted = w.send(world.acme, picture("Weapons"), key=world.key.key, idempotency_key="k")
    pipeline.moderate(accepted.analysis.pk)
    begin = time.monotonic()
    answer = post(world.key, picture("Weapons"), "?wait=20", {"Idempotency-Key": "k"})
    assert (answer.status_code, answer.json()["status"]) == (200, "in_review")
    assert time.monotonic() - begin < 5


def test_wait_gives_up(world: World) -> None:
    begin = time.monotonic()
    answer = post(world.key, query="?wait=1")
    assert 1 <= time.monotonic() - begin < 8
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")


def test_only_so_many_wait(world: World) -> None:
    places = [waiting._places.acquire(blocking=False) for _ in range(waiting.MAX_WAITING)]
    try:
        begin = time.monotonic()
        assert post(world.key, query="?wait=20").status_code == 202
        assert time.monotonic() - begin < 5
    finally:
        for _ in places:
            waiting._places.release()
    assert all(places)


@pytest.mark.parametrize("wait", ["-1", "31", "ten", "1.5", "1e9", "\uff19\uff19"])
def test_wait_has_bounds(world: World, wait: str) -> None:
    problem = check(post(world.key, query=f"?wait={quote(wait)}"), 400, "invalid")
    assert [each["field"] for each in problem["errors"]] == ["wait"]
    assert not Submission.objects.exists()


# --- the broker ---


@pytest.mark.django_db(transaction=True)
def test_a_broker_that_is_down_loses_nothing(no_broker: None, caplog: pytest.LogCaptureFixture) -> None:
    world = w.build()
    begin = time.monotonic()
    answer = post(world.key)
    assert answer.status_code == 202
    assert time.monotonic() - begin < 5
    assert "on_commit" in caplog.text
    later = datetime.now(UTC) + timedelta(minutes=1)
    Analysis.objects.update(created_at=later - timedelta(minutes=5))
    assert [each.pk for each in Analysis.objects.overdue(seconds=30)] == [Analysis.objects.get().pk]


# --- Idempotency-Key ---


def test_the_same_request_again_is_the_same_submission(world: World) -> None:
    data, headers = picture(), {"Idempotency-Key": "one"}
    first = post(world.key, data, headers=headers, external_id="a", metadata='{"b": 1, "a": 2}')
    again = post(world.key, data, headers=headers, external_id="a", metadata='{"a": 2, "b": 1}')
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json() == again.json()
    assert "Idempotency-Replayed" not in first
    assert again["Idempotency-Replayed"] == "true"
    assert Submission.objects.count() == Analysis.objects.count() == 1


def test_the_worker_is_told_only_once(
    world: World, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    post(world.key, headers={"Idempotency-Key": "one"})
    with django_capture_on_commit_callbacks() as callbacks:
        post(world.key, headers={"Idempotency-Key": "one"})
    assert callbacks == []


@pytest.mark.parametrize(
    "other", [{"external_id": "b"}, {"metadata": "{}"}, {"policy": "other"}, {"data": picture(seed=1)}]
)
def test_another_request_under_the_key_is_refused(world: World, other: dict[str, Any]) -> None:
    w.rules(world.acme, name="other")
    headers = {"Idempotency-Key": "one"}
    said: dict[str, Any] = {"data": picture(), "external_id": "a", "metadata": '{"a": 1}', "policy": "default"}
    post(world.key)  # so that the default policy is there
    assert post(world.key, headers=headers, **said).status_code == 202
    problem = check(post(world.key, headers=headers, **{**said, **other}), 422, "idempotency_mismatch")
    assert problem["errors"][0]["field"] == "Idempotency-Key"
    assert IdempotencyKey.objects.count() == 1


def test_keys_belong_to_their_callers(world: World) -> None:
    headers = {"Idempotency-Key": "one"}
    ids = {post(key, headers=headers).json()["id"] for key in (world.key, world.uploader_key, world.outsider_key)}
    assert len(ids) == 3


def test_a_refused_request_does_not_use_up_its_key(world: World) -> None:
    headers = {"Idempotency-Key": "one"}
    assert post(world.key, tiny(), headers=headers).status_code == 422
    assert post(world.key, headers=headers).status_code == 202


@pytest.mark.parametrize("key", ["x" * 256, "a\x07b"])
def test_keys_have_bounds(world: World, key: str) -> None:
    problem = check(post(world.key, headers={"Idempotency-Key": key}), 400, "invalid")
    assert problem["errors"][0]["field"] == "Idempotency-Key"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("same", [True, False])
def test_one_key_at_the_same_time(transactional_db: None, same: bool) -> None:
    world = w.build()
    pictures = [picture(seed=0 if same else number % 2) for number in range(6)]
    answers = _together(
        [lambda data=data: post(world.key, data, headers={"Idempotency-Key": "one"}) for data in pictures]
    )
    accepted = [answer.json()["id"] for answer in answers if answer.status_code == 202]
    refused = [answer.json()["type"] for answer in answers if answer.status_code != 202]
    assert len(accepted) == (6 if same else 3)
    assert len(set(accepted)) == 1
    assert set(refused) == (set() if same else {"urn:second-look:problem:idempotency_mismatch"})
    assert Submission.objects.count() == Analysis.objects.count() == IdempotencyKey.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_one_file_at_the_same_time(transactional_db: None) -> None:
    world = w.build()
    data = picture(size=(1200, 900))
    answers = _together([lambda: post(world.key, data)] * 6)
    assert {answer.status_code for answer in answers} == {202}
    assert (Submission.objects.count(), Blob.objects.count()) == (6, 1)
    assert Blob.objects.get().read() == data


def _together(calls: list[Any]) -> list[Any]:
    """What the calls return, each made in a thread of its own, all at once."""
    gate, answers = threading.Barrier(len(calls)), []

    def run(call: Any) -> None:
        gate.wait()
        answers.append(call())
        connection.close()

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


# --- the list ---


def ids(answer: Any) -> list[str]:
    assert set(answer.json()) == {"results", "next", "previous"}
    return [row["id"] for row in answer.json()["results"]]


def test_pages(world: World) -> None:
    sent = [str(w.send(world.acme, external_id=str(number)).submission.pk) for number in range(5)][::-1]
    client = api_client(world.key)
    first = client.get(f"{LIST}?limit=2")
    assert ids(first) == sent[:2]
    assert first.json()["previous"] is None
    second = client.get(first.json()["next"])
    third = client.get(second.json()["next"])
    assert (ids(second), ids(third)) == (sent[2:4], sent[4:])
    assert third.json()["next"] is None
    assert ids(client.get(third.json()["previous"])) == sent[2:4]
    w.send(world.acme)  # what comes in meanwhile moves nothing
    assert ids(client.get(first.json()["next"])) == sent[2:4]


def test_pages_of_the_same_moment(world: World) -> None:
    sent = {str(w.send(world.acme).submission.pk) for _ in range(7)}
    Submission.objects.update(created_at=datetime(2026, 1, 1, tzinfo=UTC))
    client, seen, page = api_client(world.key), [], f"{LIST}?limit=2"
    while page:
        answer = client.get(page)
        seen += ids(answer)
        page = answer.json()["next"]
    assert (len(seen), set(seen)) == (7, sent)


def test_filters(world: World) -> None:
    old = w.send(world.acme, external_id="old").submission
    Submission.objects.filter(pk=old.pk).update(created_at=datetime(2025, 1, 1, tzinfo=UTC))
    done = w.analysed(world.acme)
    uploaded = w.send(world.acme, source=Submission.Source.UPLOAD).submission
    client = api_client(world.key)
    for query, expected in {
        "status=approved": [done],
        "source=upload": [uploaded],
        "external_id=old": [old],
        "external_id=ol": [],
        "created_before=2025-06-01T00:00:00Z": [old],
        "created_after=2025-06-01": [uploaded, done],
        "created_after=2025-01-01T00:00:00%2B00:00&created_before=2025-01-01T01:00:00%2B01:00": [],
        "status=queued&source=rest": [old],
        "status=": [uploaded, done, old],
    }.items():
        assert ids(client.get(f"{LIST}?{query}")) == [str(each.pk) for each in expected], query


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=-1", "limit"),
        ("limit=many", "limit"),
        ("limit=٣", "limit"),
        ("limit=" + "9" * 5000, "limit"),
        ("cursor=nonsense", "cursor"),
        ("cursor=cD1ub3cn", "cursor"),  # p=now'
        ("cursor=cD0yMDI2LTEzLTAx", "cursor"),  # p=2026-13-01
        ("cursor=cD0yMDI2LTAxLTAxIDAwOjAw", "cursor"),  # p=2026-01-01 00:00, without an offset
        ("status=done", "status"),
        ("source=smtp", "source"),
        ("created_after=yesterday", "created_after"),
        ("created_before=2026-02-30T00:00:00Z", "created_before"),
        ("external_id=%00", "external_id"),
        ("external_id=" + "x" * 201, "external_id"),
    ],
)
def test_lists_of_nonsense(world: World, query: str, field: str) -> None:
    problem = check(api_client(world.key).get(f"{LIST}?{query}"), 400, "invalid")
    assert [each["field"] for each in problem["errors"]] == [field]
