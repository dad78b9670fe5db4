"""The life of a human loop: it starts with its seats, is stopped, fails, ends, and is deleted.

A submission whose policy asks for a review always has somebody who can decide it: where its loop fails or is stopped,
or its reviewers are tied, a lead's seat opens, which no lifetime ends.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from moderation.handoff import LoopNameTaken, LoopQuotaExceeded
from moderation.models import Account, OutboxMessage, Submission
from reviews.events import announce
from reviews.models import ClaimCursor, FlowDefinition, HumanLoop, ReviewTask, Routing

# Two of the three failure codes that Augmented AI documents; ValidationError is the third.
LIFETIME_OVER = "Expired"
OUTPUT_FAILED = "InternalError"
# The outbox message that has a loop settled (reviews/settlement.py).
SETTLE = "human_loop.settle"


class LoopFinished(Exception):
    """The loop is no longer in progress."""


class LoopRunning(Exception):
    """The loop must end first."""


@dataclass(frozen=True, slots=True)
class LoopInput:
    """What people are asked: `content` is repeated in the output file, `digest` tells the same input from another.

    `routing` (unsaved) says why, and `selected` are the labels it is about; a custom task has neither.
    """

    name: str
    digest: str
    content: Mapping[str, object]
    content_classifiers: Sequence[str] = ()
    selected: Sequence[Mapping[str, object]] = ()
    routing: Routing | None = None


def input_digest(flow: FlowDefinition, content_digest: str, content_classifiers: Sequence[str]) -> str:
    """The same for the same content (by digest), flow definition and data attributes; SHA-256 in hex."""
    said = json.dumps([content_digest, flow.arn, sorted(content_classifiers)])
    return hashlib.sha256(said.encode()).hexdigest()


def check_quota(account: Account) -> None:
    """Raise LoopQuotaExceeded when the account has as many open loops as MAX_OPEN_LOOPS allows; 0 is no limit.

    For those who ask for a loop; a policy's review is never refused.
    """
    limit = int(settings.MAX_OPEN_LOOPS)
    if limit and HumanLoop.objects.open().filter(account=account)[:limit].count() >= limit:
        raise LoopQuotaExceeded(f"The account has {limit} open human loops, which is its limit.")


def start(flow: FlowDefinition, what: LoopInput, *, bounded: bool = False) -> tuple[HumanLoop, bool]:
    """Begin a loop; the one that is there, and False, where the same input began it under this name before.

    Raises LoopNameTaken when a loop of that name, running or finished and not deleted, is about another input, and with
    `bounded` LoopQuotaExceeded: those who ask side by side take turns, so that the bound holds.
    """
    if (existing := HumanLoop.objects.named(flow.account, flow.region, what.name)) is None:
        try:
            with transaction.atomic():
                if bounded and settings.MAX_OPEN_LOOPS:
                    _take_turn(flow, what.name)
                return _begin(flow, what), True
        except IntegrityError:
            # Two callers with one name ran side by side, and the other was first.
            existing = HumanLoop.objects.named(flow.account, flow.region, what.name)
            if existing is None:
                raise
    if existing.input_digest != what.digest:
        raise LoopNameTaken(f"A human loop {what.name} exists with another input.")
    return existing, False


def _take_turn(flow: FlowDefinition, name: str) -> None:
    """Count the open loops while nobody else of the account begins one; the same name once more is none."""
    Account.objects.select_for_update(no_key=True).get(pk=flow.account_id)
    if HumanLoop.objects.named(flow.account, flow.region, name) is None:
        check_quota(flow.account)


def stop(loop_id: int) -> HumanLoop:
    """Ask for no more answers: free seats close at once, held ones when their holders are done or their leases lapse.

    What was answered is still written.  Raises LoopFinished.
    """
    with transaction.atomic():
        loop = HumanLoop.objects.lock(loop_id)
        if loop.status != HumanLoop.Status.IN_PROGRESS:
            raise LoopFinished(f"The human loop {loop.name} is {loop.status}.")
        loop.status = HumanLoop.Status.STOPPING
        loop.save(update_fields=["status"])
        loop.close_open_seats()
        if loop.tasks.exclude(state=ReviewTask.State.CLOSED).exists():
            schedule_settlement(loop)
        else:
            end(loop, HumanLoop.Status.STOPPED)
    return loop


def fail(loop_id: int, code: str, reason: str) -> bool:
    """End a loop without its answers; False when it has ended already."""
    with transaction.atomic():
        loop = HumanLoop.objects.lock(loop_id)
        if loop.status not in HumanLoop.OPEN:
            return False
        loop.failure_code, loop.failure_reason = code, reason[:1024]
        end(loop, HumanLoop.Status.FAILED)
    return True


def fail_overdue(limit: int = 200) -> int:
    """Fail the loops whose time to find reviewers is over; whoever holds a seat may finish first."""
    overdue = HumanLoop.objects.overdue().order_by("available_until")
    return sum(_fail_overdue(pk) for pk in overdue.values_list("pk", flat=True)[:limit])


def end(loop: HumanLoop, status: HumanLoop.Status, output_uri: str = "") -> None:
    """Write the end of a loop whose row is locked, announce it, and see to it that its submission is not left alone."""
    loop.status, loop.output_uri, loop.completed_at = status, output_uri, timezone.now()
    loop.save(update_fields=["status", "output_uri", "completed_at", "failure_code", "failure_reason"])
    loop.close_open_seats()
    if status != HumanLoop.Status.COMPLETED and _leaves_somebody_waiting(loop):
        seat_lead(loop)
    announce(loop)


def delete(loop_id: int) -> None:
    """Take a finished loop out of sight; what it settled stays.  Raises LoopRunning."""
    with transaction.atomic():
        loop = HumanLoop.objects.lock(loop_id)
        if loop.status in HumanLoop.OPEN:
            raise LoopRunning(f"The human loop {loop.name} is {loop.status}; stop it first.")
        HumanLoop.objects.filter(pk=loop_id, deleted_at=None).update(deleted_at=timezone.now())


def seat_lead(loop: HumanLoop) -> None:
    """Open a seat for a lead, whose answer then decides; once per loop, whose row is locked.

    It goes before the reviewers' seats of its queue: this item has waited longer.
    """
    if loop.tasks.filter(kind=ReviewTask.Kind.LEAD).exists():
        return
    ordinary = loop.tasks.order_by("pk").first()
    priority = ordinary.priority + 1 if ordinary else 1
    _open_seats(loop, 1, ReviewTask.Kind.LEAD, priority)


def schedule_settlement(loop: HumanLoop, not_before: datetime | None = None) -> None:
    """Have the loop settled then, or as soon as possible."""
    OutboxMessage.objects.create(
        account_id=loop.account_id,
        kind=OutboxMessage.Kind.REVIEW,
        event=SETTLE,
        payload={"loop": loop.pk},
        not_before=not_before or timezone.now(),
    )


def cancel_settlement(loop: HumanLoop) -> None:
    """Take back what was scheduled: an answer was withdrawn."""
    waiting = OutboxMessage.objects.filter(kind=OutboxMessage.Kind.REVIEW, status=OutboxMessage.Status.WAITING)
    waiting.filter(payload__loop=loop.pk).update(status=OutboxMessage.Status.CANCELLED)


def _begin(flow: FlowDefinition, what: LoopInput) -> HumanLoop:
    until = timezone.now() + timedelta(seconds=flow.task_availability_lifetime_seconds)
    analysis = what.routing.analysis if what.routing else None
    if what.routing:
        what.routing.save()
    loop = HumanLoop.objects.create(
        account=flow.account,
        region=flow.region,
        name=what.name,
        flow=flow,
        routing=what.routing,
        analysis=analysis,
        submission=analysis.submission if analysis else None,
        input_digest=what.digest,
        input_content=what.content,
        content_classifiers=list(what.content_classifiers),
        selected_labels=list(what.selected),
        task_count=flow.task_count,
        available_until=until,
        due_at=until,
    )
    _open_seats(loop, flow.task_count, ReviewTask.Kind.REVIEWER, priority=0)
    announce(loop)
    return loop


def _open_seats(loop: HumanLoop, count: int, kind: ReviewTask.Kind, priority: int) -> None:
    seat = ReviewTask(loop=loop, queue_id=loop.flow.queue_id, kind=kind, priority=priority, due_at=loop.due_at)
    first, *_ = ReviewTask.objects.bulk_create(copy(seat) for _ in range(count))
    ClaimCursor.objects.rewind_to(first)


def _fail_overdue(loop_id: int) -> bool:
    with transaction.atomic():
        loop = HumanLoop.objects.overdue().select_for_update(no_key=True).filter(pk=loop_id).first()
        if loop is None or loop.tasks.filter(state=ReviewTask.State.CLAIMED).exists():
            return False
        answered = loop.tasks.filter(state=ReviewTask.State.ANSWERED).count()
        if answered == loop.task_count:
            return False
        reason = f"{answered} of {loop.task_count} answers came before the task availability lifetime was over."
        return fail(loop_id, LIFETIME_OVER, reason)


def _leaves_somebody_waiting(loop: HumanLoop) -> bool:
    """Whether a submission of the loop is in review, and no other loop of it is on the way to an answer."""
    busy = Q(status__in=HumanLoop.OPEN) | Q(
        tasks__kind=ReviewTask.Kind.LEAD, tasks__state__in=(ReviewTask.State.OPEN, ReviewTask.State.CLAIMED)
    )
    waiting = loop.submissions().filter(status=Submission.Status.IN_REVIEW)
    return any(not each.human_loops.exclude(pk=loop.pk).filter(busy).exists() for each in waiting)
