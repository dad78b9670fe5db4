"""Ground truth: what people settled, under which versions, and with what chance the item reached them."""

from django.db import models
from django.utils import timezone

from moderation.models import Account, Submission
from moderation.models.append_only import append_only
from reviews.models.loop import HumanLoop
from reviews.models.seat import Decision


class GroundTruth(models.Model):
    """The settled answer of one loop: labels present, judged absent, left open.  The newest of a submission counts."""

    account = models.ForeignKey(Account, models.PROTECT, related_name="ground_truth")
    submission = models.ForeignKey(Submission, models.PROTECT, related_name="ground_truth")
    loop = models.ForeignKey(HumanLoop, models.PROTECT, related_name="ground_truth")
    decisions = models.ManyToManyField(Decision, related_name="ground_truth")
    outcome = models.CharField(max_length=8, choices=Decision.Outcome)
    present = models.JSONField(default=list, help_text="Labels that stand, ancestors implied.")
    absent = models.JSONField(default=list, help_text="Labels that were judged and do not stand.")
    undecided = models.JSONField(default=list, help_text="Labels on which the answers were split.")
    by_lead = models.BooleanField(default=False)
    inclusion_probability = models.FloatField()
    versions = models.JSONField(default=dict, help_text="Engine, heads, calibration, model, flow and policy versions.")
    supersedes = models.OneToOneField("self", models.PROTECT, null=True, blank=True, related_name="superseded_by")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name_plural = "ground truth"
        ordering = ("-pk",)
        indexes = [models.Index(fields=["account", "-id"], name="truth_newest")]
        triggers = append_only()

    def __str__(self) -> str:
        return f"{self.outcome} {', '.join(self.present) or 'none applies'}"
