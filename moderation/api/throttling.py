"""How often one access key may call: the setting API_RATE, such as `600/minute`; empty is no limit."""

import logging
import re
import time

from django.conf import settings
from django.core.cache import cache
from django.core.exceptions import ImproperlyConfigured
from redis.exceptions import RedisError
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from moderation.api.auth import caller_of

logger = logging.getLogger(__name__)

_PERIODS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}


def parse_rate(rate: str) -> tuple[int, int]:
    """`600/minute` as (600, 60); ImproperlyConfigured says what is accepted otherwise."""
    match = re.fullmatch(r"([1-9][0-9]{0,8})/(second|minute|hour|day)", rate)
    if match is None:
        raise ImproperlyConfigured(f"API_RATE must be NUMBER/second, minute, hour or day, not {rate!r}")
    return int(match[1]), _PERIODS[match[2]]


class KeyThrottle(BaseThrottle):
    """A sliding window for each access key: the last period's count fades out as the running one goes on."""

    _wait = 0.0

    def allow_request(self, request: Request, view: APIView) -> bool:
        """Whether this call is within the rate; calls refused do not count."""
        if not settings.API_RATE:
            return True
        limit, period = parse_rate(settings.API_RATE)
        try:
            self._wait = _seconds_over(f"api-rate:{caller_of(request).key.pk}", limit, period, time.time())
        except RedisError:
            # A cache that is down must not close the API.
            logger.warning("the rate limit is off: the cache does not answer", exc_info=True)
            return True
        return self._wait <= 0

    def wait(self) -> float:
        """Seconds until the next call can pass."""
        return self._wait


def _seconds_over(name: str, limit: int, period: int, now: float) -> float:
    """Count a call; 0 when it is within the limit, else the seconds to wait, and it is not counted."""
    window, elapsed = int(now // period), now % period
    here = f"{name}:{period}:{window}"
    cache.add(here, 0, timeout=2 * period)
    before = int(cache.get(f"{name}:{period}:{window - 1}", 0))
    count = int(cache.incr(here))
    if before * (1 - elapsed / period) + count <= limit:
        return 0.0
    count = int(cache.decr(here))
    if count >= limit:
        return period - elapsed
    return max(period * (1 - (limit - 1 - count) / before) - elapsed, 0.001)


if settings.API_RATE:
    parse_rate(settings.API_RATE)  # a wrong setting stops the start, not every request
