"""Processes by identity (pid and start time, so that a recycled pid is never mistaken), and free ports."""

import ctypes
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psutil

# Two processes of one pid cannot have started within this many seconds; a corrected clock shifts start times by less.
_SAME_START = 2.0
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Identity:
    """One process, for as long as it lives.  ``started`` is in seconds since the epoch."""

    pid: int
    started: float

    @classmethod
    def of(cls, pid: int) -> "Identity":
        """The process that has this pid now; psutil.NoSuchProcess when there is none."""
        return cls(pid, psutil.Process(pid).create_time())

    @classmethod
    def read(cls, record: object) -> "Identity | None":
        """From a record written by :meth:`as_record`."""
        match record:
            case {"pid": int(pid), "started": int(started) | float(started)}:
                return cls(pid, started)
        return None

    def as_record(self) -> dict[str, Any]:
        """As JSON."""
        return {"pid": self.pid, "started": self.started}

    def alive(self) -> bool:
        """Whether this very process still runs."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < _SAME_START
            return same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False

    def stop(self, number: signal.Signals = signal.SIGTERM, grace: float = 10) -> None:
        """Ask it to end; after ``grace`` seconds end it.  Its process group goes with it when it leads one."""
        for attempt in (number, signal.SIGKILL):
            if self.alive():
                _signal(self.pid, attempt)
                self.wait(grace)

    def wait(self, seconds: float) -> bool:
        """True once it has ended, False when it still runs after ``seconds``."""
        return wait_until(lambda: not self.alive(), seconds)


def wait_until(condition: Callable[[], bool], seconds: float, pause: float = 0.03) -> bool:
    """True as soon as ``condition`` holds, False when it does not within ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
    return True


def end_with_parent(number: signal.Signals) -> Callable[[], None]:
    """A step for the child between fork and exec: the kernel sends ``number`` when the parent ends (Linux alone)."""
    if sys.platform != "linux":
        return lambda: None
    parent = os.getpid()
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def step() -> None:
        prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
        if os.getppid() != parent:  # it ended before the kernel was told
            os._exit(1)

    return step


def listens(port: int, host: str = "127.0.0.1") -> bool:
    """Whether something answers on the port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, port)) == 0


def can_bind(host: str, port: int) -> bool:
    """Whether a server could listen there now."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError:
            return False
        return True


def free_ports(count: int, wanted: list[int]) -> list[int]:
    """``count`` free ports on the loopback: the ``wanted`` ones when all of them are free."""
    if len(wanted) == count and all(can_bind("127.0.0.1", port) for port in wanted):
        return wanted
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        if os.getpgid(pid) == pid:
            os.killpg(pid, number)
        else:
            os.kill(pid, number)
    except ProcessLookupError:
        pass
