"""What a reviewer is shown of the machine's opinion, and on which items it is held back.

A random audit is there to find what the machine missed, so its reviewer must not learn what the machine thought, nor
that it is an audit.  Leaving out one line on audits alone would say so.  Therefore some items are *blind*: no labels,
no confidences, no reason, no chip.  Every audit is blind, and so is a fixed share of all other items of flows that
sample, chosen by a keyed hash.  A reviewer of a blind item can tell that it may be an audit, and not that it is one.
"""

import hmac
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from moderation.models import Analysis, Detection, Verdict
from moderation.policies import Outcome
from reviews.condition_schema import ANY_LABEL, Check, Conditions, Sampling, label_names, leaves, parse
from reviews.conditions import describe
from reviews.models import HumanLoop, Routing

BLIND_SHARE = 1 / 3
MOST_TOPICS = 2


@dataclass(frozen=True, slots=True)
class Tick:
    """A confidence at which a condition or a rule begins or ends to hold; `outcome` is for its colour."""

    at: float
    outcome: str = Outcome.REVIEW.value


@dataclass(frozen=True, slots=True)
class Shown:
    """One emitted label in its place in the tree: level 1 to 3, confidence 0 to 100."""

    name: str
    level: int
    confidence: float
    ticks: tuple[Tick, ...]


@dataclass(frozen=True, slots=True)
class Evidence:
    """The machine's side of the page, empty on a blind item; `topics` are level-1 names, surest first."""

    blind: bool
    topics: tuple[str, ...] = ()
    labels: tuple[Shown, ...] = ()
    reasons: tuple[str, ...] = ()


def evidence(loop: HumanLoop) -> Evidence:
    """What may be shown of a loop's analysis, to whomever it is."""
    if loop.analysis is None:
        return Evidence(blind=False)
    if is_blind(loop):
        return Evidence(blind=True)
    detections = list(loop.analysis.detections.all())
    conditions = _conditions(loop)
    return Evidence(
        blind=False,
        topics=tuple(each.label for each in detections if each.level == 1)[:MOST_TOPICS],
        labels=tuple(_tree(detections, conditions, loop.analysis)),
        reasons=tuple(_reasons(loop.routing)) if loop.routing else (),
    )


def is_blind(loop: HumanLoop) -> bool:
    """Whether the machine's opinion is held back: on audits, and on a share of what else a sampling flow sends."""
    conditions = _conditions(loop)
    if loop.is_audit:
        return True
    samples = conditions is not None and any(isinstance(leaf, Sampling) for leaf in conditions.leaves())
    return samples and _draw(loop) < BLIND_SHARE


def _draw(loop: HumanLoop) -> float:
    """A number from 0 to 1 that is always the same for this loop, and that nobody can foretell."""
    digest = hmac.digest(bytes(loop.flow.sampling_secret), f"blind {loop.pk}".encode(), "sha256")
    return int.from_bytes(digest[:8]) / 2**64


def _conditions(loop: HumanLoop) -> Conditions | None:
    """The conditions that judged the item: those of the trace, whatever the flow says by now."""
    trace = loop.routing.trace if loop.routing else None
    return parse(_without_results(trace)) if trace and trace.get("Conditions") else None


def _without_results(data: Any) -> Any:
    if isinstance(data, Mapping):
        return {key: _without_results(value) for key, value in data.items() if key != "EvaluationResult"}
    return [_without_results(each) for each in data] if isinstance(data, list) else data


def _reasons(routing: Routing) -> Iterator[str]:
    """Why people look, in words.  Draws are never told: not of items that a check brought here either."""
    if Routing.Reason.POLICY in routing.reasons:
        yield _policy_reason(routing)
    if Routing.Reason.CONDITIONS in routing.reasons:
        yield from _condition_reasons(routing)


def _policy_reason(routing: Routing) -> str:
    verdict = (
        Verdict.objects.filter(
            submission_id=routing.analysis.submission_id, source=Verdict.Source.POLICY, outcome=Outcome.REVIEW.value
        )
        .order_by("-pk")
        .first()
    )
    names = dict.fromkeys(each["label"] for each in verdict.because) if verdict else {}
    asked = _("The policy asks for review of %(labels)s.") % {"labels": ", ".join(names)}
    return asked if names else _("The policy asks for review.")


def _condition_reasons(routing: Routing) -> Iterator[str]:
    members = (routing.trace or {}).get("Conditions", [])
    conditions = parse(_without_results(routing.trace)) if members else None
    if conditions is None:
        yield describe(None)
        return
    for node, result in zip(conditions.members, members, strict=True):
        if result["EvaluationResult"] and not any(isinstance(leaf, Sampling) for leaf in leaves(node)):
            yield describe(Conditions((node,), conditions.taxonomy))


def _tree(detections: Iterable[Detection], conditions: Conditions | None, analysis: Analysis) -> Iterator[Shown]:
    """The labels, each below its parent, surest first."""
    below: dict[str, list[Detection]] = {}
    for each in detections:
        below.setdefault(each.parent, []).append(each)
    rules = analysis.policy_version.parsed()

    def grow(parent: str) -> Iterator[Shown]:
        for each in sorted(below.get(parent, ()), key=lambda found: -found.confidence):
            ruled = [Tick(rule.min_confidence, rule.outcome.value) for rule in rules if rule.label == each.label]
            ticks = sorted({*ruled, *_ticks(each.label, conditions)}, key=lambda tick: (tick.at, tick.outcome))
            yield Shown(each.label, each.level, each.confidence, tuple(ticks))
            yield from grow(each.label)

    return grow("")


def _ticks(label: str, conditions: Conditions | None) -> Iterator[Tick]:
    """Where conditions on this label, or on any, begin and end to hold."""
    if conditions is None:
        return
    for leaf in conditions.leaves():
        if isinstance(leaf, Check) and (
            leaf.label == ANY_LABEL or label in label_names(leaf.label, conditions.taxonomy)
        ):
            yield from (Tick(bound) for _, bound in leaf.bounds)
