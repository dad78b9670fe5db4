"""One item before people: how it was routed, and its human loop."""

from typing import TYPE_CHECKING, ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from moderation.aws.arns import Kind, ResourceArn
from moderation.models import Account, Analysis, PolicyVersion, Submission
from moderation.models.append_only import append_only
from reviews.models.flow import FlowDefinition

if TYPE_CHECKING:
    from reviews.models.seat import Decision


class Routing(models.Model):
    """What a flow definition made of one analysis, kept also for items that no person saw: they are the denominator."""

    class Reason(models.TextChoices):
        """Why people look; ConditionsEvaluation is Augmented AI's word."""

        POLICY = "Policy", "The policy's outcome is review"
        CONDITIONS = "ConditionsEvaluation", "The activation conditions hold"

    analysis = models.ForeignKey(Analysis, models.PROTECT, related_name="routings")
    flow = models.ForeignKey(FlowDefinition, models.PROTECT, related_name="routings")
    flow_version = models.PositiveIntegerField()
    policy_version = models.ForeignKey(PolicyVersion, models.PROTECT, related_name="+")
    activated = models.BooleanField()
    reasons = models.JSONField(default=list, help_text="Policy, ConditionsEvaluation, or none.")
    inclusion_probability = models.FloatField(help_text="The chance that an item with these scores reaches people.")
    random_only = models.BooleanField(default=False, help_text="Sent by sampling alone: an audit item.")
    trace = models.JSONField(null=True, help_text="The conditions with the result of every node.")
    sampling = models.JSONField(default=list, help_text="Each sampling draw: node, probability, number drawn, hit.")
    min_confidence = models.FloatField(help_text="Labels below this were not offered to the conditions.")
    joined_loop = models.ForeignKey(
        "HumanLoop",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="joined_routings",
        help_text="The loop that was there already: the same input under the same name, sent again.",
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("-pk",)
        indexes = [models.Index(fields=["flow", "-id"], name="routing_by_flow")]
        triggers = append_only()

    def __str__(self) -> str:
        return f"{self.flow} {'sent' if self.activated else 'passed'} {self.analysis}"


class HumanLoopQuerySet(models.QuerySet["HumanLoop"]):
    """Human loops, asked for in the words of those who drive them."""

    def open(self) -> "HumanLoopQuerySet":
        """Those that still wait for answers, or for the last ones to come back."""
        return self.filter(status__in=HumanLoop.OPEN)

    def named(self, account: Account, region: str, name: str) -> "HumanLoop | None":
        """The loop of that name, unless it was deleted."""
        return self.filter(account=account, region=region, name=name, deleted_at=None).select_related("flow").first()

    def overdue(self) -> "HumanLoopQuerySet":
        """Those whose time to find reviewers is over."""
        return self.filter(status=HumanLoop.Status.IN_PROGRESS, available_until__lt=timezone.now())

    def lock(self, pk: int) -> "HumanLoop":
        """The loop, with its row held until the transaction ends: every change of its state goes through here."""
        return self.select_for_update(no_key=True).get(pk=pk)


class HumanLoop(models.Model):
    """One item before people (Augmented AI's HumanLoop)."""

    class Status(models.TextChoices):
        """Augmented AI's words."""

        IN_PROGRESS = "InProgress", "In progress"
        COMPLETED = "Completed", "Completed"
        FAILED = "Failed", "Failed"
        STOPPING = "Stopping", "Stopping"
        STOPPED = "Stopped", "Stopped"

    OPEN = (Status.IN_PROGRESS, Status.STOPPING)

    account = models.ForeignKey(Account, models.PROTECT, related_name="human_loops")
    region = models.CharField(max_length=40)
    name = models.CharField(max_length=63)
    flow = models.ForeignKey(FlowDefinition, models.PROTECT, related_name="human_loops")
    routing = models.OneToOneField(Routing, models.PROTECT, null=True, blank=True, related_name="human_loop")
    submission = models.ForeignKey(Submission, models.PROTECT, null=True, blank=True, related_name="human_loops")
    analysis = models.ForeignKey(Analysis, models.PROTECT, null=True, blank=True, related_name="human_loops")
    status = models.CharField(max_length=12, choices=Status, default=Status.IN_PROGRESS)
    input_digest = models.CharField(
        max_length=64, help_text="Of media, flow and data attributes: the same input or another."
    )
    input_content = models.JSONField(default=dict, help_text="What the output file repeats as inputContent.")
    selected_labels = models.JSONField(default=list, help_text="The labels that the true conditions matched.")
    content_classifiers = models.JSONField(default=list)
    task_count = models.PositiveSmallIntegerField()
    available_until = models.DateTimeField()
    due_at = models.DateTimeField()
    completed_at = models.DateTimeField(null=True, blank=True)
    settled_at = models.DateTimeField(null=True, blank=True, help_text="When verdict and ground truth were written.")
    failure_code = models.CharField(max_length=60, blank=True)
    failure_reason = models.CharField(max_length=1024, blank=True)
    output_uri = models.CharField(max_length=1200, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects: ClassVar[HumanLoopQuerySet] = HumanLoopQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ("-pk",)
        constraints = [
            models.UniqueConstraint(
                fields=["account", "region", "name"], condition=Q(deleted_at=None), name="human_loop_name_unique"
            )
        ]
        indexes = [
            models.Index(fields=["flow", "-created_at"], name="human_loop_by_flow"),
            models.Index(fields=["available_until"], condition=Q(status="InProgress"), name="human_loop_lifetime"),
            models.Index(
                fields=["account"], condition=Q(status__in=["InProgress", "Stopping"]), name="human_loop_open"
            ),
            models.Index(fields=["id"], condition=Q(status="Stopping"), name="human_loop_stopping"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def arn(self) -> str:
        """Its Amazon Resource Name."""
        return str(ResourceArn(Kind.HUMAN_LOOP, self.region, self.account_id, self.name))

    @property
    def is_audit(self) -> bool:
        """Whether chance alone brought it here: then reviewers must not learn what the machine thought."""
        return self.routing is not None and self.routing.random_only

    def submissions(self) -> "models.QuerySet[Submission]":
        """Those that its answer decides: the one it was opened for, and the same input sent again."""
        joined = Analysis.objects.filter(routings__joined_loop=self).values("submission")
        return Submission.objects.filter(Q(pk=self.submission_id) | Q(pk__in=joined))

    def close_open_seats(self) -> None:
        """Nobody else is asked: the reviewers' seats that nobody holds close."""
        self.tasks.filter(state="open", kind="reviewer").update(state="closed")

    def standing_decisions(self) -> "models.QuerySet[Decision]":
        """The answers that count: neither taken back nor the taking back itself; the first first."""
        return self.decisions.filter(withdrawn=False, superseded_by=None).select_related("task", "reviewer")
