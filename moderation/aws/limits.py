"""How often an account may call: AWS_RATE counts every request, AWS_DETECT_RATE DetectModerationLabels alone.

Both are texts such as `50/second`; empty is no limit.  Counted in Valkey over a sliding window, so that all processes
share one count; a request that is refused does not count.  While Valkey does not answer there is no limit: a lost
counter must not stop moderation.
"""

import logging
import time
from functools import lru_cache

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from limits import RateLimitItem, parse
from limits.errors import StorageError
from limits.storage import RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from redis import ConnectionPool
from redis.backoff import NoBackoff
from redis.retry import Retry

from moderation.aws.errors import AwsError

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS = 0.5
# After a failure: how long no request waits for Valkey again.
PAUSE_SECONDS = 5.0


def check_requests(account_id: str) -> None:
    """ThrottlingException when the account sends more requests than AWS_RATE."""
    if not _within(settings.AWS_RATE, "requests", account_id):
        raise AwsError("ThrottlingException", "Slow down; sudden increase in rate of requests.")


def check_detections(account_id: str) -> None:
    """ProvisionedThroughputExceededException when the account has more pictures looked at than AWS_DETECT_RATE."""
    if not _within(settings.AWS_DETECT_RATE, "detections", account_id):
        raise AwsError("ProvisionedThroughputExceededException", "Provisioned Rate exceeded.")


class _Counter:
    """The count in Valkey, and a pause after it could not be reached."""

    def __init__(self, url: str) -> None:
        pool = ConnectionPool.from_url(
            url, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS, retry=Retry(NoBackoff(), 0)
        )
        storage = RedisStorage(url, connection_pool=pool, key_prefix="aws-rate", wrap_exceptions=True)
        self._limiter = SlidingWindowCounterRateLimiter(storage)
        self._paused_until = 0.0

    def hit(self, rate: RateLimitItem, *names: str) -> bool:
        """Count one; False, and not counted, when that is too many."""
        if time.monotonic() < self._paused_until:
            return True
        try:
            return self._limiter.hit(rate, *names)
        except StorageError:
            self._paused_until = time.monotonic() + PAUSE_SECONDS
            logger.warning("the rate limits are off: Valkey does not answer", exc_info=True)
            return True


def _within(rate: str, what: str, account_id: str) -> bool:
    return not rate or _counter(settings.REDIS_URL).hit(_parsed(rate), what, account_id)


@lru_cache
def _counter(url: str) -> _Counter:
    return _Counter(url)


@lru_cache
def _parsed(rate: str) -> RateLimitItem:
    try:
        return parse(rate)
    except ValueError:
        raise ImproperlyConfigured(f"a rate is a text such as '50/second', not {rate!r}") from None


for _rate in filter(None, (settings.AWS_RATE, settings.AWS_DETECT_RATE)):
    _parsed(_rate)  # a wrong setting stops the start, not every request
