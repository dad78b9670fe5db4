"""The two routers: which analyses people look at, in which flow, why, and what is kept of it."""

import json
import threading

import pytest
from django.db import connection, transaction
from django.test import override_settings

from moderation.aws.arns import Kind, ResourceArn
from moderation.handoff import (
    FlowNotFound,
    FlowNotReady,
    FlowUnsuitable,
    HandoffError,
    LoopNameTaken,
    LoopQuotaExceeded,
    Review,
    ReviewRequest,
    door,
)
from moderation.models import Analysis, Policy, Submission
from moderation.policies import Outcome
from reviews import activation, decisions, loops, queue, settlement
from reviews.models import FlowDefinition, HumanLoop, ReviewTask, Routing, WorkTeam
from tests import world as houses
from tests.media import picture
from tests.reviews import loop_world as made
from tests.reviews.conditions_world import both, check, sampling
from tests.world import World

pytestmark = pytest.mark.django_db
AWS = Submission.Source.AWS
APPROVE, REVIEW, REJECT = Outcome.APPROVE, Outcome.REVIEW, Outcome.REJECT
UNSURE = [check("*", LessThan=90)]
NEVER = [check("Gambling", GreaterThan=99)]


@pytest.fixture
def policy(world: World) -> Policy:
    return Policy.objects.default_for(world.acme)


def routings() -> list[tuple[str, bool, list[str], float]]:
    rows = Routing.objects.order_by("pk").select_related("flow")
    return [(row.flow.name, row.activated, row.reasons, row.inclusion_probability) for row in rows]


def only_loop() -> HumanLoop:
    return HumanLoop.objects.select_related("routing", "flow").get()


# --- the policy's router ---


def test_the_outcome_review_opens_a_loop_in_the_policys_flow(world: World, policy: Policy):
    flow = made.flow(world.acme, policies=[policy])
    analysis, review = made.considered(world.acme, {"Weapons": 85}, REVIEW)
    loop = only_loop()
    assert review == Review(opened=True)
    assert (loop.flow, loop.analysis, loop.submission) == (flow, analysis, analysis.submission)
    assert routings() == [("house", True, ["Policy"], 1.0)]
    assert [label["name"] for label in loop.selected_labels] == ["Violence", "Weapons"]


@pytest.mark.parametrize("outcome", [APPROVE, REJECT])
def test_no_other_outcome_does(world: World, policy: Policy, outcome: Outcome):
    made.flow(world.acme, policies=[policy])
    _, review = made.considered(world.acme, {"Weapons": 85}, outcome)
    assert review == Review(opened=False)
    assert routings() == [("house", False, [], 0.0)]


def test_the_policys_loop_has_a_valid_name_that_tells_nothing(world: World, policy: Policy):
    made.flow(world.acme, policies=[policy])
    for _ in range(2):
        made.considered(world.acme, {"Weapons": 85}, REVIEW)
    for loop in HumanLoop.objects.all():
        assert ResourceArn.parse(Kind.HUMAN_LOOP, loop.arn).name == loop.name
        assert loop.name == f"sl-{loop.submission_id.hex}-{loop.analysis_id}"  # type: ignore[union-attr]


def test_conditions_of_the_policys_flow_look_at_all_its_items(world: World, policy: Policy):
    made.flow(world.acme, policies=[policy], conditions=UNSURE)
    analysis, review = made.considered(world.acme, {"Weapons": 85}, APPROVE)
    assert review.opened
    assert routings() == [("house", True, ["ConditionsEvaluation"], 1.0)]
    analysis.submission.refresh_from_db()
    assert analysis.submission.status == Submission.Status.APPROVED


def test_review_and_conditions_in_one_flow_are_one_loop_with_both_reasons(world: World, policy: Policy):
    made.flow(world.acme, policies=[policy], conditions=UNSURE)
    made.considered(world.acme, {"Weapons": 85}, REVIEW)
    assert only_loop()
    assert routings() == [("house", True, ["Policy", "ConditionsEvaluation"], 1.0)]


