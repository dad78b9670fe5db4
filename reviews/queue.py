"""The queue: people claim seats under a lease, renew it, pass, give back; a sweep reopens what lapses.

Who may have a seat: members of the flow definition's work team, where the queue is not paused and they have its
skills; nobody who has answered at the loop, holds another seat of it or has passed on it.  Lead's seats are for the
leads and admins among them.

A person's tabs share what the person holds: a claim returns the held seats first, the one last looked at before the
others, and fills up to the number asked for.  They keep their token, so that every tab may submit; the first answer
counts.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Case, Exists, F, OuterRef, Q, Subquery, Value, When
from django.utils import timezone

from moderation.models import User
from reviews import loops
from reviews.models import ClaimCursor, FlowDefinition, HumanLoop, Refusal, ReviewQueue, ReviewTask
from reviews.models.seat import ReviewTaskQuerySet

MAX_CLAIM: Final = 24
# A cursor older than this starts anew, so that no race keeps a seat behind it for long.
CURSOR_SECONDS: Final = 300
SWEEP_LIMIT: Final = 500
# "slre": the namespace of our advisory locks on reviewers.
_LOCK_SPACE: Final = 0x736C7265

Position = tuple[int, datetime, int]
"""Where a seat stands in its queue: priority with its sign turned, due date, id."""

_BEGINNING: Final[Position] = (-(2**31), datetime(1, 1, 1, tzinfo=UTC), 0)

# Seats of one loop stand next to each other, three at most, so four times n candidates hold n loops.  Those locked by
# others are passed over: nobody waits, and nobody is refused by a constraint.
_CLAIM = """
WITH candidate AS MATERIALIZED (
    SELECT seat.id, seat.loop_id, seat.priority, seat.due_at, flow.task_time_limit_seconds AS time_limit
    FROM reviews_reviewtask seat
    JOIN reviews_humanloop loop ON loop.id = seat.loop_id
    JOIN reviews_flowdefinition flow ON flow.id = loop.flow_id
    WHERE seat.state = 'open'
      AND seat.queue_id = %(queue)s
      AND (seat.priority * -1, seat.due_at, seat.id) >= (%(rank)s, %(due)s, %(id)s)
      AND loop.flow_id = ANY(%(flows)s)
      AND CASE seat.kind WHEN 'lead' THEN %(is_lead)s
               ELSE loop.status = 'InProgress' AND loop.available_until > %(now)s END
      AND NOT EXISTS (SELECT FROM reviews_reviewtask own WHERE own.loop_id = seat.loop_id AND own.reviewer_id = %(me)s)
      AND NOT EXISTS (SELECT FROM reviews_refusal WHERE loop_id = seat.loop_id AND reviewer_id = %(me)s)
    ORDER BY seat.priority * -1, seat.due_at, seat.id
    LIMIT 4 * %(n)s
    FOR NO KEY UPDATE OF seat SKIP LOCKED
), one_per_loop AS (
    SELECT DISTINCT ON (loop_id) * FROM candidate ORDER BY loop_id, priority DESC, due_at, id
), chosen AS (
    SELECT * FROM one_per_loop ORDER BY priority DESC, due_at, id LIMIT %(n)s
)
UPDATE reviews_reviewtask seat
SET state = 'claimed', reviewer_id = %(me)s, token = seat.token + 1, claimed_at = %(now)s, opened_at = NULL,
    lease_expires_at = %(now)s + make_interval(secs => LEAST(%(lease)s, chosen.time_limit))
