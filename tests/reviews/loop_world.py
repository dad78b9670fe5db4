"""Flows, finished analyses and loops for the tests of human review, without an engine at work."""

import hashlib
import itertools
import json
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import transaction
from django.utils import timezone

from moderation import storage
from moderation.handoff import Review, ReviewRequest
from moderation.inference.fusion import with_ancestors
from moderation.inference.types import EngineVersion, Findings, LabelScore
from moderation.models import Account, Analysis, Blob, Policy, Submission, User, Verdict
from moderation.policies import Judgement, Outcome
from reviews import activation
from reviews.decisions import Answer
from reviews.models import FlowDefinition, HumanLoop, ReviewQueue, ReviewTask, WorkTeam
from tests.media import picture

VERSION = EngineVersion(engine="test-1", heads="h1", calibration="c1")
_numbers = itertools.count(1)


def team(account: Account, members: Iterable[User], name: str = "crew") -> WorkTeam:
    """A work team of these people."""
    made, _ = WorkTeam.objects.get_or_create(account=account, name=name)
    made.members.add(*members)
    return made


def queue(account: Account, name: str = "line", **more: Any) -> ReviewQueue:
    """A queue; the same again for the same name."""
    return ReviewQueue.objects.get_or_create(account=account, name=name, defaults=more)[0]


def flow(
    account: Account,
    members: Iterable[User] = (),
    name: str = "house",
    conditions: object = None,
    policies: Iterable[Policy] = (),
    line: str = "line",
    **more: Any,
) -> FlowDefinition:
    """A flow definition worked by a team of `members`; `conditions` are the members of Conditions."""
    made = FlowDefinition.objects.create(
        account=account,
        name=name,
        conditions="" if conditions is None else json.dumps({"Conditions": conditions}),
        work_team=team(account, members, f"{name}-team"),
        queue=queue(account, line),
        **more,
    )
    made.policies.set(policies)
    return made


def output_bucket(account: Account, name: str = "answers") -> str:
    """A file bucket for output files, as an output path."""
    return f"s3://{storage.make_bucket(account, name).name}/out"


def analysis(
    account: Account,
    scores: Mapping[str, float],
    policy: Policy | None = None,
    source: Submission.Source = Submission.Source.REST,
    data: bytes | None = None,
    outcome: Outcome = Outcome.APPROVE,
) -> Analysis:
    """A finished analysis of a stored picture with these confidences, judged `outcome`."""
    data = data or picture(seed=next(_numbers))
    policy = policy or Policy.objects.default_for(account)
    digest = hashlib.sha256(data).hexdigest()
    submission = Submission.objects.create(
        account=account,
        blob=_blob(account, digest, data),
        policy=policy,
        source=source,
        media_digest=digest,
        media_size=len(data),
        media_format="JPEG",
        width=320,
        height=240,
    )
    queued = submission.analyses.create(policy_version=policy.current())
    started = Analysis.objects.start(queued.pk)
    assert started
    labels = tuple(LabelScore(name, score) for name, score in with_ancestors(dict(scores)).items())
    assert started.finish(Findings(labels), VERSION, 50)
    started.submission.settle(Judgement(outcome, ()), Verdict.Source.POLICY, started.policy_version)
    return started


def considered(
    account: Account,
    scores: Mapping[str, float],
    outcome: Outcome = Outcome.APPROVE,
    request: ReviewRequest | None = None,
    **more: Any,
) -> tuple[Analysis, Review]:
    """A finished analysis, offered to both routers."""
    made = analysis(account, scores, outcome=outcome, **more)
    with transaction.atomic():
        return made, activation.consider(made, outcome, request)


def loop(of: FlowDefinition, scores: Mapping[str, float] | None = None, **more: Any) -> HumanLoop:
    """A loop in this flow, begun by the outcome `review` of a policy that the flow serves."""
    policy, _ = Policy.objects.get_or_create(account=of.account, name=f"for {of.name}")
    if not policy.versions.exists():
        policy.revise(())
    of.policies.add(policy)
    made, review = considered(of.account, scores or {"Weapons": 85.0}, Outcome.REVIEW, policy=policy, **more)
    assert review.opened
    return HumanLoop.objects.get(analysis=made)


def request(of: FlowDefinition, name: str = "loop-1", **more: Any) -> ReviewRequest:
    """A HumanLoopConfig that names this flow."""
    return ReviewRequest(of.arn, name, of.region, **more)


def approve(*labels: str, **more: Any) -> Answer:
    """Approve; with labels that are there and allowed."""
    return Answer(uuid.uuid4(), "approve", labels, **more)


def reject(*labels: str, **more: Any) -> Answer:
    """Reject, with the labels seen."""
    return Answer(uuid.uuid4(), "reject", labels, **more)


def states(of: HumanLoop) -> list[str]:
    """The states of a loop's seats."""
    return list(of.tasks.order_by("pk").values_list("state", flat=True))


def lapse(seat: ReviewTask) -> None:
    """The seat's lease is over."""
    ReviewTask.objects.filter(pk=seat.pk).update(lease_expires_at=timezone.now())


def _blob(account: Account, digest: str, data: bytes) -> Blob:
    name = f"blobs/{account.pk}/{digest[:2]}/{digest}.jpg"
    if not default_storage.exists(name):
        default_storage.save(name, ContentFile(data))
    made = {"size": len(data), "media_type": "image/jpeg", "name": name}
    return Blob.objects.get_or_create(account=account, sha256=digest, defaults=made)[0]
