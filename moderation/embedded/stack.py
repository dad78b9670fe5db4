"""Starting, sharing and letting go of the embedded servers."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from moderation.embedded import keeper
from moderation.embedded.catalog import SERVERS
from moderation.embedded.errors import EmbeddedError
from moderation.embedded.home import Home
from moderation.embedded.processes import Identity, listens, wait_until
from moderation.embedded.server import Report

_ROOT = Path(__file__).resolve().parents[2]


class Lease:
    """The use of one server: it runs at least as long as anyone holds a lease on it."""

    def __init__(self, home: Home, name: str) -> None:
        self._home = home
        self._server = SERVERS[name](home)
        self._users = home.lock(f"{name}.users")
        self.title = self._server.title

    def acquire(self, report: Report) -> None:
        """Join the users of the running server, or start it; EmbeddedError when it does not start."""
        starting = self._home.lock(f"{self._server.name}.start")
        starting.exclusive()
        try:
            self._users.shared()  # waits for a server that is just stopping
            if not (self.alive() and listens(self.port)):
                self._start(report)
        finally:
            starting.close()

    def alive(self) -> bool:
        """Whether the server and its keeper run."""
        record = self._home.record(self._server.name)
        return all((found := Identity.read(record.get(part))) and found.alive() for part in ("keeper", "process"))

    @property
    def port(self) -> int:
        """Its loopback port."""
        ports = self._home.record(self._server.name).get("ports") or [0]
        return int(ports[0])

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that lead a client to it."""
        return self._server.environment(self.port)

    def release(self) -> None:
        """Let go; when nobody else uses the server, return after it has stopped."""
        self._users.release()
        found = Identity.read(self._home.record(self._server.name).get("keeper"))
        if found is not None:
            wait_until(lambda: not found.alive() or self._used_by_others(), self._server.grace + 5)
        self._users.close()

    def _used_by_others(self) -> bool:
        """Others hold the lock shared; the keeper alone would hold it exclusively, and nobody at all leaves it free."""
        if self._users.exclusive(wait=False):
            self._users.release()
            return False
        shared = self._users.shared(wait=False)
        self._users.release()
        return shared

    def _start(self, report: Report) -> None:
        reader, writer = os.pipe()
        arguments = ["server", self._server.name, str(self._home.path), str(writer)]
        with self._server.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", keeper.__name__, *arguments, *(["--volatile"] if self._home.volatile else [])],
                cwd=_ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[writer],
                start_new_session=True,  # a Ctrl-C meant for the command must not reach it
            )
        process.returncode = 0  # it outlives this process by design: no warning about that
        os.close(writer)
        with os.fdopen(reader) as answers:
            self._listen(answers, report)

    def _listen(self, answers: Iterable[str], report: Report) -> None:
        for line in answers:
            match json.loads(line):
                case {"step": step}:
                    report(f"{self.title}: {step}")
                case {"error": error}:
                    raise EmbeddedError(str(error))
                case {"ready": True}:
                    return
        raise EmbeddedError(f"{self.title} did not start (log: {self._server.log})")


@contextmanager
def leased(home: Home, names: Iterable[str], report: Report) -> Iterator[list[Lease]]:
    """Hold the named servers for the length of the block; their addresses are set in this process's environment."""
    with ExitStack() as stack:
        leases = []
        for name in names:
            lease = Lease(home, name)
            lease.acquire(report)
            stack.callback(lease.release)
            os.environ.update(lease.environment)
            leases.append(lease)
        yield leases
