"""What one language needs to say signs and numerals, read from its data file.

The files in `data` define the format; English, in `en.yaml`, documents it. Rules are neutral
and ask here for the words, so a language, or a user, needs nothing but data.
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
"""Units of length, which come as squares and cubes."""
_PLAIN_POWERS = {"²": "2", "³": "3"}
THIN_SPACES = "\u00a0\u2009\u202f"


@dataclass(frozen=True, slots=True)
class CountedNoun:
    """A word that is counted."""

    one: str
    many: str
    gender: str = "m"
    per: str = ""
    """Behind the word for "per", where it is not `one`."""
    of: str = ""
    """Behind a million."""
    alone: bool = False
    spaced: bool = True
    tight: bool | int = True
    """From which number on it may stand straight behind."""
    minor: CountedNoun | None = None

    @classmethod
    def of_entry(cls, entry: Mapping[str, Any]) -> CountedNoun:
        """Read one entry of a data file."""
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
    """A language's data, with every spelling on its own."""

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
    """Whether there is anything to say things with in this language, such as "en"."""
    return NumberSpeller.supports(code)


def load_language_data(code: str, extra: Mapping[str, Any] | None = None) -> LanguageData:
    """Read a language's file, with a user's entries (of the same format) over it.

    Raises:
        ValueError: there is no file for the language, or an entry is not as the format has it.
    """
    if not has_language_data(code):
        raise ValueError(f"{code!r} has no spoken forms here; leave its text as it is.")
    own = _read(code)
    if unknown := sorted({*(extra or {})} - {*own, *_read("en")}):
        raise ValueError(f"There is no section {unknown[0]!r}; there are {', '.join(sorted(own))}.")
    data = _merged(own, extra or {})
    try:
        return _language(code, data)
    except (KeyError, TypeError, AttributeError, regex.error) as error:
        raise ValueError(f"The spoken forms for {code!r} are not as en.yaml has them: {error!r}.") from error


def index_by_spelling(entries: Mapping[str, Any] | None) -> dict[str, Any]:
    """Entries by each of their spellings."""
    return {spelling: entry for key, entry in (entries or {}).items() for spelling in str(key).split(_EITHER)}


def any_of(spellings: Mapping[str, Any] | list[str]) -> str:
    """A pattern for the longest of the spellings; behind a degree sign a space may stand."""
    if not spellings:
        return "(?!)"
    longest_first = sorted(spellings, key=len, reverse=True)
    return "(?:" + "|".join(_spelled(spelling) for spelling in longest_first) + ")"


def _spelled(spelling: str) -> str:
    return re.escape(spelling).replace("°C", r"°\ ?C").replace("°F", r"°\ ?F")


def _file(code: str) -> Any:
    return resources.files("wyoming_tts.text.normalization").joinpath(_DATA, f"{code}.yaml")


@cache
def _read(code: str) -> Mapping[str, Any]:
    return yaml.safe_load(_file(code).read_text(encoding="utf-8")) or {}


def _merged(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(ours)
    for key, value in theirs.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merged(merged[key], value) if both else value
    return merged


def _language(code: str, data: Mapping[str, Any]) -> LanguageData:
    numbers = data.get("numbers") or {}
    units = {
        spelling: CountedNoun.of_entry(entry)
        for spelling, entry in index_by_spelling(data.get("units")).items()
    }
    return LanguageData(
        data=data,
        numbers=NumberSpeller(code),
        units=_powers(units, data.get("powers") or {}) | units,
        currencies={
            spelling: CountedNoun.of_entry(entry)
            for spelling, entry in index_by_spelling(data.get("currencies")).items()
        },
        scales=_scales(numbers.get("scales")),
        tight_scales=_scales(numbers.get("tight_scales")),
        bare_scales=_scales(numbers.get("bare_scales")),
    )


def _scales(entries: Mapping[str, Any] | None) -> dict[str, CountedNoun]:
    return {
        spelling: CountedNoun.of_entry(entry if isinstance(entry, Mapping) else {"one": entry})
        for spelling, entry in index_by_spelling(entries).items()
    }


def _powers(units: Mapping[str, CountedNoun], powers: Mapping[str, str]) -> dict[str, CountedNoun]:
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
