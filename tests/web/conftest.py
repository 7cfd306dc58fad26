"""A browser for the session, and one page for each test."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page

TIMEOUT_MS = 20_000
DRAWN = "window.leeward && leeward.map.loaded() && leeward.map.areTilesLoaded()"


class Leeward:
    """One page of the app: opens links, waits for what the map and the list show, asks the service."""

    def __init__(self, page: Page, server: str, accounts: dict[str, str]) -> None:
        self.page = page
        self.server = server
        self.accounts = accounts

    def sign_in(self, name: str) -> None:
        """Sign in before a link is opened."""
        credentials = {"name": name, "password": self.accounts[name]}
        answer = self.page.context.request.post(f"{self.server}/session", data=credentials)
        assert answer.ok, answer.text()

    def ask(self, path: str, **query: Any) -> Any:
        """The service's answer to the account that has signed in."""
        answer = self.page.context.request.get(f"{self.server}{path}", params=query)
        assert answer.ok, answer.text()
        return answer.json()

    def open(self, link: str = "/?lang=zh") -> None:
        """Open a link and wait until the map has drawn it."""
        self.page.goto(self.server + link)
        self.until(DRAWN)

    def until(self, condition: str) -> None:
        """Wait until a JavaScript expression holds in the page."""
        self.page.evaluate(
            f"""() => new Promise((resolve, reject) => {{
                const end = performance.now() + {TIMEOUT_MS};
                const look = () => {{
                    if ({condition}) resolve(true);
                    else if (performance.now() > end) reject(new Error({json.dumps("never held: " + condition)}));
                    else setTimeout(look, 30);
                }};
                look();
            }})"""
        )

    def drawn(self, *layers: str) -> int:
        """How many features of the layers are drawn on the map."""
        return self.page.evaluate(
            "names => leeward.map.queryRenderedFeatures().filter(one => names.includes(one.sourceLayer)).length",
            list(layers),
        )

    def screen_point(self, lon: float, lat: float) -> tuple[float, float]:
        """Where a position is in the window, in CSS pixels."""
        point = self.page.evaluate(
            """([lon, lat]) => {
                const { x, y } = leeward.map.project([lon, lat]);
                const box = leeward.map.getCanvas().getBoundingClientRect();
                return [x + box.x, y + box.y];
            }""",
            [lon, lat],
        )
        return point[0], point[1]

    def get(self, path: str, **query: Any) -> Any:
        """The service's own answer."""
        address = f"{self.server}{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(address, timeout=20) as answer:
            return json.load(answer)


@pytest.fixture
def new_page(browser: Browser, sample_server: str, sample_accounts: dict[str, str]) -> Iterator[Callable[..., Leeward]]:
    """A function that opens a page with the given options; a page error fails the test."""
    contexts: list[BrowserContext] = []
    errors: list[str] = []

    def make(width: int = 1280, height: int = 720, **options: Any) -> Leeward:
        context = browser.new_context(
            viewport={"width": width, "height": height}, locale="zh-CN", reduced_motion="reduce", **options
        )
        contexts.append(context)
        context.set_default_timeout(TIMEOUT_MS)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: _keep_refusals(message, errors))
        return Leeward(page, sample_server, sample_accounts)

    yield make
    for context in contexts:
        context.close()
    assert errors == []


def _keep_refusals(message: ConsoleMessage, errors: list[str]) -> None:
    if message.type == "error" and "Content Security Policy" in message.text:
        errors.append(message.text)


@pytest.fixture
def app(new_page: Callable[..., Leeward]) -> Leeward:
    """A page of desktop size."""
    return new_page()


@pytest.fixture
def phone(new_page: Callable[..., Leeward]) -> Leeward:
    """A page of phone size, touched and not clicked."""
    return new_page(390, 844, has_touch=True, is_mobile=True)
