"""Plain numbers, ordinals, ranges and math symbols: the rules that come after all special cases."""

from __future__ import annotations

from collections.abc import Callable

import regex  # type: ignore[import-untyped]

from wyoming_tts.text.normalization.language_data import LanguageData, any_of
from wyoming_tts.text.normalization.numerals import NUMBER_AHEAD, SIGNS, Numerals
from wyoming_tts.text.normalization.rules import APART, DASH, NOT_MORE, Rule, at_sentence_end, make_rule

_BETWEEN = {
    "+": "plus",
    "±": "plus_minus",
    "×": "times",
    "·": "times",
    "*": "times",
    "÷": "divided",
    "=": "equals",
    "≠": "not_equal",
    "≈": "almost",
    "&": "and",
    "<": "less",
    ">": "greater",
    "≤": "at_most",
    "≥": "at_least",
    "→": "arrow",
    "⇒": "arrow",
    "->": "arrow",
    "=>": "arrow",
    "<=": "at_most",
    ">=": "at_least",
    "@": "at",
    "−": "minus",
}
"""Symbols that are spoken where they stand alone, or between numbers."""
_STARS_AT_A_WORD = r"(?<![\w*])\*(?=\p{L})|(?<=[\p{L}\p{M}])\*(?![\w*])"
"""A star that is no operator, as of "\\*emphasis\\*" and of a footnote. Some engines say "asterisk", and none
writes it: what stands between two operands is left."""
_HYPHEN_RANGE = 4
"""Maximum of digits on each side of a hyphen that means "to"."""
_CONTEXT_CHARS = 40


