"""The guard: ASGI middleware that applies access rules, body limits and rate limits to everything HTTP.

It also has each request body read in full, within limits of size, time and memory, so that the app behind it
neither waits for a slow client nor gets more than it can hold.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

from wyoming_tts.bounded_json import JsonOverLimit, check_values
from wyoming_tts.errors import Busy, RateLimited
from wyoming_tts.transports.access import AllowedNetworks, RateLimit
from wyoming_tts.transports.access_log import shown_path
from wyoming_tts.transports.damped_log import DampedLog
from wyoming_tts.transports.http.access_rules import (
    MAX_SHOWN_CHARS,
    NO_KEY,
    TOO_LARGE,
    AccessRules,
    GuardOptions,
    Refusal,
    Refused,
    shows_player,
    token_refusal,
)
from wyoming_tts.transports.http.body_reading import BodyDropped, BodyReader, BodyTooLarge, BodyTooSlow
from wyoming_tts.transports.http.cross_origin import allow_preflight, with_cors, with_isolation
from wyoming_tts.transports.http.guard_request import (
    App,
    GuardedRequest,
    Headers,
    Message,
    Receive,
    Scope,
    Send,
)
from wyoming_tts.transports.http.ingress import IngressPeer
from wyoming_tts.transports.http.login import Login, send_page
from wyoming_tts.transports.http.plain_pages import player_page
from wyoming_tts.transports.tokens import TokenGrant, TokenUsages, WallClock

__all__ = ["AllowedNetworks", "Guard", "Message", "Receive", "Scope", "Send"]

MAX_JSON_VALUES = 10_000
"""Values in a body of JSON. Speech requests have twenty; the page's framework sends a few hundred."""
_BUSY_SECONDS = 5

_LOGGER = logging.getLogger(__name__)


