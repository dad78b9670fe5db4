"""Whether the product serves, and whether all that it needs is there."""

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import Lock

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from moderation.celery import app
from moderation.inference import registry
from moderation.inference.types import EngineError
from moderation.models import Account

logger = logging.getLogger(__name__)

SECONDS = 2.0
PROBE = "readyz"


@require_safe
@never_cache
def healthz(request: HttpRequest) -> HttpResponse:
    """200: this process serves.  It asks nobody else, so that a database that is down restarts no web server."""
    return HttpResponse("ok\n", content_type="text/plain")


@require_safe
@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """200 when every part is ready, else 503; the reason of each part that is not.  Details are in the log alone."""
    reasons = _checks.run(SECONDS)
    ready = not any(reasons.values())
    parts = {part: {"ready": False, "reason": why} if why else {"ready": True} for part, why in reasons.items()}
    return JsonResponse({"ready": ready, "parts": parts}, status=200 if ready else 503)


class NotReady(Exception):
    """A part answers, and is not ready; the message may be shown to anybody."""


def _database() -> None:
    try:
        connection.ensure_connection()
        Account.objects.exists()  # fails where the tables are not there yet
    finally:
        connection.close()


def _broker() -> None:
    with app.connection_for_write(connect_timeout=SECONDS) as broker:
        broker.ensure_connection(max_retries=1, interval_start=0)


def _storage() -> None:
    default_storage.save(PROBE, ContentFile(b"ready\n"))


def _weights() -> None:
    if registry.is_loaded(settings.ENGINE, settings.WEIGHTS_DIR):
        return
    try:
        # Once in the life of a process; while it takes longer than a check may, the answer is "not yet".
        registry.load(settings.ENGINE, settings.WEIGHTS_DIR)
    except EngineError as error:
        logger.warning("the engine cannot be loaded", exc_info=True)
        raise NotReady(f"The engine cannot be loaded ({error.code}).") from error


class Checks:
    """Checks that run side by side, each once at a time: one that hangs holds one thread, not one a request."""

    def __init__(self, checks: dict[str, Callable[[], None]]) -> None:
        self._checks = checks
        self._pool = ThreadPoolExecutor(len(checks), thread_name_prefix="readyz")
        self._running: dict[str, Future[None]] = {}
        self._lock = Lock()

    def run(self, seconds: float) -> dict[str, str]:
        """Why each part is not ready, an empty text for those that are, after at most so many seconds."""
        with self._lock:
            for part, check in self._checks.items():
                if part not in self._running or self._running[part].done():
                    self._running[part] = self._pool.submit(check)
            running = dict(self._running)
        wait(running.values(), seconds)
        return {part: _reason(part, future, seconds) for part, future in running.items()}


def _reason(part: str, future: Future[None], seconds: float) -> str:
    if not future.done():
        return f"No answer within {seconds:g} seconds."
    error = future.exception()
    if error is None or isinstance(error, NotReady):
        return str(error or "")
    logger.warning("%s is not ready", part, exc_info=error)
    return f"It cannot be reached or refuses ({type(error).__name__})."


_checks = Checks({"database": _database, "broker": _broker, "storage": _storage, "weights": _weights})
