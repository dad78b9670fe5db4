"""The endpoint with operations made for the test: verified, answered in JSON whatever happens, and never a redirect."""

import json
import logging
from io import BytesIO
from typing import Any
from uuid import UUID

import pytest
from django.http import HttpResponse
from django.test import RequestFactory
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from moderation.aws import endpoint as endpoint_module
from moderation.aws.endpoint import aws_first, endpoint, speaks_aws
from moderation.aws.errors import AwsError
from moderation.aws.protocol import Caller
from moderation.models import AccessKey, Account, User
from tests.moderation.aws.clients import HOST, KEY_ID, SECRET, Sent, send, sign

ACCOUNT = "123456789012"

pytestmark = pytest.mark.django_db


def detect(caller: Caller, request: dict[str, Any]) -> dict[str, object]:
    """Does as the picture says, and tells who called in the model's version."""
    match request["Image"]["Bytes"]:
        case b"modelled error":
            raise AwsError("InvalidImageFormatException", "Request has invalid image format")
        case b"foreign error":
            raise AwsError("VideoTooLargeException", "secret detail")
        case b"crash":
            raise RuntimeError("secret detail")
        case b"bad answer":
            return {"Labels": "secret detail"}
        case b"permission":
            caller.require("rekognition:DetectModerationLabels")
    return {"ModerationLabels": [], "ModerationModelVersion": f"{caller.account_id} {caller.region} {caller.arn}"}


def describe(caller: Caller, request: dict[str, Any]) -> dict[str, object]:
    raise AwsError("ResourceNotFoundException", "No such human loop")


VIEW = endpoint(
    {
        "rekognition": {"DetectModerationLabels": detect},
        "sagemaker-a2i-runtime": {"DescribeHumanLoop": describe, "DeleteHumanLoop": lambda caller, request: {}},
    }
)


@pytest.fixture(autouse=True)
def key() -> AccessKey:
    """A key of the account, whose secret the test client signs with."""
    account = Account.objects.create(id=ACCOUNT, name="Example")
    return AccessKey.objects.create(account=account, key_id=KEY_ID, secret=SECRET, name="ci", token_digest="0" * 64)


def answer(sent: Sent, **environ: Any) -> HttpResponse:
    headers = {name.title(): value for name, value in sent.headers if name.lower() != "content-length"}
    environ = {"RAW_URI": sent.target, "CONTENT_TYPE": headers.pop("Content-Type", ""), **environ}
    return VIEW(RequestFactory().generic(sent.method, sent.target, sent.body, headers=headers, **environ))


def read(response: HttpResponse) -> dict[str, Any]:
    """The answer's JSON; every answer of this face has it, and a request id."""
    UUID(response["x-amzn-RequestId"])
    assert response["Content-Type"] in ("application/x-amz-json-1.1", "application/json")
    body: dict[str, Any] = json.loads(response.content)
    if response.status_code != 200:
        assert response["x-amzn-ErrorType"] == body["__type"]
    return body


def picture(data: bytes = b"fine", **options: Any) -> Sent:
    return send("rekognition", "detect_moderation_labels", Image={"Bytes": data}, **options)


# --- what goes well ---------------------------------------------------------------------------------------------------


def test_a_signed_call_is_answered(key):
    response = answer(picture(region="cn-north-1"))
    assert response.status_code == 200
    assert response["Content-Type"] == "application/x-amz-json-1.1"
    version = f"{ACCOUNT} cn-north-1 arn:aws-cn:iam::{ACCOUNT}:user/{KEY_ID}"
    assert read(response) == {"ModerationLabels": [], "ModerationModelVersion": version}


def test_the_callers_name_is_the_persons_where_the_key_has_one(key):
    key.user = User.objects.create(username="ada", account=key.account)
    key.save()
    assert read(answer(picture()))["ModerationModelVersion"].endswith(f":{ACCOUNT}:user/ada")


def test_the_use_of_a_key_is_noted(key):
    answer(picture())
    key.refresh_from_db()
    assert key.last_used_at is not None


