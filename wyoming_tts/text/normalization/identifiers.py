"""Numbers that identify and do not count, in words: telephone and version numbers, `#7`; and hashtags."""

from __future__ import annotations

import regex  # type: ignore[import-untyped]

from wyoming_tts.text.normalization.language_data import THIN_SPACES, LanguageData
from wyoming_tts.text.normalization.numerals import Numeral, Numerals, telephone_number
from wyoming_tts.text.normalization.rules import Rule, make_rule

_YEARS = range(1900, 2100)
_SPACE = f"[ {THIN_SPACES}-]"
_CARD = rf"\d{{4}}(?P<mark>{_SPACE})\d{{4}}(?P=mark)\d{{4}}(?P=mark)\d{{1,4}}(?:(?P=mark)\d{{1,4}})?"
_CARD_OF_THREE_GROUPS = rf"3\d{{3}}(?P<mark>{_SPACE})\d{{6}}(?P=mark)\d{{5}}"
_SOCIAL_SECURITY = r"\d{3}-\d{2}-\d{4}"
_BOOK_13 = r"97[89](?P<mark>[ -])\d{1,5}(?P=mark)\d{1,7}(?P=mark)\d{1,7}(?P=mark)\d"
_BOOK_10 = r"\d{1,5}(?P<mark>[ -])\d{1,7}(?P=mark)\d{1,7}(?P=mark)[\dX]|\d{9}[\dX]|97[89]\d{10}"
_SERIAL = r"\d{4}-\d{3}[\dX]"
_ACCOUNT = r"[A-Z]{2}\d{2}(?:\ ?[A-Z\d]{4}){2,7}(?:\ ?[A-Z\d]{1,3})?"
_GROUPED_RE = regex.compile(r"[^\W\d_]+|\d+")
_PAIR = 2


_TELEPHONE = (
    r"(?:tel|tél|тел|τηλ)\p{L}{0,9}|phone|fono|fone|fon|ffôn|puh|puhelin|sími|simu|tlf|tlfn|điện\ thoại"
    "|هاتف|تلفن|فون|फ़ोन|फोन|ফোন|ఫోన్|ഫോൺ|טל|טלפון|ტელ|ტელეფონი|հեռ|հեռախոս|전화|电话|電話|โทร"
)
"""Words for a telephone in the languages of the catalogues, and their abbreviations."""


