"""The JSON of human loop activation conditions, read into a frozen tree and checked.

The language is Amazon Augmented AI's for DetectModerationLabels: `{"Conditions": [...]}` whose members are
ModerationLabelConfidenceCheck, Sampling, or And/Or of at least two members, nested at most two levels deep.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from moderation import taxonomy, taxonomy_v6
from moderation.policies import in_words, is_number

MAX_CHARACTERS: Final = 10_240
MAX_NESTING: Final = 2
ANY_LABEL: Final = "*"
CHECK: Final = "ModerationLabelConfidenceCheck"
SAMPLING: Final = "Sampling"
COMPARATORS: Final = (
    "ConfidenceEquals",
    "ConfidenceLessThan",
    "ConfidenceLessThanEquals",
    "ConfidenceGreaterThan",
    "ConfidenceGreaterThanEquals",
)

Operator = Literal["And", "Or"]


class ConditionError(ValueError):
    """Conditions that cannot be used. `path` names the node ("" is the whole document); `problem` what is wrong."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path or 'The conditions'} {problem}")
        self.path = path
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Check:
    """A ModerationLabelConfidenceCheck. `bounds` are (comparator, confidence 0 to 100); all of them must hold."""

    path: str
    label: str
    bounds: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Sampling:
    """A random share of all items; `percentage` is 0.01 to 100."""

    path: str
    percentage: float

    @property
    def probability(self) -> float:
        """The share as 0.0001 to 1."""
        return self.percentage / 100


@dataclass(frozen=True, slots=True)
class Group:
    """And/Or of at least two members."""

    path: str
    operator: Operator
    members: tuple["Node", ...]


Node = Check | Sampling | Group


@dataclass(frozen=True, slots=True)
class Conditions:
    """Checked conditions: any member that is true starts a loop. `taxonomy` is the version of the label names."""

    members: tuple[Node, ...]
    taxonomy: str

    def leaves(self) -> Iterator[Check | Sampling]:
        """Every simple condition, in the order of the document."""
        for member in self.members:
            yield from leaves(member)

    def to_data(self, result: Callable[[Node], bool] | None = None) -> dict[str, object]:
        """The conditions as JSON data; with `result`, each node says its own as EvaluationResult."""
        return {"Conditions": [_to_data(member, result) for member in self.members]}

    def to_json(self) -> str:
        """The conditions as canonical JSON: no spaces, keys sorted; `parse` takes it back."""
        return json.dumps(self.to_data(), separators=(",", ":"), sort_keys=True, ensure_ascii=False)


def leaves(node: Node) -> Iterator[Check | Sampling]:
    """The simple conditions of a node, in the order of the document."""
    if isinstance(node, Group):
        for member in node.members:
            yield from leaves(member)
    else:
        yield node


def parse(source: str | bytes | Mapping[str, object], *, taxonomy_version: str | None = None) -> Conditions:
    """Conditions from JSON text (UTF-8 where bytes) or decoded JSON; ConditionError names the node that is wrong.

    Label names may be of taxonomy 7.0 or 6.1. Unless `taxonomy_version` says which, one name that only 6.1 has makes
    the whole document 6.1: "Explicit Nudity", in both, is the top of the tree in 6.1 and a branch of it in 7.0.
    Unknown names are taken too, and never match (`conditions.warnings` lists them).
    """
    document = _load(source) if isinstance(source, str | bytes) else source
    members = _list(_object(document, "", ("Conditions",)).get("Conditions"), "Conditions", at_least=1)
    nodes = tuple(_node(each, f"Conditions[{index}]", MAX_NESTING) for index, each in enumerate(members))
    conditions = Conditions(nodes, taxonomy_version or _taxonomy_of(nodes))
    if not isinstance(source, str | bytes):
        _limit_length(conditions.to_json())
    return conditions


def label_names(name: str, taxonomy_version: str = taxonomy.VERSION) -> frozenset[str]:
    """The names of taxonomy 7.0 that a condition on `name` matches; an unknown name stands for itself."""
    mapped = taxonomy_v6.to_v7(name) if taxonomy_version == taxonomy_v6.VERSION else ()
    return frozenset(each.name for each in mapped) or frozenset({name})


def _taxonomy_of(nodes: tuple[Node, ...]) -> str:
    names = {leaf.label for node in nodes for leaf in leaves(node) if isinstance(leaf, Check)}
    older = any(name not in taxonomy.LABELS and taxonomy_v6.to_v7(name) for name in names)
    return taxonomy_v6.VERSION if older else taxonomy.VERSION


class _Object(dict[str, object]):
    """A JSON object that remembers a key it was given twice."""

    repeated: str | None = None


def _pairs(pairs: list[tuple[str, object]]) -> _Object:
    found = _Object()
    for key, value in pairs:
        if key in found:
            found.repeated = key
        found[key] = value
    return found


