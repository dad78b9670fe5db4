"""What a real web server sends when things go wrong: JSON, a request id, the right date, no redirect, no HTML."""

import http.client
import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from uuid import UUID

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from django.db import connection

from moderation.models import IssuedKey
from tests import media
from tests.moderation.aws.conftest import WebServer, rekognition
from tests.world import World

MEBIBYTE = 1024 * 1024
DETECT = "RekognitionService.DetectModerationLabels"

# Rows that the web server sees too.
committed = pytest.mark.django_db(transaction=True)


class Answer:
    """A response, of which everything that must hold for each has been checked."""

    def __init__(self, response: http.client.HTTPResponse, with_body: bool = True) -> None:
        self.status = response.status
        raw = response.read()
        headers = {name.lower(): value for name, value in response.getheaders()}
        assert not 300 <= self.status < 400 and "location" not in headers
        assert headers["content-type"] in ("application/x-amz-json-1.1", "application/json")
        assert int(headers["content-length"]) == len(raw) or not with_body
        assert "transfer-encoding" not in headers
        UUID(headers["x-amzn-requestid"])
        # JavaScript's SDK sets its clock by this, unless there is an Age.
        assert abs(parsedate_to_datetime(headers["date"]) - datetime.now(UTC)) < timedelta(seconds=5)
        assert not {"age", "set-cookie", "www-authenticate"} & headers.keys()
        self.body: dict[str, Any] = json.loads(raw) if with_body else {}
        self.code = headers.get("x-amzn-errortype", "")
        if with_body and self.status != 200:
            assert self.body["__type"] == self.code
            assert self.body.get("message") or self.body.get("Message")


def send(
    server: WebServer, method: str, target: str, headers: dict[str, str] | None = None, body: bytes | None = None
) -> Answer:
    """A request as it is given."""
    client = http.client.HTTPConnection(server.host, timeout=60)
    client.putrequest(method, target, skip_accept_encoding=True, skip_host="Host" in (headers or {}))
    given = dict(headers or {})
    if body is not None and not {"Content-Length", "Transfer-Encoding"} & given.keys():
        given["Content-Length"] = str(len(body))
    for name, value in given.items():
        client.putheader(name, value)
    client.endheaders(body)
    answer = Answer(client.getresponse(), with_body=method != "HEAD")
    client.close()
    return answer


def signed(
    server: WebServer,
    issued: IssuedKey,
    body: bytes = b"{}",
    target: str = DETECT,
    path: str = "/",
    method: str = "POST",
    service: str = "rekognition",
    host: str = "",
) -> dict[str, str]:
    """The headers of a request with a good signature."""
    headers = {"Host": host or server.host, "Content-Type": "application/x-amz-json-1.1"}
    if target:
        headers["X-Amz-Target"] = target
    request = AWSRequest(method, f"http://{host or server.host}{path}", headers=headers, data=body)
    SigV4Auth(Credentials(issued.key.key_id, issued.key.secret), service, "us-east-1").add_auth(request)
    return dict(request.headers.items())


AUTHORIZATION = {"Authorization": "AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders=host, Signature=f"}


# --- addresses and methods --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"])
@pytest.mark.parametrize(
    "target",
    [
        "/human-loops",
        "/human-loops/",
        "/human-loops/a",
        "/human-loops/a/b",
        "/human-loops//",
        "/human-loops/a%2Fb?x=%ff",
    ],
)
def test_every_method_on_the_paths_of_the_runtime(granian: WebServer, method: str, target: str) -> None:
    assert send(granian, method, target).code == "MissingAuthenticationTokenException"
    assert send(granian, method, target, AUTHORIZATION).status in (400, 404, 405)


