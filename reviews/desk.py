"""A reviewer's desk: the queues a person may work in, the item in hand, and the answer that can still be taken back."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Exists, Min, OuterRef, Q
from django.utils import timezone

from moderation.models import User
from reviews.decisions import undo_seconds
from reviews.models import Decision, FlowDefinition, Refusal, ReviewQueue, ReviewTask, UnsentAnswer
from reviews.models.seat import ReviewTaskQuerySet

# Counting a million seats takes longer than anybody needs to know that there are many.
MOST_COUNTED = 1000


@dataclass(frozen=True, slots=True)
class Line:
    """A queue as its workers see it: what waits (counted to MOST_COUNTED), since when, and what is in hand."""

    queue: ReviewQueue
    waiting: int
    oldest: datetime | None
    due: datetime | None
    in_hand: int
    missing_skills: tuple[str, ...]

    @property
    def more(self) -> bool:
        """Whether there are more than were counted."""
        return self.waiting >= MOST_COUNTED

    @property
    def startable(self) -> bool:
        """Whether work can begin here."""
        return self.waiting > 0 and not self.queue.is_paused and not self.missing_skills

    @property
    def late(self) -> bool:
        """Whether something waits beyond its due date."""
        return self.due is not None and self.due < timezone.now()


def lines(user: User) -> list[Line]:
    """The queues fed by flows whose team the person is in, the most urgent first."""
    skills = set(user.skills.values_list("name", flat=True))
    return [_line(queue, user, skills) for queue in queues(user)]


def queues(user: User) -> list[ReviewQueue]:
    """The queues fed by flows whose team the person is in."""
    return list(ReviewQueue.objects.filter(flow_definitions__in=FlowDefinition.objects.worked_by(user)).distinct())


def _for(user: User, seats: ReviewTaskQuerySet) -> ReviewTaskQuerySet:
    """Open seats that a claim may give this person: no loop answered or refused before, and leads' for leads."""
    own = ReviewTask.objects.filter(loop=OuterRef("loop"), reviewer=user)
    refused = Refusal.objects.filter(loop=OuterRef("loop"), reviewer=user)
    free = seats.filter(~Exists(own), ~Exists(refused), state=ReviewTask.State.OPEN)
    return free if user.has_role(User.Role.LEAD, User.Role.ADMIN) else free.exclude(kind=ReviewTask.Kind.LEAD)


def _line(queue: ReviewQueue, user: User, skills: set[str]) -> Line:
    ours = queue.tasks.filter(loop__flow__in=FlowDefinition.objects.worked_by(user))
    first = _for(user, ours).values("pk")[:MOST_COUNTED]
    counted = ReviewTask.objects.filter(pk__in=first).aggregate(
        waiting=Count("pk"), oldest=Min("created_at"), due=Min("due_at")
    )
    in_hand = ours.filter(state=ReviewTask.State.CLAIMED)[:MOST_COUNTED].count()
    missing = tuple(sorted(set(queue.skills) - skills))
    return Line(queue, **counted, in_hand=in_hand, missing_skills=missing)


def held(user: User) -> ReviewTaskQuerySet:
    """The seats a person holds and may look at: also still in the team, and of the account."""
    seats = ReviewTask.objects.held_by(user).filter(
        loop__account_id=user.account_id, loop__flow__work_team__members=user
    )
    return seats.select_related(
        *("queue", "loop__flow", "loop__routing__analysis", "loop__account", "loop__submission__blob"),
        "loop__analysis__policy_version",
    )


def seconds_until(ends: datetime) -> int:
    """How long a lease still holds, by the server's clock: pages must not trust the time of day on other machines."""
    return max(int((ends - timezone.now()).total_seconds()), 0)


def near(user: User) -> ReviewTaskQuerySet:
    """The seats a person may send an answer for, in time or too late: their own, and those of their teams' flows."""
    ours = Q(reviewer=user) | Q(loop__flow__in=FlowDefinition.objects.worked_by(user))
    return ReviewTask.objects.filter(ours, loop__account_id=user.account_id).select_related("loop__flow")


def others(seat: ReviewTask) -> list[Decision]:
    """What the reviewers said, for a lead who decides between them; nobody else learns it."""
    return list(seat.loop.standing_decisions()) if seat.kind == ReviewTask.Kind.LEAD else []


def answered(user: User) -> ReviewTaskQuerySet:
    """The seats a person has answered."""
    return ReviewTask.objects.filter(state=ReviewTask.State.ANSWERED, reviewer=user, loop__account_id=user.account_id)


def undoable(user: User, seat_id: int | None = None) -> Decision | None:
    """The person's last answer, or that of one seat, where it can still be taken back."""
    since = timezone.now() - timedelta(seconds=undo_seconds())
    recent = Decision.objects.filter(reviewer=user, withdrawn=False, superseded_by=None, submitted_at__gt=since)
    wanted = recent if seat_id is None else recent.filter(task_id=seat_id)
    return wanted.filter(loop__settled_at=None).order_by("-submitted_at").first()


def typed_before(seat: ReviewTask, user: User) -> Mapping[str, object]:
    """What the person said of this item before: an answer taken back, or one that came too late.  Else nothing."""
    taken_back = Decision.objects.filter(task=seat, reviewer=user, withdrawn=False, superseded_by__withdrawn=True)
    said = (
        taken_back.order_by("-submitted_at").first()
        or UnsentAnswer.objects.filter(loop=seat.loop_id, reviewer=user).first()
    )
    if said is None:
        return {}
    return {"outcome": said.outcome, "labels": said.labels, "comment": said.comment, "answer": said.answer}
