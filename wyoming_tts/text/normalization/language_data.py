"""Language data of text normalization: words, units, currencies and names, from `data/*.yaml`.

English, in `en.yaml`, documents the format. The rules are independent of the language and take
their words from here, so a language, or a user, needs nothing but data.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

import regex  # type: ignore[import-untyped]  # bounded by its timeout, knows scripts
import yaml

from wyoming_tts.text.normalization.number_words import NumberSpeller

_DATA = "data"
_EITHER = " | "
_POWERED = ("mm", "cm", "dm", "m", "km", "ft", "yd", "mi")
"""Units of length, which exist as squares and cubes."""
_PLAIN_POWERS = {"²": "2", "³": "3"}
THIN_SPACES = "\u00a0\u2009\u202f"


@dataclass(frozen=True, slots=True)
class CountedNoun:
    """A noun that takes a number, such as a unit or a currency."""

    one: str
    many: str
    gender: str = "m"
    per: str = ""
    """Form after the word for "per", where it is not `one`."""
    of: str = ""
    """Form after a million."""
    alone: bool = False
    spaced: bool = True
    tight: bool | int = True
    """Whether, or from which number on, it may directly follow the number."""
    minor: CountedNoun | None = None

    @classmethod
    def of_entry(cls, entry: Mapping[str, Any]) -> CountedNoun:
        """Make a noun of an entry in a data file."""
        one = str(entry["one"])
        minor = entry.get("minor")
        return cls(
            one=one,
            many=str(entry.get("many", one)),
            gender=entry.get("gender", "m"),
            per=entry.get("per", ""),
            of=entry.get("of", ""),
            alone=entry.get("alone", False),
            spaced=entry.get("spaced", True),
            tight=entry.get("tight", True),
            minor=cls.of_entry(minor) if minor else None,
        )


@dataclass(frozen=True, slots=True)
class LanguageData:
    """The data of one language, indexed by every spelling."""

    data: Mapping[str, Any]
    numbers: NumberSpeller
    units: Mapping[str, CountedNoun] = field(default_factory=dict)
    currencies: Mapping[str, CountedNoun] = field(default_factory=dict)
    scales: Mapping[str, CountedNoun] = field(default_factory=dict)
    tight_scales: Mapping[str, CountedNoun] = field(default_factory=dict)
    bare_scales: Mapping[str, CountedNoun] = field(default_factory=dict)

    def section(self, name: str) -> Mapping[str, Any]:
        """One section of the file; empty if it has none."""
        return self.data.get(name) or {}

    def word(self, name: str) -> str:
        """One of the `words`; empty if the language has none."""
        return str(self.section("words").get(name) or "")

    def character_name(self, character: str) -> str | None:
        """The name of a character that is spelled out; None if it has none."""
        return self.section("characters").get(character) or self.section("addresses").get(character)

    @property
    def months(self) -> list[list[str]]:
        """Twelve lists of a name and its abbreviations, or none."""
        return self.section("dates").get("months") or []

    @property
    def weekdays(self) -> list[list[str]]:
        """Seven lists of a name and its abbreviations, or none."""
        return self.section("dates").get("weekdays") or []


def has_language_data(code: str) -> bool:
    """Whether text in this language, such as "en", can be normalized."""
    return NumberSpeller.supports(code)


def load_language_data(code: str, extra: Mapping[str, Any] | None = None) -> LanguageData:
    """Load a language's data file, with a user's entries (in the same format) merged over it.

    Raises:
        ValueError: there is no file for the language, or an entry is not as the format has it.
    """
    if not has_language_data(code):
        raise ValueError(f"There are no spoken forms for {code!r}; its text must stay as it is.")
    own = _read_file(code)
    if unknown := sorted({*(extra or {})} - {*own, *_read_file("en")}):
        raise ValueError(f"Unknown section {unknown[0]!r}; expected one of {', '.join(sorted(own))}.")
    data = _merge(own, extra or {})
    try:
        return _make_language(code, data)
    except (KeyError, TypeError, AttributeError, regex.error) as error:
        raise ValueError(
            f"The spoken forms for {code!r} do not follow the format of en.yaml: {error!r}."
        ) from error


def index_by_spelling(entries: Mapping[str, Any] | None) -> dict[str, Any]:
    """The entries, by each of their spellings."""
    return {spelling: entry for key, entry in (entries or {}).items() for spelling in str(key).split(_EITHER)}


def any_of(spellings: Mapping[str, Any] | list[str]) -> str:
    """A pattern that matches any of the spellings, the longest first; a space may follow a degree sign."""
    if not spellings:
        return "(?!)"
    longest_first = sorted(spellings, key=len, reverse=True)
    return "(?:" + "|".join(_spelling_pattern(spelling) for spelling in longest_first) + ")"


def _spelling_pattern(spelling: str) -> str:
    return re.escape(spelling).replace("°C", r"°\ ?C").replace("°F", r"°\ ?F")


def _file(code: str) -> Any:
    return resources.files("wyoming_tts.text.normalization").joinpath(_DATA, f"{code}.yaml")


@cache
def _read_file(code: str) -> Mapping[str, Any]:
    return yaml.safe_load(_file(code).read_text(encoding="utf-8")) or {}


def _merge(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(ours)
    for key, value in theirs.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _make_language(code: str, data: Mapping[str, Any]) -> LanguageData:
    numbers = data.get("numbers") or {}
    units = {
        spelling: CountedNoun.of_entry(entry)
        for spelling, entry in index_by_spelling(data.get("units")).items()
    }
    return LanguageData(
        data=data,
        numbers=NumberSpeller(code),
        units=_make_powers(units, data.get("powers") or {}) | units,
        currencies={
            spelling: CountedNoun.of_entry(entry)
            for spelling, entry in index_by_spelling(data.get("currencies")).items()
        },
        scales=_make_scales(numbers.get("scales")),
        tight_scales=_make_scales(numbers.get("tight_scales")),
        bare_scales=_make_scales(numbers.get("bare_scales")),
    )


def _make_scales(entries: Mapping[str, Any] | None) -> dict[str, CountedNoun]:
    return {
        spelling: CountedNoun.of_entry(entry if isinstance(entry, Mapping) else {"one": entry})
        for spelling, entry in index_by_spelling(entries).items()
    }


def _make_powers(units: Mapping[str, CountedNoun], powers: Mapping[str, str]) -> dict[str, CountedNoun]:
    """Squares and cubes of the units of length, as `m²` and as `m2`."""
    made = {}
    for sign, pattern in powers.items():
        for base in (base for base in _POWERED if base in units):
            noun = units[base]
            power = CountedNoun(
                one=pattern.format(unit=noun.one), many=pattern.format(unit=noun.many), gender=noun.gender
            )
            made[base + sign] = made[base + _PLAIN_POWERS.get(sign, sign)] = power
    return made
