"""kill -9 at each step of the path from a claim to the ground truth: nothing is lost, nothing is doubled.

A worker process is held at the step by a lock or a slow store, killed there, and another one does the rest.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import time_machine
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from moderation import storage
from moderation.models import Bucket, OutboxMessage, Submission, Verdict, WebhookEndpoint
from reviews import decisions, queue, settlement
from reviews.models import Decision, GroundTruth, HumanLoop, ReviewTask
from tests.reviews import loop_world as made
from tests.world import World

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
ROOT = Path(settings.BASE_DIR)


@pytest.fixture
def loop(world: World) -> HumanLoop:
    """A loop that one reviewer can answer, with an output file and somebody to tell."""
    WebhookEndpoint.objects.create(account=world.acme, url="https://hooks.example/x")
    flow = made.flow(world.acme, (world.reviewer, world.reviewer2), output_path=made.output_bucket(world.acme))
    return made.loop(flow)


@contextmanager
def process(code: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process of the product at work on `code`, on this test's own database and files."""
    database = connection.settings_dict
    options = "".join(f"&{key}={value}" for key, value in database["OPTIONS"].items() if isinstance(value, str))
    host, port = database["HOST"] or "", database["PORT"] or ""
    address = f"postgresql://{database['USER']}:{database['PASSWORD']}@{host}{f':{port}' if port else ''}"
    environment = {
        **os.environ,
        "DATABASE_URL": f"{address}/{database['NAME']}?application_name=victim{options}",
        "UNDO_GRACE_SECONDS": "0",
    }
    script = f"import django; django.setup()\n{code}"
    with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, env=environment) as worker:
        try:
            yield worker
        finally:
            worker.kill()


SETTLE = "from reviews import settlement; settlement.run_due()"


def kill(worker: subprocess.Popen[bytes]) -> None:
    """kill -9, and wait until the database has noticed."""
    assert worker.poll() is None, "it should be held at its step"
    worker.send_signal(signal.SIGKILL)
    worker.wait(10)


