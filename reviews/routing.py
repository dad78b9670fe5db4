"""What one flow definition makes of one analysis: the routing to keep, and what people would be asked."""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from moderation import storage, taxonomy
from moderation.handoff import ReviewRequest
from moderation.models import Analysis
from reviews.conditions import Conditions, EmittedLabel, Evaluation, Facts, evaluate, parse
from reviews.loops import LoopInput, input_digest
from reviews.models import FlowDefinition, HumanLoop, Routing

NO_CONDITIONS: dict[str, object] = {"Conditions": []}


@dataclass(frozen=True, slots=True)
class Route:
    """A flow definition's word on an analysis.

    `evaluation` is None where the conditions were not asked, `by_policy` says that the policy wants people to look.
    """

    analysis: Analysis
    flow: FlowDefinition
    min_confidence: float
    evaluation: Evaluation | None = None
    by_policy: bool = False

    @property
    def fired(self) -> bool:
        """Whether the conditions hold."""
        return self.evaluation is not None and self.evaluation.activated

    @property
    def activated(self) -> bool:
        """Whether people look."""
        return self.by_policy or self.fired

    @property
    def reasons(self) -> list[str]:
        """Why they do, in the words of Routing.Reason."""
        found = [(self.by_policy, Routing.Reason.POLICY), (self.fired, Routing.Reason.CONDITIONS)]
        return [reason.value for holds, reason in found if holds]

    @property
    def results(self) -> str:
        """The conditions with the result of every node, as callers get it."""
        return trace_json(self.evaluation.trace if self.evaluation else None)

    def row(self, joined_loop: HumanLoop | None = None) -> Routing:
        """The routing to be saved."""
        evaluation = self.evaluation
        chance = evaluation.inclusion_probability if evaluation else 0.0
        return Routing(
            analysis=self.analysis,
            flow=self.flow,
            flow_version=self.flow.version,
            policy_version=self.analysis.policy_version,
            activated=self.activated,
            reasons=self.reasons,
            inclusion_probability=1.0 if self.by_policy else chance,
            random_only=not self.by_policy and evaluation is not None and evaluation.random_only,
            trace=evaluation and evaluation.trace,
            sampling=[
                {"node": draw.path, "probability": draw.probability, "drawn": draw.u, "hit": draw.hit}
                for draw in (evaluation.sampling_keys if evaluation else ())
            ],
            min_confidence=self.min_confidence,
            joined_loop=joined_loop,
        )

    def loop_input(self, name: str, request: ReviewRequest | None) -> LoopInput:
        """What people are asked in this flow's loop of that name."""
        classifiers = request.content_classifiers if request else ()
        shown = emitted_labels(self.analysis, self.min_confidence)
        selected = shown if self.by_policy or self.evaluation is None else self.evaluation.selected
        model = self.analysis.moderation_model
        content: dict[str, object] = {
            "aiServiceRequest": {
                "humanLoopConfig": {
                    "dataAttributes": {"contentClassifiers": list(classifiers)},
                    "flowDefinitionArn": self.flow.arn,
                    "humanLoopName": name,
                },
                "image": {"s3Object": self._picture(request)},
            },
            "aiServiceResponse": {
                "contentTypes": self._content_types(),
                "moderationLabels": in_aws_words(shown),
                "moderationModelVersion": model,
            },
            "humanTaskActivationConditionResults": self.evaluation.trace if self.evaluation else NO_CONDITIONS,
            "selectedAiServiceResponse": {
                "moderationLabels": in_aws_words(selected),
                "moderationModelVersion": model,
            },
        }
        digest = input_digest(self.flow, self.analysis.submission.media_digest, classifiers)
        return LoopInput(name, digest, content, classifiers, in_aws_words(selected), self.row())

    def _picture(self, request: ReviewRequest | None) -> dict[str, str]:
        """The caller's own S3 object; for bytes, where we keep them."""
        if request and request.bucket:
            version = {"version": request.version} if request.version else {}
            return {"bucket": request.bucket, "name": request.key, **version}
        blob = self.analysis.submission.blob
        return {"bucket": storage.media_bucket(), "name": blob.name} if blob else {}

    def _content_types(self) -> list[dict[str, object]]:
        found = self.analysis.scores["content_types"].items()
        shown = [(name, score) for name, score in found if score >= self.min_confidence and score > 0]
        return [{"confidence": _float32(score), "name": name} for name, score in shown]


def replayed(loop: HumanLoop, analysis: Analysis, by_policy: bool) -> Routing:
    """The routing (unsaved) of an input that was sent again: that of the loop it began, whatever it would be today."""
    first = loop.routing
    if first is None:
        raise ValueError(f"the human loop {loop.name} was not routed")
    policy = Routing.Reason.POLICY.value
    return Routing(
        analysis=analysis,
        flow_id=loop.flow_id,
        flow_version=first.flow_version,
        policy_version=analysis.policy_version,
        activated=True,
        reasons=[policy, *first.reasons] if by_policy and policy not in first.reasons else first.reasons,
        inclusion_probability=first.inclusion_probability,
        random_only=first.random_only,
        trace=first.trace,
        sampling=first.sampling,
        min_confidence=first.min_confidence,
    )


def evaluated(analysis: Analysis, flow: FlowDefinition, min_confidence: float, by_policy: bool = False) -> Route:
    """The route by the flow's conditions; without any, they hold.  Raises ConditionError when they cannot be read."""
    facts = Facts(
        labels=emitted_labels(analysis, min_confidence),
        media_digest=analysis.submission.media_digest,
        flow_key=f"{flow.arn}:{flow.version}",
        sampling_secret=bytes(flow.sampling_secret),
    )
    return Route(analysis, flow, min_confidence, evaluate(read_conditions(flow.conditions), facts), by_policy)


@lru_cache(maxsize=256)
def read_conditions(text: str) -> Conditions | None:
    """Activation conditions from their JSON; None where there are none.  Raises ConditionError."""
    return parse(text) if text else None


def emitted_labels(analysis: Analysis, min_confidence: float) -> tuple[EmittedLabel, ...]:
    """The labels at or above a confidence, in taxonomy order; 0 means that nothing speaks for a label.

    Confidences are rounded to the 32-bit floats that clients get.
    """
    scores = analysis.scores["labels"]
    return tuple(
        EmittedLabel(label.name, label.parent, _float32(scores[label.name]))
        for label in taxonomy.LABELS.values()
        if scores.get(label.name, 0) >= min_confidence and scores.get(label.name, 0) > 0
    )


def in_aws_words(labels: Sequence[EmittedLabel]) -> list[dict[str, object]]:
    """The labels as Augmented AI writes them."""
    return [
        {
            "confidence": label.confidence,
            "name": label.name,
            "parentName": label.parent,
            "taxonomyLevel": taxonomy.label(label.name).level,
        }
        for label in labels
    ]


def trace_json(trace: dict[str, object] | None) -> str:
    """A trace as the JSON text that callers get, of at most 10,240 characters; None is that of no conditions."""
    return Evaluation(False, trace or NO_CONDITIONS, (), (), 0.0, (), False).trace_json()


def _float32(value: float) -> float:
    return ctypes.c_float(value).value
