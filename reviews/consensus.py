"""Consensus on label sets: what several reviewers together say of one item.

- The outcome is the one that more reviewers gave. A tie between approve and reject opens a lead's seat, and the lead's
  answer then decides all of it.
- A label stands as present when more than half of the answers name it. Naming a label names its ancestors.
- A label stands as absent when more than half of the answers say so: they were asked about it, or about a label above
  it, and did not name it. Silence about a label that nobody asked about says nothing.
- Any other label, a tie included, stays undecided. Labels do not make the outcome, so no lead is called for them:
  an undecided label is left out of the ground truth.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from moderation import taxonomy
from moderation.policies import Outcome


class State(StrEnum):
    """How far the people have come."""

    OPEN = "open"  # answers are missing
    NEEDS_LEAD = "needs_lead"
    SETTLED = "settled"


@dataclass(frozen=True, slots=True)
class Answer:
    """One person's answer: approve or reject, the labels seen, and the labels asked about.

    `judged` None: the person was shown no list of labels, so what they did not name tells nothing. (For a lead it means
    every label that came up.) ValueError for an outcome that is neither approve nor reject.
    """

    outcome: Outcome
    labels: frozenset[str] = frozenset()
    judged: frozenset[str] | None = None

    def __post_init__(self) -> None:
        if self.outcome not in (Outcome.APPROVE, Outcome.REJECT):
            raise ValueError(f"a person answers approve or reject, not {self.outcome}")


@dataclass(frozen=True, slots=True)
class LabelCount:
    """How many reviewers (the lead apart) say that a label is there, that it is not, and nothing of it."""

    present: int
    absent: int
    silent: int


@dataclass(frozen=True, slots=True)
class Consensus:
    """What stands. Until settled there is no outcome, and no label is present or absent; the counts show what was said.

    `agreement` is the share of reviewers (the lead apart) on the side of the outcome, or of the leading one while
    unsettled; None without answers. `counts` has every label that was named or asked about, and their ancestors.
    """

    state: State
    outcome: Outcome | None
    present: frozenset[str]
    absent: frozenset[str]
    undecided: frozenset[str]
    counts: Mapping[str, LabelCount] = field(hash=False)
    agreement: float | None


def settle(answers: Sequence[Answer], task_count: int, lead: Answer | None = None) -> Consensus:
    """What the answers of `task_count` reviewers, and the lead's if there is one, come to; open until all are in."""
    counts = _counts(answers if lead is None else (*answers, lead), answers)
    if lead is not None:
        present = named(lead)
        absent = frozenset(counts) - present if lead.judged is None else _denied(lead, counts)
        return _settled(lead.outcome, present, absent, counts, answers)
    outcome = _leading(answers)
    if len(answers) < task_count or outcome is None:
        state = State.OPEN if len(answers) < task_count else State.NEEDS_LEAD
        return Consensus(state, None, frozenset(), frozenset(), frozenset(counts), counts, _agreement(answers, outcome))
    half = len(answers) / 2
    present = frozenset(label for label, count in counts.items() if count.present > half)
    absent = frozenset(label for label, count in counts.items() if count.absent > half)
    return _settled(outcome, present, absent, counts, answers)


def named(answer: Answer) -> frozenset[str]:
    """The labels an answer names, with all their ancestors."""
    return answer.labels | {above for label in answer.labels for above in _above(label)}


def _settled(
    outcome: Outcome,
    present: frozenset[str],
    absent: frozenset[str],
    counts: Mapping[str, LabelCount],
    answers: Sequence[Answer],
) -> Consensus:
    undecided = frozenset(counts) - present - absent
    return Consensus(State.SETTLED, outcome, present, absent, undecided, counts, _agreement(answers, outcome))


def _counts(everyone: Sequence[Answer], reviewers: Sequence[Answer]) -> Mapping[str, LabelCount]:
    labels = sorted({label for answer in everyone for label in named(answer) | (answer.judged or frozenset())})
    present = [named(answer) for answer in reviewers]
    absent = [_denied(answer, labels) for answer in reviewers]
    counts = {
        label: (sum(label in each for each in present), sum(label in each for each in absent)) for label in labels
    }
    return MappingProxyType(
        {label: LabelCount(yes, no, len(reviewers) - yes - no) for label, (yes, no) in counts.items()}
    )


def _denied(answer: Answer, labels: Mapping[str, object] | Sequence[str]) -> frozenset[str]:
    """Those of `labels` that the answer says are not there."""
    refused = (answer.judged or frozenset()) - named(answer)
    return frozenset(label for label in labels if not refused.isdisjoint((label, *_above(label))))


def _above(label: str) -> tuple[str, ...]:
    """The names of a label's ancestors; a label outside the taxonomy stands alone."""
    return tuple(each.name for each in taxonomy.ancestors(label)) if label in taxonomy.LABELS else ()


def _leading(answers: Sequence[Answer]) -> Outcome | None:
    """The outcome that more answers gave; None at a tie, and without answers."""
    lead = sum(1 if answer.outcome == Outcome.REJECT else -1 for answer in answers)
    return None if lead == 0 else Outcome.REJECT if lead > 0 else Outcome.APPROVE


def _agreement(answers: Sequence[Answer], outcome: Outcome | None) -> float | None:
    if not answers:
        return None
    return 0.5 if outcome is None else sum(answer.outcome == outcome for answer in answers) / len(answers)
