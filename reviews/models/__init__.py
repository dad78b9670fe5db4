"""The rows of the review app."""

from reviews.models.flow import FlowDefinition, HumanTaskUi, ReviewQueue, Skill, WorkTeam
from reviews.models.loop import ClaimCursor, Decision, HumanLoop, Refusal, ReviewTask, Routing
from reviews.models.truth import GroundTruth

__all__ = [
    "ClaimCursor",
    "Decision",
    "FlowDefinition",
    "GroundTruth",
    "HumanLoop",
    "HumanTaskUi",
    "Refusal",
    "ReviewQueue",
    "ReviewTask",
    "Routing",
    "Skill",
    "WorkTeam",
]