def test_several_flows_of_a_policy_give_one_loop_and_a_routing_each(world: World, policy: Policy):
    made.flow(world.acme, name="a", policies=[policy], conditions=NEVER)
    made.flow(world.acme, name="b", policies=[policy], conditions=UNSURE)
    made.flow(world.acme, name="c", policies=[policy], conditions=UNSURE)
    made.considered(world.acme, {"Weapons": 85})
    loop = only_loop()
    assert loop.flow.name == "b"
    assert [each[:2] for each in routings()] == [("a", False), ("b", True), ("c", True)]
    assert Routing.objects.get(flow__name="c").joined_loop == loop


def test_the_oldest_flow_of_a_policy_takes_its_review(world: World, policy: Policy):
    made.flow(world.acme, name="z-first", policies=[policy], conditions=NEVER)
    made.flow(world.acme, name="a-second", policies=[policy], conditions=UNSURE)
    made.considered(world.acme, {"Weapons": 85}, REVIEW)
    assert only_loop().flow.name == "z-first"
    assert routings() == [("z-first", True, ["Policy"], 1.0), ("a-second", True, ["ConditionsEvaluation"], 1.0)]


def test_flows_that_are_not_active_or_for_other_things_take_nothing(world: World, policy: Policy):
    made.flow(world.acme, name="gone", policies=[policy], status=FlowDefinition.Status.DELETING)
    made.flow(world.acme, name="custom", policies=[policy], request_source="")
    assert not activation.serves(policy)
    made.considered(world.acme, {"Weapons": 85}, REVIEW)
    assert only_loop().flow.name == "review", "the default flow"
    active = made.flow(world.acme, name="active", policies=[policy])
    assert activation.serves(policy)
    made.considered(world.acme, {"Weapons": 85}, REVIEW)
    assert HumanLoop.objects.filter(flow=active).exists()


def test_a_policy_that_no_flow_serves_goes_to_the_default_flow_made_on_demand(world: World):
    for _ in range(2):
        made.considered(world.acme, {"Weapons": 85}, REVIEW)
    flow = FlowDefinition.objects.get()
    assert (flow.name, flow.queue.name, flow.work_team.name, flow.output_path) == ("review", "review", "reviewers", "")
    assert set(flow.work_team.members.all()) == {world.reviewer, world.reviewer2, world.reviewer3, world.lead}
    assert len(queue.claim(world.reviewer, 3)) == 2


def test_the_default_flow_steps_aside_where_its_name_is_taken(world: World):
    made.flow(world.acme, name="review", status=FlowDefinition.Status.DELETING)
    made.flow(world.acme, name="review-2", request_source="")
    made.considered(world.acme, {"Weapons": 85}, REVIEW)
    assert only_loop().flow.name == "review-3"


def test_an_account_without_reviewers_has_its_admins_review(world: World):
    made.considered(world.globex, {"Weapons": 85}, REVIEW)
    assert list(WorkTeam.objects.get().members.all()) == [world.outsider]


def test_conditions_that_cannot_be_read_hold_nothing_up(world: World, policy: Policy):
    made.flow(world.acme, policies=[policy], conditions=UNSURE)
    FlowDefinition.objects.update(conditions='{"Conditions": 7}')
    _, review = made.considered(world.acme, {"Weapons": 85}, REVIEW)
    assert review.opened


# --- what is kept ---


def test_a_random_sample_keeps_its_draw_and_is_an_audit(world: World, policy: Policy):
    made.flow(world.acme, policies=[policy], conditions=[sampling(100)])
    made.considered(world.acme, {"Weapons": 85})
    routing, loop = Routing.objects.get(), only_loop()
    assert routing.random_only and loop.is_audit
    assert routing.sampling == [
        {"node": "Conditions[0]", "probability": 1.0, "drawn": pytest.approx(0.5, abs=0.5), "hit": True}
    ]
    asked = decisions.asked_labels(loop)
    assert "Violence" in asked and "Weapons" not in asked, "level 1 is always asked, the rest would tell"