def test_the_rest_service_answers_under_its_paths():
    response = answer(send("sagemaker-a2i-runtime", "delete_human_loop", HumanLoopName="loop-1"))
    assert (response.status_code, response.content, response["Content-Type"]) == (200, b"{}", "application/json")
    response = answer(send("sagemaker-a2i-runtime", "describe_human_loop", HumanLoopName="loop-1"))
    assert response.status_code == 404
    assert read(response) == {"__type": "ResourceNotFoundException", "Message": "No such human loop"}


def test_a_server_that_hands_on_no_raw_path_verifies_all_the_same():
    sent = send("sagemaker-a2i-runtime", "describe_human_loop", HumanLoopName="a b+ü~")
    assert read(answer(sent, RAW_URI=""))["__type"] == "ValidationException"
    sent = send("sagemaker-a2i-runtime", "delete_human_loop", HumanLoopName="loop-1")
    assert answer(sent, RAW_URI="").status_code == 200


def test_an_encoded_slash_verifies_with_the_raw_path():
    sent = send("sagemaker-a2i-runtime", "describe_human_loop", HumanLoopName="a/b")
    assert read(answer(sent))["__type"] == "ValidationException"


# --- who is not let in ------------------------------------------------------------------------------------------------


def test_a_revoked_key_is_refused_at_once(key):
    assert answer(picture()).status_code == 200
    key.revoke()
    response = answer(picture())
    assert response.status_code == 400
    assert read(response) == {
        "__type": "UnrecognizedClientException",
        "message": "The security token included in the request is invalid.",
    }


def test_a_key_of_a_closed_account_or_an_inactive_person_is_refused(key):
    key.user = User.objects.create(username="ada", account=key.account, is_active=False)
    key.save()
    assert read(answer(picture()))["__type"] == "UnrecognizedClientException"
    key.user = None
    key.save()
    Account.objects.update(is_active=False)
    assert read(answer(picture()))["__type"] == "UnrecognizedClientException"


def test_another_secret_is_refused(key):
    key.secret = "x" * 40
    key.save()
    assert read(answer(picture()))["__type"] == "InvalidSignatureException"


def test_the_keys_policy_decides(key):
    key.policy = {"Statement": [{"Effect": "Deny", "Action": "rekognition:*", "Resource": "*"}]}
    key.save()
    response = answer(picture(b"permission"))
    assert response.status_code == 400
    body = read(response)
    assert (body["__type"], body["Code"], body["Logref"]) == (
        "AccessDeniedException",
        "AccessDeniedException",
        response["x-amzn-RequestId"],
    )
    assert body["Message"].endswith("to perform: rekognition:DetectModerationLabels on resource: *")


def test_the_scope_must_be_the_services(key):
    signed_for_sagemaker = send("sagemaker", "list_flow_definitions")
    headers = tuple(
        (name, "RekognitionService.DetectModerationLabels" if name == "X-Amz-Target" else value)
        for name, value in signed_for_sagemaker.headers
    )
    body = read(answer(Sent("POST", "/", headers, signed_for_sagemaker.body)))
    assert body == {
        "__type": "InvalidSignatureException",
        "message": "Credential should be scoped to correct service: 'rekognition'.",
    }


def test_regions_can_be_closed(settings):
    settings.AWS_REGIONS = ["eu-west-1"]
    assert read(answer(picture()))["message"] == "Credential should be scoped to a valid region."
    assert answer(picture(region="eu-west-1")).status_code == 200


def test_the_clocks_window_is_a_setting(settings):
    settings.AWS_CLOCK_SKEW_SECONDS = -60
    assert read(answer(picture()))["message"].startswith("Signature ")


# --- every error is JSON ----------------------------------------------------------------------------------------------


def unsigned(method: str, path: str, body: bytes = b"", **environ: Any) -> HttpResponse:
    return VIEW(RequestFactory().generic(method, path, body, **environ))


