"""Home Assistant's ingress: a proxy that takes a prefix off the path and says so in headers.

What stands in the headers goes into the scope, as if the browser had asked here; the page then makes the
right addresses by itself. From anybody but the one trusted peer these headers are nothing but dropped.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address

from wyoming_tts.transports.http.guard_request import App, Headers, Receive, Scope, Send, text

PREFIX_HEADER = b"x-ingress-path"
HOST_HEADER = b"x-forwarded-host"
_SCHEME_HEADER = b"x-forwarded-proto"
_DROPPED = frozenset({PREFIX_HEADER, HOST_HEADER, _SCHEME_HEADER, b"x-forwarded-prefix", b"x-gradio-server"})
_PREFIX = re.compile(r"(/[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}){1,6}")
_HOST = re.compile(r"[A-Za-z0-9.:_\[\]-]{1,255}")


class IngressPeer:
    """The one address whose word is taken."""

    def __init__(self, address: str | None) -> None:
        """None: nobody's is.

        Raises:
            ValueError: it is no IP address.
        """
        self._address = None if address is None else _ip(address)

    def brought(self, peer: str | None, headers: Headers) -> bool:
        """Whether a request comes through the ingress."""
        if self._address is None or peer is None:
            return False
        try:
            is_peer = _ip(peer) == self._address
        except ValueError:
            return False
        return is_peer and bool(_prefix(headers))


class IngressMiddleware:
    """Middleware that puts what the ingress tells into the scope."""

    def __init__(self, app: App, *, peer: Callable[[], IngressPeer]) -> None:
        """Ask for the peer at every request: it may change while the server runs."""
        self._app = app
        self._peer = peer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] in {"http", "websocket"}:
            client = scope.get("client")
            headers: Headers = list(scope["headers"])
            is_brought = self._peer().brought(client[0] if client else None, headers)
            scope = {**scope, "headers": [header for header in headers if header[0] not in _DROPPED]}
            if is_brought:
                _fold(headers, scope)
        await self._app(scope, receive, send)


def _fold(headers: Headers, scope: Scope) -> None:
    prefix = _prefix(headers)
    scope["root_path"] = prefix + str(scope.get("root_path", ""))
    scope["path"] = prefix + str(scope["path"])
    if scope.get("raw_path"):
        scope["raw_path"] = prefix.encode() + scope["raw_path"]
    if _HOST.fullmatch(host := first_value(headers, HOST_HEADER)):
        others = [header for header in scope["headers"] if header[0] != b"host"]
        scope["headers"] = [*others, (b"host", host.encode())]
    if (scheme := first_value(headers, _SCHEME_HEADER)) in {"http", "https"}:
        scope["scheme"] = scheme if scope["type"] == "http" else scheme.replace("http", "ws")


def first_value(headers: Headers, name: bytes) -> str:
    """Return what the proxy nearest to the browser wrote into a header."""
    values = (text(value) for key, value in headers if key.lower() == name)
    return next(values, "").split(",")[0].strip()


def _prefix(headers: Headers) -> str:
    """The prefix that was taken off, if it is one: it is going to be part of every address of the page."""
    prefix = first_value(headers, PREFIX_HEADER).rstrip("/")
    return prefix if _PREFIX.fullmatch(prefix) else ""


def _ip(address: str) -> IPv4Address | IPv6Address:
    ip = ip_address(address.partition("%")[0])
    return ip.ipv4_mapped or ip if isinstance(ip, IPv6Address) else ip
