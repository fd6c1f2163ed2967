"""CLDR data of a language in the format of `data/en.yaml`: units, currencies, plurals, numbers and dates.

The Unicode CLDR, read by `babel`, has these for every language; what it lacks, or what is said otherwise
than it has it, is in `data/*.yaml`. Babel and its data are read when a language is first needed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import cache
from types import MappingProxyType
from typing import Any

from wyoming_tts.languages import LanguageTag
from wyoming_tts.text.normalization.cldr_units import ONLY_SPACED, SIGNS, WITHOUT_NUMBER

LANGUAGES = frozenset(
    "ar bg bn ca cs cy da de el en es et eu fa fi fr he hi hu hy id is it ja ka kk ko ku lb lv ml mr ne nl "  # noqa: SIM905 - a list would take fifty lines
    "no pl pt ro ru sk sl sq sr sv sw te th tr uk ur vi zh".split()
)
"""The languages that voices of the catalogues speak."""
UNSPACED = frozenset({"ja", "th", "zh"})
"""Languages that are written without spaces between words."""

PLURAL_CATEGORIES = ("zero", "one", "two", "few", "many", "other")
ALONE = "="
"""Before a form that is said without its number, as the Arabic dual."""
_MANY_MILLIONS = frozenset({"ca", "es", "fr", "it", "pt"})
"""Languages whose category `many` is that of millions, "un million de kilomètres", and no plural of units."""
_NAMES = {"$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY"}
"""Signs of currencies that are read in every language, and their ISO codes."""
_FIELD_RE = re.compile(r"'(?P<text>[^']*)'|(?P<day>d+)|(?P<month>[ML]+)|(?P<year>y+)|[A-Za-z]|(?P<other>.)")
_DATE_FIELDS = ("day", "month", "year")
_TIMES = {
    "marks": ":",
    "full_hour": "{hour}",
    "hour_minute": "{hour} {minute}",
    "small_minute": "{hour} {zero} {minute}",
}
_MARKS = "./-"
_SIGN_RE = re.compile(r"[°%]|\b[A-Za-z]{1,3}/")
"""What CLDR has for a unit without a name in the language."""
_SHORTEST_NAME = 3
_OWN_SIGN_RE = re.compile(r"(?![A-Za-zÀ-ÿ]\.?$)[^\W\d_](?:[^\W\d_]|[./²³·⋅°]){0,19}|°[^\W\d_]|[٪؉]")
"""An abbreviation that the language has for a unit; one Latin letter is too little to tell."""


def cldr_entries(language: str) -> dict[str, Any]:
    """The entries of a language, without those that depend on the territory; blocks."""
    data = _load(language)
    per = _per(data)
    own = territory_entries(language, LanguageTag.parse(language).region_or_likely)
    return {
        "words": {"per": per, "slash_per": per},
        "units": dict(_units(language, data, per)),
        "numbers": own["numbers"] | _thousands(language, data),
        "currencies": dict(_currencies(language, data, _NAMES)) | own["currencies"],
        "dates": _dates(data) | own["dates"],
        "times": dict(_TIMES),
    }


def territory_entries(language: str, region: str) -> dict[str, Any]:
    """What a territory writes otherwise than others: marks of numbers, dates, and its currency; blocks."""
    data = _load(f"{language}_{region}" if _exists(f"{language}_{region}") else language)
    symbols = data["number_symbols"]["latn"]
    decimal = symbols["decimal"]
    order, marks = _date_order(data["date_formats"]["short"].pattern)
    return {
        "numbers": {
            "decimal": decimal,
            "groups": symbols["group"].replace("\u202f", " ").replace("\xa0", " "),
        },
        "dates": {
            "order": order,
            "marks": "".join(dict.fromkeys([*marks, "/", *("." if decimal == "," else "")])),
        },
        "currencies": dict(_currencies(language, data, _own_currency(data, region))),
    }


@cache
def plural_category(locale: str) -> Callable[[Decimal], str]:
    """The rule that names the plural category of a number with its decimals, for `pt` or `pt_PT`; blocks."""
    rule = _load(locale)["plural_form"]
    if locale.partition("_")[0] in _MANY_MILLIONS:
        return lambda number: "many" if (found := str(rule(number))) == "other" else found
    return lambda number: str(rule(number))


def _exists(identifier: str) -> bool:
    from babel import localedata  # noqa: PLC0415 - read when a language is first needed

    return bool(localedata.exists(identifier))


def _load(identifier: str) -> Mapping[str, Any]:
    """The data of a locale, with its references to other data resolved where they are looked up."""
    from babel import localedata  # noqa: PLC0415 - the same

    data: dict[Any, Any] = localedata.load(identifier)
    return MappingProxyType(localedata.LocaleDataDict(data))


def _per(data: Mapping[str, Any]) -> str:
    pattern = data["compound_unit_patterns"].get("per", {}).get("long", {}).get("compound", "")
    word = str(pattern.replace("{0}", "").replace("{1}", "").strip())
    return word if word.replace(" ", "").isalpha() else ""


def _units(language: str, data: Mapping[str, Any], per: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for unit, signs in SIGNS.items():
        lengths = data["unit_patterns"].get(unit) or {}
        entry = _noun(language, lengths.get("long") or {}, signs.split(" | "))
        if not entry:
            continue
        behind_per = str((lengths.get("long") or {}).get("per", "")).removeprefix("{0} ")
        if per and behind_per.startswith(f"{per} ") and behind_per != f"{per} {entry['one']}":
            entry["per"] = behind_per.removeprefix(f"{per} ")
        if unit in WITHOUT_NUMBER:
            entry["alone"] = True
        if unit in ONLY_SPACED:
            entry["tight"] = False
        yield from ((spelling, entry) for spelling in _spellings(signs, lengths))


def _spellings(signs: str, lengths: Mapping[str, Any]) -> list[str]:
    """The signs of a unit, and the abbreviations that the language has for it."""
    written = [
        str(pattern).replace("{0}", "").strip("\u200e\u200f \xa0")
        for length in ("short", "narrow")
        for category, pattern in (lengths.get(length) or {}).items()
        if category in PLURAL_CATEGORIES and "{0}" in str(pattern)
    ]
    known = [sign for each in SIGNS.values() for sign in each.split(" | ")]
    words = {
        word
        for pattern in (lengths.get("long") or {}).values()
        for word in str(pattern).replace("{0}", " ").split()
    }
    own = [
        each
        for each in dict.fromkeys(written)
        if each not in known and each not in words and _OWN_SIGN_RE.fullmatch(each)
    ]
    return [*signs.split(" | "), *own]


def _is_sign(form: str, signs: Sequence[str]) -> bool:
    """Whether CLDR has a sign in place of the name; `bar` and `bit` are both."""
    is_word = len(form) >= _SHORTEST_NAME and form.islower()
    return (form in signs and not is_word) or _SIGN_RE.search(form) is not None


def _noun(language: str, patterns: Mapping[str, Any], signs: Sequence[str] = ()) -> dict[str, Any]:
    """A noun entry of the patterns for each plural category; empty if CLDR has no name but the sign."""
    forms = {
        category: form
        for category in PLURAL_CATEGORIES
        if patterns.get(category) and not _is_sign(form := _form(str(patterns[category])), signs)
    }
    if "other" not in forms:
        return {}
    if language in _MANY_MILLIONS or "many" not in forms:
        forms["many"] = forms.pop("other")
    forms.setdefault("one", forms["many"])
    return dict(forms)


def _form(pattern: str) -> str:
    """The noun behind `{0}`; else the whole, with `{number}` in the place of the number."""
    text = re.sub(r" ?\([^)]*\)", "", pattern.replace("\xa0", " ")).strip("\u200e\u200f ")
    if "{0}" not in text:
        return ALONE + text
    return text.removeprefix("{0}").strip() if text.startswith("{0}") else text.replace("{0}", "{number}")


def _thousands(language: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """The word for the k of 10k; nothing in languages that do not count in thousands."""
    formats = data["compact_decimal_formats"].get("long") or {}
    patterns = {
        category: str(formats[category]["1000"].pattern).replace("'", "").replace("0", "{0}")
        for category in PLURAL_CATEGORIES
        if "1000" in (formats.get(category) or {})
    }
    if not all(
        re.fullmatch(r"\{0\}[\xa0 ][^\W\d_]+(?: [^\W\d_]+)?", pattern) for pattern in patterns.values()
    ):
        return {}
    entry = _noun(language, patterns)
    return {"bare_scales": {"k": entry}} if entry else {}


def _currencies(
    language: str, data: Mapping[str, Any], signs: Mapping[str, str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    for sign, code in signs.items():
        plurals = data["currency_names_plural"].get(code)
        name = data["currency_names"].get(code)
        entry = _noun(language, {key: f"{{0}} {form}" for key, form in (plurals or {"other": name}).items()})
        if plurals or name:
            yield from ((spelling, entry) for spelling in dict.fromkeys([sign, code]))


def _own_currency(data: Mapping[str, Any], region: str) -> dict[str, str]:
    from babel.core import get_global  # noqa: PLC0415 - read when a language is first needed

    tenders = [
        code
        for code, _, end, tender in get_global("territory_currencies").get(region, [])
        if tender and not end
    ]
    return {data["currency_symbols"].get(code, code): code for code in tenders[-1:]}


def _dates(data: Mapping[str, Any]) -> dict[str, Any]:
    months, days = data["months"], data["days"]
    formats = data["date_formats"]
    found: dict[str, Any] = {
        "months": [_names(months, month) for month in range(1, 13)],
        "month_names": [str(months["stand-alone"]["wide"].get(month, "")) for month in range(1, 13)],
        "weekdays": [_names(days, day) for day in range(7)],
        "numeric": _date_pattern(formats["long"].pattern),
    }
    found["ambiguous"] = sorted(
        {name for names in [*found["months"], *found["weekdays"]] for name in names[1:]}
    )
    short = re.sub(r"^.*\{year\}[^{]*(?=\{)|(?<=\})[^}]*\{year\}.*$", "", found["numeric"])
    found["numeric_short"] = short
    found["month_first" if short.startswith("{month}") else "day_first"] = short
    found["month_year"] = "{month} {year}"
    if "d." in formats["long"].pattern:
        found["day_suffix"] = r"\."
    return found


def _names(names: Mapping[str, Any], number: int) -> list[str]:
    """A name as it is in a date, and its abbreviations without their full stops."""
    shorts = [
        str(names[context][width].get(number, ""))
        for width in ("abbreviated",)
        for context in ("format", "stand-alone")
    ]
    wide = str(names["format"]["wide"][number])
    return list(
        dict.fromkeys(
            [wide, *(short.rstrip(".") for short in shorts if short.strip(".") and not short.isdigit())]
        )
    )


def _date_pattern(pattern: str) -> str:
    """A pattern of CLDR as one of ours; full stops behind numbers are those of ordinals and not said."""
    parts = [
        f"{{{match.lastgroup}}}" if match.lastgroup in _DATE_FIELDS else match["text"] or match["other"] or ""
        for match in _FIELD_RE.finditer(pattern)
    ]
    return " ".join(re.sub(r"(?<=\})[.,،]", "", "".join(parts)).replace("{month}月", "{month}").split())


def _date_order(pattern: str) -> tuple[str, str]:
    plain = re.sub(r"'[^']*'", "", pattern)
    order = "".join(dict.fromkeys(char.lower() for char in plain if char in "dMy"))
    return order, "".join(dict.fromkeys(char for char in plain if char in _MARKS))
