"""Access tokens for browsers: short-lived JSON Web Tokens (JWT, HS256) that a site's own backend signs.

Backend and server share a secret, so that nobody has to be asked for a token. The server keeps no record of
tokens, but for what has been spoken with those that have a quota: in this process, up to a number of them.
"""

from __future__ import annotations

import heapq
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Annotated, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from wyoming_tts.errors import Busy, ErrorCode, InvalidToken, TokenExpired, TokenForbidden, TokenUsedUp
from wyoming_tts.speech import Utterance

AUDIENCE = "wyoming-tts"
"""What `aud` has to name: a backend's secret may sign tokens for other purposes, such as its own sessions."""
ALGORITHM = "HS256"
MAX_TOKEN_CHARS = 4096
LEEWAY = 10.0
"""Seconds by which the clocks of backend and server may differ."""
MAX_COUNTED = 20_000
"""Tokens whose use is counted at the same time: 5 MB. Beyond it those that expire first are forgotten."""

TOKEN_STATUS: Mapping[ErrorCode, tuple[int, str]] = MappingProxyType(
    {
        ErrorCode.TOKEN_INVALID: (401, "invalid_request_error"),
        ErrorCode.TOKEN_EXPIRED: (401, "invalid_request_error"),
        ErrorCode.TOKEN_FORBIDDEN: (403, "permission_error"),
        ErrorCode.VOICE_NOT_ALLOWED: (403, "permission_error"),
        ErrorCode.TOKEN_USED_UP: (429, "insufficient_quota"),
        ErrorCode.BUSY: (429, "rate_limit_error"),
    }
)
"""Status and OpenAI's type of error, by the code of a refusal."""

_FORM = re.compile(r"[\w-]{1,4096}\.[\w-]{1,4096}\.[\w-]{0,4096}", re.ASCII)
_MAX_TIME = 253_402_300_799.0
"""The end of the year 9999."""

WallClock: TypeAlias = Callable[[], float]
"""Returns seconds since 1970."""
_Time = Annotated[float, Field(ge=0, le=_MAX_TIME, allow_inf_nan=False)]
_Text = Annotated[str, Field(min_length=1, max_length=256)]
_Texts = Annotated[tuple[_Text, ...], Field(min_length=1, max_length=64)]
_Count = Annotated[int, Field(ge=1, le=10**12)]


