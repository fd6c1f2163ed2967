"""The type of keys that sign tokens: `ID=SECRET`, each id once, and secrets long enough."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

from wyoming_tts.settings.values.plain import Phrases

MIN_SECRET_BYTES = 32
"""Of a secret that signs tokens: as many as the digest has (RFC 7518, 3.2)."""
_KEY_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class InvalidTokenKey(ValueError):
    """A key that signs tokens is unusable; the message says which, without its secret."""


def _key_entries(value: object) -> object:
    """Return a mapping of YAML as entries `ID=SECRET`."""
    return [f"{key_id}={secret}" for key_id, secret in value.items()] if isinstance(value, dict) else value


def _token_keys(entries: tuple[str, ...]) -> tuple[str, ...]:
    ids = set[str]()
    for number, entry in enumerate(entries, 1):
        key_id, sign, secret = entry.partition("=")
        if not sign or not _KEY_ID.fullmatch(key_id):
            raise InvalidTokenKey(f"number {number} does not begin with an id, such as web=")
        if key_id in ids:
            raise InvalidTokenKey(f"the id {key_id} is given twice")
        if (length := len(secret.encode())) < MIN_SECRET_BYTES:
            raise InvalidTokenKey(
                f"the secret of {key_id} has {length} bytes, at least {MIN_SECRET_BYTES} are needed; "
                "`openssl rand -hex 32` makes one"
            )
        ids.add(key_id)
    return entries


TokenKeys = Annotated[Phrases, BeforeValidator(_key_entries), AfterValidator(_token_keys)]
