"""Numbers to words: cardinals, ordinals, decimals, years and fractions, spelled out in six languages.

Spelled-out numbers are pronounced alike by every engine.

The grammar of number words is left to `unicode-rbnf`, which follows the spell-out rules of the Unicode
CLDR. Measured against it, `num2words` had no genders or cases (German "einundzwanzigster" beside
"einundzwanzigsten", Spanish "veintiún" and "doscientas", French "une"), wrote "veintiuno mil",
"einhunderteinstausend" and "centodicotto" (ten Italian numbers below 1200 lack a letter) and English
commas that an engine pauses at, brings no types and is LGPL with a dependency that comes as source
alone. For a number of seven digits it takes 0.01 to 0.2 ms, the rules of the CLDR 0.07 to 0.4 ms, or
0.02 ms with the hundreds remembered as below.
Corrected here is what the rules of the CLDR write otherwise than people do: French "vingt et un" and
"quatre-vingts millions", Dutch "tweeduizend zesentwintig", "één" and "vijftienhonderd", years.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache, lru_cache
from typing import Protocol

from unicode_rbnf import RbnfEngine
from unicode_rbnf.engine import DEFAULT_TOLERANCE

from wyoming_tts.text.normalization.spellout_rules import load_rules

SPELLED_BELOW = 10**15
"""Larger numbers are spoken digit by digit: few know their names, and a hostile one must stay cheap."""
_SPELLED_DIGITS = 15
_LAST_YEAR = 9999
_HUNDRED = 100
_THOUSAND = 1000

_DECIMAL_RE = re.compile(r"(-?)([0-9]*)\.([0-9]+)|(-?)([0-9]+)")
_INTEGER_RE = re.compile(r"-?[0-9]+")


@dataclass(frozen=True, slots=True)
class _Grammar:
    """What a language needs in addition to the rules of the CLDR."""

    point: str
    cardinals: Mapping[str, str]
    """The rule set for each gender; with "" a number that stands alone."""
    ordinals: Mapping[str, str]
    gendered_one_only: bool = False
    """People say "einhunderteins Minuten" and "ventuno ore"; other languages agree to the last word."""
    oblique: str = ""
    """The rule set for ordinals in any case but the nominative."""
    year: str = ""
    """The rule set for years; without one they are spelled like other numbers."""
    fraction_as_number: int = 0
    """Up to this many decimals are spoken as one number, more of them digit by digit."""
    parts: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    """Denominators that are not ordinals: singular and plural."""
    plural_parts: Callable[[str], str] = str
    part: Callable[[str], str] = str
    """A denominator made from the ordinal."""
    one_part: str = ""
    """The word for one before a denominator, if it is not the cardinal."""
    correct: Callable[[str], str] = str


def _with_s(ordinal: str) -> str:
    return ordinal + "s"


def _french(spelled: str) -> str:
    """The spelling that most people use."""
    agreed = re.sub(r"((?<=\w )cent|quatre-vingt)(?= (?:million|milliard|billion))", r"\1s", spelled)
    return agreed.replace("-et-", " et ")


def _german_part(ordinal: str) -> str:
    stem = ordinal.removeprefix("ein") if re.fullmatch(r"ein(hundert|tausend)ste", ordinal) else ordinal
    return f"{stem}l".capitalize()


def _dutch(spelled: str) -> str:
    """Spelling of the Taalunie: a space after `duizend`, and accents on `een` as a number."""
    apart = re.sub(r"duizend(?=[^\W_])(?!ste\b|de\b)", "duizend ", spelled)
    return re.sub(r"(?<!\w)een(?=$)", "één", apart)


_SPANISH_SUFFIX = "avo"
_SPANISH_ORDINAL_PARTS = 10
_SPANISH_PARTS = {2: ("medio", "medios"), 3: ("tercio", "tercios"), 100: ("centésimo", "centésimos")}

_GRAMMARS = {
    "en": _Grammar(
        point="point",
        cardinals={"": "spellout-cardinal"},
        ordinals={"": "spellout-ordinal"},
        year="spellout-numbering-year",
        parts={
            2: ("half", "halves"),
            4: ("quarter", "quarters"),
            100: ("hundredth", "hundredths"),
            1000: ("thousandth", "thousandths"),
        },
        plural_parts=_with_s,
        correct=lambda spelled: spelled.replace("oh-", "oh "),
    ),
    "de": _Grammar(
        point="Komma",
        cardinals={
            "": "spellout-numbering",
            "m": "spellout-cardinal-masculine",
            "f": "spellout-cardinal-feminine",
            "n": "spellout-cardinal-neuter",
        },
        gendered_one_only=True,
        ordinals={
            "": "spellout-ordinal",
            "m": "spellout-ordinal-r",
            "f": "spellout-ordinal",
            "n": "spellout-ordinal-s",
            "o": "spellout-ordinal-n",
        },
        oblique="spellout-ordinal-n",
        year="spellout-numbering-year",
        parts={2: ("halb", "halbe")},
        part=_german_part,
        one_part="ein",
    ),
    "fr": _Grammar(
        point="virgule",
        cardinals={"": "spellout-cardinal-masculine", "f": "spellout-cardinal-feminine"},
        ordinals={"": "spellout-ordinal-masculine", "f": "spellout-ordinal-feminine"},
        fraction_as_number=3,
        parts={2: ("demi", "demis"), 3: ("tiers", "tiers"), 4: ("quart", "quarts")},
        plural_parts=_with_s,
        correct=_french,
    ),
    "es": _Grammar(
        point="coma",
        cardinals={
            "": "spellout-numbering",
            "m": "spellout-cardinal-masculine",
            "f": "spellout-cardinal-feminine",
        },
        ordinals={
            "": "spellout-ordinal-masculine",
            "m": "spellout-ordinal-masculine-adjective",
            "f": "spellout-ordinal-feminine",
        },
        fraction_as_number=2,
        parts=_SPANISH_PARTS,
        plural_parts=_with_s,
        one_part="un",
    ),
    "it": _Grammar(
        point="virgola",
        cardinals={
            "": "spellout-numbering",
            "m": "spellout-cardinal-masculine",
            "f": "spellout-cardinal-feminine",
        },
        gendered_one_only=True,
        ordinals={"": "spellout-ordinal-masculine", "f": "spellout-ordinal-feminine"},
        fraction_as_number=2,
        parts={2: ("mezzo", "mezzi")},
        plural_parts=lambda ordinal: ordinal[:-1] + "i",
        one_part="un",
    ),
    "nl": _Grammar(
        point="komma",
        cardinals={"": "spellout-cardinal"},
        ordinals={"": "spellout-ordinal"},
        year="spellout-numbering-year",
        fraction_as_number=2,
        parts={2: ("half", "halve"), 4: ("kwart", "kwart")},
        one_part="een",
        correct=_dutch,
    ),
}


class Speller(Protocol):
    """Spells the numbers of one language."""

    @property
    def has_ordinals(self) -> bool:
        """Whether `ordinal` returns ordinals."""

    def has_gender(self, gender: str, /) -> bool:
        """Whether numbers before a noun of this gender are to be spelled even where others are not."""

    def cardinal(self, number: int | str, *, gender: str = "") -> str:
        """The number in words, or in digits that the engine says."""

    def ordinal(self, number: int, *, gender: str = "", oblique: bool = False) -> str:
        """The ordinal."""

    def decimal(self, number: str) -> str:
        """A decimal number such as "-3.50"."""

    def year(self, number: int) -> str:
        """A year."""

    def digits(self, number: str) -> str:
        """Every digit alone."""

    def fraction(self, numerator: int, denominator: int, /) -> str:
        """A common fraction; empty where there are no words for it."""


class _CachingEngine(RbnfEngine):
    """Caches the words below a thousand, of which every larger number is made; they are most of the work."""

    def __init__(self, language: str) -> None:
        super().__init__(language)
        self.rulesets = load_rules(language).rulesets
        self._spelled: dict[tuple[str, int], tuple[str, ...]] = {}

    def iter_format_number(
        self,
        number: float | str | Decimal,
        ruleset_name: str,
        radix: int | None = None,
        tolerance: float = DEFAULT_TOLERANCE,
    ) -> Iterable[str]:
        """As in the base class."""
        found = super().iter_format_number
        if not isinstance(number, int) or not 0 <= number < _THOUSAND:
            return found(number, ruleset_name, radix, tolerance)
        key = ruleset_name, number
        if key not in self._spelled:
            self._spelled[key] = tuple(found(number, ruleset_name, radix, tolerance))
        return self._spelled[key]


@cache
def _rules(language: str) -> RbnfEngine:
    return _CachingEngine(language)


class NumberSpeller:
    """Spells out numbers in one language; the first instance of a language reads a file.

    Genders are "m", "f" and "n", for a number before a noun of that gender ("ein Grad", "una hora");
    with "" it stands alone ("eins", "uno"). A language without a difference ignores them.

    Raises:
        ValueError: the language is not supported.
    """

    def __init__(self, language: str, *, locale: str = "", point: str = "") -> None:
        """Take a language, such as "fr", and what its territories say otherwise.

        Args:
            language: code of the language.
            locale: by whose rules numbers are spelled, such as "fr_CH" ("septante"); by default the language.
            point: word for the decimal mark; by default the language's own.
        """
        if not self.supports(language):
            raise ValueError(
                f"There are no number words for {language!r}; expected one of {', '.join(_GRAMMARS)}."
            )
        self._language = language
        self._locale = locale or language
        self._grammar = _GRAMMARS[language]
        self._point = point or self._grammar.point
        _rules(self._locale)

    has_ordinals = True

    def has_gender(self, _gender: str) -> bool:
        """Whether the words for a number of things are not those for the number, beyond `cardinal`'s own."""
        return False

    @staticmethod
    def supports(language: str) -> bool:
        """Whether there are number words for the language, such as "de"."""
        return language in _GRAMMARS

    def cardinal(self, number: int | str, *, gender: str = "") -> str:
        """The number in words, from 10^15 on digit by digit; a string (`-?[0-9]+`) may have any length.

        Raises:
            ValueError: the string is no integer, or the integer has more digits than Python converts.
        """
        if isinstance(number, str):
            if not _INTEGER_RE.fullmatch(number):
                raise ValueError(f"{number[:20]!r} is not an integer in decimal digits.")
            if len(number.lstrip("-0")) > _SPELLED_DIGITS:
                return self.digits(number)
            number = int(number)
        if abs(number) >= SPELLED_BELOW:
            return self.digits(str(number))
        if self._language == "nl" and _is_counted_in_hundreds(number):
            return f"{self._dutch_hundreds(number)}honderd"
        if self._grammar.gendered_one_only and abs(number) != 1:
            gender = ""
        return self._spelled(number, self._by_gender(self._grammar.cardinals, gender))

    def ordinal(self, number: int, *, gender: str = "", oblique: bool = False) -> str:
        """The ordinal, in the nominative or, in languages with cases, an oblique case.

        For German "m" is "erster", "f" and "" are "erste", "n" is "erstes", oblique "ersten"; where only a
        gender can be given, "o" stands for oblique.
        Spanish "m" stands before a noun, "primer", and "" alone, "primero".
        """
        if abs(number) >= SPELLED_BELOW:
            return self.cardinal(number)
        if oblique and self._grammar.oblique:
            return self._spelled(number, self._grammar.oblique)
        return self._spelled(number, self._by_gender(self._grammar.ordinals, gender))

    def decimal(self, number: str) -> str:
        """A decimal number such as "-3.50" in words; its decimal mark is a point.

        Raises:
            ValueError: it is not of that form.
        """
        match = _DECIMAL_RE.fullmatch(number)
        if match is None:
            raise ValueError(f"{number[:20]!r} is not a decimal number such as '3.5'.")
        sign, whole, decimals = match.group(1), match.group(2), match.group(3)
        if decimals is None:
            return self.cardinal(number)
        minus = f"{self._minus} " if sign else ""
        return f"{minus}{self.cardinal(whole or '0')} {self._point} {self._decimals(decimals)}"

    def year(self, number: int) -> str:
        """A year in words, "nineteen eighty-four"; one of more than four digits is a cardinal."""
        if self._language == "nl" and _year_needs_hundred(number):
            rest = number % _HUNDRED
            return f"{self._dutch_hundreds(number)}honderd{self._plain(rest) if rest else ''}"
        if not self._grammar.year or not 0 < number <= _LAST_YEAR:
            return self.cardinal(number)
        return self._spelled(number, self._grammar.year)

    def digits(self, number: str) -> str:
        """Every digit as a word, and a leading minus sign; other characters are dropped."""
        words = [self._minus if sign == "-" else self._digit_words[sign] for sign in _spoken_signs(number)]
        return " ".join(words)

    def fraction(self, numerator: int, denominator: int) -> str:
        """A common fraction in words, "three quarters".

        Raises:
            ValueError: the denominator is less than 2.
        """
        if denominator <= 1:
            raise ValueError(f"The denominator is {denominator}; it must be at least 2.")
        one = abs(numerator) == 1
        count = self._grammar.one_part if numerator == 1 else ""
        return f"{count or self.cardinal(numerator)} {self._part(denominator, one=one)}"

    def _part(self, denominator: int, *, one: bool) -> str:
        grammar = self._grammar
        if denominator in grammar.parts:
            return grammar.parts[denominator][0 if one else 1]
        if self._language == "es" and denominator > _SPANISH_ORDINAL_PARTS:
            stem = self.cardinal(denominator).replace(" y ", "i").replace(" ", "")
            part = re.sub("uno$", "un", stem) + _SPANISH_SUFFIX
        else:
            part = grammar.part(self.ordinal(denominator))
        return part if one else grammar.plural_parts(part)

    def _decimals(self, decimals: str) -> str:
        rest = decimals.lstrip("0")
        if not rest or len(decimals) > self._grammar.fraction_as_number:
            return self.digits(decimals)
        zeros = self.digits(decimals[: len(decimals) - len(rest)])
        return f"{zeros} {self.cardinal(rest)}".lstrip()

    def _dutch_hundreds(self, number: int) -> str:
        return self._plain(number // _HUNDRED)

    def _plain(self, number: int) -> str:
        """Inside a word, where no accents are written."""
        return self._spelled(number, self._grammar.cardinals[""]).replace("é", "e")

    @property
    def _digit_words(self) -> Mapping[str, str]:
        return _digit_words(self._language, self._locale)

    @property
    def _minus(self) -> str:
        return self._digit_words["-"]

    def _by_gender(self, rulesets: Mapping[str, str], gender: str) -> str:
        return rulesets.get(gender) or rulesets[""]

    def _spelled(self, number: int, ruleset: str) -> str:
        return self._grammar.correct(spell_by_rules(self._locale, ruleset, number))


@lru_cache(maxsize=8192)
def spell_by_rules(locale: str, ruleset: str, number: int) -> str:
    """The words of a rule set for a number; cached, as the same numbers recur."""
    return _rules(locale).format_number(number, ruleset_names=[ruleset]).text


@cache
def _digit_words(language: str, locale: str) -> Mapping[str, str]:
    numbers = NumberSpeller(language, locale=locale)
    words = {str(digit): numbers.cardinal(digit) for digit in range(10)}
    return words | {"-": numbers.cardinal(-1).split()[0]}


def _spoken_signs(number: str) -> list[str]:
    digits = [sign for sign in number if sign in "0123456789"]
    return ["-", *digits] if number.startswith("-") else digits


def _is_counted_in_hundreds(number: int) -> bool:
    """Whether Dutch says `vijftienhonderd`."""
    return _THOUSAND < number < 10 * _THOUSAND and number % _HUNDRED == 0 and number % _THOUSAND != 0


def _year_needs_hundred(year: int) -> bool:
    """Whether a Dutch year needs its hundred: 1905 does, 1984 does not."""
    return _THOUSAND < year < 2 * _THOUSAND and year // _HUNDRED > 10 and year % _HUNDRED < 10  # noqa: PLR2004
