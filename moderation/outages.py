"""When a part that the pages need does not answer: 503 and a calm page, not a fault of ours."""

import logging
from collections.abc import Callable

from botocore.exceptions import BotoCoreError, ClientError
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

# The database, the cache (which also counts tries to sign in, and must not be passed by), the media store.
OUTAGES = (OperationalError, InterfaceError, RedisError, BotoCoreError, ClientError)
RETRY_AFTER_SECONDS = 10


class Outages:
    """Middleware for the pages; the REST and AWS faces say it in their own words."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Nothing on the way in."""
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """The page for what a view met; None for everything that is no outage."""
        if not isinstance(exception, OUTAGES):
            return None
        logger.error("a part that %s needs does not answer", request.path, exc_info=exception)
        page = render(request, "503.html", status=503)
        page["Retry-After"] = str(RETRY_AFTER_SECONDS)
        return page
