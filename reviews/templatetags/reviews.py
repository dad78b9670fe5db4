"""Small pieces of the reviewers' pages."""

import json
from typing import Any

from django import template
from django.forms import Form

from reviews.chooser import Branch

register = template.Library()


@register.filter
def chosen_labels(form: Form) -> list[str]:
    """The labels that stand chosen in the form, sent or filled in."""
    return list(form["labels"].value() or [])


@register.filter
def as_json(data: Any) -> str:
    """JSON to be read."""
    return json.dumps(data, indent=2, ensure_ascii=False)


@register.filter
def holds(branch: Branch, chosen: list[str]) -> bool:
    """Whether a label below the branch's root is chosen, so that it must not be folded away."""
    return any(choice.label.name in chosen for choice in branch.below)
