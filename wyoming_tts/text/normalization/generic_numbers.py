"""Numbers to words in languages without a grammar of their own, by data: point word, rule sets, digits.

Integers are left to the engine as digits, or spelled by the rules of the CLDR where a gender matters or the
data want it. Sign, point and decimals never are left: engines drop or misread them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from typing import Any

import regex  # type: ignore[import-untyped]
from unicode_rbnf import RbnfEngine

from wyoming_tts.text.normalization.cldr import plural_category
from wyoming_tts.text.normalization.number_words import SPELLED_BELOW, spell_by_rules
from wyoming_tts.text.normalization.ordinal_words import OrdinalWords
from wyoming_tts.text.normalization.spellout_rules import load_rules

_INTEGER_RE = re.compile(r"(-?)([0-9]+)")
_DECIMAL_RE = re.compile(r"(-?)([0-9]*)\.([0-9]+)")
_WORDS = "words"
_NUMBER = "number"
_PARTS = "parts"
_LONGEST_AS_NUMBER = 3
"""More decimals than these are spoken digit by digit in any language."""
_ALONE = "alone"
"""Key of the corrections of a number that has no gender."""
_DIGITS = "digits"
_SPELLED_DIGITS = 15
_LAST_YEAR = 9999
_STANDARD = ("spellout-numbering", "spellout-cardinal", "spellout-cardinal-masculine")


class GenericSpeller:
    """Spells numbers of one language as its data say."""

    def __init__(self, language: str, data: Mapping[str, Any]) -> None:
        """Take the sections `numbers` and `words` from the data of the language."""
        self._years: Mapping[str, Any] = data.get("years") or {}
        numbers, words = data.get("numbers") or {}, data.get("words") or {}
        self._language = str(numbers.get("locale") or language)
        self._minus = str(words.get("minus") or "-")
        self._point: str | Mapping[str, str] = numbers.get("point") or ""
        self._decimals_as_number = numbers.get("decimals") in (_NUMBER, _PARTS)
        self._parts = (numbers.get("parts") or []) if numbers.get("decimals") == _PARTS else []
        spelling = numbers.get("spelling") or {}
        self._spelling = {
            gender: [(regex.compile(pattern), words) for pattern, words in corrections or ()]
            for gender, corrections in (spelling if isinstance(spelling, Mapping) else {"": spelling}).items()
        }
        self._spells = numbers.get("integers") == _WORDS
        self._cardinals: Mapping[str, str] = numbers.get("cardinals") or {}
        self._ordinals: Mapping[str, str] = numbers.get("ordinal_rules") or {}
        self._ordinal_words = OrdinalWords(numbers, self._uncorrected)

    @property
    def has_ordinals(self) -> bool:
        """Whether there are rules for ordinals."""
        return bool(self._ordinals or self._ordinal_words)

    def has_gender(self, gender: str) -> bool:
        """Whether numbers before a noun of this gender have rules of their own."""
        return gender in self._cardinals

    def cardinal(self, number: int | str, *, gender: str = "") -> str:
        """The number in words or digits; from 10^15 on digit by digit.

        Raises:
            ValueError: the string is no integer.
        """
        match = _INTEGER_RE.fullmatch(str(number))
        if match is None:
            raise ValueError(f"{str(number)[:20]!r} is not an integer in decimal digits.")
        sign, digits = f"{self._minus} " if match[1] else "", match[2].lstrip("0") or "0"
        if len(digits) > _SPELLED_DIGITS:
            return sign + self.digits(digits)
        ruleset = self._ruleset(gender)
        if not ruleset:
            return sign + digits
        return sign + self._corrected(spell_by_rules(self._language, ruleset, int(digits)), gender or _ALONE)

    def _uncorrected(self, number: int) -> str:
        ruleset = self._ruleset("")
        return spell_by_rules(self._language, ruleset, number) if ruleset else str(number)

    def _corrected(self, spelled: str, gender: str) -> str:
        """What the rules of the CLDR write, as people say it."""
        for pattern, words in (*(self._spelling.get("") or ()), *(self._spelling.get(gender) or ())):
            spelled = pattern.sub(words, spelled)
        return spelled

    def _ruleset(self, gender: str) -> str:
        if gender in self._cardinals and (gender or self._spells):
            return self._cardinals[gender]
        if not self._spells:
            return ""
        return self._cardinals.get("") or _standard_ruleset(self._language)

    def ordinal(self, number: int, *, gender: str = "", oblique: bool = False) -> str:
        """The ordinal by the rule set of the gender; a cardinal where there are no rules."""
        ruleset = (self._ordinals.get("o") if oblique else "") or self._ordinals.get(gender)
        ruleset = ruleset or self._ordinals.get("")
        if abs(number) >= SPELLED_BELOW:
            return self.cardinal(number)
        if self._ordinal_words:
            return self._corrected(self._ordinal_words.spell(number, gender), "")
        if not ruleset:
            return self.cardinal(number)
        return self._corrected(spell_by_rules(self._language, ruleset, number), "")

    def decimal(self, number: str) -> str:
        """A decimal number such as "-3.50": sign, integer, point and decimals.

        Raises:
            ValueError: it is not of that form.
        """
        match = _DECIMAL_RE.fullmatch(number)
        if match is None:
            return self.cardinal(number)
        minus = self._minus if match[1] else ""
        whole = self._counted(match[2] or "0", self._point)
        return " ".join(part for part in (minus, whole, self._decimals(match[3])) if part)

    def _counted(self, number: str, entry: str | Mapping[str, str]) -> str:
        """A number and the noun that it takes, which may be the same for all numbers."""
        if isinstance(entry, str):
            counted = self.cardinal(number)
            return entry.format(number=counted) if "{number}" in entry else f"{counted} {entry}".rstrip()
        form = entry.get(plural_category(self._language)(Decimal(number))) or entry["many"]
        if not number.strip("0"):
            form = entry.get("zero") or form
        return f"{self.cardinal(number, gender=entry.get('gender', ''))} {form}"

    def _decimals(self, decimals: str) -> str:
        if len(decimals) <= len(self._parts):
            return self._counted(decimals, self._parts[len(decimals) - 1])
        rest = decimals.lstrip("0")
        if not self._decimals_as_number or not rest or len(decimals) > _LONGEST_AS_NUMBER:
            return self.digits(decimals)
        zeros = self.digits(decimals[: len(decimals) - len(rest)])
        return f"{zeros} {self.cardinal(rest)}".lstrip()

    def year(self, number: int) -> str:
        """A year, by its rule set if it lies between the years of the data, else as any other number."""
        years = self._years
        if years.get("rules") and years.get("from", 0) <= number <= years.get("to", _LAST_YEAR):
            if years["rules"] == _DIGITS:
                return self.digits(str(number))
            return spell_by_rules(self._language, years["rules"], number)
        return self.cardinal(number)

    def digits(self, number: str) -> str:
        """Every digit alone, and a leading minus sign; other characters are dropped."""
        words = [self.cardinal(digit) for digit in number if digit in "0123456789"]
        return " ".join([self._minus, *words] if number.startswith("-") else words)

    def fraction(self, _numerator: int, _denominator: int) -> str:
        """Nothing: there are no rules for fractions, so their digits stay as they are written."""
        return ""


@cache
def _standard_ruleset(language: str) -> str:
    rulesets = load_rules(language).rulesets
    return next((name for name in _STANDARD if name in rulesets), "")


@cache
def number_signs(language: str) -> tuple[str, str]:
    """The words for the minus sign and the decimal mark by the rules of the CLDR; empty where it has none."""
    if language not in RbnfEngine.get_supported_languages():
        return "", ""
    engine = RbnfEngine.for_language(language)
    five, minus_five, decimal = (engine.format_number(number).text for number in (5, -5, 1.2))
    words = decimal.split()
    point = words[1] if len(words) == len("1.2") else ""
    return minus_five.removesuffix(five).strip(), point
