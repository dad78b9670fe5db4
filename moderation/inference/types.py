"""What an engine takes and gives. Every engine, the fake one too, speaks only in these types.

Confidences are percentages, 0 to 100. Thresholds are the caller's: an engine reports every label it supports.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

# One picture the right way up: (height, width, 3), RGB, 0 to 255.
Frame = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels of the frame that was handed in; `left` and `top` count from its top left corner."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class LabelScore:
    """How sure an engine is of one taxonomy label, and where it sees it (nothing when it looks at whole pictures)."""

    label: str
    confidence: float
    boxes: tuple[Box, ...] = ()


@dataclass(frozen=True, slots=True)
class ContentTypeScore:
    """How sure an engine is of one content type (`taxonomy.CONTENT_TYPES`)."""

    name: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Findings:
    """What an engine saw in one picture.

    `labels` holds every label the engine supports, ancestors too, in taxonomy order and unthresholded; an ancestor is
    as sure as its surest child. `raw` keeps the networks' own outputs (a dozen numbers), so that scores can be
    recalibrated later without the picture.
    """

    labels: tuple[LabelScore, ...]
    content_types: tuple[ContentTypeScore, ...] = ()
    raw: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class EngineVersion:
    """What made a score: the networks, the heads on top of them, and the constants that turned outputs into percent."""

    engine: str
    heads: str
    calibration: str
    moderation_model: str = "7.0"


class Evidence(StrEnum):
    """What an engine's word on a label rests on.

    MEASURED: its precision and recall were measured on held-back pictures; docs/models.md has the figures.
    INDIRECT: some network output speaks of it, but how well was not measured on pictures of the thing itself.
    NOT_DETECTED: nothing speaks of it; the engine never names the label.
    """

    MEASURED = "measured"
    INDIRECT = "indirect"
    NOT_DETECTED = "not_detected"


@dataclass(frozen=True, slots=True)
class AtThreshold:
    """What becomes of held-back pictures when a label is taken from `confidence` (0 to 100) on; the rest are shares."""

    confidence: int
    precision: float
    recall: float
    false_alarms: float


@dataclass(frozen=True, slots=True)
class Figures:
    """How well a measured label was found, on how many pictures that show it and how many others."""

    pictures_showing: int
    other_pictures: int
    average_precision: float
    thresholds: tuple[AtThreshold, ...]


class EngineError(Exception):
    """An engine could not be loaded or could not answer. `code` is stable; `message` may be shown to an operator."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return self.message


class WeightsMissing(EngineError):
    """A network's weights are not installed."""

    def __init__(self, message: str) -> None:
        super().__init__("weights_missing", message)
        self.args = (message,)


class WeightsMismatch(EngineError):
    """A network's weights are there but are not the ones this engine was made for."""

    def __init__(self, message: str) -> None:
        super().__init__("weights_mismatch", message)
        self.args = (message,)


class EngineOutOfMemory(EngineError):
    """The pictures did not fit into memory; fewer at a time may."""

    def __init__(self, message: str) -> None:
        super().__init__("engine_out_of_memory", message)
        self.args = (message,)


class Engine(Protocol):
    """A moderation engine: frames in, findings out. Safe to call from several threads; keeps nothing between calls."""

    @property
    def name(self) -> str:
        """The name it is registered under."""
        ...

    @property
    def version(self) -> EngineVersion:
        """Kept with every score."""
        ...

    @property
    def evidence(self) -> Mapping[str, Evidence]:
        """What its word rests on, for every label of the taxonomy and every content type."""
        ...

    def detect(self, frames: Sequence[Frame]) -> list[Findings]:
        """One `Findings` per frame, in the same order. Frames may differ in size. Raises EngineError."""
        ...

    def warm_up(self) -> None:
        """Run once, so that the first caller does not wait for what is only done once. Raises EngineError."""
        ...
