"""One shape for every error."""

from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import OperationalError
from django.http import Http404, UnreadablePostError
from pytest_django import Settings
from rest_framework import exceptions

from moderation.api.errors import problem_details, problem_of
from moderation.decoding import types as media
from moderation.intake import IdempotencyMismatch, IntakeError
from tests import world as w
from tests.world import World, api_client

MEMBERS = {"type", "title", "status", "detail", "instance", "errors"}


def check(answer: Any, status: int, code: str) -> dict[str, Any]:
    """The problem in an answer, after a look at what all problems share."""
    assert answer.status_code == status
    assert answer["Content-Type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert set(problem) == MEMBERS
    assert problem["status"] == status
    assert problem["type"] == f"urn:second-look:problem:{code}"
    assert problem["title"] and problem["detail"]
    assert all({"field", "code", "message"} <= set(each) for each in problem["errors"])
    return problem


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/",
        "/api/v1/nothing",
        "/api/v1/submissions",
        "/api/v1/submissions/17/",
        "/api/v1/labels/x/",
        "/api/v1/é/",
    ],
)
@pytest.mark.parametrize("method", ["get", "post", "delete", "options"])
def test_unknown_addresses(path: str, method: str) -> None:
    problem = check(getattr(api_client(), method)(path), 404, "not_found")
    assert "slash" in problem["detail"]


def test_an_unknown_submission(world: World) -> None:
    path = "/api/v1/submissions/00000000-0000-0000-0000-000000000000/"
    assert check(api_client(world.key).get(path), 404, "not_found")["instance"] == path


def test_methods_that_are_not_served(world: World) -> None:
    answer = api_client(world.key).delete("/api/v1/submissions/")
    check(answer, 405, "method_not_allowed")
    assert set(answer["Allow"].split(", ")) == {"GET", "POST", "HEAD", "OPTIONS"}


def test_formats_that_are_not_served(world: World) -> None:
    check(api_client(world.key).get("/api/v1/labels/", headers={"Accept": "text/csv"}), 406, "not_acceptable")


def test_bodies_that_are_no_form(world: World) -> None:
    answer = api_client(world.key).post("/api/v1/submissions/", "{}", "application/json")
    problem = check(answer, 415, "unsupported_media_type")
    assert problem["errors"][0]["limit"] == ["multipart/form-data"]


def test_no_token(world: World) -> None:
    check(api_client().get("/api/v1/labels/"), 401, "not_authenticated")
    answer = api_client().get("/api/v1/labels/", headers={"Authorization": "Bearer none"})
    check(answer, 401, "authentication_failed")


def test_not_permitted(world: World) -> None:
    check(api_client(world.reviewer_key).get("/api/v1/submissions/"), 403, "permission_denied")


def test_inputs_are_named(world: World) -> None:
    problem = check(api_client(world.key).post("/api/v1/submissions/?wait=31"), 400, "invalid")
    assert [(each["field"], each["code"]) for each in problem["errors"]] == [("wait", "max_value")]
    problem = check(api_client(world.key).post("/api/v1/submissions/"), 400, "invalid")
    assert [(each["field"], each["code"]) for each in problem["errors"]] == [("file", "required")]


def test_too_large(world: World, settings: Settings) -> None:
    settings.UPLOAD_MAX_BYTES = 1000
    answer = api_client(world.key).post("/api/v1/submissions/", {"file": w.upload(bytes(1001))})
    problem = check(answer, 413, "too_large")
    assert problem["errors"] == [
        {
            "field": "file",
            "code": "too_large",
            "message": "The file has 1001 bytes; at most 1000 are accepted.",
            "limit": 1000,
        }
    ]


MEDIA_ERRORS = [
    (media.EmptyMedia("."), 400, None),
    (media.UnsupportedFormat("."), 415, ("image/jpeg", "image/png")),
    (media.CorruptMedia("."), 422, None),
    (media.SideTooLong("."), 422, 10_000),
    (media.TooManyPixels("."), 422, 100_000_000),
    (media.TooSmall("."), 422, 50),
    (media.MediaOutOfMemory("."), 503, None),
]


@pytest.mark.parametrize(("error", "status", "limit"), MEDIA_ERRORS, ids=lambda value: getattr(value, "code", ""))
def test_pictures_that_are_not_taken(error: media.MediaError, status: int, limit: object) -> None:
    problem = problem_of(error)
    assert (problem.status, problem.code) == (status, error.code)
    assert [(each.field, each.limit) for each in problem.errors] == [("file", limit)]


def test_every_media_error_is_known() -> None:
    assert {type(error) for error, _, _ in MEDIA_ERRORS} == set(media.MediaError.__subclasses__())


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (IntakeError("too_large", ".", "file", 5), 413, "too_large"),
        (IntakeError("unknown_policy", ".", "policy"), 400, "invalid"),
        (IdempotencyMismatch("idempotency_mismatch", ".", "Idempotency-Key"), 422, "idempotency_mismatch"),
        (Http404("No Submission matches"), 404, "not_found"),
        (PermissionDenied("secret"), 403, "permission_denied"),
        (RequestDataTooBig("secret"), 413, "too_large"),
        (UnreadablePostError("secret"), 400, "cut_short"),
        (SuspiciousOperation("secret"), 400, "bad_request"),
        (OperationalError("password secret"), 503, "unavailable"),
        (EndpointConnectionError(endpoint_url="http://secret"), 503, "unavailable"),
        (ClientError({"Error": {"Code": "AccessDenied", "Message": "secret"}}, "PutObject"), 503, "unavailable"),
        (OSError(28, "No space left on secret"), 503, "unavailable"),
        (exceptions.ParseError("Malformed."), 400, "parse_error"),
        (exceptions.Throttled(wait=2.5), 429, "throttled"),
        (KeyError("secret"), 500, "internal"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_exceptions_and_what_they_say(error: Exception, status: int, code: str) -> None:
    answer = problem_details(error, {})
    assert (answer.status_code, answer.data["type"]) == (status, f"urn:second-look:problem:{code}")
    assert "secret" not in str(answer.data)


def test_when_to_come_again() -> None:
    assert problem_of(exceptions.Throttled(wait=2.5)).headers["Retry-After"] == "3"
    assert "Retry-After" in problem_of(OperationalError()).headers


def test_nested_fields_are_named_by_their_path() -> None:
    error = exceptions.ValidationError({"outer": [{}, {"inner": ["wrong"]}], "non_field_errors": ["both"]})
    assert [(each.field, each.message) for each in problem_of(error).errors] == [("outer.inner", "wrong"), ("", "both")]


def test_what_nobody_foresaw_is_logged_and_not_told(
    world: World, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.REVIEW_DOOR = "secret_module_that_is_not_there"
    path = f"/api/v1/submissions/{w.send(world.acme).submission.pk}/"
    problem = check(api_client(world.key).get(path), 500, "internal")
    assert "secret" not in str(problem)
    assert "secret_module" in caplog.text