def _load(source: str | bytes) -> object:
    try:
        text = source if isinstance(source, str) else source.decode()
    except UnicodeDecodeError:
        raise ConditionError("", "must be UTF-8 text") from None
    _limit_length(text)
    try:
        return json.loads(text, object_pairs_hook=_pairs)
    except json.JSONDecodeError as error:
        raise ConditionError("", f"must be JSON: {error}") from None
    except RecursionError:
        raise ConditionError("", f"must be nested at most {MAX_NESTING} levels deep") from None
    except ValueError:  # Python refuses integers of thousands of digits
        raise ConditionError("", "must be JSON without numbers of thousands of digits") from None


def _limit_length(text: str) -> None:
    if len(text) > MAX_CHARACTERS:
        raise ConditionError("", f"must be at most {MAX_CHARACTERS:,} characters, got {len(text):,}")


def _node(value: object, path: str, depth: int) -> Node:
    node = _object(value, path, ("ConditionType", "ConditionParameters", "And", "Or"))
    kinds = [key for key in ("ConditionType", "And", "Or") if key in node]
    if len(kinds) != 1:
        given = " and ".join(kinds) or "none"
        raise ConditionError(path, f"must have exactly one of ConditionType, And, Or; it has {given}")
    if "ConditionType" in node:
        return _simple(node, path)
    if "ConditionParameters" in node:
        raise ConditionError(path, f"must not have ConditionParameters beside {kinds[0]}")
    if depth == 0:
        raise ConditionError(path, f"is nested too deep: And and Or may be nested {MAX_NESTING} levels, not more")
    operator: Operator = "And" if "And" in node else "Or"
    members = _list(node[operator], f"{path}.{operator}", at_least=2)
    return Group(
        path, operator, tuple(_node(each, f"{path}.{operator}[{i}]", depth - 1) for i, each in enumerate(members))
    )


def _simple(node: Mapping[str, object], path: str) -> Check | Sampling:
    kind, parameters = node["ConditionType"], node.get("ConditionParameters")
    if kind == CHECK:
        return _check(parameters, path)
    if kind == SAMPLING:
        return _sampling(parameters, path)
    raise ConditionError(f"{path}.ConditionType", f"must be {CHECK} or {SAMPLING}, got {in_words(kind)}")


def _check(parameters: object, path: str) -> Check:
    inside = f"{path}.ConditionParameters"
    given = _object(parameters, inside, ("ModerationLabelName", *COMPARATORS))
    label = _label(given.get("ModerationLabelName"), f"{inside}.ModerationLabelName")
    bounds = tuple((each, _number(given[each], f"{inside}.{each}", 0)) for each in COMPARATORS if each in given)
    if not bounds:
        raise ConditionError(inside, f"must have at least one of {', '.join(COMPARATORS)}")
    return Check(path, label, bounds)


def _sampling(parameters: object, path: str) -> Sampling:
    inside = f"{path}.ConditionParameters"
    given = _object(parameters, inside, ("RandomSamplingPercentage",))
    name = f"{inside}.RandomSamplingPercentage"
    return Sampling(path, _number(given.get("RandomSamplingPercentage"), name, 0.01))


def _object(value: object, path: str, known: tuple[str, ...]) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise ConditionError(path, f"must be an object, got {in_words(value)}")
    if isinstance(value, _Object) and value.repeated is not None:
        raise ConditionError(path, f"has the key {in_words(value.repeated)} twice")
    for key in value:
        if key not in known:
            raise ConditionError(path, f"has the unknown key {in_words(key)}; known are {', '.join(known)}")
    return value


def _list(value: object, path: str, at_least: int) -> list[object] | tuple[object, ...]:
    if not isinstance(value, list | tuple):
        raise ConditionError(path, f"must be a list, got {in_words(value)}")
    if len(value) < at_least:
        raise ConditionError(path, f"must have at least {at_least} member{'s' * (at_least > 1)}, got {len(value)}")
    return value


def _number(value: object, path: str, low: float) -> float:
    if isinstance(value, int | float) and is_number(value, low, 100):
        return value
    raise ConditionError(path, f"must be a number from {low:g} to 100, got {in_words(value)}")


def _label(value: object, path: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ConditionError(path, f"must be the name of a moderation label, or *, got {in_words(value)}")
    if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise ConditionError(path, "must not hold NUL or half a surrogate pair")
    return value


def _to_data(node: Node, result: Callable[[Node], bool] | None) -> dict[str, object]:
    data: dict[str, object] = {} if result is None else {"EvaluationResult": result(node)}
    if isinstance(node, Group):
        return {**data, node.operator: [_to_data(member, result) for member in node.members]}
    if isinstance(node, Sampling):
        return {**data, "ConditionType": SAMPLING, "ConditionParameters": {"RandomSamplingPercentage": node.percentage}}
    return {
        **data,
        "ConditionType": CHECK,
        "ConditionParameters": {"ModerationLabelName": node.label, **dict(node.bounds)},
    }
