"""Whatever is sent to Rekognition's operations, signed as it should be: an answer in JSON, never a fault of ours."""

import json
from base64 import b64encode
from typing import Any

import pytest
from django.test import RequestFactory
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from moderation import storage
from moderation.aws.errors import COMMON_CODES
from moderation.models import AccessKey, Submission
from moderation.urls import aws
from tests import media
from tests.moderation.aws.clients import KEY_ID, SECRET, sign
from tests.moderation.aws.rekognition_world import FLOW, errors_of, flow
from tests.world import ACME, World

pytestmark = pytest.mark.django_db

PROJECT = f"arn:aws:rekognition:us-east-1:{ACME}:project/p/1700000000000"
VERSION = f"arn:aws:rekognition:us-east-1:{ACME}:project/p/version/v/1700000000000"

TEXTS = st.sampled_from(
    [
        *("photos", "a.jpg", "none", "", "..", "../photos/a.jpg", "a/", "a//b", "x" * 1024, "é😀" * 100, "a\nb", "\0"),
        *("loop-1", "Loop_1", "a--b", "stop", "\ud800", "null", storage.media_bucket(), f"blobs/{ACME}/x"),
        *(FLOW, FLOW.replace("us-east-1", "x"), FLOW + "/", PROJECT, VERSION, "arn:aws:rekognition:::", "x" * 2049),
        *("FreeOfAdultContent", "aws:x", "team"),
    ]
) | st.text(max_size=40)
BYTES = st.sampled_from(
    [
        b64encode(data).decode()
        for data in (media.picture("Weapons", 70), media.gif(), media.tiny(), media.truncated(), b"", b"\xff\xd8")
    ]
    + ["====", "abc", "a b", "é"]
)
NUMBERS = st.floats() | st.integers() | st.sampled_from([0, 50, 100, -1, 101, 1e400])
ANYTHING = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


def mostly(right: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Of the right type, now and then anything at all."""
    return st.integers(0, 14).flatmap(lambda number: ANYTHING if number == 0 else right)


S3_OBJECT = st.fixed_dictionaries({}, optional={name: mostly(TEXTS) for name in ("Bucket", "Name", "Version")})
CONFIG = st.fixed_dictionaries(
    {"HumanLoopName": mostly(TEXTS), "FlowDefinitionArn": mostly(TEXTS)},
    optional={"DataAttributes": mostly(st.fixed_dictionaries({"ContentClassifiers": st.lists(TEXTS, max_size=3)}))},
)
DETECT = st.fixed_dictionaries(
    {"Image": mostly(st.fixed_dictionaries({"Bytes": BYTES}) | st.fixed_dictionaries({"S3Object": S3_OBJECT}))},
    optional={"MinConfidence": mostly(NUMBERS), "HumanLoopConfig": mostly(CONFIG), "ProjectVersion": mostly(TEXTS)},
)
ARN = {"ResourceArn": mostly(TEXTS)}
REQUESTS = {
    "DetectModerationLabels": DETECT,
    "TagResource": st.fixed_dictionaries({**ARN, "Tags": mostly(st.dictionaries(TEXTS, TEXTS, max_size=3))}),
    "UntagResource": st.fixed_dictionaries({**ARN, "TagKeys": mostly(st.lists(TEXTS, max_size=3))}),
    "ListTagsForResource": st.fixed_dictionaries(ARN),
}


@pytest.fixture(autouse=True)
def scene(world: World) -> None:
    """Things that a text may hit on, and the key that all this is signed with."""
    storage.make_bucket(world.acme, "photos")
    storage.write(world.acme, "s3://photos/a.jpg", media.picture("Weapons", 70))
    flow(world.acme)
    AccessKey.objects.create(account=world.acme, key_id=KEY_ID, secret=SECRET, name="fuzz", token_digest="0" * 64)


def check(operation: str, members: Any) -> int:
    """The status of the answer, which is JSON and, where it is an error, one that the model allows."""
    body = json.dumps(members).encode()
    target = {"X-Amz-Target": f"RekognitionService.{operation}", "Content-Type": "application/x-amz-json-1.1"}
    sent = sign("POST", "/", target, body, "rekognition")
    headers = {name.title(): value for name, value in sent.headers if name not in ("Content-Type", "Content-Length")}
    response = aws(RequestFactory().generic("POST", "/", body, target["Content-Type"], headers=headers, RAW_URI="/"))
    answer = json.loads(response.content)
    assert response.status_code < 500, (members, answer)
    if response.status_code != 200:
        assert answer["__type"] == response["x-amzn-ErrorType"]
        assert answer["__type"] in COMMON_CODES | errors_of(operation)
    return response.status_code


@pytest.mark.parametrize("operation", REQUESTS)
def test_requests_of_about_the_right_form(operation: str) -> None:
    @hypothesis_settings(
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
        deadline=None,
        max_examples=150,
    )
    @given(REQUESTS[operation])
    def run(members: Any) -> None:
        check(operation, members)

    run()


def test_the_scene_can_be_hit() -> None:
    where = {"S3Object": {"Bucket": "photos", "Name": "a.jpg"}}
    config = {"HumanLoopName": "loop-1", "FlowDefinitionArn": FLOW}
    assert check("DetectModerationLabels", {"Image": where, "HumanLoopConfig": config}) == 200
    assert Submission.objects.count() == 1
