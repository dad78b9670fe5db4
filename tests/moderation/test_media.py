"""Addresses of pictures: whom they open for, for how long, and what they give."""

from datetime import timedelta
from io import BytesIO
from pathlib import Path

import pytest
from django.core import signing
from django.core.files.storage import default_storage
from django.test import Client
from django.utils import timezone
from PIL import Image
from pytest_django import Settings
from time_machine import travel

from moderation import derivatives, retention
from moderation.derivatives import Variant
from moderation.media import LIFETIME_SECONDS, may_see, media_url
from moderation.models import Blob, Submission, User
from tests import media
from tests.world import World, send


@pytest.fixture(autouse=True)
def empty_storage(settings: Settings, tmp_path: Path) -> None:
    """Files that no other test has made: the same picture is the same file."""
    default = settings.STORAGES["default"]
    options = {**default["OPTIONS"], "location": tmp_path}
    settings.STORAGES = {**settings.STORAGES, "default": {**default, "OPTIONS": options}}


@pytest.fixture
def submission(world: World) -> Submission:
    """An uploader's picture that says who took it and where."""
    return send(world.acme, media.with_metadata(), user=world.uploader).submission


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.mark.parametrize("variant", list(Variant))
def test_a_copy_comes_without_metadata_and_is_kept_by_no_cache(
    world: World, submission: Submission, variant: Variant
) -> None:
    answer = signed_in(world.uploader).get(media_url(world.uploader, submission, variant))
    assert (answer.status_code, answer["Content-Type"]) == (200, "image/jpeg")
    assert answer["Cache-Control"] == "no-store"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert b"Secret" in media.with_metadata()
    assert b"Secret" not in answer.content
    assert not Image.open(BytesIO(answer.content)).getexif()


@pytest.mark.parametrize("who", ["outsider", "uploader2", "reviewer", "lead", "stranger"])
def test_an_address_opens_for_the_person_it_was_made_for(world: World, submission: Submission, who: str) -> None:
    """Whoever else has it gets 404, even those who could get one of their own."""
    url = media_url(world.uploader, submission, Variant.FULL)
    client = Client() if who == "stranger" else signed_in(getattr(world, who))
    answer = client.get(url)
    assert answer.status_code == 404
    assert answer["Content-Type"].startswith("text/html")


@pytest.mark.parametrize("who", ["outsider", "uploader2", "reviewer"])
def test_an_address_in_ones_own_name_does_not_replace_the_right(world: World, submission: Submission, who: str) -> None:
    user = getattr(world, who)
    assert not may_see(user, submission)
    assert signed_in(user).get(media_url(user, submission, Variant.THUMB_VEILED)).status_code == 404


@pytest.mark.parametrize("who", ["uploader", "lead", "admin", "auditor", "legal"])
def test_those_who_may_see_it_do(world: World, submission: Submission, who: str) -> None:
    user = getattr(world, who)
    assert may_see(user, submission)
    assert signed_in(user).get(media_url(user, submission, Variant.FULL)).status_code == 200


def test_an_address_ends_with_the_right(world: World, submission: Submission) -> None:
    url = media_url(world.uploader, submission, Variant.FULL)
    client = signed_in(world.uploader)
    User.objects.filter(pk=world.uploader.pk).update(role=User.Role.REVIEWER)
    assert client.get(url).status_code == 404


def test_an_address_is_good_for_minutes(world: World, submission: Submission) -> None:
    mine, others = signed_in(world.uploader), signed_in(world.uploader2)
    url = media_url(world.uploader, submission, Variant.FULL)
    with travel(timezone.now() + timedelta(seconds=LIFETIME_SECONDS - 5), tick=False):
        assert mine.get(url).status_code == 200
    with travel(timezone.now() + timedelta(seconds=LIFETIME_SECONDS + 5), tick=False):
        late = mine.get(url)
        assert (late.status_code, "This address has expired" in late.text) == (403, True)
        assert others.get(url).status_code == 404


def test_an_address_cannot_be_made_up(world: World, submission: Submission) -> None:
    client = signed_in(world.uploader)
    url = media_url(world.uploader, submission, Variant.VEILED)
    named = [str(submission.pk), "full", world.uploader.pk]
    unsalted, foreign = signing.dumps(named), signing.dumps(named, key="k", salt="moderation.media")
    for token in (url[7:-3] + "xx", "x", "x:y:z", unsalted, foreign):
        assert client.get(f"/media/{token}/").status_code == 404, token
    assert client.post(url).status_code == 405


def test_a_picture_that_is_gone_is_not_found(world: World, submission: Submission) -> None:
    assert submission.blob
    default_storage.delete(submission.blob.name)
    answer = signed_in(world.uploader).get(media_url(world.uploader, submission, Variant.FULL))
    assert answer.status_code == 404
    submission.forget_picture()
    assert signed_in(world.uploader).get(media_url(world.uploader, submission, Variant.FULL)).status_code == 404


def test_a_copy_is_made_once(submission: Submission) -> None:
    assert submission.blob
    first = derivatives.read(submission.blob, Variant.VEILED)
    default_storage.delete(submission.blob.name)
    assert derivatives.read(submission.blob, Variant.VEILED) == first
    with pytest.raises(FileNotFoundError):
        derivatives.read(submission.blob, Variant.FULL)


def test_copies_go_with_the_blob(submission: Submission) -> None:
    blob = submission.blob
    assert blob
    for variant in Variant:
        derivatives.read(blob, variant)
    folder = f"derivatives/{blob.account_id}/{blob.sha256[:2]}/{blob.sha256}"
    assert len(default_storage.listdir(folder)[1]) == len(Variant)
    submission.forget_picture()
    Blob.objects.update(wanted_at=timezone.now() - timedelta(days=1))
    assert retention.sweep_blobs() == 1
    assert default_storage.listdir(folder)[1] == []
