"""What a DetectModerationLabels call costs beside the engine: `python -m benchmarks.aws_overhead`.

First over HTTP: a real granian with the fake engine, PostgreSQL and Valkey of its own, and 1, 8 and 32 clients that
each send the next signed call when the last is answered.  Then in this process: how much CPU each stage of a call
takes, the stages inside it taken off.  CPU is that of the web server's processes, and apart from it PostgreSQL's; the
clients share the machine, so on a busy one believe the CPU columns, not the clock's.

The picture is small, and the default policy approves it: decoding grows with the picture (`--side`), and a human loop
costs as much again.
"""

import argparse
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import uuid
from base64 import b64encode
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import django
import psutil
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from rich.console import Console
from rich.table import Table

CLIENTS = (1, 8, 32)
STAGE_CALLS = 300


@dataclass(frozen=True)
class Request:
    """A signed call; it may be sent many times under other invocation ids, which boto3 does not sign."""

    headers: dict[str, str]
    body: bytes

    @classmethod
    def signed(cls, url: str, key_id: str, secret: str, side: int) -> "Request":
        """DetectModerationLabels of a picture with a label that the default policy approves, as boto3 sends it."""
        from tests.media import picture

        data = picture("Alcoholic Beverages", 95, size=(side, side * 3 // 4))
        body = json.dumps({"Image": {"Bytes": b64encode(data).decode()}, "MinConfidence": 50}).encode()
        headers = {
            "Host": urlsplit(url).netloc,
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": "RekognitionService.DetectModerationLabels",
        }
        request = AWSRequest("POST", f"{url}/", headers=headers, data=body)
        SigV4Auth(Credentials(key_id, secret), "rekognition", "us-east-1").add_auth(request)
        return cls(dict(request.headers.items()), body)

    def fresh_headers(self) -> dict[str, str]:
        """The headers of a call that was never sent before."""
        return {**self.headers, "amz-sdk-invocation-id": str(uuid.uuid4()), "amz-sdk-request": "attempt=1"}


@contextmanager
def installation() -> Iterator[tuple[str, str]]:
    """PostgreSQL, Valkey, the product's tables, an account and a key (id and secret) in a scratch folder."""
    from moderation.embedded import ADDRESSES
    from moderation.embedded.home import Home
    from moderation.embedded.stack import leased

    with tempfile.TemporaryDirectory(prefix="second-look-benchmark-") as folder:
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "moderation.settings",
            "DATA_DIR": folder,
            "SECRET_KEY": "for a benchmark alone",
            "ENCRYPTION_KEYS": b64encode(bytes(32)).decode(),
            "ENGINE": "fake",
            "LOG_LEVEL": "ERROR",
        }
        Path(folder).chmod(0o711)  # as root, PostgreSQL runs under another account, which must pass through
        with leased(Home(Path(folder), volatile=True), list(ADDRESSES), lambda line: None):
            django.setup()
            yield _account()


def _account() -> tuple[str, str]:
    from django.core.management import call_command

    from moderation.models import AccessKey, Account

    call_command("migrate", verbosity=0)
    issued = AccessKey.objects.issue(Account.objects.create(pk="111111111111", name="Benchmark"), "benchmark")
    return issued.key.key_id, issued.key.secret


@contextmanager
def web_server() -> Iterator[tuple[str, psutil.Process]]:
    """Granian as `manage.py up` runs it: its address and its process."""
    from moderation.embedded.processes import free_ports

    [port] = free_ports(1, [])
    options = ["--interface", "wsgi", "--workers", "1", "--blocking-threads", "32", "--no-ws", "--log-level", "error"]
    command = [sys.executable, "-m", "granian", *options, "--port", str(port), "moderation.wsgi:application"]
    url = f"http://127.0.0.1:{port}"
    with subprocess.Popen(command) as process:
        try:
            _wait_for(f"{url}/healthz")
            yield url, psutil.Process(process.pid)
        finally:
            process.terminate()


def _wait_for(url: str) -> None:
    for _ in range(600):
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError(url)


def send_for(seconds: float, url: str, request: Request, clients: int) -> list[float]:
    """So many clients, each sending one call after the other; the seconds that every call took."""
    took: list[float] = []
    end = time.monotonic() + seconds

    def client() -> None:
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
        while time.monotonic() < end:
            start = time.perf_counter()
            connection.request("POST", "/", request.body, request.fresh_headers())
            answer = connection.getresponse()
            found = json.load(answer)
            assert answer.status == 200 and found["ModerationLabels"], found
            took.append(time.perf_counter() - start)
        connection.close()

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return took


def over_http(request_for: Callable[[str], Request], seconds: float) -> Table:
    """Throughput, latency and CPU by number of clients."""
    table = Table("clients", "calls/s", "p50 ms", "p99 ms", "web CPU ms/call", "PostgreSQL CPU ms/call")
    with web_server() as (url, web):
        request = request_for(url)
        send_for(3, url, request, 4)
        for clients in CLIENTS:
            before = _cpu_of(web), _cpu_of_database()
            took = send_for(seconds, url, request, clients)
            used = _cpu_of(web) - before[0], _cpu_of_database() - before[1]
            cuts = statistics.quantiles(took, n=100)
            row = (len(took) / seconds, cuts[49] * 1000, cuts[98] * 1000, *(each / len(took) * 1000 for each in used))
            table.add_row(str(clients), *(f"{each:.1f}" for each in row))
    return table


def _cpu_of(process: psutil.Process) -> float:
    """Seconds of CPU of a process and its children."""
    total = 0.0
    for each in (process, *process.children(recursive=True)):
        times = each.cpu_times()
        total += times.user + times.system
    return total


def _cpu_of_database() -> float:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        backend = psutil.Process(cursor.fetchone()[0])
    parent = backend.parent()
    return _cpu_of(parent) if parent else 0.0


class Stages:
    """CPU seconds by stage, each without the stages inside it."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._inside = [0.0]

    def watch(self, owner: Any, name: str, stage: str) -> None:
        """Have that function's CPU counted for the stage."""
        function = getattr(owner, name)

        def watched(*args: Any, **kwargs: Any) -> Any:
            self._inside.append(0.0)
            start = time.thread_time()
            try:
                return function(*args, **kwargs)
            finally:
                used = time.thread_time() - start
                self.seconds[stage] += used - self._inside.pop()
                self._inside[-1] += used

        setattr(owner, name, watched)


def by_stage(request: Request) -> Table:
    """CPU by stage of calls made in this process, without a web server."""
    from django.test import RequestFactory

    from moderation.aws import endpoint
    from moderation.urls import aws

    def call() -> None:
        headers = {name: value for name, value in request.fresh_headers().items() if name != "Content-Type"}
        kind = request.headers["Content-Type"]
        posted = RequestFactory().generic("POST", "/", request.body, kind, headers=headers, RAW_URI="/")
        answer = aws(posted)
        assert answer.status_code == 200, answer.content

    for _ in range(20):
        call()
    stages = Stages()
    _watch_all(stages)
    stages.watch(endpoint._Exchange, "respond", "the endpoint itself")
    for _ in range(STAGE_CALLS):
        call()
    table = Table("stage", "CPU ms/call")
    for stage, seconds in sorted(stages.seconds.items(), key=lambda item: -item[1]):
        table.add_row(stage, f"{seconds / STAGE_CALLS * 1000:.2f}")
    table.add_row("all", f"{sum(stages.seconds.values()) / STAGE_CALLS * 1000:.2f}", style="bold")
    return table


def _watch_all(stages: Stages) -> None:
    from django.db.backends.utils import CursorWrapper
    from django.db.transaction import Atomic

    from moderation import intake, pipeline
    from moderation.aws import protocol, rekognition, retries, sigv4
    from moderation.inference.fake import FakeEngine
    from moderation.models import Analysis, Submission
    from moderation.models.access import AccessKeyQuerySet
    from reviews import activation

    stages.watch(sigv4, "verify", "signature")
    stages.watch(AccessKeyQuerySet, "live", "access key: ORM, decryption")
    stages.watch(protocol.Call, "read", "request: JSON, base64, constraints")
    stages.watch(retries, "begun_before", "was it sent before?: ORM")
    stages.watch(rekognition, "_moderate", "operation")
    stages.watch(intake, "accept", "intake: digest, three rows, ORM")
    stages.watch(intake, "decode", "picture decoding")
    stages.watch(FakeEngine, "detect", "the fake engine")
    stages.watch(pipeline, "judge", "policy")
    stages.watch(Analysis, "finish", "analysis and detections: ORM")
    stages.watch(Submission, "settle", "verdict, status, webhooks: ORM")
    stages.watch(activation, "consider", "human review: ORM")
    stages.watch(protocol.Call, "write", "answer: checks, JSON")
    stages.watch(CursorWrapper, "execute", "database driver: statements and waiting for them")
    stages.watch(Atomic, "__enter__", "database driver: begin, commit")
    stages.watch(Atomic, "__exit__", "database driver: begin, commit")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=8.0, help="for each number of clients")
    parser.add_argument("--side", type=int, default=640, help="the picture's longer side in pixels")
    options = parser.parse_args()
    with installation() as (key_id, secret):
        console = Console()
        console.print(over_http(lambda url: Request.signed(url, key_id, secret, options.side), options.seconds))
        console.print(by_stage(Request.signed("http://127.0.0.1", key_id, secret, options.side)))


if __name__ == "__main__":
    main()
