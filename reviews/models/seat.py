"""The seats at a human loop: who holds them, who passed, what was answered."""

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from moderation.models import User
from moderation.models.append_only import append_only
from reviews.models.flow import ReviewQueue
from reviews.models.loop import HumanLoop


class ReviewTaskQuerySet(models.QuerySet["ReviewTask"]):
    """Seats, asked for in the words of the queue."""

    def held_by(self, reviewer: User) -> "ReviewTaskQuerySet":
        """Those that a person holds now, the one last looked at first."""
        return self.filter(state=ReviewTask.State.CLAIMED, reviewer=reviewer).order_by(
            F("opened_at").desc(nulls_last=True), "claimed_at", "pk"
        )

    def under(self, token: int, reviewer: User) -> "ReviewTaskQuerySet":
        """Those that this person holds under this very claim; all conditions are columns of the seat, so that a guarded
        UPDATE asks them again when another transaction was first."""
        return self.filter(state=ReviewTask.State.CLAIMED, token=token, reviewer=reviewer)

    def lapsed(self) -> "ReviewTaskQuerySet":
        """Those whose holder has not been heard of in time."""
        return self.filter(state=ReviewTask.State.CLAIMED, lease_expires_at__lt=timezone.now())


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

    objects: ClassVar[ReviewTaskQuerySet] = ReviewTaskQuerySet.as_manager()  # type: ignore[assignment]

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
            # All ascending, so that "from the cursor on" is one range of it.
            models.Index("queue", F("priority") * -1, "due_at", "id", condition=Q(state="open"), name="seat_open"),
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


class UnsentAnswer(models.Model):
    """An answer that came too late for its seat, kept for the person who typed it; one per person and loop."""

    loop = models.ForeignKey(HumanLoop, models.CASCADE, related_name="unsent_answers")
    reviewer = models.ForeignKey(User, models.CASCADE, related_name="unsent_answers")
    outcome = models.CharField(max_length=8, choices=Decision.Outcome, blank=True)
    labels = models.JSONField(default=list)
    answer = models.JSONField(null=True, blank=True)
    comment = models.TextField(max_length=2000, blank=True)
    seconds_spent = models.FloatField(default=0)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("-created_at",)
        constraints = [models.UniqueConstraint(fields=["loop", "reviewer"], name="unsent_answer_unique")]

    def __str__(self) -> str:
        return f"{self.reviewer}, unsent: {self.outcome or 'answer'}"


class ClaimCursorQuerySet(models.QuerySet["ClaimCursor"]):
    """Cursors, taken back when seats open behind them."""

    def rewind_to(self, seat: ReviewTask) -> int:
        """Take the cursors of the seat's queue that have passed it back to it; returns how many.

        A cursor that a claim is just moving is left alone rather than waited for: it starts anew soon anyway.
        """
        behind = Q(priority__lt=seat.priority) | Q(priority=seat.priority) & (
            Q(due_at__gt=seat.due_at) | Q(due_at=seat.due_at, task_id__gt=seat.pk)
        )
        passed = self.filter(behind, queue_id=seat.queue_id).select_for_update(skip_locked=True)
        return self.filter(pk__in=list(passed.values_list("pk", flat=True))).update(
            priority=seat.priority, due_at=seat.due_at, task_id=seat.pk
        )


class ClaimCursor(models.Model):
    """How far a reviewer has come in a queue, so that a claim need not pass again over all that was answered."""

    reviewer = models.ForeignKey(User, models.CASCADE, related_name="+")
    queue = models.ForeignKey(ReviewQueue, models.CASCADE, related_name="cursors")
    priority = models.SmallIntegerField()
    due_at = models.DateTimeField()
    task_id = models.BigIntegerField()
    started_at = models.DateTimeField(default=timezone.now, help_text="When it last stood at the queue's beginning.")

    objects: ClassVar[ClaimCursorQuerySet] = ClaimCursorQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [models.UniqueConstraint(fields=["reviewer", "queue"], name="cursor_unique")]

    def __str__(self) -> str:
        return f"{self.reviewer} in {self.queue}"
