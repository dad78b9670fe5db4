"""Scores become labels here, and nowhere else.

`raw` picks out of the networks' outputs what is kept with every analysis; `findings` turns those numbers into
confidences. The second needs no picture, so kept scores can be judged anew when the constants below change (then
`CALIBRATION` changes too). No torch here.

A confidence is a logistic curve over the log-odds of a score, 50 where the score is `neutral`, the steeper the larger
`slope`. Where the constants come from (docs/models.md has the figures; `benchmarks/fit_fusion.py` prints both):

- Weapons, Alcoholic Beverages: the probability of the ImageNet classes listed below together. Platt scaling on public
  photographs of firearms and of bottles, against clothes, groceries, hands, people and card games, weighted as if one
  picture in ten showed the thing. Held-back groups gave the figures: *measured*.
- Swimwear or Underwear: likewise, but no picture of swimwear was at hand. Neutral is where fewer than one benign
  picture in two hundred comes out. Swimming trunks (842) are left out: the class takes any pair of shorts: *indirect*.
- Explicit Nudity: the geometric mean of SwiftFormer's NSFW and open_nsfw's nsfw, so that both have to speak up: alone,
  the first takes a third of close-up hands for nudity, the second one in thirty, both together one in fifty at
  neutral. Neutral and slope were chosen on benign pictures alone: *indirect*.
- Blood & Gore: SwiftFormer's NSFL, neutral raised on benign pictures alone, since it also takes dim surveillance
  footage for gore. One score lights one root: Visually Disturbing is not told apart from it: *indirect*.

Every other label, and both content types, are not detected.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from moderation import taxonomy
from moderation.inference.types import AtThreshold, Evidence, Figures, Findings, LabelScore

CALIBRATION = "2026-11-20"

# ImageNet-1k indices of what each label rests on, and how much their probability counts. Weapons was fitted on
# firearms. Its other classes see a weapon in many a tool and odd shape: counted in full they named one in twenty
# cut-out pictures of things that no fitting had seen; counted a tenth they need to be all but certain.
IMAGENET_CLASSES: Mapping[str, Mapping[int, float]] = {
    "Weapons": {
        413: 1.0,  # assault rifle
        471: 0.1,  # cannon
        499: 0.1,  # cleaver
        596: 0.1,  # hatchet
        657: 0.1,  # missile
        744: 0.1,  # projectile
        763: 1.0,  # revolver
        764: 1.0,  # rifle
        847: 0.1,  # tank
    },
    "Alcoholic Beverages": {
        440: 1.0,  # beer bottle
        441: 1.0,  # beer glass
        503: 1.0,  # cocktail shaker
        572: 1.0,  # goblet
        907: 1.0,  # wine bottle
        966: 1.0,  # red wine
    },
    "Swimwear or Underwear": {
        445: 1.0,  # bikini
        459: 1.0,  # brassiere
        638: 1.0,  # maillot
        639: 1.0,  # maillot, tank suit
    },
}

# The networks' own outputs by name, each 0 to 1: "swiftformer.nsfl", "imagenet.413".
Raw = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Calibration:
    """A score of `neutral` is a confidence of 50; `slope` is per unit of log-odds."""

    slope: float
    neutral: float

    def confidence(self, score: float) -> float:
        """0 to 1 in, 0 to 100 out; never falls where the score rises."""
        return 100 / (1 + math.exp(-self.slope * (_log_odds(score) - _log_odds(self.neutral))))


CALIBRATIONS: Mapping[str, Calibration] = {
    "Explicit Nudity": Calibration(slope=1.5, neutral=0.7),
    "Swimwear or Underwear": Calibration(slope=1.4, neutral=0.4),
    "Weapons": Calibration(slope=1.21, neutral=0.0267),
    "Blood & Gore": Calibration(slope=1.5, neutral=0.75),
    "Alcoholic Beverages": Calibration(slope=1.15, neutral=0.0440),
}

# On held-back groups, as `benchmarks/fit_fusion.py` prints them and docs/models.md explains them.
_FIGURES: Mapping[str, Figures] = {
    "Weapons": Figures(
        1000, 2560, 0.842, (AtThreshold(50, 0.963, 0.514, 0.008), AtThreshold(80, 0.998, 0.404, 0.0004))
    ),
    "Alcoholic Beverages": Figures(
        363, 3197, 0.664, (AtThreshold(50, 0.909, 0.496, 0.006), AtThreshold(80, 0.981, 0.284, 0.0006))
    ),
}


def raw(imagenet: NDArray[np.float32], safety: NDArray[np.float32], nsfw: NDArray[np.float32]) -> Raw:
    """What is kept of one picture: `imagenet` (1000,), `safety` (3,): NSFL, NSFW, SFW, and `nsfw` (2,): sfw, nsfw."""
    kept = {f"imagenet.{index}": imagenet[index] for classes in IMAGENET_CLASSES.values() for index in classes}
    kept |= {"swiftformer.nsfl": safety[0], "swiftformer.nsfw": safety[1], "open_nsfw.nsfw": nsfw[1]}
    return MappingProxyType({name: round(float(value), 6) for name, value in kept.items()})


def findings(raw: Raw) -> Findings:
    """The supported labels and their ancestors, from what `raw` kept."""
    confidences = {label: CALIBRATIONS[label].confidence(score) for label, score in scores(raw).items()}
    labels = tuple(LabelScore(name, value) for name, value in with_ancestors(confidences).items())
    return Findings(labels=labels, raw=raw)


def scores(raw: Raw) -> dict[str, float]:
    """Each calibrated label's evidence as one number, 0 to 1, before calibration."""
    together = {
        label: sum(weight * raw[f"imagenet.{index}"] for index, weight in classes.items())
        for label, classes in IMAGENET_CLASSES.items()
    }
    return {
        "Explicit Nudity": math.sqrt(raw["swiftformer.nsfw"] * raw["open_nsfw.nsfw"]),
        "Blood & Gore": raw["swiftformer.nsfl"],
        **together,
    }


