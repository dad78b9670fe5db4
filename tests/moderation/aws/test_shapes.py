"""Values between JSON and Python."""

import base64
import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from botocore.model import StructureShape
from hypothesis import given
from hypothesis import strategies as st

from moderation.aws import protocol, shapes
from moderation.aws.errors import AwsError
from moderation.aws.shapes import AnswerError


def shape_of(service: str, name: str) -> StructureShape:
    shape = protocol.load_model(service).shape_for(name)
    assert isinstance(shape, StructureShape)
    return shape


DETECT = shape_of("rekognition", "DetectModerationLabelsRequest")
DETECTED = shape_of("rekognition", "DetectModerationLabelsResponse")
MARCH = datetime(2026, 3, 1, 12, 0, 0, 500_000, UTC)


def refused(shape, raw):
    with pytest.raises(AwsError) as caught:
        shapes.read(shape, raw)
    assert caught.value.code == "SerializationException"
    return caught.value.message


# --- reading ----------------------------------------------------------------------------------------------------------


def test_known_members_are_converted_and_the_rest_is_ignored():
    raw = {"Image": {"Bytes": base64.b64encode(b"\xff\0picture").decode(), "New": 1}, "MinConfidence": 50, "Other": {}}
    assert shapes.read(DETECT, raw) == {"Image": {"Bytes": b"\xff\0picture"}, "MinConfidence": 50.0}


def test_null_is_absence():
    raw = {"Image": {"Bytes": None, "S3Object": None}, "MinConfidence": None}
    assert shapes.read(DETECT, raw) == {"Image": {}}
    tags = shape_of("rekognition", "TagResourceRequest")
    assert shapes.read(tags, {"Tags": {"a": None, "b": "c"}}) == {"Tags": {"b": "c"}}


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"Image": []}, "START_ARRAY can not be converted to a structure at 'image'"),
        ({"Image": "x"}, "STRING_VALUE can not be converted to a structure at 'image'"),
        ({"Image": {"Bytes": 5}}, "NUMBER_VALUE can not be converted to Blob at 'image.bytes'"),
        ({"Image": {"Bytes": "%%%%"}}, "The value at 'image.bytes' is not valid base64"),
        ({"Image": {"Bytes": "YWJj\nYWJj"}}, "The value at 'image.bytes' is not valid base64"),
        ({"Image": {"Bytes": "YWJ"}}, "The value at 'image.bytes' is not valid base64"),
        ({"Image": {"Bytes": "bü=="}}, "The value at 'image.bytes' is not valid base64"),
        ({"MinConfidence": "50"}, "STRING_VALUE can not be converted to Float at 'minConfidence'"),
        ({"MinConfidence": True}, "BOOLEAN_VALUE can not be converted to Float at 'minConfidence'"),
        ({"MinConfidence": 10**400}, "NUMBER_VALUE can not be converted to Float at 'minConfidence'"),
        ({"MinConfidence": float("inf")}, "NUMBER_VALUE can not be converted to Float at 'minConfidence'"),
        ({"ProjectVersion": 1}, "NUMBER_VALUE can not be converted to String at 'projectVersion'"),
        ({"ProjectVersion": {}}, "START_OBJECT can not be converted to String at 'projectVersion'"),
        ({"ProjectVersion": "\ud800"}, "The text at 'projectVersion' holds half of a surrogate pair"),
        (
            {"HumanLoopConfig": {"DataAttributes": {"ContentClassifiers": "x"}}},
            "STRING_VALUE can not be converted to a list at 'humanLoopConfig.dataAttributes.contentClassifiers'",
        ),
        (
            {"HumanLoopConfig": {"DataAttributes": {"ContentClassifiers": [None]}}},
            "NULL_VALUE can not be converted to a list member at "
            "'humanLoopConfig.dataAttributes.contentClassifiers.1.member'",
        ),
    ],
)
def test_a_wrong_type_names_the_member(raw, message):
    assert refused(DETECT, raw) == message


def test_integers_keep_their_range():
    shape = shape_of("rekognition", "GetContentModerationRequest")
    assert shapes.read(shape, {"MaxResults": 10.0}) == {"MaxResults": 10}
    for wrong in (1.5, 2**31, -(2**31) - 1, 1e300, "1", True):
        assert "can not be converted to Integer at 'maxResults'" in refused(shape, {"MaxResults": wrong})


def test_a_map_needs_text_without_half_surrogates_as_keys():
    tags = shape_of("rekognition", "TagResourceRequest")
    assert "surrogate" in refused(tags, {"Tags": {"\udfff": "x"}})
    assert "a map" in refused(tags, {"Tags": []})


