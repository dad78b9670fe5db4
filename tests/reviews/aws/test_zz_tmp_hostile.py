"""Whatever is sent to an operation, signed as it should be: an answer in JSON, and never a fault of ours."""

import json
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from botocore.model import ListShape, MapShape, Shape, StructureShape
from django.http import HttpResponse
from django.test import RequestFactory
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from moderation import storage
from moderation.aws.protocol import load_model
from moderation.models import AccessKey
from moderation.urls import aws
from reviews.aws import a2i, sagemaker
from reviews.models import HumanTaskUi, Tag
from tests.moderation.aws.clients import KEY_ID, SECRET, Sent, sign
from tests.reviews import loop_world
from tests.reviews.aws.clients import CONDITIONS, ROLE, arn
from tests.world import World

pytestmark = pytest.mark.django_db

NUMBERS = st.integers(-2, 101) | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
TIMES = st.sampled_from([0, -1, 1e12, 253402300799.9995, "9999-12-31T23:59:59.999999Z", "0001-01-01T00:00:00Z", "2026"])
# What gets past the first checks now and then, and what only looks as if it did.
TEXTS = st.sampled_from(
    [
        *("flow", "page", "crew", "by-hand", "by-hand-team", "default", "loop", "new", "", "stop", "a--b", "-"),
        *(arn("flow-definition", "by-hand"), arn("human-task-ui", "page"), arn("workteam/private-crowd", "crew")),
        *(arn("workteam/private-crowd", "../crew"), arn("human-loop", "loop"), arn("workforce", "default")),
        *(arn("flow-definition", "a" * 900), arn("flow-definition", "by-hand", "9" * 13), "arn:aws:sagemaker:::"),
        *(ROLE, CONDITIONS, "s3://answers/out", "s3://answers/\n", "https://answers.s3.amazonaws.com/x", "s3:///"),
        *('{"Conditions": [{"Or": []}]}', '{"a": "\\u0000"}', '{"a": 1e999}', "{}", "[" * 500 + "]" * 500),
        *(
            "reviewer",
            "lead",
            "aws:tag",
            "Name",
            "CreateDate",
            "Ascending",
            "Enabled",
            "\0",
            "\ud800",
            "é😀",
            "x" * 5000,
        ),
    ]
) | st.text(max_size=30)
ANYTHING = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def values(shape: Shape) -> st.SearchStrategy[Any]:
    """Mostly of the right type; now and then anything at all."""
    right: st.SearchStrategy[Any]
    if isinstance(shape, StructureShape):
        required = {name: values(shape.members[name]) for name in shape.required_members}
        others = {name: values(member) for name, member in shape.members.items() if name not in required}
        right = st.fixed_dictionaries(required, optional=others)
    elif isinstance(shape, ListShape):
        right = st.lists(values(shape.member), max_size=3)
    elif isinstance(shape, MapShape):
        right = st.dictionaries(TEXTS, values(shape.value), max_size=3)
    elif shape.type_name in ("integer", "long", "float", "double"):
        right = NUMBERS
    elif shape.type_name == "timestamp":
        right = TIMES | NUMBERS
    elif shape.type_name == "boolean":
        right = st.booleans()
    else:
        known = st.sampled_from(shape.metadata["enum"]) if "enum" in shape.metadata else TEXTS
        right = known | TEXTS
    return st.integers(0, 19).flatmap(lambda number: ANYTHING if number == 0 else right)


@pytest.fixture(autouse=True)
def scene(world: World) -> None:
    """Things that a text may hit on, and the key that all this is signed with."""
    storage.make_bucket(world.acme, "answers")
    flow = loop_world.flow(world.acme, [world.reviewer], name="by-hand", request_source="")
    loop_world.team(world.acme, [world.lead], "crew")
    HumanTaskUi.objects.create(account=world.acme, name="page", content="x", content_sha256="0" * 64)
    Tag.objects.put(world.acme, flow.arn, {"a": "b"})
    AccessKey.objects.create(account=world.acme, key_id=KEY_ID, secret=SECRET, name="fuzz", token_digest="0" * 64)


def answer(sent: Sent) -> HttpResponse:
    headers = {name.title(): value for name, value in sent.headers if name.lower() != "content-length"}
    kind = headers.pop("Content-Type", "")
    request = RequestFactory().generic(sent.method, sent.target, sent.body, headers=headers)
    request.META |= {"RAW_URI": sent.target, "CONTENT_TYPE": kind}
    return aws(request)


import collections, atexit
SEEN = collections.Counter()
atexit.register(lambda: print(sorted(SEEN.items())))
def check(sent: Sent) -> None:
    response = answer(sent)
    body = json.loads(response.content); SEEN[(sent.header("X-Amz-Target") or sent.method+sent.target[:16], response.status_code, body.get("__type","OK"))]+=1
    assert response.status_code < 500, body
    if response.status_code != 200:
        assert body["__type"] == response["x-amzn-ErrorType"]


@pytest.mark.parametrize("operation", sagemaker.OPERATIONS)
def test_the_control_plane(operation):
    shape = load_model("sagemaker").operation_model(operation).input_shape
    assert shape is not None
    headers = {"X-Amz-Target": f"SageMaker.{operation}", "Content-Type": "application/x-amz-json-1.1"}

    @hypothesis_settings(
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
        deadline=None,
        max_examples=400,
    )
    @given(values(shape))
    def attack(members: Any) -> None:
        check(sign("POST", "/", headers, json.dumps(members).encode()))

    attack()


@pytest.mark.parametrize("operation", a2i.OPERATIONS)
def test_the_runtime(operation):
    model = load_model("sagemaker-a2i-runtime").operation_model(operation)
    shape = model.input_shape
    assert shape is not None
    located = {name for name, member in shape.members.items() if member.serialization.get("location")}

    @hypothesis_settings(
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
        deadline=None,
        max_examples=400,
    )
    @given(values(shape))
    def attack(members: Any) -> None:
        fields = members if isinstance(members, dict) else {}
        name = quote(str(fields.get("HumanLoopName")).encode("utf-8", "surrogatepass"), safe="")
        query = {key: str(fields[key]).encode("utf-8", "surrogatepass") for key in located & fields.keys()}
        path = model.http["requestUri"].replace("{HumanLoopName}", name or "x")
        target = f"{path}?{urlencode(query)}" if query and model.http["method"] == "GET" else path
        body = b"" if model.http["method"] != "POST" else json.dumps(members).encode()
        check(sign(model.http["method"], target, {"Content-Type": "application/json"}, body))

    attack()
