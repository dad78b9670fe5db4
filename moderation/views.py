"""The pages of the moderation app: landing, upload, submissions."""

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotAllowed, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe

from moderation import handoff, snippets, uploads
from moderation.aws.endpoint import speaks_aws
from moderation.derivatives import Variant
from moderation.forms import SubmissionFilter, UploadForm
from moderation.media import media_url
from moderation.models import Submission, User
from moderation.models.submission import SubmissionQuerySet
from moderation.permissions import READS, UPLOADS, PersonRequest, only, readable

View = Callable[..., HttpResponseBase]

RECENT = 8
WORKING = (Submission.Status.QUEUED, Submission.Status.ANALYZING)
# The first picture of a page is always the veiled one; these are shown when asked for.
REVEALED = {variant.value: variant for variant in (Variant.FULL, Variant.GREY)}


def root(aws: View) -> View:
    """The view at `/`: AWS clients reach `aws`, browsers the landing page."""

    @csrf_exempt
    def dispatch(request: HttpRequest) -> HttpResponseBase:
        if speaks_aws(request):
            return aws(request)
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
        return landing(request)

    return dispatch


@never_cache
def landing(request: HttpRequest) -> HttpResponse:
    """What this is, the ways in, and what happened lately."""
    context: dict[str, object] = {"snippets": snippets.for_host(request.build_absolute_uri("/"), settings.REGION)}
    user = request.user
    if isinstance(user, User) and user.has_role(*READS):
        submissions = readable(user)
        context["recent"] = _with_thumbnails(user, list(_listed(submissions)[:RECENT]))
        context["counts"] = _counts(submissions)
    return render(request, "moderation/landing.html", context)


@only(*UPLOADS)
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def upload(request: PersonRequest) -> HttpResponse:
    """Hand pictures in.  A form for browsers; to `Accept: application/json` one JSON answer for the files sent."""
    if request.method != "POST":
        return render(request, "moderation/upload.html", {"form": UploadForm(request.user.account), **_limits()})
    form = UploadForm(request.user.account, request.POST, request.FILES)
    sent = uploads.receive(request.user, form) if form.is_valid() else []
    taken = [each.submission for each in sent if each.submission]
    failed = not sent or len(taken) < len(sent)
    if request.get_preferred_type(["text/html", "application/json"]) == "application/json":
        answers = [_upload_json(each) for each in sent]
        return JsonResponse({"files": answers, "errors": form.errors}, status=400 if failed else 201)
    if not failed and len(sent) == 1:
        return redirect("submission", taken[0].pk)
    again = form if form.errors else UploadForm(request.user.account)
    context = {"form": again, "sent": sent, **_limits()}
    return render(request, "moderation/upload.html", context, status=400 if failed else 200)


@only(*READS)
@never_cache
@require_safe
def submissions(request: PersonRequest) -> HttpResponse:
    """What was handed in, newest first, by status and name."""
    wanted = SubmissionFilter(request.GET)
    rows, cursor = wanted.page(_listed(readable(request.user)))
    query = request.GET.copy()
    query["cursor"] = str(cursor)
    context = {
        "form": wanted,
        "rows": _with_thumbnails(request.user, rows),
        "next": query.urlencode() if cursor else "",
        "filtered": any(request.GET.get(name) for name in ("q", "status")),
        "paged": bool(request.GET.get("cursor")),
    }
    return render(request, "moderation/submissions.html", context, status=400 if wanted.errors else 200)


@only(*READS)
@never_cache
@require_safe
def submission(request: PersonRequest, pk: UUID) -> HttpResponse:
    """One submission: the picture, veiled until asked for; what was found; who judged it, and by which rules."""
    found = get_object_or_404(_detailed(readable(request.user)), pk=pk)
    shown = REVEALED.get(request.GET.get("show", ""), Variant.VEILED)
    analysis = found.latest_analysis()
    context = {
        "submission": found,
        "analysis": analysis,
        "verdicts": found.verdicts.select_related("policy_version__policy", "decided_by"),
        "review": handoff.door().describe(found),
        "shown": shown,
        "picture": media_url(request.user, found, shown) if found.blob else "",
        "working": found.status in WORKING,
    }
    return render(request, "moderation/submission.html", context)


@only(*READS)
@never_cache
@require_safe
def submission_picture(request: PersonRequest, pk: UUID, variant: str) -> HttpResponse:
    """The way to the unveiled picture: a fresh signed address, made when somebody asks to see it."""
    found = get_object_or_404(readable(request.user), pk=pk, blob__isnull=False)
    if variant not in REVEALED:
        raise Http404
    return redirect(media_url(request.user, found, REVEALED[variant]))


@only(*READS)
@never_cache
@require_safe
def submission_status(request: PersonRequest, pk: UUID) -> JsonResponse:
    """Where a submission stands, for pages that wait for it: its status, whether work goes on, the result as HTML."""
    found = get_object_or_404(_detailed(readable(request.user)), pk=pk)
    context = {"submission": found, "analysis": found.latest_analysis()}
    return JsonResponse(
        {
            "id": str(found.pk),
            "status": found.status,
            "working": found.status in WORKING,
            "result": render_to_string("moderation/_result.html", context, request),
        }
    )


def _limits() -> dict[str, int]:
    return {
        "max_bytes": settings.UPLOAD_MAX_BYTES,
        "min_side": settings.IMAGE_MIN_SIDE,
        "max_side": settings.IMAGE_MAX_SIDE,
    }


def _detailed(submissions: SubmissionQuerySet) -> SubmissionQuerySet:
    return submissions.select_related("account", "blob", "policy", "uploader", "access_key")


def _listed(submissions: SubmissionQuerySet) -> SubmissionQuerySet:
    return _detailed(submissions).prefetch_related("analyses__detections").order_by("-created_at", "-pk")


def _with_thumbnails(user: User, rows: list[Submission]) -> list[dict[str, object]]:
    return [
        {"submission": row, "thumbnail": media_url(user, row, Variant.THUMB_VEILED) if row.blob_id else ""}
        for row in rows
    ]


def _counts(submissions: SubmissionQuerySet) -> dict[str, int]:
    """How many came in during the last day, by status."""
    since = timezone.now() - timedelta(days=1)
    rows = submissions.filter(created_at__gte=since).order_by().values("status").annotate(number=Count("pk"))
    return {row["status"]: row["number"] for row in rows}


def _upload_json(sent: uploads.Sent) -> dict[str, object]:
    if sent.submission is None:
        return {"filename": sent.filename, "error": {"code": sent.code, "message": sent.error}}
    pk = sent.submission.pk
    return {
        "filename": sent.filename,
        "id": str(pk),
        "url": reverse("submission", args=[pk]),
        "status_url": reverse("submission-status", args=[pk]),
    }
