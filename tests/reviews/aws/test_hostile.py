"""Whatever is sent to an operation, signed as it should be: an answer in JSON, and never a fault of ours."""

import json
from collections.abc import Iterator
from copy import deepcopy
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
from reviews import loops
from reviews.aws import a2i, sagemaker
from reviews.loops import LoopInput
from reviews.models import HumanTaskUi, Tag
from tests.moderation.aws.clients import KEY_ID, SECRET, Sent, sign
from tests.reviews import loop_world
from tests.reviews.aws.cases import CASES
from tests.reviews.aws.clients import CONDITIONS, ROLE, arn
from tests.world import World

pytestmark = pytest.mark.django_db

NUMBERS = st.integers(-2, 101) | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
TIMES = st.sampled_from([0, -1, 1e12, 253402300799.9995, "9999-12-31T23:59:59.999999Z", "0001-01-01T00:00:00Z", "2026"])
# What gets past the first checks now and then, and what only looks as if it did.
TEXTS = st.sampled_from(
    [
        *("flow", "page", "crew", "old", "flow-team", "default", "loop", "new", "", "stop", "a--b", "-"),
        *(arn("flow-definition", "flow"), arn("human-task-ui", "page"), arn("workteam/private-crowd", "crew")),
        *(arn("workteam/private-crowd", "../crew"), arn("human-loop", "loop"), arn("workforce", "default")),
        *(arn("flow-definition", "a" * 900), arn("flow-definition", "old", "9" * 13), "arn:aws:sagemaker:::"),
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
    flow = loop_world.flow(world.acme, [world.reviewer], name="flow", request_source="")
    loop_world.team(world.acme, [world.lead], "crew")
    loops.start(flow, LoopInput("loop", "0" * 64, {}))
    HumanTaskUi.objects.create(account=world.acme, name="page", content="x", content_sha256="0" * 64)
    Tag.objects.put(world.acme, flow.arn, {"a": "b"})
    AccessKey.objects.create(account=world.acme, key_id=KEY_ID, secret=SECRET, name="fuzz", token_digest="0" * 64)


def answer(sent: Sent) -> HttpResponse:
    headers = {name.title(): value for name, value in sent.headers if name.lower() != "content-length"}
    kind = headers.pop("Content-Type", "")
    request = RequestFactory().generic(sent.method, sent.target, sent.body, headers=headers)
    request.META |= {"RAW_URI": sent.target, "CONTENT_TYPE": kind}
    return aws(request)


def check(sent: Sent) -> None:
    response = answer(sent)
    body = json.loads(response.content)
    assert response.status_code < 500, body
    if response.status_code != 200:
        assert body["__type"] == response["x-amzn-ErrorType"]


def signed(operation: str, members: Any) -> Sent:
    """The members as a client would send them, whatever they are."""
    if operation in sagemaker.OPERATIONS:
        headers = {"X-Amz-Target": f"SageMaker.{operation}", "Content-Type": "application/x-amz-json-1.1"}
        return sign("POST", "/", headers, json.dumps(members).encode())
    model: Any = load_model("sagemaker-a2i-runtime").operation_model(operation)
    method, path = model.http["method"], model.http["requestUri"]
    fields = members if isinstance(members, dict) else {}
    located = {name for name, member in model.input_shape.members.items() if member.serialization.get("location")}
    texts = {name: str(fields[name]).encode("utf-8", "surrogatepass") for name in located & fields.keys()}
    path = path.replace("{HumanLoopName}", quote(texts.get("HumanLoopName", b""), safe="") or "x")
    if method == "GET" and texts:
        path += f"?{urlencode(texts)}"
    body = json.dumps(members).encode() if method == "POST" else b""
    return sign(method, path, {"Content-Type": "application/json"}, body)


many = hypothesis_settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None, max_examples=40
)


@pytest.mark.parametrize("operation", [*sagemaker.OPERATIONS, *a2i.OPERATIONS])
def test_requests_of_about_the_right_form(operation):
    service = "sagemaker" if operation in sagemaker.OPERATIONS else "sagemaker-a2i-runtime"
    shape = load_model(service).operation_model(operation).input_shape
    assert shape is not None

    @many
    @given(values(shape))
    def attack(members: Any) -> None:
        check(signed(operation, members))

    attack()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.operation)
def test_one_wrong_thing_in_a_right_request(case):
    @many
    @given(st.sampled_from(list(places(case.members)) or [("Other",)]).flatmap(lambda at: wrong(case.members, at)))
    def attack(change: tuple[tuple[Any, ...], Any]) -> None:
        members = deepcopy(case.members)
        put(members, *change)
        check(signed(case.operation, members))

    attack()


def wrong(members: Any, place: tuple[Any, ...]) -> st.SearchStrategy[tuple[tuple[Any, ...], Any]]:
    """The place, and what to put there: mostly of the type that stands there."""
    for key in place:
        members = members[key] if key != "Other" else None
    alike = TEXTS if isinstance(members, str) else NUMBERS if isinstance(members, int) else ANYTHING
    return st.tuples(st.just(place), alike | alike | ANYTHING)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The ways to everything inside a request."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield (*path, key)
        yield from places(item, (*path, key))


def put(members: Any, place: tuple[Any, ...], value: Any) -> None:
    """Set what is at that place."""
    for key in place[:-1]:
        members = members[key]
    members[place[-1]] = value
