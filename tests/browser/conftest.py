"""A browser before the whole product. Whatever the page says is wrong fails the test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from blockbuster import BlockBuster
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    Response,
    sync_playwright,
)

from tests.support.page_site import site_in_a_thread

CHROMIUM = Path(os.environ.get("CHROMIUM") or "/usr/bin/chromium")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_NOISE = ("Method not implemented.", "AbortError: signal is aborted", "Connection errored out")
"""What Gradio itself says on the console: of itself, and of what it asked for when the page is left."""


@pytest.fixture(autouse=True)
def blockbuster(blockbuster: BlockBuster) -> BlockBuster:
    """Gradio looks at its own files where it should not; nobody else may."""
    for function in blockbuster.functions.values():
        function.can_block_in("wyoming_tts/transports/page_mount.py", {"handle", "_served"})
    return blockbuster


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a running product with its page and the tone voices."""
    with site_in_a_thread(tmp_path_factory.mktemp("site")) as running:
        yield running.url


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, without a window."""
    if not CHROMIUM.exists() and not os.environ.get("CI"):
        pytest.skip(f"{CHROMIUM} is missing: script/browser installs it, or set CHROMIUM to where it is.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        browser.close()


class Complaints:
    """What is wrong with a page that a person might not notice."""

    def __init__(self, page: Page) -> None:
        self.found: list[str] = []
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.found.append(f"uncaught: {error}"))
        page.on("request", self._asked)
        page.on("response", self._answered)
        page.on("requestfailed", self._failed)
        self._page = page

    def _said(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not any(noise in message.text for noise in _NOISE):
            self.found.append(f"console: {message.text} ({message.location.get('url')})")

    def _asked(self, request: Request) -> None:
        parts = urlsplit(request.url)
        own = urlsplit(self._page.url).netloc
        if parts.scheme in {"http", "https", "ws", "wss"} and own and parts.netloc != own:
            self.found.append(f"request to another host: {request.url}")

    def _answered(self, response: Response) -> None:
        if response.status == 404:
            self.found.append(f"not found: {response.url}")

    def _failed(self, request: Request) -> None:
        if "net::ERR_ABORTED" not in (request.failure or ""):
            self.found.append(f"failed: {request.url} {request.failure}")


@pytest.fixture(scope="module")
def context(browser: Browser) -> Iterator[BrowserContext]:
    """One for all pages of a module: they find in its cache what never changes."""
    context = browser.new_context(locale="en-GB")
    yield context
    context.close()


@pytest.fixture
def complaints(page: Page) -> Complaints:
    """What was wrong so far: a test that provokes it takes it out."""
    return page.complaints  # type: ignore[attr-defined,no-any-return]


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page that has to be without fault to the end of the test; `page.goto(site)` opens the product's."""
    page = context.new_page()
    page.set_default_timeout(20_000)  # the first visit waits for Gradio
    page.complaints = complaints = Complaints(page)  # type: ignore[attr-defined]
    yield page
    page.close()
    assert complaints.found == []
