"""What boto3 sends is understood, what we answer is understood by boto3, and every error has its form."""

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.parsers import create_parser
from hypothesis import given
from hypothesis import strategies as st

from moderation.aws import protocol
from moderation.aws.errors import COMMON_CODES, AwsError
from moderation.aws.protocol import A2I_RUNTIME, REKOGNITION, SAGEMAKER, Caller, Service, route
from moderation.models import User
from tests.moderation.aws.clients import Sent, parse, send

ACCOUNT = "123456789012"
FLOW = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:flow-definition/uncertain"


def nothing(caller: Caller, request: dict[str, object]) -> dict[str, object]:
    return {}


LOOPS = ("StartHumanLoop", "DescribeHumanLoop", "ListHumanLoops", "StopHumanLoop", "DeleteHumanLoop")
SERVICES = {
    REKOGNITION: Service.load(REKOGNITION, {"DetectModerationLabels": nothing}),
    SAGEMAKER: Service.load(SAGEMAKER, dict.fromkeys(("CreateFlowDefinition", "ListFlowDefinitions"), nothing)),
    A2I_RUNTIME: Service.load(A2I_RUNTIME, dict.fromkeys(LOOPS, nothing)),
}


def call_of(sent: Sent) -> protocol.Call:
    return route(SERVICES, sent.method, sent.target, sent.header("X-Amz-Target"))


def understood(service: str, operation: str, **members: Any) -> tuple[str, dict[str, object]]:
    sent = send(service, operation, **members)
    call = call_of(sent)
    assert call.service.name == service
    return call.action, call.read(sent.body)


# --- requests ---------------------------------------------------------------------------------------------------------


def test_rekognition():
    config = {
        "HumanLoopName": "loop-1",
        "FlowDefinitionArn": FLOW,
        "DataAttributes": {"ContentClassifiers": ["FreeOfAdultContent"]},
    }
    members: dict[str, object] = {
        "Image": {"Bytes": b"\xff\xd8\xff"},
        "MinConfidence": 12.5,
        "HumanLoopConfig": config,
    }
    expected = ("rekognition:DetectModerationLabels", members)
    assert understood("rekognition", "detect_moderation_labels", **members) == expected


def test_sagemaker():
    members: dict[str, object] = {
        "FlowDefinitionName": "uncertain",
        "HumanLoopRequestSource": {
            "AwsManagedHumanLoopRequestSource": "AWS/Rekognition/DetectModerationLabels/Image/V3"
        },
        "HumanLoopActivationConfig": {
            "HumanLoopActivationConditionsConfig": {"HumanLoopActivationConditions": '{"Conditions":[]}'}
        },
        "HumanLoopConfig": {
            "WorkteamArn": f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:workteam/private-crowd/team",
            "HumanTaskUiArn": f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:human-task-ui/ui",
            "TaskTitle": "Look",
            "TaskDescription": "Is it as the labels say?",
            "TaskCount": 2,
            "TaskKeywords": ["a b", "c"],
        },
        "OutputConfig": {"S3OutputPath": "s3://bucket/path"},
        "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/a2i",
        "Tags": [{"Key": "größe", "Value": "雪"}],
    }
    expected = ("sagemaker:CreateFlowDefinition", members)
    assert understood("sagemaker", "create_flow_definition", **members) == expected
    since = datetime(2026, 1, 31, tzinfo=UTC)
    action, request = understood("sagemaker", "list_flow_definitions", CreationTimeAfter=since, MaxResults=7)
    assert (action, request) == ("sagemaker:ListFlowDefinitions", {"CreationTimeAfter": since, "MaxResults": 7})


