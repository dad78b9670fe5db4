"""Who changed what in these pages."""

from django.contrib import admin

from moderation.admin.scoping import ReadOnly
from moderation.models import AuditEntry


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnly[AuditEntry]):
    """The record; each entry belongs to the account of whoever acted."""

    account_path = "user__account"
    list_display = ("action_time", "user", "content_type", "object_repr", "action", "message")
    list_filter = ("action_flag", "action_time")
    list_select_related = ("user", "content_type")
    search_fields = ("object_repr", "=object_id", "=user__username")
    sortable_by = ()
    fields = ("action_time", "user", "content_type", "object_id", "object_repr", "action", "message")

    @admin.display(description="action")
    def action(self, entry: AuditEntry) -> str:
        """Added, changed or deleted."""
        return entry.get_action_flag_display()

    @admin.display(description="what")
    def message(self, entry: AuditEntry) -> str:
        """The change in words."""
        return entry.get_change_message()