class Guard:
    """Middleware that passes permitted requests to an app and answers all others with the reason."""

    def __init__(
        self,
        app: App | None,
        options: GuardOptions,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: WallClock = time.time,
    ) -> None:
        """Guard `app`, or with None the app that `wrap` is given later.

        Raises:
            ValueError: a network is malformed, or a key is empty.
        """
        self._app = app
        self._clock = clock
        self._usages = TokenUsages()
        self._wall_clock = wall_clock
        self._rules = AccessRules(options, self._usages, wall_clock)
        self._rate = RateLimit(options.requests_per_minute)
        self._login = Login(clock)
        self._refused_sockets = DampedLog(_LOGGER, logging.INFO)  # their clients try again and again
        self.bodies = BodyReader()

    def ingress(self) -> IngressPeer:
        """The ingress proxy that is trusted now."""
        return self._rules.ingress

    def wrap(self, app: App) -> Guard:
        """Guard another app: for a framework that builds its own middleware stack."""
        self._app = app
        return self

    def reconfigure(self, options: GuardOptions) -> None:
        """Apply other options from the next request on.

        Raises:
            ValueError: as in the constructor; the previous options stay.
        """
        before = self._rules.options
        self._rules = AccessRules(options, self._usages, self._wall_clock)
        if options.api_keys != before.api_keys:
            self._login.end_sessions()
        if options.requests_per_minute != self._rate.per_minute:
            self._rate = RateLimit(options.requests_per_minute)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or one WebSocket."""
        if self._app is None:
            raise RuntimeError("The guard has no app to pass requests to.")
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        request, rules = GuardedRequest(scope), self._rules
        request.token = rules.verify_token(request)
        scope.setdefault("state", {})["initiator"] = rules.initiator(request)
        send = with_isolation(request, rules, with_cors(request, rules, send))
        with ExitStack() as held:
            try:
                rules.check(request, self._login)
                self._check_rate(request)
                _hold_stream(request, held)
                if await self._answer_itself(request, rules, scope, send):
                    return
                if request.has_body:
                    body = await self._read_body(scope, request, receive)
                    if body is None:
                        return
                    _check_json(request, body)
                    if rules.needs_key and request.is_login:
                        await self._login.handle_form(request, body, rules.keys, send)
                        return
                    receive = _replay(body, receive)
            except Refused as refused:
                await self._report(refused.refusal, request, scope, send)
                return
            self._fill_state(scope, request)
            await self._app(scope, receive, send)

    async def _report(self, refusal: Refusal, request: GuardedRequest, scope: Scope, send: Send) -> None:
        """Log a refusal and answer with it, or with the login form where the page is asked for."""
        if refusal.code == NO_KEY and request.wants_page:
            await self._login.send_form(request, send)
            return
        log = self._refused_sockets.log if request.is_socket else _LOGGER.info
        _log_refusal(log, request, refusal)
        await _refuse(scope, request, refusal, send)

    def _fill_state(self, scope: Scope, request: GuardedRequest) -> None:
        """Hand the app what counts its speech: a WebSocket is no request for it, each of its responses is."""
        state = scope.setdefault("state", {})
        state["count_speech"] = partial(self._count_speech, request.peer)
        state["grant"] = request.token if isinstance(request.token, TokenGrant) else None

    async def _answer_itself(
        self, request: GuardedRequest, rules: AccessRules, scope: Scope, send: Send
    ) -> bool:
        """Answer a request that the app is not meant for; return whether it was one."""
        if request.is_preflight and request.all(b"origin"):
            await allow_preflight(request, send)
            return True
        if shows_player(request) and not rules.has_credential(request):
            await send_page(player_page(request.first(b"accept-language"), scope["query_string"]), send)
            return True
        return False

    async def _read_body(self, scope: Scope, request: GuardedRequest, receive: Receive) -> bytes | None:
        """Read a complete request body; None if the client has disconnected.

        Raises:
            Refused: it is too large or too slow, or gave way to others.
        """
        slot = scope.get("state", {}).get("slot")
        try:
            return await self.bodies.read(receive, self._rules.body_limits, peer=request.peer, slot=slot)
        except BodyTooLarge as error:
            raise Refused(Refusal(413, TOO_LARGE, str(error))) from None
        except BodyTooSlow as error:
            raise Refused(Refusal(408, "body_timeout", str(error))) from None
        except BodyDropped as error:
            text, wait = f"{error} Try again in {_BUSY_SECONDS} s.", str(_BUSY_SECONDS).encode()
            refusal = Refusal(503, "busy", text, kind="server_error", headers=((b"retry-after", wait),))
            raise Refused(refusal) from None

    def _check_rate(self, request: GuardedRequest) -> None:
        if not request.is_speech or (limited := self._count_speech(request.peer)) is None:
            return
        wait = str(limited.retry_after).encode()
        kind = "rate_limit_error"
        raise Refused(Refusal(429, limited.code, str(limited), kind=kind, headers=((b"retry-after", wait),)))

    def _count_speech(self, peer: str | None) -> RateLimited | None:
        """Count a speech request of a client; return why it may not be made now, or None."""
        wait = 0 if peer is None else self._rate.take(peer, self._clock())
        return RateLimited(self._rate.per_minute, retry_after=wait) if wait else None


def _hold_stream(request: GuardedRequest, held: ExitStack) -> None:
    """Hold one of the streams that the request's token allows, until `held` is left.

    Raises:
        Refused: as many are open.
    """
    if isinstance(request.token, TokenGrant) and (request.is_speech or request.is_socket):
        try:
            held.enter_context(request.token.stream())
        except Busy as error:
            raise Refused(token_refusal(error)) from None


def _check_json(request: GuardedRequest, body: bytes) -> None:
    """Check that a body does not hold up the event loop while it is parsed, which frameworks do there.

    Raises:
        Refused: it does.
    """
    if request.is_file or request.first(b"content-type").strip().casefold().startswith("multipart/"):
        return
    if b"\0" in body:  # UTF-16 and UTF-32, in which marks cannot be counted and which JSON must not be in
        raise Refused(Refusal(400, "bad_request", "The body has to be in UTF-8."))
    try:
        check_values(body, MAX_JSON_VALUES)
    except JsonOverLimit as error:
        raise Refused(Refusal(413, TOO_LARGE, f"The body is over a limit: {error}.")) from None


def _log_refusal(log: Callable[..., None], request: GuardedRequest, refusal: Refusal) -> None:
    log(
        "%s: refused %s %r: %s",
        request.peer or "unix",
        request.method,
        shown_path(request.path)[:MAX_SHOWN_CHARS],
        refusal.message,
    )


async def _refuse(scope: Scope, request: GuardedRequest, refusal: Refusal, send: Send) -> None:
    prefix = ""
    if request.is_socket:
        prefix = "websocket."
        if "websocket.http.response" not in (scope.get("extensions") or {}):
            await send({"type": "websocket.close", "code": 1008})  # uvicorn answers the handshake with 403
            return
    body = refusal.body()
    headers: Headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        *refusal.headers,
    ]
    if request.has_body:
        headers.append((b"connection", b"close"))  # or uvicorn would go on reading it
    await send({"type": f"{prefix}http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": f"{prefix}http.response.body", "body": body})


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a receive function that yields the body that was read, then any further messages."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_replayed() -> Message:
        return messages.pop() if messages else await receive()

    return receive_replayed
