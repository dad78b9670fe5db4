"""Clients and web servers for the tests of the AWS face."""

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config
from django.conf import settings
from mypy_boto3_rekognition import RekognitionClient
from pytest_django.live_server_helper import LiveServer

from moderation.embedded.processes import free_ports
from moderation.models import IssuedKey
from tests.world import World

ClientFor = Callable[..., RekognitionClient]


def rekognition(url: str, issued: IssuedKey, **options: Any) -> RekognitionClient:
    """A boto3 client as a user makes it: only the endpoint is ours.  It does not retry unless told to."""
    given = {
        "region_name": "us-east-1",
        "aws_access_key_id": issued.key.key_id,
        "aws_secret_access_key": issued.key.secret,
        "config": Config(retries={"max_attempts": 0}),
        **options,
    }
    return boto3.client("rekognition", endpoint_url=url, **given)


@pytest.fixture
def client_for(live_server: LiveServer) -> ClientFor:
    """Makes boto3 clients of a key; whatever else is named goes into botocore's Config."""

    def make(issued: IssuedKey, *, secret: str = "", token: str | None = None, **config: Any) -> RekognitionClient:
        return rekognition(
            live_server.url,
            issued,
            aws_secret_access_key=secret or issued.key.secret,
            aws_session_token=token,
            config=Config(retries={"max_attempts": 0}, **config),
        )

    return make


@pytest.fixture
def acme(client_for: ClientFor, world: World) -> RekognitionClient:
    """A client with Acme's own key."""
    return client_for(world.key)


@dataclass(frozen=True)
class WebServer:
    """Granian, as the product runs it, on the database of the tests."""

    url: str
    log: Path
    pid: int

    @property
    def host(self) -> str:
        """Name and port."""
        return urlsplit(self.url).netloc


@contextmanager
def web_server(folder: Path, workers: int, **environment: str) -> Iterator[WebServer]:
    """Start it with so many processes and these settings; it ends with the block."""
    [port] = free_ports(1, [])
    database = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{settings.DATABASES['default']['NAME']}")
    options = ["--interface", "wsgi", "--workers", str(workers), "--blocking-threads", "16", "--no-ws"]
    command = [sys.executable, "-W", "ignore", "-m", "granian", *options, "--port", str(port), "--log-level", "error"]
    with (folder / "web.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "moderation.wsgi:application"],
            env={**os.environ, "DATABASE_URL": database.geturl(), "ALLOWED_HOSTS": "127.0.0.1", **environment},
            stdout=log,
            stderr=log,
        )
    server = WebServer(f"http://127.0.0.1:{port}", folder / "web.log", process.pid)
    try:
        _wait_for(server, process)
        yield server
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="session")
def granian(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    """Two processes of it, started when the first test asks."""
    with web_server(tmp_path_factory.mktemp("granian"), workers=2) as server:
        yield server


def _wait_for(server: WebServer, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(1200):
        try:
            urllib.request.urlopen(f"{server.url}/healthz", timeout=2).close()
            return
        except OSError:
            assert process.poll() is None, server.log.read_text()
            time.sleep(0.1)
    raise TimeoutError(server.log.read_text())
