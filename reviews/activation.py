"""The door to human review: which analyses people look at, in which flow, and why.

Two routers. A policy's outcome `review` opens a loop in the oldest active flow definition that lists the policy; where
none does, in the request's flow if a loop begins there, else in the account's default review flow, made when first
needed. Activation conditions open a loop whatever the outcome: those of the flow that a request names, and, for what
did not come through the AWS interface, those of all flows that list the policy (such as an audit sample of 5 %). Where
both say so in one flow, or several flows of a policy do, there is one loop.

Every flow that considered an analysis leaves a Routing row, whether people look or not.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet

from moderation.aws.arns import ArnError, Kind, ResourceArn
from moderation.handoff import (
    Activation,
    FlowNotFound,
    FlowNotReady,
    FlowUnsuitable,
    LoopNameTaken,
    Review,
    ReviewRequest,
)
from moderation.models import Account, Analysis, Policy, Submission, User
from moderation.policies import Outcome
from reviews import loops, settlement
from reviews.conditions import ConditionError
from reviews.models import FlowDefinition, HumanLoop, ReviewQueue, Routing, WorkTeam
from reviews.routing import Route, evaluated, read_conditions, replayed, trace_json

logger = logging.getLogger(__name__)

DEFAULT_FLOW, DEFAULT_QUEUE, DEFAULT_TEAM = "review", "review", "reviewers"


def check(account: Account, request: ReviewRequest, media_digest: str) -> None:
    """Refuse, before inference, what cannot be served; the quota is a bound on what begins, not on what is sent again.

    Raises FlowNotFound, FlowNotReady, FlowUnsuitable, LoopNameTaken, LoopQuotaExceeded.
    """
    if not _begun_before(_requested_flow(account, request), request, media_digest):
        loops.check_quota(account)


def consider(analysis: Analysis, outcome: Outcome, request: ReviewRequest | None = None) -> Review:
    """Offer a finished analysis to both routers, inside the caller's transaction.

    Raises what `check` does, where something changed since; then nothing of the transaction may stand.
    """
    wanted = outcome is Outcome.REVIEW
    if request is None and not wanted and analysis.submission.source == Submission.Source.AWS:
        return Review(opened=False)  # the conditions of a policy's flows are not asked about these
    flows = list(FlowDefinition.objects.taking(analysis.submission.policy))
    if request is None:
        return Review(opened=_by_policy(analysis, flows, wanted))
    flow = _requested_flow(analysis.submission.account, request)
    activation, opened, served = _by_request(analysis, flow, request, wanted, flows)
    if activation.human_loop_arn and not opened and wanted and not served:
        served = _join_policys_loop(analysis, flow, request)
    others = [each for each in flows if each != flow]
    also = _by_policy(analysis, others, wanted and not served)
    return Review(opened or also, activation)


def recall(analysis: Analysis, request: ReviewRequest) -> Activation:
    """Tell again what became of the request that came with an analysis: for a caller whose answer was lost."""
    routings = Routing.objects.filter(analysis=analysis).select_related("flow").order_by("pk")
    routing = next((each for each in routings if each.flow.arn == request.flow_definition_arn), None)
    about = Q(routing=routing) | Q(joined_routings=routing)
    named = HumanLoop.objects.filter(about, name=request.human_loop_name).select_related("routing")
    if routing and (loop := named.first()):
        return _activation(loop)
    return Activation(None, (), trace_json(routing.trace if routing else None))


def describe(submission: Submission) -> dict[str, Any] | None:
    """The submission's newest human loop as the API shows it; what people answered only once it is settled."""
    loop = _loops_of(submission).select_related("flow", "routing").first()
    if loop is None:
        return None
    truth = loop.ground_truth.first()
    return {
        "human_loop": loop.name,
        "human_loop_arn": loop.arn,
        "flow_definition_arn": loop.flow.arn,
        "status": loop.status,
        "reasons": loop.routing.reasons if loop.routing else [],
        "answers": loop.standing_decisions().count(),
        "task_count": loop.task_count,
        "created_at": _iso(loop.created_at),
        "due_at": _iso(loop.due_at),
        "completed_at": _iso(loop.completed_at),
        "settled_at": _iso(loop.settled_at),
        "outcome": truth.outcome if truth else None,
        "labels": truth.present if truth else None,
    }


def serves(policy: Policy) -> bool:
    """Whether a flow definition takes the policy's `review` outcomes."""
    return FlowDefinition.objects.taking(policy).exists()


def _requested_flow(account: Account, request: ReviewRequest) -> FlowDefinition:
    try:
        arn = ResourceArn.parse(Kind.FLOW_DEFINITION, request.flow_definition_arn)
    except ArnError as error:
        raise FlowNotFound(str(error)) from None
    ours = FlowDefinition.objects.filter(account=account, region=request.region)
    flow = ours.filter(name=arn.name).select_related("account").first()
    if flow is None or flow.arn != request.flow_definition_arn:
        raise FlowNotFound(f"The flow definition {arn} does not exist.")
    if not flow.is_active:
        raise FlowNotReady(f"The flow definition {arn} is {flow.status}.")
    if flow.is_custom:
        raise FlowUnsuitable(f"The flow definition {arn} does not review moderation labels.")
    try:
        read_conditions(flow.conditions)
    except ConditionError as error:
        raise FlowUnsuitable(f"The activation conditions of {arn} cannot be read: {error}") from None
    return flow


