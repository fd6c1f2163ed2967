"""Access rules of HTTP: which requests are permitted, by address, host, initiating page, key and token."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from wyoming_tts.errors import SpeechError, TokenForbidden
from wyoming_tts.transports.access import AllowedHosts, AllowedNetworks, AllowedOrigins, ApiKeys
from wyoming_tts.transports.http.body_reading import BodyLimits
from wyoming_tts.transports.http.guard_request import (
    OPEN_PATHS,
    PAGE_PATH,
    PLAYER_PATH,
    TOKEN_PATHS,
    GuardedRequest,
)
from wyoming_tts.transports.http.ingress import HOST_HEADER, IngressPeer, first_value
from wyoming_tts.transports.http.initiator import (
    Initiator,
    find_initiator,
    is_navigation,
    is_top_level,
    origin_of,
)
from wyoming_tts.transports.http.login import Login
from wyoming_tts.transports.tokens import (
    TOKEN_STATUS,
    TokenGrant,
    TokenUsages,
    TokenVerifier,
    WallClock,
    looks_like_token,
)

NO_KEY = "invalid_api_key"
"""Code of the refusal of a request without a valid key."""
TOO_LARGE = "body_too_large"
MAX_SHOWN_CHARS = 100
"""Of what a client said, in the log and in its answer."""
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
_UNAUTHORIZED = 401
_CHALLENGE = (b"www-authenticate", b'Bearer realm="wyoming-tts"')
_TOKEN_CHALLENGE = (b"www-authenticate", b'Bearer realm="wyoming-tts", error="invalid_token"')


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
class Refusal:
    """Why a request is refused, as its client is told."""

    status: int
    code: str
    message: str
    kind: str = "invalid_request_error"
    headers: tuple[tuple[bytes, bytes], ...] = ()

    def body(self) -> bytes:
        """Return it as an error of the API."""
        error = {"message": self.message, "type": self.kind, "param": None, "code": self.code}
        return json.dumps({"error": error}).encode()


class Refused(Exception):
    """A request is refused."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


class AccessRules:
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
            Refused: one of them forbids it.
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
            raise Refused(Refusal(413, TOO_LARGE, text))

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
            raise Refused(Refusal(403, "address_not_allowed", f"{request.peer} is not allowed to connect."))

    def _check_host(self, request: GuardedRequest) -> None:
        if self.needs_key or self.origins.is_open:  # with keys, a foreign page lacks the key
            return
        for host in request.all(b"host"):
            if not self.hosts.allows(host):
                raise Refused(
                    Refusal(
                        403,
                        "host_not_allowed",
                        f"The host {host[:MAX_SHOWN_CHARS]!r} is not a known name of this server. Use "
                        "its IP address or a local name, set api_keys, or list the page's origin in "
                        "cors_origins.",
                    )
                )

    def _check_initiator(self, request: GuardedRequest) -> None:
        initiator = self.initiator(request)
        if request.is_read and self.has_credential(request):
            return
        if initiator is Initiator.CROSS_ORIGIN and not _is_visit(request):
            raise Refused(_cross_origin_refusal(request))
        if initiator is Initiator.UNKNOWN and request.has_effects and not shows_player(request):
            raise Refused(Refusal(403, "origin_not_allowed", _UNKNOWN_ORIGIN))

    def _check_key(self, request: GuardedRequest, login: Login) -> None:
        if self.has_credential(request) or login.has_session(request):
            return
        if isinstance(request.token, SpeechError):
            raise Refused(token_refusal(request.token))
        message = _WRONG_KEY if request.keys else _ANY_KEY_REQUIRED if self._tokens else _KEY_REQUIRED
        raise Refused(Refusal(_UNAUTHORIZED, NO_KEY, message, headers=(_CHALLENGE,)))

    @property
    def body_limits(self) -> BodyLimits:
        """Limits of one request body."""
        options = self.options
        return BodyLimits(options.max_body_bytes, options.body_timeout, options.body_stall_timeout)


def token_refusal(error: SpeechError) -> Refusal:
    """Return the answer to a token that is refused (RFC 6750, 3.1)."""
    status, kind = TOKEN_STATUS[error.code]
    headers = (_TOKEN_CHALLENGE,) if status == _UNAUTHORIZED else ()
    return Refusal(status, error.code, str(error), kind, headers)


def shows_player(request: GuardedRequest) -> bool:
    """Whether a browser goes to the address of speech: it gets a player, and sound when its user starts it.

    A navigation is no proof that somebody wants to hear it: any page can open a window at that address.
    """
    return request.path == PLAYER_PATH and is_navigation(request)


def _is_visit(request: GuardedRequest) -> bool:
    """Whether a window goes to the page, as by a link to it; nothing is built for that yet."""
    return request.path == PAGE_PATH and is_navigation(request) and is_top_level(request)


def _cross_origin_refusal(request: GuardedRequest) -> Refusal:
    named = request.first(b"origin") or origin_of(request.first(b"referer"))
    text = f"The origin {named[:MAX_SHOWN_CHARS]!r} may not" if named else "A page of another site may not"
    return Refusal(403, "origin_not_allowed", f"{text} use the server: it is not listed in cors_origins.")
