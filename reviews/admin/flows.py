"""Flow definitions: which results go to people, and to whom."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from moderation.admin.scoping import AccountScoped
from reviews.admin.flow_form import FlowForm
from reviews.admin.teams import NamedInAws
from reviews.conditions import parse, warnings
from reviews.models import FlowDefinition, HumanLoop


@admin.register(FlowDefinition)
class FlowDefinitionAdmin(NamedInAws, AccountScoped[FlowDefinition]):
    """Flow definitions, with a preview of what their conditions would have sent."""

    form = FlowForm
    change_form_template = "admin/reviews/flowdefinition/change_form.html"
    list_display = ("name", "request_source", "work_team", "queue", "task_count", "status", "version", "open_loops")
    list_filter = ("status", "request_source", "work_team", "queue")
    list_select_related = ("work_team", "queue")
    search_fields = ("name",)
    filter_horizontal = ("policies",)
    fieldsets = (
        (None, {"fields": ("account", "name", "region", "request_source", "status", "failure_reason")}),
        (
            "When people look",
            {
                "fields": ("conditions", "policies", "version"),
                "description": "Either way opens a human loop: an activation condition that holds, "
                "or one of these policies answering 'review'.",
            },
        ),
        ("Who looks", {"fields": ("work_team", "queue", "task_count")}),
        (
            "The task",
            {
                "fields": (
                    *("task_title", "task_description", "task_keywords", "human_task_ui", "human_task_ui_arn"),
                    *("task_time_limit_seconds", "task_availability_lifetime_seconds"),
                )
            },
        ),
        ("Where the answers go", {"fields": ("output_path", "kms_key_id", "role_arn")}),
        ("Record", {"fields": ("created_at", "loops")}),
    )
    readonly_fields = ("status", "failure_reason", "version", "created_at", "loops")

    class Media:
        css = {"all": ("css/review-admin.css",)}

    def get_queryset(self, request: HttpRequest) -> "QuerySet[FlowDefinition]":
        """With the number of loops in hand."""
        in_hand = Count("human_loops", filter=Q(human_loops__status__in=HumanLoop.OPEN))
        return super().get_queryset(request).annotate(in_hand=in_hand)

    def save_model(self, request: HttpRequest, obj: FlowDefinition, form: Any, change: bool) -> None:
        """Save, and say what is odd about the conditions: odd is allowed."""
        super().save_model(request, obj, form, change)
        for warning in warnings(parse(obj.conditions)) if obj.conditions else ():
            self.message_user(request, warning, messages.WARNING)

    @admin.display(ordering="in_hand", description="open loops")
    def open_loops(self, flow: FlowDefinition) -> int:
        """How many items are before people."""
        return int(flow.in_hand)  # type: ignore[attr-defined]  # annotated above

    @admin.display(description="human loops")
    def loops(self, flow: FlowDefinition) -> SafeString:
        """The way to its loops."""
        url = f"{reverse('admin:reviews_humanloop_changelist')}?flow__id__exact={flow.pk}"
        return format_html('<a href="{}">Show the loops of this flow</a>', url)
