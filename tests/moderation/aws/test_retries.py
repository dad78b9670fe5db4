"""Requests that come again because their answer was lost: one submission, one loop, one answer."""

import http.client
import json
import threading
import uuid
from base64 import b64encode
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from django.utils import timezone
from mypy_boto3_rekognition import RekognitionClient
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from moderation import storage, tasks
from moderation.aws import retries
from moderation.aws.errors import AwsError
from moderation.inference import registry
from moderation.inference.fake import FakeEngine
from moderation.inference.types import EngineOutOfMemory, Findings, Frame
from moderation.models import Analysis, IdempotencyKey, IssuedKey, Submission
from reviews.models import FlowDefinition, HumanLoop, Routing
from tests import media
from tests import world as w
from tests.moderation.aws.conftest import WebServer, rekognition
from tests.moderation.aws.lossy import lossy
from tests.moderation.aws.rekognition_world import CONFIG, flow, named
from tests.world import World

pytestmark = pytest.mark.django_db(transaction=True)

RETRIES: list[Any] = [{"mode": "legacy", "max_attempts": 4}, {"mode": "standard", "max_attempts": 3}]


def patient(url: str, issued: IssuedKey, retries: Any = RETRIES[1]) -> RekognitionClient:
    """A client that tries again, as they all do unless told not to."""
    return rekognition(url, issued, config=Config(retries=retries, read_timeout=30))


# --- lost answers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("manner", RETRIES, ids=lambda manner: manner["mode"])
def test_a_lost_answer_is_given_again(granian: WebServer, world: World, manner: Any) -> None:
    with lossy(granian.url, lose=2) as line:
        client = patient(line.url, world.key, {**manner, "max_attempts": 4})
        answer = client.detect_moderation_labels(Image={"Bytes": media.picture("Gambling", 87)})
    assert named(answer) == ["Gambling"]
    assert len(set(line.said("amz-sdk-invocation-id"))) == 1
    assert [said.partition("attempt=")[2][:1] for said in line.said("amz-sdk-request")] == ["1", "2", "3"]
    assert len(line.answers) == 3 and len(set(line.answers)) == 1
    assert Submission.objects.count() == Analysis.objects.count() == 1


@pytest.mark.parametrize("confidence", [70, 98], ids=["a loop", "no loop"])
def test_with_a_human_loop(granian: WebServer, world: World, confidence: float) -> None:
    flow(world.acme)
    with lossy(granian.url) as line:
        answer = patient(line.url, world.key).detect_moderation_labels(
            Image={"Bytes": media.picture("Weapons", confidence)}, HumanLoopConfig=CONFIG
        )
    assert line.answers[0] == line.answers[1]
    assert ("HumanLoopArn" in answer["HumanLoopActivationOutput"]) is (confidence == 70)
    assert answer["HumanLoopActivationOutput"]["HumanLoopActivationConditionsEvaluationResults"]
    assert Submission.objects.count() == Routing.objects.filter(flow__name="uncertain").count() == 1
    assert HumanLoop.objects.filter(name="loop-1").count() == (1 if confidence == 70 else 0)


def test_nothing_that_happened_meanwhile_changes_the_answer(granian: WebServer, world: World) -> None:
    """The object is replaced, the flow definition closed: the answer is that of the first time."""
    storage.make_bucket(world.acme, "photos")
    storage.write(world.acme, "s3://photos/a.jpg", media.picture("Weapons", 70))
    flow(world.acme)

    def change() -> None:
        storage.write(world.acme, "s3://photos/a.jpg", media.picture("Gambling"))
        FlowDefinition.objects.update(status=FlowDefinition.Status.DELETING)

    with lossy(granian.url, meanwhile=change) as line:
        answer = patient(line.url, world.key).detect_moderation_labels(
            Image={"S3Object": {"Bucket": "photos", "Name": "a.jpg"}}, HumanLoopConfig=CONFIG
        )
    assert line.answers[0] == line.answers[1]
    assert named(answer) == ["Weapons", "Violence"]
    assert Submission.objects.count() == HumanLoop.objects.count() == 1


def test_a_revoked_key_gets_no_old_answers(granian: WebServer, world: World) -> None:
    with lossy(granian.url, meanwhile=world.key.key.revoke) as line:
        client = patient(line.url, world.key)
        with pytest.raises(client.exceptions.ClientError, match="UnrecognizedClientException"):
            client.detect_moderation_labels(Image={"Bytes": media.picture()})


# --- which requests are the same --------------------------------------------------------------------------------------


def post(url: str, issued: IssuedKey, data: bytes, **headers: str) -> tuple[int, bytes]:
    """A signed request with further headers, not signed, as boto3 sends them."""
    body = json.dumps({"Image": {"Bytes": b64encode(data).decode()}}).encode()
    signed = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "RekognitionService.DetectModerationLabels"}
    request = AWSRequest("POST", f"{url}/", headers=signed, data=body)
    SigV4Auth(Credentials(issued.key.key_id, issued.key.secret), "rekognition", "us-east-1").add_auth(request)
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
    connection.request("POST", "/", body, {**dict(request.headers.items()), **headers})
    answer = connection.getresponse()
    found = (answer.status, answer.read())
    connection.close()
    return found


def named_call(invocation: str, attempt: int = 1) -> dict[str, str]:
    return {"amz-sdk-invocation-id": invocation, "amz-sdk-request": f"attempt={attempt}; max=3"}


