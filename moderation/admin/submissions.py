"""What was sent, what was seen in it and what was said of it: all of it to be read, none of it to be changed."""

from uuid import UUID

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html

from moderation import handoff
from moderation.admin.scoping import ReadOnly, ReadOnlyInline
from moderation.models import Analysis, ContentType, Detection, Submission, Verdict

SHA256_HEX = 64


@admin.register(Submission)
class SubmissionAdmin(ReadOnly[Submission]):
    """Submissions, with labels, verdicts and review on one page."""

    list_display = ("name", "status", "source", "policy", "external_id", "created_at")
    list_display_links = ("name",)
    list_filter = ("status", "source", "policy", "created_at")
    list_select_related = ("account", "policy")
    search_fields = ("filename",)
    search_help_text = "Submission id, external id, SHA-256 of the file, or the beginning of its name."
    sortable_by = ("created_at",)
    fieldsets = (
        (None, {"fields": ("status", "page", "policy", "source", "sent_by", "external_id", "metadata")}),
        ("File", {"fields": ("filename", "media_format", "dimensions", "media_size", "media_digest", "is_kept")}),
        ("Labels", {"fields": ("labels",)}),
        ("Verdicts", {"fields": ("verdict_history",)}),
        ("Review", {"fields": ("review",)}),
        ("Times", {"fields": ("created_at", "settled_at")}),
    )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Submission], search_term: str
    ) -> tuple[QuerySet[Submission], bool]:
        """By id, digest or external id where the term is one; else, unindexed, by the beginning of the name."""
        term = search_term.strip()
        if not term or "\0" in term:
            return super().get_search_results(request, queryset, term)
        if (pk := _uuid(term)) is not None:
            return queryset.filter(Q(pk=pk) | Q(external_id=term)), False
        if len(term) == SHA256_HEX:
            return queryset.filter(Q(media_digest=term.lower()) | Q(external_id=term)), False
        named = queryset.filter(external_id=term)
        return (named if named.exists() else queryset.filter(filename__istartswith=term)), False

    @admin.display(description="submission", ordering="created_at")
    def name(self, submission: Submission) -> str:
        """The file's name and the beginning of the id."""
        return str(submission)

    @admin.display(description="picture")
    def page(self, submission: Submission) -> str:
        """The way to the product's own page, where the picture is veiled first."""
        return format_html('<a href="{}">Open its page</a>', reverse("submission", args=[submission.pk]))

    @admin.display(description="sent by")
    def sent_by(self, submission: Submission) -> str:
        """The person or the key."""
        return str(submission.uploader or submission.access_key or "-")

    @admin.display(description="pixels")
    def dimensions(self, submission: Submission) -> str:
        """Width and height, after orientation."""
        return f"{submission.width} \N{MULTIPLICATION SIGN} {submission.height}"

    @admin.display(boolean=True, description="file kept")
    def is_kept(self, submission: Submission) -> bool:
        """Whether the bytes are still there."""
        return submission.blob is not None

    def labels(self, submission: Submission) -> str:
        """What the newest analysis emitted."""
        analyses = submission.analyses.prefetch_related("detections", "content_types").order_by("-pk")
        return render_to_string("admin/moderation/submission/labels.html", {"analysis": analyses.first()})

    @admin.display(description="verdicts")
    def verdict_history(self, submission: Submission) -> str:
        """Every verdict, newest first, with the version of the policy it followed from."""
        verdicts = submission.verdicts.select_related("policy_version__policy", "decided_by")
        return render_to_string("admin/moderation/submission/verdicts.html", {"verdicts": verdicts})

    def review(self, submission: Submission) -> str:
        """What people do or did with it."""
        described = handoff.door().describe(submission) or {}
        rows = [(name.replace("_", " "), _in_words(value)) for name, value in described.items()]
        return render_to_string("admin/moderation/submission/review.html", {"rows": rows})


class DetectionInline(ReadOnlyInline[Detection, Analysis], admin.TabularInline[Detection, Analysis]):
    """The labels that were emitted."""

    model = Detection
    fields = ("label", "parent", "confidence", "boxes")


class ContentTypeInline(ReadOnlyInline[ContentType, Analysis], admin.TabularInline[ContentType, Analysis]):
    """The content types that were emitted."""

    model = ContentType
    fields = ("name", "confidence")


@admin.register(Analysis)
class AnalysisAdmin(ReadOnly[Analysis]):
    """Runs of the engine, with the whole score vector."""

    account_path = "submission__account"
    list_display = ("id", "submission", "status", "attempt", "engine", "error_code", "created_at", "finished_at")
    list_filter = ("status",)
    list_select_related = ("submission",)
    search_fields = ("=submission__pk",)
    sortable_by = ()
    inlines = (DetectionInline, ContentTypeInline)
    fields = (
        "submission",
        "policy_version",
        ("status", "attempt", "lease_expires_at"),
        ("error_code", "error_message"),
        ("engine", "heads", "calibration", "moderation_model"),
        ("created_at", "started_at", "finished_at"),
        "all_scores",
    )

    @admin.display(description="scores")
    def all_scores(self, analysis: Analysis) -> str:
        """Every label the engine supports, emitted or not."""
        labels: dict[str, float] = analysis.scores.get("labels", {})
        surest_first = sorted(labels.items(), key=lambda item: -item[1])
        return render_to_string("admin/moderation/analysis/scores.html", {"labels": surest_first})

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Analysis], search_term: str
    ) -> tuple[QuerySet[Analysis], bool]:
        """By submission."""
        term = search_term.strip()
        return (queryset.filter(submission=_uuid(term)) if term else queryset), False


@admin.register(Verdict)
class VerdictAdmin(ReadOnly[Verdict]):
    """Answers, by policy and by people."""

    account_path = "submission__account"
    list_display = ("id", "submission", "outcome", "source", "policy_version", "decided_by", "created_at")
    list_filter = ("outcome", "source")
    list_select_related = ("submission", "policy_version__policy", "decided_by")
    search_fields = ("=submission__pk",)
    sortable_by = ()

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Verdict], search_term: str
    ) -> tuple[QuerySet[Verdict], bool]:
        """By submission."""
        term = search_term.strip()
        return (queryset.filter(submission=_uuid(term)) if term else queryset), False


def _in_words(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "-" if value is None else str(value)


def _uuid(term: str) -> UUID | None:
    try:
        return UUID(term)
    except ValueError:
        return None
