"""Answers: what is taken, what is refused, what is kept, what can be taken back, and when all of it stands."""

import uuid
from datetime import timedelta

import pytest
import time_machine
from django.db import transaction
from django.utils import timezone

from moderation.models import OutboxMessage, Submission, User, Verdict
from reviews import decisions, loops, queue, settlement
from reviews.decisions import Answer, AnswerIdTaken, AnswerInvalid, AnswerTooLate, SeatNotFound, UndoRefused
from reviews.models import Decision, FlowDefinition, GroundTruth, HumanLoop, ReviewTask, UnsentAnswer
from tests.reviews import loop_world as made
from tests.world import World

# The code under test opens transactions of its own and keeps what was typed outside of them.
pytestmark = pytest.mark.django_db
COMPLETED, IN_PROGRESS = HumanLoop.Status.COMPLETED, HumanLoop.Status.IN_PROGRESS


@pytest.fixture
def flow(world: World) -> FlowDefinition:
    return made.flow(world.acme, (world.reviewer, world.reviewer2, world.reviewer3, world.lead))


def later(**more: float) -> time_machine.travel:
    return time_machine.travel(timezone.now() + timedelta(**more), tick=True)


def claimed(reviewer: User) -> ReviewTask:
    [seat] = queue.claim(reviewer)
    return seat


def submit(reviewer: User, answer: Answer) -> Decision:
    seat = claimed(reviewer)
    return decisions.submit(seat.pk, seat.token, reviewer, answer)


def settle_all(after: float = 61) -> None:
    with later(seconds=after):
        settlement.run_due()


def fresh(loop: HumanLoop) -> HumanLoop:
    return HumanLoop.objects.select_related("submission").get(pk=loop.pk)


# --- one answer ---


def test_an_answer_is_written_with_what_was_asked(world: World, flow: FlowDefinition):
    made.loop(flow, {"Weapons": 85, "Smoking": 60})
    seat = claimed(world.reviewer)
    answer = made.reject("Weapons", comment="a rifle", seconds=0.5)
    with later(seconds=2):
        decision = decisions.submit(seat.pk, seat.token, world.reviewer, answer)

    assert decision.pk == answer.id
    assert (decision.outcome, decision.labels, decision.comment) == ("reject", ["Weapons"], "a rifle")
    assert (decision.task, decision.token, decision.seconds_spent) == (seat, seat.token, 0.5)
    assert decision.accepted_at == seat.claimed_at
    assert {"Explicit", "Violence", "Drugs & Tobacco", "Weapons", "Smoking"} <= set(decision.judged)
    assert "Pills" not in decision.judged
    seat.refresh_from_db()
    assert seat.state == ReviewTask.State.ANSWERED and seat.answered_at == decision.submitted_at


def test_labels_are_kept_once_and_in_taxonomy_order(world: World, flow: FlowDefinition):
    made.loop(flow)
    decision = submit(world.reviewer, made.reject("Weapons", "Explicit", "Weapons"))
    assert decision.labels == ["Explicit", "Weapons"]


def test_approving_may_name_labels_that_are_there_and_allowed(world: World, flow: FlowDefinition):
    made.loop(flow)
    submit(world.reviewer, made.approve("Weapons"))
    settle_all()
    truth = GroundTruth.objects.get()
    assert (truth.outcome, truth.present) == ("approve", ["Violence", "Weapons"])


def test_nobody_spends_longer_on_an_item_than_they_hold_it(world: World, flow: FlowDefinition):
    made.loop(flow)
    assert submit(world.reviewer, made.approve(seconds=9999)).seconds_spent < 60


