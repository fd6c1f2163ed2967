"""How a person gets in where keys are wanted: the key is given once, a cookie stands for it from then on."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2b

from wyoming_tts.transports.access import ApiKeys, RateLimit
from wyoming_tts.transports.http.guard_request import GuardedRequest, Send, text, unquoted
from wyoming_tts.transports.http.plain_pages import PlainPage, login_page

COOKIE = "wyoming_tts_session"
LIFETIME = 30 * 24 * 3600.0
"""Seconds for which nobody is asked again."""
MOST_SESSIONS = 1000
ATTEMPTS_PER_MINUTE = 10
"""From one address."""


class LoginSessions:
    """Who has given a key. Only digests are kept, in memory: they end with the process."""

    def __init__(self) -> None:
        self._ends: OrderedDict[bytes, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._ends)

    def open(self, now: float) -> str:
        """Return the token of a new session; the oldest is dropped when there are too many."""
        token = secrets.token_urlsafe(32)
        self._ends[_digest(token)] = now + LIFETIME
        if len(self._ends) > MOST_SESSIONS:
            self._ends.popitem(last=False)
        return token

    def admit(self, token: str, now: float) -> bool:
        """Whether there is such a session; a look-up by digest tells nothing by the time it takes."""
        return bool(token) and self._ends.get(_digest(token), now) > now


class Login:
    """Asks for a key, and takes it."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._sessions = LoginSessions()
        self._attempts = RateLimit(ATTEMPTS_PER_MINUTE)

    def forget(self) -> None:
        """End all sessions: the keys they were opened with are no more."""
        self._sessions = LoginSessions()

    def admits(self, request: GuardedRequest) -> bool:
        """Whether its cookie stands for a key."""
        return self._sessions.admit(request.cookie(COOKIE), self._clock())

    async def ask(self, request: GuardedRequest, send: Send) -> None:
        """Ask for a key."""
        await send_page(login_page(request.first(b"accept-language")), send)

    async def take(self, request: GuardedRequest, body: bytes, keys: ApiKeys, send: Send) -> None:
        """Look at the key that was given, and open a session if it is one."""
        now, language = self._clock(), request.first(b"accept-language")
        if request.peer is not None and self._attempts.take(request.peer, now):
            await send_page(login_page(language, status=429, problem="slow"), send)
            return
        if not keys.accepts(_given(body)):
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
    """Answer with a page."""
    await send({"type": "http.response.start", "status": page.status, "headers": page.headers})
    await send({"type": "http.response.body", "body": page.body})


def _given(body: bytes) -> str:
    """The key in a form that was sent."""
    fields = (part.partition(b"=") for part in body.split(b"&"))
    return next((text(unquoted(value)) for name, _, value in fields if name == b"key"), "")


def _digest(token: str) -> bytes:
    return blake2b(token.encode(errors="surrogateescape"), digest_size=32).digest()