def wait_for(what: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "the step was never reached"
        time.sleep(0.05)


def waits_for_a_lock(workers: int = 1) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT FROM pg_stat_activity WHERE application_name = 'victim' AND wait_event_type = 'Lock'")
        return len(cursor.fetchall()) == workers


def end_orphans() -> None:
    """A killed process's connection ends once the database tries to answer it; do not wait for that."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'victim'")


@contextmanager
def locked(model: type, **which: object) -> Iterator[None]:
    """A row that nobody else can change meanwhile."""
    hold, held = threading.Event(), threading.Event()

    def keep() -> None:
        with transaction.atomic():
            list(model.objects.select_for_update().filter(**which))  # type: ignore[attr-defined]
            held.set()
            hold.wait(60)
        connection.close()

    thread = threading.Thread(target=keep)
    thread.start()
    assert held.wait(10)
    try:
        yield
    finally:
        hold.set()
        thread.join()


def answered(world: World, loop: HumanLoop) -> Decision:
    [seat] = queue.claim(world.reviewer)
    decision = decisions.submit(seat.pk, seat.token, world.reviewer, made.reject("Weapons"))
    OutboxMessage.objects.filter(kind="review").update(not_before=timezone.now())
    return decision


def finish() -> None:
    """What beat's workers do in the next minutes."""
    with time_machine.travel(timezone.now() + timedelta(minutes=5), tick=True):
        settlement.run_due()
        settlement.run_due()


def check_books(world: World, loop: HumanLoop) -> None:
    """One of everything."""
    loop.refresh_from_db()
    assert loop.status == HumanLoop.Status.COMPLETED and loop.settled_at
    assert Verdict.objects.filter(source=Verdict.Source.HUMAN).count() == 1
    assert GroundTruth.objects.count() == 1
    submission = Submission.objects.get()
    assert submission.status == Submission.Status.REJECTED
    told = list(OutboxMessage.objects.filter(kind="webhook").values_list("event", flat=True))
    assert sorted(told) == [
        "human_loop.completed",
        "human_loop.started",
        "submission.in_review",
        "submission.rejected",
    ]
    where = storage.locate(loop.output_uri)
    written = json.loads(storage.read(world.acme, where.bucket, where.key))
    assert len(written["humanAnswers"]) == 1
    assert set(OutboxMessage.objects.filter(kind="review").values_list("status", flat=True)) == {"delivered"}


def test_killed_after_a_claim_the_seat_opens_again(world: World, loop: HumanLoop):
    code = f"""
from moderation.models import User
from reviews import queue
import time
queue.claim(User.objects.get(pk={world.reviewer2.pk}), 3)
time.sleep(60)
"""
    with process(code) as worker:
        wait_for(lambda: ReviewTask.objects.filter(state="claimed").exists())
        kill(worker)
    assert queue.claim(world.reviewer) == []
    with time_machine.travel(timezone.now() + timedelta(seconds=601), tick=True):
        assert queue.sweep() == 1
        answered(world, loop)
        finish()
    check_books(world, loop)


def test_killed_while_an_answer_is_written_it_can_be_sent_again(world: World, loop: HumanLoop):
    [seat] = queue.claim(world.reviewer)
    answer = made.reject("Weapons")
    code = f"""
import uuid
from moderation.models import User
from reviews import decisions
answer = decisions.Answer(uuid.UUID("{answer.id}"), "reject", ("Weapons",))
decisions.submit({seat.pk}, {seat.token}, User.objects.get(pk={world.reviewer.pk}), answer)
"""
    # The seat's row is changed before the decision is written: held there, half of it is done.
    with locked(ReviewTask, pk=seat.pk), process(code) as worker:
        wait_for(waits_for_a_lock)
        kill(worker)
        end_orphans()
    assert not Decision.objects.exists()
    first = decisions.submit(seat.pk, seat.token, world.reviewer, answer)
    assert decisions.submit(seat.pk, seat.token, world.reviewer, answer) == first
    OutboxMessage.objects.filter(kind="review").update(not_before=timezone.now())
    finish()
    check_books(world, loop)


class Store(BaseHTTPRequestHandler):
    """An S3 server that takes an object and never says so."""

    received: threading.Event

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.received.set()
        time.sleep(5)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def slow_store(world: World, loop: HumanLoop) -> Iterator[threading.Event]:
    Store.received = threading.Event()
    with ThreadingHTTPServer(("127.0.0.1", 0), Store) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        Bucket.objects.update(
            endpoint_url=f"http://127.0.0.1:{server.server_port}", access_key_id="a", secret_access_key="b"
        )
        yield Store.received
        server.shutdown()
        thread.join()


def test_killed_while_the_output_file_is_written(world: World, loop: HumanLoop, slow_store: threading.Event):
    answered(world, loop)
    with process(SETTLE) as worker:
        assert slow_store.wait(30)
        kill(worker)
    loop.refresh_from_db()
    assert (loop.status, loop.settled_at) == (HumanLoop.Status.IN_PROGRESS, None)
    Bucket.objects.update(endpoint_url="")
    finish()
    check_books(world, loop)


def test_killed_between_the_output_file_and_the_end_of_the_loop(world: World, loop: HumanLoop):
    answered(world, loop)
    with locked(HumanLoop, pk=loop.pk), process(SETTLE) as worker:
        wait_for(waits_for_a_lock)
        where = storage.locate(loop.flow.output_path)
        files = list(
            (Path(settings.DATA_DIR) / "buckets" / world.acme.pk / where.bucket).rglob(f"{loop.name}/output.json")
        )
        assert len(files) == 1, "written"
        kill(worker)
        end_orphans()
    loop.refresh_from_db()
    assert loop.status == HumanLoop.Status.IN_PROGRESS
    finish()
    check_books(world, loop)


def test_killed_between_the_end_of_the_loop_and_the_verdict(world: World, loop: HumanLoop):
    answered(world, loop)
    with locked(Submission, pk=loop.submission_id), process(SETTLE) as worker:
        wait_for(lambda: HumanLoop.objects.filter(status=HumanLoop.Status.COMPLETED).exists() and waits_for_a_lock())
        kill(worker)
        end_orphans()
    loop.refresh_from_db()
    assert (loop.status, loop.settled_at) == (HumanLoop.Status.COMPLETED, None)
    assert not GroundTruth.objects.exists()
    finish()
    check_books(world, loop)


def test_killed_between_the_verdict_and_the_note_that_it_is_done(world: World, loop: HumanLoop):
    answered(world, loop)
    with ExitStack() as held, process(SETTLE) as worker:
        with locked(Submission, pk=loop.submission_id):
            wait_for(waits_for_a_lock)
            held.enter_context(locked(OutboxMessage, kind="review"))
        wait_for(lambda: GroundTruth.objects.exists() and waits_for_a_lock())
        kill(worker)
        end_orphans()
    assert OutboxMessage.objects.get(kind="review").status == OutboxMessage.Status.WAITING
    finish()
    check_books(world, loop)


def test_killed_in_the_sweep_the_next_one_does_the_rest(world: World, loop: HumanLoop):
    [seat] = queue.claim(world.reviewer2)
    made.lapse(seat)
    HumanLoop.objects.update(available_until=timezone.now())
    with locked(HumanLoop, pk=loop.pk), process("from reviews import queue; queue.sweep()") as worker:
        wait_for(waits_for_a_lock)
        assert made.states(loop) == [ReviewTask.State.OPEN], "reopened, and its loop not yet failed"
        kill(worker)
        end_orphans()
    queue.sweep()
    queue.sweep()
    loop.refresh_from_db()
    assert loop.status == HumanLoop.Status.FAILED
    assert made.states(loop) == [ReviewTask.State.CLOSED, ReviewTask.State.OPEN], "a lead is asked, once"
    assert OutboxMessage.objects.filter(event="human_loop.failed").count() == 1


def test_two_workers_at_one_loop_do_it_once(world: World, loop: HumanLoop):
    answered(world, loop)
    code = f"from reviews import settlement; settlement.settle({loop.pk})"
    with process(code) as first, process(code) as second:
        with locked(HumanLoop, pk=loop.pk):
            wait_for(lambda: waits_for_a_lock(workers=2))
        assert (first.wait(30), second.wait(30)) == (0, 0)
    assert OutboxMessage.objects.filter(event="human_loop.completed").count() == 1
    finish()
    check_books(world, loop)