@pytest.mark.parametrize(
    ("answer", "field", "words"),
    [
        (Answer(uuid.uuid4(), "maybe"), "outcome", "approve or reject"),
        (made.reject("Rifle"), "labels", "'Rifle'"),
        (made.reject("weapons"), "labels", "'weapons'"),
        (made.reject(), "labels", "at least one label"),
        (made.reject(comment="  \n"), "labels", "comment"),
        (made.approve(comment="x" * 2001), "comment", "2000"),
        (made.approve(comment="a\0b"), "comment", "NUL"),
        (made.approve(comment="a\ud800b"), "comment", "surrogates"),
        (made.approve(seconds=float("nan")), "seconds", "from 0 up"),
        (made.approve(seconds=-1), "seconds", "from 0 up"),
        (made.approve(answer={"free": "form"}), "answer", "custom"),
    ],
)
def test_an_answer_that_cannot_be_taken_names_its_field(
    world: World, flow: FlowDefinition, answer: Answer, field: str, words: str
):
    made.loop(flow)
    seat = claimed(world.reviewer)
    with pytest.raises(AnswerInvalid, match=words) as caught:
        decisions.submit(seat.pk, seat.token, world.reviewer, answer)
    assert caught.value.field == field
    assert claimed(world.reviewer) == seat, "still held"
    assert not Decision.objects.exists() and not UnsentAnswer.objects.exists()


def test_a_rejection_without_labels_says_nothing_of_them(world: World, flow: FlowDefinition):
    made.loop(flow)
    submit(world.reviewer, made.reject(comment="a scam"))
    settle_all()
    truth = GroundTruth.objects.get()
    assert (truth.outcome, truth.present, truth.absent) == ("reject", [], [])


def test_an_item_of_another_account_or_team_is_not_there(world: World, flow: FlowDefinition):
    made.loop(flow)
    seat = claimed(world.reviewer)
    for stranger in (world.outsider, world.uploader):
        with pytest.raises(SeatNotFound):
            decisions.submit(seat.pk, seat.token, stranger, made.approve())
    with pytest.raises(SeatNotFound):
        decisions.submit(seat.pk + 1, 1, world.reviewer, made.approve())


# --- twice, and too late ---


def test_the_same_answer_again_is_one_answer(world: World, flow: FlowDefinition):
    made.loop(flow)
    seat = claimed(world.reviewer)
    answer = made.approve()
    first = decisions.submit(seat.pk, seat.token, world.reviewer, answer)
    assert decisions.submit(seat.pk, seat.token, world.reviewer, answer) == first
    assert Decision.objects.count() == 1
    assert OutboxMessage.objects.filter(kind="review").count() == 1


def test_the_id_of_another_answer_is_refused(world: World, flow: FlowDefinition):
    made.loop(flow), made.loop(flow)
    answer = made.approve()
    submit(world.reviewer, answer)
    seat = claimed(world.reviewer2)
    with pytest.raises(AnswerIdTaken):
        decisions.submit(seat.pk, seat.token, world.reviewer2, answer)


def test_a_late_answer_is_refused_and_kept_for_its_author(world: World, flow: FlowDefinition):
    loop = made.loop(flow)
    seat = claimed(world.reviewer)
    made.lapse(seat)
    queue.sweep()
    taken = claimed(world.reviewer2)
    late = made.reject("Weapons", comment="typed for ten minutes", seconds=600)

    with pytest.raises(AnswerTooLate, match="open to others") as caught:
        decisions.submit(seat.pk, seat.token, world.reviewer, late)

    kept = UnsentAnswer.objects.get(loop=loop, reviewer=world.reviewer)
    assert caught.value.kept == kept
    assert (kept.outcome, kept.labels, kept.comment) == ("reject", ["Weapons"], "typed for ten minutes")
    assert not Decision.objects.exists()
    taken.refresh_from_db()
    assert (taken.state, taken.reviewer) == (ReviewTask.State.CLAIMED, world.reviewer2)


def test_a_late_answer_is_kept_even_before_anyone_took_the_seat(world: World, flow: FlowDefinition):
    made.loop(flow)
    seat = claimed(world.reviewer)
    made.lapse(seat)
    queue.sweep()
    for _ in range(2):
        with pytest.raises(AnswerTooLate):
            decisions.submit(seat.pk, seat.token, world.reviewer, made.approve())
    assert UnsentAnswer.objects.count() == 1, "one per person and item"


