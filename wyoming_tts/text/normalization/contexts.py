"""Numbers and letters whose reading depends on context: codes, compass points, lengths, powers."""

from __future__ import annotations

import unicodedata

import regex  # type: ignore[import-untyped]

from wyoming_tts.text.normalization.language_data import LanguageData, any_of
from wyoming_tts.text.normalization.numerals import Numeral, Numerals, telephone_number
from wyoming_tts.text.normalization.rules import APART, NOT_MORE, Rule, make_rule

_SUPERSCRIPT = "⁰¹²³⁴⁵⁶⁷⁸⁹"
_QUOTE = '"'
_GROUPS = r"(?=(?:[ .-]?\d){6})\d{2,5}(?:[ .-]\d{2,8}){1,5}"
"""Digits of a telephone number in groups."""
_QUOTE_OPENS_RE = regex.compile(r'(?<![^\s(\[])"')
_QUOTE_CLOSES_RE = regex.compile(r'(?<=[^\s\d(\[])"')


class ContextRules:
    """The context-dependent rules of one language, which come before those for units and plain numbers."""

    def __init__(self, language: LanguageData, numerals: Numerals) -> None:
        self._language = language
        self._numerals = numerals
        self._data = language.data

    def rules(self) -> list[Rule]:
        """The rules in order of precedence."""
        return [
            *self._codes(),
            *self._parts(),
            *self._directions(),
            *self._lengths(),
            *self._repeats(),
            *self._letters(),
        ]

    def _codes(self) -> list[Rule]:
        digits = self._language.numbers.digits
        found = []
        counted = self._data.get("digits_not_before") or "(?!)"
        gap = r"\ " if self._language.is_spaced else r"\ ?"
        if after := self._data.get("digits_after"):
            found.append(
                make_rule(
                    rf"(?=\d)(?<=(?<![\w-])(?i:{after}){gap})(?:{_GROUPS}|\d{{3,10}})"
                    rf"(?![\w/%°²³-]|[.,:]\d|\ {counted}|\ \d{{3}})",
                    lambda match: telephone_number(match.group(), plus="+", digits=digits),
                )
            )
        if after := self._data.get("postal_after"):
            found.append(
                make_rule(
                    rf"(?=\d)(?<=(?<![\w-])(?:{after})\ )(?P<code>\d{{5}})(?:-(?P<more>\d{{4}}))?{NOT_MORE}",
                    lambda match: ", ".join(digits(part) for part in match.group().split("-")),
                )
            )
        return found

    def _parts(self) -> list[Rule]:
        after, of = self._data.get("of_after"), self._language.word("of")
        if not (after and of):
            return []
        return [
            make_rule(
                rf"(?=\d)(?<=(?<![\w-])(?i:{after})\ )(?P<part>\d{{1,4}})\ ?/\ ?(?P<all>\d{{1,4}})"
                r"(?![\w/]|[.,]\d)",
                lambda match: f"{self._verbalize(match['part'])} {of} {self._verbalize(match['all'])}",
            )
        ]

    def _directions(self) -> list[Rule]:
        points = self._language.section("compass")
        long = any_of([point for point in points if len(point) > 1])
        found = [
            rf"(?=[A-Z])(?<=(?<![\w-])(?i:{after})\ )(?P<point>{long})(?![\w'’-])"
            for after in [self._data.get("compass_after")]
            if after
        ]
        if before := self._data.get("compass_before"):
            found.append(rf"(?<![\w-])(?P<point>{long})(?=\ (?i:{before})\b)")
        return [
            make_rule(pattern, lambda match: str(points[match["point"]]), needs_digit=False)
            for pattern in found
        ]

    def _lengths(self) -> list[Rule]:
        """Marks of length after a number; a quotation mark counts only next to a word for a length."""
        units = {
            mark: unit
            for mark, unit in (self._data.get("length_marks") or {}).items()
            if unit in self._language.units
        }
        if not units:
            return []
        after, before = (self._data.get(f"length_{side}") or "(?!)" for side in ("after", "before"))
        number = rf"(?P<number>{self._numerals.pattern})"
        mark = rf"(?P<mark>{any_of(units)})"
        other = rf"\ ?[x×]\ ?\d|\ {before}\b"
        return [
            make_rule(
                rf"(?=\d)(?<=(?<![\w-])(?i:{after})\ |\d['\"′″]?\ ?[x×]\ ?){number}{mark}(?=[\s.,;:)x×-]|$)",
                lambda match: self._verbalize_length(match, units[match["mark"]]),
            ),
            make_rule(
                rf"{APART}(?<!['′]){number}(?:{mark}(?=(?i:{other}))|(?P<mark>in)(?![\w-]))",
                lambda match: self._verbalize_length(match, units[match["mark"]]),
            ),
        ]

    def _verbalize_length(self, match: regex.Match[str], unit: str) -> str | None:
        if match["mark"] == _QUOTE and _in_quotes(match.string[: match.start()]):
            return None
        noun, numeral = self._language.units[unit], self._numerals.parse(match["number"])
        rest = match.string[match.end() : match.end() + 2]
        by = rest.lstrip()[:1] in ("x", "×")
        article = match.string[: match.start()].split()[-1:]
        articles = self._language.section("numbers").get("singular_after") or []
        describes = article and article[0].casefold() in articles and rest[:1] == " " and not by
        form = noun.one if describes else self._numerals.noun_form(noun, numeral)
        return f"{self._numerals.verbalize(numeral)} {form}"

    def power_rules(self) -> list[Rule]:
        """The rules for powers and roots, which come after those for units: `m²` is square meters."""
        power, root = self._language.word("power"), self._language.word("root")
        found = []
        if root:
            found.append(make_rule(r"√\ ?(?=[\d(\p{L}])", lambda _match: f"{root} ", needs_digit=False))
        if power:
            base = r"(?<=(?<!\w)(?:\p{L}{1,2}|\d{1,9})|\))"
            found.append(
                make_rule(
                    rf"(?=[\^{_SUPERSCRIPT}]){base}(?:\^(?P<exponent>\d{{1,3}}|\p{{L}})|[{_SUPERSCRIPT}]{{1,3}})(?![\w²³/])",
                    self._verbalize_power,
                    needs_digit=False,
                )
            )
        return found

    def _verbalize_power(self, match: regex.Match[str]) -> str:
        exponent = match["exponent"] or unicodedata.normalize("NFKC", match.group())
        named = self._language.section("exponents").get(exponent)
        spoken = self._verbalize(exponent) if exponent.isdigit() else exponent
        return f" {named or self._language.word('power').format(exponent=spoken)}"

    def _letters(self) -> list[Rule]:
        """Capitals with signs: `A/B`, and the grades `A+` and `B-`, whose hyphen makes a letter of A."""
        plus, minus = self._language.word("plus"), self._language.word("minus")
        apart = r"(?<![\w+&/.-])"
        found = [
            make_rule(
                rf"{apart}(?<!\d\ )(?P<first>\p{{Lu}})/(?P<second>\p{{Lu}})(?![\w/-])",
                lambda match: f"{match['first']} {match['second']}",
                needs_digit=False,
            )
        ]
        if plus:
            found.append(
                make_rule(
                    rf"{apart}(?P<letter>\p{{Lu}}|AB)(?P<signs>\+{{1,3}})(?![\w+-])",
                    lambda match: f"{match['letter']}-" + " ".join([plus] * len(match["signs"])),
                    needs_digit=False,
                )
            )
        if minus and (follows := self._data.get("letter_minus")):
            found.append(
                make_rule(
                    rf"{apart}(?P<letter>\p{{Lu}}|AB)[-−](?![\w+-]){follows}",
                    lambda match: f"{match['letter']}-{minus}",
                    needs_digit=False,
                )
            )
        return found

    def _repeats(self) -> list[Rule]:
        """`x3` after a noun; x64 and x86 are names."""
        times = self._language.word("times")
        if not times:
            return []
        return [
            make_rule(
                r"(?<=\p{L}\ \(?)[x×](?P<count>[2-9]|[1-9]\d)(?<!86|64|32)"
                r"(?![\w.,:-]\w|[\w+*/=^])(?!\ [+*/=×÷-])",
                lambda match: f"{times} {self._verbalize(match['count'])}",
            ),
            make_rule(
                r"(?=\ ?[x×])(?<=\d(?:in\.|['\"′″]))\ ?[x×]\ ?(?=\d)",
                lambda _match: f" {self._language.word('by') or times} ",
            ),
        ]

    def _verbalize(self, number: str) -> str:
        return self._numerals.verbalize(Numeral(number))


def _in_quotes(before: str) -> bool:
    """Whether a quotation is open; a mark after a digit is one of length."""
    return len(_QUOTE_OPENS_RE.findall(before)) > len(_QUOTE_CLOSES_RE.findall(before))
