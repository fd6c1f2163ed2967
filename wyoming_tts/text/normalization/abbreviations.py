"""Abbreviations and fixed phrases in words: `Dr.`, `approx.`, `n°1`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import regex  # type: ignore[import-untyped]

from wyoming_tts.text.normalization.language_data import LanguageData, any_of, index_by_spelling
from wyoming_tts.text.normalization.numerals import Numerals
from wyoming_tts.text.normalization.rules import Rule, at_sentence_end, make_rule

_NUMBER_AFTER_RE = regex.compile(r" ?[#]?\d")
_NUMBER_BEFORE_RE = regex.compile(r"\d ?$")
_YEAR_AFTER_RE = regex.compile(
    r" ?(?:1\d{3}|20\d\d|[1-9]\d\d(?= (?:BCE?|AD|CE|B\.C\.|A\.D\.)))(?![\w%°]|[.,:]\d)"
)
_ROMAN_AFTER_RE = regex.compile(r" [IVXLCDM]+(?![\w'’-]|\.\w)")
_ADDRESS_BEFORE_RE = regex.compile(
    r"(?:^|[\s(])\d+[A-Za-z]? (?:[NSEW]\.? )?(?:\p{Lu}[\p{L}\p{M}'’-]+ ){1,3}$"
)
"""A house number and the name of a street."""
_NAME_AFTER_RE = regex.compile(r" \p{Lu}[\p{L}\p{M}'’-]")
_NAME_BEFORE_RE = regex.compile(r"(?:^|[\s(])\p{Lu}[\p{L}\p{M}'’-]*,? $|\d(?:st|nd|rd|th) $")
_BEFORE: Mapping[str, regex.Pattern[str]] = {
    "number": _NUMBER_BEFORE_RE,
    "name": _NAME_BEFORE_RE,
    "address": _ADDRESS_BEFORE_RE,
}


class AbbreviationRules:
    """The rules for abbreviations and phrases in one language."""

    def __init__(self, language: LanguageData, numerals: Numerals) -> None:
        self._language = language
        self._numerals = numerals
        self._abbreviations = index_by_spelling(language.section("abbreviations"))
        self._phrases = index_by_spelling(language.section("phrases"))
        self._numbered_after_re = regex.compile(rf" {any_of(self._numbered())} ?#?\d")
        """Such as "No. 10", which is no name."""
        self._numeral_words = {
            str(word).casefold() for word in language.section("romans").get("number_after") or []
        }

    def rules(self) -> list[Rule]:
        """The rules, which come before those for numbers; the first that fits wins."""
        found = []
        if self._phrases:
            found.append(
                make_rule(
                    rf"(?<![\w/]){any_of(self._phrases)}(?![\w/])",
                    lambda match: str(self._phrases[match.group()]),
                    needs_digit=False,
                )
            )
        if self._abbreviations:
            found.append(
                make_rule(
                    rf"(?<![\w.@/°-])(?P<short>{any_of(self._abbreviations)})(?![\w/])",
                    self._verbalize_abbreviation,
                    needs_digit=False,
                )
            )
        return [*found, *self._with_number(), *self._with_year()]

    def _numbered(self) -> list[str]:
        return [
            short
            for short, found in self._abbreviations.items()
            if any(entry.get("before") == "number" for entry in _entries(found))
        ]

    def _with_number(self) -> list[Rule]:
        """Abbreviations with their number right behind them, such as `n°1`."""
        number = self._language.word("number")
        short = {
            each: entry["spoken"]
            for each, entry in self._abbreviations.items()
            if isinstance(entry, dict)
            and (each[-1] == "º" or not each[-1].isalnum())
            and _before_number(entry, number)
        }
        if not short:
            return []
        return [
            make_rule(
                rf"(?<![\w.@/-])(?P<short>{any_of(short)})(?P<number>\d{{1,6}})(?![\w/]|[.,:-]\d)",
                lambda match: (
                    f"{short[match['short']]} {self._numerals.verbalize_identifier(match['number'])}"
                ),
            )
        ]

    def _with_year(self) -> list[Rule]:
        """Abbreviations with a year right behind them: `c.1850`."""
        short = {
            each: entry["spoken"]
            for each, entry in self._abbreviations.items()
            if isinstance(entry, dict) and entry.get("before") == "year"
        }
        if not short:
            return []
        return [
            make_rule(
                rf"(?<![\w.@/-])(?P<short>{any_of(short)})(?P<year>1\d{{3}}|20\d\d)(?![\w/%°]|[.,:-]\d)",
                lambda match: f"{short[match['short']]} {self._language.numbers.year(int(match['year']))}",
            )
        ]

    def _verbalize_abbreviation(self, match: regex.Match[str]) -> str | None:
        found = self._abbreviations[match["short"]]
        for entry in _entries(found):
            if self._fits(entry, match):
                ends = match["short"].endswith(".") and entry.get("ends", False) and at_sentence_end(match)
                stop = ends and not self._numbered_after_re.match(match.string, match.end())
                return str(entry["spoken"]) + ("." if stop else "")
        return None

    def _fits(self, entry: Mapping[str, Any], match: regex.Match[str]) -> bool:
        """Whether the neighbours of an abbreviation are those that its entry asks for."""
        before = match.string[max(0, match.start() - 40) : match.start()]
        after = match.string[match.end() : match.end() + 40]
        needed_after, needed_before = entry.get("before"), entry.get("after")
        if needed_before != "number" and self._is_unit(match["short"]) and _NUMBER_BEFORE_RE.search(before):
            return False
        if needed_after and not self._is_before(needed_after, entry, after):
            return False
        if needed_before and not _BEFORE[needed_before].search(before):
            return False
        if entry.get("not_after") and _BEFORE[entry["not_after"]].search(before):
            return False
        return entry.get("not_before") != "name" or not self._is_name(after)

    def _is_unit(self, short: str) -> bool:
        """Whether it is a unit too, with the full stop of a sentence: "7 см." in Russian."""
        return short in self._language.units or short.rstrip(".") in self._language.units

    def _is_name(self, after: str) -> bool:
        return bool(_NAME_AFTER_RE.match(after)) and not self._numbered_after_re.match(after)

    def _is_before(self, needed: str, entry: Mapping[str, Any], after: str) -> bool:
        if needed == "name":
            return self._is_name(after)
        if needed == "year":
            return bool(_YEAR_AFTER_RE.match(after))
        numeral = str(entry["spoken"]).casefold() in self._numeral_words and _ROMAN_AFTER_RE.match(after)
        return bool(numeral or _NUMBER_AFTER_RE.match(after))


def _entries(found: Any) -> list[Mapping[str, Any]]:
    return found if isinstance(found, list) else [found]


def _before_number(entry: Mapping[str, Any], number: str) -> bool:
    return bool(entry.get("before") == "number" or entry["spoken"] == number)