def test_what_was_kept_goes_once_the_item_is_answered(world: World, flow: FlowDefinition):
    made.loop(flow)
    seat = claimed(world.reviewer)
    made.lapse(seat)
    queue.sweep()
    with pytest.raises(AnswerTooLate):
        decisions.submit(seat.pk, seat.token, world.reviewer, made.approve())
    submit(world.reviewer, made.approve())
    assert not UnsentAnswer.objects.exists()


def test_the_second_of_two_tabs_is_told_and_loses_nothing(world: World, flow: FlowDefinition):
    made.loop(flow)
    seat = claimed(world.reviewer)
    decisions.submit(seat.pk, seat.token, world.reviewer, made.approve())
    with pytest.raises(AnswerTooLate, match="answered this item already") as caught:
        decisions.submit(seat.pk, seat.token, world.reviewer, made.reject("Weapons"))
    assert caught.value.kept.labels == ["Weapons"]
    assert Decision.objects.get().outcome == "approve"


def test_an_answer_in_time_counts_although_its_lease_lapsed_unnoticed(world: World, flow: FlowDefinition):
    made.loop(flow)
    seat = claimed(world.reviewer)
    made.lapse(seat)
    decisions.submit(seat.pk, seat.token, world.reviewer, made.approve())
    assert queue.sweep() == 0


# --- after the last answer ---


def test_nothing_happens_before_the_grace_is_over(world: World, flow: FlowDefinition):
    loop = made.loop(flow)
    submit(world.reviewer, made.reject("Weapons"))
    settle_all(after=58)
    assert (fresh(loop).status, fresh(loop).settled_at) == (IN_PROGRESS, None)
    assert loop.submission and loop.submission.status == Submission.Status.IN_REVIEW
    settle_all()
    assert fresh(loop).status == COMPLETED


def test_one_answer_settles_verdict_ground_truth_and_loop(world: World, flow: FlowDefinition):
    loop = made.loop(flow, {"Weapons": 85})
    submit(world.reviewer, made.reject("Weapons"))
    settle_all()
    done = fresh(loop)
    assert (done.status, bool(done.completed_at), bool(done.settled_at)) == (COMPLETED, True, True)
    assert done.submission and done.submission.status == Submission.Status.REJECTED
    verdict = done.submission.latest_verdict()
    assert verdict and (verdict.source, verdict.outcome) == (Verdict.Source.HUMAN, "reject")
    assert verdict.because == [{"label": "Violence"}, {"label": "Weapons"}]
    assert verdict.decided_by == world.reviewer
    assert GroundTruth.objects.get().present == ["Violence", "Weapons"]


def test_the_majority_decides(world: World, flow: FlowDefinition):
    flow.task_count = 3
    flow.save()
    loop = made.loop(flow)
    for who, answer in (
        (world.reviewer, made.reject("Weapons")),
        (world.reviewer2, made.approve()),
        (world.reviewer3, made.reject("Weapons", "Smoking")),
    ):
        submit(who, answer)
        assert fresh(loop).status == IN_PROGRESS
    settle_all()
    assert fresh(loop).status == COMPLETED
    truth = GroundTruth.objects.get()
    assert (truth.outcome, truth.present, truth.by_lead) == ("reject", ["Violence", "Weapons"], False)
    assert {"Smoking", "Drugs & Tobacco"} <= set(truth.absent)
    verdict = fresh(loop).submission.latest_verdict()  # type: ignore[union-attr]
    assert verdict and verdict.decided_by is None, "it was nobody's word alone"


