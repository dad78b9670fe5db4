"""What the machine saw: analyses under a lease, the detections they emitted, content types."""

from datetime import timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from moderation.inference.types import EngineVersion, Findings
from moderation.models.policy import PolicyVersion
from moderation.models.submission import Submission
from moderation.taxonomy import LABELS


class AnalysisQuerySet(models.QuerySet["Analysis"]):
    """Analyses; every change of state is one guarded UPDATE."""

    def due(self) -> "AnalysisQuerySet":
        """Those that a worker may take: queued, or running under a lease that has lapsed."""
        lapsed = Q(status=Analysis.Status.RUNNING, lease_expires_at__lt=timezone.now())
        return self.filter(Q(status=Analysis.Status.QUEUED) | lapsed)

    def overdue(self, seconds: int) -> "AnalysisQuerySet":
        """Due ones whose hint the broker must have lost: not taken for so many seconds."""
        return self.due().filter(created_at__lt=timezone.now() - timedelta(seconds=seconds))

    def exhausted(self) -> "AnalysisQuerySet":
        """Due ones that have used up their attempts: what they hold kills its worker."""
        return self.due().filter(attempt__gte=settings.ANALYSIS_MAX_ATTEMPTS)

    def start(self, pk: int) -> "Analysis | None":
        """Take the analysis under a lease; None when another worker has it, it is done or its attempts are used up."""
        taken = (
            self.due()
            .filter(pk=pk, attempt__lt=settings.ANALYSIS_MAX_ATTEMPTS)
            .update(attempt=F("attempt") + 1, **_under_lease())
        )
        return (
            self.select_related("submission__blob", "submission__account", "policy_version__policy").get(pk=pk)
            if taken
            else None
        )

    def create_started(self, submission: Submission, policy_version: PolicyVersion) -> "Analysis":
        """Make one that its maker runs at once: under a lease from the beginning, so that nobody else takes it."""
        return self.create(submission=submission, policy_version=policy_version, attempt=1, **_under_lease())


def _under_lease() -> dict[str, Any]:
    now = timezone.now()
    lapses = now + timedelta(seconds=settings.ANALYSIS_LEASE_SECONDS)
    return {"status": Analysis.Status.RUNNING, "started_at": now, "lease_expires_at": lapses}


class Analysis(models.Model):
    """One run of an engine over one submission."""

    class Status(models.TextChoices):
        """Where it stands."""

        QUEUED = "queued", "Queued"
        RUNNING = "running", "Running"
        SUCCEEDED = "succeeded", "Succeeded"
        FAILED = "failed", "Failed"

    submission = models.ForeignKey(Submission, models.PROTECT, related_name="analyses")
    policy_version = models.ForeignKey(PolicyVersion, models.PROTECT, related_name="analyses")
    status = models.CharField(max_length=10, choices=Status, default=Status.QUEUED)
    attempt = models.PositiveSmallIntegerField(default=0)
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    engine = models.CharField(max_length=60, blank=True)
    heads = models.CharField(max_length=60, blank=True)
    calibration = models.CharField(max_length=60, blank=True)
    moderation_model = models.CharField(max_length=20, blank=True)
    scores = models.JSONField(
        default=dict,
        help_text="Confidence of every label the engine supports, emitted or not, and the networks' raw outputs.",
    )
    error_code = models.CharField(max_length=60, blank=True)
    error_message = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[AnalysisQuerySet] = AnalysisQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name_plural = "analyses"
        ordering = ("-pk",)
        indexes = [
            models.Index(
                fields=["lease_expires_at", "id"],
                condition=Q(status__in=["queued", "running"]),
                name="analysis_unfinished",
            )
        ]

    def __str__(self) -> str:
        return f"Analysis {self.pk}"

    def finish(self, findings: Findings, version: EngineVersion, emit_from: float) -> bool:
        """Write what was found; False, and nothing written, when another attempt owns the row by now.

        From the confidence `emit_from` (0 to 100) on, a label becomes a Detection; the score vector keeps them all.
        """
        scores = {score.label: score.confidence for score in findings.labels}
        types = {score.name: score.confidence for score in findings.content_types}
        if not self._end(
            self.Status.SUCCEEDED,
            scores={"labels": scores, "content_types": types, "raw": dict(findings.raw)},
            engine=version.engine,
            heads=version.heads,
            calibration=version.calibration,
            moderation_model=version.moderation_model,
        ):
            return False
        Detection.objects.bulk_create(Detection.of(self, findings, emit_from))
        ContentType.objects.bulk_create(
            ContentType(analysis=self, name=score.name, confidence=score.confidence)
            for score in findings.content_types
            if score.confidence >= emit_from
        )
        return True

    def fail(self, code: str, message: str) -> bool:
        """Write the reason; False when another attempt owns the row by now."""
        return self._end(self.Status.FAILED, error_code=code[:60], error_message=message[:500])

    def _end(self, status: "Analysis.Status", **changes: object) -> bool:
        ours = Analysis.objects.filter(pk=self.pk, attempt=self.attempt, status=self.Status.RUNNING)
        changes |= {"status": status, "finished_at": timezone.now(), "lease_expires_at": None}
        if not ours.update(**changes):
            return False
        for name, value in changes.items():
            setattr(self, name, value)
        return True


class Detection(models.Model):
    """One label that was emitted, with its confidence and, where known, its boxes."""

    analysis = models.ForeignKey(Analysis, models.CASCADE, related_name="detections")
    label = models.CharField(max_length=80)
    parent = models.CharField(max_length=80, blank=True)
    level = models.PositiveSmallIntegerField()
    confidence = models.FloatField(help_text="0 to 100.")
    boxes = models.JSONField(
        default=list, blank=True, help_text="left, top, width, height in pixels after orientation."
    )
    timestamp_ms = models.PositiveIntegerField(null=True, blank=True, help_text="Position in a video.")

    class Meta:
        ordering = ("-confidence", "-level", "label")

    def __str__(self) -> str:
        return f"{self.label} {self.confidence:.1f}"

    @classmethod
    def of(cls, analysis: Analysis, findings: Findings, emit_from: float) -> list["Detection"]:
        """Unsaved rows for the labels at or above `emit_from`."""
        return [
            cls(
                analysis=analysis,
                label=score.label,
                parent=LABELS[score.label].parent,
                level=LABELS[score.label].level,
                confidence=score.confidence,
                boxes=[[box.left, box.top, box.width, box.height] for box in score.boxes],
            )
            for score in findings.labels
            if score.confidence >= emit_from
        ]


class ContentType(models.Model):
    """What kind of picture it is: animated, illustrated."""

    analysis = models.ForeignKey(Analysis, models.CASCADE, related_name="content_types")
    name = models.CharField(max_length=40)
    confidence = models.FloatField(help_text="0 to 100.")
    timestamp_ms = models.PositiveIntegerField(null=True, blank=True)

    class Meta:
        ordering = ("-confidence", "name")

    def __str__(self) -> str:
        return f"{self.name} {self.confidence:.1f}"
