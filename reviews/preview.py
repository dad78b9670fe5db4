"""What activation conditions would have done with the pictures of late: the question before they are saved."""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from django.conf import settings

from moderation.models import Analysis, Submission
from moderation.taxonomy import LABELS
from reviews.conditions import Conditions, EmittedLabel, Facts, evaluate

MOST_ANALYSES = 1000
# Somebody waits: ten thousand characters of conditions on pictures that show everything take twenty seconds otherwise.
MOST_SECONDS = 3.0
_AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class Forecast:
    """How many of `analyses` would have gone to people: those that met a check, and what the draws add on average."""

    analyses: int
    by_check: int
    by_sampling: float

    def __add__(self, other: "Forecast") -> "Forecast":
        return Forecast(
            self.analyses + other.analyses, self.by_check + other.by_check, self.by_sampling + other.by_sampling
        )

    @property
    def sent(self) -> int:
        """Both together, in whole items."""
        return round(self.by_check + self.by_sampling)

    @property
    def share(self) -> float:
        """Both together, in percent of the analyses; 0 when there are none."""
        return 100 * (self.by_check + self.by_sampling) / self.analyses if self.analyses else 0.0


@dataclass(frozen=True, slots=True)
class Preview:
    """A draft beside what is in force; `present` is None for a flow that is being made."""

    draft: Forecast
    present: Forecast | None


def preview(account_id: str, draft: Conditions | None, present: Conditions | None, *, compare: bool) -> Preview:
    """What the draft, and with `compare` the present conditions too, make of the account's latest analyses.

    Of all of them, or of as many as fit into MOST_SECONDS, the latest first; the forecasts say of how many.
    """
    seen, until = list(latest_labels(account_id)), time.monotonic() + MOST_SECONDS
    drafted = in_force = forecast(draft, ())
    for start in range(0, len(seen), _AT_ONCE):
        if start and time.monotonic() > until:
            break
        some = seen[start : start + _AT_ONCE]
        drafted += forecast(draft, some)
        if compare:
            in_force += forecast(present, some)
    return Preview(drafted, in_force if compare else None)


def forecast(conditions: Conditions | None, seen: Iterable[tuple[EmittedLabel, ...]]) -> Forecast:
    """The conditions on each picture's labels.  Draws are counted by their probability: luck is no forecast."""
    analyses, by_check, by_sampling = 0, 0, 0.0
    for labels in seen:
        # The key of the draws does not matter: no draw changes whether a check holds, nor any probability.
        evaluation = evaluate(conditions, Facts(labels, media_digest="", flow_key="", sampling_secret=b""))
        analyses += 1
        if evaluation.activated and not evaluation.random_only:
            by_check += 1
        else:
            by_sampling += evaluation.inclusion_probability
    return Forecast(analyses, by_check, by_sampling)


def latest_labels(account_id: str, most: int = MOST_ANALYSES) -> Iterator[tuple[EmittedLabel, ...]]:
    """The emitted labels of the account's latest successful analyses, from the stored scores; at most `most`."""
    recent = Submission.objects.filter(account_id=account_id).order_by("-created_at", "-pk").values("pk")[:most]
    analyses = Analysis.objects.filter(submission__in=recent, status=Analysis.Status.SUCCEEDED).order_by("-pk")
    for scores in analyses.values_list("scores__labels", flat=True)[:most]:
        yield _emitted(scores or {})


def _emitted(scores: Mapping[str, float]) -> tuple[EmittedLabel, ...]:
    return tuple(
        EmittedLabel(name, LABELS[name].parent, confidence)
        for name, confidence in scores.items()
        if name in LABELS and confidence >= settings.EMIT_MIN_CONFIDENCE
    )
