"""Fixtures for every test: real servers, and a browser where there is one."""

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
import redis
from django.conf import settings
from django.db import connection
from django.db.backends.base.operations import BaseDatabaseOperations
from mypy_boto3_s3.client import S3Client
from pytest_django import DjangoDbBlocker

from moderation.embedded.stack import leased
from tests import servers
from tests.world import world  # noqa: F401  (a fixture for every test)

CHROMIUM = os.environ.get("CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"))), None
)
_BROWSER_FIXTURES = {"page", "context", "browser"}


# --- database ---


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Let the emptying of tables between transactional tests pass the guards of append-only rows.

    While Playwright's event loop runs, Django opens a second connection: hence the class, and hence the farewell.
    """
    operations = type(connection.ops)
    flush = operations.execute_sql_flush

    def flush_without_triggers(self: BaseDatabaseOperations, statements: Iterable[str]) -> None:
        flush(self, ["SET LOCAL session_replication_role = 'replica'", *statements])

    operations.execute_sql_flush = flush_without_triggers  # type: ignore[assignment]
    yield
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )


# --- broker, cache ---


@pytest.fixture
def valkey() -> Iterator["redis.Redis"]:
    """A client of this worker's own Valkey database, emptied."""
    client = redis.Redis.from_url(settings.REDIS_URL)
    client.flushdb()
    yield client
    client.close()


# --- object storage ---


@dataclass(frozen=True)
class ObjectStore:
    """A real S3 server and a client of it."""

    endpoint: str
    access_key: str
    secret_key: str
    client: S3Client

    def bucket(self, name: str) -> str:
        """Make a bucket of that name, unless it is there, and return the name."""
        if name not in {bucket["Name"] for bucket in self.client.list_buckets()["Buckets"]}:
            self.client.create_bucket(Bucket=name)
        return name


@pytest.fixture(scope="session")
def s3() -> Iterator[ObjectStore]:
    """Started when the first test asks for it (some 3 s), shared by all workers."""
    before = dict(os.environ)
    with ExitStack() as stack:
        [lease] = stack.enter_context(leased(servers.home(), ["s3"], lambda line: None))
        address = lease.environment
        for name in address:  # the tests say themselves where they mean this server
            os.environ.pop(name) if name not in before else os.environ.update({name: before[name]})
        endpoint = address["S3_ENDPOINT_URL"]
        access_key, secret_key = address["AWS_ACCESS_KEY_ID"], address["AWS_SECRET_ACCESS_KEY"]
        client = boto3.client(
            "s3", "us-east-1", endpoint_url=endpoint, aws_access_key_id=access_key, aws_secret_access_key=secret_key
        )
        yield ObjectStore(endpoint, access_key, secret_key, client)


# --- browser ---


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """The machine's own Chromium, quiet and offline."""
    arguments = ["--disable-background-networking", "--disable-component-update", "--no-first-run", "--disable-sync"]
    if os.geteuid() == 0:
        arguments.append("--no-sandbox")
    return {**browser_type_launch_args, "executable_path": CHROMIUM, "args": arguments}


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args: dict[str, Any]) -> dict[str, Any]:
    """The same on every machine."""
    return {**browser_context_args, "locale": "en-GB", "timezone_id": "UTC", "reduced_motion": "reduce"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what drives a browser; without one skip it with a notice, in CI refuse to run."""
    for item in items:
        if _BROWSER_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker("browser")
    waiting = [item for item in items if item.get_closest_marker("browser")]
    if CHROMIUM or not waiting:
        return
    if os.environ.get("CI", "").lower() in ("1", "true"):
        raise pytest.UsageError(f"Chromium is not installed, and {len(waiting)} browser tests need it (CI=true).")
    notice = pytest.mark.skip(reason="Chromium is not installed (set CHROMIUM to its path)")
    for item in waiting:
        item.add_marker(notice)