def with_ancestors(confidences: Mapping[str, float]) -> dict[str, float]:
    """The same with every ancestor, as sure as its surest child, in taxonomy order."""
    best = dict(confidences)
    for name, confidence in confidences.items():
        for above in taxonomy.ancestors(name):
            best[above.name] = max(confidence, best.get(above.name, 0.0))
    return {name: best[name] for name in taxonomy.LABELS if name in best}


def _evidence() -> Mapping[str, Evidence]:
    """For every label and content type. A label above several is only measured when all of those are."""
    table = dict.fromkeys((*taxonomy.LABELS, *taxonomy.CONTENT_TYPES), Evidence.NOT_DETECTED)
    for name in CALIBRATIONS:
        table[name] = Evidence.MEASURED if name in _FIGURES else Evidence.INDIRECT
    for name in CALIBRATIONS:
        for above in taxonomy.ancestors(name):
            below = [each for each in CALIBRATIONS if above in taxonomy.ancestors(each)]
            table[above.name] = Evidence.MEASURED if _FIGURES.keys() >= set(below) else Evidence.INDIRECT
    return MappingProxyType(table)


def _figures() -> Mapping[str, Figures]:
    """For every measured label. A label above one other is named exactly when that one is, and as well."""
    table = dict(_FIGURES)
    for name, evidence in EVIDENCE.items():
        below = [each for each in _FIGURES if name in {above.name for above in taxonomy.ancestors(each)}]
        if evidence == Evidence.MEASURED and len(below) == 1:
            table[name] = _FIGURES[below[0]]
    return MappingProxyType(table)


def _log_odds(score: float) -> float:
    # Kept scores have six decimals: beyond them there is nothing to tell apart.
    inside = min(max(score, 1e-6), 1 - 1e-6)
    return math.log(inside / (1 - inside))


EVIDENCE = _evidence()
FIGURES = _figures()
