"""Numerals: find, parse and verbalize the numbers that a language writes in digits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

import regex  # type: ignore[import-untyped]

from wyoming_tts.text.normalization.cldr import ALONE
from wyoming_tts.text.normalization.foreign_figures import to_ascii_marks
from wyoming_tts.text.normalization.language_data import THIN_SPACES, CountedNoun, LanguageData

_MINUS = "-−–"
_LONG_RUN = 10
"""From this many digits on, a number that does not end in zeros identifies something and is no count."""
_LONG_IDENTIFIER = 4
"""From this many digits on, an identifier is spoken digit by digit."""
_LONGEST_WORD = 24
_SIGN_WORDS = {
    "+": "plus",
    "±": "plus_minus",
    "~": "about",
    "≈": "almost",
    "<": "less",
    ">": "greater",
    "≤": "at_most",
    "≥": "at_least",
} | dict.fromkeys(_MINUS, "minus")

_ANY_GROUPS = " '’"
"""Separators between groups of three digits where the text is known to be one number."""
_MILLIONS = "000000"
_FOREIGN_DECIMAL = {
    ",": r"\d{1,12}\.(?!\d{3}(?!\d))\d{1,30}(?!\d|[.,]\d)|",
    ".": r"\d{1,12},\d{1,2}(?!\d|[.,]\d)|",
}
"""A number with the mark for decimals of other languages, by that of this one."""
_FOREIGN_RE = {",": regex.compile(r"\d+\.(?!\d{3}$)\d+"), ".": regex.compile(r"\d+,\d{1,2}")}
_GROUPED_DECIMAL = r"\d{1,3}(?:\.\d{3})+,\d{1,2}(?!\d)|\d{1,3}(?:,\d{3})+\.\d{1,2}(?!\d)|"
"""A number with both marks, which says by itself which of them is that of the decimals."""
_GROUPED_RE = regex.compile(r"(\d{1,3}(?:\.\d{3})+),(\d{1,2})|(\d{1,3}(?:,\d{3})+)\.(\d{1,2})")

SIGNS = r"(?:[±~≈<>≤≥]\ ?)?(?:[-−–+](?=\p{Sc}?\d))?"
"""Signs before a number; only after something that is not an operand."""
NUMBER_AHEAD = r"(?=[\d±~≈<>≤≥+−–-])"
"""Lookahead that saves trying a long pattern at every letter."""


@dataclass(frozen=True, slots=True)
class Numeral:
    """A number without its sign."""

    whole: str
    decimals: str = ""

    @property
    def value(self) -> float:
        """The number, precise enough to distinguish singular from plural."""
        return float(self.exact)

    @property
    def exact(self) -> Decimal:
        """The same with its decimals, also those that are zero."""
        return Decimal(f"{self.whole[-15:] or 0}.{self.decimals[:15]}")


class Numerals:
    """The numerals of one language: patterns, parsing and words."""

    def __init__(self, language: LanguageData) -> None:
        data = language.section("numbers")
        self._language = language
        self._decimal = data.get("decimal", ".")
        self._groups = data.get("groups", "") + THIN_SPACES
        self._singular_below = data.get("singular_below", 0)
        self._genitive_after = frozenset(data.get("genitive_after") or ())
        self.range_takes_genitive = language.word("range") in self._genitive_after
        group = f"[{regex.escape(self._groups, special_only=False)}]"
        self.decimal_mark = decimal = regex.escape(self._decimal)
        lakhs = rf"\d{{1,2}}(?:{group}\d{{2}}){{1,6}}{group}\d{{3}}|" if data.get("lakhs") else ""
        self.grouped = rf"(?:{lakhs}\d{{1,3}}(?:{group}\d{{3}})+)(?!\d)"
        self.pattern = rf"(?:{self.grouped}|\d{{1,30}})(?:{decimal}\d{{1,30}})?(?!\d)"
        """A number in this language, such as `1,234.5`."""
        self.foreign_decimal = f"(?:{_FOREIGN_DECIMAL[self._decimal][:-1]})"
        self.measured = f"(?:{_GROUPED_DECIMAL}{_FOREIGN_DECIMAL[self._decimal]}{self.pattern})"
        """The same before a unit, where a decimal point is no date and a comma no list: every language has
        texts with the other mark, and sensors use the point in all."""
        groups = regex.escape(self._groups + _ANY_GROUPS, special_only=False)
        self._group_re = regex.compile(rf"(?<=[0-9])[{groups}](?=[0-9]{{3}}(?![0-9]))")

    def with_ascii_marks(self, text: str) -> str:
        """The text with the marks of other scripts inside numbers and times as this language has them."""
        return to_ascii_marks(text, decimal=self._decimal, group=self._groups[0])

    def parse(self, text: str) -> Numeral:
        """Parse a match of `pattern` or `measured`."""
        if grouped := _GROUPED_RE.fullmatch(text):
            whole, decimals = grouped[1] or grouped[3], grouped[2] or grouped[4]
            return Numeral("".join(char for char in whole if char.isdigit()), decimals)
        if _FOREIGN_RE[self._decimal].fullmatch(text):
            text = text.replace(",.".replace(self._decimal, ""), self._decimal)
        whole, _, decimals = text.partition(self._decimal)
        return Numeral("".join(char for char in whole if char.isdigit()), decimals)

    def to_decimal(self, text: str) -> str:
        """A text known to be one number in the form that `NumberSpeller.decimal` takes: `-1234.5`."""
        digits = self._group_re.sub("", text).replace("−", "-").removeprefix("+")
        return str(digits.replace(self._decimal, ".", 1))

    def verbalize(self, numeral: Numeral, gender: str = "") -> str:
        """The number in words; digit by digit if it has a leading zero or very many digits."""
        numbers = self._language.numbers
        if numeral.decimals:
            return numbers.decimal(f"{numeral.whole}.{numeral.decimals}")
        whole = numeral.whole
        zero_first = len(whole) > 1 and whole[0] == "0"
        if zero_first or (len(whole) >= _LONG_RUN and not whole.endswith("000")):
            return numbers.digits(whole)
        return numbers.cardinal(whole, gender=gender)

    def verbalize_identifier(self, digits: str) -> str:
        """The number of something, such as a page or a port, in words; a long one digit by digit."""
        if len(digits) >= _LONG_IDENTIFIER:
            return self._language.numbers.digits(digits)
        return self.verbalize(Numeral(digits))

    def verbalize_signs(self, signs: str) -> str:
        """The words for the signs before a number, with a space after each; one without a word stays."""
        words = {sign: self._language.word(_SIGN_WORDS[sign]) for sign in signs if sign in _SIGN_WORDS}
        return "".join(f"{words[sign]} " if words[sign] else sign for sign in signs if sign in words)

    def noun_form(self, noun: CountedNoun, numeral: Numeral) -> str:
        """The singular or plural of the noun that this number takes, or its form behind whole millions."""
        whole_millions = numeral.whole.endswith(_MILLIONS) and not numeral.decimals
        if noun.of and whole_millions and numeral.whole.strip("0"):
            return noun.of
        if self._singular_below:
            return noun.one if numeral.value < self._singular_below else noun.many
        return noun.form(self._language.plural_category(numeral.exact))

    def takes_genitive(self, match: regex.Match[str]) -> bool:
        """Whether the word before a match asks for the genitive of the number behind it."""
        if not self._genitive_after:
            return False
        words = match.string[max(0, match.start() - _LONGEST_WORD) : match.start()].split()
        return bool(words) and words[-1].casefold().rstrip(".") in self._genitive_after

    def verbalize_count(self, numeral: Numeral, noun: CountedNoun, *, genitive: bool = False) -> str:
        """The number and the noun in words; decimals have no genitive."""
        if not genitive or numeral.decimals:
            return join_count(self.verbalize(numeral, noun.gender), self.noun_form(noun, numeral))
        number = self.verbalize(numeral, genitive_of(noun.gender))
        return join_count(number, self.genitive_form(noun, numeral))

    def genitive_form(self, noun: CountedNoun, numeral: Numeral) -> str:
        """The genitive of a noun, which are the forms for decimals, in the singular, and for many."""
        is_one = self._language.plural_category(numeral.exact) == "one"
        return noun.form("other") if is_one else noun.many


def genitive_of(gender: str) -> str:
    """The name of the rules for numbers in the genitive before a noun of a gender."""
    return "fg" if gender.startswith("f") else "g"


def join_count(number: str, form: str, *, sign: str = "") -> str:
    """A number and a noun: behind it, around it (`{number}`), or, after `=`, a noun that says the number.

    The word for the sign, with a space after it, stands before the number unless `{sign}` is elsewhere.
    """
    if form.startswith(ALONE):
        return sign + form[len(ALONE) :]
    if "{sign}" in form:
        return form.replace("{sign}", sign).replace("{number}", number)
    return form.replace("{number}", sign + number) if "{number}" in form else f"{sign}{number} {form}"


def name_alone(form: str) -> str:
    """A noun without its number."""
    return " ".join(form.removeprefix(ALONE).replace("{sign}", "").replace("{number}", "").split())


def telephone_number(text: str, *, plus: str, digits: Callable[[str], str]) -> str:
    """Digit by digit, with a rest between groups; letters, as in `1-800-FLOWERS`, stay."""
    parts = regex.findall(r"\+|\d+|[^\W\d_]+", text)
    spoken = [plus if part == "+" else digits(part) if part.isdecimal() else part for part in parts]
    return ", ".join(spoken).replace(f"{plus}, ", f"{plus} ")