def test_requests_that_are_not_the_same(live_server: LiveServer, world: World) -> None:
    data = media.picture("Gambling")
    first, second = str(uuid.uuid4()), str(uuid.uuid4())
    for issued, picture, headers in (
        (world.key, data, named_call(first)),
        (world.key, data, named_call(second)),
        (world.key, media.picture("Gambling", seed=1), named_call(first, 2)),
        (world.admin_key, data, named_call(first, 2)),
        (world.outsider_key, data, named_call(first, 2)),
        (world.key, data, {}),
        (world.key, data, {}),
        (world.key, data, named_call("")),
        (world.key, data, named_call("x" * 129)),
        (world.key, data, named_call("x" * 129, 2)),
    ):
        before = Submission.objects.count()
        assert post(live_server.url, issued, picture, **headers)[0] == 200
        assert Submission.objects.count() == before + 1
    for headers in (named_call(first), named_call(first, 2), {"amz-sdk-invocation-id": first}):
        before = Submission.objects.count()
        assert post(live_server.url, world.key, data, **headers)[0] == 200
        assert Submission.objects.count() == before


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("attempt=1", False),
        ("attempt=1; max=3", False),
        ("ttl=20261120T120000Z; attempt=1; max=3", False),
        ("attempt=2; max=3", True),
        ("attempt=11", True),
        ("attempt=1; attempt=2", True),
        ("", True),
        ("garbage", True),
    ],
)
def test_which_attempt_it_is(header: str, expected: bool) -> None:
    assert retries.is_retry(header) is expected


@pytest.mark.parametrize("attempt", [1, 2], ids=["unaware", "aware"])
def test_the_same_request_at_once_in_two_processes(granian: WebServer, world: World, attempt: int) -> None:
    data, call = media.picture("Gambling"), named_call(str(uuid.uuid4()), attempt)
    start = threading.Barrier(8)

    def send(_: int) -> tuple[int, bytes]:
        start.wait()
        return post(granian.url, world.key, data, **call)

    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(send, range(8)))
    assert len(set(told)) == 1 and told[0][0] == 200
    assert Submission.objects.count() == Analysis.objects.count() == 1


# --- slow and failed first attempts -----------------------------------------------------------------------------------


class Wrapped(FakeEngine):
    """The fake engine, after something has happened."""

    def __init__(self, before: Callable[[], object]) -> None:
        self.before = before

    def detect(self, frames: Sequence[Frame]) -> list[Findings]:
        self.before()
        return super().detect(frames)


@pytest.fixture
def engine_that(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Callable[[Callable[[], object]], None]:
    """Install an engine that does something before it answers."""

    def install(before: Callable[[], object]) -> None:
        def build(folder: Path) -> Wrapped:
            return Wrapped(before)

        settings.ENGINE = f"test-{id(before)}"
        monkeypatch.setitem(registry.ENGINES, settings.ENGINE, build)

    return install


def test_what_failed_is_tried_anew(live_server: LiveServer, world: World, engine_that: Any) -> None:
    moods: list[Exception] = [EngineOutOfMemory("It cannot."), EngineOutOfMemory("It cannot.")]

    def moody() -> None:
        if moods:
            raise moods.pop()

    engine_that(moody)
    answer = patient(live_server.url, world.key, {"mode": "standard", "max_attempts": 5}).detect_moderation_labels(
        Image={"Bytes": media.picture("Gambling")}
    )
    assert named(answer) == ["Gambling"]
    assert answer["ResponseMetadata"]["RetryAttempts"] == 2
    states = list(Submission.objects.order_by("created_at").values_list("status", flat=True))
    assert states == ["failed", "failed", "approved"]


def test_a_retry_waits_for_a_first_attempt_that_is_still_at_work(
    live_server: LiveServer, world: World, engine_that: Any
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow() -> None:
        begun.set()
        assert go_on.wait(30)

    engine_that(slow)
    data, invocation = media.picture("Gambling"), str(uuid.uuid4())
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(post, live_server.url, world.key, data, **named_call(invocation))
        assert begun.wait(30)
        second = pool.submit(post, live_server.url, world.key, data, **named_call(invocation, 2))
        with pytest.raises(TimeoutError):
            second.result(0.5)
        go_on.set()
        assert first.result(30) == second.result(30)
    assert Submission.objects.count() == 1


def test_patience_has_an_end(world: World) -> None:
    analysis = w.send(world.acme).analysis
    with pytest.raises(AwsError) as caught:
        retries.finished(analysis, patience=0.1)
    assert (caught.value.code, caught.value.status) == ("ThrottlingException", 500)


# --- how long ---------------------------------------------------------------------------------------------------------


def test_keys_are_kept_for_a_quarter_of_an_hour(live_server: LiveServer, world: World) -> None:
    data, invocation = media.picture("Gambling"), str(uuid.uuid4())
    post(live_server.url, world.key, data, **named_call(invocation))
    w.send(world.acme, key=world.key.key, idempotency_key="of the REST API")
    tasks.sweep_keys()
    assert IdempotencyKey.objects.count() == 2
    kept = IdempotencyKey.objects.exclude(expires_at=None).get()
    assert kept.expires_at
    assert timedelta(minutes=14) < kept.expires_at - timezone.now() <= retries.LIFETIME == timedelta(minutes=15)
    IdempotencyKey.objects.exclude(expires_at=None).update(expires_at=timezone.now())
    tasks.sweep_keys()
    assert [each.key for each in IdempotencyKey.objects.all()] == ["of the REST API"]
