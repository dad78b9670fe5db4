"""Human loops and what belongs to them: to be looked at; the one thing to do is to stop a loop."""

import json
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from moderation.admin.scoping import ReadOnly, ReadOnlyInline
from reviews import loops
from reviews.models import Decision, GroundTruth, HumanLoop, Refusal, ReviewTask, Routing


def link(row: Model | None) -> SafeString | str:
    """A row's name as the way to its page."""
    if row is None:
        return "-"
    address = reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])
    return format_html('<a href="{}">{}</a>', address, row)


def pretty(data: object) -> SafeString:
    """JSON to be read."""
    return format_html("<pre>{}</pre>", json.dumps(data, indent=2, ensure_ascii=False))


def who(refusal: Refusal) -> str:
    """Who passed on an item.  'Affects me' is never counted against anyone, so nobody is named for it."""
    return "-" if refusal.reason == Refusal.Reason.AFFECTS_ME else str(refusal.reviewer)


class SeatInline(ReadOnlyInline[ReviewTask, HumanLoop], admin.TabularInline[ReviewTask, HumanLoop]):
    """The seats of a loop."""

    model = ReviewTask
    verbose_name_plural = "seats"
    fields = ("kind", "state", "reviewer", "token", "claimed_at", "opened_at", "lease_expires_at", "answered_at")
    readonly_fields = fields
    show_change_link = True

    def get_queryset(self, request: HttpRequest) -> "QuerySet[ReviewTask]":
        """With who holds them."""
        return super().get_queryset(request).select_related("reviewer", "loop")


class DecisionInline(ReadOnlyInline[Decision, HumanLoop], admin.TabularInline[Decision, HumanLoop]):
    """The answers given, corrections and undone ones too."""

    model = Decision
    fields = ("reviewer", "outcome", "labels", "comment", "withdrawn", "submitted_at", "seconds_spent")
    readonly_fields = fields
    show_change_link = True

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Decision]":
        """With who gave them."""
        return super().get_queryset(request).select_related("reviewer")


class RefusalInline(ReadOnlyInline[Refusal, HumanLoop], admin.TabularInline[Refusal, HumanLoop]):
    """Who passed on the item, and why."""

    model = Refusal
    fields = ("who", "reason", "created_at")
    readonly_fields = fields

    @admin.display(description="reviewer")
    def who(self, refusal: Refusal) -> str:
        """The reviewer, unless it is nobody's business."""
        return who(refusal)


class TruthInline(ReadOnlyInline[GroundTruth, HumanLoop], admin.TabularInline[GroundTruth, HumanLoop]):
    """What came of it."""

    model = GroundTruth
    verbose_name_plural = "ground truth"
    fields = ("outcome", "present", "absent", "undecided", "by_lead", "created_at")
    readonly_fields = fields
    show_change_link = True


