"""The bench that the other tests stand on: real servers, each test on its own."""

import os
from urllib.parse import urlsplit

import pytest
import redis
from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError, connection, transaction
from playwright.sync_api import Page
from pytest_django.live_server_helper import LiveServer

from moderation.models import Account, Policy, PolicyVersion
from tests.conftest import ObjectStore


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("turn", [1, 2])
def test_append_only_rows_are_guarded_and_yet_gone_before_the_next_test(turn: int) -> None:
    assert not PolicyVersion.objects.exists()
    Policy.objects.create(account=Account.objects.create(pk="123456789012"), name="p").revise([])
    with (
        pytest.raises(DatabaseError, match="truncate append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(f"TRUNCATE {PolicyVersion._meta.db_table} CASCADE")
    assert PolicyVersion.objects.count() == 1


@pytest.mark.django_db
def test_the_database_is_the_runs_own_and_its_user_no_superuser() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_database(), rolsuper FROM pg_roles WHERE rolname = current_user")
        name, superuser = cursor.fetchone()
    assert name.startswith("test_")
    assert not superuser
    assert str(settings.DATA_DIR).startswith(os.environ["SECOND_LOOK_TEST_HOME"])


@pytest.mark.parametrize("turn", [1, 2])
def test_valkey_starts_empty_and_is_the_cache_too(valkey: "redis.Redis", turn: int) -> None:
    assert valkey.dbsize() == 0
    cache.set("word", "kept", 60)
    assert valkey.dbsize() == 1


def test_s3_takes_and_gives(s3: ObjectStore) -> None:
    bucket = s3.bucket("bench")
    s3.client.put_object(Bucket=bucket, Key="a", Body=b"1")
    assert s3.client.get_object(Bucket=bucket, Key="a")["Body"].read() == b"1"
    assert "S3_ENDPOINT_URL" not in os.environ
    assert "AWS_SECRET_ACCESS_KEY" not in os.environ


def test_a_browser_reaches_the_live_server_and_nothing_else(page: Page, live_server: LiveServer) -> None:
    hosts = set()
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    answer = page.goto(f"{live_server.url}/healthz")
    assert answer is not None
    assert answer.status == 200
    assert hosts == {urlsplit(live_server.url).netloc}
