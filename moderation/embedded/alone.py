"""One run of the product on a data folder at a time."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from moderation.embedded.errors import EmbeddedError
from moderation.embedded.home import Home
from moderation.embedded.locks import Lock
from moderation.embedded.processes import Identity, wait_until

# A run whose `make` was killed notices within this time; it then needs some more to stop.
NOTICE_SECONDS, STOP_SECONDS = 2.0, 60.0
_NAME = "up"


@contextmanager
def alone(home: Home, port: int, cancelled: Callable[[], bool], say: Callable[[str], None]) -> Iterator[None]:
    """Hold the data folder for this run: EmbeddedError beside a running one, a wait for one that is ending."""
    lock = home.lock(_NAME)
    try:
        if not lock.exclusive(wait=False):
            _wait(home, lock, cancelled, say)
        home.write_record(_NAME, {"process": Identity.of(os.getpid()).as_record(), "port": port})
        yield
    finally:
        lock.close()


def note_stopping(home: Home) -> None:
    """Tell a run that is about to start that this one is ending."""
    home.write_record(_NAME, {**home.record(_NAME), "stopping": True})


def _wait(home: Home, lock: Lock, cancelled: Callable[[], bool], say: Callable[[str], None]) -> None:
    found = home.record(_NAME)
    if not wait_until(lambda: cancelled() or _ending(home), NOTICE_SECONDS, 0.2):
        raise EmbeddedError(
            f"Second Look already runs on {home.path} (process {found.get('process', {}).get('pid')}, "
            f"port {found.get('port')}). Stop it first, or choose another DATA_DIR and PORT."
        )
    say("Waiting for an earlier run to end.")
    if not wait_until(lambda: cancelled() or lock.exclusive(wait=False), STOP_SECONDS, 0.2):
        raise EmbeddedError(f"An earlier run on {home.path} does not end. Stop it by hand.")
    if cancelled():
        raise EmbeddedError("Stopped before it started.")


def _ending(home: Home) -> bool:
    record = home.record(_NAME)
    process = Identity.read(record.get("process"))
    return process is None or not process.alive() or bool(record.get("stopping"))
