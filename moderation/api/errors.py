"""One shape for every error of the REST face: RFC 9457 problem details, made by one exception handler."""

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import Http404, UnreadablePostError
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from moderation.decoding.image import ACCEPTED_FORMATS
from moderation.decoding.types import MediaError
from moderation.intake import IdempotencyMismatch, IntakeError

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
FORM_TYPES = ("multipart/form-data",)
ACCEPTED_TYPES = tuple(f"image/{name.lower()}" for name in ACCEPTED_FORMATS)

_TITLES = {
    400: "Bad request",
    401: "Not authenticated",
    403: "Not permitted",
    404: "Not found",
    405: "Method not allowed",
    406: "Not acceptable",
    411: "Length required",
    413: "Too large",
    415: "Unsupported media type",
    422: "Cannot be processed",
    429: "Too many requests",
    500: "Internal error",
    503: "Not available",
}
# Everything else about a picture is 422: the request is well formed, the picture is not one we take.
_MEDIA_STATUS = {"empty": 400, "unsupported_format": 415, "out_of_memory": 503}
_INTAKE_STATUS = {"too_large": 413}


class LengthRequired(exceptions.APIException):
    """A body without a Content-Length, which WSGI cannot read safely."""

    status_code = 411
    default_code = "length_required"
    default_detail = "Send the body with a Content-Length; bodies in chunks are not read."


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """What is wrong with one input, named as the sender knows it; `limit` is the bound it broke or what is accepted."""

    field: str
    code: str
    message: str
    limit: int | tuple[str, ...] | None = None

    def as_json(self) -> dict[str, Any]:
        """The member of `errors`."""
        said = {"field": self.field, "code": self.code, "message": self.message}
        return said if self.limit is None else {**said, "limit": self.limit}


@dataclass(frozen=True, slots=True)
class Problem:
    """An error on its way out; `code` is stable and ends the problem's type."""

    status: int
    code: str
    detail: str
    errors: tuple[FieldProblem, ...] = ()
    headers: dict[str, str] = field(default_factory=dict)

    def as_json(self, instance: str) -> dict[str, Any]:
        """The members of RFC 9457 and our own `errors`."""
        return {
            "type": f"urn:second-look:problem:{self.code}",
            "title": _TITLES.get(self.status, "Error"),
            "status": self.status,
            "detail": self.detail,
            "instance": instance,
            "errors": [each.as_json() for each in self.errors],
        }

    def response(self, instance: str) -> Response:
        """The answer."""
        return Response(self.as_json(instance), status=self.status, headers=self.headers, content_type=f"{MEDIA_TYPE}")


def problem_details(exc: Exception, context: dict[str, Any]) -> Response:
    """Any exception of a REST view as a problem; what nobody foresaw is logged and answered without a word about it."""
    set_rollback()
    request = context.get("request")
    return problem_of(exc).response(request.path if request else "")


def problem_of(exc: Exception) -> Problem:
    """The problem that an exception means."""
    if isinstance(exc, MediaError):
        return _of_media(exc)
    if isinstance(exc, IntakeError):
        return _of_intake(exc)
    if isinstance(exc, exceptions.APIException):
        return _of_api(exc)
    return _of_django(exc) or _unforeseen(exc)


def _of_media(exc: MediaError) -> Problem:
    limits: dict[str, int | tuple[str, ...]] = {
        "unsupported_format": ACCEPTED_TYPES,
        "side_too_long": settings.IMAGE_MAX_SIDE,
        "too_many_pixels": settings.IMAGE_MAX_PIXELS,
        "too_small": settings.IMAGE_MIN_SIDE,
    }
    status = _MEDIA_STATUS.get(exc.code, 422)
    headers = {"Retry-After": "10"} if status == 503 else {}
    told = FieldProblem("file", exc.code, exc.message, limits.get(exc.code))
    return Problem(status, exc.code, exc.message, (told,), headers)


def _of_intake(exc: IntakeError) -> Problem:
    status = 422 if isinstance(exc, IdempotencyMismatch) else _INTAKE_STATUS.get(exc.code, 400)
    told = FieldProblem(exc.field, exc.code, exc.message, exc.limit)
    return Problem(status, exc.code if status != 400 else "invalid", exc.message, (told,))


def _of_api(exc: exceptions.APIException) -> Problem:
    headers = {}
    if header := getattr(exc, "auth_header", ""):
        headers["WWW-Authenticate"] = header
    if (seconds := getattr(exc, "wait", None)) is not None:
        headers["Retry-After"] = str(math.ceil(seconds))
    if isinstance(exc, exceptions.ValidationError):
        told = tuple(_fields(exc.get_full_details()))
        return Problem(400, "invalid", "The request has inputs that cannot be used.", told, headers)
    code = str(exc.default_code)
    told = ()
    if isinstance(exc, exceptions.UnsupportedMediaType):
        told = (FieldProblem("Content-Type", code, str(exc.detail), FORM_TYPES),)
    return Problem(exc.status_code, code, str(exc.detail), told, headers)


def _of_django(exc: Exception) -> Problem | None:
    if isinstance(exc, Http404):
        return Problem(404, "not_found", "There is nothing of that name here.")
    if isinstance(exc, PermissionDenied):
        return Problem(403, "permission_denied", "This is not permitted.")
    if isinstance(exc, RequestDataTooBig):
        return Problem(413, "too_large", "The request is larger than is accepted.")
    if isinstance(exc, UnreadablePostError):
        return Problem(400, "cut_short", "The request ended before all of it had come.")
    if isinstance(exc, SuspiciousOperation):
        return Problem(400, "bad_request", "The request cannot be read.")
    if isinstance(exc, OperationalError | InterfaceError | BotoCoreError | ClientError | OSError):
        logger.error("the database or the storage did not answer", exc_info=exc)
        return Problem(503, "unavailable", "The service cannot answer now; try again.", (), {"Retry-After": "5"})
    return None


def _unforeseen(exc: Exception) -> Problem:
    logger.error("unforeseen error in the REST API", exc_info=exc)
    return Problem(500, "internal", "Something went wrong here; it has been logged.")


def _fields(details: Any, path: str = "") -> Iterator[FieldProblem]:
    """DRF's nested details as a flat list; a field inside a field is named `outer.inner`."""
    if isinstance(details, dict) and set(details) == {"message", "code"} and not isinstance(details["message"], dict):
        yield FieldProblem(path, str(details["code"]), str(details["message"]))
    elif isinstance(details, dict):
        for name, inner in details.items():
            deeper = "" if name == "non_field_errors" else str(name)
            yield from _fields(inner, ".".join(part for part in (path, deeper) if part))
    else:
        for inner in details:
            yield from _fields(inner, path)