def test_what_the_policy_wants_looked_at_is_no_audit_even_where_it_is_sampled_too(world: World, policy: Policy):
    made.flow(world.acme, policies=[policy], conditions=[sampling(100)])
    made.considered(world.acme, {"Weapons": 85}, REVIEW)
    assert not only_loop().is_audit
    assert routings() == [("house", True, ["Policy", "ConditionsEvaluation"], 1.0)]


def test_items_that_were_not_sampled_keep_their_chance_too(world: World, policy: Policy):
    made.flow(world.acme, policies=[policy], conditions=[sampling(0.01)])
    made.considered(world.acme, {"Weapons": 85})
    routing = Routing.objects.get()
    assert (routing.activated, routing.inclusion_probability, routing.random_only) == (False, 0.0001, False)
    assert routing.sampling[0]["hit"] is False
    assert not HumanLoop.objects.exists()


def test_a_routing_names_its_versions_threshold_and_trace(world: World, policy: Policy):
    flow = made.flow(world.acme, policies=[policy], conditions=NEVER)
    flow.conditions = json.dumps({"Conditions": UNSURE})
    flow.save()
    made.considered(world.acme, {"Weapons": 85})
    routing = Routing.objects.get()
    assert (routing.flow_version, routing.policy_version, routing.min_confidence) == (2, policy.current(), 50)
    assert routing.trace and routing.trace["Conditions"][0]["EvaluationResult"] is True


def test_conditions_see_only_labels_that_are_shown(world: World, policy: Policy):
    made.flow(world.acme, policies=[policy], conditions=UNSURE)
    made.considered(world.acme, {"Weapons": 49.9})
    assert not HumanLoop.objects.exists()


# --- the router of requests ---


def test_a_request_whose_conditions_hold_begins_a_loop_of_that_name(world: World):
    flow = made.flow(world.acme, conditions=UNSURE)
    _, review = made.considered(world.acme, {"Weapons": 85}, request=made.request(flow), source=AWS)
    assert review.opened and review.activation
    assert review.activation.human_loop_arn == "arn:aws:sagemaker:us-east-1:111111111111:human-loop/loop-1"
    assert review.activation.reasons == ("ConditionsEvaluation",)
    [node] = json.loads(review.activation.evaluation_results)["Conditions"]
    assert node["EvaluationResult"] is True
    assert only_loop().name == "loop-1"


def test_a_request_outside_the_conditions_says_so_and_begins_nothing(world: World):
    flow = made.flow(world.acme, conditions=UNSURE)
    _, review = made.considered(world.acme, {"Weapons": 95}, request=made.request(flow), source=AWS)
    assert (review.opened, HumanLoop.objects.count()) == (False, 0)
    assert review.activation and review.activation.human_loop_arn is None and review.activation.reasons == ()
    [node] = json.loads(review.activation.evaluation_results)["Conditions"]
    assert node["EvaluationResult"] is False
    assert routings() == [("house", False, [], 0.0)]


def test_a_requested_flow_without_conditions_takes_everything(world: World):
    flow = made.flow(world.acme)
    _, review = made.considered(world.acme, {}, request=made.request(flow), source=AWS)
    assert review.activation and review.activation.evaluation_results == '{"Conditions":[]}'
    assert only_loop().selected_labels == []


def test_the_callers_threshold_hides_labels_from_the_conditions(world: World):
    flow = made.flow(world.acme, conditions=[check("Weapons", LessThan=30)])
    for threshold, opened in ((20, True), (30, False)):
        request = made.request(flow, f"loop-{threshold}", min_confidence=threshold)
        _, review = made.considered(world.acme, {"Weapons": 25}, request=request, source=AWS)
        assert review.opened is opened
    assert list(Routing.objects.order_by("pk").values_list("min_confidence", flat=True)) == [20, 30]


