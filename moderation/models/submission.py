"""What people send: blobs (the bytes), submissions (the asking), verdicts (the answers)."""

import uuid
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Self

from django.contrib.auth.models import AnonymousUser
from django.core.files.storage import default_storage
from django.db import models
from django.db.models import Q
from django.utils import timezone

from moderation.models.access import AccessKey, Account, User
from moderation.models.append_only import append_only
from moderation.models.outbox import OutboxMessage
from moderation.models.policy import Policy, PolicyVersion
from moderation.policies import Judgement, Reason, to_json

if TYPE_CHECKING:
    from moderation.models.analysis import Analysis


class Blob(models.Model):
    """The bytes of a file, once per account; submissions refer to it."""

    account = models.ForeignKey(Account, models.PROTECT, related_name="blobs")
    sha256 = models.CharField(max_length=64)
    size = models.PositiveBigIntegerField()
    media_type = models.CharField(max_length=40)
    name = models.CharField(max_length=200, help_text="The key in the storage.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    wanted_at = models.DateTimeField(
        default=timezone.now, editable=False, help_text="When it was last sent; the sweep lets recent ones be."
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "sha256"], name="blob_unique")]

    def __str__(self) -> str:
        return self.sha256[:12]

    def read(self) -> bytes:
        """The bytes, from the storage; FileNotFoundError or OSError when they are gone."""
        with default_storage.open(self.name) as file:
            return bytes(file.read())


class SubmissionQuerySet(models.QuerySet["Submission"]):
    """Submissions, as far as somebody may see them."""

    def of(self, account: Account) -> Self:
        """Those of one account."""
        return self.filter(account=account)

    def visible_to(self, user: User | AnonymousUser) -> Self:
        """What a person may see: all in the account, uploaders their own alone; superusers cross accounts."""
        if not isinstance(user, User) or not user.is_active:
            return self.none()
        if user.is_superuser:
            return self.all()
        if user.has_role(User.Role.UPLOADER):
            return self.filter(account_id=user.account_id, uploader=user)
        return self.filter(account_id=user.account_id)