FROM chosen
WHERE seat.id = chosen.id
RETURNING seat.priority * -1, seat.due_at, seat.id
"""


class LeaseLost(Exception):
    """The person no longer holds the seat under this token: the lease lapsed, or the item was taken care of."""


def claim(reviewer: User, n: int = 1, queue: ReviewQueue | None = None) -> list[ReviewTask]:
    """The seats a person holds (in `queue`, or anywhere), and free ones taken under a lease until there are `n`.

    In the order in which they should be worked on; fewer than `n` when there is nothing more for this person.  Raises
    ValueError unless 1 <= n <= 24.
    """
    if not 1 <= n <= MAX_CLAIM:
        raise ValueError(f"between 1 and {MAX_CLAIM} seats may be claimed at once, not {n}")
    with transaction.atomic():
        _one_claim_at_a_time(reviewer)
        held = ReviewTask.objects.held_by(reviewer).select_related("loop__flow")
        kept = [seat.pk for seat in (held.filter(queue=queue) if queue else held) if _renew(seat)]
        kept += _take(reviewer, n - len(kept), queue)
    seats = ReviewTask.objects.select_related("loop__flow", "loop__routing", "loop__submission__blob", "loop__analysis")
    found = seats.in_bulk(kept)
    return [found[pk] for pk in kept]


def heartbeat(seat_id: int, token: int, reviewer: User) -> datetime:
    """The holder is still there: the lease is renewed, and its new end returned.  Raises LeaseLost.

    No lease goes beyond the flow's task time limit, counted from the first look.
    """
    seat = ReviewTask.objects.under(token, reviewer).filter(pk=seat_id).select_related("loop__flow").first()
    ends = _renew(seat) if seat else None
    if ends is None:
        raise LeaseLost("You no longer hold this item.")
    return ends


def look(seat_id: int, token: int, reviewer: User) -> datetime:
    """Note that the holder sees the item: the time limit counts from here.  Answers as `heartbeat` does."""
    unseen = ReviewTask.objects.under(token, reviewer).filter(pk=seat_id, opened_at=None)
    unseen.update(opened_at=timezone.now())
    return heartbeat(seat_id, token, reviewer)


def release(held: Iterable[tuple[int, int]], reviewer: User) -> int:
    """Give seats back, named by id and token; returns how many.  Those no longer held are passed over."""
    return sum(_give_back(ReviewTask.objects.under(token, reviewer).filter(pk=pk)) for pk, token in held)


def skip(seat_id: int, token: int, reviewer: User, reason: str) -> None:
    """Pass on a loop for one of Refusal.Reason: the seat goes back, and this person is not asked again.

    Raises LeaseLost; ValueError for an unknown reason.
    """
    why = Refusal.Reason(reason)
    held = ReviewTask.objects.under(token, reviewer).filter(pk=seat_id)
    with transaction.atomic():
        seat = held.first()
        if seat is None or not _give_back(held):
            raise LeaseLost("You no longer hold this item.")
        Refusal.objects.update_or_create(loop_id=seat.loop_id, reviewer=reviewer, defaults={"reason": why})


def sweep() -> int:
    """Reopen the seats whose lease lapsed, and fail the loops whose time is over; returns how many seats."""
    reopened = _give_back(ReviewTask.objects.lapsed(), limit=SWEEP_LIMIT)
    loops.fail_overdue()
    return reopened


def lease_seconds() -> int:
    """How long a seat is held without a sign of life: long enough to work without JavaScript."""
    return int(settings.REVIEW_LEASE_SECONDS)


def _one_claim_at_a_time(reviewer: User) -> None:
    """Two tabs of one person claim one after the other; released when the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [_LOCK_SPACE, reviewer.pk])


def _renew(seat: ReviewTask) -> datetime | None:
    """Renew the lease; None when the seat is no longer held or its time limit is over."""
    now = timezone.now()
    since = seat.opened_at or seat.claimed_at or now
    ends = min(
        now + timedelta(seconds=lease_seconds()), since + timedelta(seconds=seat.loop.flow.task_time_limit_seconds)
    )
    if ends <= now or seat.reviewer is None:
        return None
    held = ReviewTask.objects.under(seat.token, seat.reviewer).filter(pk=seat.pk)
    return ends if held.update(lease_expires_at=ends) else None


def _take(reviewer: User, n: int, only: ReviewQueue | None) -> list[int]:
    """Claim up to `n` free seats, the most urgent queue first; their ids in order."""
    flows = list(FlowDefinition.objects.worked_by(reviewer).values_list("pk", flat=True))
    taken: list[int] = []
    for queue in _open_to(reviewer, flows, only) if n > 0 else ():
        taken += _take_from(queue, reviewer, n - len(taken), flows)
        if len(taken) >= n:
            break
    return taken


