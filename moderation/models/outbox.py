"""Effects that must leave the house: rows written with the truth, sent later, at least once."""

import base64
import secrets
import uuid
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import F, Q
from django.utils import timezone

from moderation.encryption import EncryptedTextField
from moderation.models.access import Account
from moderation.models.append_only import append_only

if TYPE_CHECKING:
    from moderation.models.submission import Submission

EVENTS = (
    "submission.approved",
    "submission.rejected",
    "submission.in_review",
    "submission.failed",
    "human_loop.started",
    "human_loop.completed",
    "human_loop.failed",
    "human_loop.stopped",
)


def new_webhook_secret() -> str:
    """A Standard-Webhooks signing secret: `whsec_` and 24 random bytes in base 64."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()


def check_events(events: object) -> None:
    """Refuse event names that are not ours."""
    if not isinstance(events, list) or any(event not in EVENTS for event in events):
        raise ValidationError(f"events must be a list of: {', '.join(EVENTS)}")


class WebhookEndpoint(models.Model):
    """Where an account wants its events; set by admins alone."""

    account = models.ForeignKey(Account, models.PROTECT, related_name="webhooks")
    url = models.URLField(max_length=500)
    secret = EncryptedTextField(default=new_webhook_secret, editable=False)
    events = models.JSONField(default=list, blank=True, validators=[check_events], help_text="Empty: all events.")
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("account", "url")

    def __str__(self) -> str:
        return self.url

    def wants(self, event: str) -> bool:
        """Whether this endpoint asked for the event."""
        return not self.events or event in self.events


class OutboxQuerySet(models.QuerySet["OutboxMessage"]):
    """Messages to be sent, claimed by one sender at a time."""

    def announce(
        self, event: str, submission: "Submission", data: dict[str, Any], not_before: datetime | None = None
    ) -> None:
        """One message for each endpoint of the account that wants the event."""
        body = {
            "submission": str(submission.pk),
            "external_id": submission.external_id,
            "status": submission.status,
            **data,
        }
        self.publish(event, submission.account, body, not_before)

    def publish(self, event: str, account: Account, data: dict[str, Any], not_before: datetime | None = None) -> None:
        """One webhook message for each endpoint of the account that wants the event, in the truth's transaction."""
        now = timezone.now()
        payload = {"type": event, "timestamp": now.isoformat().replace("+00:00", "Z"), "data": data}
        self.bulk_create(
            OutboxMessage(
                account=account,
                endpoint=endpoint,
                kind=OutboxMessage.Kind.WEBHOOK,
                event=event,
                payload=payload,
                not_before=not_before or now,
            )
            for endpoint in WebhookEndpoint.objects.filter(account=account, is_active=True).order_by("pk")
            if endpoint.wants(event)
        )

    def claim(self, limit: int, kind: "OutboxMessage.Kind", lease_seconds: int = 60) -> list["OutboxMessage"]:
        """Take up to `limit` due messages under a lease; others skip them meanwhile."""
        now = timezone.now()
        due = self.filter(kind=kind, status=OutboxMessage.Status.WAITING, not_before__lte=now)
        ids = due.order_by("not_before", "pk").values_list("pk", flat=True)
        with transaction.atomic():
            taken = list(ids.select_for_update(skip_locked=True)[:limit])
            # The lease is a not_before in the future: a sender that dies gives the message back by doing nothing.
            self.filter(pk__in=taken).update(
                not_before=now + timedelta(seconds=lease_seconds), attempts=F("attempts") + 1
            )
        return list(self.filter(pk__in=taken).select_related("endpoint").order_by("pk"))


class OutboxMessage(models.Model):
    """One effect: a webhook to send, an output file to write."""

    class Kind(models.TextChoices):
        """What sends it."""

        WEBHOOK = "webhook", "Webhook"
        REVIEW = "review", "Review effect"

    class Status(models.TextChoices):
        """Where it stands."""

        WAITING = "waiting", "Waiting"
        DELIVERED = "delivered", "Delivered"
        DEAD = "dead", "Given up"
        CANCELLED = "cancelled", "Cancelled"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    account = models.ForeignKey(Account, models.PROTECT, related_name="+")
    endpoint = models.ForeignKey(WebhookEndpoint, models.CASCADE, null=True, blank=True, related_name="messages")
    kind = models.CharField(max_length=10, choices=Kind)
    event = models.CharField(max_length=60)
    payload = models.JSONField()
    status = models.CharField(max_length=10, choices=Status, default=Status.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    not_before = models.DateTimeField(default=timezone.now)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects: ClassVar[OutboxQuerySet] = OutboxQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ("-created_at",)
        indexes = [
            models.Index(fields=["kind", "not_before"], condition=Q(status="waiting"), name="outbox_due"),
            models.Index(fields=["endpoint", "not_before"], condition=Q(status="waiting"), name="outbox_endpoint_due"),
            models.Index(fields=["account", "-created_at"], name="outbox_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.event} {str(self.pk)[:8]}"

    def delivered(self) -> None:
        """Note the success."""
        self._note(status=self.Status.DELIVERED)

    def postpone(self, seconds: float) -> None:
        """Try again after so many seconds, or give up after the last attempt."""
        over = self.attempts >= settings.WEBHOOK_MAX_ATTEMPTS
        self._note(
            status=self.Status.DEAD if over else self.Status.WAITING,
            not_before=timezone.now() + timedelta(seconds=seconds),
        )

    def _note(self, **changes: Any) -> None:
        """Write, unless the lease lapsed and another sender has the message by now: its word counts."""
        ours = OutboxMessage.objects.filter(pk=self.pk, attempts=self.attempts, status=self.Status.WAITING)
        if ours.update(**changes):
            for name, value in changes.items():
                setattr(self, name, value)


class DeliveryAttempt(models.Model):
    """One try at one message, for the delivery log."""

    message = models.ForeignKey(OutboxMessage, models.PROTECT, related_name="deliveries")
    status_code = models.PositiveSmallIntegerField(null=True, blank=True)
    error = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("-pk",)
        triggers = append_only()

    def __str__(self) -> str:
        return f"{self.status_code or self.error}"
