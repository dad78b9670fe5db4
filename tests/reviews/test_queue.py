"""Claims, leases, heartbeats, skips and the sweep, one person at a time; test_queue_load.py has the crowd."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from moderation.models import User
from reviews import decisions, loops, queue
from reviews.models import ClaimCursor, FlowDefinition, HumanLoop, Refusal, ReviewTask
from reviews.queue import LeaseLost
from tests.reviews import loop_world as made
from tests.world import World, person

pytestmark = pytest.mark.django_db
CLAIMED, OPEN, CLOSED = ReviewTask.State.CLAIMED, ReviewTask.State.OPEN, ReviewTask.State.CLOSED


@pytest.fixture
def flow(world: World) -> FlowDefinition:
    return made.flow(world.acme, (world.reviewer, world.reviewer2, world.lead))


def later(**more: float) -> time_machine.travel:
    return time_machine.travel(timezone.now() + timedelta(**more), tick=True)


def test_a_claim_takes_the_seat_that_is_due_first_under_a_lease_and_a_new_token(world: World, flow: FlowDefinition):
    first, second = made.loop(flow), made.loop(flow)
    ReviewTask.objects.filter(loop=second).update(due_at=timezone.now())

    [seat] = queue.claim(world.reviewer)

    assert (seat.loop, seat.reviewer, seat.state, seat.token) == (second, world.reviewer, CLAIMED, 1)
    assert seat.lease_expires_at and timedelta(seconds=598) < seat.lease_expires_at - timezone.now()
    [other] = queue.claim(world.reviewer2)
    assert other.loop == first


def test_priority_goes_before_due_date(world: World, flow: FlowDefinition):
    made.loop(flow)
    urgent = made.loop(flow)
    ReviewTask.objects.filter(loop=urgent).update(priority=5)
    [seat] = queue.claim(world.reviewer)
    assert seat.loop == urgent


def test_what_a_person_holds_comes_first_under_its_token(world: World, flow: FlowDefinition):
    for _ in range(4):
        made.loop(flow)
    one = queue.claim(world.reviewer)
    again = queue.claim(world.reviewer, 3)
    assert again[0] == one[0] and again[0].token == one[0].token
    assert len(again) == 3
    assert queue.claim(world.reviewer, 3) == again
    assert queue.claim(world.reviewer, 1) == again, "nothing that is held is hidden"


def test_the_item_last_looked_at_is_the_first_after_a_reload(world: World, flow: FlowDefinition):
    for _ in range(3):
        made.loop(flow)
    first, second, third = queue.claim(world.reviewer, 3)
    queue.look(second.pk, second.token, world.reviewer)
    assert queue.claim(world.reviewer, 3) == [second, first, third]


def test_several_seats_of_one_loop_go_to_several_people(world: World):
    flow = made.flow(world.acme, (world.reviewer, world.reviewer2), task_count=3)
    loop, other = made.loop(flow), made.loop(flow)
    seats = queue.claim(world.reviewer, 3)
    assert [seat.loop for seat in seats] == [loop, other]
    assert [seat.loop for seat in queue.claim(world.reviewer2, 3)] == [loop, other]
    assert sorted(made.states(loop)) == [CLAIMED, CLAIMED, OPEN]


def test_nobody_meets_an_item_again_that_they_answered(world: World):
    flow = made.flow(world.acme, (world.reviewer,), task_count=2)
    made.loop(flow)
    [seat] = queue.claim(world.reviewer)
    decisions.submit(seat.pk, seat.token, world.reviewer, made.approve())
    assert queue.claim(world.reviewer, 3) == []


def test_only_members_of_the_flows_team_get_its_seats(world: World, flow: FlowDefinition):
    made.loop(flow)
    assert queue.claim(world.reviewer3) == []
    assert queue.claim(world.outsider) == []


def test_teams_that_share_a_queue_see_only_their_own_flows(world: World):
    ours = made.flow(world.acme, (world.reviewer,), name="ours")
    theirs = made.flow(world.acme, (world.reviewer2,), name="theirs")
    made.loop(ours), made.loop(theirs)
    assert [seat.loop.flow for seat in queue.claim(world.reviewer2, 3)] == [theirs]


def test_an_account_lends_no_people_to_another(world: World):
    flow = made.flow(world.acme, (world.outsider,))
    made.loop(flow)
    assert queue.claim(world.outsider) == []


def test_a_paused_queue_gives_nothing_out_but_what_is_held_stays(world: World, flow: FlowDefinition):
    made.loop(flow), made.loop(flow)
    [held] = queue.claim(world.reviewer)
    flow.queue.is_paused = True
    flow.queue.save()
    assert queue.claim(world.reviewer, 3) == [held]
    assert queue.claim(world.reviewer2) == []


def test_a_queue_asks_for_all_its_skills(world: World, flow: FlowDefinition):
    flow.queue.skills = ["german", "medical"]
    flow.queue.save()
    made.loop(flow)
    world.reviewer.skills.create(name="german")
    assert queue.claim(world.reviewer) == []
    world.reviewer.skills.create(name="medical")
    assert len(queue.claim(world.reviewer)) == 1


def test_queues_go_by_priority_and_one_can_be_chosen(world: World):
    calm = made.flow(world.acme, (world.reviewer,), name="calm", line="calm")
    hot = made.flow(world.acme, (world.reviewer,), name="hot", line="hot")
    made.loop(calm), made.loop(hot)
    hot.queue.priority = 3
    hot.queue.save()
    assert [seat.loop.flow for seat in queue.claim(world.reviewer, 2)] == [hot, calm]
    queue.release([(seat.pk, seat.token) for seat in ReviewTask.objects.all()], world.reviewer)
    assert [seat.loop.flow for seat in queue.claim(world.reviewer, 2, calm.queue)] == [calm]


def test_a_leads_seat_is_for_leads_and_admins_of_the_team(world: World, flow: FlowDefinition):
    loop = made.loop(flow)
    ReviewTask.objects.filter(loop=loop).update(kind=ReviewTask.Kind.LEAD)
    assert queue.claim(world.reviewer) == []
    assert queue.claim(world.admin) == [], "not in the team"
    assert len(queue.claim(world.lead)) == 1


def test_between_one_and_24_seats_may_be_asked_for(world: World):
    for n in (0, 25, -1):
        with pytest.raises(ValueError, match="between 1 and 24"):
            queue.claim(world.reviewer, n)


# --- leases ---


def test_a_heartbeat_renews_the_lease(world: World, flow: FlowDefinition):
    made.loop(flow)
    [seat] = queue.claim(world.reviewer)
    with later(minutes=9):
        ends = queue.heartbeat(seat.pk, seat.token, world.reviewer)
        queue.sweep()
        assert ends > timezone.now() + timedelta(minutes=9)
    with later(minutes=15):
        assert queue.sweep() == 0, "renewed"
    seat.refresh_from_db()
    assert (seat.state, seat.lease_expires_at) == (CLAIMED, ends)


@pytest.mark.parametrize("wrong", ["token", "person", "seat"])
def test_a_heartbeat_needs_the_seat_its_token_and_its_holder(world: World, flow: FlowDefinition, wrong: str):
    made.loop(flow)
    [seat] = queue.claim(world.reviewer)
    pk, token, who = seat.pk, seat.token, world.reviewer
    if wrong == "token":
        token += 1
    elif wrong == "person":
        who = world.reviewer2
    else:
        pk += 1
    with pytest.raises(LeaseLost):
        queue.heartbeat(pk, token, who)


def test_no_heartbeat_goes_beyond_the_task_time_limit(world: World, flow: FlowDefinition):
    flow.task_time_limit_seconds = 700
    flow.save()
    made.loop(flow)
    [seat] = queue.claim(world.reviewer)
    with later(seconds=500):
        ends = queue.look(seat.pk, seat.token, world.reviewer)
    with later(seconds=900):
        # The limit counts from the first look, at 500 s.
        assert timedelta(seconds=290) < queue.heartbeat(seat.pk, seat.token, world.reviewer) - timezone.now()
    assert ends
    with later(seconds=1201), pytest.raises(LeaseLost):
        queue.heartbeat(seat.pk, seat.token, world.reviewer)
    with later(seconds=1201):
        assert queue.sweep() == 1


def test_a_lapsed_seat_is_open_to_others_and_its_old_token_is_worth_nothing(world: World, flow: FlowDefinition):
    made.loop(flow)
    [seat] = queue.claim(world.reviewer)
    assert queue.claim(world.reviewer2) == []
    made.lapse(seat)
    assert queue.sweep() == 1
    [taken] = queue.claim(world.reviewer2)
    assert (taken.pk, taken.token) == (seat.pk, seat.token + 1)
    with pytest.raises(LeaseLost):
        queue.heartbeat(seat.pk, seat.token, world.reviewer)


def test_who_lost_a_seat_may_claim_it_again(world: World, flow: FlowDefinition):
    made.loop(flow)
    [seat] = queue.claim(world.reviewer)
    made.lapse(seat)
    queue.sweep()
    [again] = queue.claim(world.reviewer)
    assert (again.pk, again.token) == (seat.pk, 2)


def test_a_released_seat_is_open_at_once(world: World, flow: FlowDefinition):
    made.loop(flow)
    [seat] = queue.claim(world.reviewer)
    assert queue.release([(seat.pk, seat.token + 1), (seat.pk, seat.token), (99, 1)], world.reviewer) == 1
    assert queue.claim(world.reviewer2) == [seat]


# --- skips ---


def test_a_skip_gives_back_and_is_never_offered_again(world: World, flow: FlowDefinition):
    loop = made.loop(flow)
    [seat] = queue.claim(world.reviewer)
    queue.skip(seat.pk, seat.token, world.reviewer, "affects_me")
    assert queue.claim(world.reviewer) == []
    assert queue.claim(world.reviewer2) == [seat]
    refusal = Refusal.objects.get()
    assert (refusal.loop, refusal.reviewer, refusal.reason) == (loop, world.reviewer, Refusal.Reason.AFFECTS_ME)


def test_a_skip_needs_the_seat_and_a_known_reason(world: World, flow: FlowDefinition):
    made.loop(flow)
    [seat] = queue.claim(world.reviewer)
    with pytest.raises(ValueError, match="boring"):
        queue.skip(seat.pk, seat.token, world.reviewer, "boring")
    with pytest.raises(LeaseLost):
        queue.skip(seat.pk, seat.token + 1, world.reviewer, "other")
    assert not Refusal.objects.exists()
    assert made.states(seat.loop) == [CLAIMED]


# --- the cursor ---


def claimed_loops(reviewer: User, n: int = 1) -> list[HumanLoop]:
    return [seat.loop for seat in queue.claim(reviewer, n)]


def answer_all(reviewer: User, n: int = 1) -> None:
    for seat in queue.claim(reviewer, n):
        decisions.submit(seat.pk, seat.token, reviewer, made.approve())


def test_the_cursor_moves_on_and_starts_anew_when_it_runs_dry(world: World):
    flow = made.flow(world.acme, (world.reviewer, world.reviewer2), task_count=2)
    loops_ = [made.loop(flow) for _ in range(3)]
    answer_all(world.reviewer)
    answer_all(world.reviewer)
    cursor = ClaimCursor.objects.get()
    assert ReviewTask.objects.get(pk=cursor.task_id).loop == loops_[1]
    answer_all(world.reviewer)
    assert claimed_loops(world.reviewer) == []
    assert not ClaimCursor.objects.exists(), "dry: the next claim begins at the front"


def test_a_seat_reopened_behind_the_cursor_is_seen_by_the_next_claim(world: World):
    flow = made.flow(world.acme, (world.reviewer, world.reviewer2))
    first = made.loop(flow)
    for _ in range(4):
        made.loop(flow)
    [held] = queue.claim(world.reviewer2)
    assert held.loop == first
    answer_all(world.reviewer, 2)
    [ahead] = queue.claim(world.reviewer)
    queue.skip(held.pk, held.token, world.reviewer2, "other")
    queue.release([(ahead.pk, ahead.token)], world.reviewer)
    assert claimed_loops(world.reviewer) == [first]


def test_an_urgent_newcomer_behind_the_cursor_is_seen_by_the_next_claim(world: World):
    flow = made.flow(world.acme, (world.reviewer,))
    for _ in range(3):
        made.loop(flow)
    answer_all(world.reviewer)
    flow.task_availability_lifetime_seconds = 60  # due before all that wait
    flow.save()
    urgent = made.loop(flow)
    assert claimed_loops(world.reviewer) == [urgent]


def test_a_cursor_left_too_far_ahead_by_a_race_starts_anew_before_long(world: World):
    flow = made.flow(world.acme, (world.reviewer,))
    first = made.loop(flow)
    for _ in range(3):
        made.loop(flow)
    last = ReviewTask.objects.last()
    assert last
    ClaimCursor.objects.create(
        reviewer=world.reviewer, queue=flow.queue, priority=last.priority, due_at=last.due_at, task_id=last.pk
    )
    assert claimed_loops(world.reviewer) == [last.loop]
    with later(seconds=queue.CURSOR_SECONDS + 1):
        assert claimed_loops(world.reviewer, 2)[1] == first


# --- the sweep and the loop's lifetime ---


def test_a_loop_whose_time_is_over_fails_and_says_why(world: World):
    flow = made.flow(world.acme, (world.reviewer, world.reviewer2), task_count=2)
    loop = made.loop(flow)
    answer_all(world.reviewer)
    with later(days=11):
        assert queue.claim(world.reviewer2) == [], "also before the sweep"
        queue.sweep()
    loop.refresh_from_db()
    assert (loop.status, loop.failure_code) == (HumanLoop.Status.FAILED, loops.LIFETIME_OVER)
    assert "1 of 2 answers" in loop.failure_reason


def test_who_holds_a_seat_when_the_time_is_over_may_finish(world: World, flow: FlowDefinition):
    flow.task_availability_lifetime_seconds = 300
    flow.save()
    loop = made.loop(flow)
    [seat] = queue.claim(world.reviewer)
    with later(seconds=301):
        queue.sweep()
        loop.refresh_from_db()
        assert loop.status == HumanLoop.Status.IN_PROGRESS
        decisions.submit(seat.pk, seat.token, world.reviewer, made.approve())
        queue.sweep()
    loop.refresh_from_db()
    assert loop.status == HumanLoop.Status.IN_PROGRESS, "its answer is in; the undo grace is still on"


def test_an_item_in_review_whose_loop_failed_goes_to_a_lead_and_waits_there(world: World, flow: FlowDefinition):
    loop = made.loop(flow)
    with later(days=11):
        queue.sweep()
        assert queue.claim(world.reviewer) == []
        [seat] = queue.claim(world.lead)
    assert (seat.loop, seat.kind) == (loop, ReviewTask.Kind.LEAD)
    assert made.states(loop) == [CLOSED, CLAIMED]


def test_a_seat_given_back_at_a_loop_that_is_being_stopped_closes(world: World, flow: FlowDefinition):
    loop = made.loop(flow)
    [seat] = queue.claim(world.reviewer)
    loops.stop(loop.pk)
    queue.skip(seat.pk, seat.token, world.reviewer, "other")
    assert made.states(loop) == [CLOSED]


def test_somebody_who_joins_later_finds_all_that_is_open(world: World, flow: FlowDefinition):
    loop = made.loop(flow)
    newcomer = person(world.acme, "newcomer", User.Role.REVIEWER)
    flow.work_team.members.add(newcomer)
    assert claimed_loops(newcomer) == [loop]
