"""Letting go of what is no longer needed."""

from datetime import timedelta

from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from moderation import derivatives
from moderation.models import Blob, IdempotencyKey

# Long enough for an intake that has written the blob row and not yet the submission.
GRACE = timedelta(hours=1)


def sweep_blobs() -> int:
    """Remove the blobs that no submission refers to, rows and files; returns how many."""
    orphans = _unwanted().filter(submissions=None).order_by("wanted_at")
    return sum(_remove(pk) for pk in orphans.values_list("pk", flat=True)[:1000])


def sweep_keys() -> int:
    """Forget the idempotency keys whose time is over; returns how many."""
    deleted, _ = IdempotencyKey.objects.expired().delete()
    return deleted


def _unwanted() -> QuerySet[Blob]:
    return Blob.objects.filter(wanted_at__lt=timezone.now() - GRACE)


def _remove(pk: int) -> bool:
    with transaction.atomic():
        # Locked and asked again: an intake may have taken the blob up since, or be about to.
        blob = _unwanted().select_for_update().filter(pk=pk).first()
        if blob is None or blob.submissions.exists():
            return False
        derivatives.remove(blob)
        default_storage.delete(blob.name)
        blob.delete()
        return True
