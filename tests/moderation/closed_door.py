"""The interface of `handoff.ReviewDoor` where nobody reviews."""

from typing import Any

from moderation.handoff import FlowNotFound, Review, ReviewRequest
from moderation.models import Account, Analysis, Policy, Submission
from moderation.policies import Outcome


def check(account: Account, request: ReviewRequest, media_digest: str) -> None:
    raise FlowNotFound(request.flow_definition_arn)


def consider(analysis: Analysis, outcome: Outcome, request: ReviewRequest | None) -> Review:
    return Review(opened=False)


def describe(submission: Submission) -> dict[str, Any] | None:
    return None


def serves(policy: Policy) -> bool:
    return False
