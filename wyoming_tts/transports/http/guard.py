"""The guard: ASGI middleware for access control, CORS, body limits and rate limits of everything HTTP.

It also has each request body read in full, within limits of size, time and memory, so that the app behind it
neither waits for a slow client nor gets more than it can hold.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType

from wyoming_tts.bounded_json import JsonOverLimit, check_values
from wyoming_tts.errors import Busy, RateLimited, SpeechError, TokenForbidden
from wyoming_tts.transports.access import AllowedHosts, AllowedNetworks, AllowedOrigins, ApiKeys, RateLimit
from wyoming_tts.transports.access_log import shown_path
from wyoming_tts.transports.damped_log import DampedLog
from wyoming_tts.transports.http.body_reading import (
    BodyDropped,
    BodyLimits,
    BodyReader,
    BodyTooLarge,
    BodyTooSlow,
)
from wyoming_tts.transports.http.guard_request import (
    OPEN_PATHS,
    PAGE_PATH,
    PLAYER_PATH,
    TOKEN_PATHS,
    App,
    GuardedRequest,
    Headers,
    Message,
    Receive,
    Scope,
    Send,
    encode_header,
)
from wyoming_tts.transports.http.ingress import HOST_HEADER, IngressPeer, first_value
from wyoming_tts.transports.http.initiator import (
    Initiator,
    find_initiator,
    is_navigation,
    is_top_level,
    origin_of,
)
from wyoming_tts.transports.http.login import Login, send_page
from wyoming_tts.transports.http.plain_pages import player_page
from wyoming_tts.transports.tokens import (
    TOKEN_STATUS,
    TokenGrant,
    TokenUsages,
    TokenVerifier,
    WallClock,
    looks_like_token,
)

__all__ = ["AllowedNetworks", "Guard", "GuardOptions", "Message", "Receive", "Scope", "Send"]

_EXPOSED = (
    b"X-Request-ID, X-Sample-Rate, X-Voice, X-Voice-Reason, X-Download-Path, X-Timing-Path, Retry-After"
)
_PREFLIGHT_SECONDS = b"600"
MAX_JSON_VALUES = 10_000
"""Values in a body of JSON. Speech requests have twenty; the page's framework sends a few hundred."""
_MAX_LOGGED_CHARS = 100
_NO_KEY = "invalid_api_key"
_WRONG_KEY = "The API key is wrong."
_KEY_REQUIRED = "An API key is required, as `Authorization: Bearer KEY` or as the query parameter api_key."
_ANY_KEY_REQUIRED = (
    "An API key or a token is required, as `Authorization: Bearer KEY`, as the query parameter api_key or "
    "access_token, or as a WebSocket's subprotocol."
)
_UNKNOWN_ORIGIN = (
    "The browser does not tell which page asks; over plain HTTP only the server's own pages may. Use HTTPS "
    "or http://localhost, list the page's origin in cors_origins, or set api_keys and add one to the address."
)
_TOO_LARGE = "body_too_large"
_BUSY_SECONDS = 5
_UNAUTHORIZED = 401
_CHALLENGE = (b"www-authenticate", b'Bearer realm="wyoming-tts"')
_TOKEN_CHALLENGE = (b"www-authenticate", b'Bearer realm="wyoming-tts", error="invalid_token"')

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class GuardOptions:
    """Access control settings of the HTTP API."""

    api_keys: tuple[str, ...] = field(default=(), repr=False)
    """Requests need one of these, or a token; without any of both kinds of keys, nothing is required."""
    token_keys: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    """Secrets that sign tokens, by id; see `wyoming_tts.transports.tokens`."""
    token_lifetime: float = 3600.0
    """Seconds for which a token may be valid."""
    allow_networks: tuple[str, ...] = ()
    """Networks that may connect, in CIDR form; none allows all. Loopback always may."""
    cors_origins: tuple[str, ...] = ()
    """Origins of other web pages that may use the server, such as `https://example.org`; `*` allows all.
    Their host names are also accepted as the server's own."""
    host_names: tuple[str, ...] = ()
    """Further host names of this server; see `AllowedHosts`."""
    requests_per_minute: int = 0
    """Speech requests, and responses over WebSockets, per minute from one address; 0 is no limit."""
    max_body_bytes: int = 1_048_576
    body_timeout: float = 30.0
    """Seconds within which a request body up to `SMALL_BODY` must arrive."""
    body_stall_timeout: float = 10.0
    """Seconds within which `PROGRESS` bytes of a larger one must arrive."""
    ingress_peer: str | None = None
    """Address of the trusted ingress proxy, whose users are authenticated already. None trusts no proxy."""


