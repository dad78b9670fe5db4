"""Keys over their life: used, narrowed, closed; each change counts from the next request on, in every web process."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from django.core.management import call_command
from django.utils import timezone
from mypy_boto3_rekognition import RekognitionClient
from pytest_django.live_server_helper import LiveServer

from moderation.models import AccessKey, Account, IssuedKey, User
from tests import media
from tests.moderation.aws.conftest import ClientFor, WebServer, rekognition
from tests.moderation.aws.rekognition_world import CONFIG, FLOW, flow, refusal
from tests.world import ACME, World, issue

pytestmark = pytest.mark.django_db(transaction=True)

UNRECOGNIZED = "UnrecognizedClientException"


def codes(client: RekognitionClient, calls: int = 24) -> set[str]:
    """What so many calls over a few connections that stay open are told."""

    def call(_: int) -> str:
        try:
            client.detect_moderation_labels(Image={"Bytes": media.picture("Gambling")})
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return "fine"

    with ThreadPoolExecutor(6) as pool:
        return set(pool.map(call, range(calls)))


def warm(server: WebServer, issued: IssuedKey) -> RekognitionClient:
    """A client whose connections to both processes are open and have been used."""
    client = rekognition(server.url, issued, config=Config(retries={"max_attempts": 0}, max_pool_connections=6))
    assert codes(client) == {"fine"}
    return client


# --- at once ----------------------------------------------------------------------------------------------------------


def test_a_key_in_use_is_revoked_at_once(granian: WebServer, world: World) -> None:
    client = warm(granian, world.key)
    call_command("access_key", "revoke", world.key.key.key_id, stdout=StringIO())
    assert codes(client) == {UNRECOGNIZED}
    assert codes(rekognition(granian.url, world.admin_key), 2) == {"fine"}


def test_a_person_who_leaves_and_an_account_that_closes(granian: WebServer, world: World) -> None:
    client = warm(granian, world.uploader_key)
    User.objects.filter(pk=world.uploader.pk).update(is_active=False)
    assert codes(client) == {UNRECOGNIZED}
    User.objects.filter(pk=world.uploader.pk).update(is_active=True)
    assert codes(client) == {"fine"}
    Account.objects.filter(pk=ACME).update(is_active=False)
    assert codes(client) == {UNRECOGNIZED}


def test_a_person_with_another_role_and_a_key_with_another_policy(granian: WebServer, world: World) -> None:
    client = warm(granian, world.uploader_key)
    User.objects.filter(pk=world.uploader.pk).update(role=User.Role.REVIEWER)
    assert codes(client) == {"AccessDeniedException"}
    User.objects.filter(pk=world.uploader.pk).update(role=User.Role.UPLOADER)
    deny = {"Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}
    AccessKey.objects.filter(pk=world.uploader_key.key.pk).update(policy=deny)
    assert codes(client) == {"AccessDeniedException"}


# --- last use ---------------------------------------------------------------------------------------------------------


def test_the_last_use_is_shown(client_for: ClientFor, world: World) -> None:
    def last_use() -> str | None:
        out = StringIO()
        call_command("access_key", "list", "--account", ACME, "--json", stdout=out)
        [found] = [key for key in json.loads(out.getvalue()) if key["AccessKeyId"] == world.key.key.key_id]
        told: str | None = found["LastUsedAt"]
        return told

    assert last_use() is None
    assert refusal(client_for(world.key, secret="x" * 40), b"x")[0] == "InvalidSignatureException"
    assert last_use() is None  # who only knows the id has not used the key
    refusal(client_for(world.key), media.gif())
    told = last_use()
    assert told and timezone.now() - datetime.fromisoformat(told) < timedelta(minutes=1)


# --- resources --------------------------------------------------------------------------------------------------------


def test_a_policy_opens_one_flow_definition_and_no_other(client_for: ClientFor, world: World) -> None:
    made = flow(world.acme)
    policy = {
        "Statement": [
            {"Effect": "Allow", "Action": "rekognition:DetectModerationLabels", "Resource": "*"},
            {"Effect": "Allow", "Action": "sagemaker:StartHumanLoop", "Resource": FLOW},
        ]
    }
    client = client_for(issue(world.acme, policy=policy))
    data = media.picture("Weapons", 70)
    opened: Any = client.detect_moderation_labels(Image={"Bytes": data}, HumanLoopConfig=CONFIG)
    assert opened["HumanLoopActivationOutput"]["HumanLoopArn"]
    made.pk, made.name = None, "uncertain-too"
    made.save()
    other = {**CONFIG, "FlowDefinitionArn": made.arn}
    code, message = refusal(client, data, HumanLoopConfig=other)
    assert code == "AccessDeniedException"
    assert message.endswith(f"is not authorized to perform: sagemaker:StartHumanLoop on resource: {made.arn}")


def test_adapters_are_resources_too(client_for: ClientFor, world: World) -> None:
    arn = f"arn:aws:rekognition:us-east-1:{ACME}:project/ours/version/v1/1700000000000"
    statement = {"Effect": "Allow", "Action": "rekognition:Detect*", "Resource": arn.replace("v1", "*")}
    client = client_for(issue(world.acme, policy={"Statement": [statement]}))
    assert refusal(client, media.picture(), ProjectVersion=arn)[0] == "ResourceNotFoundException"
    theirs = arn.replace("ours", "theirs")
    assert refusal(client, media.picture(), ProjectVersion=theirs)[0] == "AccessDeniedException"
    assert refusal(client, media.picture())[0] == "AccessDeniedException"


# --- regions ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("region", "partition"), [("cn-north-1", "aws-cn"), ("eu-central-1", "aws"), ("us-gov-west-1", "aws-us-gov")]
)
def test_the_region_of_the_signature_is_that_of_the_resources(
    live_server: LiveServer, world: World, region: str, partition: str
) -> None:
    made = flow(world.acme, region=region)
    assert made.arn == f"arn:{partition}:sagemaker:{region}:{ACME}:flow-definition/uncertain"
    here = rekognition(live_server.url, world.key, region_name=region)
    config: Any = {**CONFIG, "FlowDefinitionArn": made.arn}
    answer = here.detect_moderation_labels(Image={"Bytes": media.picture("Weapons", 70)}, HumanLoopConfig=config)
    arn = answer["HumanLoopActivationOutput"]["HumanLoopArn"]
    assert arn == f"arn:{partition}:sagemaker:{region}:{ACME}:human-loop/loop-1"
    elsewhere = rekognition(live_server.url, world.key)
    assert refusal(elsewhere, media.picture(), HumanLoopConfig=config)[0] == "ResourceNotFoundException"
    denied = issue(world.acme, policy={"Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]})
    _, message = refusal(rekognition(live_server.url, denied, region_name=region), media.picture())
    assert message.startswith(f"User: arn:{partition}:iam::{ACME}:user/{denied.key.key_id} ")
