"""Ordinals from a language's own words for them, where the CLDR does not spell out ordinals or does it wrong.

The last part of a number is the ordinal. The data have the words for it up to twenty, for the tens and the
hundreds, in the nominative; other genders and cases differ in the endings. What is before is the cardinal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import regex  # type: ignore[import-untyped]

_TEN = 10
_HUNDRED = 100
_THOUSAND = 1000


class OrdinalWords:
    """The ordinals of one language."""

    def __init__(self, data: Mapping[str, Any], cardinal: Callable[[int], str]) -> None:
        """Take the section `numbers` of the language's data, and what spells its cardinals."""
        self._words: Mapping[int, str] = data.get("ordinal_words") or {}
        self._compound = str(data.get("ordinal_compound", "{cardinal_tens} {units}"))
        self._endings: Mapping[str, list[list[str]]] = data.get("ordinal_endings") or {}
        self._cardinal = cardinal

    def __bool__(self) -> bool:
        return bool(self._words)

    def spell(self, number: int, gender: str = "") -> str:
        """The ordinal of a number that is not negative, in the gender or case that the data name so."""
        rest = number if number in self._words else number % _HUNDRED or number % _THOUSAND
        ordinal = self._last_part(rest) if rest or not number else None
        if ordinal is None:
            return self._cardinal(number)
        before = f"{self._cardinal(number - rest)} " if number > rest else ""
        return before + self._with_ending(ordinal, gender)

    def _last_part(self, number: int) -> str | None:
        if number in self._words:
            return self._words[number]
        tens, units = number - number % _TEN, number % _TEN
        if tens not in self._words or units not in self._words:
            return None
        return self._compound.format(
            tens=self._words[tens],
            units=self._words[units],
            cardinal_tens=self._cardinal(tens),
            cardinal_units=self._cardinal(units),
        )

    def _with_ending(self, ordinal: str, gender: str) -> str:
        for pattern, ending in self._endings.get(gender) or []:
            ordinal = regex.sub(pattern, ending, ordinal)
        return ordinal
