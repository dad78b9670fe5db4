"""The periodic tasks do what the modules promise, and do no harm when doubled."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from reviews import decisions, queue, tasks
from reviews.models import GroundTruth, HumanLoop, ReviewTask
from tests.reviews import loop_world as made
from tests.world import World

pytestmark = pytest.mark.django_db


def test_answers_stand_after_the_grace(world: World):
    loop = made.loop(made.flow(world.acme, (world.reviewer,)))
    [seat] = queue.claim(world.reviewer)
    decisions.submit(seat.pk, seat.token, world.reviewer, made.approve())
    tasks.complete_loops()
    assert not GroundTruth.objects.exists()
    with time_machine.travel(timezone.now() + timedelta(seconds=61), tick=True):
        tasks.complete_loops()
        tasks.complete_loops()
    loop.refresh_from_db()
    assert (loop.status, GroundTruth.objects.count()) == (HumanLoop.Status.COMPLETED, 1)


def test_lapsed_seats_open_and_overdue_loops_fail(world: World):
    flow = made.flow(world.acme, (world.reviewer,))
    lapsed, overdue = made.loop(flow), made.loop(flow)
    [seat] = queue.claim(world.reviewer)
    made.lapse(seat)
    HumanLoop.objects.filter(pk=overdue.pk).update(available_until=timezone.now())
    for _ in range(2):
        tasks.sweep_seats()
    assert made.states(lapsed) == [ReviewTask.State.OPEN]
    overdue.refresh_from_db()
    assert overdue.status == HumanLoop.Status.FAILED
