"""Waiting for an analysis inside a request, without holding more than a thread."""

import threading
import time
from uuid import UUID

from moderation.models import Submission

POLL_SECONDS = 0.1
# A web process has a few dozen threads: those who wait must not keep everybody else out.
MAX_WAITING = 16

_places = threading.BoundedSemaphore(MAX_WAITING)
_AT_WORK = (Submission.Status.QUEUED, Submission.Status.ANALYZING)


def is_at_work(submission: Submission) -> bool:
    """Whether the machine has not answered yet.  What waits for people is not at work."""
    return submission.status in _AT_WORK


def wait_for(pk: UUID, seconds: float) -> None:
    """Return once the machine has answered or the seconds are over; at once where too many are waiting already.

    Each look is one query of its own, outside any transaction.
    """
    end = time.monotonic() + seconds
    if not _places.acquire(blocking=False):
        return
    try:
        while time.monotonic() < end and Submission.objects.filter(pk=pk, status__in=_AT_WORK).exists():
            time.sleep(POLL_SECONDS)
    finally:
        _places.release()
