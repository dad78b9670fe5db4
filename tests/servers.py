"""Starts the servers of a test run: an early pytest plugin (see pyproject.toml), since Django soon reads its settings.

PostgreSQL and Valkey run on a folder and ports of their own, beside a running product, and end with the run however it
ends.  The parallel workers of pytest-xdist inherit them: each has its own database, Valkey database and data folder.
"""

import atexit
import base64
import importlib
import os
import shutil
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path

from moderation.embedded import ADDRESSES
from moderation.embedded.home import Home
from moderation.embedded.stack import leased

HOME = "SECOND_LOOK_TEST_HOME"
# What a developer's environment says of a real installation has no place here.
_FOREIGN = (
    *("AWS_", "BEHIND_PROXY", "BIND", "CELERY_BROKER_URL", "DATABASE_URL", "DATA_DIR", "DEBUG", "ENCRYPTION_KEYS"),
    *("ALLOWED_HOSTS", "MEDIA_", "PORT", "PUBLIC_URL", "REDIS_URL", "REGION", "S3_ENDPOINT_URL", "SECRET_KEY"),
)
_servers = ExitStack()


def home() -> Home:
    """The folder of this run's servers."""
    return Home(Path(os.environ[HOME]), volatile=True)


def plain_environment() -> dict[str, str]:
    """This process's environment less all that configures the product: what a user's fresh shell has."""
    ours = ("SECOND_LOOK_", "DJANGO_", "ENGINE", "PYTEST_")
    return {name: value for name, value in os.environ.items() if not name.startswith((*_FOREIGN, *ours))}


def _isolate() -> None:
    for name in list(os.environ):
        if name.startswith(_FOREIGN):
            del os.environ[name]
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "moderation.settings",
        "DJANGO_ALLOW_ASYNC_UNSAFE": "true",  # Playwright runs an event loop in the thread of the test
        "AWS_EC2_METADATA_DISABLED": "true",
        "SECRET_KEY": "known to every test and of no use anywhere else",
        "ENCRYPTION_KEYS": base64.urlsafe_b64encode(b"for tests alone".ljust(32, b".")).decode(),
        "ENGINE": os.environ.get("ENGINE", "fake"),
    }


def _sweep() -> None:
    """Remove what runs that were killed have left: folders whose servers nobody holds any more."""
    for folder in Path(tempfile.gettempdir()).glob("second-look-tests-*"):
        with suppress(OSError):
            old = time.time() - folder.stat().st_mtime > 600
            if old and Home(folder).lock("postgres.users").exclusive(wait=False):
                shutil.rmtree(folder, ignore_errors=True)


def _start() -> None:
    _isolate()
    _sweep()
    folder = Path(tempfile.mkdtemp(prefix="second-look-tests-"))
    folder.chmod(0o711)  # as root, PostgreSQL runs under another account, which must pass through
    os.environ[HOME] = str(folder)
    _servers.callback(shutil.rmtree, folder, ignore_errors=True)
    _servers.enter_context(leased(home(), list(ADDRESSES), lambda line: None))
    atexit.register(_servers.close)


def _take_own_place(worker: str) -> None:
    data = home().path / f"data-{worker}"
    (data / "static").mkdir(parents=True, exist_ok=True)
    os.environ["DATA_DIR"] = str(data)
    number = int(worker.removeprefix("gw")) if worker.startswith("gw") else 0
    os.environ["REDIS_URL"] = f"{os.environ['REDIS_URL'].rpartition('/')[0]}/{number % 16}"


if not {"-h", "--help", "-V", "--version"} & set(sys.argv):
    if "PYTEST_XDIST_WORKER" not in os.environ:
        _start()
    _take_own_place(os.environ.get("PYTEST_XDIST_WORKER", "main"))
    # pytest-randomly imports model_bakery, which enters Django by a door that only opens once this is loaded.
    importlib.import_module("django.db.models")
