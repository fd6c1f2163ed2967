"""Abbreviations, fixed phrases, addresses, versions, telephone numbers and Roman numerals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import regex  # type: ignore[import-untyped]

from wyoming_tts.text.normalization.language_data import LanguageData, any_of, index_by_spelling
from wyoming_tts.text.normalization.numerals import Numeral, Numerals, Rule, at_sentence_end, make_rule

_ENDINGS = (
    "com|org|net|io|dev|app|gov|edu|info|local|ai|tv|me|co|uk|us|de|at|ch|fr|es|it|nl|be|eu|pl|se|no|dk|fi"
    "|yaml|yml|json|txt|py|js|ts|md|pdf|csv|xml|html|toml|log|conf|sh|zip|png|jpg|mp3|wav|flac"
)
"""Of domains and files: what a dot may be said before."""
_OCTET = 255
_PORT = 4
"""Digits from which on a number in an address is a name."""
_ROMANS = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
_ROMAN = r"(?:M{0,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3}))"
_SMALL_ROMAN = r"(?:X{0,3}(?:IX|IV|V?I{0,3}))"
_YEARS = range(1900, 2100)


class NameRules:
    """The rules for names of things in one language."""

    def __init__(self, language: LanguageData, numerals: Numerals) -> None:
        self._language = language
        self._numerals = numerals
        self._marks: Mapping[str, str] = language.section("addresses")
        self._abbreviations = index_by_spelling(language.section("abbreviations"))
        self._phrases = index_by_spelling(language.section("phrases"))

    def first_rules(self) -> list[Rule]:
        """Rules that go before those for numbers."""
        found = []
        if self._marks:
            found += self._addresses()
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
        return [*found, *self._tight(), *self._numbered()]

    def _tight(self) -> list[Rule]:
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
                lambda match: f"{short[match['short']]} {self._digits(match['number'])}",
            )
        ]

    def last_rules(self) -> list[Rule]:
        """Rules that go behind those for dates."""
        return self._telephones() + self._versions() + self._romans()

    def character_name(self, character: str) -> str | None:
        """What a sign is called where it is spelled out, as far as it has a name."""
        return self._language.section("characters").get(character) or self._marks.get(character)

    def _addresses(self) -> list[Rule]:
        return [
            make_rule(
                r"(?<![\w@])(?:[a-z][a-z+]{1,9}://|www\.)[^\s<>\"«»]{1,300}",
                self._verbalize_url,
                ignore_case=True,
                needs_digit=False,
            ),
            make_rule(
                r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){0,8}(?!\w)",
                lambda match: self._spelled(match.group()),
                needs_digit=False,
            ),
            make_rule(
                rf"(?<![\w.@/-])[a-z_][\w-]{{0,62}}(?:\.[a-z_0-9][\w-]{{0,62}}){{0,6}}\.(?:{_ENDINGS})(?::\d{{1,5}})?(?![\w-]|\.\w)"
                r"(?:/[\w./~%-]{0,200}\w)?",
                lambda match: self._spelled(match.group()),
                needs_digit=False,
            ),
        ]

    def _verbalize_url(self, match: regex.Match[str]) -> str:
        url = match.group()
        kept = url.rstrip(".,;:!?'’”)]}")
        tail = url[len(kept) :]
        address = regex.sub(r"^(?:\w[\w+]*://)?(?:www\.)?", "", kept, flags=regex.IGNORECASE)
        address = regex.split(r"[?#]", address)[0].rstrip("/")
        return f"{self._spelled(address) if address else kept}{tail}"

    def _spelled(self, address: str) -> str:
        """Letters as they stand, marks as words; a hyphen inside a word is none."""
        words = []
        for part in regex.findall(r"(?:[^\W\d_]|(?<=[^\W\d_])-(?=[^\W\d_]))+|\d+|.", address):
            if part.isascii() and part.isdigit():
                words.append(self._digits(part))
            else:
                words.append(str(self._marks.get(part, part)))
        return " ".join(word for word in words if word)

    def _digits(self, run: str) -> str:
        return (
            self._language.numbers.digits(run)
            if len(run) >= _PORT
            else self._numerals.verbalize(Numeral(run))
        )

    def _verbalize_abbreviation(self, match: regex.Match[str]) -> str | None:
        found = self._abbreviations[match["short"]]
        for entry in found if isinstance(found, list) else [found]:
            if _fits(entry, match):
                stop = match["short"].endswith(".") and entry.get("ends", False) and at_sentence_end(match)
                return str(entry["spoken"]) + ("." if stop else "")
        return None

    def _numbered(self) -> list[Rule]:
        number, hashtag = self._language.word("number"), self._language.word("hashtag")
        found = []
        if number:
            found.append(
                make_rule(
                    r"(?<![\w&])\#\ ?(?P<number>\d{1,6})(?![\w.,]\w)",
                    lambda match: f"{number} {self._digits(match['number'])}",
                )
            )
        if hashtag:
            found.append(
                make_rule(
                    r"(?<![\w&])\#(?P<tag>[^\W\d_][\w-]*)",
                    lambda match: f"{hashtag} {_words(match['tag'])}",
                    needs_digit=False,
                )
            )
        return found

    def _telephones(self) -> list[Rule]:
        apart, end = r"(?<![\w.,:/-])(?<!\d\ )", r"(?!\w|[-/.,:]\d)"
        return [
            make_rule(
                rf"{apart}(?P<plus>\+)(?P<rest>\d{{1,3}}(?:[ -]?(?:\(\d{{1,4}}\)|\d{{2,10}})){{1,5}}){end}",
                self._verbalize_telephone,
            ),
            make_rule(
                rf"{apart}(?P<rest>\(\d{{3,5}}\)\ ?\d{{3,9}}(?:[ -]\d{{2,8}}){{0,3}}){end}",
                self._verbalize_telephone,
            ),
            make_rule(
                rf"{apart}(?P<rest>(?:1-)?\d{{3}}-\d{{3}}-\d{{4}}|\d{{3}}\.\d{{3}}\.\d{{4}}|\d{{3}}-\d{{4}}){end}",
                self._verbalize_telephone,
            ),
            make_rule(
                rf"{apart}(?P<rest>0\d{{1,4}}[ -/]\d{{3,9}}(?:[ -]\d{{2,6}}){{0,3}}){end}",
                self._verbalize_telephone,
            ),
        ]

    def _verbalize_telephone(self, match: regex.Match[str]) -> str:
        return telephone_number(
            match.group(), plus=self._language.word("plus"), digits=self._language.numbers.digits
        )

    def _versions(self) -> list[Rule]:
        apart, end = r"(?<![\w.,:/-])", r"(?!\w|\.\d)"
        found = []
        if self._marks:
            found.append(
                make_rule(
                    rf"{apart}\d{{1,3}}(?:\.\d{{1,3}}){{3}}(?::\d{{1,5}})?(?:/\d{{1,2}})?(?![\w/:]|\.\d)",
                    self._verbalize_internet_address,
                )
            )
        version, point = self._language.word("version"), self._language.word("point")
        if not (version and point):
            return found
        versions_after = self._language.data.get("versions_after") or regex.escape(version)
        return [
            *found,
            make_rule(
                rf"{apart}[vV]\.?\ ?(?P<rest>\d{{1,4}}(?:\.\d{{1,6}}){{0,5}}){end}",
                lambda m: f"{version} {self._parts(m)}",
            ),
            make_rule(
                rf"(?=\d)(?<=\b(?:{versions_after})\ )(?P<rest>\d{{1,4}}(?:\.\d{{1,6}}){{1,5}}){end}",
                self._parts,
                ignore_case=True,
            ),
            make_rule(rf"{apart}(?P<rest>\d{{1,4}}(?:\.\d{{1,4}}){{2,4}}){end}", self._unless_grouped),
        ]

    def _verbalize_internet_address(self, match: regex.Match[str]) -> str | None:
        numbers = regex.findall(r"\d+", match.group())
        if any(int(number) > _OCTET for number in numbers[:4]):
            return None
        return " ".join(
            self._language.numbers.digits(part) if part.isdigit() else str(self._marks.get(part, part))
            for part in regex.findall(r"\d+|\D", match.group())
        )

    def _unless_grouped(self, match: regex.Match[str]) -> str | None:
        """The parts of a version, if the dots are not those between groups of three digits."""
        return None if regex.fullmatch(self._numerals.grouped, match["rest"]) else self._parts(match)

    def _parts(self, match: regex.Match[str]) -> str:
        point = f" {self._language.word('point')} "
        first, *rest = match["rest"].split(".")
        year = len(first) == len("2026") and int(first) in _YEARS
        spoken = self._language.numbers.year(int(first)) if year else self._numerals.verbalize(Numeral(first))
        return point.join([spoken, *(self._numerals.verbalize(Numeral(part)) for part in rest)])

    def _romans(self) -> list[Rule]:
        data = self._language.section("romans")
        if not data:
            return []
        number_after = "|".join(regex.escape(str(word)) for word in data.get("number_after") or ["\0"])
        names = "|".join(regex.escape(name) for name in data.get("names") or ["\0"])
        end = r"(?![\w'’-]|\.\w)"
        numbers = self._language.numbers
        regnal = str(data.get("regnal") or "")
        found = [
            make_rule(
                rf"(?<=\b(?i:{number_after})\ )(?P<roman>(?=[IVXLCDM]){_ROMAN}){end}",
                lambda match: numbers.cardinal(_roman(match["roman"])),
                needs_digit=False,
            ),
            make_rule(
                rf"(?<=(?<![\w-])(?:\p{{Lu}}\p{{Ll}}{{2,}})\ )(?P<roman>(?=[IVX]{{2,}}){_SMALL_ROMAN}){end}",
                lambda match: numbers.cardinal(_roman(match["roman"])),
                needs_digit=False,
            ),
        ]
        if regnal:
            say = lambda match: regnal.format(  # noqa: E731
                ordinal=numbers.ordinal(_roman(match["roman"]), gender=data.get("gender", ""))
            )
            ordinal_stop = r"(?:\.(?=\ \p{Ll}))?"
            roman = rf"(?P<roman>(?=[IVX]){_SMALL_ROMAN})(?<!\bI){end}{ordinal_stop}"
            found.insert(0, make_rule(rf"(?<=\b(?:{names})\ ){roman}", say, needs_digit=False))
        return found


def telephone_number(text: str, *, plus: str, digits: Callable[[str], str]) -> str:
    """Digit by digit, with a rest between groups; letters, as in `1-800-FLOWERS`, stay."""
    parts = regex.findall(r"\+|\d+|[^\W\d_]+", text)
    spoken = [plus if part == "+" else digits(part) if part.isdecimal() else part for part in parts]
    return ", ".join(spoken).replace(f"{plus}, ", f"{plus} ")


def _roman(numeral: str) -> int:
    values = [_ROMANS[letter] for letter in numeral]
    return sum(
        -value if any(later > value for later in values[index + 1 : index + 2]) else value
        for index, value in enumerate(values)
    )


def _before_number(entry: Mapping[str, Any], number: str) -> bool:
    return bool(entry.get("before") == "number" or entry["spoken"] == number)


def _words(tag: str) -> str:
    """The words of a hashtag such as HomeAssistant or home_assistant."""
    return " ".join(regex.sub(r"(?<=\p{Ll})(?=\p{Lu})", " ", tag).replace("_", " ").split())


_NUMBER_AFTER_RE = regex.compile(r" ?[#]?\d")
_NUMBER_BEFORE_RE = regex.compile(r"\d ?$")
_NAME_AFTER_RE = regex.compile(r" \p{Lu}[\p{L}\p{M}'’-]")
_NAME_BEFORE_RE = regex.compile(r"(?:^|[\s(])\p{Lu}[\p{L}\p{M}'’-]*,? $|\d(?:st|nd|rd|th) $")


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
