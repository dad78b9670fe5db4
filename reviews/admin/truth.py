"""Ground truth: to be looked at, and to be carried away as a file."""

from typing import Any

from django.contrib import admin
from django.http import Http404, HttpRequest, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from moderation.admin.scoping import ReadOnly, operator
from moderation.models import Account
from reviews import ground_truth
from reviews.admin.loops import link, pretty
from reviews.models import GroundTruth


@admin.register(GroundTruth)
class GroundTruthAdmin(ReadOnly[GroundTruth]):
    """What people settled."""

    change_list_template = "admin/reviews/groundtruth/change_list.html"
    list_display = ("submission", "outcome", "present", "by_lead", "inclusion_probability", "counts", "created_at")
    list_filter = ("outcome", "by_lead")
    list_select_related = ("submission", "superseded_by")
    search_fields = ("=submission__id", "=loop__name")
    fields = (
        *("submission_link", "loop_link", "outcome", "present", "absent", "undecided", "by_lead"),
        *("decision_links", "inclusion_probability", "version_list", "supersedes_link", "created_at"),
    )

    def get_urls(self) -> list[URLPattern]:
        """With the way to the files."""
        export = path("export/<str:fmt>/", self.admin_site.admin_view(self.export), name="reviews_groundtruth_export")
        return [export, *super().get_urls()]

    def export(self, request: HttpRequest, fmt: str) -> StreamingHttpResponse:
        """The newest truth of every submission of one account, line by line: POST alone, since it is no page."""
        user = operator(request)
        if user is None or request.method != "POST" or fmt not in ground_truth.FORMATS:
            raise Http404
        accounts = Account.objects.all() if user.is_superuser else Account.objects.filter(pk=user.account_id)
        account = get_object_or_404(accounts, pk=request.POST.get("account", user.account_id))
        what = "truth" if fmt == ground_truth.JSON_LINES else fmt
        name = f"ground-{what}-{account.pk}-{timezone.now():%Y%m%d-%H%M%S}.jsonl"
        return StreamingHttpResponse(
            ground_truth.export(account, fmt),
            content_type="application/jsonl; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"},
        )

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """With the accounts that may be exported."""
        user = operator(request)
        accounts = Account.objects.all() if user and user.is_superuser else [user.account] if user else []
        return super().changelist_view(request, {**(extra_context or {}), "accounts": accounts})

    @admin.display(boolean=True, description="counts")
    def counts(self, truth: GroundTruth) -> bool:
        """Whether no later truth has taken its place."""
        return not hasattr(truth, "superseded_by")

    @admin.display(description="submission")
    def submission_link(self, truth: GroundTruth) -> SafeString | str:
        """The way to the submission."""
        return link(truth.submission)

    @admin.display(description="human loop")
    def loop_link(self, truth: GroundTruth) -> SafeString | str:
        """The way to the loop."""
        return link(truth.loop)

    @admin.display(description="supersedes")
    def supersedes_link(self, truth: GroundTruth) -> SafeString | str:
        """The way to the truth before."""
        return link(truth.supersedes)

    @admin.display(description="decisions")
    def decision_links(self, truth: GroundTruth) -> SafeString:
        """The way to the answers it rests on."""
        return format_html_join(", ", "{}", ((link(each),) for each in truth.decisions.select_related("reviewer")))

    @admin.display(description="versions")
    def version_list(self, truth: GroundTruth) -> SafeString:
        """What judged and routed the item."""
        return pretty(truth.versions)
