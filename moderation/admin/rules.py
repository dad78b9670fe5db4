"""A policy's rules as a form field: a table with one rule to a row, written and read without any script."""

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.template.loader import render_to_string
from django.utils.datastructures import MultiValueDict
from django.utils.safestring import SafeString

from moderation import taxonomy
from moderation.policies import ANY_LABEL, MAX_RULES, Outcome, Rule, RuleError, parse_rules, to_json

BLANK_ROWS = 5
COLUMNS = ("label", "min_confidence", "max_confidence", "outcome")

LABELS = [
    (ANY_LABEL, "Any label (*)"),
    *((label.name, "\N{EM DASH} " * (label.level - 1) + label.name) for label in taxonomy.LABELS.values()),
]
OUTCOMES = [(outcome.value, outcome.value.capitalize()) for outcome in Outcome]

Row = dict[str, Any]


class RulesWidget(forms.Widget):
    """The table.  Its value is a list of rows: rules as JSON data, or what was typed into them."""

    needs_multipart_form = False

    def value_from_datadict(
        self, data: Mapping[str, Any], files: MultiValueDict[str, Any], name: str
    ) -> list[Row] | None:
        """The rows that say anything, without those marked for removal; None where no table was sent."""
        if self.value_omitted_from_data(data, files, name):
            return None
        columns = {each: _texts(data, f"{name}-{each}") for each in COLUMNS}
        removed = set(_texts(data, f"{name}-remove"))
        length = min(max(map(len, columns.values())), MAX_RULES + BLANK_ROWS + 1)
        rows = [
            {each: texts[index] if index < len(texts) else "" for each, texts in columns.items()}
            for index in range(length)
            if str(index) not in removed
        ]
        return [row for row in rows if any(text.strip() for text in row.values())]

    def value_omitted_from_data(self, data: Mapping[str, Any], files: MultiValueDict[str, Any], name: str) -> bool:
        """Whether the table was not on the page that was sent."""
        return f"{name}-label" not in data

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        """The table, with a few empty rows below."""
        filled: list[Row] = list(value or [])
        rows = [*filled, *({"label": ""} for _ in range(BLANK_ROWS))]
        context = {"name": name, "rows": rows, "labels": LABELS, "outcomes": OUTCOMES, "filled": len(filled)}
        return render_to_string("admin/moderation/policy/rules.html", context)


class RulesField(forms.Field):
    """A tuple of `policies.Rule`; what is wrong is said with the number of the row."""

    widget = RulesWidget

    def to_python(self, value: list[Row] | None) -> tuple[Rule, ...]:
        """Parse what was typed."""
        if value is None:
            raise forms.ValidationError("The table of rules is missing.")
        rows = [_row(row, number) for number, row in enumerate(value, 1)]
        try:
            return parse_rules(rows)
        except RuleError as error:
            raise forms.ValidationError(_in_rows(error)) from None

    def prepare_value(self, value: Any) -> Any:
        """Rules as rows; rows that did not parse stay as they were typed."""
        if not isinstance(value, tuple):
            return value
        return [{name: _as_typed(cell) for name, cell in rule.items()} for rule in to_json(value)]

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Whether the rules differ, however they were written."""
        try:
            return self.to_python(data) != (initial or ())
        except forms.ValidationError:
            return True

    def validate(self, value: tuple[Rule, ...]) -> None:
        """No rules at all is a policy too: it approves everything."""


def in_words(rules: Sequence[Rule]) -> list[str]:
    """Each rule as a sentence for people."""
    return [_sentence(rule) for rule in rules]


def _sentence(rule: Rule) -> str:
    label = "any label" if rule.label == ANY_LABEL else rule.label
    upper = "" if rule.max_confidence is None else f" to below {rule.max_confidence:g}"
    return f"{rule.outcome.value.capitalize()} {label} from {rule.min_confidence:g}{upper}"


def _texts(data: Mapping[str, Any], key: str) -> list[str]:
    return [str(each) for each in data.getlist(key)] if isinstance(data, MultiValueDict) else list(data.get(key, []))


def _as_typed(cell: object) -> str:
    return "" if cell is None else str(cell).removesuffix(".0")


def _row(row: Row, number: int) -> dict[str, object]:
    """Empty cells take their defaults and numbers are read; a missing label or outcome is left to `parse_rules`."""
    return {
        "label": row["label"],
        "outcome": row["outcome"],
        "min_confidence": _number(row["min_confidence"], number, "from") or 0.0,
        "max_confidence": _number(row["max_confidence"], number, "to below"),
    }


def _number(text: object, number: int, column: str) -> float | None:
    typed = "" if text is None else str(text).strip().replace(",", ".")
    try:
        return float(typed) if typed else None
    except ValueError:
        raise forms.ValidationError(f"Row {number}, {column}: must be a number from 0 to 100.") from None


_COLUMN_NAMES = {"label": "label", "outcome": "outcome", "min_confidence": "from", "max_confidence": "to below"}


def _in_rows(error: RuleError) -> str:
    place, _, column = error.path.partition("].")
    if not place.startswith("rules["):
        return str(error)
    problem = error.problem.replace("min_confidence", "the number before it")
    return f"Row {int(place.removeprefix('rules[').rstrip(']')) + 1}, {_COLUMN_NAMES.get(column, column)}: {problem}."