@pytest.mark.parametrize(
    "raw",
    [1772366400.5, "2026-03-01T12:00:00.500Z", "2026-03-01T13:00:00.500+01:00", "2026-03-01T12:00:00.500"],
)
def test_timestamps(raw):
    shape = shape_of("sagemaker", "ListFlowDefinitionsRequest")
    assert shapes.read(shape, {"CreationTimeAfter": raw}) == {"CreationTimeAfter": MARCH}


@pytest.mark.parametrize("raw", [1e300, "yesterday", "", True, [], {}, -1e15, "0001-01-01T00:00:00+14:00"])
def test_what_is_no_timestamp(raw):
    shape = shape_of("sagemaker", "ListFlowDefinitionsRequest")
    assert "can not be converted to Timestamp at 'creationTimeAfter'" in refused(shape, {"CreationTimeAfter": raw})


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"{'a': 1}",
        b"\xff\xfe{\0}\0",
        b'{"a": "\xff"}',
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": ' + b"9" * 10_000 + b"}",
        b'{"a": ' + b"[" * 200_000 + b"]" * 200_000 + b"}",
        b"<html>",
        b"MinConfidence=5",
        b"\0",
    ],
)
def test_what_is_no_json_object(body):
    with pytest.raises(AwsError) as caught:
        shapes.parse_body(body)
    assert caught.value.code == "SerializationException"


def test_an_empty_body_is_an_empty_object():
    assert shapes.parse_body(b"") == shapes.parse_body(b" \n") == shapes.parse_body(b"{}") == {}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["Image", "Bytes", "S3Object", "MinConfidence", "HumanLoopConfig", "DataAttributes", "Tags"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from([*DETECT.members, "Other"]), json_values))
def test_no_json_does_harm(raw):
    try:
        shapes.read(DETECT, json.loads(json.dumps(raw)))
    except AwsError as error:
        assert error.code == "SerializationException"


# --- writing ----------------------------------------------------------------------------------------------------------


def test_floats_look_like_32_bit_ones_and_none_is_left_out():
    label = {"Name": "Weapons", "Confidence": 99.44782257, "ParentName": "", "TaxonomyLevel": 2}
    written = shapes.write(DETECTED, {"ModerationLabels": [label], "ProjectVersion": None, "ContentTypes": ()})
    assert written == {"ModerationLabels": [label | {"Confidence": 99.44782257080078}], "ContentTypes": []}


def test_timestamps_are_numbers_in_json_and_texts_in_the_a2i_runtime():
    describe = shape_of("sagemaker", "DescribeFlowDefinitionResponse").members["CreationTime"]
    assert shapes.write_value(describe, MARCH, "") == 1772366400.5
    loop = shape_of("sagemaker-a2i-runtime", "DescribeHumanLoopResponse").members["CreationTime"]
    assert shapes.write_value(loop, MARCH, "") == "2026-03-01T12:00:00.500Z"
    elsewhere = MARCH.astimezone(timezone(timedelta(hours=5)))
    assert shapes.write_value(loop, elsewhere, "") == "2026-03-01T12:00:00.500Z"


def test_maps_blobs_and_the_rest():
    tags = shape_of("rekognition", "ListTagsForResourceResponse")
    assert shapes.write(tags, {"Tags": {"a": "b"}}) == {"Tags": {"a": "b"}}
    changes = shape_of("rekognition", "DatasetChanges")
    assert shapes.write(changes, {"GroundTruth": b"abc"}) == {"GroundTruth": "YWJj"}
    deleted = shape_of("sagemaker", "DeleteWorkteamResponse")
    assert shapes.write(deleted, {"Success": True}) == {"Success": True}


@pytest.mark.parametrize(
    "answer",
    [
        {"Labels": []},
        {"ModerationLabels": {}},
        {"ModerationLabels": ["Weapons"]},
        {"ModerationLabels": [{"Confidence": float("nan")}]},
        {"ModerationLabels": [{"Confidence": "99"}]},
        {"ModerationLabels": [{"Confidence": 99.0, "Surprise": 1}]},
        {"ModerationLabels": [{"TaxonomyLevel": 1.0}]},
        {"ModerationLabels": [{"TaxonomyLevel": True}]},
        {"ModerationModelVersion": 7},
    ],
)
def test_an_answer_that_does_not_fit_the_model_is_a_fault(answer):
    with pytest.raises(AnswerError):
        shapes.write(DETECTED, answer)


def test_a_required_member_must_be_there_and_a_timestamp_needs_its_zone():
    with pytest.raises(AnswerError, match="requires FlowDefinitionArn"):
        shapes.write(shape_of("sagemaker", "CreateFlowDefinitionResponse"), {})
    loop = shape_of("sagemaker-a2i-runtime", "DescribeHumanLoopResponse").members["CreationTime"]
    with pytest.raises(AnswerError):
        shapes.write_value(loop, MARCH.replace(tzinfo=None), "")
