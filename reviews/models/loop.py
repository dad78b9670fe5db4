"""One item before people: how it was routed, the human loop, its seats, refusals and decisions."""

import uuid

from django.db import models
from django.db.models import Q
from django.utils import timezone

from moderation.models import Account, Analysis, PolicyVersion, Submission, User
from moderation.models.append_only import append_only
from reviews.models.flow import FlowDefinition, ReviewQueue


class Routing(models.Model):
    """What a flow definition made of one analysis, kept also for items that no person saw: they are the denominator."""

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
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("-pk",)
        indexes = [models.Index(fields=["flow", "-id"], name="routing_by_flow")]
        triggers = append_only()

    def __str__(self) -> str:
        return f"{self.flow} {'sent' if self.activated else 'passed'} {self.analysis}"


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
        ]

    def __str__(self) -> str:
        return self.name


class ReviewTask(models.Model):
    """One seat at a loop: one wanted answer, held by one person at a time under a lease."""

    class State(models.TextChoices):
        """Where the seat stands."""

        OPEN = "open", "Open"
        CLAIMED = "claimed", "Claimed"
        ANSWERED = "answered", "Answered"
        CLOSED = "closed", "Closed"

    class Kind(models.TextChoices):
        """Who may take it."""

        REVIEWER = "reviewer", "Reviewer"
        LEAD = "lead", "Lead"

    loop = models.ForeignKey(HumanLoop, models.PROTECT, related_name="tasks")
    queue = models.ForeignKey(ReviewQueue, models.PROTECT, related_name="tasks")
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.REVIEWER)
    priority = models.SmallIntegerField(default=0)
    due_at = models.DateTimeField()
    state = models.CharField(max_length=10, choices=State, default=State.OPEN)
    reviewer = models.ForeignKey(User, models.PROTECT, null=True, blank=True, related_name="review_tasks")
    token = models.PositiveIntegerField(default=0, help_text="Fencing token: goes up with every claim.")
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    claimed_at = models.DateTimeField(null=True, blank=True)
    opened_at = models.DateTimeField(null=True, blank=True, help_text="When the holder first saw it.")
    answered_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("-priority", "due_at", "pk")
        constraints = [
            models.UniqueConstraint(
                fields=["loop", "reviewer"], condition=Q(reviewer__isnull=False), name="one_seat_per_reviewer"
            ),
            models.CheckConstraint(
                condition=Q(state="open", reviewer=None) | Q(state="closed") | Q(reviewer__isnull=False),
                name="a_held_seat_has_a_reviewer",
            ),
        ]
        indexes = [
            models.Index(fields=["queue", "-priority", "due_at", "id"], condition=Q(state="open"), name="seat_open"),
            models.Index(fields=["lease_expires_at"], condition=Q(state="claimed"), name="seat_lapsing"),
            models.Index(fields=["reviewer", "state"], condition=Q(state="claimed"), name="seat_held"),
        ]

    def __str__(self) -> str:
        return f"{self.loop} seat {self.pk}"


class Refusal(models.Model):
    """A reviewer passed on a loop: claims leave it out for that person."""

    class Reason(models.TextChoices):
        """Why; 'affects me' is never counted against anyone."""

        CANNOT_JUDGE = "cannot_judge", "I can't judge this"
        LANGUAGE = "language", "Not my language"
        AFFECTS_ME = "affects_me", "This affects me"
        OTHER = "other", "Another reason"

    loop = models.ForeignKey(HumanLoop, models.CASCADE, related_name="refusals")
    reviewer = models.ForeignKey(User, models.PROTECT, related_name="refusals")
    reason = models.CharField(max_length=20, choices=Reason)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["loop", "reviewer"], name="refusal_unique")]

    def __str__(self) -> str:
        return f"{self.reviewer} passed on {self.loop}"


class Decision(models.Model):
    """One person's answer.  Never changed: an undo or a correction is a further decision that supersedes it."""

    class Outcome(models.TextChoices):
        """What the person would have happen; empty for custom tasks."""

        APPROVE = "approve", "Approve"
        REJECT = "reject", "Reject"

    id = models.UUIDField(
        primary_key=True,
        default=uuid.uuid4,
        editable=False,
        help_text="Made by the browser: a resent answer is the same one.",
    )
    task = models.ForeignKey(ReviewTask, models.PROTECT, related_name="decisions")
    loop = models.ForeignKey(HumanLoop, models.PROTECT, related_name="decisions")
    reviewer = models.ForeignKey(User, models.PROTECT, related_name="decisions")
    token = models.PositiveIntegerField()
    outcome = models.CharField(max_length=8, choices=Outcome, blank=True)
    labels = models.JSONField(default=list, help_text="Taxonomy labels that the person saw in the picture.")
    judged = models.JSONField(
        default=list, help_text="Labels put before the person: those not chosen were judged absent."
    )
    answer = models.JSONField(null=True, blank=True, help_text="The free answer to a custom task.")
    comment = models.TextField(max_length=2000, blank=True)
    withdrawn = models.BooleanField(
        default=False, help_text="An undo: takes back what it supersedes and answers nothing."
    )
    supersedes = models.OneToOneField("self", models.PROTECT, null=True, blank=True, related_name="superseded_by")
    accepted_at = models.DateTimeField(help_text="When the seat was taken.")
    submitted_at = models.DateTimeField(default=timezone.now)
    seconds_spent = models.FloatField(default=0)

    class Meta:
        ordering = ("submitted_at", "pk")
        triggers = append_only()

    def __str__(self) -> str:
        return f"{self.reviewer}: {self.outcome or 'answer'}"


class ClaimCursor(models.Model):
    """How far a reviewer has come in a queue, so that a claim need not pass again over all that was answered."""

    reviewer = models.ForeignKey(User, models.CASCADE, related_name="+")
    queue = models.ForeignKey(ReviewQueue, models.CASCADE, related_name="cursors")
    priority = models.SmallIntegerField()
    due_at = models.DateTimeField()
    task_id = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["reviewer", "queue"], name="cursor_unique")]

    def __str__(self) -> str:
        return f"{self.reviewer} in {self.queue}"
