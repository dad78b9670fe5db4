"""The account that PostgreSQL runs under when Second Look runs as root, which PostgreSQL refuses."""

import ctypes
import os
import pwd
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from moderation.embedded.errors import EmbeddedError

# Nothing is added to the machine: the first of these that exists serves, unless the database has an owner already.
_CANDIDATES = ("pgserver", "postgres", "nobody")

_PR_SET_KEEPCAPS = 8
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 47, 2
_CAPABILITY_VERSION_3 = 0x20080522
# Search any folder; where a container withholds that (Docker does), pass any file permission.
_CAP_DAC_READ_SEARCH, _CAP_DAC_OVERRIDE = 2, 1


@dataclass(frozen=True)
class Account:
    """An unprivileged account to run as."""

    name: str
    uid: int
    gid: int

    def become(self, paths: list[Path]) -> Callable[[], None]:
        """A step for the child between fork and exec: drop root.

        Where a folder above one of ``paths`` is closed to the account (a checkout under /root, say), the child keeps
        the one capability to pass through closed folders, so that no permission need be widened for it.
        """
        closed = next((folder for path in paths for folder in path.parents if not self._may_pass(folder)), None)
        keep = _capability(closed, self.name) if closed else None

        def step() -> None:
            if keep is not None:
                keep.before()
            os.setgroups([])
            os.setgid(self.gid)
            os.setuid(self.uid)
            if keep is not None:
                keep.after()

        return step

    def _may_pass(self, folder: Path) -> bool:
        state = folder.stat()
        if state.st_uid == self.uid:
            return bool(state.st_mode & 0o100)
        return bool(state.st_mode & (0o010 if state.st_gid == self.gid else 0o001))


def unprivileged(cluster: Path) -> Account | None:
    """The account for the database in ``cluster``; None when this process is not root and needs none."""
    if os.geteuid() != 0:
        return None
    owner = cluster.stat().st_uid if cluster.exists() else 0
    for name in _CANDIDATES:
        try:
            entry = pwd.getpwuid(owner) if owner else pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    raise EmbeddedError(
        f"PostgreSQL does not run as root, and none of the accounts {', '.join(_CANDIDATES)} exists. "
        "Run as another user, or set DATABASE_URL."
    )


class _Capability:
    """One Linux capability carried across the change of user."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._libc = ctypes.CDLL(None, use_errno=True)

    def before(self) -> None:
        self._libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)

    def after(self) -> None:
        bit = 1 << self._number
        header = struct.pack("Ii", _CAPABILITY_VERSION_3, 0)
        self._libc.capset(header, struct.pack("6I", bit, bit, bit, 0, 0, 0))
        self._libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, self._number, 0, 0)


def _capability(closed: Path, account: str) -> _Capability:
    permitted = 0
    if sys.platform == "linux":
        status = Path("/proc/self/status").read_text()
        permitted = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapPrm:"))
    for number in (_CAP_DAC_READ_SEARCH, _CAP_DAC_OVERRIDE):
        if permitted & (1 << number):
            return _Capability(number)
    raise EmbeddedError(
        f"PostgreSQL runs as {account}, not as root, and {account} cannot pass through {closed}. "
        f"Run as another user, move the checkout or DATA_DIR, or: chmod o+x {closed}"
    )
