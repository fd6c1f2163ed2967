"""Route allowlist and security headers around the page's app: only what its own scripts request.

Gradio, which makes the page, exposes more than one on a home network should: files by path, a proxy, its API
description, developer tools. Its app is not served, but the files that it made; whatever is behind the
filter, only the routes that the page needs reach it, permissive CORS headers are dropped, and a content
security policy forbids loading from other sites.
"""

from __future__ import annotations

import re
from http import HTTPStatus

from wyoming_tts.transports.http.guard_request import App, Headers, Message, Receive, Scope, Send

POLICY = "; ".join(  # noqa: FLY002 - each line has its reason
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",  # Gradio compiles `js=` into functions
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "media-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self' data: blob:",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'self'",  # Home Assistant embeds the page in a frame of its own origin
    )
)
_ALLOWED = re.compile(
    r"/|/theme\.css|/manifest\.json|/favicon\.ico|/robots\.txt"
    r"|/(assets|static)/(?!.*\.\.)[\w.@/-]{1,200}",
    re.ASCII,
)
_PATHS = re.compile(
    r"/(config|theme\.css|manifest\.json|favicon\.ico|robots\.txt|pwa_icon.*)?|/(assets|static|gradio_api)/.*"
)
_IMMUTABLE = b"private, max-age=31536000, immutable"
_HASHED_ASSET = re.compile(r"/assets/.*-[\w-]{8}\.\w+")


def is_page_path(path: str) -> bool:
    """Whether a path belongs to the page, even if only to be refused; all others belong to the API."""
    return _PATHS.fullmatch(path) is not None


def is_allowed(method: str, path: str) -> bool:
    """Whether the page's own scripts make such requests."""
    return method in {"GET", "HEAD"} and _ALLOWED.fullmatch(path) is not None


class PageFilter:
    """Middleware around the page's app. Requests that `is_allowed` rejects must not reach it."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            path = str(scope["path"]).removeprefix(str(scope.get("root_path", "")))
            scope = {**scope, "query_string": b""}
            send = _with_headers(send, path)
        await self._app(scope, receive, send)


def _with_headers(send: Send, path: str) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = _harden(message["headers"])
            if message["status"] == HTTPStatus.OK and _HASHED_ASSET.fullmatch(path):
                headers = [header for header in headers if header[0] != b"cache-control"]
                headers.append((b"cache-control", _IMMUTABLE))
            if path == "/":
                headers.append((b"x-page", b"ready"))
            message = {**message, "headers": headers}
        await send(message)

    return send_with_headers


def _harden(headers: Headers) -> Headers:
    kept = [header for header in headers if not header[0].startswith(b"access-control-")]
    return [
        *kept,
        (b"content-security-policy", POLICY.encode()),
        (b"referrer-policy", b"same-origin"),
        (b"x-content-type-options", b"nosniff"),
    ]
