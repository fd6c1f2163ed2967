"""The guard's view of a request: peer, keys, cookies, headers, and what it asks for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any, TypeAlias
from urllib.parse import unquote_to_bytes

from wyoming_tts.errors import SpeechError
from wyoming_tts.http_paths import REALTIME_PATH, SPEECH_PATH
from wyoming_tts.transports.tokens import TokenGrant

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers: TypeAlias = list[tuple[bytes, bytes]]

OPEN_PATHS = frozenset({"/health", "/healthz", "/livez", "/readyz"})
"""Open without a key and under any host name: health checks need them, and they reveal nothing."""
PLAYER_PATH = "/synthesize-stream"
SPEECH_PATHS = (
    SPEECH_PATH,
    PLAYER_PATH,
    "/dev/captioned_speech",
    "/dev/dialogue",
    "/dev/generate_from_phonemes",
    "/dev/phonemize",
)
"""Prefixes of the paths that the rate limit counts."""
FILE_PATHS = ("/page/voices/upload/", "/page/blends/import")
"""Prefixes of the paths whose body is a file, streamed to the disk and never parsed on the event loop."""
TOKEN_PATHS = frozenset(
    {
        SPEECH_PATH,
        "/v1/audio/speech/stream",
        REALTIME_PATH,
        "/v1/audio/voices",
        "/dev/captioned_speech",
        PLAYER_PATH,
    }
)
"""What a token opens: speech, and the names of the voices."""
PAGE_PATH = "/"
LOGIN_PATH = "/login"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing (RFC 9110)."""

_KEY_PARAMETERS = frozenset({b"api_key", b"access_token"})
_KEY_PROTOCOLS = ("bearer.", "openai-insecure-api-key.")
"""Beginnings of WebSocket subprotocols that are a key or a token: a page can set no header of a WebSocket."""
_LENGTH_DIGITS = 20


class GuardedRequest:
    """A request as the access rules see it.

    Creating it removes keys and tokens from the scope's query string, and from a WebSocket's subprotocols.
    """

    def __init__(self, scope: Scope) -> None:
        self.is_socket = scope["type"] == "websocket"
        # The layer around the guard turns HEAD into GET, for the routes.
        is_head = scope.get("state", {}).get("is_head", False)
        self.method = "GET" if self.is_socket else "HEAD" if is_head else str(scope["method"])
        self.path = str(scope["path"])
        self.is_encrypted = scope.get("scheme") in {"https", "wss"}
        client = scope.get("client")
        self.peer: str | None = client[0] if client else None
        self.headers: Headers = list(scope["headers"])
        query, keys = _split_off_keys(scope.get("query_string", b""))
        scope["query_string"] = query
        bearers = filter(None, map(_parse_bearer, self.all(b"authorization")))
        self.keys = (*bearers, *keys, *_split_off_protocols(scope))
        """API keys and tokens."""
        self.token: TokenGrant | SpeechError | None = None
        """What a token permits, or why it is refused: filled in by the guard."""

    def all(self, name: bytes) -> list[str]:
        """Return all values of a header, whose name is given in lower case."""
        return [decode_header(value) for key, value in self.headers if key.lower() == name]

    def first(self, name: bytes) -> str:
        """Return the first value of a header, or an empty string."""
        return next(iter(self.all(name)), "")

    def cookie(self, name: str) -> str:
        """Return a cookie's value, or an empty string."""
        try:
            jar = SimpleCookie("; ".join(self.all(b"cookie")))
        except CookieError:
            return ""
        return jar[name].value if name in jar else ""

    @property
    def is_preflight(self) -> bool:
        """Whether it is a CORS preflight request."""
        return self.method == "OPTIONS" and bool(self.first(b"access-control-request-method"))

    @property
    def is_login(self) -> bool:
        """Whether it submits the login form."""
        return self.method == "POST" and self.path == LOGIN_PATH

    @property
    def is_read(self) -> bool:
        """Whether it only asks for what is at its path."""
        return not self.is_socket and self.method in {"GET", "HEAD"}

    @property
    def wants_page(self) -> bool:
        """Whether it is a browser's navigation to the page."""
        return self.is_read and self.path in {PAGE_PATH, LOGIN_PATH} and self.accepts_html

    @property
    def accepts_html(self) -> bool:
        """Whether the client asks for a page to show."""
        return "text/html" in self.first(b"accept")

    @property
    def has_effects(self) -> bool:
        """Whether serving it does more than answer: it speaks, changes something or opens a WebSocket."""
        return self.is_socket or self.method not in SAFE_METHODS or self.path.startswith(SPEECH_PATHS)

    @property
    def is_speech(self) -> bool:
        """Whether the rate limit counts it as a speech request; of a WebSocket it counts each response."""
        return (
            not self.is_socket
            and self.method not in {"OPTIONS", "HEAD"}
            and self.path.startswith(SPEECH_PATHS)
        )

    @property
    def is_file(self) -> bool:
        """Whether its body is a file of any format, which browsers send without a Content-Type."""
        return self.path.startswith(FILE_PATHS)

    @property
    def has_body(self) -> bool:
        """Whether it may have a body that has to be read."""
        if self.is_socket:
            return False
        return self.method not in SAFE_METHODS or bool(
            self.all(b"transfer-encoding") or self.first(b"content-length").strip("0")
        )

    @property
    def announced_bytes(self) -> int:
        """The body's Content-Length; 0 without one."""
        length = self.first(b"content-length")[:_LENGTH_DIGITS]
        return int(length) if length.isdecimal() else 0


def decode_header(value: bytes) -> str:
    """Decode a header's value as UTF-8; invalid bytes survive `encode_header`."""
    return value.decode(errors="surrogateescape")


def encode_header(value: str) -> bytes:
    """Encode what `decode_header` returned."""
    return value.encode(errors="surrogateescape")


def _split_off_keys(query: bytes) -> tuple[bytes, list[str]]:
    """Split a query string into the rest, byte for byte unchanged, and the keys and tokens in it."""
    kept, keys = [], []
    for part in query.split(b"&"):
        name, _, value = part.partition(b"=")
        if unquote_form(name) in _KEY_PARAMETERS:
            keys.append(decode_header(unquote_form(value)))
        else:
            kept.append(part)
    return b"&".join(kept), keys


def _split_off_protocols(scope: Scope) -> list[str]:
    """Take the keys and tokens out of a WebSocket's subprotocols."""
    offered = [str(each) for each in scope.get("subprotocols") or ()]
    keys = {each: key for each in offered for prefix in _KEY_PROTOCOLS if (key := _after(each, prefix))}
    if keys:
        scope["subprotocols"] = [each for each in offered if each not in keys]
    return list(keys.values())


def _after(text: str, prefix: str) -> str:
    return text.removeprefix(prefix) if text.startswith(prefix) else ""


def unquote_form(value: bytes) -> bytes:
    """Decode a part of a query string or a form."""
    return unquote_to_bytes(value.replace(b"+", b" "))


def _parse_bearer(header: str) -> str | None:
    scheme, _, key = header.strip().partition(" ")
    return key.strip() if scheme.casefold() == "bearer" else None
