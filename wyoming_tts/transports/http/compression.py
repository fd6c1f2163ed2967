"""Compression of the web page's files and lists with gzip, on a worker; what never changes is kept.

Speech is not compressed here: it has encodings of its own, and would be held back.
"""

from __future__ import annotations

import gzip
from collections import OrderedDict
from functools import partial
from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wyoming_tts.blocking import RunBlocking
from wyoming_tts.transports.http.page_filter import is_page_path

MIN_BYTES = 1_000
"""Less fits into one packet anyway."""
MAX_BYTES = 4_000_000
KEPT_BYTES = 2_000_000
"""Of compressed files in memory; those of the page take about 300 kB."""
_LEVEL = 6
_COMPRESSIBLE = frozenset(
    {
        "text/html",
        "text/css",
        "text/javascript",
        "application/javascript",
        "application/json",
        "image/svg+xml",
    }
)
_SERVICES = "/page/"
"""Prefix of the paths of the page's services."""


class CompressionMiddleware:
    """ASGI middleware that compresses responses of the page for clients that accept gzip."""

    def __init__(self, app: ASGIApp, *, run_blocking: RunBlocking) -> None:
        self._app = app
        self._run_blocking = run_blocking
        self._kept: OrderedDict[str, bytes] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if is_compressed_for(scope):
            send = _CompressedSend(self, path_of(scope), send)
        await self._app(scope, receive, send)

    async def compress(self, path: str, body: bytes, *, is_immutable: bool) -> bytes:
        """Return the body compressed, from memory if it was before and never changes."""
        if is_immutable and (kept := self._kept.get(path)) is not None:
            return kept
        compressed = await self._run_blocking(partial(gzip.compress, body, _LEVEL, mtime=0))
        if is_immutable:
            self._kept[path] = compressed
            while sum(map(len, self._kept.values())) > KEPT_BYTES:
                self._kept.popitem(last=False)
        return compressed


def path_of(scope: Scope) -> str:
    """Return a request's path within the app."""
    return str(scope["path"]).removeprefix(str(scope.get("root_path", "")))


def is_compressed_for(scope: Scope) -> bool:
    """Whether a request is one of the page's, whose client accepts gzip."""
    if scope["type"] != "http" or scope["method"] not in {"GET", "HEAD"}:
        return False
    path = path_of(scope)
    return (is_page_path(path) or path.startswith(_SERVICES)) and accepts_gzip(
        Headers(scope=scope).get("accept-encoding", "")
    )


def accepts_gzip(accepted: str) -> bool:
    """Whether an `Accept-Encoding` header allows gzip (RFC 9110, section 12.5.3)."""
    for each in accepted.lower().split(","):
        name, _, parameter = each.partition(";")
        if name.strip() in {"gzip", "*"}:
            return parameter.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return False


class _CompressedSend:
    """Collects a response that can be compressed, and passes any other through."""

    def __init__(self, compression: CompressionMiddleware, path: str, send: Send) -> None:
        self._compression = compression
        self._path = path
        self._send = send
        self._start: Message | None = None
        self._body = bytearray()

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_compressible(message):
            self._start = message
            return
        if self._start is None or message["type"] != "http.response.body":
            await self._send(message)
            return
        self._body += message.get("body", b"")
        if not message.get("more_body", False):
            await self._send_compressed(self._start)

    async def _send_compressed(self, start: Message) -> None:
        headers = MutableHeaders(raw=list(start["headers"]))
        body = await self._compression.compress(
            self._path, bytes(self._body), is_immutable="immutable" in headers.get("cache-control", "")
        )
        headers["content-encoding"] = "gzip"
        headers["content-length"] = str(len(body))
        headers.add_vary_header("Accept-Encoding")
        if (tag := headers.get("etag")) and not tag.startswith("W/"):
            headers["etag"] = f"W/{tag}"  # the bytes are others, what they mean is the same
        await self._send({**start, "headers": headers.raw})
        await self._send({"type": "http.response.body", "body": body})


def _is_compressible(start: Message) -> bool:
    headers = Headers(raw=start["headers"])
    kind = headers.get("content-type", "").partition(";")[0].strip()
    length = headers.get("content-length", "")
    is_of_size = length.isdecimal() and MIN_BYTES <= int(length) <= MAX_BYTES
    is_whole = start["status"] == HTTPStatus.OK and "content-encoding" not in headers
    return is_whole and is_of_size and kind in _COMPRESSIBLE
