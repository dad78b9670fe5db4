"""What the embedded servers have in common."""

import signal
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from moderation.embedded.home import Home
from moderation.embedded.processes import Identity

Report = Callable[[str], None]


class Server(ABC):
    """One server that comes inside a wheel, with its data in DATA_DIR.

    The keeper process calls :meth:`prepare`, then runs :meth:`command` until nobody uses the server any more.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    ports: ClassVar[int] = 1
    stop_signal = signal.SIGTERM
    grace: float = 10
    """Seconds it gets to stop."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.folder = home.path / self.name

    def prepare(self, report: Report) -> None:
        """Make the data folder when it is not there; ``report`` takes progress lines."""
        self.home.folder(self.name)

    @abstractmethod
    def command(self, ports: list[int]) -> list[str]:
        """The command line that serves on these loopback ports, the first of which clients use."""

    @abstractmethod
    def ready(self, process: Identity, ports: list[int]) -> bool:
        """Whether clients can connect."""

    @abstractmethod
    def environment(self, port: int) -> dict[str, str]:
        """The environment variables that lead a client to it."""

    def variables(self) -> dict[str, str]:
        """Environment variables of the server process itself, beside the plain ones."""
        return {}

    def privileges(self) -> Callable[[], None] | None:
        """A step for the child between fork and exec that gives up privileges; None when there are none."""
        return None

    def tidy(self, ports: list[int]) -> None:  # noqa: B027  (most servers leave nothing)
        """Remove what the server leaves behind outside its folder once it has ended."""

    @property
    def log(self) -> Path:
        """Its log file."""
        return self.home.folder("log") / f"{self.name}.log"