def _begun_before(flow: FlowDefinition, request: ReviewRequest, media_digest: str) -> HumanLoop | None:
    """The loop that the same input began under this name; LoopNameTaken when another input did."""
    loop = HumanLoop.objects.named(flow.account, flow.region, request.human_loop_name)
    if loop and loop.input_digest != loops.input_digest(flow, media_digest, request.content_classifiers):
        raise LoopNameTaken(f"A human loop {loop.name} exists with another input.")
    return loop


def _by_request(
    analysis: Analysis, flow: FlowDefinition, request: ReviewRequest, wanted: bool, flows: Sequence[FlowDefinition]
) -> tuple[Activation, bool, bool]:
    """Route by the flow that a request names: what became of it, whether a loop began, whether the policy is served."""
    loop = _begun_before(flow, request, analysis.submission.media_digest)
    takes_policy = wanted and (flow in flows or not flows)
    if loop is None:
        route = evaluated(analysis, flow, request.min_confidence)
        if not route.fired:
            return _without_conditions(route, wanted and flow in flows)
        what = replace(route, by_policy=takes_policy).loop_input(request.human_loop_name, request)
        loop, began = loops.start(flow, what, bounded=True)
        if began:
            return _activation(loop), True, takes_policy
    settlement.join(loop.pk, replayed(loop, analysis, takes_policy))
    return _activation(loop), False, takes_policy


def _join_policys_loop(analysis: Analysis, flow: FlowDefinition, request: ReviewRequest) -> bool:
    """An input that was sent again also shares the loop that its policy opened the first time; whether there is one."""
    again = HumanLoop.objects.named(flow.account, flow.region, request.human_loop_name)
    if again is None or again.submission is None:
        return False
    policys = _loops_of(again.submission).filter(routing__reasons__contains=[Routing.Reason.POLICY.value])
    loop = policys.exclude(pk=again.pk).select_related("routing").first()
    if loop is None:
        return False
    settlement.join(loop.pk, replayed(loop, analysis, by_policy=True))
    return True


def _without_conditions(route: Route, by_policy: bool) -> tuple[Activation, bool, bool]:
    """The conditions of the request's flow do not hold; the policy may still have people look there."""
    began = _open(replace(route, by_policy=by_policy)) is not None
    return Activation(None, (), route.results), began, by_policy


def _activation(loop: HumanLoop) -> Activation:
    trace = loop.routing.trace if loop.routing else None
    return Activation(loop.arn, (Routing.Reason.CONDITIONS.value,), trace_json(trace))


def _by_policy(analysis: Analysis, flows: Sequence[FlowDefinition], wanted: bool) -> bool:
    """Route by the policy's flows; whether a loop began."""
    if wanted and not flows:
        flows = [default_flow(analysis.submission.account)]
    if analysis.submission.source == Submission.Source.AWS:
        flows = flows[:1] if wanted else []
    loop: HumanLoop | None = None
    for place, flow in enumerate(flows):
        route = _policy_route(analysis, flow, wanted and place == 0)
        if loop is None:
            loop = _open(route)
        else:
            route.row(joined_loop=loop if route.activated else None).save()
    return loop is not None


def _policy_route(analysis: Analysis, flow: FlowDefinition, by_policy: bool) -> Route:
    if flow.conditions and analysis.submission.source != Submission.Source.AWS:
        try:
            return evaluated(analysis, flow, settings.EMIT_MIN_CONFIDENCE, by_policy)
        except ConditionError:
            logger.exception("the activation conditions of %s cannot be read", flow.arn)
    return Route(analysis, flow, settings.EMIT_MIN_CONFIDENCE, None, by_policy)


def _open(route: Route) -> HumanLoop | None:
    """Write the routing, and begin a loop where people look; its own name tells nothing of why it began."""
    if not route.activated:
        route.row().save()
        return None
    name = f"sl-{route.analysis.submission_id.hex}-{route.analysis.pk}"
    loop, _ = loops.start(route.flow, route.loop_input(name, None))
    return loop


def default_flow(account: Account) -> FlowDefinition:
    """The flow for policies that no flow serves, with its queue and the team of the account's reviewers and leads."""
    with transaction.atomic():
        queue, _ = ReviewQueue.objects.get_or_create(account=account, name=DEFAULT_QUEUE)
        team, _ = WorkTeam.objects.get_or_create(account=account, region=settings.REGION, name=DEFAULT_TEAM)
        if not team.members.exists():
            people = account.users.filter(is_active=True)
            reviewers = people.filter(role__in=(User.Role.REVIEWER, User.Role.LEAD))
            team.members.set(reviewers or people.filter(role=User.Role.ADMIN))
        return _usable_default(account, queue, team)


def _usable_default(account: Account, queue: ReviewQueue, team: WorkTeam) -> FlowDefinition:
    """The first of review, review-2, ... that is ours to use: an operator may have taken or closed one of the names."""
    number = 1
    while True:
        name = DEFAULT_FLOW if number == 1 else f"{DEFAULT_FLOW}-{number}"
        flow, _ = FlowDefinition.objects.get_or_create(
            account=account, region=settings.REGION, name=name, defaults={"queue": queue, "work_team": team}
        )
        if flow.is_active and not flow.is_custom:
            return flow
        number += 1


def _loops_of(submission: Submission) -> QuerySet[HumanLoop]:
    own = HumanLoop.objects.filter(submission=submission)
    joined = HumanLoop.objects.filter(joined_routings__analysis__submission=submission)
    return (own | joined).filter(deleted_at=None).order_by("-pk").distinct()


def _iso(when: datetime | None) -> str | None:
    return when.isoformat().replace("+00:00", "Z") if when else None
