"""Celery tasks: fetch by id, call one function.  Any of them may be lost, doubled or late."""

from typing import TYPE_CHECKING

from celery import shared_task
from celery.contrib.django.task import DjangoTask
from django.db import transaction

from moderation import pipeline, retention, webhooks
from moderation.models import Analysis

if TYPE_CHECKING:
    _Task = DjangoTask[[int], None]
else:
    _Task = DjangoTask


class Hint(_Task):
    """A task about one row that may be lost: the database knows what is due, and a sweep sends it again."""

    def delay_on_commit(self, pk: int) -> None:  # type: ignore[override]  # there is no result before the commit
        """Send on commit; a broker that is down is logged and fails no request that has already committed."""

        def send() -> None:
            self.delay(pk)

        transaction.on_commit(send, robust=True)


@shared_task(base=Hint)
def moderate(analysis_id: int) -> None:
    """Analyse one submission."""
    pipeline.moderate(analysis_id)


@shared_task
def sweep_analyses() -> None:
    """Give up what kills its workers, and send again the hints that were lost."""
    pipeline.give_up_exhausted()
    for analysis_id in Analysis.objects.overdue(seconds=30).order_by("pk").values_list("pk", flat=True)[:500]:
        moderate.delay(analysis_id)


@shared_task
def send_outbox() -> None:
    """Send the webhooks that are due."""
    webhooks.send_due()


@shared_task
def sweep_keys() -> None:
    """Forget the idempotency keys whose time is over."""
    retention.sweep_keys()


@shared_task
def sweep_blobs() -> None:
    """Remove stored files that no submission refers to."""
    retention.sweep_blobs()
