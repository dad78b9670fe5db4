"""Letting go of what is no longer needed."""

from datetime import timedelta

from django.core.files.storage import default_storage
from django.db import transaction
from django.utils import timezone

from moderation.models import Blob

# Long enough for an intake that has written its blob row and not yet its submission.
GRACE = timedelta(hours=1)


def sweep_blobs() -> int:
    """Remove the blobs that no submission refers to, rows and files; returns how many."""
    orphans = Blob.objects.filter(submissions=None, created_at__lt=timezone.now() - GRACE)
    return sum(_remove(pk) for pk in orphans.values_list("pk", flat=True)[:1000])


def _remove(pk: int) -> bool:
    with transaction.atomic():
        # Locked and asked again: an intake may have taken the blob up since.
        blob = Blob.objects.select_for_update().filter(pk=pk).first()
        if blob is None or blob.submissions.exists():
            return False
        default_storage.delete(blob.name)
        blob.delete()
        return True
