"""The record of who changed what in the admin: Django's own log, guarded by the database."""

from django.contrib.admin.models import LogEntry

from moderation.models.append_only import append_only


class AuditEntry(LogEntry):
    """Django's LogEntry; the proxy is where triggers on another app's table are declared."""

    class Meta:
        proxy = True
        verbose_name_plural = "audit entries"
        triggers = append_only()