def test_a_request_in_the_policys_flow_takes_its_review_too(world: World, policy: Policy):
    flow = made.flow(world.acme, policies=[policy], conditions=UNSURE)
    made.considered(world.acme, {"Weapons": 85}, REVIEW, made.request(flow), source=AWS)
    assert only_loop().name == "loop-1"
    assert routings() == [("house", True, ["Policy", "ConditionsEvaluation"], 1.0)]


def test_where_its_conditions_fail_the_policy_still_opens_a_loop_of_its_own_name(world: World, policy: Policy):
    flow = made.flow(world.acme, policies=[policy], conditions=NEVER)
    _, review = made.considered(world.acme, {"Weapons": 85}, REVIEW, made.request(flow), source=AWS)
    assert review.opened and review.activation and review.activation.human_loop_arn is None
    assert only_loop().name.startswith("sl-")
    assert routings() == [("house", True, ["Policy"], 1.0)]


def test_a_request_elsewhere_leaves_the_review_to_the_policys_flow(world: World, policy: Policy):
    made.flow(world.acme, name="expert", policies=[policy], conditions=UNSURE)
    asked = made.flow(world.acme, name="asked", conditions=UNSURE)
    made.considered(world.acme, {"Weapons": 85}, REVIEW, made.request(asked), source=AWS)
    assert {(loop.flow.name, loop.name[:3]) for loop in HumanLoop.objects.all()} == {
        ("asked", "loo"),
        ("expert", "sl-"),
    }
    assert routings() == [("asked", True, ["ConditionsEvaluation"], 1.0), ("expert", True, ["Policy"], 1.0)]


def test_a_requested_loop_takes_the_review_that_no_flow_serves(world: World):
    flow = made.flow(world.acme, conditions=UNSURE)
    made.considered(world.acme, {"Weapons": 85}, REVIEW, made.request(flow), source=AWS)
    assert only_loop().flow == flow
    assert routings()[0][2] == ["Policy", "ConditionsEvaluation"]


def test_a_review_that_nothing_serves_goes_to_the_default_flow_beside_an_idle_request(world: World):
    flow = made.flow(world.acme, conditions=NEVER)
    _, review = made.considered(world.acme, {"Weapons": 85}, REVIEW, made.request(flow), source=AWS)
    assert review.opened and only_loop().flow.name == "review"


def test_a_flows_own_conditions_leave_aws_calls_alone(world: World, policy: Policy):
    made.flow(world.acme, policies=[policy], conditions=UNSURE)
    _, review = made.considered(world.acme, {"Weapons": 85}, APPROVE, source=AWS)
    assert (review.opened, Routing.objects.count()) == (False, 0)


# --- what is refused before inference ---


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({}, None),
        ({"flow_definition_arn": "arn:aws:sagemaker:us-east-1:111111111111:flow-definition/other"}, FlowNotFound),
        ({"flow_definition_arn": "arn:aws:sagemaker:us-east-1:222222222222:flow-definition/house"}, FlowNotFound),
        ({"flow_definition_arn": "arn:aws:sagemaker:eu-west-1:111111111111:flow-definition/house"}, FlowNotFound),
        ({"flow_definition_arn": "house"}, FlowNotFound),
        ({"region": "eu-west-1"}, FlowNotFound),
    ],
)
def test_the_flow_must_be_the_callers_own_here(world: World, change: dict[str, str], error: type[HandoffError] | None):
    made.flow(world.acme)
    arn = "arn:aws:sagemaker:us-east-1:111111111111:flow-definition/house"
    request = ReviewRequest(change.get("flow_definition_arn", arn), "x", change.get("region", "us-east-1"))
    if error is None:
        activation.check(world.acme, request, "d1")
    else:
        with pytest.raises(error):
            activation.check(world.acme, request, "d1")


