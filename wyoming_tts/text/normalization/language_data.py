"""Language data of text normalization: words, units, currencies and names, from `data/*.yaml`.

English, in `en.yaml`, documents the format. The rules are independent of the language and take
their words from here, so a language, or a user, needs nothing but data.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from importlib import resources
from typing import Any

import regex  # type: ignore[import-untyped]  # bounded by its timeout, knows scripts
import yaml

from wyoming_tts.languages import LanguageTag, fallbacks
from wyoming_tts.text.normalization.cldr import (
    LANGUAGES,
    PLURAL_CATEGORIES,
    UNSPACED,
    cldr_entries,
    plural_category,
    territory_entries,
)
from wyoming_tts.text.normalization.generic_numbers import GenericSpeller, number_signs
from wyoming_tts.text.normalization.number_words import NumberSpeller, Speller

_DATA = "data"
_EITHER = " | "
_POWERED = ("mm", "cm", "dm", "m", "km", "ft", "yd", "mi")
"""Units of length, which exist as squares and cubes."""
_PLAIN_POWERS = {"²": "2", "³": "3"}
_WORLD = "001"
"""The entry of `regions` for all territories but the one that the language alone most likely means."""
_FORMS = tuple(category for category in PLURAL_CATEGORIES if category not in ("one", "many"))
_SPELLED = ("units", "currencies", "abbreviations", "phrases")
_SCALES = ("scales", "tight_scales", "bare_scales")
_SHORTEST_UNIT_WORD = 3
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
    last: bool = False
    """Whether its sign is also a word, so that no word may follow: "5 с Иваном" are no seconds."""
    minor: CountedNoun | None = None
    forms: Mapping[str, str] = field(default_factory=dict)
    """Forms for the plural categories of the CLDR other than `one` and `many`."""

    def form(self, category: str) -> str:
        """The form for a plural category; one without a form of its own takes that of `many`."""
        return self.one if category == "one" else self.forms.get(category, self.many)

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
            last=entry.get("last", False),
            minor=cls.of_entry(minor) if minor else None,
            forms={form: str(entry[form]) for form in _FORMS if form in entry},
        )


@dataclass(frozen=True, slots=True)
class LanguageData:
    """The data of one language, indexed by every spelling."""

    data: Mapping[str, Any]
    numbers: Speller
    plural_category: Callable[[Decimal], str] = lambda number: "one" if number == 1 else "many"
    """Names the plural category of a number with its decimals."""
    units: Mapping[str, CountedNoun] = field(default_factory=dict)
    currencies: Mapping[str, CountedNoun] = field(default_factory=dict)
    scales: Mapping[str, CountedNoun] = field(default_factory=dict)
    tight_scales: Mapping[str, CountedNoun] = field(default_factory=dict)
    bare_scales: Mapping[str, CountedNoun] = field(default_factory=dict)
    unit_words: Mapping[str, CountedNoun] = field(default_factory=dict)
    """Units written out, by the first word of each of their forms."""

    is_spaced: bool = True
    """Whether the language is written with spaces between words."""

    @property
    def is_attached(self) -> bool:
        """Whether letters stand straight beside figures: `今天5度`, `25도입니다`."""
        return not self.is_spaced or bool(self.section("numbers").get("attached"))

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


def spoken_language(tag: str) -> str:
    """The code of the language whose data a tag is spoken by, "no" for "nb_NO"; empty if there are none."""
    return next((code for code in fallbacks(tag) if code in LANGUAGES), "")


def load_language_data(
    code: str, extra: Mapping[str, Any] | None = None, *, region: str = ""
) -> LanguageData:
    """Load the data of a language as a territory uses it; blocks.

    Later layers are merged over earlier ones: the CLDR, the language's data file, what the CLDR has for the
    territory, the file's section for it, and a user's entries in the same format.

    Raises:
        ValueError: there are no data for the language, or an entry is not as the format has it.
    """
    if code not in LANGUAGES:
        raise ValueError(f"There are no spoken forms for {code!r}; its text must stay as it is.")
    own = _standard_entries(code, region)
    if unknown := sorted({*(extra or {})} - {*own, *_read_file("en")}):
        raise ValueError(f"Unknown section {unknown[0]!r}; expected one of {', '.join(sorted(own))}.")
    try:
        return _make_language(code, _merge(own, _by_spelling(extra or {})))
    except (KeyError, TypeError, AttributeError, regex.error) as error:
        raise ValueError(
            f"The spoken forms for {code!r} do not follow the format of en.yaml: {error!r}."
        ) from error


def differs_by_region(code: str, region: str) -> bool:
    """Whether text of a territory is spoken otherwise than that of the language's likely one; blocks."""
    likely = LanguageTag.parse(code).region_or_likely
    return region not in ("", likely) and _standard_entries(code, region) != _standard_entries(code, "")


def _standard_entries(code: str, region: str) -> dict[str, Any]:
    """The product's entries, without a user's."""
    file = dict(_read_file(code))
    regions = file.pop("regions", None) or {}
    entries = _with_number_signs(code, file, cldr_entries(code))
    if NumberSpeller.supports(code):
        del entries["times"]  # those are for times in digits
    named = file.get("dates") or {}
    entries["dates"]["names_alone"] = [names for names in ("months", "weekdays") if names in named]
    merged = _merge(entries, _by_spelling(file))
    likely = LanguageTag.parse(code).region_or_likely
    if region and region != likely:
        usual, here = territory_entries(code, likely), territory_entries(code, region)
        differing = _differences(usual, here, merged)
        for layer in (differing, regions.get(_WORLD), regions.get(region)):
            merged = _merge(merged, _by_spelling(layer or {}))
    elif likely in regions:
        merged = _merge(merged, _by_spelling(regions[likely]))
    return merged


