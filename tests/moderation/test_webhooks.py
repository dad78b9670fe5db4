"""Webhooks over a real server on loopback: signed, retried, given up, and each endpoint on its own."""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import Settings
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from moderation import webhooks
from moderation.models import Account, DeliveryAttempt, OutboxMessage, WebhookEndpoint

pytestmark = pytest.mark.django_db

Status = OutboxMessage.Status


@dataclass
class Receiver:
    """What arrived, by path, and what each path answers."""

    port: int = 0
    heard: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    status: dict[str, int] = field(default_factory=dict)
    pause: dict[str, float] = field(default_factory=dict)

    def url(self, path: str = "/") -> str:
        return f"http://hooks.example.test:{self.port}{path}"

    def bodies(self, path: str = "/") -> list[bytes]:
        return [body for at, _, body in self.heard if at == path]


@pytest.fixture
def receiver(settings: Settings) -> Iterator[Receiver]:
    settings.WEBHOOK_PRIVATE_HOSTS = ["hooks.example.test"]
    settings.WEBHOOK_TIMEOUT_SECONDS = 2
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.heard.append((self.path, dict(self.headers), body))
            time.sleep(receiver.pause.get(self.path, 0))
            self.send_response(receiver.status.get(self.path, 200))
            self.send_header("Location", receiver.url("/elsewhere"))
            self.end_headers()
            self.wfile.write(b"the receiver's own words " * 100)

        def log_message(self, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver.port = server.server_port
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield receiver
    server.shutdown()
    server.server_close()


@pytest.fixture
def acme() -> Account:
    return Account.objects.create(pk="111111111111", name="acme")


def on_loopback(host: str, port: int) -> list[str]:
    return ["127.0.0.1"]


def send(**options: float) -> int:
    return webhooks.send_due(on_loopback, **options)


def endpoint(account: Account, url: str, **more: object) -> WebhookEndpoint:
    return WebhookEndpoint.objects.create(account=account, url=url, **more)


def publish(account: Account, event: str = "submission.approved", times: int = 1) -> list[OutboxMessage]:
    before = set(OutboxMessage.objects.values_list("pk", flat=True))
    for number in range(times):
        OutboxMessage.objects.publish(event, account, {"number": number, "name": "Grüße"})
    return list(OutboxMessage.objects.exclude(pk__in=before))


def make_due(*messages: OutboxMessage) -> None:
    OutboxMessage.objects.filter(pk__in=[each.pk for each in messages]).update(not_before=timezone.now())


def test_a_message_arrives_signed_and_counts_as_delivered(acme: Account, receiver: Receiver) -> None:
    there = endpoint(acme, receiver.url("/in"))
    [message] = publish(acme)
    assert send() == 1
    [(path, headers, body)] = receiver.heard
    assert path == "/in" and headers["webhook-id"] == str(message.pk)
    assert headers["Content-Type"] == "application/json"
    assert Webhook(there.secret).verify(body, headers)["data"] == {"number": 0, "name": "Grüße"}
    assert json.loads(body)["type"] == "submission.approved"
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + "A" * 32).verify(body, headers)
    message.refresh_from_db()
    assert (message.status, message.attempts) == (Status.DELIVERED, 1)
    assert list(message.deliveries.values_list("status_code", "error")) == [(200, "")]
    assert send() == 0 and len(receiver.heard) == 1


def test_after_a_500_the_same_message_is_sent_again_later(acme: Account, receiver: Receiver) -> None:
    there = endpoint(acme, receiver.url())
    [message] = publish(acme)
    receiver.status["/"] = 500
    assert send() == 0
    message.refresh_from_db()
    wait = (message.not_before - timezone.now()).total_seconds()
    assert message.status == Status.WAITING and 6 < wait <= 12
    assert send() == 0 and len(receiver.heard) == 1, "it is not due yet"
    receiver.status["/"] = 200
    make_due(message)
    assert send() == 1
    first, second = receiver.heard
    assert first[2] == second[2] and first[1]["webhook-id"] == second[1]["webhook-id"]
    assert Webhook(there.secret).verify(second[2], second[1])
    newest, oldest = message.deliveries.all()
    assert (oldest.status_code, newest.status_code) == (500, 200)
    assert oldest.error.startswith("HTTP 500 the receiver's own words") and len(oldest.error) <= 300


def test_it_is_given_up_after_the_last_attempt(acme: Account, receiver: Receiver, settings: Settings) -> None:
    settings.WEBHOOK_MAX_ATTEMPTS = 3
    endpoint(acme, receiver.url())
    [message] = publish(acme)
    receiver.status["/"] = 400
    for status in (Status.WAITING, Status.WAITING, Status.DEAD):
        make_due(message)
        send()
        message.refresh_from_db()
        assert message.status == status
    make_due(message)
    send()
    assert len(receiver.heard) == 3 and message.deliveries.count() == 3


