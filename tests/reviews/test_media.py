"""The signed addresses of pictures in review: whom they open for, and for how long."""

import uuid
from datetime import timedelta

import pytest
import time_machine
from django.test import Client, RequestFactory
from django.utils import timezone

from moderation.derivatives import Variant
from moderation.media import media_url as plain_url
from moderation.models import User
from reviews import decisions, desk, queue
from reviews.decisions import Answer
from reviews.media import LIFETIME_SECONDS, media_url
from reviews.models import ReviewTask
from tests.reviews import loop_world as made
from tests.world import World

pytestmark = pytest.mark.django_db


@pytest.fixture
def seat(world: World) -> ReviewTask:
    made.loop(made.flow(world.acme, (world.reviewer, world.reviewer2)))
    queue.claim(world.reviewer)
    return desk.held(world.reviewer).get()


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def address(client: Client, seat: ReviewTask, variant: Variant = Variant.FULL) -> str:
    """What the page in this client's session would hold."""
    request = RequestFactory().get("/")
    request.user, request.session = User.objects.get(pk=client.session["_auth_user_id"]), client.session
    return media_url(request, seat, variant)


def test_the_holder_gets_each_copy_and_no_cache_keeps_it(world: World, seat: ReviewTask):
    client = signed_in(world.reviewer)
    answers = {variant: client.get(address(client, seat, variant)) for variant in Variant}
    assert len({response.content for response in answers.values()}) == len(Variant)
    for response in answers.values():
        assert (response.status_code, response["Content-Type"]) == (200, "image/jpeg")
        assert response["Cache-Control"] == "no-store"
        assert response["Content-Disposition"] == "inline"


def test_an_address_opens_nothing_in_another_session_of_the_same_person(world: World, seat: ReviewTask):
    here, there = signed_in(world.reviewer), signed_in(world.reviewer)
    assert here.get(address(here, seat)).status_code == 200
    assert there.get(address(here, seat)).status_code == 404


def test_an_address_opens_nothing_for_another_person(world: World, seat: ReviewTask):
    stolen = address(signed_in(world.reviewer), seat)
    assert signed_in(world.reviewer2).get(stolen).status_code == 404
    assert Client().get(stolen).status_code == 404


def test_one_who_does_not_hold_the_seat_cannot_use_an_address_of_the_own(world: World, seat: ReviewTask):
    client = signed_in(world.reviewer2)
    assert client.get(address(client, seat)).status_code == 404


def test_an_address_is_good_for_two_minutes(world: World, seat: ReviewTask):
    client = signed_in(world.reviewer)
    fresh = address(client, seat)
    with time_machine.travel(timezone.now() + timedelta(seconds=LIFETIME_SECONDS - 5), tick=True):
        assert client.get(fresh).status_code == 200
    with time_machine.travel(timezone.now() + timedelta(seconds=LIFETIME_SECONDS + 5), tick=True):
        assert client.get(fresh).status_code == 404


def test_no_picture_after_the_answer(world: World, seat: ReviewTask):
    client = signed_in(world.reviewer)
    kept = address(client, seat)
    decisions.submit(seat.pk, seat.token, world.reviewer, Answer(uuid.uuid4(), "approve"))
    assert client.get(kept).status_code == 404


def test_no_picture_after_the_item_was_given_back_or_taken_anew(world: World, seat: ReviewTask):
    client = signed_in(world.reviewer)
    kept = address(client, seat)
    queue.release([(seat.pk, seat.token)], world.reviewer)
    assert client.get(kept).status_code == 404
    queue.claim(world.reviewer)
    assert client.get(kept).status_code == 404, "it was made for another claim"
    assert client.get(address(client, desk.held(world.reviewer).get())).status_code == 200


def test_no_picture_after_the_lease(world: World, seat: ReviewTask):
    client = signed_in(world.reviewer)
    kept = address(client, seat)
    made.lapse(seat)
    assert client.get(kept).status_code == 404


def test_no_picture_for_one_whose_role_was_taken_away(world: World, seat: ReviewTask):
    client = signed_in(world.reviewer)
    kept = address(client, seat)
    User.objects.filter(pk=world.reviewer.pk).update(role=User.Role.UPLOADER)
    assert client.get(kept).status_code == 404


@pytest.mark.parametrize("token", ["x", "a:b:c", "WzFd:1abc:def", "\x00", "é" * 50])
def test_forged_addresses_are_not_found(world: World, seat: ReviewTask, token: str):
    assert signed_in(world.reviewer).get(f"/review/media/{token}/").status_code == 404


def test_a_changed_address_is_not_found(world: World, seat: ReviewTask):
    client = signed_in(world.reviewer)
    good = address(client, seat, Variant.VEILED)
    named, when, signature = good.removeprefix("/review/media/").rstrip("/").split(":")
    other = address(client, seat, Variant.FULL).removeprefix("/review/media/").split(":")[0]
    assert client.get(f"/review/media/{other}:{when}:{signature}/").status_code == 404
    assert client.get(f"/review/media/{named}:{when}:{signature}/").status_code == 200


def test_an_address_of_the_other_pages_opens_nothing_here(world: World, seat: ReviewTask):
    assert seat.loop.submission
    theirs = plain_url(world.reviewer, seat.loop.submission, Variant.FULL)
    assert signed_in(world.reviewer).get(theirs.replace("/media/", "/review/media/")).status_code == 404


def test_only_reading_is_answered(world: World, seat: ReviewTask):
    client = signed_in(world.reviewer)
    assert client.post(address(client, seat)).status_code == 405
    assert client.head(address(client, seat)).status_code == 200


def test_a_picture_that_was_let_go_is_not_found_and_the_page_says_so(world: World, seat: ReviewTask):
    client = signed_in(world.reviewer)
    kept = address(client, seat)
    assert seat.loop.submission
    seat.loop.submission.forget_picture()
    assert client.get(kept).status_code == 404
    assert client.get(f"/review/{seat.pk}/picture/full/").status_code == 404
    assert "The picture is no longer here" in client.get(f"/review/{seat.pk}/").content.decode()
