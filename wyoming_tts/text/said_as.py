"""The content of a `say-as` as words.

What the spoken forms of plain text read right by themselves (amounts, units) is handed on to them as it is,
and a time in the one form that they cannot mistake. So is all that makes no sense as what it is said to be.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import regex  # type: ignore[import-untyped]  # the standard library knows no grapheme clusters

from wyoming_tts.text.manner import InterpretAs, SayAs
from wyoming_tts.text.numbers import Numbers

_MONTHS = {
    "en": "January February March April May June July August September October November December",
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    "it": "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
    "nl": "januari februari maart april mei juni juli augustus september oktober november december",
}
_SIGNS = ".-/@_:,+#"
_SIGN_NAMES = {
    "en": "dot|dash|slash|at|underscore|colon|comma|plus|hash",
    "de": "Punkt|Bindestrich|Schrägstrich|at|Unterstrich|Doppelpunkt|Komma|plus|Raute",
    "fr": "point|tiret|barre oblique|arobase|tiret bas|deux-points|virgule|plus|dièse",
    "es": "punto|guion|barra|arroba|guion bajo|dos puntos|coma|más|almohadilla",
    "it": "punto|trattino|barra|chiocciola|trattino basso|due punti|virgola|più|cancelletto",
    "nl": "punt|streepje|schuine streep|apenstaartje|laag streepje|dubbele punt|komma|plus|hekje",
}
_AND = {"en": "and", "de": "und", "fr": "et", "es": "y", "it": "e", "nl": "en"}
_BLEEP = {"de": "piep", "nl": "piep", "fr": "bip", "es": "bip", "it": "bip"}

_FIELDS_RE = re.compile(r"[^\W_]+")
_ORDINAL_RE = re.compile(r"([0-9]{1,15})\s?(?:\.|º|ª|°|[a-zè]{1,4})?", re.IGNORECASE)
_FRACTION_RE = re.compile(r"(?:([0-9]{1,9})\s*[+\s]\s*)?([0-9]{1,9})\s*[/⁄]\s*([0-9]{1,9})")
_CLOCK_RE = re.compile(
    r"([0-9]{1,2})[:.h ]?([0-9]{2})(?:[:. ]?([0-9]{2}))?\s*([ap])?\.?\s?(?:m\.?)?", re.IGNORECASE
)
_DURATION_RE = re.compile(r"(?:([0-9]{1,4})['′])?\s*(?:([0-9]{1,4}(?:\.[0-9]{1,3})?)[\"″])?")
_TELEPHONE_RE = re.compile(r"\+|[0-9]+|[^\W\d_]+")
_AMOUNT_RE = re.compile(r"[0-9][0-9., ]*")
_DIGITS_RE = re.compile(r"[0-9]+")
_FORMAT_RE = re.compile(r"y*m*d*|m*d*y*|d*m*y*|y*d*m*")
_CURRENCY_RE = re.compile(r"[a-z]{3}")
_LAST_DAY = 31
_LAST_MONTH = 12
_SHORT_YEAR = 2
_FIRST_SHORT_YEAR = 70
"""Of two digits: 70 is 1970, 69 is 2069."""


def said_as(text: str, say_as: SayAs, language: str) -> str:
    """The words for a text, in a language such as `de` or `de-DE`; the text itself where there are none."""
    text = " ".join(text.split())
    if not text:
        return ""
    base = re.split("[-_]", language.lower())[0]
    said = _Speller(base).said(text, say_as)
    return text if said is None else said


class _Speller:
    """Says things in one language, or leaves them (None) where there are no words for them."""

    def __init__(self, language: str) -> None:
        self._language = language
        self._numbers = Numbers(language) if Numbers.supports(language) else None
        names = _SIGN_NAMES.get(language, "").split("|")
        self._sign_names: Mapping[str, str] = dict(zip(_SIGNS, names, strict=len(names) > 1))

    def said(self, text: str, say_as: SayAs) -> str | None:
        says: dict[InterpretAs, Callable[[str], str | None]] = {
            InterpretAs.CARDINAL: self._cardinal,
            InterpretAs.ORDINAL: self._ordinal,
            InterpretAs.CHARACTERS: self._characters,
            InterpretAs.DIGITS: self._digits,
            InterpretAs.DATE: lambda date: self._date(date, say_as.format),
            InterpretAs.TIME: self._time,
            InterpretAs.TELEPHONE: self._telephone,
            InterpretAs.FRACTION: self._fraction,
            InterpretAs.CURRENCY: lambda amount: _amount(amount, say_as.format),
            InterpretAs.EXPLETIVE: lambda _: _BLEEP.get(self._language, "bleep"),
        }
        say = says.get(say_as.interpret_as)
        return say(text) if say else None

    def _cardinal(self, text: str) -> str | None:
        if self._numbers is None:
            return None
        point = "." if self._language == "en" else ","
        grouping = "," if self._language == "en" else "."
        plain = re.sub(rf"(?<=[0-9])[{grouping} '’\u00a0\u202f](?=[0-9]{{3}}(?![0-9]))", "", text)
        plain = plain.replace("−", "-").removeprefix("+").replace(point, ".", 1)
        try:
            return self._numbers.decimal(plain)
        except ValueError:
            return None

    def _ordinal(self, text: str) -> str | None:
        match = _ORDINAL_RE.fullmatch(text)
        if match is None or self._numbers is None:
            return None
        return self._numbers.ordinal(int(match[1]))

    def _characters(self, text: str) -> str:
        # Behind a comma, and in upper case, an "a" is the letter and no article.
        return ", ".join(
            self._character(cluster) for cluster in regex.findall(r"\X", text) if not cluster.isspace()
        )

    def _character(self, cluster: str) -> str:
        if self._numbers and _DIGITS_RE.fullmatch(cluster):
            return self._numbers.digits(cluster)
        upper = cluster.upper()
        return self._sign_names.get(cluster) or (upper if len(upper) == len(cluster) else cluster)

    def _digits(self, text: str) -> str:
        return " ".join(self._digit_run(field) for field in _FIELDS_RE.findall(text))

    def _digit_run(self, run: str) -> str:
        if not _DIGITS_RE.fullmatch(run):
            return run
        return self._numbers.digits(run) if self._numbers else " ".join(run)

    def _telephone(self, text: str) -> str | None:
        """Digit by digit, with a rest between the groups."""
        plus = self._sign_names.get("+", "+")
        parts = [plus if part == "+" else self._digit_run(part) for part in _TELEPHONE_RE.findall(text)]
        return ", ".join(parts).replace(f"{plus}, ", f"{plus} ") or None

    def _fraction(self, text: str) -> str | None:
        match = _FRACTION_RE.fullmatch(text)
        if match is None or self._numbers is None or int(match[3]) <= 1:
            return None
        fraction = self._numbers.fraction(int(match[2]), int(match[3]))
        if match[1] is None:
            return fraction
        return f"{self._numbers.cardinal(int(match[1]))} {_AND[self._language]} {fraction}"

    def _time(self, text: str) -> str | None:
        if duration := _DURATION_RE.fullmatch(text):
            minutes, seconds = duration[1], duration[2]
            return " ".join([f"{minutes} min"] * bool(minutes) + [f"{seconds} s"] * bool(seconds)) or None
        clock = _CLOCK_RE.fullmatch(text)
        if clock is None:
            return None
        half = f" {clock[4].lower()}m" if clock[4] else ""
        return f"{clock[1]}:{clock[2]}" + (f":{clock[3]}" if clock[3] else "") + half

    def _date(self, text: str, written_format: str) -> str | None:
        fields = _date_fields(text, written_format)
        if fields is None or self._numbers is None:
            return None
        year, month, day = fields.get("y"), fields.get("m"), fields.get("d")
        if (month is not None and not 1 <= month <= _LAST_MONTH) or (
            day is not None and not 1 <= day <= _LAST_DAY
        ):
            return None
        day_said = self._day(self._numbers, day) if day is not None else ""
        month_said = _MONTHS[self._language].split()[month - 1] if month is not None else ""
        year_said = self._numbers.year(year) if year is not None else ""
        return self._joined_date(day_said, month_said, year_said)

    def _joined_date(self, day: str, month: str, year: str) -> str:
        if self._language == "en":
            comma = "," if day and year else ""
            return " ".join(filter(None, [month, f"{day}{comma}", year]))
        return (" de " if self._language == "es" else " ").join(filter(None, [day, month, year]))

    def _day(self, numbers: Numbers, day: int) -> str:
        if self._language in {"en", "de"}:
            return numbers.ordinal(day, gender="m")
        return numbers.ordinal(1) if day == 1 and self._language in {"fr", "it"} else numbers.cardinal(day)


def _date_fields(text: str, written_format: str) -> dict[str, int] | None:
    """Year, month and day by their letters, as far as the format tells which is which."""
    fields = _FIELDS_RE.findall(text)
    if not all(field.isdecimal() for field in fields):
        return None
    pattern = "".join(filter(str.isalpha, written_format))
    order = "".join(dict.fromkeys(pattern)) or _order_of(fields)
    if not order or not _FORMAT_RE.fullmatch(order):
        return None
    if len(fields) == 1 and len(order) > 1:
        fields = _divided(fields[0], order)
    if len(fields) != len(order) or max(map(len, fields)) > len("2024"):
        return None
    return {
        letter: _whole_year(field) if letter == "y" else int(field)
        for letter, field in zip(order, fields, strict=True)
    }


def _order_of(fields: list[str]) -> str:
    return "ymd" if [len(field) for field in fields] == [4, 2, 2] else ""


def _divided(digits: str, order: str) -> list[str]:
    """A date without signs, `20240503`."""
    widths = {"y": len("2024"), "m": 2, "d": 2}
    if len(digits) != sum(widths[letter] for letter in order):
        return []
    at = 0
    fields = []
    for letter in order:
        fields.append(digits[at : at + widths[letter]])
        at += widths[letter]
    return fields


def _whole_year(field: str) -> int:
    if len(field) != _SHORT_YEAR:
        return int(field)
    return int(field) + (1900 if int(field) >= _FIRST_SHORT_YEAR else 2000)


def _amount(text: str, currency: str) -> str | None:
    """An amount without a currency gets that of the format."""
    if not _AMOUNT_RE.fullmatch(text) or not _CURRENCY_RE.fullmatch(currency):
        return None
    return f"{text} {currency.upper()}"