@pytest.mark.parametrize("path", ["/", "/human-loops", "/human-loops/a/b/c", "/anything"])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"])
def test_without_a_signature(method, path):
    response = unsigned(method, path, b"<xml/>")
    assert response.status_code == 400
    assert read(response)["__type"] == "MissingAuthenticationTokenException"


def test_unknown_operations_paths_and_methods():
    assert read(answer(send("rekognition", "detect_faces", Image={"Bytes": b"x"})))["message"] == (
        "rekognition: DetectFaces is not offered here"
    )
    authorization: Any = {"HTTP_AUTHORIZATION": picture().header("Authorization")}
    for method, path, status in (("POST", "/", 404), ("GET", "/elsewhere", 404), ("PUT", "/human-loops", 405)):
        response = unsigned(method, path, **authorization)
        assert response.status_code == status
        assert read(response)["__type"] == "UnknownOperationException"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"<html>", "SerializationException"),
        (b"[]", "SerializationException"),
        (b'{"Image": 5}', "SerializationException"),
        (b"{}", "ValidationException"),
        (b"", "ValidationException"),
        (b'{"Image": {"Bytes": ""}}', "ValidationException"),
    ],
)
def test_malformed_bodies(body, code):
    sent = signed(body)
    response = answer(sent)
    assert response.status_code == 400
    assert read(response)["__type"] == code


def signed(body: bytes, target: str = "/") -> Sent:
    """A DetectModerationLabels request with any body, signed as boto3 would."""
    headers = {
        "X-Amz-Target": "RekognitionService.DetectModerationLabels",
        "Content-Type": "application/x-amz-json-1.1",
    }
    return sign("POST", target, headers, body, "rekognition")


def test_errors_of_an_operation():
    response = answer(picture(b"modelled error"))
    assert response.status_code == 400
    assert read(response) == {
        "__type": "InvalidImageFormatException",
        "Code": "InvalidImageFormatException",
        "Logref": response["x-amzn-RequestId"],
        "Message": "Request has invalid image format",
    }


@pytest.mark.parametrize("data", [b"crash", b"foreign error", b"bad answer"])
def test_our_own_faults_are_logged_and_tell_nothing(data, caplog):
    with caplog.at_level(logging.ERROR, "moderation.aws.endpoint"):
        response = answer(picture(data))
    assert response.status_code == 500
    body = read(response)
    assert (body["__type"], body["Message"]) == ("InternalServerError", "Internal server error")
    assert "secret" not in response.content.decode()
    assert response["x-amzn-RequestId"] in caplog.text
    assert "Traceback" in caplog.text


def test_a_body_that_is_too_large_is_refused_and_read_to_its_end():
    size = endpoint_module.MAX_BODY_BYTES + 1
    sent = signed(b" " * size)
    stream = BytesIO(sent.body)
    response = answer(sent, **{"wsgi.input": stream})
    assert response.status_code == 413
    body = read(response)
    assert body["__type"] == "RequestEntityTooLargeException"
    assert str(endpoint_module.MAX_BODY_BYTES) in body["message"]
    assert stream.tell() == size


def test_a_refusal_reads_the_body_to_its_end_so_that_the_client_sees_it():
    stream = BytesIO(bytes(3_000_000))
    response = unsigned("POST", "/", bytes(3_000_000), **{"wsgi.input": stream})
    assert read(response)["__type"] == "MissingAuthenticationTokenException"
    assert stream.tell() == 3_000_000


def test_a_picture_just_above_five_mebibytes_is_told_so_in_the_models_words():
    size = 5_242_881
    body = read(answer(picture(bytes(size))))
    assert body["message"] == (
        f"1 validation error detected: Value 'java.nio.HeapByteBuffer[pos=0 lim={size} cap={size}]' at 'image.bytes' "
        "failed to satisfy constraint: Member must have length less than or equal to 5242880"
    )


def test_a_body_cut_in_the_middle():
    sent = picture()
    response = answer(sent, **{"wsgi.input": BytesIO(sent.body[:10])})
    assert response.status_code == 400
    assert read(response)["message"] == f"The request body ended after 10 of {len(sent.body)} bytes"


