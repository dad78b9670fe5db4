"""Letting go of files: those that nobody refers to, after an hour, and no others."""

import threading
from datetime import timedelta

import pytest
from django.core.files.storage import default_storage
from django.db import connection, transaction
from django.utils import timezone

from moderation import retention
from moderation.models import Blob, Submission
from moderation.retention import sweep_blobs
from tests import world as w
from tests.media import picture
from tests.world import World


def kept(submission: Submission) -> Blob:
    assert submission.blob
    return submission.blob


def let_go(submission: Submission, hours: float = 2) -> Blob:
    """The blob of a submission that no longer refers to it, sent so many hours ago."""
    blob = kept(submission)
    submission.forget_picture()
    Blob.objects.filter(pk=blob.pk).update(wanted_at=timezone.now() - timedelta(hours=hours))
    return blob


def test_what_nobody_refers_to_goes_with_its_file(world: World) -> None:
    blob = let_go(w.send(world.acme).submission)
    stays = kept(w.send(world.acme, picture(seed=1)).submission)
    Blob.objects.filter(pk=stays.pk).update(wanted_at=timezone.now() - timedelta(days=1))
    assert sweep_blobs() == 1
    assert not default_storage.exists(blob.name)
    assert default_storage.exists(stays.name)
    assert [each.pk for each in Blob.objects.all()] == [stays.pk]
    assert sweep_blobs() == 0


def test_what_another_submission_refers_to_stays(world: World) -> None:
    first, second = (w.send(world.acme).submission for _ in range(2))
    blob = let_go(first)
    assert kept(second) == blob
    assert sweep_blobs() == 0
    assert default_storage.exists(blob.name)


def test_what_was_sent_lately_stays(world: World) -> None:
    let_go(w.send(world.acme).submission, hours=0.9)
    assert sweep_blobs() == 0


def test_what_is_sent_again_stays(world: World) -> None:
    """An old file without a submission, and an intake that has just taken it up and not yet written its submission."""
    blob = let_go(w.send(world.acme).submission)
    Blob.objects.filter(pk=blob.pk).update(wanted_at=timezone.now())
    assert sweep_blobs() == 0


def test_what_is_taken_up_between_the_look_and_the_lock_stays(world: World) -> None:
    blob = kept(w.send(world.acme).submission)
    Blob.objects.update(wanted_at=timezone.now() - timedelta(days=1))
    assert not retention._remove(blob.pk)
    assert not retention._remove(blob.pk + 1)
    assert blob.read()


def test_a_row_whose_file_is_gone_goes_too(world: World) -> None:
    default_storage.delete(let_go(w.send(world.acme).submission).name)
    assert sweep_blobs() == 1


@pytest.mark.django_db(transaction=True)
def test_a_picture_sent_while_it_is_swept_is_stored_anew(transactional_db: None) -> None:
    world = w.build()
    blob = let_go(w.send(world.acme).submission)

    def send_again() -> None:
        w.send(world.acme)
        connection.close()

    sender = threading.Thread(target=send_again)
    with transaction.atomic():  # as the sweep does, at the pace of a slow storage
        Blob.objects.select_for_update().get(pk=blob.pk)
        sender.start()
        sender.join(0.5)
        assert sender.is_alive()
        default_storage.delete(blob.name)
        Blob.objects.filter(pk=blob.pk).delete()
    sender.join()
    again = kept(Submission.objects.exclude(blob=None).get())
    assert again.pk != blob.pk
    assert again.read() == picture()