def test_the_flow_must_be_active_and_for_moderation(world: World):
    flow = made.flow(world.acme, status=FlowDefinition.Status.DELETING)
    with pytest.raises(FlowNotReady, match="Deleting"):
        activation.check(world.acme, made.request(flow), "d1")
    custom = made.flow(world.acme, name="custom", request_source="")
    with pytest.raises(FlowUnsuitable):
        activation.check(world.acme, made.request(custom), "d1")


def test_a_name_in_use_for_another_input_is_refused(world: World):
    flow = made.flow(world.acme)
    analysis, _ = made.considered(world.acme, {"Weapons": 85}, request=made.request(flow), source=AWS)
    digest = analysis.submission.media_digest
    activation.check(world.acme, made.request(flow), digest)
    with pytest.raises(LoopNameTaken):
        activation.check(world.acme, made.request(flow), "another picture")
    with pytest.raises(LoopNameTaken):
        activation.check(world.acme, made.request(flow, content_classifiers=("FreeOfAdultContent",)), digest)
    other = made.flow(world.acme, name="other")
    with pytest.raises(LoopNameTaken):
        activation.check(world.acme, made.request(other), digest)
    activation.check(world.globex, made.request(made.flow(world.globex)), "another picture")


def test_the_quota_counts_open_loops_and_lets_replays_pass(world: World):
    flow = made.flow(world.acme)
    analysis, _ = made.considered(world.acme, {"Weapons": 85}, request=made.request(flow), source=AWS)
    with override_settings(MAX_OPEN_LOOPS=1):
        with pytest.raises(LoopQuotaExceeded):
            activation.check(world.acme, made.request(flow, "loop-2"), "d2")
        activation.check(world.acme, made.request(flow), analysis.submission.media_digest)
        loops.stop(only_loop().pk)
        activation.check(world.acme, made.request(flow, "loop-2"), "d2")


# --- the same input again ---


def again(
    world: World, flow: FlowDefinition, outcome: Outcome = APPROVE, min_confidence: float = 50
) -> tuple[Analysis, Review]:
    data = picture(seed=4711)
    scores = {"Weapons": 85.0}
    request = made.request(flow, min_confidence=min_confidence)
    return made.considered(world.acme, scores, outcome, request, source=AWS, data=data)


def test_a_replay_gets_the_same_arn_and_no_second_loop(world: World):
    flow = made.flow(world.acme, conditions=UNSURE)
    _, first = again(world, flow)
    _, second = again(world, flow, min_confidence=99)  # by itself this would begin nothing
    assert first.activation == second.activation
    assert (first.opened, second.opened) == (True, False)
    assert only_loop().tasks.count() == 1


def test_a_replay_in_review_is_decided_with_the_first(world: World, policy: Policy):
    flow = made.flow(world.acme, (world.reviewer,), policies=[policy], conditions=UNSURE)
    first, _ = again(world, flow, REVIEW)
    second, _ = again(world, flow, REVIEW)
    [seat] = queue.claim(world.reviewer, 3)
    decisions.submit(seat.pk, seat.token, world.reviewer, made.reject("Weapons"))
    with override_settings(UNDO_GRACE_SECONDS=0):
        settlement.settle(seat.loop_id)
        third, _ = again(world, flow, REVIEW)
    for analysis in (first, second, third):
        analysis.submission.refresh_from_db()
        assert analysis.submission.status == Submission.Status.REJECTED
    assert only_loop().ground_truth.count() == 1
    described = activation.describe(third.submission)
    assert described and described["outcome"] == "reject"


def test_a_replay_beside_the_policys_own_flow_shares_both_loops(world: World, policy: Policy):
    made.flow(world.acme, (world.reviewer,), name="policys", policies=[policy])
    asked = made.flow(world.acme, (world.reviewer2,), name="asked", conditions=UNSURE)
    again(world, asked, REVIEW)
    assert HumanLoop.objects.count() == 2, "one in the policy's flow, one as requested"
    third, review = again(world, asked, REVIEW)
    assert review.activation and review.activation.human_loop_arn
    assert not review.opened
    assert HumanLoop.objects.count() == 2
    assert set(third.routings.values_list("joined_loop__flow__name", flat=True)) == {"policys", "asked"}