def test_a_dead_message_can_be_sent_again(acme: Account, receiver: Receiver) -> None:
    endpoint(acme, receiver.url())
    dead, waiting = publish(acme, times=2)
    OutboxMessage.objects.filter(pk=dead.pk).update(status=Status.DEAD, attempts=12)
    OutboxMessage.objects.filter(pk=waiting.pk).update(not_before=timezone.now() + timedelta(hours=1), attempts=3)
    assert webhooks.redeliver(OutboxMessage.objects.all()) == 1
    assert send() == 1 and receiver.heard[0][1]["webhook-id"] == str(dead.pk)
    dead.refresh_from_db()
    waiting.refresh_from_db()
    assert (dead.status, dead.attempts, waiting.attempts) == (Status.DELIVERED, 1, 3)


def test_a_redirect_is_a_failure(acme: Account, receiver: Receiver) -> None:
    endpoint(acme, receiver.url())
    [message] = publish(acme)
    receiver.status["/"] = 302
    assert send() == 0
    assert [path for path, *_ in receiver.heard] == ["/"]
    assert message.deliveries.get().error == "HTTP 302: redirects are not followed."


def test_a_private_address_is_not_sent_to(acme: Account, receiver: Receiver) -> None:
    endpoint(acme, "https://metadata.example.com/")
    [message] = publish(acme)
    assert webhooks.send_due(lambda host, port: ["169.254.169.254"]) == 0
    attempt = message.deliveries.get()
    assert attempt.status_code is None and "private address" in attempt.error


def test_an_endpoint_that_hangs_holds_up_nobody_else(acme: Account, receiver: Receiver) -> None:
    endpoint(acme, receiver.url("/hangs"), events=["submission.failed"])
    endpoint(acme, receiver.url("/works"), events=["submission.approved"])
    stuck = publish(acme, "submission.failed", times=100)
    publish(acme, "submission.approved", times=90)
    receiver.pause["/hangs"] = 5
    began = time.monotonic()
    assert send() == 90
    assert time.monotonic() - began < 5, "one timeout of 2 s, not one for each message"
    assert len(receiver.bodies("/hangs")) == webhooks.LANES
    tried = OutboxMessage.objects.filter(pk__in=[each.pk for each in stuck], attempts=1)
    assert tried.count() == DeliveryAttempt.objects.filter(status_code=None).count() == webhooks.LANES
    untried = OutboxMessage.objects.filter(pk__in=[each.pk for each in stuck], attempts=0, status=Status.WAITING)
    assert untried.count() == 100 - webhooks.LANES
    assert untried.filter(not_before__gt=timezone.now()).count() == webhooks.TAKE - webhooks.LANES


def test_a_run_ends_when_its_time_is_up(acme: Account, receiver: Receiver) -> None:
    endpoint(acme, receiver.url())
    publish(acme, times=100)
    receiver.pause["/"] = 0.3
    began = time.monotonic()
    sent = send(run_seconds=0.5)
    assert time.monotonic() - began < 2
    assert 0 < sent < 40
    assert OutboxMessage.objects.filter(status=Status.WAITING, attempts=0).count() == 100 - sent
    receiver.pause.clear()
    assert send() == 100 - sent, "what was given back is due at once"


@pytest.mark.parametrize("closed", ["endpoint", "account"])
def test_nothing_is_sent_for_what_was_switched_off(acme: Account, receiver: Receiver, closed: str) -> None:
    there = endpoint(acme, receiver.url())
    publish(acme)
    row = there if closed == "endpoint" else acme
    row.is_active = False
    row.save()
    assert send() == 0 and receiver.heard == []


def test_an_unusable_secret_fails_the_message_and_not_the_run(acme: Account, receiver: Receiver) -> None:
    endpoint(acme, receiver.url("/bad"), secret="whsec_")
    endpoint(acme, receiver.url("/good"))
    publish(acme)
    assert send() == 1
    assert DeliveryAttempt.objects.get(status_code=None).error == "The endpoint's signing secret is not usable."


def test_delays_grow_and_vary() -> None:
    steady = [round(webhooks.delay(attempts, lambda low, high: 1.0)) for attempts in range(1, 13)]
    assert steady[:5] == [10, 30, 90, 270, 810] and steady[-1] == 6 * 3600
    assert 20 * 3600 < sum(steady[:-1]) < 30 * 3600
    assert len({webhooks.delay(3) for _ in range(10)}) > 1
    assert all(72 <= webhooks.delay(3) <= 108 for _ in range(100))
    assert webhooks.delay(30_000) <= 1.2 * 6 * 3600


@pytest.mark.django_db(transaction=True)
def test_two_senders_at_once_send_each_message_once(acme: Account, receiver: Receiver) -> None:
    endpoint(acme, receiver.url())
    messages = publish(acme, times=120)
    receiver.pause["/"] = 0.01
    start = threading.Barrier(3)

    def run() -> None:
        start.wait()
        try:
            send()
        finally:
            connection.close()

    senders = [threading.Thread(target=run) for _ in range(3)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    ids = [headers["webhook-id"] for _, headers, _ in receiver.heard]
    assert sorted(ids) == sorted(str(message.pk) for message in messages)
    assert set(OutboxMessage.objects.values_list("status", "attempts")) == {(Status.DELIVERED, 1)}
