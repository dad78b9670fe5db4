"""What the OpenAPI document says beside what the serializers say: errors, headers, examples."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse
from rest_framework import serializers

from moderation.api.auth import BearerAuthentication
from moderation.api.errors import MEDIA_TYPE, FieldProblem, Problem
from moderation.api.serializers import SubmissionShown

_EXAMPLE = Problem(
    415,
    "unsupported_format",
    "The file is none of the accepted formats: JPEG, PNG.",
    (FieldProblem("file", "unsupported_format", "The file is none of …", ("image/jpeg", "image/png")),),
)


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the OpenAPI document describes the tokens."""

    target_class = BearerAuthentication
    name = "token"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        """HTTP bearer."""
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "The `Token` that `manage.py access_key create` prints.",
        }


class ProblemErrors(serializers.Serializer[Any]):
    """What is wrong with one input."""

    field = serializers.CharField(help_text="As the sender named it; `outer.inner` for a part of it.")
    code = serializers.CharField(help_text="Stable.")
    message = serializers.CharField()
    limit = serializers.JSONField(
        required=False, help_text="The bound that was broken, or the list of what is accepted."
    )


class ProblemDetails(serializers.Serializer[Any]):
    """RFC 9457."""

    type = serializers.CharField(help_text="`urn:second-look:problem:CODE`; the code is stable.")
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    instance = serializers.CharField(help_text="The path that was asked for.")
    errors = ProblemErrors(many=True)  # type: ignore[assignment]  # a field of that name


_WHEN = {
    400: "An input cannot be used; `errors` names it.",
    401: "No token, or one that opens nothing.",
    403: "The key's policy, or its person's role, does not allow it.",
    404: "Not there, or not yours.",
    411: "No Content-Length: bodies sent in chunks are not read.",
    413: "The file is larger than is accepted.",
    415: "Not multipart/form-data, or a file that is neither JPEG nor PNG.",
    422: "A picture that cannot be used (damaged, too large or too small in pixels), or an Idempotency-Key that came "
    "before with another request.",
    429: "Above the rate limit; Retry-After says how many seconds to wait.",
    503: "Not now; try again.",
}


def problems(*statuses: int) -> dict[tuple[int, str], OpenApiResponse]:
    """The error answers of an operation, with those that every operation has."""
    example = OpenApiExample("Not a picture", value=_EXAMPLE.as_json("/api/v1/submissions/"))
    return {
        (status, MEDIA_TYPE): OpenApiResponse(ProblemDetails, _WHEN[status], [example] if status == 415 else [])
        for status in sorted({401, 403, 429, 503, *statuses})
    }


IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description="Your name for this request, at most 255 characters. Sent again with the same request, it gets the "
    "same submission; with another one, 422.",
)
REPLAYED = OpenApiParameter(
    "Idempotency-Replayed",
    OpenApiTypes.BOOL,
    OpenApiParameter.HEADER,
    description="true when the submission had come before under this Idempotency-Key.",
    response=[200, 202],
)
LOCATION = OpenApiParameter(
    "Location", OpenApiTypes.URI, OpenApiParameter.HEADER, description="The submission.", response=[200, 202]
)


def _shown(status: str, **more: Any) -> dict[str, Any]:
    pk = "6f0d7c1e-8f3b-4a53-9a63-0c9f3f1f2b11"
    return {
        "id": pk,
        "status": status,
        "url": f"http://127.0.0.1:8000/api/v1/submissions/{pk}/",
        "source": "rest",
        "external_id": "order-1042",
        "filename": "photo.jpg",
        "policy": "default",
        "media": {
            "kind": "image",
            "format": "JPEG",
            "width": 1600,
            "height": 1200,
            "size": 284113,
            "sha256": "9c56cc51b374c3ba189210d5b6d4bf57790d351c96c47c02190ecf1e430635ab",
        },
        "created_at": "2026-11-20T16:05:01.123456Z",
        "settled_at": None,
        "metadata": {"shop": 7},
        "labels": [],
        "content_types": [],
        "verdict": None,
        "verdicts": [],
        "review": None,
        "model": None,
        "error": None,
        **more,
    }


_RULE = {"label": "Weapons", "min_confidence": 80.0, "max_confidence": None, "outcome": "review"}
_VERDICT = {
    "outcome": "review",
    "source": "policy",
    "because": [{"label": "Weapons", "confidence": 96.2, "rule": _RULE}],
    "policy": "default",
    "policy_version": 1,
    "decided_at": "2026-11-20T16:05:02.456789Z",
}
_LABELS = [
    {"name": "Weapons", "parent": "Violence", "level": 2, "confidence": 96.2, "boxes": [], "timestamp_ms": None},
    {"name": "Violence", "parent": "", "level": 1, "confidence": 96.2, "boxes": [], "timestamp_ms": None},
]

QUEUED = OpenApiResponse(
    SubmissionShown,
    "Accepted; ask its address for the answer.",
    [OpenApiExample("Queued", value=_shown("queued"), response_only=True)],
)
ANSWERED = OpenApiResponse(
    SubmissionShown,
    "The machine has answered (the status is neither queued nor analyzing; in_review waits for people).",
    [
        OpenApiExample(
            "In review",
            value=_shown("in_review", labels=_LABELS, verdict=_VERDICT, verdicts=[_VERDICT]),
            response_only=True,
        )
    ],
)
