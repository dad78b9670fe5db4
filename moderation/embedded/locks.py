"""Advisory file locks (flock): the kernel drops them with the process that holds them, however it ends."""

import fcntl
import os
from pathlib import Path


class Lock:
    """A lock on one file, held shared by many or exclusively by one.

    The file stays: removing it would let two processes lock two different files of the same name.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def shared(self, *, wait: bool = True) -> bool:
        """Hold it with others; with ``wait=False`` return False when someone holds it exclusively."""
        return self._take(fcntl.LOCK_SH, wait)

    def exclusive(self, *, wait: bool = True) -> bool:
        """Hold it alone; with ``wait=False`` return False when anyone else holds it (and let go of what was held)."""
        return self._take(fcntl.LOCK_EX, wait)

    def release(self) -> None:
        """Let go; the lock can be taken again."""
        fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go for good."""
        os.close(self._file)

    def _take(self, kind: int, wait: bool) -> bool:
        try:
            fcntl.flock(self._file, kind if wait else kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