def test_the_a2i_runtime():
    def loops(operation: str, **members: object) -> tuple[str, dict[str, object]]:
        return understood("sagemaker-a2i-runtime", operation, **members)

    start: dict[str, object] = {
        "HumanLoopName": "loop-1",
        "FlowDefinitionArn": FLOW,
        "HumanLoopInput": {"InputContent": '{"a": "\\u0000"}'},
        "DataAttributes": {"ContentClassifiers": ["FreeOfAdultContent"]},
    }
    name = {"HumanLoopName": "loop-1"}
    assert loops("start_human_loop", **start) == ("sagemaker:StartHumanLoop", start)
    assert loops("stop_human_loop", **name) == ("sagemaker:StopHumanLoop", name)
    assert loops("describe_human_loop", **name) == ("sagemaker:DescribeHumanLoop", name)
    assert loops("delete_human_loop", **name) == ("sagemaker:DeleteHumanLoop", name)
    everything: dict[str, object] = {
        "FlowDefinitionArn": FLOW,
        "CreationTimeAfter": datetime(2026, 1, 31, tzinfo=UTC),
        "CreationTimeBefore": datetime(2026, 2, 28, 23, 59, 59, tzinfo=UTC),
        "SortOrder": "Descending",
        "NextToken": "a=b&c/d+e %2F",
        "MaxResults": 100,
    }
    assert loops("list_human_loops", **everything) == ("sagemaker:ListHumanLoops", everything)


def test_a_loop_may_be_called_stop():
    for operation in ("describe_human_loop", "delete_human_loop"):
        assert understood("sagemaker-a2i-runtime", operation, HumanLoopName="stop")[1] == {"HumanLoopName": "stop"}


def test_a_name_in_the_path_is_decoded_once_and_checked():
    sent = send("sagemaker-a2i-runtime", "describe_human_loop", HumanLoopName="a/b%2Fc")
    assert sent.target == "/human-loops/a%2Fb%252Fc"
    with pytest.raises(AwsError, match=r"Value 'a/b%2Fc' at 'humanLoopName' failed to satisfy constraint"):
        call_of(sent).read(sent.body)


def test_the_path_counts_and_not_a_namesake_in_the_body():
    call = route(SERVICES, "GET", "/human-loops/mine", "")
    assert call.read(b'{"HumanLoopName": "yours"}') == {"HumanLoopName": "mine"}


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", "ValidationException"),
        ("FlowDefinitionArn=", "ValidationException"),
        (f"FlowDefinitionArn={FLOW}&MaxResults=0", "ValidationException"),
        (f"FlowDefinitionArn={FLOW}&MaxResults=101", "ValidationException"),
        (f"FlowDefinitionArn={FLOW}&MaxResults=x", "SerializationException"),
        (f"FlowDefinitionArn={FLOW}&MaxResults=1_0", "SerializationException"),
        (f"FlowDefinitionArn={FLOW}&MaxResults=" + "9" * 30, "SerializationException"),
        (f"FlowDefinitionArn={FLOW}&SortOrder=Sideways", "ValidationException"),
        (f"FlowDefinitionArn={FLOW}&CreationTimeAfter=yesterday", "SerializationException"),
        (f"FlowDefinitionArn={FLOW}&NextToken=%00", "ValidationException"),
        ("a=1&" * 101, "SerializationException"),
    ],
)
def test_query_parameters_are_checked(query, code):
    with pytest.raises(AwsError) as caught:
        route(SERVICES, "GET", f"/human-loops?{query}", "").read(b"")
    assert caught.value.code == code


@given(st.text(max_size=60), st.text(max_size=60), st.binary(max_size=200))
def test_no_path_query_or_body_does_harm(path, query, body):
    for method in ("GET", "POST", "DELETE"):
        for target in (f"/human-loops/{path}?{query}", f"/human-loops?{query}", "/human-loops/stop"):
            try:
                route(SERVICES, method, target, "").read(body)
            except AwsError as error:
                assert error.code in COMMON_CODES


