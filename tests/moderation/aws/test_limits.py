"""How often an account may call and how many loops it may have open: in one process, in several, without Valkey."""

import logging
import socket
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import psutil
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from mypy_boto3_rekognition import RekognitionClient
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from moderation.aws import limits
from moderation.aws.errors import AwsError
from reviews.models import HumanLoop
from tests import media
from tests.moderation.aws.conftest import ClientFor, WebServer, rekognition, web_server
from tests.moderation.aws.rekognition_world import CONFIG, flow, refusal
from tests.world import World

SLOW_DOWN = ("ThrottlingException", "Slow down; sudden increase in rate of requests.")
EXCEEDED = ("ProvisionedThroughputExceededException", "Provisioned Rate exceeded.")

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("valkey")]


def tried(check: Any, account: str = "111111111111") -> bool:
    """Whether a call passes."""
    try:
        check(account)
    except AwsError:
        return False
    return True


# --- rates ------------------------------------------------------------------------------------------------------------


def test_they_are_off_by_default() -> None:
    assert django_settings.AWS_RATE == django_settings.AWS_DETECT_RATE == ""
    assert all(tried(limits.check_requests) and tried(limits.check_detections) for _ in range(200))


def test_every_request_of_an_account_counts(
    acme: RekognitionClient, client_for: ClientFor, world: World, settings: Settings
) -> None:
    settings.AWS_RATE = "3/day"
    for _ in range(3):
        refusal(acme, media.gif())  # what is refused for other reasons has been a request too
    assert refusal(acme, media.picture()) == SLOW_DOWN
    assert refusal(client_for(world.admin_key), media.picture()) == SLOW_DOWN
    client_for(world.outsider_key).detect_moderation_labels(Image={"Bytes": media.picture()})


def test_who_is_not_let_in_uses_nothing_up(client_for: ClientFor, world: World, settings: Settings) -> None:
    settings.AWS_RATE = "1/day"
    for _ in range(3):
        assert refusal(client_for(world.key, secret="x" * 40), media.picture())[0] == "InvalidSignatureException"
    client_for(world.key).detect_moderation_labels(Image={"Bytes": media.picture()})


def test_pictures_have_a_rate_of_their_own(acme: RekognitionClient, settings: Settings) -> None:
    settings.AWS_DETECT_RATE = "2/day"
    for _ in range(2):
        acme.detect_moderation_labels(Image={"Bytes": media.picture()})
    assert refusal(acme, media.picture()) == EXCEEDED
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        acme.list_tags_for_resource(ResourceArn="arn:aws:rekognition:us-east-1:111111111111:project/p/1")
    with pytest.raises(acme.exceptions.ProvisionedThroughputExceededException):
        acme.detect_moderation_labels(Image={"Bytes": media.picture()})


def test_the_other_services_say_it_in_their_own_way(live_server: LiveServer, world: World, settings: Settings) -> None:
    settings.AWS_RATE = "1/day"
    limits.check_requests(world.acme.pk)  # that was the one
    for service, status in (("sagemaker", 400), ("sagemaker-a2i-runtime", 429)):
        client: Any = boto3.client(
            service,  # type: ignore[call-overload]
            endpoint_url=live_server.url,
            region_name="us-east-1",
            aws_access_key_id=world.key.key.key_id,
            aws_secret_access_key=world.key.key.secret,
            config=Config(retries={"max_attempts": 0}),
        )
        with pytest.raises(ClientError) as caught:
            if service == "sagemaker":
                client.list_flow_definitions()
            else:
                client.describe_human_loop(HumanLoopName="loop-1")
        error = caught.value.response
        assert (error["Error"]["Code"], error["Error"]["Message"]) == SLOW_DOWN
        assert error["ResponseMetadata"]["HTTPStatusCode"] == status


def test_the_window_slides(settings: Settings) -> None:
    settings.AWS_RATE = "5/second"
    assert [tried(limits.check_requests) for _ in range(8)] == [True] * 5 + [False] * 3
    time.sleep(2.1)
    assert [tried(limits.check_requests) for _ in range(8)] == [True] * 5 + [False] * 3  # the refused did not count


@pytest.mark.parametrize("rate", ["lots", "5", "/second", "-1/second"])
def test_a_rate_that_is_none(settings: Settings, rate: str) -> None:
    settings.AWS_RATE = rate
    with pytest.raises(ImproperlyConfigured, match="50/second"):
        limits.check_requests("111111111111")


