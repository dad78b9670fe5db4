"""The small process that stands behind every process of the local stack and makes sure that none of them is left over.

    python -m moderation.embedded.keeper server NAME DATA_DIR PIPE [--volatile]
    python -m moderation.embedded.keeper program NAME DATA_DIR GRACE -- COMMAND…

A keeper runs one command and waits at a lock that the command's users hold.  When the last of them has let go or died,
by whatever signal, the kernel gives the keeper the lock; it then stops the command and ends.  Should the keeper itself
be killed, the kernel ends the command (Linux), or the next start finds it by the record in DATA_DIR/run.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

from moderation.embedded.catalog import SERVERS
from moderation.embedded.errors import EmbeddedError
from moderation.embedded.home import Home
from moderation.embedded.locks import Lock
from moderation.embedded.processes import Identity, end_with_parent, free_ports, wait_until
from moderation.embedded.server import Server

START_SECONDS = 60
_LOG_BYTES = 5_000_000
_PLAIN_VARIABLES = ("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL")


class Keeper:
    """Holds one process: passes a request to stop on, insists when it is not heeded, and reports how it ended."""

    def __init__(self, process: "subprocess.Popen[bytes]", number: signal.Signals, grace: float) -> None:
        self._process = process
        self._number = number
        self._grace = grace
        self._asked = False
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGALRM, self._kill)

    def stop_after(self, wait: Callable[[], object]) -> None:
        """Stop once ``wait`` has returned."""

        def watch() -> None:
            wait()
            os.kill(os.getpid(), signal.SIGTERM)

        threading.Thread(target=watch, daemon=True).start()

    def keep(self) -> int:
        """Wait for the end; the exit code, negative for a signal.  What the process left of its group goes with it."""
        code = self._process.wait()
        signal.alarm(0)
        self._kill()
        return code

    def _stop(self, *_: object) -> None:
        if self._asked:
            self._kill()
            return
        self._asked = True
        self._process.send_signal(self._number)
        signal.setitimer(signal.ITIMER_REAL, self._grace)

    def _kill(self, *_: object) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)


def keep_server(server: Server, report: Callable[..., None]) -> int:
    """Start the server, report its port, keep it until nobody holds its lock."""
    home = server.home
    users = home.lock(f"{server.name}.users")
    stop_recorded(home, server.name, server.stop_signal, server.grace)
    server.prepare(lambda line: report(step=line))
    wanted = home.record(server.name).get("ports", [])
    ports = free_ports(server.ports, wanted if isinstance(wanted, list) else [])
    variables = {name: os.environ[name] for name in _PLAIN_VARIABLES if name in os.environ} | server.variables()
    steps = [step for step in (server.privileges(), end_with_parent(server.stop_signal)) if step]
    with _log(server.log) as log:
        process = _launch(server.command(ports), steps, env=variables, cwd=server.folder, output=log)
    identity = Identity.of(process.pid)
    _record(home, server.name, identity, ports)
    keeper = Keeper(process, server.stop_signal, server.grace)
    wait_until(lambda: process.poll() is not None or server.ready(identity, ports), START_SECONDS)
    if process.poll() is not None or not server.ready(identity, ports):
        process.kill()
        raise EmbeddedError(f"{server.title} did not start. {_last_line(server.log)} (log: {server.log})")
    report(ready=True)
    keeper.stop_after(users.exclusive)
    code = keeper.keep()
    server.tidy(ports)
    if home.volatile:
        shutil.rmtree(server.folder, ignore_errors=True)
    return code


def keep_program(home: Home, name: str, grace: float, command: list[str]) -> int:
    """Run the command until ``up``, which holds the lock of that name, has ended.  The servers are held meanwhile."""
    held = [home.lock(f"{server}.users") for server in SERVERS if home.record(server)]
    for lock in held:
        lock.shared()
    stop_recorded(home, name, signal.SIGTERM, grace)
    process = _launch(command, [end_with_parent(signal.SIGTERM)], env=dict(os.environ), cwd=Path.cwd(), output=None)
    _record(home, name, Identity.of(process.pid), [])
    keeper = Keeper(process, signal.SIGTERM, grace)
    keeper.stop_after(_wait_for_end_of_up(home.lock("up")))
    return keeper.keep()


def stop_recorded(home: Home, name: str, number: signal.Signals, grace: float) -> None:
    """Stop the process of that name which a killed run left behind."""
    if left_over := Identity.read(home.record(name).get("process")):
        left_over.stop(number, grace)


def _wait_for_end_of_up(lock: Lock) -> Callable[[], object]:
    """Shared, so that all keepers of a run that ended wake at once; a new run gets the lock when they are done."""
    return lock.shared


def _launch(
    command: list[str],
    steps: list[Callable[[], None]],
    *,
    env: dict[str, str],
    cwd: Path,
    output: "IO[bytes] | None",
) -> "subprocess.Popen[bytes]":
    def before_exec() -> None:
        for step in steps:
            step()

    return subprocess.Popen(
        command,
        env=env,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        process_group=0,
        preexec_fn=before_exec,  # safe: this process has a single thread until the command runs
    )


def _record(home: Home, name: str, process: Identity, ports: list[int]) -> None:
    keeper = Identity.of(os.getpid())
    home.write_record(name, {"keeper": keeper.as_record(), "process": process.as_record(), "ports": ports})


def _log(path: Path) -> IO[bytes]:
    if path.exists() and path.stat().st_size > _LOG_BYTES:
        path.replace(path.with_suffix(".log.1"))
    return path.open("ab")


def _last_line(path: Path) -> str:
    lines = path.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "It said nothing"


def _main(arguments: list[str]) -> int:
    match arguments:
        case ["server", name, folder, pipe, *options]:
            return _serve(SERVERS[name](Home(Path(folder), "--volatile" in options)), int(pipe))
        case ["program", name, folder, grace, "--", *command]:
            return keep_program(Home(Path(folder)), name, float(grace), command)
    raise SystemExit(__doc__)


def _serve(server: Server, pipe: int) -> int:
    with os.fdopen(pipe, "w", buffering=1) as answers:

        def report(**line: object) -> None:
            with suppress(BrokenPipeError, ValueError):  # nobody listens any more, or all has been said
                answers.write(json.dumps(line) + "\n")
                if "ready" in line:
                    answers.close()

        try:
            return keep_server(server, report)
        except (EmbeddedError, OSError) as error:
            report(error=str(error))
            return 1


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
