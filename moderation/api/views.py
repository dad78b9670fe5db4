"""The REST face: translates requests into calls and rows into JSON."""

import hashlib
import json
from functools import cache
from typing import Any, TypeVar
from uuid import UUID

from django.conf import settings
from django.http import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.utils.cache import get_conditional_response
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.renderers import (
    OpenApiJsonRenderer,
    OpenApiJsonRenderer2,
    OpenApiYamlRenderer,
    OpenApiYamlRenderer2,
)
from drf_spectacular.utils import OpenApiResponse, extend_schema
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.exceptions import NotFound
from rest_framework.generics import GenericAPIView
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from moderation import intake, taxonomy
from moderation.api import schema
from moderation.api.auth import MayCall, Right, caller_of
from moderation.api.errors import LengthRequired
from moderation.api.filters import SubmissionFilter
from moderation.api.pagination import NewestFirst
from moderation.api.parsers import FormParser
from moderation.api.serializers import Labels, NewSubmission, SubmissionShown, SubmissionSummary, WaitQuery, in_full
from moderation.api.throttling import KeyThrottle
from moderation.api.waiting import is_at_work, wait_for
from moderation.inference import registry
from moderation.inference.types import Evidence
from moderation.intake import IntakeError
from moderation.models import Submission
from moderation.models.submission import SubmissionQuerySet
from moderation.permissions import READS, UPLOADS
from moderation.tasks import moderate

# What a form has besides its file.
FORM_BYTES = 1024 * 1024


class RestView(GenericAPIView[Any]):
    """What all addresses of the REST face share: tokens, rights (`rights` by method), rates."""

    permission_classes = (IsAuthenticated, MayCall)
    throttle_classes = (KeyThrottle,)


class Submissions(RestView):
    """Sending pictures, and the list of what was sent."""

    rights = {
        "GET": Right("ListSubmissions", "submission/*", READS),
        "POST": Right("CreateSubmission", "submission/*", UPLOADS),
    }
    parser_classes = (FormParser,)
    pagination_class = NewestFirst
    filter_backends = (DjangoFilterBackend,)
    filterset_class = SubmissionFilter
    serializer_class = SubmissionSummary

    def get_queryset(self) -> SubmissionQuerySet:
        """What the caller may read."""
        if getattr(self, "swagger_fake_view", False):
            return Submission.objects.none()
        return caller_of(self.request).submissions().select_related("policy")

    @extend_schema(
        operation_id="list_submissions",
        summary="List submissions, the newest first",
        tags=["Submissions"],
        responses={(200, "application/json"): SubmissionSummary(many=True), **schema.problems(400)},
    )
    def get(self, request: Request) -> Response:
        """One page of the submissions that the key may read."""
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    @extend_schema(
        operation_id="create_submission",
        summary="Send a picture",
        parameters=[WaitQuery, schema.IDEMPOTENCY_KEY, schema.LOCATION, schema.REPLAYED],
        request={"multipart/form-data": NewSubmission},
        responses={202: schema.QUEUED, 200: schema.ANSWERED, **schema.problems(400, 411, 413, 415, 422)},
        filters=False,
        tags=["Submissions"],
    )
    def post(self, request: Request) -> Response:
        """Accepts one picture: 202, or 200 when the machine has answered within `wait` seconds."""
        caller = caller_of(request)
        query = _valid(WaitQuery(data=request.query_params))
        _check_length(request)
        form = _valid(NewSubmission(data=request.data, context={"files": request.FILES}))
        wishes = form.wishes(request.headers.get("Idempotency-Key", "").strip())
        accepted = intake.accept(caller.sender(), form.data_of_file(), wishes)
        if not accepted.replayed:
            moderate.delay_on_commit(accepted.analysis.pk)
        pk = accepted.submission.pk
        if query.validated_data["wait"]:
            wait_for(pk, query.validated_data["wait"])
        submission = get_object_or_404(in_full(Submission.objects.of(caller.account)), pk=pk)
        shown = SubmissionShown(submission, context=self.get_serializer_context()).data
        headers = {"Location": shown["url"], "Cache-Control": "no-store"}
        if accepted.replayed:
            headers["Idempotency-Replayed"] = "true"
        return Response(shown, status=202 if is_at_work(submission) else 200, headers=headers)


