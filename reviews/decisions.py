"""Answers: taken once per seat, kept when they come too late, and taken back within the grace.

The outcome and the labels are two statements: `labels` says what is in the picture, `outcome` what is to become of it.
So an approved picture may carry labels (they are there, and allowed), and approving without any says that none applies.
A rejection without labels needs a comment, and says nothing of the labels that were asked about.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from moderation import taxonomy
from moderation.models import User
from reviews import loops
from reviews.evidence import evidence
from reviews.models import Decision, HumanLoop, ReviewTask, UnsentAnswer
from reviews.queue import LeaseLost, lease_seconds

MAX_COMMENT = 2000
MAX_ANSWER_BYTES = 1_048_576


class SeatNotFound(Exception):
    """There is no such seat for this person."""


class AnswerInvalid(Exception):
    """The answer cannot be taken: `field` names the part, the message what is wrong with it."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class AnswerTooLate(LeaseLost):
    """The seat is no longer the person's.  What was typed is kept: `kept` is the row."""

    def __init__(self, message: str, kept: UnsentAnswer) -> None:
        super().__init__(message)
        self.kept = kept


class AnswerIdTaken(Exception):
    """Another answer has this id."""


class UndoRefused(Exception):
    """The answer cannot be taken back any more."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person says.  `id` is made by the browser, so that an answer sent twice is one answer.

    Moderation loops take an `outcome` (approve or reject) and taxonomy `labels`, custom ones an `answer` (JSON) alone.
    `seconds` is the time spent on it, pauses left out.
    """

    id: UUID
    outcome: str = ""
    labels: Sequence[str] = ()
    comment: str = ""
    answer: object = None
    seconds: float = 0.0


def submit(seat_id: int, token: int, reviewer: User, answer: Answer) -> Decision:
    """Take an answer for the seat that the person holds under `token`; the same answer again is taken as taken.

    Raises SeatNotFound, AnswerInvalid, AnswerTooLate (the answer is kept for the person), AnswerIdTaken.  Call it
    outside any transaction: what is kept must outlive the refusal.
    """
    loop_id = _loop_of(seat_id, reviewer)
    try:
        with transaction.atomic():
            loop = HumanLoop.objects.lock(loop_id)
            if earlier := Decision.objects.filter(pk=answer.id).first():
                return _same(earlier, seat_id, reviewer)
            answer = _checked(loop, answer)
            decision = _take(loop, seat_id, token, reviewer, answer)
            _after_answer(loop)
            return decision
    except LeaseLost as error:
        raise AnswerTooLate(str(error), _keep(loop_id, reviewer, answer)) from None
    except IntegrityError:
        # The same id was sent for two loops side by side.
        if earlier := Decision.objects.filter(pk=answer.id).first():
            return _same(earlier, seat_id, reviewer)
        raise


def undo(decision_id: UUID, reviewer: User) -> ReviewTask:
    """Take one's answer back within the grace: the seat is the person's again, under the token of the returned row.

    Undone twice is undone once.  Raises SeatNotFound, UndoRefused.
    """
    decision = Decision.objects.filter(pk=decision_id, reviewer=reviewer, withdrawn=False).first()
    if decision is None:
        raise SeatNotFound("You have given no such answer.")
    with transaction.atomic():
        loop = HumanLoop.objects.lock(decision.loop_id)
        seat = ReviewTask.objects.select_related("loop__flow").get(pk=decision.task_id)
        if Decision.objects.filter(supersedes=decision, withdrawn=True).exists():
            return _still_held(seat, reviewer)
        _check_grace(loop, seat, decision)
        return _withdraw(loop, seat, decision)


def asked_labels(loop: HumanLoop) -> tuple[str, ...]:
    """The labels put before a reviewer, in taxonomy order: what is not chosen of them counts as judged absent.

    Always the ten of level 1, so that an answer speaks of the whole taxonomy, and what the page shows of the machine's
    labels.
    """
    shown = {label.name for label in evidence(loop).labels}
    return tuple(each.name for each in taxonomy.LABELS.values() if each.level == 1 or each.name in shown)


