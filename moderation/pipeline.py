"""The story of one submission: start, detect, judge, settle, offer to people."""

import logging
from contextlib import suppress
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction

from moderation import handoff, intake
from moderation.decoding.image import Decoded
from moderation.decoding.types import MediaError
from moderation.detection import MediaGone, detect, engine
from moderation.handoff import Activation, HandoffError, ReviewRequest
from moderation.inference.types import EngineError, Findings, LabelScore
from moderation.models import Analysis, Verdict
from moderation.policies import Judgement, Outcome, judge

logger = logging.getLogger(__name__)

GAVE_UP = "worker_lost"
GAVE_UP_MESSAGE = "The analysis ended its worker {attempts} times and was given up."


@dataclass(frozen=True, slots=True)
class AtHand:
    """The picture in the synchronous path: its bytes, perhaps not stored, and the frame that intake decoded."""

    data: bytes
    decoded: Decoded


@dataclass(frozen=True, slots=True)
class _Seen:
    """A label score in the words of the policy module."""

    name: str
    confidence: float

    @classmethod
    def of(cls, score: LabelScore) -> "_Seen":
        return cls(score.label, score.confidence)


def moderate(analysis_id: int) -> None:
    """Analyse one submission, judge it, offer it to human review; what goes wrong is written down.

    Does nothing when another worker has the analysis or it is done.
    """
    analysis = Analysis.objects.start(analysis_id)
    if analysis is None:
        return
    analysis.submission.begin()
    with suppress(MediaError, MediaGone, EngineError):
        moderate_started(analysis)


def moderate_started(
    analysis: Analysis, picture: AtHand | None = None, request: ReviewRequest | None = None
) -> Activation | None:
    """The same for an analysis that is running in the caller's hands; says what became of `request`.

    The analysis has SUCCEEDED then, unless another worker owns the row by now.  Raises MediaError, MediaGone,
    EngineError and HandoffError after writing them down.
    """
    try:
        findings = detect(analysis.submission, picture.decoded if picture else None)
        return _conclude(analysis, findings, picture, request)
    except (MediaError, MediaGone, EngineError) as error:
        fail(analysis, error.code, str(error))
        raise
    except HandoffError as error:
        fail(analysis, "review_refused", str(error))
        raise


def _conclude(
    analysis: Analysis, findings: Findings, picture: AtHand | None, request: ReviewRequest | None
) -> Activation | None:
    judgement = judge([_Seen.of(score) for score in findings.labels], analysis.policy_version.parsed())
    kept_for_review = _keep_for_review(analysis, judgement, picture, request)
    with transaction.atomic():
        if not analysis.finish(findings, engine().version, settings.EMIT_MIN_CONFIDENCE):
            return None
        analysis.submission.settle(judgement, Verdict.Source.POLICY, analysis.policy_version)
        review = handoff.door().consider(analysis, judgement.outcome, request)
        if kept_for_review and not review.opened:
            analysis.submission.forget_picture()
    return review.activation


def _keep_for_review(
    analysis: Analysis, judgement: Judgement, picture: AtHand | None, request: ReviewRequest | None
) -> bool:
    """Store a picture that was not kept, where people may be about to look at it.

    Done before the transaction: a slow storage must not hold locks.
    """
    may_open_a_loop = request is not None or judgement.outcome is Outcome.REVIEW
    if picture is None or analysis.submission.blob or not may_open_a_loop:
        return False
    intake.keep_picture(analysis.submission, picture.data, picture.decoded.info)
    return True


def fail(analysis: Analysis, code: str, message: str) -> None:
    """Write down that an analysis failed, and its submission with it."""
    with transaction.atomic():
        if analysis.fail(code, message):
            analysis.submission.give_up(code, message)


def give_up_exhausted() -> int:
    """Fail the analyses that have ended their worker too often; returns how many."""
    exhausted = Analysis.objects.exhausted().select_related("submission__account")
    for analysis in exhausted:
        logger.warning("giving up %s after %d attempts", analysis, analysis.attempt)
        fail(analysis, GAVE_UP, GAVE_UP_MESSAGE.format(attempts=analysis.attempt))
    return len(exhausted)
