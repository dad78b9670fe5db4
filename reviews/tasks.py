"""Celery tasks of human review.  Any of them may be lost, doubled or late."""

from celery import shared_task

from reviews import queue, settlement


@shared_task
def complete_loops() -> None:
    """Settle the loops whose answers can no longer be taken back."""
    settlement.run_due()


@shared_task
def sweep_seats() -> None:
    """Reopen the seats whose lease lapsed, and fail the loops whose time is over."""
    queue.sweep()