def test_a_replay_of_a_stopped_loop_gets_its_arn_and_a_lead_where_somebody_waits(world: World, policy: Policy):
    flow = made.flow(world.acme, (world.lead,), policies=[policy], conditions=UNSURE)
    _, first = again(world, flow)
    loops.stop(only_loop().pk)
    assert not only_loop().tasks.filter(kind=ReviewTask.Kind.LEAD).exists()
    _, second = again(world, flow, REVIEW)
    assert first.activation and second.activation
    assert first.activation.human_loop_arn == second.activation.human_loop_arn
    assert only_loop().tasks.filter(kind=ReviewTask.Kind.LEAD).count() == 1


def test_a_deleted_loops_name_begins_anew_under_the_same_arn(world: World):
    flow = made.flow(world.acme, conditions=UNSURE)
    _, first = again(world, flow)
    loops.stop(only_loop().pk)
    loops.delete(only_loop().pk)
    _, second = again(world, flow)
    assert first.activation and second.activation and second.opened
    assert first.activation.human_loop_arn == second.activation.human_loop_arn


@pytest.mark.django_db(transaction=True)
def test_two_requests_of_one_name_at_once_are_one_loop(world: World):
    flow = made.flow(world.acme, conditions=UNSURE)
    data = picture(seed=4711)
    analyses = [made.analysis(world.acme, {"Weapons": 85}, source=AWS, data=data) for _ in range(4)]
    start = threading.Barrier(len(analyses))
    found: list[str | None] = []

    def consider(analysis: Analysis) -> None:
        try:
            start.wait()
            with transaction.atomic():
                review = activation.consider(analysis, APPROVE, made.request(flow))
            found.append(review.activation.human_loop_arn if review.activation else None)
        finally:
            connection.close()

    threads = [threading.Thread(target=consider, args=[analysis]) for analysis in analyses]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [only_loop().arn] * 4
    assert Routing.objects.filter(joined_loop=only_loop()).count() == 3
    assert Routing.objects.count() == 4


# --- the whole door ---


def test_the_door_leads_here(world: World):
    assert door() is activation


def test_a_picture_goes_through_the_pipeline_to_a_reviewer(world: World):
    submission = houses.analysed(world.acme, "Weapons", 85)
    assert submission.status == Submission.Status.IN_REVIEW
    [seat] = queue.claim(world.reviewer)
    assert seat.loop.submission == submission
    described = activation.describe(submission)
    assert described and (described["status"], described["reasons"]) == ("InProgress", ["Policy"])
    assert (described["answers"], described["task_count"], described["outcome"]) == (0, 1, None)


def test_what_no_person_looks_at_has_no_review(world: World):
    assert activation.describe(houses.analysed(world.acme, "Gambling", 85)) is None


def test_answers_are_not_told_before_they_stand(world: World):
    submission = houses.analysed(world.acme, "Weapons", 85)
    [seat] = queue.claim(world.reviewer)
    decisions.submit(seat.pk, seat.token, world.reviewer, made.reject("Weapons"))
    described = activation.describe(submission)
    assert described and (described["answers"], described["outcome"], described["labels"]) == (1, None, None)
    with override_settings(UNDO_GRACE_SECONDS=0):
        settlement.settle(seat.loop_id)
    described = activation.describe(submission)
    assert described and (described["outcome"], described["labels"]) == ("reject", ["Violence", "Weapons"])


def test_sampling_falls_the_same_way_for_the_same_picture(world: World, policy: Policy):
    made.flow(world.acme, policies=[policy], conditions=[both(sampling(50), check("*", GreaterThan=1))])
    for seed in range(6):
        data = picture(seed=seed)
        drawn = {made.considered(world.acme, {"Weapons": 85}, data=data)[1].opened for _ in range(3)}
        assert len(drawn) == 1
