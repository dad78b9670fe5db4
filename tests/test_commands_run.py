"""`manage.py up`, as `make run` calls it: started, killed, started again, stopped; each time for real."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from moderation.embedded.processes import free_ports, wait_until
from tests.servers import plain_environment

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 120  # seconds; a busy machine starts slowly

pytestmark = pytest.mark.slow


class Product:
    """One installation in a folder of its own, on a port of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_ports(1, [])[0]
        self.said: list[str] = []
        self.environment = {
            **plain_environment(),
            "DATA_DIR": str(folder),
            "PORT": str(self.port),
            "ENGINE": "fake",
            "PYTHONUNBUFFERED": "1",
        }

    def up(self, *flags: str) -> "subprocess.Popen[str]":
        """Start it; what it says is collected."""
        return self.start([sys.executable, "manage.py", "up", *flags])

    def start(self, command: list[str]) -> "subprocess.Popen[str]":
        """Start a command that holds the product."""
        process = subprocess.Popen(
            command, cwd=ROOT, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        threading.Thread(target=self._listen, args=(process,), daemon=True).start()
        return process

    def manage(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run a command beside it to its end."""
        command = [sys.executable, "manage.py", *arguments]
        return subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=PATIENCE)

    def answers(self) -> bool:
        """Whether the web server does."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=2) as answer:
                return bool(answer.status == 200)
        except (OSError, http.client.HTTPException):
            return False

    def processes(self) -> list[str]:
        """The command lines of everything that works on this installation."""
        found = []
        for process in psutil.process_iter(["cmdline"]):
            line = " ".join(process.info["cmdline"] or [])
            if process.pid != os.getpid() and (str(self.folder) in line or f"--port {self.port} " in line):
                found.append(line)
        return found

    def record(self, name: str) -> int:
        """The pid of the program or server of that name."""
        return int(json.loads((self.folder / "run" / f"{name}.json").read_text())["process"]["pid"])

    def heard(self, text: str) -> bool:
        """Whether a line with that text has been said."""
        return any(text in line for line in list(self.said))

    def _listen(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        with process.stdout:
            self.said.extend(process.stdout)


@pytest.fixture
def product(tmp_path: Path) -> Iterator[Product]:
    """Not running yet; nothing of it may be left."""
    product = Product(tmp_path / "var")
    yield product
    left = product.processes()
    for process in psutil.process_iter(["cmdline"]):
        if " ".join(process.info["cmdline"] or []) in left:
            process.kill()
    assert not left


def comes(condition: Callable[[], bool], seconds: float = PATIENCE) -> bool:
    return wait_until(condition, seconds, 0.1)


def test_it_starts_survives_a_kill_and_stops(product: Product) -> None:
    # The first start makes everything and says so.
    first = product.up()
    assert comes(product.answers), product.said
    assert comes(lambda: product.heard("Ctrl-C stops everything"))
    assert product.heard("creating the database")
    assert product.heard("Applying moderation.0001")
    secrets = json.loads((product.folder / "secrets" / "passwords.json").read_text())
    assert all(product.heard(password) for password in secrets.values())
    names = [path.stem for path in (product.folder / "run").glob("*.json")]
    assert {"postgres", "valkey", "web", "worker", "films", "beat", "up"} <= set(names)

    # Beside it, a second one is refused, and a command finds its servers.
    refused = product.manage("up")
    assert refused.returncode == 1
    assert f"already runs on {product.folder} (process {first.pid}, port {product.port})" in refused.stderr
    made = product.manage(
        "shell", "-v0", "-c", "from moderation.models import Account as A; A.objects.create(pk='424242424242')"
    )
    assert made.returncode == 0, made.stderr
    assert product.answers()

    # A web server that dies comes back.
    os.kill(product.record("web"), signal.SIGKILL)
    assert comes(lambda: product.heard("web ended unexpectedly (signal 9)"))
    assert comes(product.answers)

    # Killed, it leaves nothing behind; started again, it finds its data.
    first.kill()
    first.wait()
    product.said.clear()
    again = product.up("--no-worker")
    assert comes(lambda: product.heard("Ctrl-C stops everything") and product.answers())
    found = product.manage(
        "shell", "-v0", "-c", "from moderation.models import Account as A; print(A.objects.get(pk='424242424242'))"
    )
    assert "424242424242" in found.stdout, found.stderr
    assert not any("celery" in line for line in product.processes())
    assert not any(product.heard(password) for password in secrets.values())

    # Ctrl-C ends it all.
    again.send_signal(signal.SIGINT)
    assert again.wait(PATIENCE) == 0
    assert comes(lambda: product.heard("Stopped."), 5)
    assert not product.processes()


def test_it_ends_with_make_however_make_ends_even_while_it_starts(product: Product) -> None:
    flags = "manage.py up --no-worker --with-parent"
    make = product.start(["sh", "-c", f"{sys.executable} {flags} & wait"])
    assert comes(lambda: product.heard("Bringing the database up to date")), product.said
    make.kill()
    make.wait()
    assert comes(lambda: not product.processes())


def test_a_port_in_use_is_said_before_anything_starts(product: Product) -> None:
    with socket.create_server(("127.0.0.1", product.port)):
        done = product.manage("up")
    assert done.returncode == 1
    assert f"Port {product.port} on 127.0.0.1 is in use" in done.stderr
    assert not (product.folder / "postgres").exists()


def test_a_command_brings_its_own_servers_and_takes_them_away(product: Product) -> None:
    done = product.manage(
        "shell", "-v0", "-c", "from django.db import connection as c; c.ensure_connection(); print('connected')"
    )
    assert done.stdout.strip() == "connected", done.stderr
    assert not product.processes()
