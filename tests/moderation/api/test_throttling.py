"""The rate of an access key."""

import time

import pytest
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from moderation.api.throttling import _seconds_over, parse_rate
from tests.moderation.api.test_errors import check
from tests.moderation.test_intake import at_once
from tests.world import World, api_client

PATH = "/api/v1/labels/"


def test_rates() -> None:
    assert [parse_rate(rate) for rate in ("1/second", "600/minute", "5/hour", "9/day")] == [
        (1, 1),
        (600, 60),
        (5, 3600),
        (9, 86400),
    ]
    for wrong in ("600", "0/minute", "600/min", "many/minute", "-1/minute", "1/minute "):
        with pytest.raises(ImproperlyConfigured, match="API_RATE"):
            parse_rate(wrong)


def test_without_a_rate_there_is_no_limit(world: World) -> None:
    assert {api_client(world.key).get(PATH).status_code for _ in range(20)} == {200}


def test_a_key_above_its_rate(world: World, settings: Settings, valkey: object) -> None:
    settings.API_RATE = "3/hour"
    client = api_client(world.key)
    assert [client.get(PATH).status_code for _ in range(4)] == [200, 200, 200, 429]
    answer = client.get(PATH)
    check(answer, 429, "throttled")
    assert 1 <= int(answer["Retry-After"]) <= 2 * 3600
    assert api_client(world.admin_key).get(PATH).status_code == 200
    assert api_client().get(PATH).status_code == 401


def test_a_cache_that_is_down_closes_nothing(world: World, settings: Settings) -> None:
    settings.API_RATE = "1/hour"
    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:1/0"}
    }
    assert [api_client(world.key).get(PATH).status_code for _ in range(2)] == [200, 200]


def test_the_window_slides(valkey: object) -> None:
    start = 1_000_000 * 60.0

    def call(second: float) -> float:
        return _seconds_over("key", 10, 60, start + second)

    assert [call(30) for _ in range(10)] == [0] * 10
    assert call(30) == 30  # the window is full until it ends
    assert call(60) == pytest.approx(6, abs=0.01)  # all ten of the last window still count, and one fades in 6 seconds
    assert call(66.01) == 0
    assert call(66.02) > 0
    assert [call(119) for _ in range(9)].count(0) == 8
    assert call(240) == 0


def test_calls_at_once_are_counted_exactly(valkey: object) -> None:
    now = time.time()
    answers = at_once(16, lambda place: [_seconds_over("key", 50, 3600, now) for _ in range(10)])
    assert sum(wait == 0 for calls in answers for wait in calls) == 50
