"""Conditions and facts for tests: short ways to write them, and strategies that make them."""

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from reviews.conditions import EmittedLabel, Facts

JsonObject = dict[str, Any]
COMPARATORS = (
    "ConfidenceEquals",
    "ConfidenceLessThan",
    "ConfidenceLessThanEquals",
    "ConfidenceGreaterThan",
    "ConfidenceGreaterThanEquals",
)


def check(label: str, **bounds: float) -> JsonObject:
    """A confidence check; `LessThan=90` stands for ConfidenceLessThan."""
    parameters = {"ModerationLabelName": label, **{f"Confidence{name}": value for name, value in bounds.items()}}
    return {"ConditionType": "ModerationLabelConfidenceCheck", "ConditionParameters": parameters}


def sampling(percentage: float) -> JsonObject:
    """A sampling condition."""
    return {"ConditionType": "Sampling", "ConditionParameters": {"RandomSamplingPercentage": percentage}}


def both(*members: JsonObject) -> JsonObject:
    """And."""
    return {"And": list(members)}


def either(*members: JsonObject) -> JsonObject:
    """Or."""
    return {"Or": list(members)}


def conditions(*members: JsonObject) -> JsonObject:
    """A whole document."""
    return {"Conditions": list(members)}


def facts(*labels: tuple[str, float], digest: str = "d1", secret: bytes = b"secret", flow: str = "flow/1") -> Facts:
    """Facts with these labels and confidences."""
    return Facts([EmittedLabel(name, "", confidence) for name, confidence in labels], digest, flow, secret)


NAMES = ("*", "Weapons", "Violence", "Alcohol", "No Such Label")
# Few values, so that bounds and confidences often meet.
CONFIDENCES = st.sampled_from([0, 30, 50.5, 80, 90, 99.9, 100])
PERCENTAGES = st.sampled_from([0.01, 5, 50, 99.5, 100])
CHECKS = st.builds(
    lambda label, bounds: check(label, **{name.removeprefix("Confidence"): value for name, value in bounds.items()}),
    st.sampled_from(NAMES),
    st.dictionaries(st.sampled_from(COMPARATORS), CONFIDENCES, min_size=1, max_size=3),
)
SIMPLE = st.one_of(CHECKS, PERCENTAGES.map(sampling))


def _groups(members: st.SearchStrategy[JsonObject], most: int) -> st.SearchStrategy[JsonObject]:
    operators = st.sampled_from(["And", "Or"])
    lists = st.lists(members, min_size=2, max_size=most)
    return st.builds(lambda operator, inner: {operator: inner}, operators, lists)


def documents(most: int = 3) -> st.SearchStrategy[JsonObject]:
    """Valid conditions, nested up to two levels, with at most `most` members at each level."""
    inner = st.one_of(SIMPLE, _groups(SIMPLE, most))
    members = st.one_of(SIMPLE, _groups(inner, most))
    return st.lists(members, min_size=1, max_size=most).map(lambda found: {"Conditions": found})


EMITTED: st.SearchStrategy[Sequence[tuple[str, float]]] = st.lists(
    st.tuples(st.sampled_from(["Weapons", "Violence", "Alcohol", "Gambling"]), CONFIDENCES), max_size=4
)

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.sampled_from([10**400, -(10**30)])
)
KEYS = st.one_of(
    st.sampled_from(
        ["Conditions", "And", "Or", "ConditionType", "ConditionParameters", "RandomSamplingPercentage", *COMPARATORS]
    ),
    st.text(max_size=4),
)
ANY_JSON = st.recursive(
    SCALARS, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3))
)
