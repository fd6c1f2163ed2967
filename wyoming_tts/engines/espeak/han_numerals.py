"""Numbers in Chinese characters as digits, for voices of espeak-ng that read none of these characters."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from wyoming_tts.offset_text import group, join_texts, standing_for

_DIGITS: Final = {sign: value for value, sign in enumerate("〇一二三四五六七八九")} | {"零": 0}
_SMALL: Final = {"十": 10, "百": 100, "千": 1000}
_LARGE: Final = {"万": 10**4, "億": 10**8, "兆": 10**12}
_NUMBER_RE = re.compile(f"[{''.join([*_DIGITS, *_SMALL, *_LARGE])}]+")
_MOST_SIGNS: Final = 40
"""Longer ones are no number that anybody would say."""


def numerals_to_digits(text: str) -> str:
    """Replace each run of numerals by its digits: 二千二十六 is 2026, and so is 二〇二六."""
    return join_texts(_replaced(text))


def _replaced(text: str) -> Iterator[str]:
    at = 0
    for match in _NUMBER_RE.finditer(text):
        yield text[at : match.start()]
        yield standing_for(_to_digits(match.group()), group(match))
        at = match.end()
    yield text[at:]


def _to_digits(numeral: str) -> str:
    if len(numeral) > _MOST_SIGNS:
        return numeral
    if all(sign in _DIGITS for sign in numeral):
        return "".join(str(_DIGITS[sign]) for sign in numeral)
    total = below = digit = 0
    for sign in numeral:
        if sign in _DIGITS:
            digit = digit * 10 + _DIGITS[sign]
        elif sign in _SMALL:
            below += (digit or 1) * _SMALL[sign]
            digit = 0
        else:
            total += (below + digit or 1) * _LARGE[sign]
            below = digit = 0
    return str(total + below + digit)