@admin.register(HumanLoop)
class HumanLoopAdmin(ReadOnly[HumanLoop]):
    """Items before people."""

    list_display = ("name", "flow", "status", "answers", "created_at", "completed_at", "settled_at")
    list_filter = ("status", "flow")
    list_select_related = ("flow",)
    search_fields = ("=name", "name__startswith")
    ordering = ("-pk",)
    inlines = (SeatInline, DecisionInline, RefusalInline, TruthInline)
    actions = ("stop_selected",)
    fieldsets = (
        (None, {"fields": ("name", "flow_link", "status", "region", "failure_code", "failure_reason")}),
        ("The item", {"fields": ("submission_link", "analysis_link", "labels", "content")}),
        ("How it came here", {"fields": ("routing_link", "reasons", "probability")}),
        ("Time", {"fields": ("created_at", "due_at", "available_until", "completed_at", "settled_at", "deleted_at")}),
        ("Output", {"fields": ("output_uri", "content_classifiers", "input_digest")}),
    )

    def get_queryset(self, request: HttpRequest) -> "QuerySet[HumanLoop]":
        """With what the page names."""
        rows = super().get_queryset(request)
        return rows.select_related("flow", "submission", "analysis", "routing__analysis", "routing__flow", "account")

    @admin.display(description="wanted answers")
    def answers(self, loop: HumanLoop) -> int:
        """How many people are asked."""
        return loop.task_count

    @admin.display(description="flow definition")
    def flow_link(self, loop: HumanLoop) -> SafeString | str:
        """The way to the flow."""
        return link(loop.flow)

    @admin.display(description="submission")
    def submission_link(self, loop: HumanLoop) -> SafeString | str:
        """The way to the submission."""
        return link(loop.submission)

    @admin.display(description="analysis")
    def analysis_link(self, loop: HumanLoop) -> SafeString | str:
        """The way to the analysis."""
        return link(loop.analysis)

    @admin.display(description="routing")
    def routing_link(self, loop: HumanLoop) -> SafeString | str:
        """The way to the routing; a loop begun by hand has none."""
        return link(loop.routing)

    @admin.display(description="reasons")
    def reasons(self, loop: HumanLoop) -> str:
        """Why it began."""
        if loop.routing is None:
            return "Started by a call"
        why = ", ".join(map(str, loop.routing.reasons)) or "-"
        return f"{why} (by sampling alone)" if loop.routing.random_only else why

    @admin.display(description="inclusion probability")
    def probability(self, loop: HumanLoop) -> str:
        """The chance that such an item reaches people."""
        return "-" if loop.routing is None else f"{loop.routing.inclusion_probability:.4g}"

    @admin.display(description="labels asked about")
    def labels(self, loop: HumanLoop) -> SafeString:
        """What the true conditions matched."""
        return pretty(loop.selected_labels)

    @admin.display(description="input content")
    def content(self, loop: HumanLoop) -> SafeString:
        """What the output file repeats."""
        return pretty(loop.input_content)

    @admin.action(description="Stop selected human loops")
    def stop_selected(self, request: HttpRequest, queryset: "QuerySet[HumanLoop]") -> HttpResponse | None:
        """Ask first: answers that are still wanted will not be taken any more."""
        if not request.POST.get("confirmed"):
            context = {
                **self.admin_site.each_context(request),
                "title": "Stop human loops",
                "opts": self.opts,
                "loops": queryset.filter(status__in=HumanLoop.OPEN),
            }
            return TemplateResponse(request, "admin/reviews/humanloop/stop.html", context)
        stopped = [loop for loop in queryset if _stop(loop)]
        for loop in stopped:
            self.log_change(request, loop, "Stopped.")
        self.message_user(request, f"{len(stopped)} stopped.", messages.SUCCESS)
        return None


def _stop(loop: HumanLoop) -> bool:
    try:
        loops.stop(loop.pk)
    except loops.LoopFinished:
        return False
    return True


class OfLoop(ReadOnly[Any]):
    """A row that hangs on a loop."""

    account_path = "loop__account"
    list_select_related: ClassVar[tuple[str, ...]] = ("loop", "reviewer")
    search_fields: ClassVar[tuple[str, ...]] = ("=loop__name", "reviewer__username")


@admin.register(ReviewTask)
class ReviewTaskAdmin(OfLoop):
    """Seats."""

    list_display = ("__str__", "queue", "kind", "state", "reviewer", "priority", "due_at", "lease_expires_at")
    list_filter = ("state", "kind", "queue")
    list_select_related = ("loop", "reviewer", "queue")


@admin.register(Decision)
class DecisionAdmin(OfLoop):
    """Answers."""

    list_display = ("id", "loop", "reviewer", "outcome", "labels", "withdrawn", "submitted_at", "seconds_spent")
    list_filter = ("outcome", "withdrawn", "reviewer")
    ordering = ("-submitted_at", "pk")


@admin.register(Refusal)
class RefusalAdmin(OfLoop):
    """Skips."""

    list_display = ("loop", "who", "reason", "created_at")
    list_filter = ("reason",)
    search_fields = ("=loop__name",)
    fields = ("loop", "who", "reason", "created_at")
    ordering = ("-pk",)

    @admin.display(description="reviewer")
    def who(self, refusal: Refusal) -> str:
        """The reviewer, unless it is nobody's business."""
        return who(refusal)


@admin.register(Routing)
class RoutingAdmin(ReadOnly[Routing]):
    """What flows made of analyses, also of those that nobody saw."""

    account_path = "flow__account"
    list_display = ("analysis", "flow", "activated", "reasons", "inclusion_probability", "random_only", "created_at")
    list_filter = ("activated", "random_only", "flow")
    list_select_related = ("analysis", "flow")
    fields = (
        *("analysis", "flow", "flow_version", "policy_version", "activated", "reasons", "inclusion_probability"),
        *("random_only", "min_confidence", "evaluation", "draws", "created_at"),
    )

    @admin.display(description="conditions with results")
    def evaluation(self, routing: Routing) -> SafeString:
        """The trace."""
        return pretty(routing.trace)

    @admin.display(description="draws")
    def draws(self, routing: Routing) -> SafeString:
        """Each sampling draw."""
        return pretty(routing.sampling)
