"""Webhooks: sends the outbox messages that are due, signed as Standard Webhooks prescribes, each at least once.

Threads only speak HTTP; the rows are read and written by the thread that calls.  Messages are claimed endpoint by
endpoint, and every endpoint has lanes of its own, so one that hangs holds up nobody else's messages.
"""

import json
import logging
import random
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from queue import SimpleQueue
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef, QuerySet
from django.utils import timezone
from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook

from moderation.guarded_http import AllowList, Answer, Resolver, Target, check_url, post, resolve
from moderation.models import DeliveryAttempt, OutboxMessage, WebhookEndpoint

logger = logging.getLogger(__name__)

# One run: how long it starts new messages, how many threads it uses, and for one endpoint how many messages it takes at
# once and sends side by side.  The lease outlasts a run, a full timeout and a slow name server.
RUN_SECONDS: Final = 20.0
LEASE_SECONDS: Final = 90
THREADS: Final = 32
LANES: Final = 4
TAKE: Final = 40
# The rest of an endpoint's messages when it does not answer at all.
PAUSE_SECONDS: Final = 30.0
FIRST_DELAY_SECONDS: Final = 10.0
LONGEST_DELAY_SECONDS: Final = 6 * 3600.0


def check(url: str) -> Target:
    """Take apart a URL that somebody wants messages at; guarded_http.TargetError says what is wrong with it."""
    return check_url(url, _allowed())


def delay(attempts: int, jitter: Callable[[float, float], float] = random.uniform) -> float:
    """Seconds until the next try: 10 s, tripled each time up to 6 h, give or take a fifth.  Twelve tries take a day."""
    steps = min(attempts - 1, 20)
    return min(FIRST_DELAY_SECONDS * 3.0**steps, LONGEST_DELAY_SECONDS) * jitter(0.8, 1.2)


def send_due(resolver: Resolver = resolve, run_seconds: float = RUN_SECONDS) -> int:
    """Send what is due, for about `run_seconds` at most; returns how many messages were delivered.

    Several may run side by side: a message is claimed by one of them.
    """
    run = _Run(resolver, time.monotonic() + run_seconds)
    with ThreadPoolExecutor(THREADS, thread_name_prefix="webhooks") as pool:
        for endpoint in _endpoints_with_due_messages():
            run.take(endpoint, pool)
        run.record_all(pool)
    return run.delivered


def redeliver(messages: "QuerySet[OutboxMessage]") -> int:
    """Send settled webhook messages again from the first attempt on; returns how many."""
    settled = messages.filter(kind=OutboxMessage.Kind.WEBHOOK).exclude(status=OutboxMessage.Status.WAITING)
    return settled.update(status=OutboxMessage.Status.WAITING, attempts=0, not_before=timezone.now())


@dataclass(slots=True)
class _Flock:
    """The messages taken at once for one endpoint."""

    endpoint: WebhookEndpoint
    open_lanes: int
    silent: threading.Event


@dataclass(frozen=True, slots=True)
class _Tried:
    message: OutboxMessage
    answer: Answer


@dataclass(frozen=True, slots=True)
class _LaneEnd:
    flock: _Flock
    untried: list[OutboxMessage]