def test_a_tie_completes_the_loop_and_leaves_the_verdict_to_a_lead(world: World, flow: FlowDefinition):
    flow.task_count = 2
    flow.save()
    loop = made.loop(flow)
    submit(world.reviewer, made.reject("Weapons"))
    submit(world.reviewer2, made.approve())
    settle_all()
    assert (fresh(loop).status, fresh(loop).settled_at) == (COMPLETED, None)
    assert loop.submission and fresh(loop).submission.status == Submission.Status.IN_REVIEW  # type: ignore[union-attr]
    assert queue.claim(world.reviewer3) == [], "a reviewer cannot break the tie"

    submit(world.lead, made.reject("Gambling"))
    settle_all()

    truth = GroundTruth.objects.get()
    assert (truth.outcome, truth.present, truth.by_lead) == ("reject", ["Gambling"], True)
    assert {"Weapons", "Violence"} <= set(truth.absent)
    verdict = fresh(loop).submission.latest_verdict()  # type: ignore[union-attr]
    assert verdict and verdict.decided_by == world.lead
    assert truth.decisions.count() == 3
    assert fresh(loop).tasks.filter(kind=ReviewTask.Kind.LEAD).count() == 1


def test_an_audit_moves_the_status_only_once_people_have_answered(world: World, flow: FlowDefinition):
    request = made.request(flow)
    analysis, review = made.considered(world.acme, {"Weapons": 85}, request=request, source=Submission.Source.AWS)
    assert review.opened
    analysis.submission.refresh_from_db()
    assert analysis.submission.status == Submission.Status.APPROVED
    submit(world.reviewer, made.reject("Weapons"))
    settle_all()
    analysis.submission.refresh_from_db()
    assert analysis.submission.status == Submission.Status.REJECTED


def test_settling_twice_changes_nothing(world: World, flow: FlowDefinition):
    loop = made.loop(flow)
    submit(world.reviewer, made.approve())
    settle_all()
    with later(seconds=61):
        for _ in range(3):
            assert settlement.settle(loop.pk) is None
    assert GroundTruth.objects.count() == 1
    assert Verdict.objects.filter(source="human").count() == 1


def test_an_answer_that_comes_in_while_the_loop_is_settled_has_its_grace_too(world: World, flow: FlowDefinition):
    loop = made.loop(flow)
    submit(world.reviewer, made.approve())
    settlement._decide(loop.pk)  # a run that had looked for answers just before this one
    assert fresh(loop).settled_at is None


def test_a_message_that_comes_early_comes_again(world: World, flow: FlowDefinition):
    loop = made.loop(flow)
    decision = submit(world.reviewer, made.approve())
    OutboxMessage.objects.filter(kind="review").update(not_before=timezone.now(), attempts=3)
    settlement.run_due()
    message = OutboxMessage.objects.get(kind="review")
    assert message.status == OutboxMessage.Status.WAITING and message.attempts == 0
    assert message.not_before == decision.submitted_at + timedelta(seconds=60)
    settle_all()
    assert fresh(loop).status == COMPLETED


# --- undo ---


def test_undo_gives_the_seat_back_to_its_person_and_stops_all_effects(world: World, flow: FlowDefinition):
    loop = made.loop(flow)
    decision = submit(world.reviewer, made.reject("Weapons"))

    seat = decisions.undo(decision.pk, world.reviewer)

    assert (seat.state, seat.reviewer, seat.token) == (ReviewTask.State.CLAIMED, world.reviewer, 2)
    assert queue.claim(world.reviewer) == [seat]
    settle_all()
    assert fresh(loop).status == IN_PROGRESS
    assert OutboxMessage.objects.get(kind="review").status == OutboxMessage.Status.CANCELLED
    withdrawal = Decision.objects.get(supersedes=decision)
    assert withdrawal.withdrawn and withdrawal.outcome == ""

    decisions.submit(seat.pk, seat.token, world.reviewer, made.approve())
    settle_all()
    assert GroundTruth.objects.get().outcome == "approve"
    assert [each.outcome for each in GroundTruth.objects.get().decisions.all()] == ["approve"]


def test_an_answer_under_the_token_before_the_undo_is_too_late(world: World, flow: FlowDefinition):
    made.loop(flow)
    seat = claimed(world.reviewer)
    decision = decisions.submit(seat.pk, seat.token, world.reviewer, made.approve())
    decisions.undo(decision.pk, world.reviewer)
    with pytest.raises(AnswerTooLate):
        decisions.submit(seat.pk, seat.token, world.reviewer, made.approve())


