"""A visitor for every browser test: signed in without a password, watched for whatever the browser complains of."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from moderation.models import User
from tests.browser.visitor import Visitor


@pytest.fixture
def visit(
    live_server: LiveServer, browser: Browser, settings: Settings, browser_context_args: dict[str, Any]
) -> Iterator[Callable[..., Visitor]]:
    """Makes visitors, as `visit(user, width=390)`; what their consoles complain of fails the test."""
    settings.REVIEW_DOOR = "tests.moderation.closed_door"
    visitors: list[Visitor] = []

    def make(user: User | None = None, **options: Any) -> Visitor:
        visitors.append(Visitor(browser, live_server.url, user, **{**browser_context_args, **options}))
        return visitors[-1]

    yield make
    complaints = [complaint for visitor in visitors for complaint in visitor.complaints]
    for visitor in visitors:
        visitor.context.close()
    assert complaints == []
