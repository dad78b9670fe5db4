"""Celery tasks: fetch by id, call one function.  Any of them may be lost, doubled or late."""

from celery import shared_task

from moderation import pipeline, retention, webhooks
from moderation.models import Analysis


@shared_task
def moderate(analysis_id: int) -> None:
    """Analyse one submission."""
    pipeline.moderate(analysis_id)


@shared_task
def sweep_analyses() -> None:
    """Give up what kills its workers, and send again the hints that were lost."""
    pipeline.give_up_exhausted()
    for analysis_id in Analysis.objects.overdue(seconds=30).values_list("pk", flat=True)[:500]:
        moderate.delay(analysis_id)


@shared_task
def send_outbox() -> None:
    """Send the webhooks that are due."""
    webhooks.send_due()


@shared_task
def sweep_blobs() -> None:
    """Remove stored files that no submission refers to."""
    retention.sweep_blobs()