def test_the_undone_answer_sent_again_by_a_slow_browser_stays_undone(world: World, flow: FlowDefinition):
    made.loop(flow)
    seat = claimed(world.reviewer)
    answer = made.approve()
    decision = decisions.submit(seat.pk, seat.token, world.reviewer, answer)
    decisions.undo(decision.pk, world.reviewer)
    assert decisions.submit(seat.pk, seat.token, world.reviewer, answer) == decision
    seat.refresh_from_db()
    assert seat.state == ReviewTask.State.CLAIMED


def test_undone_twice_is_undone_once(world: World, flow: FlowDefinition):
    made.loop(flow)
    decision = submit(world.reviewer, made.approve())
    first = decisions.undo(decision.pk, world.reviewer)
    assert decisions.undo(decision.pk, world.reviewer).token == first.token
    queue.release([(first.pk, first.token)], world.reviewer)
    with pytest.raises(UndoRefused, match="before"):
        decisions.undo(decision.pk, world.reviewer)


def test_undo_is_refused_after_the_grace(world: World, flow: FlowDefinition):
    made.loop(flow)
    decision = submit(world.reviewer, made.approve())
    with later(seconds=60), pytest.raises(UndoRefused, match="60 seconds"):
        decisions.undo(decision.pk, world.reviewer)


def test_undo_is_refused_once_the_loop_has_ended_whatever_the_clocks_say(world: World, flow: FlowDefinition):
    made.loop(flow)
    decision = submit(world.reviewer, made.approve())
    settle_all()
    with pytest.raises(UndoRefused):
        decisions.undo(decision.pk, world.reviewer)


def test_nobody_undoes_the_answer_of_another(world: World, flow: FlowDefinition):
    made.loop(flow)
    decision = submit(world.reviewer, made.approve())
    for stranger in (world.reviewer2, world.lead, world.outsider):
        with pytest.raises(SeatNotFound):
            decisions.undo(decision.pk, stranger)


def test_a_lead_may_undo_too(world: World, flow: FlowDefinition):
    flow.task_count = 2
    flow.save()
    loop = made.loop(flow)
    submit(world.reviewer, made.reject("Weapons"))
    submit(world.reviewer2, made.approve())
    settle_all()
    decision = submit(world.lead, made.approve())
    seat = decisions.undo(decision.pk, world.lead)
    settle_all()
    assert fresh(loop).settled_at is None
    decisions.submit(seat.pk, seat.token, world.lead, made.reject("Weapons"))
    settle_all()
    assert GroundTruth.objects.get().outcome == "reject"


# --- custom tasks ---


def custom_loop(world: World) -> HumanLoop:
    flow = made.flow(world.acme, (world.reviewer,), name="custom", request_source="")
    what = loops.LoopInput("free-form", loops.input_digest(flow, "abc", ()), {"question": "Is it a cat?"})
    return loops.start(flow, what)[0]


def test_a_custom_task_takes_any_json_and_gives_no_verdict(world: World):
    loop = custom_loop(world)
    submit(world.reviewer, Answer(uuid.uuid4(), answer={"cat": True}))
    settle_all()
    assert fresh(loop).status == COMPLETED
    assert Decision.objects.get().answer == {"cat": True}
    assert not GroundTruth.objects.exists()


@pytest.mark.parametrize("answer", [None, float("nan"), {"a": "\0"}, ["\ud800"], {"x": "y" * 1_048_577}, object()])
def test_a_custom_answer_is_json_that_the_database_can_keep(world: World, answer: object):
    custom_loop(world)
    seat = claimed(world.reviewer)
    with pytest.raises(AnswerInvalid) as caught:
        decisions.submit(seat.pk, seat.token, world.reviewer, Answer(uuid.uuid4(), answer=answer))
    assert caught.value.field == "answer"


def test_decisions_cannot_be_changed(world: World, flow: FlowDefinition):
    made.loop(flow)
    decision = submit(world.reviewer, made.approve())
    with pytest.raises(Exception, match="append_only"), transaction.atomic():
        Decision.objects.filter(pk=decision.pk).update(outcome="reject")