def undo_seconds() -> int:
    """How long an answer can be taken back, and how long its effects wait."""
    return int(settings.UNDO_GRACE_SECONDS)


def _loop_of(seat_id: int, reviewer: User) -> int:
    seats = ReviewTask.objects.filter(pk=seat_id, loop__account_id=reviewer.account_id)
    mine = seats.filter(reviewer=reviewer) | seats.filter(loop__flow__work_team__members=reviewer)
    loop_id = mine.values_list("loop_id", flat=True).first()
    if loop_id is None:
        raise SeatNotFound("There is no such item for you.")
    return loop_id


def _same(earlier: Decision, seat_id: int, reviewer: User) -> Decision:
    if (earlier.task_id, earlier.reviewer_id) != (seat_id, reviewer.pk):
        raise AnswerIdTaken("Another answer has this id.")
    return earlier


def _take(loop: HumanLoop, seat_id: int, token: int, reviewer: User, answer: Answer) -> Decision:
    now = timezone.now()
    seat = ReviewTask.objects.get(pk=seat_id)
    if seat.state == ReviewTask.State.ANSWERED and seat.reviewer_id == reviewer.pk:
        raise LeaseLost("You have answered this item already.")
    held = ReviewTask.objects.under(token, reviewer).filter(pk=seat_id)
    if not held.update(state=ReviewTask.State.ANSWERED, answered_at=now, lease_expires_at=None):
        raise LeaseLost("You no longer hold this item: your time for it was over, and it is open to others again.")
    accepted_at = seat.claimed_at or now
    UnsentAnswer.objects.filter(loop=loop, reviewer=reviewer).delete()
    return Decision.objects.create(
        id=answer.id,
        task=seat,
        loop=loop,
        reviewer=reviewer,
        token=token,
        outcome=answer.outcome,
        labels=list(answer.labels),
        judged=_judged(loop, seat, answer),
        answer=answer.answer,
        comment=answer.comment,
        accepted_at=accepted_at,
        submitted_at=now,
        seconds_spent=min(answer.seconds, (now - accepted_at).total_seconds()),
    )


def _judged(loop: HumanLoop, seat: ReviewTask, answer: Answer) -> list[str]:
    """The labels that the answer speaks of, chosen or not: none where something is wrong that no label names."""
    if loop.flow.is_custom or (answer.outcome == Decision.Outcome.REJECT and not answer.labels):
        return []
    asked = set(asked_labels(loop))
    if seat.kind == ReviewTask.Kind.LEAD:
        # The lead sees the reviewers' answers side by side, so every label in them is before the lead.
        asked.update(*loop.standing_decisions().values_list("labels", flat=True))
    return [name for name in taxonomy.LABELS if name in asked]


def _after_answer(loop: HumanLoop) -> None:
    """Have the loop settled after the grace, where this was the answer it waited for."""
    seats = loop.tasks.exclude(state=ReviewTask.State.CLOSED)
    if not seats.exclude(state=ReviewTask.State.ANSWERED).exists():
        loops.schedule_settlement(loop, timezone.now() + timedelta(seconds=undo_seconds()))


def _keep(loop_id: int, reviewer: User, answer: Answer) -> UnsentAnswer:
    kept, _ = UnsentAnswer.objects.update_or_create(
        loop_id=loop_id,
        reviewer=reviewer,
        defaults={
            "outcome": answer.outcome,
            "labels": list(answer.labels),
            "answer": answer.answer,
            "comment": answer.comment,
            "seconds_spent": answer.seconds,
            "created_at": timezone.now(),
        },
    )
    return kept


