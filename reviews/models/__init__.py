"""The rows of the review app."""

from reviews.models.flow import FlowDefinition, HumanTaskUi, ReviewQueue, Skill, Worker, WorkTeam
from reviews.models.loop import HumanLoop, Routing
from reviews.models.seat import ClaimCursor, Decision, Refusal, ReviewTask, UnsentAnswer
from reviews.models.tag import Tag
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
    "Tag",
    "UnsentAnswer",
    "WorkTeam",
    "Worker",
]
