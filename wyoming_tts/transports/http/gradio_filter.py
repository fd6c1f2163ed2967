"""Route allowlist and security headers around a Gradio app: only what the page's own scripts request.

Gradio exposes more than a page on a home network should: files by path, a proxy, its API description,
developer tools. The filter limits it to the routes that the page needs, drops its permissive CORS headers,
and adds a content security policy that forbids loading from other sites.
"""

from __future__ import annotations

import re

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
    r"/|/config|/theme\.css|/manifest\.json|/favicon\.ico|/robots\.txt|/pwa_icon(/\d{1,4})?"
    r"|/(assets|static)/(?!.*\.\.)[\w.@/-]{1,200}",
    re.ASCII,
)
_PATHS = re.compile(
    r"/(config|theme\.css|manifest\.json|favicon\.ico|robots\.txt|pwa_icon.*)?|/(assets|static|gradio_api)/.*"
)
_DROPPED_HEADERS = frozenset({b"origin", b"accept-encoding"})
"""Request headers: with them Gradio allows any origin, and compresses on the event loop."""
_MANIFEST = re.compile(rb'<link rel="manifest" href="/manifest.json"\s*/?>')
_SOCIAL_META = re.compile(rb'\s*<meta\s+(?:property|name)="(?:og|twitter):[^>]*>')
_EXTERNAL_LINK = re.compile(rb'\s*<link\s[^>]*href="(?:https?:)?//[^>]*>')
_IFRAME_SCRIPT = re.compile(rb"\s*<script[^>]*iframeResizer[^>]*>\s*</script>")
"""For pages of another site around this one, which the policy forbids."""
_LINKS = b'<link rel="manifest" href="./manifest.json"><link rel="icon" href="./favicon.ico">'
_IMMUTABLE = b"private, max-age=31536000, immutable"
_HASHED_ASSET = re.compile(r"/assets/.*-[\w-]{8}\.\w+")


def is_page_path(path: str) -> bool:
    """Whether a path belongs to the page, even if only to be refused; all others belong to the API."""
    return _PATHS.fullmatch(path) is not None


def is_allowed(method: str, path: str) -> bool:
    """Whether the page's own scripts make such requests."""
    return method in {"GET", "HEAD"} and _ALLOWED.fullmatch(path) is not None


class GradioFilter:
    """Middleware around a Gradio app. Requests that `is_allowed` rejects must not reach it."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            path = str(scope["path"]).removeprefix(str(scope.get("root_path", "")))
            headers = [header for header in scope["headers"] if header[0] not in _DROPPED_HEADERS]
            scope = {**scope, "headers": headers, "query_string": b""}
            send = _IndexRewriter(send) if path == "/" else _with_headers(send, path)
        await self._app(scope, receive, send)


def _with_headers(send: Send, path: str) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = _harden(message["headers"])
            if message["status"] == 200 and _HASHED_ASSET.fullmatch(path):  # noqa: PLR2004
                headers = [header for header in headers if header[0] != b"cache-control"]
                headers.append((b"cache-control", _IMMUTABLE))
            message = {**message, "headers": headers}
        await send(message)

    return send_with_headers


class _IndexRewriter:
    """Buffers the page's HTML until it is complete, then removes links to other sites."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message = {}
        self._body = bytearray()

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            return
        self._body += message.get("body", b"")
        if message.get("more_body", False):
            return
        body = rewrite_index(bytes(self._body))
        kept = [header for header in self._start["headers"] if header[0] != b"content-length"]
        headers = [
            *_harden(kept),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
            (b"x-page", b"ready"),
        ]
        await self._send({**self._start, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})


def rewrite_index(index: bytes) -> bytes:
    """Rewrite the page's HTML: links become relative; those to other sites and what is unused are removed."""
    without = _IFRAME_SCRIPT.sub(b"", _EXTERNAL_LINK.sub(b"", _SOCIAL_META.sub(b"", index)))
    return _MANIFEST.sub(_LINKS, without)


def _harden(headers: Headers) -> Headers:
    kept = [header for header in headers if not header[0].startswith(b"access-control-")]
    return [
        *kept,
        (b"content-security-policy", POLICY.encode()),
        (b"referrer-policy", b"same-origin"),
        (b"x-content-type-options", b"nosniff"),
    ]