class _Broken(BytesIO):
    def read(self, *_: object) -> bytes:
        raise OSError("connection reset")


def test_a_connection_that_breaks():
    assert read(answer(picture(), **{"wsgi.input": _Broken()}))["message"].startswith("The request body ended after 0")


@pytest.mark.parametrize("length", ["x", "-1", "1e3", "\u0661", "9" * 30])
def test_a_length_that_is_none(length):
    response = answer(picture(), CONTENT_LENGTH=length, **{"wsgi.input": BytesIO(b"{}")})
    assert read(response)["message"] == "Content-Length must be a number of bytes"


def test_a_chunked_body_is_asked_for_its_length():
    response = answer(picture(), CONTENT_LENGTH="", HTTP_TRANSFER_ENCODING="chunked")
    assert response.status_code == 411
    assert "Content-Length" in read(response)["message"]


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=300))
def test_no_body_does_harm(body):
    response = answer(signed(body))
    read(response)
    assert response.status_code in (200, 400)


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.sampled_from(["GET", "POST", "DELETE"]), st.text(max_size=50), st.text(max_size=50), st.text(max_size=80))
def test_no_path_or_header_does_harm(method, path, target, authorization):
    request = RequestFactory().generic(method, "/")
    request.path_info = f"/{path}"
    request.META |= {"HTTP_AUTHORIZATION": f"AWS4-HMAC-SHA256 {authorization}", "HTTP_X_AMZ_TARGET": target}
    response = VIEW(request)
    read(response)
    assert 400 <= response.status_code < 500


# --- which requests are for this face ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "authorization", "expected"),
    [
        ("POST", "/", "", True),
        ("GET", "/", "", False),
        ("GET", "/human-loops", "", True),
        ("GET", "/human-loops/a", "", True),
        ("GET", "/human-loopsy", "", False),
        ("GET", "/", "AWS4-HMAC-SHA256 x", True),
        ("PUT", "/bucket/key", "AWS4-HMAC-SHA256 x", True),
        ("POST", "/api/v1/submissions/", "Bearer sl_x", False),
        ("POST", "/upload/", "", False),
    ],
)
def test_what_is_for_this_face(method, path, authorization, expected):
    headers = {"HTTP_AUTHORIZATION": authorization} if authorization else {}
    request = RequestFactory().generic(method, path, **headers)
    assert speaks_aws(request) is expected
    passed_on = HttpResponse("elsewhere")
    response = aws_first(lambda request: passed_on)(request)
    assert (response is not passed_on) is expected


@pytest.mark.parametrize("path", ["/", "/human-loops", "/human-loops/", "/human-loops/a", "/human-loops/a/b"])
def test_where_it_is_mounted(client, path):
    """The product's own addresses, through all middleware: no redirect, no HTML, no CSRF check."""
    for method in ("POST",) if path == "/" else ("POST", "GET", "PUT", "DELETE", "OPTIONS"):
        response = client.generic(method, path)
        assert response.status_code == 400
        assert read(response)["__type"] == "MissingAuthenticationTokenException"


def test_through_the_middleware_even_an_unknown_host_gets_json(client, settings):
    settings.MIDDLEWARE = ["moderation.aws.endpoint.aws_first", *settings.MIDDLEWARE]
    settings.ALLOWED_HOSTS = ["example.org"]
    for method, path in (("GET", "/bucket/key"), ("PUT", "/"), ("POST", "/human-loops/a")):
        response = client.generic(method, path, HTTP_HOST="elsewhere", HTTP_AUTHORIZATION="AWS4-HMAC-SHA256 x")
        assert response.status_code == 400
        assert read(response)["__type"] == "IncompleteSignatureException"
    assert client.get("/healthz", HTTP_HOST="example.org").status_code == 200


def test_a_host_name_of_its_own_is_no_obstacle(settings):
    """The signature covers the Host header; Django's list of hosts guards links in pages, and there are none here."""
    settings.ALLOWED_HOSTS = ["example.org"]
    assert HOST not in settings.ALLOWED_HOSTS
    assert answer(picture()).status_code == 200
