"""What the guard looks at of a request: who asks, from where, with which key."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any, TypeAlias
from urllib.parse import unquote_to_bytes

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers: TypeAlias = list[tuple[bytes, bytes]]

OPEN_PATHS = frozenset({"/health", "/healthz", "/livez", "/readyz"})
"""Answered without a key and under any name: balancers and containers ask them, and they tell nothing."""
SPEAKING_PATHS = ("/v1/audio/speech", "/synthesize-stream")
"""Beginnings of the paths whose requests are counted."""
LOGIN_PATH = "/login"
CHANGES_NOTHING = frozenset({"GET", "HEAD", "OPTIONS"})

_KEY_PARAMETER = b"api_key"
_LENGTH_DIGITS = 20


class GuardedRequest:
    """A request as the rules see it. Making it takes the keys out of the scope's query, for good."""

    def __init__(self, scope: Scope) -> None:
        self.is_socket = scope["type"] == "websocket"
        self.method = "GET" if self.is_socket else str(scope["method"])
        self.path = str(scope["path"])
        self.is_encrypted = scope.get("scheme") in {"https", "wss"}
        client = scope.get("client")
        self.peer: str | None = client[0] if client else None
        self.headers: Headers = list(scope["headers"])
        query, keys = _without_keys(scope.get("query_string", b""))
        scope["query_string"] = query
        bearers = filter(None, map(_bearer, self.all(b"authorization")))
        self.keys = (*bearers, *keys)

    def all(self, name: bytes) -> list[str]:
        """Return all values of a header; its name is in lower case."""
        return [text(value) for key, value in self.headers if key.lower() == name]

    def first(self, name: bytes) -> str:
        """Return the first value of a header, or nothing."""
        return next(iter(self.all(name)), "")

    def cookie(self, name: str) -> str:
        """Return a cookie's value, or nothing."""
        try:
            jar = SimpleCookie("; ".join(self.all(b"cookie")))
        except CookieError:
            return ""
        return jar[name].value if name in jar else ""

    @property
    def is_preflight(self) -> bool:
        """Whether a browser asks if it may ask."""
        return self.method == "OPTIONS" and bool(self.first(b"access-control-request-method"))

    @property
    def is_login(self) -> bool:
        """Whether it brings the key that the page asked for."""
        return self.method == "POST" and self.path == LOGIN_PATH

    @property
    def wants_page(self) -> bool:
        """Whether a person has opened the page."""
        is_read = not self.is_socket and self.method in {"GET", "HEAD"}
        return is_read and self.path in {"/", LOGIN_PATH} and "text/html" in self.first(b"accept")

    @property
    def speaks(self) -> bool:
        """Whether it counts as a request for speech."""
        if self.is_socket:
            return True
        return self.method not in {"OPTIONS", "HEAD"} and self.path.startswith(SPEAKING_PATHS)

    @property
    def has_body(self) -> bool:
        """Whether there may be one that has to be read."""
        if self.is_socket:
            return False
        return self.method not in CHANGES_NOTHING or bool(
            self.all(b"transfer-encoding") or self.first(b"content-length").strip("0")
        )

    @property
    def announced_bytes(self) -> int:
        """How long the body is said to be; 0 where nothing is said."""
        length = self.first(b"content-length")[:_LENGTH_DIGITS]
        return int(length) if length.isdecimal() else 0


def text(value: bytes) -> str:
    """Return a header's value; what is no UTF-8 survives the way back."""
    return value.decode(errors="surrogateescape")


def encoded(value: str) -> bytes:
    """Return what `text` was made of."""
    return value.encode(errors="surrogateescape")


def _without_keys(query: bytes) -> tuple[bytes, list[str]]:
    """A query without its keys, and these; what else is in it stays as it is, byte for byte."""
    kept, keys = [], []
    for part in query.split(b"&"):
        name, _, value = part.partition(b"=")
        if unquoted(name) == _KEY_PARAMETER:
            keys.append(text(unquoted(value)))
        else:
            kept.append(part)
    return b"&".join(kept), keys


def unquoted(value: bytes) -> bytes:
    """Return a part of a query or of a form without its escapes."""
    return unquote_to_bytes(value.replace(b"+", b" "))


def _bearer(header: str) -> str | None:
    scheme, _, key = header.strip().partition(" ")
    return key.strip() if scheme.casefold() == "bearer" else None
