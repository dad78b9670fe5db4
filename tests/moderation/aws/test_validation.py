"""Constraint sentences, word for word, and patterns written for Java."""

import time
from typing import Any

import pytest
from botocore.model import ListShape, MapShape, StructureShape

from moderation.aws import protocol, validation
from moderation.aws.errors import AwsError


def sentences(service, operation, members):
    """The sentences told about these (converted) members."""
    shape: Any = protocol.load_model(service).operation_model(operation).input_shape
    try:
        validation.check(shape, members)
    except AwsError as error:
        assert error.code == "ValidationException"
        return error.message
    return ""


def detect(**members):
    return sentences("rekognition", "DetectModerationLabels", members)


def test_a_sound_request():
    assert detect(Image={"Bytes": b"x"}, MinConfidence=0.0) == ""
    assert detect(Image={"Bytes": b"x" * 5_242_880}, MinConfidence=100.0) == ""


@pytest.mark.parametrize(
    ("members", "message"),
    [
        (
            {},
            "1 validation error detected: Value null at 'image' failed to satisfy constraint: Member must not be null",
        ),
        (
            {"Image": {"Bytes": b""}},
            "1 validation error detected: Value 'java.nio.HeapByteBuffer[pos=0 lim=0 cap=0]' at 'image.bytes' failed "
            "to satisfy constraint: Member must have length greater than or equal to 1",
        ),
        (
            {"Image": {"Bytes": bytes(5_242_881)}},
            "1 validation error detected: Value 'java.nio.HeapByteBuffer[pos=0 lim=5242881 cap=5242881]' at "
            "'image.bytes' failed to satisfy constraint: Member must have length less than or equal to 5242880",
        ),
        (
            {"Image": {"Bytes": b"x"}, "MinConfidence": 101.0},
            "1 validation error detected: Value '101.0' at 'minConfidence' failed to satisfy constraint: "
            "Member must have value less than or equal to 100",
        ),
        (
            {"Image": {"Bytes": b"x"}, "MinConfidence": -1.0},
            "1 validation error detected: Value '-1.0' at 'minConfidence' failed to satisfy constraint: "
            "Member must have value greater than or equal to 0",
        ),
        (
            {"Image": {"S3Object": {"Bucket": "a b", "Name": ""}}},
            "2 validation errors detected: Value 'a b' at 'image.s3Object.bucket' failed to satisfy constraint: "
            "Member must satisfy regular expression pattern: [0-9A-Za-z\\.\\-_]*; Value '' at 'image.s3Object.name' "
            "failed to satisfy constraint: Member must have length greater than or equal to 1",
        ),
        (
            {"Image": {"Bytes": b"x"}, "HumanLoopConfig": {"HumanLoopName": "A_b"}},
            "2 validation errors detected: Value 'A_b' at 'humanLoopConfig.humanLoopName' failed to satisfy "
            "constraint: Member must satisfy regular expression pattern: ^[a-z0-9](-*[a-z0-9])*; Value null at "
            "'humanLoopConfig.flowDefinitionArn' failed to satisfy constraint: Member must not be null",
        ),
        (
            {
                "Image": {"Bytes": b"x"},
                "HumanLoopConfig": {
                    "HumanLoopName": "a",
                    "FlowDefinitionArn": "f",
                    "DataAttributes": {"ContentClassifiers": ["Free", "Other"]},
                },
            },
            "1 validation error detected: Value '[Free, Other]' at 'humanLoopConfig.dataAttributes.contentClassifiers' "
            "failed to satisfy constraint: Member must satisfy constraint: [Member must satisfy enum value set: "
            "[FreeOfPersonallyIdentifiableInformation, FreeOfAdultContent]]",
        ),
    ],
)
def test_each_sentence(members, message):
    assert sentences("rekognition", "DetectModerationLabels", members) == message


def test_the_work_team_sentence_that_users_report():
    config = {
        "WorkteamArn": "team",
        "HumanTaskUiArn": "arn:aws:sagemaker:us-east-1:123456789012:human-task-ui/ui",
        "TaskTitle": "t",
        "TaskDescription": "d",
        "TaskCount": 4,
    }
    message = sentences("sagemaker", "CreateFlowDefinition", {"HumanLoopConfig": config})
    assert (
        "Value 'team' at 'humanLoopConfig.workteamArn' failed to satisfy constraint: Member must satisfy regular"
        in message
    )
    assert (
        "Value '4' at 'humanLoopConfig.taskCount' failed to satisfy constraint: Member must have value less" in message
    )
    assert "Value null at 'outputConfig' failed" in message


