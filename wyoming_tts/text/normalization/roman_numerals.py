"""Roman numerals in words: `Chapter IV`, `Elizabeth II`."""

from __future__ import annotations

import regex  # type: ignore[import-untyped]

from wyoming_tts.text.normalization.language_data import LanguageData, index_by_spelling
from wyoming_tts.text.normalization.rules import Rule, make_rule

_VALUES = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
_ROMAN = r"(?:M{0,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3}))"
_SMALL_ROMAN = r"(?:X{0,3}(?:IX|IV|V?I{0,3}))"


class RomanNumeralRules:
    """The rules for Roman numerals in one language."""

    def __init__(self, language: LanguageData) -> None:
        self._language = language

    def rules(self) -> list[Rule]:
        """The rules in order of precedence."""
        data = self._language.section("romans")
        if not data:
            return []
        number_after = "|".join(regex.escape(word) for word in self._number_after() or ["\0"])
        names = "|".join(regex.escape(name) for name in data.get("names") or ["\0"])
        end = r"(?![\w'’-]|\.\w)"
        numbers = self._language.numbers
        regnal = str(data.get("regnal") or "")
        found = [
            make_rule(
                rf"(?<=\b(?i:{number_after})\ )(?P<roman>(?=[IVXLCDM]){_ROMAN}){end}",
                lambda match: numbers.cardinal(_parse_roman(match["roman"])),
                needs_digit=False,
            ),
            make_rule(
                rf"(?<=(?<![\w-])(?:\p{{Lu}}\p{{Ll}}{{2,}})\ )(?P<roman>(?=[IVX]{{2,}}){_SMALL_ROMAN}){end}",
                lambda match: numbers.cardinal(_parse_roman(match["roman"])),
                needs_digit=False,
            ),
        ]
        if regnal:
            say = lambda match: regnal.format(  # noqa: E731
                ordinal=numbers.ordinal(_parse_roman(match["roman"]), gender=data.get("gender", ""))
            )
            ordinal_stop = r"(?:\.(?=\ \p{Ll}))?"
            roman = rf"(?P<roman>(?=[IVX]){_SMALL_ROMAN})(?<!\bI){end}{ordinal_stop}"
            found.insert(0, make_rule(rf"(?<=\b(?:{names})\ ){roman}", say, needs_digit=False))
        return found

    def _number_after(self) -> list[str]:
        """The words, and their abbreviations."""
        words = [str(word) for word in self._language.section("romans").get("number_after") or []]
        folded = {word.casefold() for word in words}
        abbreviations = index_by_spelling(self._language.section("abbreviations"))
        return words + [
            short
            for short, entry in abbreviations.items()
            if isinstance(entry, dict) and str(entry["spoken"]).casefold() in folded
        ]


def _parse_roman(numeral: str) -> int:
    values = [_VALUES[letter] for letter in numeral]
    return sum(
        -value if any(later > value for later in values[index + 1 : index + 2]) else value
        for index, value in enumerate(values)
    )
