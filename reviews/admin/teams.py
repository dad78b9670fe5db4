"""Who reviews: work teams, queues, skills and worker task templates."""

import hashlib
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest

from moderation.admin.scoping import AccountScoped, SameAccountForm
from moderation.models import User
from moderation.permissions import REVIEWS
from reviews.models import HumanTaskUi, ReviewQueue, ReviewTask, Skill, WorkTeam

ANSWERS = Q(is_active=True) & (Q(role__in=REVIEWS) | Q(is_superuser=True))


class NamedInAws:
    """A row whose name and region are part of its ARN: both are settled when it is made."""

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Name and region stand once the row is there."""
        fixed = list(super().get_readonly_fields(request, obj))  # type: ignore[misc]  # mixed into a ModelAdmin
        return [*fixed, "name", "region"] if obj else fixed


class WorkTeamForm(SameAccountForm[WorkTeam]):
    """A team, whose members are people that may review."""

    def clean_members(self) -> "QuerySet[User]":
        """Refuse people whose role opens no review page."""
        members: QuerySet[User] = self.cleaned_data["members"]
        unfit = members.exclude(ANSWERS).values_list("username", flat=True)
        if unfit:
            names = ", ".join(sorted(unfit))
            self.add_error("members", f"Only active reviewers, leads and admins can be in a team, not {names}.")
        return members


@admin.register(WorkTeam)
class WorkTeamAdmin(NamedInAws, AccountScoped[WorkTeam]):
    """Teams and their members."""

    form = WorkTeamForm
    can_delete_rows = True
    list_display = ("name", "region", "people", "description", "updated_at")
    list_filter = ("region",)
    search_fields = ("name", "description")
    filter_horizontal = ("members",)
    fields = ("account", "name", "region", "description", "members", "created_at", "updated_at")
    readonly_fields = ("created_at", "updated_at")

    def get_queryset(self, request: HttpRequest) -> "QuerySet[WorkTeam]":
        """With the number of members."""
        return super().get_queryset(request).annotate(people=Count("members"))

    @admin.display(ordering="people")
    def people(self, team: WorkTeam) -> int:
        """How many are in it."""
        return int(team.people)  # type: ignore[attr-defined]  # annotated above


@admin.register(ReviewQueue)
class ReviewQueueAdmin(AccountScoped[ReviewQueue]):
    """Queues: which line a seat waits in."""

    can_delete_rows = True
    list_display = ("name", "priority", "is_paused", "open_seats", "description")
    list_filter = ("is_paused",)
    search_fields = ("name", "description")
    fields = ("account", "name", "description", "priority", "is_paused", "skills", "created_at")
    readonly_fields = ("created_at",)

    def get_queryset(self, request: HttpRequest) -> "QuerySet[ReviewQueue]":
        """With the number of seats that wait."""
        waiting = Count("tasks", filter=Q(tasks__state=ReviewTask.State.OPEN))
        return super().get_queryset(request).annotate(open_seats=waiting)

    @admin.display(ordering="open_seats", description="waiting")
    def open_seats(self, queue: ReviewQueue) -> int:
        """How many answers are wanted."""
        return int(queue.open_seats)  # type: ignore[attr-defined]  # annotated above


@admin.register(Skill)
class SkillAdmin(AccountScoped[Skill]):
    """What people can judge, for queues that ask for it."""

    account_path = "user__account"
    can_delete_rows = True
    list_display = ("name", "user")
    list_filter = ("name",)
    list_select_related = ("user",)
    search_fields = ("name", "user__username")
    autocomplete_fields = ("user",)


@admin.register(HumanTaskUi)
class HumanTaskUiAdmin(NamedInAws, AccountScoped[HumanTaskUi]):
    """Worker task templates: made and read; a changed template is a new one."""

    list_display = ("name", "region", "content_sha256", "created_at")
    list_filter = ("region",)
    search_fields = ("name",)
    fields: ClassVar = ("account", "name", "region", "content", "content_sha256", "created_at")
    readonly_fields = ("content_sha256", "created_at")

    def get_readonly_fields(self, request: HttpRequest, obj: HumanTaskUi | None = None) -> Any:
        """Flow definitions were made with these very words."""
        return [*super().get_readonly_fields(request, obj), *(["content"] if obj else [])]

    def save_model(self, request: HttpRequest, obj: HumanTaskUi, form: Any, change: bool) -> None:
        """The digest goes with the words."""
        obj.content_sha256 = hashlib.sha256(obj.content.encode()).hexdigest()
        super().save_model(request, obj, form, change)
