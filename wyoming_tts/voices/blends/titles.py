"""Titles of blends: their names as people write them, with spaces and letters that recipes cannot hold."""

from __future__ import annotations

import unicodedata

_SPELLED = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "æ": "ae", "ø": "o", "å": "a", "œ": "oe", "ł": "l"}
)


def is_spelling(written: str, name: str) -> bool:
    """Whether a text is a name as people write it: "Küchenstimme" is `Kuechenstimme`."""
    return _plain(written) == _plain(name)


def _plain(name: str) -> str:
    """The letters and digits of a name."""
    spelled = unicodedata.normalize("NFC", name).casefold().translate(_SPELLED)
    return "".join(
        sign for sign in unicodedata.normalize("NFD", spelled) if sign.isascii() and sign.isalnum()
    )