@dataclass(frozen=True, slots=True)
class _Refusal:
    status: int
    code: str
    message: str
    kind: str = "invalid_request_error"
    headers: tuple[tuple[bytes, bytes], ...] = ()

    def body(self) -> bytes:
        error = {"message": self.message, "type": self.kind, "param": None, "code": self.code}
        return json.dumps({"error": error}).encode()


class _Refused(Exception):
    def __init__(self, refusal: _Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


class _Rules:
    """The options, parsed into access rules."""

    def __init__(self, options: GuardOptions, usages: TokenUsages, wall_clock: WallClock) -> None:
        if not all(options.api_keys):
            raise ValueError("Got an empty API key: remove it, or set a key.")
        self.options = options
        self.keys = ApiKeys(options.api_keys)
        self._tokens = (
            TokenVerifier(
                options.token_keys, max_lifetime=options.token_lifetime, usages=usages, clock=wall_clock
            )
            if options.token_keys
            else None
        )
        self.needs_key = bool(options.api_keys or options.token_keys)
        self.ingress = IngressPeer(options.ingress_peer)
        self.networks = AllowedNetworks(options.allow_networks)
        self.origins = AllowedOrigins(options.cors_origins)
        self.hosts = AllowedHosts((*options.host_names, *self.origins.hosts))

    def check(self, request: GuardedRequest, login: Login) -> None:
        """Check a request against all rules.

        Raises:
            _Refused: one of them forbids it.
        """
        is_ingress = self.is_ingress(request)
        is_open = request.path in OPEN_PATHS and not request.is_socket
        if not is_ingress:
            self._check_address(request)
        if not is_ingress and not is_open:
            self._check_host(request)
        self._check_initiator(request)
        if self.needs_key and not (is_ingress or is_open or request.is_preflight or request.is_login):
            self._check_key(request, login)
        if request.announced_bytes > self.options.max_body_bytes:
            text = f"The body exceeds the limit of {self.options.max_body_bytes} bytes."
            raise _Refused(_Refusal(413, _TOO_LARGE, text))

    def is_ingress(self, request: GuardedRequest) -> bool:
        """Whether a request comes through the trusted proxy."""
        return self.ingress.is_source(request.peer, request.headers)

    def initiator(self, request: GuardedRequest) -> Initiator:
        """What initiated a request; no stranger's page can guess the addresses of the ingress."""
        host, is_ingress = request.first(b"host"), self.is_ingress(request)
        if is_ingress:
            host = first_value(request.headers, HOST_HEADER) or host
        initiator = find_initiator(request, self.origins, host)
        return Initiator.SAME_ORIGIN if is_ingress and initiator is Initiator.UNKNOWN else initiator

    def has_key(self, request: GuardedRequest) -> bool:
        """Whether a request itself carries an API key, which a stranger's page does not know."""
        return any(self.keys.accepts(key) for key in request.keys)

    def has_credential(self, request: GuardedRequest) -> bool:
        """Whether a request itself carries an API key, or a token that opens its path."""
        return self.has_key(request) or isinstance(request.token, TokenGrant)

    def verify_token(self, request: GuardedRequest) -> TokenGrant | SpeechError | None:
        """Return what the request's token permits, or why it is refused; None without a token."""
        tokens = filter(looks_like_token, request.keys)
        if self._tokens is None or (token := next(tokens, None)) is None or self.has_key(request):
            return None
        try:
            grant = self._tokens.verify(token)
            grant.check_origin(request.first(b"origin") or origin_of(request.first(b"referer")))
        except SpeechError as error:
            return error
        if request.path not in TOKEN_PATHS:
            return TokenForbidden(
                "A token opens only speech and the list of voices.", hint="Use an API key for all else."
            )
        return grant

    def _check_address(self, request: GuardedRequest) -> None:
        if request.peer is not None and not self.networks.allows(request.peer):
            raise _Refused(_Refusal(403, "address_not_allowed", f"{request.peer} is not allowed to connect."))

    def _check_host(self, request: GuardedRequest) -> None:
        if self.needs_key or self.origins.is_open:  # with keys, a foreign page lacks the key
            return
        for host in request.all(b"host"):
            if not self.hosts.allows(host):
                raise _Refused(
                    _Refusal(
                        403,
                        "host_not_allowed",
                        f"The host {host[:_MAX_LOGGED_CHARS]!r} is not a known name of this server. Use "
                        "its IP address or a local name, set api_keys, or list the page's origin in "
                        "cors_origins.",
                    )
                )

    def _check_initiator(self, request: GuardedRequest) -> None:
        initiator = self.initiator(request)
        if request.is_read and self.has_credential(request):
            return
        if initiator is Initiator.CROSS_ORIGIN and not _is_visit(request):
            raise _Refused(_cross_origin_refusal(request))
        if initiator is Initiator.UNKNOWN and request.has_effects and not _shows_player(request):
            raise _Refused(_Refusal(403, "origin_not_allowed", _UNKNOWN_ORIGIN))

    def _check_key(self, request: GuardedRequest, login: Login) -> None:
        if self.has_credential(request) or login.has_session(request):
            return
        if isinstance(request.token, SpeechError):
            raise _Refused(_token_refusal(request.token))
        message = _WRONG_KEY if request.keys else _ANY_KEY_REQUIRED if self._tokens else _KEY_REQUIRED
        raise _Refused(_Refusal(_UNAUTHORIZED, _NO_KEY, message, headers=(_CHALLENGE,)))

    @property
    def body_limits(self) -> BodyLimits:
        """Limits of one request body."""
        options = self.options
        return BodyLimits(options.max_body_bytes, options.body_timeout, options.body_stall_timeout)


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
        self._rules = _Rules(options, self._usages, wall_clock)
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
        self._rules = _Rules(options, self._usages, self._wall_clock)
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
        send = _with_isolation(request, rules, _with_cors(request, rules, send))
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
            except _Refused as refused:
                await self._report(refused.refusal, request, scope, send)
                return
            self._fill_state(scope, request)
            await self._app(scope, receive, send)

    async def _report(self, refusal: _Refusal, request: GuardedRequest, scope: Scope, send: Send) -> None:
        """Log a refusal and answer with it, or with the login form where the page is asked for."""
        if refusal.code == _NO_KEY and request.wants_page:
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

    async def _answer_itself(self, request: GuardedRequest, rules: _Rules, scope: Scope, send: Send) -> bool:
        """Answer a request that the app is not meant for; return whether it was one."""
        if request.is_preflight and request.all(b"origin"):
            await _allow_preflight(request, send)
            return True
        if _shows_player(request) and not rules.has_credential(request):
            await send_page(player_page(request.first(b"accept-language"), scope["query_string"]), send)
            return True
        return False

    async def _read_body(self, scope: Scope, request: GuardedRequest, receive: Receive) -> bytes | None:
        """Read a complete request body; None if the client has disconnected.

        Raises:
            _Refused: it is too large or too slow, or gave way to others.
        """
        slot = scope.get("state", {}).get("slot")
        try:
            return await self.bodies.read(receive, self._rules.body_limits, peer=request.peer, slot=slot)
        except BodyTooLarge as error:
            raise _Refused(_Refusal(413, _TOO_LARGE, str(error))) from None
        except BodyTooSlow as error:
            raise _Refused(_Refusal(408, "body_timeout", str(error))) from None
        except BodyDropped as error:
            text, wait = f"{error} Try again in {_BUSY_SECONDS} s.", str(_BUSY_SECONDS).encode()
            refusal = _Refusal(503, "busy", text, kind="server_error", headers=((b"retry-after", wait),))
            raise _Refused(refusal) from None

    def _check_rate(self, request: GuardedRequest) -> None:
        if not request.is_speech or (limited := self._count_speech(request.peer)) is None:
            return
        wait = str(limited.retry_after).encode()
        kind = "rate_limit_error"
        raise _Refused(
            _Refusal(429, limited.code, str(limited), kind=kind, headers=((b"retry-after", wait),))
        )

    def _count_speech(self, peer: str | None) -> RateLimited | None:
        """Count a speech request of a client; return why it may not be made now, or None."""
        wait = 0 if peer is None else self._rate.take(peer, self._clock())
        return RateLimited(self._rate.per_minute, retry_after=wait) if wait else None


def _hold_stream(request: GuardedRequest, held: ExitStack) -> None:
    """Hold one of the streams that the request's token allows, until `held` is left.

    Raises:
        _Refused: as many are open.
    """
    if isinstance(request.token, TokenGrant) and (request.is_speech or request.is_socket):
        try:
            held.enter_context(request.token.stream())
        except Busy as error:
            raise _Refused(_token_refusal(error)) from None


def _token_refusal(error: SpeechError) -> _Refusal:
    """Return the answer to a token that is refused (RFC 6750, 3.1)."""
    status, kind = TOKEN_STATUS[error.code]
    headers = (_TOKEN_CHALLENGE,) if status == _UNAUTHORIZED else ()
    return _Refusal(status, error.code, str(error), kind, headers)


def _check_json(request: GuardedRequest, body: bytes) -> None:
    """Check that a body does not hold up the event loop while it is parsed, which frameworks do there.

    Raises:
        _Refused: it does.
    """
    if request.is_file or request.first(b"content-type").strip().casefold().startswith("multipart/"):
        return
    if b"\0" in body:  # UTF-16 and UTF-32, in which marks cannot be counted and which JSON must not be in
        raise _Refused(_Refusal(400, "bad_request", "The body has to be in UTF-8."))
    try:
        check_values(body, MAX_JSON_VALUES)
    except JsonOverLimit as error:
        raise _Refused(_Refusal(413, _TOO_LARGE, f"The body is over a limit: {error}.")) from None


def _shows_player(request: GuardedRequest) -> bool:
    """Whether a browser goes to the address of speech: it gets a player, and sound when its user starts it.

    A navigation is no proof that somebody wants to hear it: any page can open a window at that address.
    """
    return request.path == PLAYER_PATH and is_navigation(request)


def _is_visit(request: GuardedRequest) -> bool:
    """Whether a window goes to the page, as by a link to it; nothing is built for that yet."""
    return request.path == PAGE_PATH and is_navigation(request) and is_top_level(request)


def _cross_origin_refusal(request: GuardedRequest) -> _Refusal:
    named = request.first(b"origin") or origin_of(request.first(b"referer"))
    text = f"The origin {named[:_MAX_LOGGED_CHARS]!r} may not" if named else "A page of another site may not"
    return _Refusal(403, "origin_not_allowed", f"{text} use the server: it is not listed in cors_origins.")


def _log_refusal(log: Callable[..., None], request: GuardedRequest, refusal: _Refusal) -> None:
    log(
        "%s: refused %s %r: %s",
        request.peer or "unix",
        request.method,
        shown_path(request.path)[:_MAX_LOGGED_CHARS],
        refusal.message,
    )


async def _refuse(scope: Scope, request: GuardedRequest, refusal: _Refusal, send: Send) -> None:
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


async def _allow_preflight(request: GuardedRequest, send: Send) -> None:
    headers: Headers = [
        (b"access-control-allow-methods", b"GET, POST, PUT, DELETE, OPTIONS"),
        (b"access-control-max-age", _PREFLIGHT_SECONDS),
    ]
    if requested := request.first(b"access-control-request-headers"):
        headers.append((b"access-control-allow-headers", encode_header(requested)))
    if request.first(b"access-control-request-private-network"):
        headers.append((b"access-control-allow-private-network", b"true"))
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def _with_cors(request: GuardedRequest, rules: _Rules, send: Send) -> Send:
    """Add CORS headers to every response to a listed origin, refusals included."""
    origin = request.first(b"origin")
    if request.is_socket or not origin or not rules.origins.includes(origin):
        return send
    cors_headers = [
        (b"access-control-allow-origin", encode_header(origin)),
        (b"access-control-expose-headers", _EXPOSED),
        (b"vary", b"Origin"),
    ]

    async def send_with_cors(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *cors_headers]}
        await send(message)

    return send_with_cors


def _with_isolation(request: GuardedRequest, rules: _Rules, send: Send) -> Send:
    """Forbid other sites' pages to embed what a browser is answered (Cross-Origin-Resource-Policy)."""
    is_shared = rules.initiator(request) in {Initiator.ALLOWED_ORIGIN, Initiator.NOT_A_BROWSER}
    if request.is_socket or is_shared or rules.has_credential(request):
        return send

    async def send_isolated(message: Message) -> None:
        if message["type"] == "http.response.start":
            policy = (b"cross-origin-resource-policy", b"same-origin")
            message = {**message, "headers": [*message.get("headers", ()), policy]}
        await send(message)

    return send_isolated


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a receive function that yields the body that was read, then any further messages."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_replayed() -> Message:
        return messages.pop() if messages else await receive()

    return receive_replayed
