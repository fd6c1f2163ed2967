"""Tokens as a site's backend makes them, and tokens that no honest one would."""

from __future__ import annotations

import time
from typing import Any

import jwt

KEY_ID = "web"
SECRET = "a-secret-that-site-and-server-share" * 2
OTHER_SECRET = "another-one-that-comes-after-rotation" * 2
KEYS = {KEY_ID: SECRET, "next": OTHER_SECRET}
ORIGIN = "https://example.org"


def signed(
    secret: str = SECRET,
    *,
    kid: object = KEY_ID,
    alg: str = "HS256",
    now: float | None = None,
    **claims: Any,
) -> str:
    """Sign a token that is valid for a minute; a claim that is None is left out."""
    begin = time.time() if now is None else now
    said = {"aud": "wyoming-tts", "exp": begin + 60, **claims}
    payload = {name: value for name, value in said.items() if value is not None}
    headers = {} if kid is None else {"kid": kid}
    return jwt.encode(payload, "" if alg == "none" else secret, alg, headers=headers)
