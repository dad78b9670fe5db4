"""The Celery application: the broker holds only hints, the database holds the truth."""

import os
from functools import partial
from typing import Any

from celery import Celery
from celery.contrib.django.task import DjangoTask
from django.db import transaction

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "moderation.settings")


class HintTask(DjangoTask):
    """A task that may be lost: the database knows what is due, and a sweep sends it again."""

    def delay_on_commit(self, *args: Any, **kwargs: Any) -> None:
        """Send on commit; a broker that is down is logged and never fails the request that has already committed."""
        transaction.on_commit(partial(self.delay, *args, **kwargs), robust=True)


app = Celery("second_look", task_cls=HintTask)
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
