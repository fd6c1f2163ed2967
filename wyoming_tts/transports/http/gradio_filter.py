"""What stands between the web and a Gradio app: the few of its routes that the page needs, and nothing else.

Gradio opens more than a page in a service should: files by path, a proxy, its own description, tools for
developers. Here it is cut down to what the page's own scripts ask for, is kept from allowing other origins,
and what it sends is told not to load anything from elsewhere.
"""

from __future__ import annotations

import re

from wyoming_tts.transports.http.guard_request import App, Headers, Message, Receive, Scope, Send

POLICY = "; ".join(  # noqa: FLY002 - each line has its reason
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",  # Gradio makes functions of `js=`
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "media-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self' data: blob:",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'self'",  # Home Assistant shows the page in a frame, of its own origin
    )
)
_ALLOWED = {
    "GET": re.compile(
        r"/|/config|/theme\.css|/manifest\.json|/favicon\.ico|/robots\.txt|/pwa_icon(/\d+)?"
        r"|/(assets|static)/(?!.*\.\.)[\w.@/-]+"
        r"|/gradio_api/(queue/data|heartbeat/\w+|startup-events|theme\.css|app_id)"
    ),
    "POST": re.compile(r"/gradio_api/(queue/join|cancel|reset)/?"),
}
_PATHS = re.compile(
    r"/(config|theme\.css|manifest\.json|favicon\.ico|robots\.txt|pwa_icon.*)?|/(assets|static|gradio_api)/.*"
)
_KEPT_BACK = frozenset({b"origin", b"accept-encoding"})
"""Of a request: Gradio lets any origin read its answers, and compresses on the event loop."""
_MANIFEST = re.compile(rb'<link rel="manifest" href="/manifest.json"\s*/?>')
_FOREIGN = re.compile(rb'\s*<meta\s+(?:property|name)="(?:og|twitter):[^>]*>')
_CONNECTS = re.compile(rb'\s*<link\s[^>]*href="(?:https?:)?//[^>]*>')
_LINKS = b'<link rel="manifest" href="./manifest.json"><link rel="icon" href="./favicon.ico">'
_FOREVER = b"private, max-age=31536000, immutable"
_HASHED = re.compile(r"/assets/.*-[\w-]{8}\.\w+")


def is_page_path(path: str) -> bool:
    """Whether a path is the page's to answer, be it by a refusal; all others are left to the API."""
    return _PATHS.fullmatch(path) is not None


def is_allowed(method: str, path: str) -> bool:
    """Whether the page's own scripts ask for this."""
    pattern = _ALLOWED.get("GET" if method == "HEAD" else method)
    return pattern is not None and pattern.fullmatch(path) is not None


class GradioFilter:
    """An application around Gradio's. Requests that `is_allowed` refuses must not come here."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            path = str(scope["path"]).removeprefix(str(scope.get("root_path", "")))
            headers = [header for header in scope["headers"] if header[0] not in _KEPT_BACK]
            scope = {**scope, "headers": headers}
            send = _Index(send) if path == "/" else _with_headers(send, path)
        await self._app(scope, receive, send)


def _with_headers(send: Send, path: str) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = _hardened(message["headers"])
            if message["status"] == 200 and _HASHED.fullmatch(path):  # noqa: PLR2004
                headers = [header for header in headers if header[0] != b"cache-control"]
                headers.append((b"cache-control", _FOREVER))
            message = {**message, "headers": headers}
        await send(message)

    return send_with_headers


class _Index:
    """Holds the page's HTML until it is whole, to take out what points elsewhere."""

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
            *_hardened(kept),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
            (b"x-page", b"ready"),
        ]
        await self._send({**self._start, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})


def rewrite_index(index: bytes) -> bytes:
    """Return the page's HTML with every address below the page's own, and none elsewhere."""
    without = _CONNECTS.sub(b"", _FOREIGN.sub(b"", index))
    return _MANIFEST.sub(_LINKS, without)


def _hardened(headers: Headers) -> Headers:
    kept = [header for header in headers if not header[0].startswith(b"access-control-")]
    return [
        *kept,
        (b"content-security-policy", POLICY.encode()),
        (b"referrer-policy", b"same-origin"),
        (b"x-content-type-options", b"nosniff"),
    ]
