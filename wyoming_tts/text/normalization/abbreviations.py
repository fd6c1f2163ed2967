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
_NAME_AFTER_RE = regex.compile(r" \p{Lu}[\p{L}\p{M}'’-]")
_NAME_BEFORE_RE = regex.compile(r"(?:^|[\s(])\p{Lu}[\p{L}\p{M}'’-]*,? $|\d(?:st|nd|rd|th) $")


class AbbreviationRules:
    """The rules for abbreviations and phrases in one language."""

    def __init__(self, language: LanguageData, numerals: Numerals) -> None:
        self._language = language
        self._numerals = numerals
        self._abbreviations = index_by_spelling(language.section("abbreviations"))
        self._phrases = index_by_spelling(language.section("phrases"))

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
                    rf"(?<![\w.@/-])(?P<short>{any_of(self._abbreviations)})(?![\w/])",
                    self._verbalize_abbreviation,
                    needs_digit=False,
                )
            )
        return [*found, *self._with_number()]

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

    def _verbalize_abbreviation(self, match: regex.Match[str]) -> str | None:
        found = self._abbreviations[match["short"]]
        for entry in found if isinstance(found, list) else [found]:
            if _fits(entry, match):
                stop = match["short"].endswith(".") and entry.get("ends", False) and at_sentence_end(match)
                return str(entry["spoken"]) + ("." if stop else "")
        return None


def _before_number(entry: Mapping[str, Any], number: str) -> bool:
    return bool(entry.get("before") == "number" or entry["spoken"] == number)


def _fits(entry: Mapping[str, Any], match: regex.Match[str]) -> bool:
    """Whether the neighbours of an abbreviation are those that its entry asks for."""
    before = match.string[max(0, match.start() - 40) : match.start()]
    after = match.string[match.end() : match.end() + 40]
    needed_after, needed_before = entry.get("before"), entry.get("after")
    if needed_after and not (_NUMBER_AFTER_RE if needed_after == "number" else _NAME_AFTER_RE).match(after):
        return False
    if needed_before and not (_NUMBER_BEFORE_RE if needed_before == "number" else _NAME_BEFORE_RE).search(
        before
    ):
        return False
    return not (entry.get("not_before") == "name" and _NAME_AFTER_RE.match(after))
