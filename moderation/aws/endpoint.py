"""The one view behind which AWS clients find their services; whatever happens, it answers in JSON."""

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from urllib.parse import quote
from uuid import uuid4

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import resolve
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from moderation.aws import arns, limits, sigv4
from moderation.aws.errors import AwsError
from moderation.aws.protocol import (
    A2I_RUNTIME,
    REKOGNITION,
    REST_ROOT,
    SAGEMAKER,
    Call,
    Caller,
    OperationTable,
    Service,
    is_rest_path,
    route,
)
from moderation.aws.retries import is_retry, retry_key
from moderation.models import AccessKey

logger = logging.getLogger(__name__)

# Well above a 5 MiB picture in base64 (7 MB): a picture that is too large is to be told so in Rekognition's own words.
MAX_BODY_BYTES = 16 * 1024 * 1024
MAX_DISCARDED_BYTES = 64 * 1024 * 1024
_CHUNK = 256 * 1024

View = Callable[..., HttpResponse]


def endpoint(tables: Mapping[str, OperationTable]) -> View:
    """The view that serves these operations, by boto3 service name; any other is UnknownOperationException."""
    services = {name: Service.load(name, tables.get(name, {})) for name in (REKOGNITION, SAGEMAKER, A2I_RUNTIME)}

    @csrf_exempt
    def aws(request: HttpRequest, *_captured: str | None) -> HttpResponse:
        return _Exchange(services, request, str(uuid4())).respond()

    return aws


def aws_first(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], HttpResponseBase]:
    """Middleware, to stand first: what AWS clients send goes straight to the endpoint, past every HTML error page."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        return _mounted()(request) if speaks_aws(request) else get_response(request)

    return middleware


def speaks_aws(request: HttpRequest) -> bool:
    """Whether the request is for this face: `POST /`, the A2I runtime's paths, or anything with an AWS signature."""
    if request.path_info == "/" and request.method == "POST":
        return True
    return is_rest_path(request.path_info) or request.META.get("HTTP_AUTHORIZATION", "").startswith("AWS4-")


@lru_cache
def _mounted() -> View:
    return resolve(REST_ROOT).func


@dataclass(frozen=True, slots=True)
class _Exchange:
    """One request and its answer."""

    services: Mapping[str, Service]
    request: HttpRequest
    request_id: str

    def respond(self) -> HttpResponse:
        """The answer, whatever happens."""
        service = self.services[A2I_RUNTIME if is_rest_path(self.request.path_info) else REKOGNITION]
        try:
            headers = list(self.request.headers.items())
            sigv4.read_claim(headers)
            target = _target(self.request)
            call = route(self.services, self._method, target, self.request.headers.get("X-Amz-Target", ""))
            service = call.service
            body = _read_body(self.request)
            caller = self._authenticate(call, target, headers, body)
            return self._respond(service, 200, self._perform(call, caller, body))
        except AwsError as error:
            return self._refuse(service, error)
        except Exception:
            logger.exception("request %s failed", self.request_id)
            return self._refuse(service, AwsError(service.internal_code, "Internal server error"))

    @property
    def _method(self) -> str:
        # As sent: Django's request.method is in capitals already, and a signature is over what was sent.
        return str(self.request.META["REQUEST_METHOD"])

    def _authenticate(self, call: Call, target: str, headers: sigv4.Headers, body: bytes) -> Caller:
        verified = sigv4.verify(
            self._method,
            target,
            headers,
            body,
            now=timezone.now(),
            lookup=AccessKey.objects.live,
            services=(call.service.scope,),
            regions=settings.AWS_REGIONS,
            window=timedelta(seconds=settings.AWS_CLOCK_SKEW_SECONDS),
        )
        key = verified.credential
        key.touch()
        limits.check_requests(key.account_id)
        name = key.user.get_username() if key.user else key.key_id
        arn = arns.user_arn(verified.region, key.account_id, name)
        sdk = self.request.headers
        again = retry_key(sdk.get("amz-sdk-invocation-id", ""), call.action, verified.body_digest)
        retried = is_retry(sdk.get("amz-sdk-request", ""))
        return Caller(key.account_id, verified.region, arn, key, self.request_id, again, retried)

    def _perform(self, call: Call, caller: Caller, body: bytes) -> bytes:
        members = call.read(body)
        try:
            answer = call.operation(caller, members)
        except AwsError as error:
            if call.allows(error):
                raise
            raise TypeError(f"{call.model.name} must not answer with {error.code}") from error
        return call.write(answer)

    def _refuse(self, service: Service, error: AwsError) -> HttpResponse:
        _discard_body(self.request)
        status, body = service.write_error(error, self.request_id)
        response = self._respond(service, status, body)
        response["x-amzn-ErrorType"] = error.code
        return response

    def _respond(self, service: Service, status: int, body: bytes) -> HttpResponse:
        response = HttpResponse(body, status=status, content_type=service.content_type)
        response["x-amzn-RequestId"] = self.request_id
        # No middleware adds it; without it the web server would send the answer in chunks.
        response["Content-Length"] = str(len(body))
        return response


def _target(request: HttpRequest) -> str:
    """Path and query as they were sent.

    Few servers hand on the raw path.  Encoding the decoded one again gives the same text for every path that an SDK
    makes, because they all encode everything but unreserved characters; only an encoded slash inside a name needs the
    raw path.
    """
    for name in ("RAW_URI", "REQUEST_URI"):
        raw = request.META.get(name, "")
        if raw.startswith("/"):
            return str(raw)
    path = quote(request.path_info, safe="/-._~")
    query = request.META.get("QUERY_STRING", "")
    return f"{path}?{query}" if query else path


def _read_body(request: HttpRequest) -> bytes:
    """The raw body, at most MAX_BODY_BYTES; RequestEntityTooLargeException (413) above that."""
    length = _content_length(request)
    if length > MAX_BODY_BYTES:
        message = f"The request body has {length} bytes; at most {MAX_BODY_BYTES} are accepted"
        raise AwsError("RequestEntityTooLargeException", message)
    body = b"".join(_chunks(request, length))
    if len(body) < length:
        raise AwsError("SerializationException", f"The request body ended after {len(body)} of {length} bytes")
    return body


def _content_length(request: HttpRequest) -> int:
    text = request.META.get("CONTENT_LENGTH") or ""
    if not text and "chunked" in request.META.get("HTTP_TRANSFER_ENCODING", "").lower():
        raise AwsError("SerializationException", "A request body needs a Content-Length", status=411)
    if text and not (text.isascii() and text.isdigit() and len(text) < 16):
        raise AwsError("SerializationException", "Content-Length must be a number of bytes")
    return int(text or 0)


def _discard_body(request: HttpRequest) -> None:
    """Read what has not been read yet: a client that is cut off while it sends would never see the answer."""
    for _ in _chunks(request, MAX_DISCARDED_BYTES):
        pass


def _chunks(request: HttpRequest, length: int) -> Iterator[bytes]:
    """The body piece by piece; it ends early when the client does."""
    while length > 0:
        try:
            chunk = request.read(min(length, _CHUNK))
        except OSError:
            return
        if not chunk:
            return
        length -= len(chunk)
        yield chunk
