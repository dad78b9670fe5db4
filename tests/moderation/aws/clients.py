"""Requests exactly as boto3 sends them, caught before they leave; and answers read back with botocore's own parser."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSPreparedRequest, AWSRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.parsers import create_parser

from moderation.aws import protocol

KEY_ID = "SLAKTESTTESTTESTTEST"
SECRET = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTEy"
HOST = "127.0.0.1:8000"


@dataclass(frozen=True)
class Sent:
    """One request on the wire."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str:
        """The first value of a header, or an empty text."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")


class _Wire:
    """Stands in for the network: keeps the request and answers an empty object."""

    sent: Sent | None = None

    def __call__(self, request: AWSPreparedRequest, **_: object) -> AWSResponse:
        url = urlsplit(request.url)
        target = url.path + (f"?{url.query}" if url.query else "")
        headers = [(name, _text(value)) for name, value in request.headers.items()]
        body: Any = request.body or b""
        sent_body = body.encode() if isinstance(body, str) else bytes(body)
        self.sent = Sent(request.method, target, (("Host", url.netloc), *headers), sent_body)
        return AWSResponse(request.url, 200, HTTPHeaders(), _Empty())


class _Empty:
    """The stream behind a response without content."""

    def stream(self, *_: object, **__: object) -> list[bytes]:
        return [b"{}"]

    def read(self, *_: object) -> bytes:
        return b"{}"


def send(service: str, operation: str, *, region: str = "us-east-1", validate: bool = True, **members: Any) -> Sent:
    """What boto3 puts on the wire for this call (the client's snake_case name); `validate` as in botocore's Config."""
    client: Any = boto3.client(
        service,  # type: ignore[call-overload]
        endpoint_url=f"http://{HOST}",
        region_name=region,
        aws_access_key_id=KEY_ID,
        aws_secret_access_key=SECRET,
        config=Config(parameter_validation=validate, retries={"max_attempts": 0}),
    )
    wire = _Wire()
    client.meta.events.register("before-send", wire)
    getattr(client, operation)(**members)
    assert wire.sent is not None
    return wire.sent


def sign(
    method: str,
    target: str,
    headers: dict[str, str],
    body: bytes = b"",
    service: str = "sagemaker",
    secret: str = SECRET,
) -> Sent:
    """Any request at all, signed by botocore's signer with whatever headers are given."""
    request = AWSRequest(method, f"http://{HOST}{target}", headers={"Host": HOST, **headers}, data=body)
    SigV4Auth(Credentials(KEY_ID, secret), service, "us-east-1").add_auth(request)
    return Sent(method, target, tuple(request.headers.items()), body)


def parse(
    service: str, operation: str, body: bytes, status: int = 200, headers: Mapping[str, str] | None = None
) -> Any:
    """The answer as boto3 would hand it to its user."""
    model = protocol.load_model(service)
    shape: Any = model.operation_model(operation).output_shape
    response = {"status_code": status, "headers": dict(headers or {}), "body": body}
    return create_parser(model.protocol).parse(response, shape)


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
