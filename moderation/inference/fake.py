"""An engine that needs no weights: it does as a coloured patch in the picture says. For tests and demonstrations.

The patch fills the top left quarter of both sides (a sixteenth of the picture) in one flat colour, and survives JPEG
and resizing. Of its mean colour (red, green, blue, 0 to 255),

- red, in steps of 16, chooses the label from `TABLE` (red 24 is entry 1; the first and last entries mean clean);
- green / 255 * 100 is the confidence;
- blue near 0 means a photograph, near 255 the content type Illustrated at the same confidence.

A corner that is not flat, or of any other blue, is no patch: such a picture is clean. Nothing here loads torch.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from moderation import taxonomy
from moderation.inference.fusion import with_ancestors
from moderation.inference.types import Box, ContentTypeScore, EngineVersion, Evidence, Findings, Frame, LabelScore

STEP = 16
TABLE: tuple[str | None, ...] = (
    None,
    "Weapons",
    "Alcoholic Beverages",
    "Explicit Nudity",
    "Blood & Gore",
    "Swimwear or Underwear",
    "Smoking",
    "Physical Violence",
    "Middle Finger",
    "Gambling",
    "Drinking",
    "Pills",
    "Exposed Female Nipple",
    "Corpses",
    "Nazi Party",
    None,
)

_NAMES = tuple(name for name in TABLE if name)
# JPEG and resizing leave less than this in a flat patch; the corner of a photograph has more.
_FLAT = 4.0
_NEAR = 12.0

# As if every label of the table had been measured, and Illustrated had not.
EVIDENCE: Mapping[str, Evidence] = {
    **dict.fromkeys((*taxonomy.LABELS, *taxonomy.CONTENT_TYPES), Evidence.NOT_DETECTED),
    **dict.fromkeys(with_ancestors(dict.fromkeys(_NAMES, 0.0)), Evidence.MEASURED),
    "Illustrated": Evidence.INDIRECT,
}


class FakeEngine:
    """Deterministic; the interface of a real engine (`types.Engine`)."""

    name = "fake"
    version = EngineVersion(engine="fake-1", heads="none", calibration="none")
    evidence = EVIDENCE

    def detect(self, frames: Sequence[Frame]) -> list[Findings]:
        """One `Findings` per frame: the patch's label and its ancestors at its confidence, the rest at 0."""
        return [_read(frame) for frame in frames]

    def warm_up(self) -> None:
        """Nothing to load."""


def _read(frame: Frame) -> Findings:
    height, width = frame.shape[:2]
    # Away from the patch's edges, where resizing mixes it with its neighbours.
    patch = frame[height // 32 : height * 7 // 32 + 1, width // 32 : width * 7 // 32 + 1].reshape(-1, 3)
    red, green, blue = (float(value) for value in patch.mean(axis=0))
    is_patch = float(patch.std(axis=0).max()) <= _FLAT and (blue <= _NEAR or blue >= 255 - _NEAR)
    name = TABLE[int(red) // STEP] if is_patch else None
    confidence = green / 255 * 100
    scores = with_ancestors({each: confidence if each == name else 0.0 for each in _NAMES})
    box = Box(0.0, 0.0, width / 4, height / 4)
    illustrated = confidence if name and blue > 255 / 2 else 0.0
    return Findings(
        labels=tuple(LabelScore(each, score, (box,) if each == name else ()) for each, score in scores.items()),
        content_types=(ContentTypeScore("Illustrated", illustrated),),
        raw={"red": red, "green": green, "blue": blue, "spread": float(np.ptp(patch, axis=0).max())},
    )