@pytest.mark.parametrize(
    "target", ["/", "/?Action=x", "/upload", "/admin/", "/static/css/base.css", "/nowhere", "//", "/%00"]
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_whatever_is_signed_for_aws_is_answered_here(granian: WebServer, method: str, target: str) -> None:
    assert 400 <= send(granian, method, target, AUTHORIZATION).status <= 405


@committed
def test_unknown_operations(granian: WebServer, world: World) -> None:
    for target, status in (
        (f"{DETECT}s", 400),
        ("RekognitionService.DetectFaces", 400),
        ("Other.Thing", 404),
        ("", 404),
    ):
        answer = send(granian, "POST", "/", signed(granian, world.key, target=target), b"{}")
        assert (answer.code, answer.status) == ("UnknownOperationException", status)
    answer = send(granian, "PUT", "/", signed(granian, world.key, method="PUT"), b"{}")
    assert (answer.code, answer.status) == ("UnknownOperationException", 405)
    runtime = {"target": "", "service": "sagemaker", "path": "/human-loops/a/b", "method": "GET"}
    answer = send(granian, "GET", "/human-loops/a/b", signed(granian, world.key, b"", **runtime))
    assert (answer.code, answer.status) == ("UnknownOperationException", 404)


@committed
def test_a_host_that_django_does_not_know(granian: WebServer, world: World) -> None:
    """ALLOWED_HOSTS guards links in pages; the signature covers the name here."""
    for headers in ({"Host": "elsewhere.example"}, {"Host": "elsewhere.example", **AUTHORIZATION}):
        assert 400 <= send(granian, "POST", "/", headers, b"{}").status <= 405
    good = signed(granian, world.key, host="moderation.example:8443")
    assert send(granian, "POST", "/", good, b"{}").code == "ValidationException"
    assert send(granian, "POST", "/", {**good, "Host": "other.example"}, b"{}").code == "InvalidSignatureException"


# --- bodies -----------------------------------------------------------------------------------------------------------


@committed
@pytest.mark.parametrize(
    "body", [b"<html>", b"[]", b"null", b'"x"', b"{", b"\xff\xfe", b"[" * 100_000, b'{"Image":' * 50_000, b"NaN", b"\0"]
)
def test_bodies_that_are_no_json_object(granian: WebServer, world: World, body: bytes) -> None:
    answer = send(granian, "POST", "/", signed(granian, world.key, body), body)
    assert (answer.code, answer.status) == ("SerializationException", 400)


def test_forms_and_pages_of_a_browser(granian: WebServer) -> None:
    for kind in ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/html"):
        headers = {"Content-Type": kind, "Accept": "text/html", "Accept-Language": "de", "Cookie": "sessionid=x"}
        assert send(granian, "POST", "/", headers, b"a=b").code == "MissingAuthenticationTokenException"


@committed
def test_a_body_that_is_too_large(granian: WebServer, world: World) -> None:
    body = b" " * (20 * MEBIBYTE)
    answer = send(granian, "POST", "/", signed(granian, world.key, body), body)
    assert (answer.code, answer.status) == ("RequestEntityTooLargeException", 413)


@committed
def test_a_picture_that_is_too_large_is_told_in_rekognitions_words(granian: WebServer, world: World) -> None:
    body = json.dumps({"Image": {"Bytes": "A" * (8 * MEBIBYTE)}}).encode()
    answer = send(granian, "POST", "/", signed(granian, world.key, body), body)
    assert (answer.code, answer.status) == ("ValidationException", 400)
    assert "less than or equal to 5242880" in answer.body["message"]


@committed
def test_a_body_without_a_length(granian: WebServer, world: World) -> None:
    headers = {**signed(granian, world.key), "Transfer-Encoding": "chunked"}
    answer = send(granian, "POST", "/", headers, b"2\r\n{}\r\n0\r\n\r\n")
    assert (answer.code, answer.status) == ("SerializationException", 411)


@committed
def test_a_client_that_hangs_up_in_the_middle_leaves_the_server_well(granian: WebServer, world: World) -> None:
    headers = signed(granian, world.key, b" " * 1000)
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    for _ in range(20):
        with socket.create_connection(tuple(granian.host.split(":"))) as client:  # type: ignore[arg-type]
            client.sendall(f"POST / HTTP/1.1\r\n{head}Content-Length: 1000\r\n\r\n   ".encode())
    assert send(granian, "POST", "/", signed(granian, world.key), b"{}").code == "ValidationException"


@committed
def test_a_client_that_asks_whether_it_may_go_on(granian: WebServer, world: World) -> None:
    headers = {**signed(granian, world.key), "Expect": "100-continue"}
    assert send(granian, "POST", "/", headers, b"{}").code == "ValidationException"


# --- faults of ours ---------------------------------------------------------------------------------------------------


@pytest.fixture
def broken(world: World) -> Iterator[IssuedKey]:
    """A key whose stored secret no key of the installation can read: a fault nobody has thought of."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE moderation_accesskey SET secret = 'damaged' WHERE id = %s", [world.key.key.pk])
    yield world.key


@committed
def test_a_fault_of_ours(granian: WebServer, broken: IssuedKey) -> None:
    answer = send(granian, "POST", "/", signed(granian, broken), b"{}")
    assert (answer.code, answer.status) == ("InternalServerError", 500)
    assert answer.body["Message"] == "Internal server error"
    assert answer.body["Logref"] in granian.log.read_text()
    assert "Traceback" in granian.log.read_text()


@committed
def test_a_fault_of_ours_in_the_runtime(granian: WebServer, broken: IssuedKey) -> None:
    headers = signed(granian, broken, b"", target="", path="/human-loops/a", method="GET", service="sagemaker")
    answer = send(granian, "GET", "/human-loops/a", headers)
    assert (answer.code, answer.status) == ("InternalServerException", 500)
    assert answer.body == {"__type": "InternalServerException", "Message": "Internal server error"}


# --- and what goes well -----------------------------------------------------------------------------------------------


@committed
def test_an_answer(granian: WebServer, world: World) -> None:
    answer = send(granian, "POST", "/", signed(granian, world.key, b"{}"), b"{}")
    assert answer.status == 400
    told = rekognition(granian.url, world.key).detect_moderation_labels(Image={"Bytes": media.picture("Gambling")})
    headers = told["ResponseMetadata"]["HTTPHeaders"]
    assert "transfer-encoding" not in headers and int(headers["content-length"]) > 0
    assert abs(parsedate_to_datetime(headers["date"]) - datetime.now(UTC)) < timedelta(seconds=5)
    UUID(told["ResponseMetadata"]["RequestId"])


def test_a_browser_still_has_its_pages(granian: WebServer) -> None:
    client = http.client.HTTPConnection(granian.host, timeout=60)
    client.request("GET", "/", headers={"Accept": "text/html"})
    page = client.getresponse()
    assert (page.status, page.getheader("content-type")) == (200, "text/html; charset=utf-8")
    page.read()
    client.close()