class IdentifierRules:
    """The rules for identifiers in one language."""

    def __init__(self, language: LanguageData, numerals: Numerals) -> None:
        self._language = language
        self._numerals = numerals

    def hash_rules(self) -> list[Rule]:
        """The rules for `#7` and `#hashtag`."""
        number, hashtag = self._language.word("number"), self._language.word("hashtag")
        found = []
        if number:
            found.append(
                make_rule(
                    r"(?<![\w&])\#\ ?(?P<number>\d{1,6})(?![\w.,]\w)",
                    lambda match: f"{number} {self._numerals.verbalize_identifier(match['number'])}",
                )
            )
        if hashtag:
            found.append(
                make_rule(
                    r"(?<![\w&])\#(?P<tag>[^\W\d_][\w-]*)",
                    lambda match: f"{hashtag} {_split_hashtag(match['tag'])}",
                    needs_digit=False,
                )
            )
        return found

    def group_rules(self) -> list[Rule]:
        """The rules for numbers of cards, books and accounts, which are written in groups of digits."""
        apart, end = r"(?<![\w.,:/+-])(?<!\d\ )", r"(?!\w|[-/.,:]\d|\ \d)"
        book = rf"(?<=\bISBN(?:-1[03])?:?\ )(?:{_BOOK_10})|(?<=\bISSN:?\ )(?:{_SERIAL})"
        return [
            make_rule(rf"{apart}(?:{numbers}){end}".replace("[ ", r"[\ "), self._spell_groups)
            for numbers in (_CARD, _CARD_OF_THREE_GROUPS, _SOCIAL_SECURITY, _BOOK_13, _ACCOUNT)
        ] + [
            make_rule(rf"(?=\d)(?:{book}){end}".replace("[ ", r"[\ "), self._spell_groups),
            make_rule(
                r"(?<=\bISBN)-(?P<digits>1[03])\b",
                lambda match: f" {self._numerals.verbalize(Numeral(match['digits']))}",
            ),
        ]

    def _spell_groups(self, match: regex.Match[str]) -> str:
        """Digits and letters one by one, with a rest between groups."""
        return ", ".join(
            self._language.numbers.digits(group) if group.isdecimal() else " ".join(group)
            for group in _GROUPED_RE.findall(match.group())
        )

    def named_telephone_rules(self) -> list[Rule]:
        """The rule for any digits behind a word for a telephone."""
        group = r"(?:\(\d{1,5}\)|\d{2,8})"
        return [
            make_rule(
                rf"(?=[\d(])(?<=(?<!\w)(?i:{_TELEPHONE})\.?:?\ ?)(?=(?:\D{{0,2}}\d){{5}})"
                rf"(?P<rest>\d{{5,12}}|(?:{group}|\d)(?:[\ /-]{group}){{1,6}})"
                r"(?!\w|[-/.,:]\d|\ \d)",
                self._verbalize_telephone,
            )
        ]

    def telephone_rules(self) -> list[Rule]:
        """The rules for telephone numbers in their national and international forms."""
        apart, end = r"(?<![\w.,:/-])(?<!\d\ )", r"(?!\w|[-/.,:]\d)"
        group = r"(?:[ -]?(?:\(\d{1,4}\)|\d{2,10})|[ ]\d(?=[ ]\d\d))"
        own = self._language.section("numbers").get("phones") or "(?!)"
        patterns = [
            rf"{apart}(?:{own}){end}",
            *self._in_pairs(apart, end),
            rf"{apart}\+\d{{1,3}}{group}{{1,6}}{end}",
            rf"{apart}\(\d{{3,5}}\)\ ?\d{{3,9}}(?:[ -]\d{{2,8}}){{0,3}}{end}",
            rf"{apart}\(\d{{2}}\)\ ?\d{{4,5}}[ -]\d{{4}}{end}",
            rf"{apart}(?:(?:1-)?\d{{3}}-\d{{3}}-\d{{4}}|\d{{3}}\.\d{{3}}\.\d{{4}}|\d{{3}}-\d{{4}}){end}",
            rf"{apart}0\d{{1,4}}[ /-]\d{{3,9}}(?:[ -]\d{{2,6}}){{0,3}}{end}",
            rf"{apart}(?=0(?:\ ?\d){{7}})0\d{{1,4}}(?:\ \d{{2,4}}){{2,5}}{end}",
        ]
        return [make_rule(pattern, self._verbalize_telephone) for pattern in patterns]

    def _in_pairs(self, apart: str, end: str) -> list[str]:
        """National numbers such as 06.12.34.56.78, which else are versions, and their international form."""
        if not self._says_pairs:
            return []
        return [rf"{apart}(?:0|\+\d{{1,3}}[ .]?)\d(?P<mark>[ .])\d\d(?:(?P=mark)\d\d){{3}}{end}"]

    @property
    def _says_pairs(self) -> bool:
        return self._language.section("numbers").get("phone") == "pairs"

    def _verbalize_telephone(self, match: regex.Match[str]) -> str:
        plus, digits = self._language.word("plus") or "+", self._language.numbers.digits
        if not self._says_pairs:
            return telephone_number(match.group(), plus=plus, digits=digits)
        return telephone_number(match.group(), plus=plus, digits=self._pair).replace(",", "")

    def _pair(self, group: str) -> str:
        """A group of a telephone number: 06 zero six, 12 twelve; digit by digit where it is long."""
        numbers = self._language.numbers
        rest = group.lstrip("0")
        zeros = len(group) - len(rest)
        if not rest or len(rest) > _PAIR + bool(zeros):
            return numbers.digits(group)
        return f"{numbers.digits(group[:zeros])} {numbers.cardinal(rest)}".lstrip()

    def version_rules(self) -> list[Rule]:
        """The rules for versions, which come after those for IP addresses."""
        apart, end = r"(?<![\w.,:/-])", r"(?!\w|\.\d)"
        version, point = self._language.word("version"), self._language.word("point")
        if not (version and point):
            return []
        versions_after = self._language.data.get("versions_after") or regex.escape(version)
        return [
            make_rule(
                rf"{apart}[vV]\.?\ ?(?P<rest>\d{{1,4}}(?:\.\d{{1,6}}){{0,5}}){end}",
                lambda m: f"{version} {self._verbalize_version(m)}",
            ),
            make_rule(
                rf"(?=\d)(?<=\b(?:{versions_after})\ )(?P<rest>\d{{1,4}}(?:\.\d{{1,6}}){{1,5}}){end}",
                self._verbalize_version,
                ignore_case=True,
            ),
            make_rule(rf"{apart}(?P<rest>\d{{1,4}}(?:\.\d{{1,4}}){{2,4}}){end}", self._unless_grouped),
        ]

    def _unless_grouped(self, match: regex.Match[str]) -> str | None:
        """The parts of a version, if the dots are not those between groups of three digits."""
        return (
            None if regex.fullmatch(self._numerals.grouped, match["rest"]) else self._verbalize_version(match)
        )

    def _verbalize_version(self, match: regex.Match[str]) -> str:
        point = f" {self._language.word('point')} "
        first, *rest = match["rest"].split(".")
        year = len(first) == len("2026") and int(first) in _YEARS
        spoken = self._language.numbers.year(int(first)) if year else self._numerals.verbalize(Numeral(first))
        return point.join([spoken, *(self._numerals.verbalize(Numeral(part)) for part in rest)])


def _split_hashtag(tag: str) -> str:
    """The words of a hashtag such as HomeAssistant or home_assistant."""
    return " ".join(regex.sub(r"(?<=\p{Ll})(?=\p{Lu})", " ", tag).replace("_", " ").split())
