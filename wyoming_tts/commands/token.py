"""`wyoming-tts token mint`: makes a token for a browser, as a site's own backend does, for trying out."""

from __future__ import annotations

import argparse
import secrets
import time
from types import MappingProxyType
from typing import Final

from pydantic import ValidationError

from wyoming_tts.settings import Settings, SettingsError

_SECONDS = 300
_FLAGS: Final = MappingProxyType({"voices": "voice"})
"""Names of flags that differ from those of claims."""


def add_token_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of `mint_token`."""
    parser.add_argument("action", choices=["mint"], help="make a token and print it")
    parser.add_argument("--config", metavar="FILE", help="YAML or JSON file with the server's settings")
    parser.add_argument("--kid", metavar="ID", help="id of the key in token_keys; the last one if left out")
    parser.add_argument(
        "--seconds", type=float, default=_SECONDS, help=f"how long it is valid; {_SECONDS} if left out"
    )
    parser.add_argument(
        "--origin", action="append", help="origin of a page that may use it; may be given again"
    )
    parser.add_argument(
        "--voice",
        dest="token_voices",
        metavar="NAME",
        action="append",
        help="voice that may speak, such as 'af_*'; may be given again",
    )
    parser.add_argument("--characters", type=int, help="characters that may be spoken")
    parser.add_argument("--requests", type=int, help="requests that may be made")
    parser.add_argument("--streams", type=int, help="requests and WebSockets at the same time")


def mint_token(arguments: argparse.Namespace, settings: Settings) -> int:
    """Print a token.

    Raises:
        SettingsError: no key has that id, or a flag is out of range.
    """
    # Not with the flags: it imports numpy, for which `--help` would wait.
    from wyoming_tts.transports.tokens import AUDIENCE, TokenClaims, mint, secrets_by_id  # noqa: PLC0415

    keys = secrets_by_id(settings.token_keys)
    key_id = arguments.kid or next(reversed(keys), "")
    if key_id not in keys:
        if not keys:
            raise SettingsError("token_keys: there is no key; name the server's settings with --config FILE")
        raise SettingsError(f"token_keys: there is no key {key_id!r}, expected one of {', '.join(keys)}")
    longest = settings.token_lifetime
    if not 0 < arguments.seconds <= longest:
        raise SettingsError(f"--seconds: got {arguments.seconds:g}, expected at most {longest}")
    now = time.time()
    try:
        claims = TokenClaims(
            aud=AUDIENCE,
            iat=now,
            exp=now + arguments.seconds,
            jti=secrets.token_hex(8),
            origin=_as_claim(arguments.origin),
            voices=_as_claim(arguments.token_voices),
            characters=arguments.characters,
            requests=arguments.requests,
            streams=arguments.streams,
        )
    except ValidationError as error:
        wrong = max(error.errors(include_url=False), key=lambda each: len(each["loc"]))  # the innermost
        flag = _FLAGS.get(claim := str(wrong["loc"][0]), claim)
        raise SettingsError(f"--{flag}: got {wrong['input']!r}: {wrong['msg']}") from error
    print(mint(keys, key_id, claims))
    return 0


def _as_claim(texts: list[str] | None) -> tuple[str, ...] | None:
    return tuple(texts) if texts else None
