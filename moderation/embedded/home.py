"""The layout of DATA_DIR that the embedded servers use: folders, secrets, locks and records of what runs."""

import json
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moderation.embedded.errors import EmbeddedError
from moderation.embedded.locks import Lock


@dataclass(frozen=True)
class Home:
    """One data folder.  ``volatile`` data belongs to a test run: it may be lost, and is removed at the end."""

    path: Path
    volatile: bool = False

    def folder(self, name: str) -> Path:
        """A folder in DATA_DIR for this user alone (mode 700), made when it is not there."""
        folder = self.path / name
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise EmbeddedError(f"Cannot make {folder}: {error.strerror}. DATA_DIR names the data folder.") from None
        return folder

    def lock(self, name: str) -> Lock:
        """The lock of that name."""
        return Lock(self.folder("run") / f"{name}.lock")

    def secret(self, name: str, make: Callable[[], str]) -> str:
        """The secret of that name, made once (mode 600).  Two processes that arrive together end with the same one."""
        path = self.folder("secrets") / name
        if not path.exists():
            draft = path.with_name(f".{name}.{secrets.token_hex(8)}")
            write_private(draft, make() + "\n")
            try:
                os.link(draft, path)
            except FileExistsError:
                pass
            finally:
                draft.unlink()
        return path.read_text().strip()

    def record(self, name: str) -> dict[str, Any]:
        """What was last recorded under that name; empty when there is nothing legible."""
        try:
            content = json.loads((self.folder("run") / f"{name}.json").read_text())
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def write_record(self, name: str, content: dict[str, Any]) -> None:
        """Record it, in one step: a reader sees the old content or the new."""
        path = self.folder("run") / f"{name}.json"
        draft = path.with_name(f".{name}.{os.getpid()}")
        write_private(draft, json.dumps(content))
        draft.replace(path)


def write_private(path: Path, content: str) -> None:
    """Write a new file that only its owner may read."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(content)
