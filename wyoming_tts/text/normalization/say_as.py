"""SSML `say-as`: the content is verbalized as the kind of value that it declares.

Times, amounts and units become the written form that the rules of plain text read together with the words
around it. Everything else becomes words at once, as no written form would be unambiguous: a number might be
taken for a year. Content that does not fit its declaration stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import regex  # type: ignore[import-untyped]  # the standard library knows no grapheme clusters

from wyoming_tts.offset_text import group, join_texts, standing_for, substitute
from wyoming_tts.text.markup import InterpretAs, SayAs
from wyoming_tts.text.normalization.foreign_figures import to_ascii_figures
from wyoming_tts.text.normalization.normalizer import LanguageRules, TextNormalizer
from wyoming_tts.text.normalization.numerals import telephone_number

_BLEEP = "bleep"
"""Used where the language has no word for it."""
_SPACES_RE = re.compile(r"\s+")
_CLUSTER_RE = regex.compile(r"\X")
_BETWEEN = ", "
"""Between characters: after a comma and in upper case, an "a" is read as the letter and not as an article."""
_FIELDS_RE = re.compile(r"[^\W_]+")
_ORDINAL_RE = re.compile(r"([0-9]{1,15})\s?(\.?(?:[ºª°]|[a-zè]{1,4})?)", re.IGNORECASE)
_FRACTION_RE = re.compile(r"(?:([0-9]{1,9})\s*[+\s]\s*)?([0-9]{1,9})\s*[/⁄]\s*([0-9]{1,9})")
_CLOCK_RE = re.compile(
    r"([0-9]{1,2})[:.h ]?([0-9]{2})(?:[:. ]?([0-9]{2}))?\s*([ap])?\.?\s?(?:m\.?)?", re.IGNORECASE
)
_DURATION_RE = re.compile(r"(?:([0-9]{1,4})['′])?\s*(?:([0-9]{1,4}(?:\.[0-9]{1,3})?)[\"″])?")
_AMOUNT_RE = re.compile(r"[0-9][0-9., ]*")
_DIGITS_RE = re.compile(r"[0-9]+")
_FORMAT_RE = re.compile(r"y*m*d*|m*d*y*|d*m*y*|y*d*m*")
_CURRENCY_RE = re.compile(r"[a-z]{3}")
_PARTS = {"y": "year", "m": "month", "d": "day"}
_SHORT_YEAR = 2
_FIRST_SHORT_YEAR = 70
"""Two-digit years: 70 is 1970, 69 is 2069."""


def normalize_say_as(text: str, say_as: SayAs, normalizer: TextNormalizer, before: str = "") -> str:
    """The content of a `say-as` in words, or in a written form that the normalizer verbalizes.

    Args:
        text: the whole content.
        say_as: the declared kind and format.
        normalizer: of the language; one without data spells out characters and digits alone.
        before: the text before it, on which the case of a day may depend.
    """
    content = to_ascii_figures(substitute(_SPACES_RE, " ", text.strip()))
    if not content:
        return ""
    if reader := _READERS_OF_PARTS.get(say_as.interpret_as):
        return reader(content, normalizer.language_rules)
    written = _read_whole(str(content), say_as, normalizer, str(before))
    return content if written is None else standing_for(written, content)


def _read_whole(text: str, say_as: SayAs, normalizer: TextNormalizer, before: str) -> str | None:
    if say_as.interpret_as is InterpretAs.DATE:
        return _date(text, say_as.format, normalizer.language_rules, before)
    if say_as.interpret_as is InterpretAs.CURRENCY:
        return _amount(text, say_as.format)
    reader = _READERS.get(say_as.interpret_as)
    return reader(text, normalizer.language_rules) if reader else None


def _cardinal(text: str, rules: LanguageRules | None) -> str | None:
    if rules is None:
        return None
    try:
        return rules.language.numbers.decimal(rules.numerals.to_decimal(text))
    except ValueError:
        return None


def _ordinal(text: str, rules: LanguageRules | None) -> str | None:
    match = _ORDINAL_RE.fullmatch(text)
    if match is None or rules is None:
        return None
    return rules.plain_numbers.verbalize_ordinal(int(match[1]), match[2].lower())


def _characters(text: str, rules: LanguageRules | None) -> str:
    clusters = (group(found) for found in _CLUSTER_RE.finditer(text) if not found[0].isspace())
    names = (standing_for(_character(str(cluster), rules), cluster) for cluster in clusters)
    return join_texts(part for name in names for part in (_BETWEEN, name))[len(_BETWEEN) :]


def _character(cluster: str, rules: LanguageRules | None) -> str:
    if rules and _DIGITS_RE.fullmatch(cluster):
        return rules.language.numbers.digits(cluster)
    upper = cluster.upper()
    name = rules.language.character_name(cluster) if rules else None
    return name or (upper if len(upper) == len(cluster) else cluster)


def _digits(text: str, rules: LanguageRules | None) -> str:
    fields = map(group, _FIELDS_RE.finditer(text))
    said = (standing_for(_digit_run(str(field), rules), field) for field in fields)
    return join_texts(part for each in said for part in (" ", each))[1:]


def _digit_run(run: str, rules: LanguageRules | None) -> str:
    if not _DIGITS_RE.fullmatch(run):
        return run
    return rules.language.numbers.digits(run) if rules else " ".join(run)


def _telephone(text: str, rules: LanguageRules | None) -> str | None:
    plus = (rules.language.word("plus") if rules else "") or "+"
    return telephone_number(text, plus=plus, digits=lambda run: _digit_run(run, rules)) or None


def _fraction(text: str, rules: LanguageRules | None) -> str | None:
    match = _FRACTION_RE.fullmatch(text)
    if match is None or rules is None or int(match[3]) <= 1:
        return None
    whole = match[1] and str(int(match[1]))
    return rules.measures.verbalize_fraction(int(match[2]), int(match[3]), whole) or None


def _time(text: str, _rules: LanguageRules | None) -> str | None:
    """The time in a form that the rules for times cannot misread."""
    if duration := _DURATION_RE.fullmatch(text):
        minutes, seconds = duration[1], duration[2]
        return " ".join([f"{minutes} min"] * bool(minutes) + [f"{seconds} s"] * bool(seconds)) or None
    clock = _CLOCK_RE.fullmatch(text)
    if clock is None:
        return None
    half = f" {clock[4].lower()}m" if clock[4] else ""
    return f"{clock[1]}:{clock[2]}" + (f":{clock[3]}" if clock[3] else "") + half


def _expletive(_text: str, rules: LanguageRules | None) -> str:
    return (rules.language.word("bleep") if rules else "") or _BLEEP


_READERS: Mapping[InterpretAs, Callable[[str, LanguageRules | None], str | None]] = {
    InterpretAs.CARDINAL: _cardinal,
    InterpretAs.ORDINAL: _ordinal,
    InterpretAs.TIME: _time,
    InterpretAs.TELEPHONE: _telephone,
    InterpretAs.FRACTION: _fraction,
    InterpretAs.EXPLETIVE: _expletive,
}
_READERS_OF_PARTS: Mapping[InterpretAs, Callable[[str, LanguageRules | None], str]] = {
    InterpretAs.CHARACTERS: _characters,
    InterpretAs.DIGITS: _digits,
}
"""Those that read each part by itself, which keeps its offsets."""


def _amount(text: str, currency: str) -> str | None:
    """An amount without a currency, with that of the format added."""
    if not _AMOUNT_RE.fullmatch(text) or not _CURRENCY_RE.fullmatch(currency):
        return None
    return f"{text} {currency.upper()}"


def _date(text: str, written_format: str, rules: LanguageRules | None, before: str) -> str | None:
    parts = _date_parts(text, written_format)
    if parts is None or rules is None:
        return None
    return rules.dates.verbalize(**parts, before=before)


def _date_parts(text: str, written_format: str) -> dict[str, int] | None:
    """Year, month and day, as far as the format identifies them."""
    fields = _FIELDS_RE.findall(text)
    if not all(field.isdecimal() for field in fields):
        return None
    pattern = "".join(filter(str.isalpha, written_format))
    order = "".join(dict.fromkeys(pattern)) or _guess_order(fields)
    if not order or not _FORMAT_RE.fullmatch(order):
        return None
    if len(fields) == 1 and len(order) > 1:
        fields = _split_fields(fields[0], order)
    if len(fields) != len(order) or max(map(len, fields)) > len("2024"):
        return None
    return {
        _PARTS[letter]: _whole_year(field) if letter == "y" else int(field)
        for letter, field in zip(order, fields, strict=True)
    }


def _guess_order(fields: list[str]) -> str:
    return "ymd" if [len(field) for field in fields] == [4, 2, 2] else ""


def _split_fields(digits: str, order: str) -> list[str]:
    """The fields of a date without separators, `20240503`."""
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
