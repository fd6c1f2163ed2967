"""Agreement of a number with the noun behind it: "dwie minuty", but "dwa stopnie", in Polish.

The noun stays as it is written, as only its ending tells the case. Which nouns take which form of the
number is in the data, as a pattern of the number and the noun for each gender or case.
"""

from __future__ import annotations

from collections.abc import Callable

import regex  # type: ignore[import-untyped]

from wyoming_tts.text.normalization.language_data import LanguageData, any_of
from wyoming_tts.text.normalization.numerals import NUMBER_AHEAD, SIGNS, Numeral, Numerals, genitive_of
from wyoming_tts.text.normalization.rules import APART, DASH, Rule, make_rule


class AgreementRules:
    """The rules for whole numbers before nouns in one language."""

    def __init__(self, language: LanguageData, numerals: Numerals) -> None:
        self._language = language
        self._numerals = numerals

    def rules(self) -> list[Rule]:
        """The rules in order of precedence; they come before those for units that are written out."""
        patterns = self._language.section("numbers").get("agreement") or {}
        language = self._language
        months = [name for names in language.months for name in names]
        words = language.section("numbers").get("agreement_not") or []
        others = any_of([*language.units, *language.currencies, *language.scales, *months, *words])
        gap = r"\ ?" if language.is_attached else r"\ "
        return [
            make_rule(
                rf"{NUMBER_AHEAD}(?P<signs>{APART}(?<!\d\ ){SIGNS})(?:(?P<from>\d{{1,15}})(?:{DASH}))?"
                rf"(?={pattern})(?P<number>\d{{1,15}})(?!\d)(?={gap}(?!{others}(?!\w)))",
                self._verbalizer(gender),
            )
            for gender, pattern in patterns.items()
        ]

    def _verbalizer(self, gender: str) -> Callable[[regex.Match[str]], str]:
        numerals, to = self._numerals, self._language.word("range")

        def verbalize(match: regex.Match[str]) -> str:
            signs, first = numerals.verbalize_signs(match["signs"]), match["from"]
            genitive = numerals.takes_genitive(match) or (first and numerals.range_takes_genitive)
            between = f"{numerals.verbalize(Numeral(first), gender)} {to} " if first else ""
            number = numerals.verbalize(Numeral(match["number"]), genitive_of(gender) if genitive else gender)
            return signs + between + number

        return verbalize