def _with_number_signs(code: str, file: Mapping[str, Any], entries: dict[str, Any]) -> dict[str, Any]:
    """The entries with the words for minus and point by the rules of the CLDR, where the file has none."""
    if (file.get("words") or {}).get("minus") and (
        NumberSpeller.supports(code) or (file.get("numbers") or {}).get("point")
    ):
        return entries
    minus, point = number_signs(code)
    return _merge({"words": {"minus": minus}, "numbers": {"point": point}}, entries)


def _differences(
    usual: Mapping[str, Any], here: Mapping[str, Any], known: Mapping[str, Any]
) -> dict[str, Any]:
    """What a territory has otherwise; marks that are `known` are understood there too."""
    found = {
        section: {key: value for key, value in entries.items() if value != usual[section].get(key)}
        for section, entries in here.items()
    }
    decimal = here["numbers"]["decimal"]
    if found["numbers"]:
        groups = dict.fromkeys([*here["numbers"]["groups"], *known["numbers"]["groups"]])
        found["numbers"]["groups"] = "".join(mark for mark in groups if mark != decimal)
    if "marks" in found["dates"]:
        marks = dict.fromkeys([*here["dates"]["marks"], *known["dates"]["marks"]])
        found["dates"]["marks"] = "".join(marks)
    if any(sign.isalpha() and sign in known["currencies"] for sign in here["currencies"]):
        del found["currencies"]  # the code is known, and with it what its sign means where it is spoken
    return found


def _by_spelling(entries: Mapping[str, Any]) -> dict[str, Any]:
    """The entries with one key for each spelling, as layers group spellings differently."""
    found = {
        name: index_by_spelling(section) if name in _SPELLED and isinstance(section, Mapping) else section
        for name, section in entries.items()
    }
    numbers = found.get("numbers")
    if isinstance(numbers, Mapping):
        found["numbers"] = {
            name: index_by_spelling(value) if name in _SCALES and isinstance(value, Mapping) else value
            for name, value in numbers.items()
        }
    return found


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


@cache
def _read_file(code: str) -> Mapping[str, Any]:
    file = resources.files("wyoming_tts.text.normalization").joinpath(_DATA, f"{code}.yaml")
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # twenty times as fast
    return (yaml.load(file.read_bytes(), Loader=loader) or {}) if file.is_file() else {}  # noqa: S506 - safe


def _merge(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(ours)
    for key, value in theirs.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merge(_without_forms(merged[key], value), value) if both else value
    return merged


def _without_forms(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Mapping[str, Any]:
    """The entry below one that gives `one`, and with it another noun: what is left of it are no forms."""
    if "one" not in theirs:
        return ours
    return {key: value for key, value in ours.items() if key not in (*PLURAL_CATEGORIES, "per", "of")}


def _make_language(code: str, data: Mapping[str, Any]) -> LanguageData:
    numbers = data.get("numbers") or {}
    genders = data.get("noun_genders") or {}
    units = {
        spelling: CountedNoun.of_entry(_with_gender(entry, genders))
        for spelling, entry in index_by_spelling(data.get("units")).items()
    }
    return LanguageData(
        data=data,
        numbers=_make_speller(code, data),
        plural_category=plural_category(str(numbers.get("locale") or code)),
        is_spaced=code not in UNSPACED,
        units=_make_powers(units, data.get("powers") or {}) | units,
        unit_words=_unit_words(units.values()),
        currencies={
            spelling: CountedNoun.of_entry(_with_gender(entry, genders))
            for spelling, entry in index_by_spelling(data.get("currencies")).items()
        },
        scales=_make_scales(numbers.get("scales")),
        tight_scales=_make_scales(numbers.get("tight_scales")),
        bare_scales=_make_scales(numbers.get("bare_scales")),
    )


def _with_gender(entry: Mapping[str, Any], genders: Mapping[str, str]) -> Mapping[str, Any]:
    """The entry with the gender whose pattern matches its first word, as the CLDR's nouns have none here."""
    if "gender" in entry:
        return entry
    word = str(entry["one"]).split(" ")[0]
    found = (gender for gender, pattern in genders.items() if regex.fullmatch(pattern, word))
    return {**entry, "gender": next(found, "m")}


def _make_speller(code: str, data: Mapping[str, Any]) -> Speller:
    if not NumberSpeller.supports(code):
        return GenericSpeller(code, data)
    numbers = data.get("numbers") or {}
    return NumberSpeller(code, locale=numbers.get("locale") or "", point=numbers.get("point") or "")


def _unit_words(nouns: Iterable[CountedNoun]) -> dict[str, CountedNoun]:
    found: dict[str, CountedNoun] = {}
    for noun in nouns:
        for form in (noun.one, noun.many, *noun.forms.values()):
            word = form.split(" ")[0]
            if len(word) >= _SHORTEST_UNIT_WORD and word.isalpha() and "{" not in form:
                found.setdefault(word, noun)
    return found


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
