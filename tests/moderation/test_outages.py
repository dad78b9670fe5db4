"""Parts that do not answer: the pages say so with 503, and do not pass for broken."""

import socket
from collections.abc import Iterator

import pytest
from django.core.cache import caches
from django.test import Client, RequestFactory
from pytest_django import Settings
from redis.exceptions import TimeoutError as CacheTimeout

from moderation.outages import Outages
from tests.world import World

pytestmark = pytest.mark.django_db


@pytest.fixture
def silent_cache(settings: Settings) -> Iterator[None]:
    """A cache that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        settings.CACHES = {
            "default": {
                "BACKEND": "django.core.cache.backends.redis.RedisCache",
                "LOCATION": f"redis://127.0.0.1:{listener.getsockname()[1]}/0",
                "OPTIONS": {"socket_timeout": 0.2, "socket_connect_timeout": 0.2},
            }
        }
        yield
    caches.close_all()


def test_signing_in_without_a_cache_is_unavailable_and_no_fault(world: World, silent_cache: None):
    # Tries are counted in the cache, and are not to be had for free while it is away.
    answer = Client(raise_request_exception=False).post(
        "/accounts/login/", {"login": "reviewer", "password": "not this one"}
    )
    assert answer.status_code == 503
    assert answer["Retry-After"] == "10"
    assert b"does not answer" in answer.content


def test_what_is_no_outage_stays_what_it_is():
    request = RequestFactory().get("/")
    middleware = Outages(lambda request: pytest.fail("not asked"))
    assert middleware.process_exception(request, ValueError("a bug")) is None
    assert middleware.process_exception(request, CacheTimeout("silent")) is not None
