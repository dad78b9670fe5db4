"""Human loop activation conditions: do people look at this analysis, at which labels, and how likely was that?

Where Amazon's description leaves a choice, it was made so:

- A check is true when some emitted label of that name (any, for `*`) meets all its comparators. An absent label makes
  it false, "less than" included. Confidences are 32-bit floats on the wire, so both sides are compared as such.
- And: checks on the same name, nested ones too, must be met by one and the same label, which makes `* > 50` And
  `* < 90` a range. Checks on different names are met by different labels. An Or inside an And takes part in this where
  it holds only checks on that one name; with another name or a Sampling in it, it stands on its own.
- Nothing is cut short: every node gets its own result in the trace.
- Sampling draws one number per node from a keyed hash of medium, flow and node: the same request always falls the same
  way, and nobody without the secret can tell how. Two Sampling nodes are two independent draws.
- The inclusion probability is that of the draws, with the labels as they are. Each draw stands in exactly one node, so
  And multiplies and Or is 1 - (1 - p)(1 - q)...: exact, not an approximation.
"""

import ctypes
import hashlib
import hmac
import json
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from math import prod

from reviews.condition_schema import (
    ANY_LABEL,
    MAX_CHARACTERS,
    Check,
    ConditionError,
    Conditions,
    Group,
    Node,
    Sampling,
    label_names,
    leaves,
    parse,
)
from reviews.condition_text import describe, warnings

__all__ = [
    "ConditionError",
    "Conditions",
    "Draw",
    "EmittedLabel",
    "Evaluation",
    "Facts",
    "Reason",
    "ReasonKind",
    "describe",
    "evaluate",
    "label_names",
    "parse",
    "warnings",
]

_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "ConfidenceEquals": operator.eq,
    "ConfidenceLessThan": operator.lt,
    "ConfidenceLessThanEquals": operator.le,
    "ConfidenceGreaterThan": operator.gt,
    "ConfidenceGreaterThanEquals": operator.ge,
}


@dataclass(frozen=True, slots=True)
class EmittedLabel:
    """A label of the response, under its taxonomy 7.0 name; `parent` is "" on level 1, confidence 0 to 100."""

    name: str
    parent: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Facts:
    """What conditions are evaluated on: the labels of the response, and what the random draws are keyed by.

    `media_digest` is the hash of the medium's bytes, `flow_key` the flow definition's ARN and version.
    """

    labels: Sequence[EmittedLabel]
    media_digest: str
    flow_key: str
    sampling_secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Draw:
    """The draw of one Sampling node: a hit when u (0 <= u < 1) is below the probability (0 to 1)."""

    path: str
    probability: float
    u: float

    @property
    def hit(self) -> bool:
        """Whether this node sampled the item."""
        return self.u < self.probability


class ReasonKind(StrEnum):
    """What made a condition true."""

    NO_CONDITIONS = "no_conditions"
    CHECK = "check"  # true however the draws fall
    SAMPLING = "sampling"  # by a draw alone
    SAMPLED_CHECK = "sampled_check"  # labels that met a check, and a draw among such items


