"""The one door to human review.

`moderation` does not know `reviews`: what stands behind the door is named by the setting REVIEW_DOOR, a module that
answers `check`, `consider`, `recall`, `describe` and `serves`.  Their types and errors are defined here.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

from django.conf import settings

from moderation.models import Account, Analysis, Policy, Submission
from moderation.policies import Outcome


@dataclass(frozen=True, slots=True)
class ReviewRequest:
    """A caller's wish (HumanLoopConfig) that a flow definition's conditions decide whether people look."""

    flow_definition_arn: str
    human_loop_name: str
    region: str
    content_classifiers: tuple[str, ...] = ()
    min_confidence: float = 50.0  # the conditions see only labels that the response shows
    # Where the caller's picture lies, for the output file; empty: it came as bytes.
    bucket: str = ""
    key: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class Activation:
    """What became of a ReviewRequest: the loop's ARN or None, why it began, the conditions with results (JSON)."""

    human_loop_arn: str | None
    reasons: tuple[str, ...]
    evaluation_results: str


@dataclass(frozen=True, slots=True)
class Review:
    """What the routers did with an analysis: whether any loop began, and the answer to a request, if there was one."""

    opened: bool
    activation: Activation | None = None


class HandoffError(Exception):
    """A review request cannot be served."""


class FlowNotFound(HandoffError):
    """No such flow definition in the caller's account and region."""


class FlowNotReady(HandoffError):
    """The flow definition is not active."""


class FlowUnsuitable(HandoffError):
    """The flow definition reviews something else."""


class LoopNameTaken(HandoffError):
    """An open loop of that name reviews another input."""


class LoopQuotaExceeded(HandoffError):
    """The account has as many open loops as it may."""


class ReviewDoor(Protocol):
    """What the module behind the door offers."""

    def check(self, account: Account, request: ReviewRequest, media_digest: str) -> None:
        """Raise a HandoffError that can be known before inference."""

    def consider(self, analysis: Analysis, outcome: Outcome, request: ReviewRequest | None) -> Review:
        """Offer a finished analysis to both routers, inside the caller's transaction."""

    def recall(self, analysis: Analysis, request: ReviewRequest) -> Activation:
        """Tell again what became of the request that came with an analysis."""

    def describe(self, submission: Submission) -> dict[str, Any] | None:
        """The submission's review as the API shows it, or None."""

    def serves(self, policy: Policy) -> bool:
        """Whether a flow definition takes the policy's `review` outcomes."""


def door() -> ReviewDoor:
    """The module named by REVIEW_DOOR."""
    module: Any = import_module(settings.REVIEW_DOOR)
    answer: ReviewDoor = module
    return answer
