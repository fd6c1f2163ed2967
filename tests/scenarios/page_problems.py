"""Problems of a web page that a person might not notice: console errors, failed and foreign requests."""

from __future__ import annotations

from urllib.parse import urlsplit

from playwright.sync_api import ConsoleMessage, Page, Request, Response

_NOISE = ("Method not implemented.", "AbortError: signal is aborted")
"""Gradio's own console errors: some of its own, and some of requests that leaving the page aborts."""


class PageProblems:
    """Collects a page's errors: console errors, failed requests, and requests to other hosts."""

    def __init__(self, page: Page) -> None:
        self.found: list[str] = []
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.found.append(f"uncaught: {error}"))
        page.on("request", self._on_request)
        page.on("response", self._on_response)
        page.on("requestfailed", self._on_request_failed)
        self._page = page

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not any(noise in message.text for noise in _NOISE):
            self.found.append(f"console: {message.text} ({message.location.get('url')})")

    def _on_request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        own = urlsplit(self._page.url).netloc
        if parts.scheme in {"http", "https", "ws", "wss"} and own and parts.netloc != own:
            self.found.append(f"request to another host: {request.url}")

    def _on_response(self, response: Response) -> None:
        if response.status == 404:
            self.found.append(f"not found: {response.url}")

    def _on_request_failed(self, request: Request) -> None:
        if "net::ERR_ABORTED" not in (request.failure or ""):
            self.found.append(f"failed: {request.url} {request.failure}")
