"""Activation conditions in plain words, for the people who edit them."""

from itertools import chain

from moderation import taxonomy, taxonomy_v6
from reviews.condition_schema import ANY_LABEL, Check, Conditions, Group, Node, Sampling, label_names

_WORDS = {
    "ConfidenceEquals": "exactly",
    "ConfidenceLessThan": "below",
    "ConfidenceLessThanEquals": "at most",
    "ConfidenceGreaterThan": "above",
    "ConfidenceGreaterThanEquals": "at least",
}


def describe(conditions: Conditions | None) -> str:
    """The conditions as one English sentence; None is a flow without conditions."""
    if conditions is None:
        return "Every item is reviewed."
    return f"An item is reviewed when {', or '.join(_phrase(member) for member in conditions.members)}."


def warnings(conditions: Conditions) -> tuple[str, ...]:
    """What is allowed but worth a look: label names that never match, and taxonomy 6.1 names with what they match."""
    found = (_warning(leaf, conditions.taxonomy) for leaf in conditions.leaves() if isinstance(leaf, Check))
    return tuple(warning for warning in found if warning)


def _warning(check: Check, taxonomy_version: str) -> str:
    if check.label == ANY_LABEL:
        return ""
    where = f"{check.path}.ConditionParameters.ModerationLabelName"
    matches = label_names(check.label, taxonomy_version)
    if not matches & taxonomy.LABELS.keys():
        return f"{where}: {check.label!r} is not a label of taxonomy {taxonomy.VERSION}; it never matches."
    if matches == {check.label}:
        return ""
    names = " and ".join(repr(name) for name in taxonomy.LABELS if name in matches)
    return f"{where}: {check.label!r} is a name of taxonomy {taxonomy_v6.VERSION}; it matches {names}."


def _phrase(node: Node) -> str:
    if isinstance(node, Sampling):
        return f"the item falls in a random {node.percentage:.6g} % sample"
    if isinstance(node, Check):
        return _range((node,))
    if node.operator == "Or":
        return " or ".join(_inner(member) for member in node.members)
    return " and ".join(chain(_ranges(node), (_inner(each) for each in node.members if not isinstance(each, Check))))


def _inner(node: Node) -> str:
    return f"({_phrase(node)})" if isinstance(node, Group) else _phrase(node)


def _ranges(node: Group) -> list[str]:
    """The checks directly in an And, those on one name drawn together: they must be met by one and the same label."""
    checks = [each for each in node.members if isinstance(each, Check)]
    names = dict.fromkeys(check.label for check in checks)
    return [_range(tuple(check for check in checks if check.label == name)) for name in names]


def _range(checks: tuple[Check, ...]) -> str:
    subject = "any label" if checks[0].label == ANY_LABEL else repr(checks[0].label)
    return f"{subject} is " + " and ".join(
        f"{_WORDS[each]} {value:.6g}" for check in checks for each, value in check.bounds
    )