class TokenClaims(BaseModel):
    """What a token says, by the names of RFC 7519 where it has one."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    aud: _Text | _Texts
    exp: _Time
    """The end of its time, in seconds since 1970."""
    iat: _Time | None = None
    nbf: _Time | None = None
    jti: _Text | None = None
    """Names the token where its use is counted."""
    origin: _Text | _Texts | None = None
    """Origins of the web pages that may use it, such as `https://example.org`; None: of any, or of none."""
    voices: _Text | _Texts | None = None
    """Voices that may speak, with `*` for any part of a name; None: all that are installed."""
    characters: _Count | None = None
    """Characters of text that may be spoken with it."""
    requests: _Count | None = None
    """Requests for speech, and responses over a WebSocket, that may be made with it."""
    streams: _Count | None = None
    """Requests and WebSockets that may be open at the same time."""

    @property
    def is_counted(self) -> bool:
        """Whether its use is limited."""
        return any((self.characters, self.requests, self.streams))


def as_texts(claim: str | tuple[str, ...] | None) -> tuple[str, ...]:
    """Return a claim that is one text or several as a tuple."""
    return (claim,) if isinstance(claim, str) else claim or ()


@dataclass(slots=True)
class TokenUsage:
    """What has been spoken with a token."""

    characters: int = 0
    requests: int = 0
    streams: int = 0
    """Those that are open."""


class TokenUsages:
    """The usage of counted tokens; past a number of them, those that expire first are forgotten."""

    def __init__(self, limit: int = MAX_COUNTED) -> None:
        self._limit = limit
        self._usages: dict[tuple[str, str], TokenUsage] = {}
        self._expiries: list[tuple[float, tuple[str, str]]] = []

    def __len__(self) -> int:
        return len(self._usages)

    def find(self, key_id: str, claims: TokenClaims, now: float) -> TokenUsage:
        """Return the usage of a token of a key, from its first use on."""
        name = (key_id, claims.jti or "")
        if (usage := self._usages.get(name)) is None:
            usage = self._usages[name] = TokenUsage()
            heapq.heappush(self._expiries, (claims.exp + LEEWAY, name))
            while len(self._usages) > self._limit or self._expiries[0][0] < now:
                del self._usages[heapq.heappop(self._expiries)[1]]
        return usage


@dataclass(frozen=True, slots=True)
class TokenGrant:
    """What a valid token permits the request or the WebSocket that it came with."""

    claims: TokenClaims
    usage: TokenUsage
    clock: WallClock = field(default=time.time, repr=False)

    def check_origin(self, origin: str) -> None:
        """Check the origin of the page that asks, empty for none.

        Raises:
            TokenForbidden: the token is for pages of others.
        """
        allowed = {each.casefold().rstrip("/") for each in as_texts(self.claims.origin)}
        if allowed and origin.casefold() not in allowed:
            raise TokenForbidden(
                "The token is for another web page: its `origin` differs from the browser's.",
                hint="Have it made for the origin of the page that uses it, such as https://example.org.",
            )

    def spend(self, characters: int, *, requests: int = 1) -> None:
        """Count what is to be spoken; nothing of it if that is not permitted.

        Raises:
            TokenExpired: its time is over.
            TokenUsedUp: it would be more than the token allows.
        """
        _check_age(self.claims, self.clock())
        usage, claims = self.usage, self.claims
        for name, wanted in (("characters", characters), ("requests", requests)):
            limit, used = getattr(claims, name), getattr(usage, name)
            if limit is not None and wanted and used + wanted > limit:
                raise TokenUsedUp(
                    f"The token allows {limit} {name}, of which {used} are used; got {wanted} more.",
                    hint="Get a new token from the site.",
                )
        usage.characters += characters
        usage.requests += requests

    @contextmanager
    def stream(self) -> Iterator[None]:
        """Hold one of the streams that may be open at the same time.

        Raises:
            Busy: as many as the token allows are open.
        """
        usage, limit = self.usage, self.claims.streams
        if limit is not None and usage.streams >= limit:
            raise Busy(f"The token already has {usage.streams} of {limit} streams.", hint="End one first.")
        usage.streams += 1
        try:
            yield
        finally:
            usage.streams -= 1

    def restrict(self, utterance: Utterance) -> Utterance:
        """Return the utterance with no voice but those that the token allows, and none downloaded for it."""
        voice = replace(utterance.voice, may_download=False, allowed=as_texts(self.claims.voices))
        return replace(utterance, voice=voice)


class TokenVerifier:
    """Verifies tokens that are signed with one of several secrets, which their `kid` names."""

    def __init__(
        self,
        keys: Mapping[str, str],
        *,
        max_lifetime: float,
        usages: TokenUsages | None = None,
        clock: WallClock = time.time,
    ) -> None:
        """Take secrets by their ids. A token may be valid for `max_lifetime` seconds at most."""
        from jwt import PyJWS, PyJWTError  # noqa: PLC0415 - only servers with tokens need it

        self._keys = {key_id: secret.encode() for key_id, secret in keys.items()}
        self._max_lifetime = max_lifetime
        self._usages = TokenUsages() if usages is None else usages
        self._clock = clock
        self._jws = PyJWS(algorithms=[ALGORITHM])
        self._failures: tuple[type[Exception], ...] = (PyJWTError, ValueError, RecursionError)

    def __repr__(self) -> str:
        return f"<TokenVerifier keys={sorted(self._keys)}>"

    def verify(self, token: str) -> TokenGrant:
        """Return what a token permits.

        Raises:
            InvalidToken: it is malformed, signed by somebody else or in another way, or not for this server.
            TokenExpired: its time is over.
        """
        key_id, payload = self._open(token)
        try:
            claims = TokenClaims.model_validate_json(payload)
        except ValidationError as error:
            raise _wrong_claim(error) from None
        now = self._clock()
        self._check_times(claims, now)
        if AUDIENCE not in as_texts(claims.aud):
            raise InvalidToken("The token is not for this server.", hint=f"Set `aud` to {AUDIENCE!r}.")
        if claims.is_counted and claims.jti is None:
            raise InvalidToken("The token has a quota and no id.", hint="Set `jti` to a random text.")
        usage = self._usages.find(key_id, claims, now) if claims.is_counted else TokenUsage()
        return TokenGrant(claims, usage, self._clock)

    def _open(self, token: str) -> tuple[str, bytes]:
        """Return the id of the key that signed a token, and the payload, which is not parsed yet."""
        if len(token) > MAX_TOKEN_CHARS:
            raise InvalidToken(f"Got a token of {len(token)} characters, expected at most {MAX_TOKEN_CHARS}.")
        try:
            header = self._jws.get_unverified_header(token)
        except self._failures:
            raise InvalidToken("The token is malformed.", hint="Send it as the site made it.") from None
        if header.get("alg") != ALGORITHM:
            raise InvalidToken(f"The token's `alg` is not {ALGORITHM}.", hint=f"Sign it with {ALGORITHM}.")
        key_id = header.get("kid")
        secret = self._keys.get(key_id) if isinstance(key_id, str) else None
        if key_id is None or secret is None:
            raise InvalidToken(
                "The token's `kid` names no key of this server.",
                hint="Set it, in the token's header, to an id of token_keys.",
            )
        try:
            return key_id, self._jws.decode(token, secret, [ALGORITHM])
        except self._failures:
            raise InvalidToken(
                "The token's signature is wrong.",
                hint="Site and server must have the same secret for its `kid`.",
            ) from None

    def _check_times(self, claims: TokenClaims, now: float) -> None:
        _check_age(claims, now)
        if max(claims.nbf or 0.0, claims.iat or 0.0) > now + LEEWAY:
            raise InvalidToken(
                "The token is not valid yet.", hint="Check the clocks of the site and of this server."
            )
        lifetime = claims.exp - (now if claims.iat is None else min(claims.iat, now))
        if lifetime > self._max_lifetime + LEEWAY:
            raise InvalidToken(
                f"The token is valid for {lifetime:.0f} s, expected at most {self._max_lifetime:.0f}.",
                hint="Set an earlier `exp`, or raise token_lifetime.",
            )


def looks_like_token(text: str) -> bool:
    """Whether a text has the form of a JWT, and is no API key; of one that is too long it may have it."""
    return _FORM.fullmatch(text) is not None


def mint(keys: Mapping[str, str], key_id: str, claims: TokenClaims) -> str:
    """Sign a token with one of the keys."""
    from jwt import PyJWS  # noqa: PLC0415 - as above

    payload = claims.model_dump_json(exclude_none=True).encode()
    return PyJWS().encode(payload, keys[key_id], ALGORITHM, headers={"kid": key_id})


def secrets_by_id(entries: Iterable[str]) -> dict[str, str]:
    """Return secrets by their ids, of entries `ID=SECRET` of the settings."""
    return {key_id: secret for key_id, _, secret in (entry.partition("=") for entry in entries)}


def _check_age(claims: TokenClaims, now: float) -> None:
    if now >= claims.exp + LEEWAY:
        raise TokenExpired(
            f"The token expired {now - claims.exp:.0f} s ago.", hint="Get a new token from the site."
        )


def _wrong_claim(error: ValidationError) -> InvalidToken:
    """Name the claim that is wrong, without its value."""
    location = error.errors(include_url=False, include_input=False, include_context=False)[0]["loc"]
    name = str(location[0]) if location else ""
    if name not in TokenClaims.model_fields:
        return InvalidToken("The token's payload is not a JSON object.")
    return InvalidToken(
        f"The token's claim `{name}` is missing or has a wrong value.", hint="See docs/website.md."
    )
