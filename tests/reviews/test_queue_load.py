"""The crowd: sixteen people with two tabs each at one queue, with leases that lapse under them."""

import threading
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import pytest
from django.db import connection
from django.test import override_settings

from moderation.models import User
from reviews import decisions, loops, queue
from reviews.decisions import Answer, AnswerTooLate
from reviews.models import Decision, FlowDefinition, HumanLoop, ReviewTask
from reviews.queue import LeaseLost
from tests.reviews import loop_world as made
from tests.world import World, person

pytestmark = pytest.mark.django_db(transaction=True)
PEOPLE, TABS, LOOPS, SEATS = 16, 2, 30, 3


@pytest.fixture
def crowd(world: World) -> list[User]:
    return [person(world.acme, f"r{number}", User.Role.REVIEWER) for number in range(PEOPLE)]


@pytest.fixture
def flow(world: World, crowd: list[User]) -> FlowDefinition:
    flow = made.flow(world.acme, crowd, task_count=SEATS, request_source="")
    for number in range(LOOPS):
        digest = loops.input_digest(flow, str(number), ())
        loops.start(flow, loops.LoopInput(f"loop-{number}", digest, {"number": number}))
    return flow


class Ledger:
    """What the threads saw; errors that nobody should meet are raised at the end."""

    def __init__(self) -> None:
        self.holders: defaultdict[tuple[int, int], set[int]] = defaultdict(set)
        self.late: list[AnswerTooLate] = []
        self.errors: list[BaseException] = []
        self.most_held = 0
        self.reopened = 0

    def claim(self, who: User) -> list[ReviewTask]:
        seats = queue.claim(who, 3)
        for seat in seats:
            self.holders[seat.pk, seat.token].add(who.pk)
        self.most_held = max(self.most_held, len(seats))
        return seats

    def submit(self, seat: ReviewTask, who: User) -> None:
        try:
            decisions.submit(seat.pk, seat.token, who, Answer(uuid.uuid4(), answer={"by": who.username}))
        except AnswerTooLate as error:
            self.late.append(error)


def run(ledger: Ledger, jobs: list[Callable[[], None]]) -> None:
    """Do the jobs in threads of their own, all started at once."""
    barrier = threading.Barrier(len(jobs))

    def guarded(job: Callable[[], None]) -> None:
        try:
            barrier.wait()
            job()
        except BaseException as error:
            ledger.errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=guarded, args=[job]) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not any(thread.is_alive() for thread in threads)


def check_books(ledger: Ledger) -> None:
    """Every seat answered once, by nobody twice at a loop; every claim was one person's."""
    assert ledger.errors == []
    assert all(len(people) == 1 for people in ledger.holders.values()), "a seat was two people's at once"
    assert ledger.most_held <= 3
    seats = ReviewTask.objects.all()
    assert Counter(seats.values_list("state", flat=True)) == {ReviewTask.State.ANSWERED: LOOPS * SEATS}
    answers = Counter(Decision.objects.values_list("task", flat=True))
    assert len(answers) == LOOPS * SEATS and set(answers.values()) == {1}
    for loop in HumanLoop.objects.all():
        assert loop.decisions.values("reviewer").distinct().count() == SEATS


def all_answered() -> bool:
    return not ReviewTask.objects.exclude(state=ReviewTask.State.ANSWERED).exists()


def tab(ledger: Ledger, who: User) -> None:
    """Works until there is nothing more."""
    while seats := ledger.claim(who):
        for seat in seats:
            ledger.submit(seat, who)


def stayer(ledger: Ledger, who: User) -> None:
    """Works until everything is answered, by whomever."""
    while not all_answered():
        for seat in ledger.claim(who):
            ledger.submit(seat, who)
        time.sleep(0.02)


def sleeper(ledger: Ledger, who: User) -> None:
    """Falls asleep over what was claimed, wakes up and sends it all the same."""
    for naps in (1.2, 1.6):
        seats = ledger.claim(who)
        time.sleep(naps)
        for seat in seats:
            ledger.submit(seat, who)


def quitter(ledger: Ledger, who: User) -> None:
    """Looks, and gives everything back."""
    for _ in range(5):
        seats = ledger.claim(who)
        for seat in seats[:1]:
            with suppress(LeaseLost):
                queue.look(seat.pk, seat.token, who)
        queue.release([(seat.pk, seat.token) for seat in seats], who)


def sweeper(ledger: Ledger) -> None:
    """What beat does, more often."""
    while not all_answered():
        ledger.reopened += queue.sweep()
        time.sleep(0.1)


def test_no_seat_twice_and_no_reviewer_twice_on_a_loop(flow: FlowDefinition, crowd: list[User]):
    ledger = Ledger()
    run(ledger, [partial(tab, ledger, who) for who in crowd for _ in range(TABS)])
    # Who found nothing left went home, while a tab beside still held the last seats; nothing more is to be had.
    assert [queue.claim(who) for who in crowd] == [[]] * PEOPLE
    check_books(ledger)
    assert all("already" in str(error) for error in ledger.late), "only the second tab is ever too late"


@override_settings(REVIEW_LEASE_SECONDS=1)
def test_leases_that_lapse_under_load_lose_no_seat_and_no_typed_word(flow: FlowDefinition, crowd: list[User]):
    ledger = Ledger()
    roles = [(sleeper, crowd[:6]), (quitter, crowd[6:8]), (stayer, crowd[8:])]
    jobs = [partial(role, ledger, who) for role, people in roles for who in people for _ in range(TABS)]
    run(ledger, [*jobs, partial(sweeper, ledger)])
    check_books(ledger)
    assert ledger.reopened and ledger.late, "the leases did lapse"
    assert all(error.kept.pk and error.kept.answer for error in ledger.late), "and what was typed is kept"