class PlainNumberRules:
    """The rules for plain numbers and symbols in one language."""

    def __init__(self, language: LanguageData, numerals: Numerals) -> None:
        self._language = language
        self._numerals = numerals

    def rules(self) -> list[Rule]:
        """The rules in order of precedence."""
        return [
            *self._ordinals(),
            *self._degrees(),
            *self._pairs(),
            *self._plain(),
            make_rule(_STARS_AT_A_WORD, lambda _match: "", needs_digit=False),
            *self._alone(),
        ]

    def ordinal_rules(self) -> list[Rule]:
        """The rules for ordinals whose suffix is also the sign of a unit: "3-м" are no meters in Russian."""
        return self._ordinals(before_units=True)

    def _ordinals(self, *, before_units: bool = False) -> list[Rule]:
        data = self._language.section("numbers")
        if data.get("ordinal_plain") or not self._language.numbers.has_ordinals:
            return []
        return [
            make_rule(
                rf"{APART}(?P<number>{self._numerals.grouped}|\d{{1,12}}){entry['suffix']}(?!\w)",
                self._ordinal_verbalizer(entry.get("gender", ""), entry.get("noun", "")),
            )
            for entry in data.get("ordinals") or []
            if bool(entry.get("before_units")) == before_units
        ]

    def _degrees(self) -> list[Rule]:
        """A degree sign in a language that also writes it after ordinals, whose rules come first."""
        words = "|".join(self._language.data.get("degrees_before") or [])
        if not words:
            return []
        return [
            make_rule(
                rf"{NUMBER_AHEAD}(?P<signs>{APART}{SIGNS})(?P<number>{self._numerals.pattern})\ ?[°º]"
                rf"(?![\w°º])(?:(?!\ \p{{L}})|(?=\ (?:{words})\b))",
                lambda match: (
                    self._numerals.verbalize_signs(match["signs"])
                    + self._verbalize(match["number"])
                    + f" {self._language.word('degrees')}"
                ),
            )
        ]

    def verbalize_ordinal(self, number: int, suffix: str) -> str:
        """An ordinal that stands alone, in the gender that its suffix indicates."""
        entries = self._language.section("numbers").get("ordinals") or []
        genders = (
            entry.get("gender", "")
            for entry in entries
            if regex.fullmatch(entry["suffix"], suffix, regex.VERBOSE)
        )
        return self._language.numbers.ordinal(number, gender=next(genders, ""))

    def _ordinal_verbalizer(self, gender: str, noun: str) -> Callable[[regex.Match[str]], str]:
        def verbalize(match: regex.Match[str]) -> str:
            number = int(self._numerals.parse(match["number"]).whole)
            ordinal = self._language.numbers.ordinal(number, gender=gender)
            if not noun:
                return ordinal
            return f"{ordinal} {noun}" + (
                "." if match.group().endswith(".") and at_sentence_end(match) else ""
            )

        return verbalize

    def _pairs(self) -> list[Rule]:
        number = self._numerals.pattern
        word = self._language.word
        found = [
            make_rule(
                rf"{APART}(?P<first>\d{{1,5}})(?P<by>\ ?x\ ?|×)(?P<second>\d{{1,5}})"
                rf"(?:(?P=by)(?P<third>\d{{1,5}}))?{NOT_MORE}",
                lambda match: f" {word('times' if _is_calculation(match) else 'by')} ".join(
                    self._sides(match)
                ),
            ),
            make_rule(
                rf"{APART}(?P<number>{number})(?:[x×](?!\w)|\ [x×](?=\ \p{{Ll}}))",
                lambda match: f"{self._verbalize(match['number'])} {word('times')}",
            ),
            make_rule(
                rf"{APART}(?P<first>\d{{1,4}})/(?P<second>\d{{1,4}})(?![\w/]|[.,]\d)",
                lambda match: (
                    f" {word('over')} ".join(self._all(match, "first", "second")) if word("over") else None
                ),
            ),
            make_rule(
                rf"{APART}(?P<first>\d{{1,3}}):(?P<second>\d{{1,3}})(?!\w|[:.,]\d)",
                lambda match: f" {word('ratio')} ".join(self._all(match, "first", "second")),
            ),
            make_rule(
                rf"{NUMBER_AHEAD}(?P<signs>{APART}{SIGNS})(?P<first>{number})(?:{DASH})(?P<second>{number}){NOT_MORE}",
                self._verbalize_range,
            ),
            make_rule(r"(?<=\d\ ?|\))\ ?(?P<minus>[-−])\ (?=\d)", lambda _match: f" {word('minus')} "),
        ]
        return found if word("range") else found[:1]

    def _verbalize_range(self, match: regex.Match[str]) -> str | None:
        long = max(len(match["first"]), len(match["second"])) > _HYPHEN_RANGE
        if " - " in match.group() or (long and "-" in match.group()):
            return None
        first = self._verbalize(match["first"])
        second = self._verbalize(match["second"], "g" if self._numerals.range_takes_genitive else "")
        return (
            f"{self._numerals.verbalize_signs(match['signs'])}{first} {self._language.word('range')} {second}"
        )

    def _sides(self, match: regex.Match[str]) -> list[str]:
        """The sides of something in words; those of screens like years in languages that do so."""
        as_years = self._language.section("numbers").get("sides_as_years", False)
        sides = [match[side] for side in ("first", "second", "third") if match[side]]
        return [
            self._language.numbers.year(int(side))
            if as_years and len(side) == len("1920")
            else self._verbalize(side)
            for side in sides
        ]

    def _all(self, match: regex.Match[str], *groups: str) -> list[str]:
        return [self._verbalize(match[group]) for group in groups if match[group]]

    def _verbalize(self, number: str, gender: str = "") -> str:
        return self._numerals.verbalize(self._numerals.parse(number), gender)

    def _plain(self) -> list[Rule]:
        number = self._numerals.pattern
        scales = self._language.scales
        bare = self._language.bare_scales
        # Digits that no rule matches are said by the engine, whose point is another than ours, or none.
        numbers = self._language.section("numbers")
        spells = numbers.get("decimal") == "," or numbers.get("integers") == "words"
        ahead = rf"{NUMBER_AHEAD}(?P<signs>{APART}{SIGNS})" if spells else rf"(?=[-−])(?P<signs>{APART}[-−])"
        point = self._language.word("point") if self._numerals.decimal_mark else ""
        bare_range = rf"(?:(?P<from>{number})(?P<from_scale>{any_of(bare)})?(?:{DASH}))?"
        return [
            make_rule(
                rf"{NUMBER_AHEAD}(?P<signs>{APART}{SIGNS})(?:{bare_range})(?P<number>{number})"
                rf"(?P<scale>{any_of(bare)})(?P<more>\+?)(?![\w/-])",
                self._verbalize_bare_scale,
            ),
            make_rule(
                rf"(?<![\w.,/])(?={self._numerals.decimal_mark}\d){self._numerals.decimal_mark}(?P<decimals>\d{{1,6}}){NOT_MORE}",
                lambda match: (
                    f"{point} {self._language.numbers.digits(match['decimals'])}" if point else None
                ),
            ),
            make_rule(
                rf"{NUMBER_AHEAD}(?P<signs>{APART}{SIGNS})(?P<number>{number})"
                rf"\ ?(?P<scale>{any_of(scales)})(?!\w)",
                lambda match: (
                    self._numerals.verbalize_signs(match["signs"])
                    + self._numerals.verbalize_count(
                        self._numerals.parse(match["number"]),
                        scales[match["scale"]],
                        genitive=self._numerals.takes_genitive(match),
                    )
                ),
            ),
            make_rule(  # with a minus sign, the other mark is no date's, time's or version's
                rf"{ahead}(?P<number>{self._numerals.foreign_decimal}){NOT_MORE}",
                lambda match: (
                    self._numerals.verbalize_signs(match["signs"]) + self._verbalize(match["number"])
                ),
            ),
            make_rule(
                rf"{NUMBER_AHEAD}(?P<signs>{APART}{SIGNS})(?P<number>{number})(?P<more>\+?){NOT_MORE}",
                lambda match: (
                    self._numerals.verbalize_signs(match["signs"])
                    + self._verbalize(match["number"], "g" if self._numerals.takes_genitive(match) else "")
                    + (f" {self._language.word('plus')}" if match["more"] else "")
                ),
            ),
        ]

    def _verbalize_bare_scale(self, match: regex.Match[str]) -> str | None:
        """`10k`, `10k-20k`; not where the letter is said, as in "a 4k video" and "ran a 10k"."""
        data, scales = self._language.section("numbers"), self._language.bare_scales
        before, after = match.string[: match.start()][-_CONTEXT_CHARS:], match.string[match.end() :]
        needed = (data.get("bare_before") or {}).get(match["scale"], "")
        if not regex.match(rf"\ {needed}" if needed else "", after):
            return None
        if regex.match(rf"\ (?i:{data.get('bare_not_before') or '(?!)'})\b", after):
            return None
        if regex.search(rf"\b(?i:{data.get('bare_not_after') or '(?!)'})\ $", before):
            return None
        spoken = self._numerals.verbalize_count(self._numerals.parse(match["number"]), scales[match["scale"]])
        if match["from"]:
            first = self._numerals.parse(match["from"])
            scale = scales.get(match["from_scale"])
            low = self._numerals.verbalize_count(first, scale) if scale else self._numerals.verbalize(first)
            spoken = f"{low} {self._language.word('range')} {spoken}"
        more = f" {self._language.word('plus')}" if match["more"] else ""
        return self._numerals.verbalize_signs(match["signs"]) + spoken + more

    def _alone(self) -> list[Rule]:
        words = {sign: self._language.word(name) for sign, name in _BETWEEN.items()}
        words = {sign: word for sign, word in words.items() if word}
        if not words:
            return []
        by = self._language.word("by")
        return [
            make_rule(
                r"(?<=\d)\ ?[x×]\ ?(?=\d[\d.,]{0,9}\ ?(?:mm|cm|dm|m|km|px|ft)\b)",
                lambda _match: f" {by} " if by else None,
            ),
            make_rule(
                rf"(?:(?<=\s)|(?<=[\d\p{{L}}²³%°)])\ ?)(?P<sign>{any_of(words)})(?=\s)\ ?",
                lambda match: _pad_with_spaces(match, words[match["sign"]]),
                needs_digit=False,
            ),
            make_rule(
                r"(?<=[\d²³)%])(?P<sign>[+×÷=·*≈≠<>≤≥])(?=[\d(])",
                lambda match: f" {words[match['sign']]} " if match["sign"] in words else None,
                needs_digit=False,
            ),
            make_rule(r"(?<=\d\ ?\p{L}{1,2})\ [x×]\ (?=\d)", lambda _match: f" {by} " if by else None),
            make_rule(r"(?<=\d)\ ?[x×]\ ?(?=\d)", lambda _match: f" {words['×']} " if "×" in words else None),
            make_rule(
                r"(?<=[\p{L}\d])(?P<sign>&)(?=[\p{L}\d])",
                lambda _match: f" {words['&']} " if "&" in words else None,
                needs_digit=False,
            ),
            make_rule(
                r"(?<=[\p{L}])(?P<sign>→)(?=[\p{L}])",
                lambda _match: f" {words['→']} " if "→" in words else None,
                needs_digit=False,
            ),
        ]


def _is_calculation(match: regex.Match[str]) -> bool:
    return bool(match.string[match.end() : match.end() + 2].lstrip().startswith("="))


def _pad_with_spaces(match: regex.Match[str], word: str) -> str:
    """The word with spaces around it, of which those that the symbol had are kept."""
    found = match.group()
    before = "" if match.start() and match.string[match.start() - 1].isspace() else " "
    after = " " if found.endswith(" ") else ""
    return f"{before}{word}{after}"
