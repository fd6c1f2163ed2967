"""Home Assistant's ingress: a reverse proxy that strips a path prefix and reports it in headers.

The headers are applied to the ASGI scope as if the browser had sent its request here, so that the page builds
correct URLs. From any peer but the one trusted proxy these headers are dropped.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address

from wyoming_tts.transports.http.guard_request import App, Headers, Receive, Scope, Send, decode_header

PREFIX_HEADER = b"x-ingress-path"
HOST_HEADER = b"x-forwarded-host"
_SCHEME_HEADER = b"x-forwarded-proto"
_DROPPED = frozenset({PREFIX_HEADER, HOST_HEADER, _SCHEME_HEADER, b"x-forwarded-prefix", b"x-gradio-server"})
_USER_HEADERS = frozenset({b"x-remote-user-id", b"x-remote-user-name", b"x-remote-user-display-name"})
"""Who is signed in to Home Assistant, as the Supervisor tells."""
_PREFIX = re.compile(r"(/[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}){1,6}")
_HOST = re.compile(r"[A-Za-z0-9.:_\[\]-]{1,255}")


class IngressPeer:
    """The trusted proxy's address."""

    def __init__(self, address: str | None) -> None:
        """Trust one address; None trusts no proxy.

        Raises:
            ValueError: it is not an IP address.
        """
        self._address = None if address is None else _parse_ip(address)

    def is_source(self, peer: str | None, headers: Headers) -> bool:
        """Whether a request with these headers comes through the ingress."""
        if self._address is None or peer is None:
            return False
        try:
            is_peer = _parse_ip(peer) == self._address
        except ValueError:
            return False
        return is_peer and bool(_parse_prefix(headers))


class IngressMiddleware:
    """Middleware that applies the trusted proxy's headers to the scope, and drops all others like them."""

    def __init__(self, app: App, *, peer: Callable[[], IngressPeer]) -> None:
        """Call `peer` for every request, because it may change while the server runs."""
        self._app = app
        self._peer = peer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] in {"http", "websocket"}:
            client = scope.get("client")
            headers: Headers = list(scope["headers"])
            is_ingress = self._peer().is_source(client[0] if client else None, headers)
            dropped = _DROPPED if is_ingress else _DROPPED | _USER_HEADERS
            scope = {**scope, "headers": [header for header in headers if header[0] not in dropped]}
            if is_ingress:
                _apply(headers, scope)
        await self._app(scope, receive, send)


def _apply(headers: Headers, scope: Scope) -> None:
    prefix = _parse_prefix(headers)
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
    """Return the first of a header's comma-separated values: that of the proxy nearest to the browser."""
    values = (decode_header(value) for key, value in headers if key.lower() == name)
    return next(values, "").split(",")[0].strip()


def _parse_prefix(headers: Headers) -> str:
    """Return the stripped prefix if it is well-formed: it becomes part of every URL of the page."""
    prefix = first_value(headers, PREFIX_HEADER).rstrip("/")
    return prefix if _PREFIX.fullmatch(prefix) else ""


def _parse_ip(address: str) -> IPv4Address | IPv6Address:
    ip = ip_address(address.partition("%")[0])
    return ip.ipv4_mapped or ip if isinstance(ip, IPv6Address) else ip