class Submission(models.Model):
    """One asking about one picture or video."""

    class Status(models.TextChoices):
        """Where it stands, in the contract's words."""

        QUEUED = "queued", "Queued"
        ANALYZING = "analyzing", "Analyzing"
        IN_REVIEW = "in_review", "In review"
        APPROVED = "approved", "Approved"
        REJECTED = "rejected", "Rejected"
        FAILED = "failed", "Failed"

    class Source(models.TextChoices):
        """The door it came through."""

        REST = "rest", "REST API"
        AWS = "aws", "AWS API"
        UPLOAD = "upload", "Upload page"
        SAMPLE = "sample", "Sample world"

    class Kind(models.TextChoices):
        """What it is."""

        IMAGE = "image", "Image"
        VIDEO = "video", "Video"

    SETTLED = (Status.APPROVED, Status.REJECTED, Status.FAILED)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    account = models.ForeignKey(Account, models.PROTECT, related_name="submissions")
    blob = models.ForeignKey(Blob, models.PROTECT, null=True, blank=True, related_name="submissions")
    policy = models.ForeignKey(Policy, models.PROTECT, related_name="submissions")
    uploader = models.ForeignKey(User, models.PROTECT, null=True, blank=True, related_name="submissions")
    access_key = models.ForeignKey(AccessKey, models.PROTECT, null=True, blank=True, related_name="submissions")
    source = models.CharField(max_length=8, choices=Source)
    kind = models.CharField(max_length=8, choices=Kind, default=Kind.IMAGE)
    status = models.CharField(max_length=12, choices=Status, default=Status.QUEUED)
    filename = models.CharField(max_length=255, blank=True)
    external_id = models.CharField(max_length=200, blank=True)
    metadata = models.JSONField(default=dict, blank=True)
    media_digest = models.CharField(max_length=64, help_text="SHA-256 of the bytes, kept when the picture is not.")
    media_size = models.PositiveBigIntegerField()
    media_format = models.CharField(max_length=20)
    width = models.PositiveIntegerField(help_text="Pixels, after orientation.")
    height = models.PositiveIntegerField(help_text="Pixels, after orientation.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    settled_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects: ClassVar[SubmissionQuerySet] = SubmissionQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ("-created_at",)
        indexes = [
            models.Index(fields=["account", "-created_at", "-id"], name="submission_newest"),
            models.Index(fields=["account", "status", "-created_at"], name="submission_by_status"),
            models.Index(fields=["account", "external_id"], condition=~Q(external_id=""), name="submission_external"),
            models.Index(fields=["account", "media_digest"], name="submission_digest"),
            models.Index(
                fields=["uploader", "-created_at"], condition=Q(uploader__isnull=False), name="submission_uploader"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.filename or self.kind} {str(self.pk)[:8]}"

    @property
    def is_settled(self) -> bool:
        """Whether nothing more will happen by itself."""
        return self.status in self.SETTLED

    def latest_analysis(self) -> "Analysis | None":
        """The newest analysis, if any."""
        return self.analyses.order_by("-pk").first()

    def latest_verdict(self) -> "Verdict | None":
        """The verdict that counts: the newest, people's before the machine's."""
        newest = self.verdicts.order_by("-pk")
        return newest.filter(source=Verdict.Source.HUMAN).first() or newest.first()

    def begin(self) -> None:
        """Note that an analysis runs; a submission settled before keeps its status."""
        waiting = Submission.objects.filter(pk=self.pk, status=self.Status.QUEUED)
        if waiting.update(status=self.Status.ANALYZING):
            self.status = self.Status.ANALYZING

    def settle(
        self,
        judgement: Judgement,
        source: "Verdict.Source",
        version: PolicyVersion | None = None,
        decided_by: User | None = None,
    ) -> "Verdict":
        """Write the verdict, set the status and announce it; call it inside a transaction.

        A machine's verdict never moves a status that a person has decided.
        """
        because = [_as_json(reason) for reason in judgement.because]
        return self._answer(
            judgement.outcome.value, source=source, because=because, policy_version=version, decided_by=decided_by
        )

    def decide(self, outcome: str, because: list[dict[str, object]], decided_by: User | None = None) -> "Verdict":
        """Write the verdict that people came to, with the labels they saw, and announce it; call it in a transaction.

        `decided_by` is the one person whose word it was; None where it was several people's.
        """
        return self._answer(outcome, source=Verdict.Source.HUMAN, because=because, decided_by=decided_by)

    def _answer(self, outcome: str, **fields: Any) -> "Verdict":
        verdict = self.verdicts.create(outcome=outcome, **fields)
        by_people = verdict.source == Verdict.Source.HUMAN
        if self._move_to(_STATUS_OF[Verdict.Outcome(outcome)], verdict.created_at, by_people):
            OutboxMessage.objects.announce(f"submission.{self.status}", self, {"verdict": verdict.as_json()})
        return verdict

    def give_up(self, code: str, message: str) -> None:
        """No answer will come: FAILED, with the reason announced, unless people have answered."""
        if self._move_to(self.Status.FAILED, timezone.now()):
            OutboxMessage.objects.announce("submission.failed", self, {"error": {"code": code, "message": message}})

    def forget_picture(self) -> None:
        """Let go of the bytes; the sweep removes the file once no submission refers to it."""
        self.blob = None
        self.save(update_fields=["blob"])

    def _move_to(self, status: "Submission.Status", when: datetime, by_people: bool = False) -> bool:
        """Set the status; False, and nothing changed, where a machine would move what people have decided."""
        row = Submission.objects.filter(pk=self.pk)
        change = {"status": status, "settled_at": when if status in self.SETTLED else None}
        if by_people:
            moved = row.update(**change)
        else:
            # While its first analysis runs nobody has decided, and the question need not be asked.
            first = row.filter(status=self.Status.ANALYZING).update(**change)
            moved = first or row.exclude(verdicts__source=Verdict.Source.HUMAN).update(**change)
        if moved:
            self.status, self.settled_at = status, change["settled_at"]
        return bool(moved)


class Verdict(models.Model):
    """One answer about a submission: by policy or by people.  None is ever changed; see `latest_verdict`."""

    class Outcome(models.TextChoices):
        """What is to happen."""

        APPROVE = "approve", "Approve"
        REJECT = "reject", "Reject"
        REVIEW = "review", "Review"

    class Source(models.TextChoices):
        """Who said it."""

        POLICY = "policy", "Policy"
        HUMAN = "human", "People"

    submission = models.ForeignKey(Submission, models.PROTECT, related_name="verdicts")
    outcome = models.CharField(max_length=8, choices=Outcome)
    source = models.CharField(max_length=8, choices=Source)
    because = models.JSONField(default=list, help_text="The labels and rules, or the people's labels, that led here.")
    policy_version = models.ForeignKey(PolicyVersion, models.PROTECT, null=True, blank=True, related_name="verdicts")
    decided_by = models.ForeignKey(User, models.PROTECT, null=True, blank=True, related_name="verdicts")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("-pk",)
        triggers = append_only()

    def __str__(self) -> str:
        return f"{self.get_outcome_display()} by {self.get_source_display()}"

    def as_json(self) -> dict[str, object]:
        """The shape in which API and webhooks show a verdict."""
        version = self.policy_version
        return {
            "outcome": self.outcome,
            "source": self.source,
            "because": self.because,
            "policy": version and version.policy.name,
            "policy_version": version and version.number,
            "decided_at": self.created_at.isoformat().replace("+00:00", "Z"),
        }


def _as_json(reason: Reason) -> dict[str, object]:
    return {"label": reason.label, "confidence": reason.confidence, "rule": to_json([reason.rule])[0]}


_STATUS_OF = {
    Verdict.Outcome.APPROVE: Submission.Status.APPROVED,
    Verdict.Outcome.REJECT: Submission.Status.REJECTED,
    Verdict.Outcome.REVIEW: Submission.Status.IN_REVIEW,
}


class IdempotencyKeyQuerySet(models.QuerySet["IdempotencyKey"]):
    """Keys of requests that have come before."""

    def analysis_of(self, access_key: AccessKey, key: str) -> "Analysis | None":
        """The analysis that the request of that key began, with its submission; None when there was none."""
        found = self.filter(access_key=access_key, key=key).select_related("submission__account").first()
        analysis = found and found.submission.analyses.order_by("pk").first()
        return analysis or None

    def expired(self) -> Self:
        """Those whose time is over."""
        return self.filter(expires_at__lt=timezone.now())


class IdempotencyKey(models.Model):
    """A caller's own name for a request: the same key again gets the same submission."""

    access_key = models.ForeignKey(AccessKey, models.PROTECT, related_name="+")
    key = models.CharField(max_length=255)
    request_digest = models.CharField(max_length=64)
    submission = models.ForeignKey(Submission, models.CASCADE, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True, editable=False, help_text="Empty: never.")

    objects: ClassVar[IdempotencyKeyQuerySet] = IdempotencyKeyQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [models.UniqueConstraint(fields=["access_key", "key"], name="idempotency_key_unique")]
        indexes = [
            models.Index(fields=["expires_at"], condition=Q(expires_at__isnull=False), name="idempotency_key_expiry")
        ]

    def __str__(self) -> str:
        return self.key