@dataclass(frozen=True, slots=True)
class Reason:
    """A top-level condition that came true: its place in Conditions (None when a flow has no conditions)."""

    kind: ReasonKind
    index: int | None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What conditions say of one analysis.

    `selected` are the labels people are asked about, empty when not activated. `inclusion_probability` (0 to 1) is
    meaningful whether or not the item was activated. `random_only`: without the luck of a draw nobody would look, so
    this is an audit and its reviewers must not be told what the network thought. `trace` is the conditions with an
    EvaluationResult on every node.
    """

    activated: bool
    trace: dict[str, object]
    selected: tuple[EmittedLabel, ...]
    reasons: tuple[Reason, ...]
    inclusion_probability: float
    sampling_keys: tuple[Draw, ...]
    random_only: bool

    def trace_json(self) -> str:
        """The trace as JSON of at most 10,240 characters.

        Where that is too little, ConditionParameters are left out on every node: what remains is never longer than the
        conditions themselves, which are held to the same limit.
        """
        text = _dump(self.trace)
        return text if len(text) <= MAX_CHARACTERS else _dump(_without_parameters(self.trace))


def evaluate(conditions: Conditions | None, facts: Facts) -> Evaluation:
    """Evaluate every condition on the facts. None, a flow without conditions, activates always, for all labels."""
    if conditions is None:
        reasons = (Reason(ReasonKind.NO_CONDITIONS, None),)
        return Evaluation(True, {"Conditions": []}, tuple(facts.labels), reasons, 1.0, (), False)
    tree = _Tree(conditions, facts)
    results = [tree.result(member) for member in conditions.members]
    whole = _any(results)
    return Evaluation(
        activated=whole.holds,
        trace=conditions.to_data(lambda node: tree.result(node).holds),
        selected=tuple(each for i, each in enumerate(facts.labels) if whole.everything or i in whole.labels),
        reasons=tuple(Reason(_kind(each), index) for index, each in enumerate(results) if each.holds),
        inclusion_probability=whole.probability,
        sampling_keys=tuple(tree.draws.values()),
        random_only=whole.holds and not whole.certain,
    )


@dataclass(frozen=True, slots=True)
class _Result:
    """What a node comes to: does it hold, does it hold without any draw, how likely is it, which labels (by place)
    met its checks; `everything`: it holds by draws alone, so no check narrows the labels."""

    holds: bool
    certain: bool
    probability: float
    labels: frozenset[int] = frozenset()
    everything: bool = False


class _Tree:
    """The conditions at work on one set of facts."""

    def __init__(self, conditions: Conditions, facts: Facts) -> None:
        self.labels = facts.labels
        self.taxonomy = conditions.taxonomy
        self.draws = {leaf.path: _draw(leaf, facts) for leaf in conditions.leaves() if isinstance(leaf, Sampling)}

    def result(self, node: Node) -> _Result:
        """The result of a node by itself."""
        if isinstance(node, Check):
            return _met(self._meeting(node))
        if isinstance(node, Sampling):
            draw = self.draws[node.path]
            return _Result(draw.hit, certain=False, probability=draw.probability, everything=draw.hit)
        if node.operator == "Or":
            return _any([self.result(member) for member in node.members])
        return _all(self._parts(node))

    def _parts(self, node: Group) -> list[_Result]:
        """What an And asks for: one part for all that is asked of one label name, one for each other member."""
        same: dict[str, list[Node]] = {}
        parts = []
        for member in _flattened(node):
            name = _sole_label(member)
            if name is None:
                parts.append(self.result(member))
            else:
                same.setdefault(name, []).append(member)
        parts.extend(_met(frozenset.intersection(*map(self._meeting, members))) for members in same.values())
        return parts

    def _meeting(self, node: Node) -> frozenset[int]:
        """The places of the labels that satisfy a node made of checks alone."""
        if isinstance(node, Check):
            names = label_names(node.label, self.taxonomy)
            return frozenset(
                place
                for place, label in enumerate(self.labels)
                if (node.label == ANY_LABEL or label.name in names) and _meets(node, label.confidence)
            )
        if isinstance(node, Sampling):
            raise TypeError("a Sampling node selects no labels")
        combine = frozenset[int].intersection if node.operator == "And" else frozenset[int].union
        return combine(*map(self._meeting, node.members))


def _flattened(node: Group) -> Iterator[Node]:
    """The members of an And, those of an And inside it as if they were its own."""
    for member in node.members:
        if isinstance(member, Group) and member.operator == "And":
            yield from _flattened(member)
        else:
            yield member


def _sole_label(node: Node) -> str | None:
    """The one label name of a node that is made of checks on that name alone; else None."""
    names = {leaf.label if isinstance(leaf, Check) else None for leaf in leaves(node)}
    return names.pop() if len(names) == 1 else None


def _met(labels: frozenset[int]) -> _Result:
    return _Result(bool(labels), bool(labels), float(bool(labels)), labels)


def _any(results: Sequence[_Result]) -> _Result:
    true = [each for each in results if each.holds]
    return _Result(
        holds=bool(true),
        certain=any(each.certain for each in results),
        probability=_chance_of_any([each.probability for each in results]),
        labels=frozenset[int]().union(*(each.labels for each in true)),
        everything=any(each.everything for each in true),
    )


def _all(results: Sequence[_Result]) -> _Result:
    return _Result(
        holds=all(each.holds for each in results),
        certain=all(each.certain for each in results),
        probability=prod(each.probability for each in results),
        labels=frozenset[int]().union(*(each.labels for each in results)),
        everything=all(each.everything for each in results),
    )


def _chance_of_any(chances: Sequence[float]) -> float:
    """1 - (1 - p)(1 - q)..., summed so that a single chance comes out as it went in and a certainty as exactly 1."""
    total = 0.0
    for chance in chances:
        total += (1 - total) * chance
    return 1.0 if 1.0 in chances else total


def _kind(result: _Result) -> ReasonKind:
    if result.certain:
        return ReasonKind.CHECK
    return ReasonKind.SAMPLING if result.everything else ReasonKind.SAMPLED_CHECK


def _draw(node: Sampling, facts: Facts) -> Draw:
    """u from 53 bits of the keyed hash: as many as a float between 0 and 1 holds, so it never rounds up to 1."""
    key = json.dumps([facts.media_digest, facts.flow_key, node.path]).encode()
    digest = hmac.digest(facts.sampling_secret, key, hashlib.sha256)
    return Draw(node.path, node.probability, (int.from_bytes(digest[:8]) >> 11) / 2**53)


def _meets(check: Check, confidence: float) -> bool:
    return all(_COMPARE[name](_float32(confidence), _float32(bound)) for name, bound in check.bounds)


def _float32(value: float) -> float:
    return ctypes.c_float(value).value


def _dump(data: object) -> str:
    return json.dumps(data, separators=(",", ":"), sort_keys=True, ensure_ascii=False)


def _without_parameters(data: object) -> object:
    if isinstance(data, dict):
        return {key: _without_parameters(value) for key, value in data.items() if key != "ConditionParameters"}
    return [_without_parameters(each) for each in data] if isinstance(data, list) else data
