"""Settlement: after the undo grace a loop ends, its output file is written, and people's verdict stands.

Each step is guarded by what it writes, so that a crash anywhere loses nothing and a second run doubles nothing:

1. the output file: the same bytes under the same key each time;
2. the loop's end and its event: one transaction, once, since the loop must be open;
3. verdict, ground truth, their events, or a lead's seat: one transaction, once, since the loop must be unsettled;
4. the outbox message that asked for it: until it is done with, the loop is settled again.
"""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from moderation.models import OutboxMessage, Submission, User, Verdict
from moderation.policies import Outcome
from moderation.storage import StorageError
from reviews import consensus, ground_truth, loops, output
from reviews.consensus import Consensus, State
from reviews.decisions import undo_seconds
from reviews.models import Decision, HumanLoop, ReviewTask, Routing

logger = logging.getLogger(__name__)

# A held seat of a loop that is being stopped: when to look again.
STOPPING_SECONDS = 15
FIRST_DELAY_SECONDS = 10.0
LONGEST_DELAY_SECONDS = 3600.0


def run_due(limit: int = 500) -> int:
    """Settle the loops that are due; returns how many messages were worked on.

    One message at a time: one that fails in a way nobody thought of holds up only itself, until its lease is over.
    """
    done = 0
    while done < limit and (messages := OutboxMessage.objects.claim(1, OutboxMessage.Kind.REVIEW)):
        _work_on(messages[0])
        done += 1
    return done


def settle(loop_id: int) -> datetime | None:
    """Bring a loop as far as its answers allow; returns when to come again where somebody may still change them.

    Raises StorageError when the output file could not be written; the loop is still open then, the verdict stands.
    """
    loop = HumanLoop.objects.select_related("flow", "account", "routing", "submission", "analysis").get(pk=loop_id)
    decisions = list(loop.standing_decisions())
    if again := _changeable_until(loop, decisions):
        return again
    try:
        _end(loop, decisions)
    finally:
        _decide(loop_id)
    return None


def join(loop_id: int, routing: Routing) -> HumanLoop:
    """The same input was sent again: its submission gets this loop's answer, at once where there is one already."""
    loop = HumanLoop.objects.lock(loop_id)
    routing.joined_loop = loop
    routing.save()
    submission = routing.analysis.submission
    if loop.settled_at and loop.submission and submission != loop.submission:
        verdict = loop.submission.verdicts.filter(source=Verdict.Source.HUMAN).first()
        if verdict:
            submission.decide(verdict.outcome, verdict.because, verdict.decided_by)
    elif loop.status not in HumanLoop.OPEN and submission.status == Submission.Status.IN_REVIEW:
        loops.seat_lead(loop)
    return loop


def _work_on(message: OutboxMessage) -> None:
    loop_id = int(message.payload["loop"])
    try:
        again = settle(loop_id)
    except StorageError as error:
        logger.warning("human loop %s: the output file could not be written: %s", loop_id, error)
        message.postpone(min(FIRST_DELAY_SECONDS * 2.0 ** (message.attempts - 1), LONGEST_DELAY_SECONDS))
        if message.status == OutboxMessage.Status.DEAD:
            loops.fail(loop_id, loops.OUTPUT_FAILED, f"The output file could not be written: {error}")
        return
    if again is None:
        message.delivered()
    else:
        message.not_before, message.attempts = again, 0
        message.save(update_fields=["not_before", "attempts"])


def _changeable_until(loop: HumanLoop, decisions: Sequence[Decision]) -> datetime | None:
    """When the last answer can no longer be taken back, if that is still ahead."""
    now = timezone.now()
    if loop.status == HumanLoop.Status.STOPPING and loop.tasks.filter(state=ReviewTask.State.CLAIMED).exists():
        return now + timedelta(seconds=STOPPING_SECONDS)
    last = max((decision.submitted_at for decision in decisions), default=None)
    until = last and last + timedelta(seconds=undo_seconds())
    return until if until and until > now else None


def _end(loop: HumanLoop, decisions: Sequence[Decision]) -> None:
    """Steps 1 and 2."""
    answers = [each for each in decisions if each.task.kind == ReviewTask.Kind.REVIEWER]
    if not _is_over(loop, len(answers)):
        return
    uri = output.write(loop, answers) if answers else ""
    with transaction.atomic():
        loop = HumanLoop.objects.lock(loop.pk)
        answered = loop.tasks.filter(kind=ReviewTask.Kind.REVIEWER, state=ReviewTask.State.ANSWERED).count()
        if _is_over(loop, answered):
            stopping = loop.status == HumanLoop.Status.STOPPING
            loops.end(loop, HumanLoop.Status.STOPPED if stopping else HumanLoop.Status.COMPLETED, uri)


def _is_over(loop: HumanLoop, answers: int) -> bool:
    complete = loop.status == HumanLoop.Status.IN_PROGRESS and answers == loop.task_count
    return complete or loop.status == HumanLoop.Status.STOPPING


def _decide(loop_id: int) -> None:
    """Step 3."""
    with transaction.atomic():
        loop = HumanLoop.objects.lock(loop_id)
        if loop.settled_at or loop.flow.is_custom:
            return
        decisions = list(loop.standing_decisions())
        if _changeable_until(loop, decisions):
            return  # an answer has come in since, which has this loop settled again
        result = _consensus(loop, decisions)
        if result.state is State.NEEDS_LEAD:
            loops.seat_lead(loop)
        elif result.state is State.SETTLED:
            _write(loop, result, decisions)


def _consensus(loop: HumanLoop, decisions: Sequence[Decision]) -> Consensus:
    lead = next((each for each in decisions if each.task.kind == ReviewTask.Kind.LEAD), None)
    answers = [_answer(each) for each in decisions if each is not lead]
    return consensus.settle(answers, loop.task_count, _answer(lead) if lead else None)


def _answer(decision: Decision) -> consensus.Answer:
    return consensus.Answer(Outcome(decision.outcome), frozenset(decision.labels), frozenset(decision.judged))


def _write(loop: HumanLoop, result: Consensus, decisions: Sequence[Decision]) -> None:
    # Locked in one order everywhere, before anything is read of them: two loops of one submission take turns.
    locked = Submission.objects.filter(pk__in=loop.submissions().values("pk")).order_by("pk")
    submissions = list(locked.select_for_update(no_key=True))
    because: list[dict[str, object]] = [{"label": name} for name in ground_truth.in_order(result.present)]
    decided_by = _whose_word(decisions)
    for submission in submissions:
        submission.decide(str(result.outcome), because, decided_by)
    ground_truth.record(loop, result, decisions)
    loop.settled_at = timezone.now()
    loop.save(update_fields=["settled_at"])


def _whose_word(decisions: Sequence[Decision]) -> User | None:
    """The lead, or the only reviewer; None where several agreed."""
    deciding = [each for each in decisions if each.task.kind == ReviewTask.Kind.LEAD] or decisions
    return deciding[0].reviewer if len(deciding) == 1 else None
