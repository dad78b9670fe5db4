"""Policies: rules that turn the labels found in a picture into a verdict.

The strictest rule that fires decides: reject before review before approve; where no rule fires the answer is approve.
A rule on a parent label covers its children, because findings carry every ancestor of a label.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from moderation import taxonomy

ANY_LABEL = "*"
MAX_RULES = 200


class Outcome(StrEnum):
    """What becomes of a submission. Declared from mild to strict: the order decides between rules."""

    APPROVE = "approve"
    REVIEW = "review"
    REJECT = "reject"


_STRICTNESS = {outcome: place for place, outcome in enumerate(Outcome)}


class RuleError(ValueError):
    """Rules that cannot be used. `path` names the node, such as rules[2].min_confidence; `problem` what is wrong."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path} {problem}")
        self.path = path
        self.problem = problem


class Finding(Protocol):
    """What `judge` needs to know of a found label; confidence is 0 to 100."""

    @property
    def name(self) -> str: ...

    @property
    def confidence(self) -> float: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Fires on `label` ("*" is any) with min_confidence <= confidence < max_confidence; None is no upper end."""

    label: str
    min_confidence: float
    max_confidence: float | None = None
    outcome: Outcome

    def fires(self, finding: Finding) -> bool:
        """Whether this rule speaks about the finding."""
        below = self.max_confidence is None or finding.confidence < self.max_confidence
        return self.label in (ANY_LABEL, finding.name) and below and finding.confidence >= self.min_confidence


@dataclass(frozen=True, slots=True)
class Reason:
    """A finding and the rule that it set off."""

    label: str
    confidence: float
    rule: Rule


@dataclass(frozen=True, slots=True)
class Judgement:
    """The outcome, and every finding and rule that called for it, surest first; none when no rule fired."""

    outcome: Outcome
    because: tuple[Reason, ...]


# Made for a general audience, to be replaced by a house's own rules.
# - Rejected unseen: only what hardly any house shows and what a sure network seldom mistakes, from 95 up. Below that,
#   and for the rest of graphic violence (boxing, fireworks, film stills), a person looks.
# - Always looked at, never rejected unseen, because the context decides: hate symbols (museums, news), death and
#   crashes (news), self-harm (someone may need help).
# - Lawful and mostly harmless, looked at when the network is sure: weapons, drugs and tobacco, rude gestures.
# - No rule, hence approved: swimwear, kissing, partial nudity, alcohol, gambling.
DEFAULT_RULES: tuple[Rule, ...] = (
    Rule(label="Explicit", min_confidence=95.0, outcome=Outcome.REJECT),
    Rule(label="Blood & Gore", min_confidence=95.0, outcome=Outcome.REJECT),
    Rule(label="Weapon Violence", min_confidence=95.0, outcome=Outcome.REJECT),
    Rule(label="Explicit", min_confidence=50.0, max_confidence=95.0, outcome=Outcome.REVIEW),
    Rule(label="Graphic Violence", min_confidence=50.0, outcome=Outcome.REVIEW),
    Rule(label="Visually Disturbing", min_confidence=50.0, outcome=Outcome.REVIEW),
    Rule(label="Hate Symbols", min_confidence=50.0, outcome=Outcome.REVIEW),
    Rule(label="Weapons", min_confidence=80.0, outcome=Outcome.REVIEW),
    Rule(label="Drugs & Tobacco", min_confidence=80.0, outcome=Outcome.REVIEW),
    Rule(label="Rude Gestures", min_confidence=80.0, outcome=Outcome.REVIEW),
)


def judge(findings: Sequence[Finding], rules: Sequence[Rule]) -> Judgement:
    """The verdict that `rules` give on `findings`."""
    fired = [Reason(each.name, each.confidence, rule) for rule in rules for each in findings if rule.fires(each)]
    outcome = max((reason.rule.outcome for reason in fired), key=_STRICTNESS.__getitem__, default=Outcome.APPROVE)
    because = sorted((reason for reason in fired if reason.rule.outcome is outcome), key=lambda r: -r.confidence)
    return Judgement(outcome, tuple(because))


def parse_rules(obj: object) -> tuple[Rule, ...]:
    """Rules from a decoded JSON list of objects; RuleError names the node that is wrong.

    Keys: label (a name of the taxonomy, or "*"), outcome (approve, review or reject), min_confidence (0 to 100, 0 when
    absent), max_confidence (above min_confidence, at most 100; null or absent for no upper end). At most 200 rules.
    """
    if not isinstance(obj, list | tuple):
        raise RuleError("rules", f"must be a list, got {in_words(obj)}")
    if len(obj) > MAX_RULES:
        raise RuleError("rules", f"must be at most {MAX_RULES}, got {len(obj)}")
    return tuple(_rule(each, f"rules[{index}]") for index, each in enumerate(obj))


def to_json(rules: Sequence[Rule]) -> list[dict[str, str | float | None]]:
    """The rules as JSON data that `parse_rules` takes back: all keys on every rule, always in one order."""
    return [
        {
            "label": rule.label,
            "min_confidence": rule.min_confidence,
            "max_confidence": rule.max_confidence,
            "outcome": rule.outcome.value,
        }
        for rule in rules
    ]


def is_number(value: object, low: float, high: float) -> bool:
    """Whether a decoded JSON value is a number from low to high; true and false, NaN and Infinity are not."""
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def in_words(value: object) -> str:
    """A decoded JSON value for an error message: short, printable, and safe for values of any kind or size."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return repr(value if len(value) <= 40 else value[:40] + "…")
    if isinstance(value, int | float):
        return _number_in_words(value)
    kinds = {"an object": Mapping, "a list": list | tuple}
    return next((words for words, kind in kinds.items() if isinstance(value, kind)), f"a {type(value).__name__}")


def _number_in_words(value: float) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity"
    return repr(value) if abs(value) < 10**15 else "a number far too large"


_KEYS = ("label", "min_confidence", "max_confidence", "outcome")


def _rule(value: object, path: str) -> Rule:
    if not isinstance(value, Mapping):
        raise RuleError(path, f"must be an object, got {in_words(value)}")
    for key in value:
        if key not in _KEYS:
            raise RuleError(path, f"has the unknown key {in_words(key)}; known are {', '.join(_KEYS)}")
    low = _confidence(value.get("min_confidence", 0.0), f"{path}.min_confidence")
    high = value.get("max_confidence")
    return Rule(
        label=_label(value.get("label"), f"{path}.label"),
        min_confidence=low,
        max_confidence=None if high is None else _upper_end(high, low, f"{path}.max_confidence"),
        outcome=_outcome(value.get("outcome"), f"{path}.outcome"),
    )


def _label(value: object, path: str) -> str:
    if isinstance(value, str) and (value == ANY_LABEL or value in taxonomy.LABELS):
        return value
    raise RuleError(
        path, f"must be the exact name of a label of taxonomy {taxonomy.VERSION}, or *, got {in_words(value)}"
    )


def _confidence(value: object, path: str) -> float:
    if isinstance(value, int | float) and is_number(value, 0, 100):
        return float(value)
    raise RuleError(path, f"must be a number from 0 to 100, got {in_words(value)}")


def _upper_end(value: object, low: float, path: str) -> float:
    high = _confidence(value, path)
    if high <= low:
        raise RuleError(path, f"must be above min_confidence ({low:g}), got {in_words(value)}")
    return high


def _outcome(value: object, path: str) -> Outcome:
    if isinstance(value, str) and value in list(Outcome):
        return Outcome(value)
    raise RuleError(path, f"must be approve, review or reject, got {in_words(value)}")
