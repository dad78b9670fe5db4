"""What reviewers send: answers and skips, translated and not judged: `decisions` knows what an answer may be."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import uuid4

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from moderation import taxonomy
from reviews.decisions import MAX_COMMENT, Answer
from reviews.models import Decision, Refusal, ReviewTask

MAX_FREE_ANSWER = 100_000

SKIP_REASONS = (
    (Refusal.Reason.CANNOT_JUDGE.value, _("I can't judge this")),
    (Refusal.Reason.LANGUAGE.value, _("It needs a language I don't read")),
    (Refusal.Reason.AFFECTS_ME.value, _("I'd rather not see this one")),
    (Refusal.Reason.OTHER.value, _("Another reason")),
)


class SeatForm(forms.Form):
    """Which claim of the seat this is about."""

    token = forms.IntegerField(min_value=0, widget=forms.HiddenInput)


class _AnswerForm(SeatForm):
    """What all answers carry: `decision` is the answer's own id, made with the page, so that it counts once."""

    decision = forms.UUIDField(widget=forms.HiddenInput)
    seconds = forms.FloatField(required=False, widget=forms.HiddenInput)
    seen_at: datetime | None = None

    def _seconds(self) -> float:
        """The time that the page counted; without scripts, since the item was first seen."""
        seconds: float | None = self.cleaned_data.get("seconds")
        if seconds is None and self.seen_at:
            seconds = (timezone.now() - self.seen_at).total_seconds()
        return max(seconds or 0.0, 0.0)


class LabelsForm(_AnswerForm):
    """The answer to a moderation loop."""

    outcome = forms.ChoiceField(
        choices=[(Decision.Outcome.APPROVE.value, _("Approve")), (Decision.Outcome.REJECT.value, _("Reject"))],
        error_messages={"required": _("Choose Approve or Reject.")},
    )
    labels = forms.MultipleChoiceField(choices=[(name, name) for name in taxonomy.LABELS], required=False)
    none = forms.BooleanField(required=False)
    comment = forms.CharField(
        required=False,
        max_length=MAX_COMMENT,
        widget=forms.Textarea({"rows": 1, "autocomplete": "off", "data-key": "KeyC", "aria-keyshortcuts": "c"}),
    )

    def clean(self) -> dict[str, Any]:
        """Labels and 'None applies' cannot both be meant."""
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("none") and cleaned.get("labels"):
            self.add_error("labels", _("Choose labels, or 'None applies', not both."))
        return cleaned

    def to_answer(self) -> Answer:
        """What the person said."""
        said = self.cleaned_data
        return Answer(said["decision"], said["outcome"], said["labels"], said["comment"], seconds=self._seconds())


class FreeForm(_AnswerForm):
    """The answer to a custom task: words, or JSON where what was typed is a JSON object."""

    answer = forms.CharField(
        max_length=MAX_FREE_ANSWER,
        widget=forms.Textarea({"rows": 8}),
        error_messages={"required": _("Type an answer.")},
    )

    def to_answer(self) -> Answer:
        """What the person said."""
        text = self.cleaned_data["answer"]
        return Answer(self.cleaned_data["decision"], answer=_as_object(text), seconds=self._seconds())


class SkipForm(SeatForm):
    """Passing on an item."""

    reason = forms.ChoiceField(choices=SKIP_REASONS)


class UndoForm(forms.Form):
    """Taking an answer back."""

    decision = forms.UUIDField()


def form_for(seat: ReviewTask, data: Mapping[str, Any] | None = None, before: Mapping[str, Any] | None = None) -> Any:
    """The form that fits the seat's loop: with what was sent, or new with what the person said before."""
    kind = FreeForm if seat.loop.flow.is_custom else LabelsForm
    if data is not None:
        sent = kind(data)
        sent.seen_at = seat.opened_at
        return sent
    initial: dict[str, Any] = {"token": seat.token, "decision": uuid4(), **(before or {})}
    if kind is FreeForm and "answer" in initial:
        initial["answer"] = _as_text(initial["answer"])
    return kind(initial=initial)


def _as_object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {"answer": text}
    return value if isinstance(value, dict) else {"answer": text}


def _as_text(answer: object) -> str:
    if isinstance(answer, dict) and list(answer) == ["answer"] and isinstance(answer["answer"], str):
        return answer["answer"]
    return json.dumps(answer, ensure_ascii=False, indent=2)
