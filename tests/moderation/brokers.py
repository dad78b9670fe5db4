"""Where tasks go in a test."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from moderation.celery import app

celery: Any = app


@contextmanager
def eagerly() -> Iterator[None]:
    """Tasks run where they are sent, at once."""
    celery.conf.task_always_eager = True
    try:
        yield
    finally:
        celery.conf.task_always_eager = False


@contextmanager
def broker_at(url: str) -> Iterator[None]:
    """Tasks are sent to another broker, over connections of its own."""
    before = celery.conf.broker_url
    _use(url)
    try:
        yield
    finally:
        _use(before)


def _use(url: str) -> None:
    celery.conf.broker_url = celery.conf.broker_write_url = url
    celery._pool = celery.amqp._producer_pool = None
