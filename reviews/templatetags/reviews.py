"""Small pieces of the reviewers' pages."""

import json
from typing import Any

from django import template
from django.forms import Form

register = template.Library()


@register.filter
def chosen_labels(form: Form) -> list[str]:
    """The labels that stand chosen in the form, sent or filled in."""
    return list(form["labels"].value() or [])


@register.filter
def as_json(data: Any) -> str:
    """JSON to be read."""
    return json.dumps(data, indent=2, ensure_ascii=False)