# --- which operation --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "target", "operation", "status"),
    [
        ("POST", "/", "RekognitionService.DetectFaces", None),
        ("POST", "/", "RekognitionService.detectModerationLabels", None),
        ("POST", "/", "RekognitionService.", None),
        ("POST", "/", "SageMaker.DetectModerationLabels", None),
        ("POST", "/", "Rekognition.DetectModerationLabels", 404),
        ("POST", "/", "DetectModerationLabels", 404),
        ("POST", "/", ".DetectModerationLabels", 404),
        ("POST", "/", "", 404),
        ("GET", "/", "RekognitionService.DetectModerationLabels", 405),
        ("POST", "/elsewhere", "RekognitionService.DetectModerationLabels", 405),
        ("POST", "/human-loops", "RekognitionService.DetectModerationLabels", 405),
        ("PUT", "/human-loops", "", 405),
        ("PATCH", "/human-loops/a", "", 405),
        ("POST", "/human-loops/a", "", 405),
        ("GET", "/human-loops/a/b", "", 404),
        ("GET", "/human-loops/", "", 404),
        ("GET", "/human-loopsy", "", 404),
    ],
)
def test_what_names_no_operation(method, target, operation, status):
    with pytest.raises(AwsError) as caught:
        route(SERVICES, method, target, operation)
    assert caught.value.code == "UnknownOperationException"
    assert caught.value.status == status


def test_a_table_may_not_name_what_the_service_has_not():
    with pytest.raises(KeyError, match="DetectAnything"):
        Service.load(REKOGNITION, {"DetectAnything": nothing})


# --- answers ----------------------------------------------------------------------------------------------------------


def test_what_is_written_is_what_boto3_reads():
    moment = datetime(2026, 3, 1, 12, 0, 0, 250_000, UTC)
    loop = {
        "CreationTime": moment,
        "HumanLoopStatus": "Completed",
        "HumanLoopName": "loop-1",
        "HumanLoopArn": f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:human-loop/loop-1",
        "FlowDefinitionArn": FLOW,
        "HumanLoopOutput": {"OutputS3Uri": "s3://bucket/output.json"},
        "FailureReason": None,
    }
    call = route(SERVICES, "GET", "/human-loops/loop-1", "")
    read = parse("sagemaker-a2i-runtime", "DescribeHumanLoop", call.write(loop))
    del read["ResponseMetadata"], loop["FailureReason"]
    assert read == loop


def test_an_operation_without_output_answers_an_empty_object():
    assert route(SERVICES, "DELETE", "/human-loops/a", "").write({}) == b"{}"


# --- errors -----------------------------------------------------------------------------------------------------------


def told(service: str, error: AwsError) -> tuple[int, dict[str, Any], dict[str, Any]]:
    """Status, body, and what boto3 makes of it."""
    status, body = SERVICES[service].write_error(error, "request-1")
    response = {"status_code": status, "headers": {"x-amzn-errortype": error.code}, "body": body}
    no_shape: Any = None
    read: Any = create_parser(protocol.load_model(service).protocol).parse(response, no_shape)
    return status, json.loads(body), read["Error"]


@pytest.mark.parametrize(
    ("service", "code", "status", "members"),
    [
        (REKOGNITION, "InvalidImageFormatException", 400, {"__type", "Code", "Logref", "Message"}),
        (REKOGNITION, "ResourceNotFoundException", 400, {"__type", "Code", "Logref", "Message"}),
        (REKOGNITION, "AccessDeniedException", 400, {"__type", "Code", "Logref", "Message"}),
        (REKOGNITION, "ThrottlingException", 400, {"__type", "Code", "Logref", "Message"}),
        (REKOGNITION, "InternalServerError", 500, {"__type", "Code", "Logref", "Message"}),
        (REKOGNITION, "ValidationException", 400, {"__type", "message"}),
        (REKOGNITION, "InvalidSignatureException", 400, {"__type", "message"}),
        (REKOGNITION, "RequestEntityTooLargeException", 413, {"__type", "message"}),
        (SAGEMAKER, "ResourceNotFound", 400, {"__type", "Message"}),
        (SAGEMAKER, "ConflictException", 400, {"__type", "Message"}),
        (SAGEMAKER, "ValidationException", 400, {"__type", "message"}),
        (SAGEMAKER, "InternalFailure", 500, {"__type", "message"}),
        (A2I_RUNTIME, "ValidationException", 400, {"__type", "Message"}),
        (A2I_RUNTIME, "ResourceNotFoundException", 404, {"__type", "Message"}),
        (A2I_RUNTIME, "ConflictException", 409, {"__type", "Message"}),
        (A2I_RUNTIME, "ServiceQuotaExceededException", 402, {"__type", "Message"}),
        (A2I_RUNTIME, "ThrottlingException", 429, {"__type", "Message"}),
        (A2I_RUNTIME, "InternalServerException", 500, {"__type", "Message"}),
        (A2I_RUNTIME, "UnrecognizedClientException", 400, {"__type", "message"}),
    ],
)
def test_each_form(service, code, status, members):
    found_status, body, read = told(service, AwsError(code, "What happened"))
    assert found_status == status
    assert body.keys() == members
    assert body["__type"] == code
    assert read == {"Code": code, "Message": "What happened"}