def _open_to(reviewer: User, flows: list[int], only: ReviewQueue | None) -> list[ReviewQueue]:
    """The queues a person may work in, by priority, and among equals the one whose first seat is due first."""
    queues = ReviewQueue.objects.filter(
        Exists(FlowDefinition.objects.filter(queue=OuterRef("pk"), pk__in=flows)), is_paused=False
    )
    first = ReviewTask.objects.filter(queue=OuterRef("pk"), state=ReviewTask.State.OPEN).order_by(
        F("priority") * -1, "due_at", "pk"
    )
    ordered = queues.annotate(due=Subquery(first.values("due_at")[:1])).exclude(due=None).order_by("-priority", "due")
    found: list[ReviewQueue] = list(ordered.filter(pk=only.pk) if only else ordered)
    if not any(queue.skills for queue in found):
        return found
    skills = set(reviewer.skills.values_list("name", flat=True))
    return [queue for queue in found if skills.issuperset(queue.skills)]


def _take_from(queue: ReviewQueue, reviewer: User, n: int, flows: list[int]) -> list[int]:
    """Claim from the cursor on; where that finds nothing, from the beginning."""
    now = timezone.now()
    cursor = ClaimCursor.objects.filter(reviewer=reviewer, queue=queue).first()
    if cursor and cursor.started_at > now - timedelta(seconds=CURSOR_SECONDS):
        taken = _claim_from((-cursor.priority, cursor.due_at, cursor.task_id), queue, reviewer, n, flows, now)
        if taken:
            # At the first one taken, not behind the last: others may have had a seat between them locked just now.
            _keep_cursor(reviewer, queue, taken[0], cursor.started_at)
            return [pk for *_, pk in taken]
    taken = _claim_from(_BEGINNING, queue, reviewer, n, flows, now)
    if taken:
        _keep_cursor(reviewer, queue, taken[0], now)
    elif cursor:
        cursor.delete()
    return [pk for *_, pk in taken]


def _claim_from(
    start: Position, queue: ReviewQueue, reviewer: User, n: int, flows: list[int], now: datetime
) -> list[Position]:
    rank, due, seat_id = start
    parameters: dict[str, int | bool | datetime | list[int]] = {
        "queue": queue.pk,
        "rank": rank,
        "due": due,
        "id": seat_id,
        "flows": flows,
        "is_lead": reviewer.has_role(User.Role.LEAD, User.Role.ADMIN),
        "me": reviewer.pk,
        "n": n,
        "now": now,
        "lease": lease_seconds(),
    }
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, parameters)
        return sorted(cursor.fetchall())


def _keep_cursor(reviewer: User, queue: ReviewQueue, position: Position, started_at: datetime) -> None:
    rank, due, seat_id = position
    cursor = ClaimCursor(
        reviewer=reviewer, queue=queue, priority=-rank, due_at=due, task_id=seat_id, started_at=started_at
    )
    ClaimCursor.objects.bulk_create(
        [cursor],
        update_conflicts=True,
        unique_fields=["reviewer", "queue"],
        update_fields=["priority", "due_at", "task_id", "started_at"],
    )


def _give_back(held: ReviewTaskQuerySet, limit: int | None = None) -> int:
    """Free held seats; at a loop that asks for no more answers they close.  Returns how many.

    Cursors that have passed a freed seat go back to it.  With a `limit` seats that others have locked are passed over.
    """
    asks = HumanLoop.objects.filter(pk=OuterRef("loop"), status=HumanLoop.Status.IN_PROGRESS)
    free = When(Q(kind=ReviewTask.Kind.LEAD) | Exists(asks), then=Value(ReviewTask.State.OPEN))
    with transaction.atomic():
        locked = held.order_by("pk").select_for_update(no_key=True, skip_locked=limit is not None)
        seats = list(locked[:limit])
        ReviewTask.objects.filter(pk__in=[seat.pk for seat in seats]).update(
            state=Case(free, default=Value(ReviewTask.State.CLOSED)),
            reviewer=None,
            lease_expires_at=None,
            claimed_at=None,
            opened_at=None,
        )
        for seat in seats:
            ClaimCursor.objects.rewind_to(seat)
    return len(seats)