def test_members_of_lists_and_maps():
    tags = [{"Key": "good", "Value": "v"}, {"Key": "", "Value": "v"}]
    message = sentences("sagemaker", "AddTags", {"ResourceArn": "arn:aws:x", "Tags": tags})
    assert "Value '' at 'tags.2.member.key' failed to satisfy constraint: Member must have length greater" in message
    arn = "arn:aws:rekognition:us-east-1:123456789012:project/p/1"
    bad_keys = sentences("rekognition", "TagResource", {"ResourceArn": arn, "Tags": {"aws:x": "v"}})
    assert "Value '{aws:x=v}' at 'tags' failed to satisfy constraint: Map keys must satisfy constraint: [" in bad_keys
    bad_values = sentences("rekognition", "TagResource", {"ResourceArn": arn, "Tags": {"k": "v;"}})
    assert "Value 'v;' at 'tags.k.member' failed to satisfy constraint" in bad_values


def test_letters_of_every_script_fit_the_unicode_classes():
    arn = "arn:aws:rekognition:us-east-1:123456789012:project/p/1"
    assert sentences("rekognition", "TagResource", {"ResourceArn": arn, "Tags": {"Größe": "雪 5 \U00020000"}}) == ""
    assert sentences("rekognition", "TagResource", {"ResourceArn": arn, "Tags": {"a": "\U0001f600"}}) != ""


def test_a_pattern_is_for_the_whole_text_and_ascii():
    assert "pattern" in detect(
        Image={"Bytes": b"x"}, HumanLoopConfig={"HumanLoopName": "ab\n", "FlowDefinitionArn": "f"}
    )
    version = "arn:aws:rekognition:us-east-1:{}:project/p/version/v/1"
    assert detect(Image={"Bytes": b"x"}, ProjectVersion=version.format("123456789012")) == ""
    assert "projectVersion" in detect(Image={"Bytes": b"x"}, ProjectVersion=version.format("\u0661" * 12))


def test_nul_is_refused_everywhere():
    assert "'image.s3Object.name'" in detect(Image={"S3Object": {"Bucket": "abc", "Name": "a\0b"}})


def test_a_union_holds_exactly_one_member():
    shape = StructureShape("U", {"type": "structure", "members": {}, "union": True})
    with pytest.raises(AwsError, match="Member must have exactly one of its members set"):
        validation.check(shape, {})


def test_secrets_are_not_repeated():
    message = sentences(
        "sagemaker",
        "CreateWorkforce",
        {
            "WorkforceName": "w",
            "OidcConfig": {"ClientSecret": "", "ClientId": "c", "Issuer": "https://i"},
        },
    )
    assert "Value at 'oidcConfig.clientSecret' failed to satisfy constraint: Member must have length greater" in message


def test_a_long_value_is_cut_and_a_long_list_of_errors_too():
    message = detect(Image={"Bytes": b"x"}, ProjectVersion="x" * 100_000)
    assert len(message) < 1000
    tags = [{"Key": "", "Value": "v"}] * 50
    message = sentences("sagemaker", "AddTags", {"ResourceArn": "arn:aws:x", "Tags": tags})
    assert message.startswith("20 validation errors detected: ")


OFFERED = {
    "rekognition": (
        "DetectModerationLabels TagResource UntagResource ListTagsForResource StartContentModeration "
        "GetContentModeration StartMediaAnalysisJob CreateProject CreateProjectVersion"
    ),
    "sagemaker": (
        "CreateFlowDefinition CreateHumanTaskUi CreateWorkteam UpdateWorkteam UpdateWorkforce ListFlowDefinitions "
        "AddTags DeleteTags ListTags RenderUiTemplate"
    ),
    "sagemaker-a2i-runtime": "StartHumanLoop DescribeHumanLoop ListHumanLoops StopHumanLoop",
}


def shapes_below(shape):
    yield shape
    inner = {StructureShape: lambda: shape.members.values(), ListShape: lambda: [shape.member]}
    inner[MapShape] = lambda: [shape.key, shape.value]
    for member in inner.get(type(shape), lambda: [])():
        yield from shapes_below(member)


def patterns():
    for service, operations in OFFERED.items():
        for operation in operations.split():
            for shape in shapes_below(protocol.load_model(service).operation_model(operation).input_shape):
                if pattern := shape.metadata.get("pattern"):
                    yield pattern, min(shape.metadata.get("max", validation.MAX_PATTERN_INPUT), 200_000)


@pytest.mark.parametrize(("pattern", "longest"), sorted(set(patterns())))
def test_no_pattern_is_lost_or_slow(pattern, longest):
    compiled = validation.compile_pattern(pattern)
    assert compiled is not None
    start = time.perf_counter()
    for seed in ("a", "-", "a-", "arn:aws:sns:" + ":aaaaaaaaaaaa" * 9, "s3://a/", " ", "a b", "0", "."):
        compiled.fullmatch((seed * (longest // len(seed) + 1))[: longest - 1] + "\n")
    assert time.perf_counter() - start < 1