def test_without_valkey_there_is_no_limit_but_a_line_in_the_log(
    acme: RekognitionClient, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.AWS_RATE = settings.AWS_DETECT_RATE = "1/day"
    settings.REDIS_URL = "redis://127.0.0.1:9/0"
    with caplog.at_level(logging.WARNING, "moderation.aws.limits"):
        for _ in range(3):
            acme.detect_moderation_labels(Image={"Bytes": media.picture()})
    assert caplog.text.count("the rate limits are off: Valkey does not answer") == 1  # not one for every request


def test_a_valkey_that_hangs_holds_requests_up_only_for_a_moment(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings.AWS_RATE = "1/day"
        settings.REDIS_URL = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        start = time.monotonic()
        assert all(tried(limits.check_requests) for _ in range(20))
        assert time.monotonic() - start < 3 * limits.TIMEOUT_SECONDS


# --- several processes ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bounded(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    """Two web processes with limits."""
    limited = {"AWS_DETECT_RATE": "20/day", "MAX_OPEN_LOOPS": "3"}
    with web_server(tmp_path_factory.mktemp("bounded"), workers=2, **limited) as server:
        yield server


def _codes(server: WebServer, world: World, calls: int, with_loops: bool = False) -> Counter[str]:
    """What so many calls at once are told; each asks for a loop of its own."""

    def call(number: int) -> str:
        client: Any = rekognition(server.url, world.key)
        image = {"Bytes": media.picture("Weapons", 70, seed=number)}
        loop = {"HumanLoopConfig": {**CONFIG, "HumanLoopName": f"loop-{number}"}} if with_loops else {}
        try:
            client.detect_moderation_labels(Image=image, **loop)
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return "fine"

    with ThreadPoolExecutor(8) as pool:
        return Counter(pool.map(call, range(calls)))


def test_processes_share_one_count(bounded: WebServer, world: World) -> None:
    workers = psutil.Process(bounded.pid).children()
    before = [worker.cpu_times().user for worker in workers]
    assert _codes(bounded, world, 50) == {"fine": 20, EXCEEDED[0]: 30}
    busy = [worker for worker, used in zip(workers, before, strict=True) if worker.cpu_times().user > used + 0.05]
    assert len(busy) == 2  # else this has shown nothing


def test_processes_share_one_count_of_open_loops(bounded: WebServer, world: World) -> None:
    flow(world.acme)
    assert _codes(bounded, world, 12, with_loops=True) == {"fine": 3, "HumanLoopQuotaExceededException": 9}
    assert HumanLoop.objects.open().count() == 3


def test_the_same_loop_asked_for_at_once_is_one(live_server: LiveServer, world: World, settings: Settings) -> None:
    """The bound is on loops, not on those who ask for them."""
    settings.MAX_OPEN_LOOPS = 1
    flow(world.acme)
    data = media.picture("Weapons", 70)

    def call(_: int) -> str | None:
        client = rekognition(live_server.url, world.key)
        answer = client.detect_moderation_labels(Image={"Bytes": data}, HumanLoopConfig=CONFIG)
        return answer["HumanLoopActivationOutput"].get("HumanLoopArn")

    with ThreadPoolExecutor(6) as pool:
        assert len(set(pool.map(call, range(6)))) == 1
    assert HumanLoop.objects.count() == 1


def test_the_quotas_error_has_its_members(acme: RekognitionClient, world: World, settings: Settings) -> None:
    settings.MAX_OPEN_LOOPS = 1
    flow(world.acme)
    acme.detect_moderation_labels(Image={"Bytes": media.picture("Weapons", 70)}, HumanLoopConfig=CONFIG)
    again: Any = {**CONFIG, "HumanLoopName": "loop-2"}
    with pytest.raises(acme.exceptions.HumanLoopQuotaExceededException) as caught:
        acme.detect_moderation_labels(Image={"Bytes": media.picture("Weapons", 70)}, HumanLoopConfig=again)
    response: Any = caught.value.response
    told = {name: response[name] for name in ("ResourceType", "QuotaCode", "ServiceCode")}
    assert told == {"ResourceType": "HumanLoop", "QuotaCode": "concurrent-human-loops", "ServiceCode": "sagemaker"}
    # The same input under the first name is no further loop.
    acme.detect_moderation_labels(Image={"Bytes": media.picture("Weapons", 70)}, HumanLoopConfig=CONFIG)
