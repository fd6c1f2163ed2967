"""Login with an API key: a form takes the key once, a session cookie stands for it from then on."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2b

from wyoming_tts.transports.access import ApiKeys, RateLimit
from wyoming_tts.transports.http.guard_request import GuardedRequest, Send, decode_header, unquote_form
from wyoming_tts.transports.http.plain_pages import PlainPage, login_page

COOKIE = "wyoming_tts_session"
LIFETIME = 30 * 24 * 3600.0
"""Seconds that a session lasts."""
MAX_SESSIONS = 1000
ATTEMPTS_PER_MINUTE = 10
"""Rate limit of login attempts from one address."""


class LoginSessions:
    """Login sessions, kept in memory as digests of their tokens: they end with the process."""

    def __init__(self) -> None:
        self._expiry: OrderedDict[bytes, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._expiry)

    def open(self, now: float) -> str:
        """Open a session and return its token; the oldest is dropped over `MAX_SESSIONS`."""
        token = secrets.token_urlsafe(32)
        self._expiry[_digest(token)] = now + LIFETIME
        if len(self._expiry) > MAX_SESSIONS:
            self._expiry.popitem(last=False)
        return token

    def is_valid(self, token: str, now: float) -> bool:
        """Whether a token belongs to a live session; looking up digests leaks nothing through timing."""
        return bool(token) and self._expiry.get(_digest(token), now) > now


class Login:
    """Serves the login form and keeps the sessions."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._sessions = LoginSessions()
        self._attempts = RateLimit(ATTEMPTS_PER_MINUTE)

    def end_sessions(self) -> None:
        """End all sessions, because the keys have changed."""
        self._sessions = LoginSessions()

    def has_session(self, request: GuardedRequest) -> bool:
        """Whether a request's cookie belongs to a live session."""
        return self._sessions.is_valid(request.cookie(COOKIE), self._clock())

    async def send_form(self, request: GuardedRequest, send: Send) -> None:
        """Answer with the login form."""
        await send_page(login_page(request.first(b"accept-language")), send)

    async def handle_form(self, request: GuardedRequest, body: bytes, keys: ApiKeys, send: Send) -> None:
        """Check the submitted key; open a session and redirect to the page if it is valid."""
        now, language = self._clock(), request.first(b"accept-language")
        if request.peer is not None and self._attempts.take(request.peer, now):
            await send_page(login_page(language, status=429, problem="slow"), send)
            return
        if not keys.accepts(_parse_key(body)):
            await send_page(login_page(language, problem="wrong"), send)
            return
        cookie = (
            f"{COOKIE}={self._sessions.open(now)}; Path=/; Max-Age={LIFETIME:.0f}; HttpOnly; SameSite=Strict"
        )
        if request.is_encrypted:
            cookie += "; Secure"
        headers = [
            (b"location", b"./"),
            (b"set-cookie", cookie.encode()),
            (b"cache-control", b"no-store"),
            (b"content-length", b"0"),
        ]
        await send({"type": "http.response.start", "status": 303, "headers": headers})
        await send({"type": "http.response.body", "body": b""})


async def send_page(page: PlainPage, send: Send) -> None:
    """Send a page as the response."""
    await send({"type": "http.response.start", "status": page.status, "headers": page.headers})
    await send({"type": "http.response.body", "body": page.body})


def _parse_key(body: bytes) -> str:
    """Return the key in a submitted form, or an empty string."""
    fields = (part.partition(b"=") for part in body.split(b"&"))
    return next((decode_header(unquote_form(value)) for name, _, value in fields if name == b"key"), "")


def _digest(token: str) -> bytes:
    return blake2b(token.encode(errors="surrogateescape"), digest_size=32).digest()