def _still_held(seat: ReviewTask, reviewer: User) -> ReviewTask:
    if seat.state != ReviewTask.State.CLAIMED or seat.reviewer_id != reviewer.pk:
        raise UndoRefused("This answer was taken back before.")
    return seat


def _check_grace(loop: HumanLoop, seat: ReviewTask, decision: Decision) -> None:
    over = timezone.now() >= decision.submitted_at + timedelta(seconds=undo_seconds())
    is_lead = seat.kind == ReviewTask.Kind.LEAD
    if over or loop.settled_at or (not is_lead and loop.status != HumanLoop.Status.IN_PROGRESS):
        raise UndoRefused(f"An answer can be taken back for {undo_seconds()} seconds, and this one no longer can.")


def _withdraw(loop: HumanLoop, seat: ReviewTask, decision: Decision) -> ReviewTask:
    now = timezone.now()
    Decision.objects.create(
        task=seat,
        loop=loop,
        reviewer_id=decision.reviewer_id,
        token=seat.token,
        withdrawn=True,
        supersedes=decision,
        accepted_at=decision.accepted_at,
        submitted_at=now,
    )
    seat.state, seat.token, seat.answered_at = ReviewTask.State.CLAIMED, seat.token + 1, None
    seat.claimed_at = seat.opened_at = now
    seat.lease_expires_at = now + timedelta(seconds=min(lease_seconds(), loop.flow.task_time_limit_seconds))
    seat.save(update_fields=["state", "token", "answered_at", "claimed_at", "opened_at", "lease_expires_at"])
    loops.cancel_settlement(loop)
    return seat


def _checked(loop: HumanLoop, answer: Answer) -> Answer:
    """The answer with its labels in taxonomy order, each once; AnswerInvalid when it cannot be taken."""
    _check_text("comment", answer.comment, MAX_COMMENT)
    if not math.isfinite(answer.seconds) or answer.seconds < 0:
        raise AnswerInvalid("seconds", "The seconds spent must be a number from 0 up.")
    if loop.flow.is_custom:
        return _checked_custom(answer)
    if answer.answer is not None:
        raise AnswerInvalid("answer", "A free answer is only for custom tasks.")
    if answer.outcome not in Decision.Outcome.values:
        raise AnswerInvalid("outcome", "The outcome must be approve or reject.")
    if unknown := [label for label in answer.labels if label not in taxonomy.LABELS]:
        raise AnswerInvalid("labels", f"{unknown[0][:80]!r} is not a label of taxonomy {taxonomy.VERSION}.")
    if answer.outcome == Decision.Outcome.REJECT and not answer.labels and not answer.comment.strip():
        raise AnswerInvalid("labels", "A rejection needs at least one label, or a comment that says why.")
    labels = tuple(name for name in taxonomy.LABELS if name in set(answer.labels))
    return Answer(answer.id, answer.outcome, labels, answer.comment, None, answer.seconds)


def _checked_custom(answer: Answer) -> Answer:
    if answer.outcome or answer.labels:
        raise AnswerInvalid("outcome", "A custom task takes a free answer alone.")
    try:
        text = json.dumps(answer.answer, allow_nan=False, ensure_ascii=False)
        size = len(text.encode())
    except (TypeError, ValueError, RecursionError):
        raise AnswerInvalid("answer", "The answer must be JSON without NaN, infinity or half surrogates.") from None
    if answer.answer is None or size > MAX_ANSWER_BYTES or "\\u0000" in text:
        raise AnswerInvalid("answer", f"The answer must be JSON of 1 to {MAX_ANSWER_BYTES} bytes, without NUL.")
    return answer


def _check_text(field: str, text: str, limit: int) -> None:
    if len(text) > limit:
        raise AnswerInvalid(field, f"At most {limit} characters are accepted, not {len(text)}.")
    if any(c == "\0" or "\ud800" <= c <= "\udfff" for c in text):
        raise AnswerInvalid(field, "NUL and half surrogates are not accepted.")