class OneSubmission(RestView):
    """One submission."""

    rights = {"GET": Right("GetSubmission", "submission/{pk}", READS)}
    serializer_class = SubmissionShown

    @extend_schema(
        operation_id="get_submission",
        summary="Ask for a submission",
        responses={200: SubmissionShown, **schema.problems(404)},
        tags=["Submissions"],
    )
    def get(self, request: Request, pk: UUID) -> Response:
        """Status, labels, verdicts and review of one submission."""
        submission = get_object_or_404(in_full(caller_of(request).submissions()), pk=pk)
        return Response(self.get_serializer(submission).data, headers={"Cache-Control": "no-store"})


class LabelList(RestView):
    """The taxonomy."""

    rights = {"GET": Right("ListLabels", "label/*")}
    serializer_class = Labels

    @extend_schema(
        operation_id="list_labels",
        summary="List all labels of the taxonomy",
        tags=["Labels"],
        responses={200: Labels, 304: OpenApiResponse(description="Unchanged since that ETag."), **schema.problems()},
    )
    def get(self, request: Request) -> HttpResponseBase:
        """Every label and content type, with what the engine's word on it rests on."""
        body, etag = _taxonomy(settings.ENGINE)
        headers = {"Cache-Control": "private, max-age=3600", "ETag": etag}
        fresh = Response(body, headers=headers)
        return get_conditional_response(request._request, etag=etag, response=fresh) or fresh


class Nowhere(APIView):
    """All other addresses below `/api/v1/`."""

    authentication_classes = ()
    permission_classes = ()

    def initial(self, request: Request, *args: object, **kwargs: object) -> None:
        """404, whoever asks and whatever for."""
        raise NotFound("There is nothing at this address; those of the API end with a slash.")


class Schema(SpectacularAPIView):
    """The OpenAPI document, as JSON or with `?format=yaml` as YAML; for everybody."""

    authentication_classes = ()
    permission_classes = ()
    renderer_classes = [OpenApiJsonRenderer, OpenApiYamlRenderer, OpenApiJsonRenderer2, OpenApiYamlRenderer2]


class Docs(SpectacularSwaggerSplitView):
    """The OpenAPI document as a page to read and to try out with a token."""

    authentication_classes = ()
    permission_classes = ()
    url_name = "api-schema"
    template_name = "moderation/api_docs.html"


def _check_length(request: Request) -> None:
    """Refuse a body that must be too large, or is of a size untold, before any of it is read."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    if "Transfer-Encoding" in request.headers and length == "0":
        raise LengthRequired()
    most = settings.UPLOAD_MAX_BYTES
    if length.isdigit() and int(length) > most + FORM_BYTES:
        message = f"The request has {length} bytes; a file may have at most {most}."
        raise IntakeError("too_large", message, "file", most)


SerializerT = TypeVar("SerializerT", bound=Serializer[Any])


def _valid(serializer: SerializerT) -> SerializerT:
    serializer.is_valid(raise_exception=True)
    return serializer


@cache
def _taxonomy(engine: str) -> tuple[dict[str, Any], str]:
    """The body of the label list, and its ETag."""
    evidence = registry.EVIDENCE.get(engine, {})
    figures = registry.FIGURES.get(engine, {})
    shown = Labels(
        {
            "taxonomy_version": taxonomy.VERSION,
            "engine": engine,
            "labels": [
                {
                    "name": label.name,
                    "parent": label.parent,
                    "level": label.level,
                    "description": label.description,
                    "evidence": evidence.get(label.name, Evidence.NOT_DETECTED).value,
                    "figures": figures.get(label.name),
                }
                for label in taxonomy.LABELS.values()
            ],
            "content_types": [
                {"name": name, "evidence": evidence.get(name, Evidence.NOT_DETECTED).value}
                for name in taxonomy.CONTENT_TYPES
            ],
        }
    ).data
    digest = hashlib.sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()
    return dict(shown), f'"{digest[:32]}"'
