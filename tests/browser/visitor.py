"""Somebody with a browser."""

from typing import Any

from axe_playwright_python.sync_playwright import Axe
from django.core import signing
from django.test import Client
from playwright.sync_api import Browser, ConsoleMessage, Page, Request

from moderation.models import User

WIDE, NARROW = (1280, 720), (390, 844)


class Visitor:
    """A browser window of its own; `complaints` collects what its console says of errors and policy violations."""

    def __init__(self, browser: Browser, url: str, user: User | None = None, width: int = 1280, **options: Any) -> None:
        height = NARROW[1] if width == NARROW[0] else WIDE[1]
        self.context = browser.new_context(base_url=url, viewport={"width": width, "height": height}, **options)
        self.page: Page = self.context.new_page()
        self.complaints: list[str] = []
        self.requests: list[Request] = []
        self.expected = 200
        self.page.on("console", self._listen)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request))
        if user:
            self._sign_in(user, url)

    def _sign_in(self, user: User, url: str) -> None:
        client = Client()
        client.force_login(user)
        self.context.add_cookies([{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": url}])

    def _listen(self, message: ConsoleMessage) -> None:
        # Chromium reports every answer from 400 on as an error; tests that provoke one say so.
        provoked = self.expected >= 400 and "Failed to load resource" in message.text
        if message.type in ("error", "warning") and not provoked:
            self.complaints.append(message.text)

    def open(self, path: str, status: int = 200) -> Page:
        """Go there; the answer must have that status."""
        self.expected = status
        answer = self.page.goto(path)
        assert answer
        assert answer.status == status, path
        self.page.wait_for_load_state("networkidle")
        return self.page

    def check_accessibility(self) -> None:
        """axe finds nothing, and nothing is wider than the window."""
        results = Axe().run(self.page)
        assert results.violations_count == 0, results.generate_report()
        assert self.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "wider than the window"

    def copies_asked_for(self) -> set[str]:
        """The kinds of copies of pictures that were requested so far."""
        tokens = [request.url.rstrip("/").rsplit("/", 1)[1] for request in self.requests if "/media/" in request.url]
        return {signing.loads(token, salt="moderation.media")[1] for token in tokens}
