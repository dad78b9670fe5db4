"""Runs the product's processes side by side, shows what they say, starts one that died again, and stops them all."""

import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from moderation.embedded import keeper
from moderation.embedded.errors import EmbeddedError
from moderation.embedded.home import Home

Say = Callable[[str], None]

# So many deaths within so many seconds are no accident any more.
MAX_DEATHS, WITHIN_SECONDS = 5, 60.0
TICK_SECONDS = 0.3


@dataclass(frozen=True)
class Program:
    """One process of the product.  ``grace`` is how many seconds it gets to finish what it is at."""

    name: str
    command: list[str]
    grace: float = 10


@dataclass
class Running:
    """A program and the process that keeps it (see the keeper module)."""

    program: Program
    process: "subprocess.Popen[str]"
    deaths: deque[float] = field(default_factory=lambda: deque(maxlen=MAX_DEATHS))
    again_at: float | None = None


class Supervisor:
    """Keeps programs running until :meth:`ask_to_stop`.

    A program that died is started again after ``first_pause`` seconds, twice as many after every further death.
    """

    def __init__(self, home: Home, say: Say, first_pause: float = 1.0) -> None:
        self._first_pause = first_pause
        self._home = home
        self._say = say
        self._running: list[Running] = []
        self._stop = threading.Event()
        self.width = 8

    @property
    def stopping(self) -> bool:
        """Whether the end has been asked for."""
        return self._stop.is_set()

    def ask_to_stop(self) -> None:
        """Safe in a signal handler; asked again while the programs are stopping, they are ended at once."""
        if self._stop.is_set():
            for running in self._running:
                running.process.terminate()
        self._stop.set()

    def run_once(self, program: Program, show: Callable[[str], str | None]) -> None:
        """Run a program to its end, saying the lines that ``show`` makes of its output; EmbeddedError when it fails."""
        lines: list[str] = []

        def hear(line: str) -> None:
            lines.append(line)
            if (text := show(line)) is not None:
                self._say(text)

        process, listener = self._launch(program, hear)
        while process.poll() is None and not self._stop.wait(0.1):
            pass
        if process.poll() is None:
            process.terminate()
        code = process.wait()
        listener.join(timeout=5)
        if code and not self.stopping:
            raise EmbeddedError("\n".join([*lines[-30:], f"{program.name} failed ({_ending(code)})."]))

    def start(self, program: Program) -> None:
        """Start a program that is to run until the end."""
        self._running.append(Running(program, self._start(program)))

    def watch(self, tick: Callable[[], None]) -> None:
        """Return when the end is asked for; ``tick`` runs every moment.  EmbeddedError when a program keeps dying."""
        while not self._stop.wait(TICK_SECONDS):
            tick()
            for running in self._running:
                self._look_after(running)

    def stop(self) -> None:
        """Ask every program to end, and return when all have."""
        self._stop.set()
        for running in self._running:
            running.process.terminate()
        for running in self._running:
            running.process.wait()

    def _look_after(self, running: Running) -> None:
        name = running.program.name
        if running.again_at is not None:
            if time.monotonic() >= running.again_at:
                running.again_at = None
                running.process = self._start(running.program)
            return
        code = running.process.poll()
        if code is None:
            return
        now = time.monotonic()
        running.deaths.append(now)
        if len(running.deaths) == MAX_DEATHS and now - running.deaths[0] < WITHIN_SECONDS:
            raise EmbeddedError(
                f"{name} ended {MAX_DEATHS} times within a minute, last with {_ending(code)}; giving up."
            )
        recent = sum(1 for death in running.deaths if now - death < WITHIN_SECONDS)
        pause = self._first_pause * 2 ** (recent - 1)
        running.again_at = now + pause
        self._say(f"{name} ended unexpectedly ({_ending(code)}); starting it again in {pause:.0f} s")

    def _start(self, program: Program) -> "subprocess.Popen[str]":
        label = f"{program.name:<{self.width}}"
        return self._launch(program, lambda line: self._say(f"{label} | {line}"))[0]

    def _launch(self, program: Program, hear: Say) -> tuple["subprocess.Popen[str]", threading.Thread]:
        arguments = ["program", program.name, str(self._home.path), str(program.grace), "--", *program.command]
        process = subprocess.Popen(
            [sys.executable, "-m", keeper.__name__, *arguments],
            cwd=Path(__file__).resolve().parents[2],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # Ctrl-C reaches `up` alone, which then stops the programs in order
        )
        listener = threading.Thread(target=_listen, args=(process, hear), daemon=True)
        listener.start()
        return process, listener


def _listen(process: "subprocess.Popen[str]", hear: Say) -> None:
    if process.stdout is not None:
        for line in filter(None, map(str.rstrip, process.stdout)):
            hear(line)


def _ending(code: int) -> str:
    """Keepers pass a signal on as a negative exit code, which the system shows as 256 less."""
    code = code - 256 if code > 192 else code
    return f"signal {-code}" if code < 0 else f"exit code {code}"