class _Run:
    """One run of the sender: what is under way, and how it ends."""

    def __init__(self, resolver: Resolver, deadline: float) -> None:
        self.delivered = 0
        self._resolver = resolver
        self._deadline = deadline
        self._allowed = _allowed()
        self._open_lanes = 0
        self._news: SimpleQueue[_Tried | _LaneEnd] = SimpleQueue()

    def take(self, endpoint: WebhookEndpoint, pool: ThreadPoolExecutor) -> None:
        """Claim messages of one endpoint and put them into lanes."""
        kind = OutboxMessage.Kind.WEBHOOK
        messages = OutboxMessage.objects.filter(endpoint=endpoint).claim(TAKE, kind, LEASE_SECONDS)
        lanes = [lane for lane in (messages[start::LANES] for start in range(LANES)) if lane]
        flock = _Flock(endpoint, len(lanes), threading.Event())
        self._open_lanes += len(lanes)
        for lane in lanes:
            pool.submit(self._send, lane, flock)

    def record_all(self, pool: ThreadPoolExecutor) -> None:
        """Write what the lanes report until none is open; an endpoint that answers is given its next messages."""
        while self._open_lanes:
            match self._news.get():
                case _Tried(message, answer):
                    self.delivered += answer.is_success
                    _record(message, answer)
                case _LaneEnd(flock, untried):
                    self._open_lanes -= 1
                    flock.open_lanes -= 1
                    _give_back(untried, PAUSE_SECONDS if flock.silent.is_set() else 0)
                    if not flock.open_lanes and not flock.silent.is_set() and time.monotonic() < self._deadline:
                        self.take(flock.endpoint, pool)

    def _send(self, lane: list[OutboxMessage], flock: _Flock) -> None:
        """In a thread: one message after the other, until the time is up or the endpoint does not answer."""
        waiting = list(lane)
        try:
            while waiting and not flock.silent.is_set() and time.monotonic() < self._deadline:
                answer = _post(waiting[0], self._allowed, self._resolver)
                if answer.status is None:
                    flock.silent.set()
                self._news.put(_Tried(waiting.pop(0), answer))
        except Exception:  # a lane that did not report its end would hold the run for ever
            logger.exception("sending to %s failed", flock.endpoint.pk)
            flock.silent.set()
        finally:
            self._news.put(_LaneEnd(flock, waiting))


def _endpoints_with_due_messages() -> list[WebhookEndpoint]:
    due = OutboxMessage.objects.filter(
        endpoint=OuterRef("pk"),
        kind=OutboxMessage.Kind.WEBHOOK,
        status=OutboxMessage.Status.WAITING,
        not_before__lte=timezone.now(),
    )
    found = list(WebhookEndpoint.objects.filter(Exists(due), is_active=True, account__is_active=True))
    # No endpoint is always first to the threads.
    random.shuffle(found)
    return found


def _post(message: OutboxMessage, allowed: AllowList, resolver: Resolver) -> Answer:
    endpoint = message.endpoint
    if endpoint is None:
        return Answer(None, "The message has no endpoint.")
    body = json.dumps(message.payload, separators=(",", ":"))
    now = timezone.now()
    try:
        signature = Webhook(endpoint.secret).sign(str(message.pk), now, body)
    except (ValueError, EmptyWebhookSecretError):
        return Answer(None, "The endpoint's signing secret is not usable.")
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Second-Look-Webhooks/1",
        "Connection": "close",
        "webhook-id": str(message.pk),
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signature,
    }
    return post(endpoint.url, body.encode(), headers, allowed, settings.WEBHOOK_TIMEOUT_SECONDS, resolver)


def _record(message: OutboxMessage, answer: Answer) -> None:
    with transaction.atomic():
        DeliveryAttempt.objects.create(message=message, status_code=answer.status, error=answer.error)
        if answer.is_success:
            message.delivered()
        else:
            message.postpone(delay(message.attempts))
    if message.status == OutboxMessage.Status.DEAD:
        logger.warning("gave up message %s after %d attempts: %s", message.pk, message.attempts, answer.error)


def _give_back(messages: Iterable[OutboxMessage], seconds: float) -> None:
    """Untried messages are due again, and the claim does not count as an attempt."""
    ours = OutboxMessage.objects.filter(
        pk__in=[message.pk for message in messages], status=OutboxMessage.Status.WAITING, attempts__gt=0
    )
    ours.update(attempts=F("attempts") - 1, not_before=timezone.now() + timedelta(seconds=seconds))


def _allowed() -> AllowList:
    return AllowList.parse(settings.WEBHOOK_PRIVATE_HOSTS)