def test_a_status_and_members_of_ones_own():
    overload = AwsError("ThrottlingException", "Service Unavailable", status=500)
    assert told(REKOGNITION, overload)[0] == 500
    quota = AwsError(
        "HumanLoopQuotaExceededException", "Too many", ResourceType="HumanLoop", QuotaCode="q", ServiceCode="sagemaker"
    )
    body = told(REKOGNITION, quota)[1]
    assert (body["ResourceType"], body["QuotaCode"], body["ServiceCode"]) == ("HumanLoop", "q", "sagemaker")
    assert body["Logref"] == "request-1"


def test_what_each_service_calls_its_own_faults():
    assert SERVICES[REKOGNITION].internal_code == "InternalServerError"
    assert SERVICES[SAGEMAKER].internal_code == "InternalFailure"
    assert SERVICES[A2I_RUNTIME].internal_code == "InternalServerException"


def test_an_operation_may_answer_with_its_own_errors_and_the_common_ones():
    call = route(SERVICES, "POST", "/", "RekognitionService.DetectModerationLabels")
    assert call.allows(AwsError("ImageTooLargeException", ""))
    assert call.allows(AwsError("ValidationException", ""))
    assert not call.allows(AwsError("VideoTooLargeException", ""))
    assert not call.allows(AwsError("ResourceNotFound", ""))


# --- permissions ------------------------------------------------------------------------------------------------------


def caller_with(policy: object) -> Caller:
    key: Any = SimpleNamespace(policy=policy, user=None)
    return Caller(ACCOUNT, "us-east-1", f"arn:aws:iam::{ACCOUNT}:user/ci", key, "request-1")


def test_a_persons_key_needs_the_persons_role():
    caller = caller_with(None)
    caller.require("rekognition:DetectModerationLabels", roles=("uploader",))
    caller.key.user = User(role=User.Role.REVIEWER)
    caller.require("rekognition:DetectModerationLabels")
    caller.require("rekognition:DetectModerationLabels", roles=("uploader", "reviewer"))
    with pytest.raises(AwsError, match="is not authorized to perform"):
        caller.require("rekognition:DetectModerationLabels", roles=("uploader",))


def test_a_caller_may_what_the_keys_policy_permits():
    caller_with(None).require("sagemaker:StartHumanLoop", FLOW)
    assert caller_with(None).partition == "aws"
    narrow = caller_with({"Statement": [{"Effect": "Allow", "Action": "sagemaker:Start*", "Resource": FLOW}]})
    narrow.require("sagemaker:StartHumanLoop", FLOW)
    with pytest.raises(AwsError) as caught:
        narrow.require("rekognition:DetectModerationLabels")
    assert caught.value.code == "AccessDeniedException"
    assert caught.value.message == (
        f"User: arn:aws:iam::{ACCOUNT}:user/ci is not authorized to perform: "
        "rekognition:DetectModerationLabels on resource: *"
    )
