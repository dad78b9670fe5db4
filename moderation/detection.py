"""From a stored submission to findings: fetch the bytes, decode, run the engine.  No transaction is open here."""

import logging
import threading
from dataclasses import replace

from django.conf import settings

from moderation.decoding.image import Decoded, decode
from moderation.inference import registry
from moderation.inference.types import Box, Engine, EngineError, Findings, LabelScore
from moderation.intake import DECODE_SHORT_SIDE, limits
from moderation.models import Submission

logger = logging.getLogger(__name__)

# torch runs one forward on all its threads; two at once only fight for the same cores.
_one_forward = threading.Lock()


class MediaGone(Exception):
    """The bytes of a submission can no longer be read."""

    code = "media_gone"


def engine() -> Engine:
    """The engine of this installation, loaded on first use."""
    return registry.load(settings.ENGINE, settings.WEIGHTS_DIR)


def warm_up() -> None:
    """Load the engine and run it once; what goes wrong is logged, told by /readyz, and tried again on first use."""
    try:
        engine().warm_up()
    except EngineError as error:
        logger.warning("the engine cannot be loaded: %s", error)


def detect(submission: Submission, decoded: Decoded | None = None) -> Findings:
    """What the engine sees in the picture; `decoded` saves a second decode where intake has just made one.

    Raises MediaGone, MediaError, EngineError.
    """
    picture = decoded or decode(_bytes(submission), limits(), DECODE_SHORT_SIDE)
    with _one_forward:
        findings = engine().detect([picture.frame])[0]
    # Boxes are found in the frame, which may be smaller than the picture.
    return replace(findings, labels=tuple(_scaled(score, picture.scale) for score in findings.labels))


def _scaled(score: LabelScore, scale: float) -> LabelScore:
    if not score.boxes:
        return score
    boxes = (Box(b.left * scale, b.top * scale, b.width * scale, b.height * scale) for b in score.boxes)
    return replace(score, boxes=tuple(boxes))


def _bytes(submission: Submission) -> bytes:
    if submission.blob is None:
        raise MediaGone("The picture was not kept.")
    try:
        return submission.blob.read()
    except OSError as error:
        raise MediaGone("The stored picture cannot be read.") from error
