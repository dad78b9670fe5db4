"""`manage.py up`: the whole product on one machine, in the foreground."""

import argparse
import os
import signal
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from moderation import embedded
from moderation.embedded.alone import alone, note_stopping
from moderation.embedded.errors import EmbeddedError
from moderation.embedded.home import Home
from moderation.embedded.processes import can_bind
from moderation.embedded.stack import Lease, leased
from moderation.embedded.supervisor import Program, Supervisor

PYTHON = sys.executable


class Command(BaseCommand):
    """Starts servers, web, workers and beat; stops what it started."""

    help = "Run everything: embedded servers (unless DATABASE_URL, REDIS_URL name others), web server, workers, beat."
    requires_system_checks = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """The flags of the command line."""
        parser.add_argument("--no-worker", action="store_true", help="the web server alone: no Celery worker, no beat")
        parser.add_argument(
            "--embedded-s3", action="store_true", help="keep media in an embedded S3 server, from now on"
        )
        parser.add_argument(
            "--with-parent", action="store_true", help="stop when the process that started this one ends"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until Ctrl-C or SIGTERM.  CommandError when something cannot be started or keeps dying."""
        home = Home(settings.DATA_DIR)
        supervisor = Supervisor(home, self._say)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # ignored under nohup
                signal.signal(number, lambda *_: supervisor.ask_to_stop())
        try:
            with alone(home, settings.PORT, lambda: supervisor.stopping, self._say):
                if options["with_parent"]:
                    threading.Thread(target=_stop_with_parent, args=(home, supervisor), daemon=True).start()
                self._run(home, supervisor, options)
        except EmbeddedError as error:
            raise CommandError(str(error)) from None

    def _run(self, home: Home, supervisor: Supervisor, options: dict[str, Any]) -> None:
        if not can_bind(settings.BIND, settings.PORT):
            raise EmbeddedError(
                f"Port {settings.PORT} on {settings.BIND} is in use or not allowed. "
                f"Choose another: PORT={settings.PORT + 1}"
            )
        self._say(f"Second Look. Data: {home.path}")
        Path(settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)  # filled by collectstatic where a proxy serves it
        names = list(dict.fromkeys([*embedded.missing(), *(["s3"] if options["embedded_s3"] else [])]))
        if names:
            embedded.make_secrets(home)
        with leased(home, names, self._say) as leases:
            for lease in leases:
                self._say(f"{lease.title} is ready on port {lease.port}")
            try:
                self._prepare(supervisor)
                self._serve(supervisor, leases, worker=not options["no_worker"])
            finally:
                self._say("Stopping.")
                note_stopping(home)
                supervisor.stop()
        self._say("Stopped.")

    def _prepare(self, supervisor: Supervisor) -> None:
        if not supervisor.stopping:
            self._say("Bringing the database up to date")
            supervisor.run_once(_manage("migrate", "--no-input"), lambda line: line if "Applying" in line else None)
        for command in settings.FIRST_START_COMMANDS:
            if not supervisor.stopping:
                supervisor.run_once(_manage(command), lambda line: line)

    def _serve(self, supervisor: Supervisor, leases: list[Lease], *, worker: bool) -> None:
        if supervisor.stopping:
            return
        for program in [web(), *(workers() if worker else [])]:
            supervisor.start(program)
        before = [lease.environment for lease in leases]
        welcomed = False

        def look() -> None:
            nonlocal welcomed
            self._look_after(leases, before)
            if not welcomed and _answers(f"http://{_host()}:{settings.PORT}/healthz"):
                welcomed = True
                self._welcome()

        supervisor.watch(look)

    def _look_after(self, leases: list[Lease], before: list[dict[str, str]]) -> None:
        for lease in leases:
            if not lease.alive():
                self._say(f"{lease.title} ended unexpectedly; starting it again")
                lease.acquire(self._say)
        if [lease.environment for lease in leases] != before:
            raise EmbeddedError("A server had to move to another port; start again to use it.")

    def _welcome(self) -> None:
        site = f"http://{_host()}:{settings.PORT}"
        for path, what in (("/", "start page"), ("/review/", "review"), ("/admin/", "admin"), ("/api/v1/docs/", "API")):
            self._say(f"  {site + path:<40} {what}")
        self._say("Ctrl-C stops everything.")

    def _say(self, line: str) -> None:
        try:
            self.stdout.write(line)
            self.stdout.flush()
        except OSError:  # the terminal is gone; the work is not
            pass


def _stop_with_parent(home: Home, supervisor: Supervisor) -> None:
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(0.3)
    note_stopping(home)
    supervisor.ask_to_stop()


def web() -> Program:
    """The web server: one process (one copy of the networks), many threads, most of which wait.

    Granian's own variables (GRANIAN_BLOCKING_THREADS, …) change the rest.
    """
    os.environ.setdefault("GRANIAN_BLOCKING_THREADS", "32")
    os.environ.setdefault("GRANIAN_LOG_LEVEL", "error")  # it warns of every thread count above 2 per core
    place = ["--host", settings.BIND, "--port", str(settings.PORT)]
    manner = [
        "--interface",
        "wsgi",
        "--workers",
        "1",
        "--no-ws",
        "--respawn-failed-workers",
        "--workers-kill-timeout",
        "8",
    ]
    return Program("web", [PYTHON, "-m", "granian", *place, *manner, "moderation.wsgi:application"])


def workers() -> list[Program]:
    """Pictures and light work in one process, films in another, and beat.

    Threads, not forks: torch is loaded once and never before a fork.  Films stand apart: none of them blocks a picture.
    """
    return [
        _worker("worker", "images,light", threads=8),
        _worker("films", "videos", threads=1),
        Program("beat", [*_celery("beat"), "--schedule", str(settings.DATA_DIR / "run" / "beat-schedule")], grace=5),
    ]


def _worker(name: str, queues: str, threads: int) -> Program:
    pool = ["--pool", "threads", "--concurrency", str(threads), "--without-gossip", "--without-mingle"]
    return Program(name, [*_celery("worker"), "--hostname", f"{name}@%h", "--queues", queues, *pool])


def _celery(command: str) -> list[str]:
    quiet = ["-W", "ignore:You're running the worker with superuser"]  # known, and said on every start
    return [PYTHON, *quiet, "-m", "celery", "--app", "moderation.celery", "--quiet", command, "--loglevel", "WARNING"]


def _manage(*arguments: str) -> Program:
    return Program(arguments[0], [PYTHON, str(settings.BASE_DIR / "manage.py"), *arguments])


def _host() -> str:
    return "127.0.0.1" if settings.BIND in ("0.0.0.0", "::") else settings.BIND  # noqa: S104


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):  # noqa: S310
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
