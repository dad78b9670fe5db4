"""How a human loop begins, stops, fails, ends and goes; what a lead is called for."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from moderation.handoff import LoopNameTaken
from moderation.models import OutboxMessage, Submission, User, WebhookEndpoint
from reviews import decisions, loops, queue, settlement
from reviews.loops import LoopFinished, LoopInput, LoopRunning
from reviews.models import FlowDefinition, HumanLoop, ReviewTask
from tests.reviews import loop_world as made
from tests.world import World

pytestmark = pytest.mark.django_db
Status = HumanLoop.Status


@pytest.fixture
def flow(world: World) -> FlowDefinition:
    return made.flow(world.acme, (world.reviewer, world.reviewer2, world.lead), task_count=2)


@pytest.fixture
def webhook(world: World) -> WebhookEndpoint:
    return WebhookEndpoint.objects.create(account=world.acme, url="https://hooks.example/x")


def later(**more: float) -> time_machine.travel:
    return time_machine.travel(timezone.now() + timedelta(**more), tick=True)


def settle_all() -> None:
    with later(seconds=61):
        settlement.run_due()


def answer(reviewer: User) -> None:
    [seat] = queue.claim(reviewer)
    decisions.submit(seat.pk, seat.token, reviewer, made.approve())


def fresh(loop: HumanLoop) -> HumanLoop:
    return HumanLoop.objects.get(pk=loop.pk)


def events() -> list[str]:
    told = OutboxMessage.objects.filter(kind="webhook", event__startswith="human_loop").order_by("created_at")
    return list(told.values_list("event", flat=True))


def told(event: str) -> dict[str, Any]:
    data: dict[str, Any] = OutboxMessage.objects.get(event=event, kind="webhook").payload["data"]
    return data


def custom(flow: FlowDefinition, content: str = "abc", name: str = "task-1") -> LoopInput:
    return LoopInput(name, loops.input_digest(flow, content, ("FreeOfAdultContent",)), {"text": content})


# --- beginning ---


def test_a_loop_begins_with_a_seat_for_every_wanted_answer(world: World, flow: FlowDefinition, webhook: object):
    loop = made.loop(flow)
    assert made.states(loop) == ["open", "open"]
    assert loop.due_at - loop.created_at >= timedelta(seconds=863_999)
    assert set(loop.tasks.values_list("due_at", "queue", "kind")) == {(loop.due_at, flow.queue_id, "reviewer")}
    data = told("human_loop.started")
    assert data["human_loop_arn"] == f"arn:aws:sagemaker:us-east-1:111111111111:human-loop/{loop.name}"
    assert data["flow_definition_arn"] == "arn:aws:sagemaker:us-east-1:111111111111:flow-definition/house"
    assert "event" not in data, "Augmented AI tells only how loops end"


def test_the_same_input_under_the_same_name_is_the_same_loop(world: World, flow: FlowDefinition):
    first, began = loops.start(flow, custom(flow))
    again, begins_again = loops.start(flow, custom(flow))
    assert (began, begins_again, again) == (True, False, first)
    assert first.tasks.count() == 2


def test_another_input_under_a_taken_name_is_refused_also_after_the_end(world: World, flow: FlowDefinition):
    loop, _ = loops.start(flow, custom(flow))
    with pytest.raises(LoopNameTaken):
        loops.start(flow, custom(flow, "xyz"))
    loops.stop(loop.pk)
    with pytest.raises(LoopNameTaken):
        loops.start(flow, custom(flow, "xyz"))
    assert loops.start(flow, custom(flow)) == (loop, False)


def test_a_deleted_loop_frees_its_name(world: World, flow: FlowDefinition):
    loop, _ = loops.start(flow, custom(flow))
    loops.stop(loop.pk)
    loops.delete(loop.pk)
    new, began = loops.start(flow, custom(flow, "xyz"))
    assert began and new.arn == loop.arn


def test_names_are_apart_by_region_and_account(world: World, flow: FlowDefinition):
    abroad = made.flow(world.acme, name="abroad", region="eu-west-1")
    foreign = made.flow(world.globex, name="foreign")
    started = [loops.start(each, custom(each))[0] for each in (flow, abroad, foreign)]
    assert len({loop.arn for loop in started}) == 3


def test_the_order_of_classifiers_makes_no_other_input(flow: FlowDefinition):
    assert loops.input_digest(flow, "x", ("a", "b")) == loops.input_digest(flow, "x", ("b", "a"))
    assert loops.input_digest(flow, "x", ("a",)) != loops.input_digest(flow, "x", ())


# --- stopping ---


def test_a_loop_that_nobody_works_on_stops_at_once(world: World, flow: FlowDefinition, webhook: object):
    loop, _ = loops.start(flow, custom(flow))
    loops.stop(loop.pk)
    assert fresh(loop).status == Status.STOPPED
    assert made.states(loop) == ["closed", "closed"]
    assert queue.claim(world.reviewer) == []
    assert events() == ["human_loop.started", "human_loop.stopped"]


def test_a_held_seat_may_still_be_answered_and_then_the_loop_stops(world: World, flow: FlowDefinition):
    flow.output_path = made.output_bucket(world.acme)
    flow.save()
    loop = made.loop(flow)
    [seat] = queue.claim(world.reviewer)
    loops.stop(loop.pk)
    assert (fresh(loop).status, made.states(loop)) == (Status.STOPPING, ["claimed", "closed"])
    settlement.run_due()
    assert fresh(loop).status == Status.STOPPING

    decisions.submit(seat.pk, seat.token, world.reviewer, made.approve())
    settle_all()

    assert fresh(loop).status == Status.STOPPED
    assert fresh(loop).output_uri.endswith("/output.json"), "what was answered is written"


@pytest.mark.parametrize("how", ["lapse", "release", "skip"])
def test_a_held_seat_that_comes_back_unanswered_lets_the_loop_stop(world: World, flow: FlowDefinition, how: str):
    loop = made.loop(flow)
    [seat] = queue.claim(world.reviewer)
    loops.stop(loop.pk)
    settlement.run_due()
    if how == "lapse":
        made.lapse(seat)
        queue.sweep()
    elif how == "release":
        queue.release([(seat.pk, seat.token)], world.reviewer)
    else:
        queue.skip(seat.pk, seat.token, world.reviewer, "other")
    with later(seconds=16):
        settlement.run_due()
    assert fresh(loop).status == Status.STOPPED
    assert list(loop.tasks.filter(kind="reviewer").values_list("state", flat=True)) == ["closed", "closed"]


def test_a_finished_loop_cannot_be_stopped(world: World, flow: FlowDefinition):
    loop, _ = loops.start(flow, custom(flow))
    loops.stop(loop.pk)
    with pytest.raises(LoopFinished, match="Stopped"):
        loops.stop(loop.pk)


def test_an_answer_cannot_be_taken_back_at_a_loop_that_is_being_stopped(world: World, flow: FlowDefinition):
    loop = made.loop(flow)
    [seat] = queue.claim(world.reviewer)
    decision = decisions.submit(seat.pk, seat.token, world.reviewer, made.approve())
    loops.stop(loop.pk)
    with pytest.raises(decisions.UndoRefused):
        decisions.undo(decision.pk, world.reviewer)


# --- who decides then ---


def test_an_item_in_review_whose_loop_was_stopped_waits_for_a_lead(world: World, flow: FlowDefinition):
    loop = made.loop(flow)
    loops.stop(loop.pk)
    assert queue.claim(world.reviewer) == []
    [seat] = queue.claim(world.lead)
    decisions.submit(seat.pk, seat.token, world.lead, made.reject("Weapons"))
    settle_all()
    submission = Submission.objects.get()
    assert submission.status == Submission.Status.REJECTED
    assert fresh(loop).status == Status.STOPPED and fresh(loop).settled_at


def test_no_lead_is_called_where_nobody_waits_for_the_answer(world: World, flow: FlowDefinition):
    made.considered(world.acme, {"Weapons": 85}, request=made.request(flow), source=Submission.Source.AWS)
    loop = HumanLoop.objects.get()
    loops.stop(loop.pk)
    assert not loop.tasks.filter(kind=ReviewTask.Kind.LEAD).exists()


def test_no_lead_is_called_while_another_loop_is_on_the_way(world: World, flow: FlowDefinition):
    loop = made.loop(flow)
    other = made.flow(world.acme, name="other")
    second, _ = loops.start(other, custom(other))
    HumanLoop.objects.filter(pk=second.pk).update(submission=loop.submission)
    loops.stop(loop.pk)
    assert not loop.tasks.filter(kind=ReviewTask.Kind.LEAD).exists()
    loops.stop(second.pk)
    assert second.tasks.filter(kind=ReviewTask.Kind.LEAD).exists(), "the last one to go calls a lead"


# --- failing ---


def test_a_failed_loop_tells_why_in_augmented_ais_words(world: World, flow: FlowDefinition, webhook: object):
    loop = made.loop(flow)
    assert loops.fail(loop.pk, "Broken", "It broke.")
    assert not loops.fail(loop.pk, "Broken", "It broke.")
    data = told("human_loop.failed")
    assert (data["failure_code"], data["failure_reason"]) == ("Broken", "It broke.")
    event = data["event"]
    assert event["detail-type"] == "SageMaker A2I HumanLoop Status Change"
    assert event["resources"] == [loop.arn]
    detail = event["detail"]
    assert detail["humanLoopStatus"] == "Failed"
    assert detail["humanLoopOutput"] is None
    assert detail["creationTime"] == loop.created_at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{loop.created_at:%f}"[:3] + "Z"


def test_an_output_bucket_that_is_not_there_fails_the_loop_in_the_end_but_not_the_verdict(
    world: World, flow: FlowDefinition
):
    flow.output_path = "s3://missing/out"
    flow.save()
    loop = made.loop(flow)
    for who in (world.reviewer, world.reviewer2):
        answer(who)
    settle_all()
    assert (fresh(loop).status, bool(fresh(loop).settled_at)) == (Status.IN_PROGRESS, True)
    assert Submission.objects.get().status == Submission.Status.APPROVED

    OutboxMessage.objects.filter(kind="review").update(attempts=50, not_before=timezone.now())
    settle_all()
    assert (fresh(loop).status, fresh(loop).failure_code) == (Status.FAILED, loops.OUTPUT_FAILED)
    assert "missing" in fresh(loop).failure_reason
    assert not loop.tasks.filter(kind=ReviewTask.Kind.LEAD).exists()


def test_an_output_bucket_that_comes_back_completes_the_loop(world: World, flow: FlowDefinition):
    flow.output_path = "s3://late/out"
    flow.save()
    loop = made.loop(flow)
    for who in (world.reviewer, world.reviewer2):
        answer(who)
    settle_all()
    made.output_bucket(world.acme, "late")
    with later(minutes=5):
        settlement.run_due()
    assert fresh(loop).status == Status.COMPLETED
    assert Submission.objects.get().verdicts.filter(source="human").count() == 1


# --- the end ---


def test_completion_is_announced_once_with_the_output(world: World, flow: FlowDefinition, webhook: object):
    flow.output_path = made.output_bucket(world.acme)
    flow.save()
    loop = made.loop(flow)
    for who in (world.reviewer, world.reviewer2):
        answer(who)
    settle_all()
    settle_all()
    assert events() == ["human_loop.started", "human_loop.completed"]
    data = told("human_loop.completed")
    assert data["output_uri"] == fresh(loop).output_uri == data["event"]["detail"]["humanLoopOutput"]["outputS3Uri"]
    [verdict] = OutboxMessage.objects.filter(event="submission.approved", payload__data__verdict__source="human")
    assert verdict.payload["data"]["submission"] == str(loop.submission_id)


def test_only_a_finished_loop_can_be_deleted_and_then_it_is_out_of_sight(world: World, flow: FlowDefinition):
    loop, _ = loops.start(flow, custom(flow))
    with pytest.raises(LoopRunning):
        loops.delete(loop.pk)
    loops.stop(loop.pk)
    loops.delete(loop.pk)
    assert HumanLoop.objects.named(world.acme, "us-east-1", "task-1") is None
