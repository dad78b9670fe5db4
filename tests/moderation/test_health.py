"""/healthz and /readyz."""

import socket
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
from django.core.files.storage import default_storage, storages
from django.db import connection
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings

from moderation import health
from moderation.health import Checks, NotReady
from moderation.inference import registry
from moderation.inference.types import WeightsMissing
from tests.moderation.brokers import broker_at

PARTS = {"database", "broker", "storage", "weights"}


def ready(status: int) -> dict[str, str]:
    """The reasons of the parts that are not ready."""
    answer = Client().get("/readyz")
    assert answer.status_code == status
    assert answer["Cache-Control"].startswith("max-age=0, no-cache, no-store")
    body = answer.json()
    assert set(body["parts"]) == PARTS
    assert body["ready"] == (status == 200)
    return {part: each["reason"] for part, each in body["parts"].items() if not each["ready"]}


def test_healthz_asks_nobody(django_assert_num_queries: DjangoAssertNumQueries, db: None) -> None:
    with django_assert_num_queries(0):
        answer = Client().get("/healthz")
    assert (answer.status_code, answer.content, answer["Content-Type"]) == (200, b"ok\n", "text/plain")
    assert Client().post("/healthz").status_code == 405


@pytest.mark.django_db(transaction=True)
def test_all_is_ready() -> None:
    assert ready(200) == {}
    assert default_storage.open(health.PROBE).read() == b"ready\n"


@pytest.mark.django_db(transaction=True)
def test_a_database_without_tables() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE moderation_account RENAME TO elsewhere")
        try:
            assert set(ready(503)) == {"database"}
        finally:
            cursor.execute("ALTER TABLE elsewhere RENAME TO moderation_account")
    assert ready(200) == {}


@pytest.mark.django_db(transaction=True)
def test_no_database(settings: Settings) -> None:
    right = connection.settings_dict["NAME"]
    connection.settings_dict["NAME"] = "there_is_none"
    try:
        reasons = _checks_anew()
    finally:
        connection.settings_dict["NAME"] = right
    assert set(reasons) == {"database"}
    assert "there_is_none" not in reasons["database"]


def _checks_anew() -> dict[str, str]:
    """In threads that have no connection yet."""
    checks = Checks({"database": health._database, "storage": health._storage})
    return {part: why for part, why in checks.run(5).items() if why}


@pytest.mark.django_db(transaction=True)
def test_no_broker() -> None:
    begin = time.monotonic()
    with broker_at("redis://user:password@127.0.0.1:1/0"):
        reasons = ready(503)
    assert time.monotonic() - begin < 5
    assert reasons == {"broker": "It cannot be reached or refuses (OperationalError)."}


@pytest.mark.django_db(transaction=True)
def test_a_broker_that_never_answers() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        begin = time.monotonic()
        with broker_at(f"redis://127.0.0.1:{silent.getsockname()[1]}/0"):
            assert ready(503) == {"broker": "No answer within 2 seconds."}
        assert time.monotonic() - begin < 5


@pytest.mark.django_db(transaction=True)
def test_a_storage_that_takes_no_file(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    options = {"location": tmp_path / "file", "allow_overwrite": True}
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {"BACKEND": "moderation.storage.WholeFileStorage", "OPTIONS": options},
    }
    assert storages["default"].exists("x") is False
    reasons = ready(503)
    assert set(reasons) == {"storage"}
    assert str(tmp_path) not in reasons["storage"]


@pytest.mark.django_db(transaction=True)
def test_no_weights(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def build(folder: Path) -> None:
        raise WeightsMissing("The weights in /secret/place are not there.")

    monkeypatch.setitem(registry.ENGINES, "none", build)
    settings.ENGINE = "none"
    assert ready(503) == {"weights": "The engine cannot be loaded (weights_missing)."}


@pytest.mark.django_db(transaction=True)
def test_weights_are_loaded_once(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[Path] = []

    def build(folder: Path) -> object:
        built.append(folder)
        return object()

    monkeypatch.setitem(registry.ENGINES, "slow", build)
    settings.ENGINE = "slow"
    for _ in range(3):
        ready(200)
    assert built == [settings.WEIGHTS_DIR]


# --- the checks ---


def test_a_part_that_hangs_is_named_and_holds_one_thread_alone() -> None:
    hold, begun = threading.Event(), []

    def hang() -> None:
        begun.append(threading.get_ident())
        hold.wait(30)

    checks = Checks({"slow": hang, "quick": lambda: None})
    begin = time.monotonic()
    for _ in range(3):
        assert checks.run(0.1) == {"slow": "No answer within 0.1 seconds.", "quick": ""}
    assert time.monotonic() - begin < 2
    assert len(begun) == 1
    hold.set()
    time.sleep(0.1)
    assert checks.run(5) == {"slow": "", "quick": ""}
    assert len(begun) >= 1


def test_reasons_tell_no_secrets(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise ConnectionError("postgresql://user:password@host refuses")

    def refuse() -> None:
        raise NotReady("The engine is not there.")

    reasons = Checks({"part": fail, "other": refuse}).run(5)
    assert reasons == {
        "part": "It cannot be reached or refuses (ConnectionError).",
        "other": "The engine is not there.",
    }
    assert "password" in caplog.text
