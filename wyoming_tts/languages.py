"""BCP 47 language tags and POSIX locales: parsing, canonicalization, matching and lookup.

`en`, `en_US`, `EN-us.UTF-8`, `eng` and `zh-Hans-CN` come from clients, markup, files, locales and engines;
only this module takes them apart. Nothing here raises for a text that is no tag: it counts as a language of
its own, which matches nothing else and is not published.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Self, TypeVar

T = TypeVar("T")

TAG_PATTERN: Final = r"[A-Za-z]{2,8}(?:[-_][A-Za-z0-9]{1,8}){0,4}"
"""Regular expression for a tag in markup, whether or not there is such a language."""

KOKORO_LETTERS: Final = MappingProxyType(
    {
        "a": "en_US",
        "b": "en_GB",
        "e": "es_ES",
        "f": "fr_FR",
        "h": "hi_IN",
        "i": "it_IT",
        "j": "ja_JP",
        "p": "pt_BR",
        "z": "zh_CN",
    }
)
"""The published tags for the letters that Kokoro's own software uses for its languages."""

# Not part of a tag: the end of the locale `de_DE.UTF-8@euro`, and of `en-us+f3`, a variant of espeak-ng.
_SUFFIX = re.compile(r"[.@+].*", re.DOTALL)
_SEPARATOR = re.compile(r"[-_]")
_CODE = re.compile(r"[a-z]{2,3}")
_WELL_FORMED = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{1,8})*")
_EXTENDED = re.compile(r"[a-z]{3}")
_SCRIPT = re.compile(r"[a-z]{4}")
_REGION = re.compile(r"[a-z]{2}|[0-9]{3}")
_PRIVATE = frozenset({"i", "x"})

# ISO 639-2 codes (both kinds), withdrawn codes and espeak-ng's own, to ISO 639-1.
_TWO_LETTERS = {
    three: two
    for two, others in {
        "ar": "ara", "bg": "bul", "bn": "ben", "ca": "cat", "cs": "ces cze", "cy": "cym wel", "da": "dan",
        "de": "deu ger", "el": "ell gre", "en": "eng", "es": "spa", "et": "est", "eu": "eus baq",
        "fa": "fas per", "fi": "fin", "fr": "fra fre", "ga": "gle", "gl": "glg", "he": "heb iw", "hi": "hin",
        "hr": "hrv", "hu": "hun", "hy": "hye arm", "id": "ind in", "is": "isl ice", "it": "ita", "ja": "jpn",
        "ka": "kat geo", "kk": "kaz", "ko": "kor", "lb": "ltz", "lt": "lit", "lv": "lav", "ml": "mal",
        "nb": "nob", "ne": "nep", "nl": "nld dut", "nn": "nno", "no": "nor", "pl": "pol", "pt": "por",
        "ro": "ron rum mo", "ru": "rus", "sk": "slk slo", "sl": "slv", "sr": "srp", "sv": "swe", "sw": "swa",
        "te": "tel", "th": "tha", "tr": "tur", "uk": "ukr", "ur": "urd", "vi": "vie", "yi": "yid ji",
        "zh": "zho chi cmn",
    }.items()
    for three in others.split()
}  # fmt: skip
_REGIONS = {"uk": "gb"}

_SAME_LANGUAGE = {"fil": "tl", "nb": "no", "nn": "no"}
"""To the code that a voice for both is published under."""
_WIDER_LANGUAGE = _SAME_LANGUAGE | {"yue": "zh"}
"""To the language whose texts and words are used where there are none of its own."""
_CANTONESE = {("zh", "HK"), ("zh", "MO")}
_SCRIPT_REGIONS = {("zh", "hans"): "CN", ("zh", "hant"): "TW"}
_LIKELY_REGIONS = {
    "ar": "EG",
    "bn": "BD",
    "ca": "ES",
    "cs": "CZ",
    "cy": "GB",
    "da": "DK",
    "el": "GR",
    "en": "US",
    "et": "EE",
    "eu": "ES",
    "fa": "IR",
    "he": "IL",
    "hi": "IN",
    "hy": "AM",
    "ja": "JP",
    "ka": "GE",
    "kk": "KZ",
    "ko": "KR",
    "ku": "TR",
    "lb": "LU",
    "ml": "IN",
    "mr": "IN",
    "ne": "NP",
    "pt": "BR",
    "sl": "SI",
    "sq": "AL",
    "sr": "RS",
    "sv": "SE",
    "sw": "TZ",
    "te": "IN",
    "uk": "UA",
    "ur": "PK",
    "vi": "VN",
    "yue": "HK",
    "zh": "CN",
}
"""The likely region of a language (CLDR's likely subtags), unless it is the language's code in capitals."""


@dataclass(frozen=True, slots=True)
class LanguageTag:
    """A parsed tag, for matching a request to a voice; equal for all spellings of one tag."""

    language: str
    """In lower case; of several codes for one language the one that voices carry, `zh` for `cmn`."""
    region: str | None = None
    """In upper case, or three digits; None if the tag has neither region nor script."""

    @classmethod
    def parse(cls, tag: str) -> Self:
        """Parse a tag; subtags other than script and region, such as variants, are ignored."""
        language, subtags = _canonical(tag)
        script, region = _script_and_region(subtags)
        region = region or _SCRIPT_REGIONS.get((language, script))
        if (language, region) in _CANTONESE:
            return cls("yue", region)
        return cls(_SAME_LANGUAGE.get(language, language), region)

    def is_same_language(self, other: LanguageTag) -> bool:
        """Whether both are of one language, in whichever region."""
        return self.language == other.language

    def differs_in_region(self, requested: LanguageTag) -> bool:
        """Whether a region is requested and this one is another; without a requested region any will do."""
        return requested.region is not None and self.region_or_likely != requested.region_or_likely

    @property
    def is_likely_region(self) -> bool:
        """Whether its region is the one that the language alone most likely means."""
        return self.region_or_likely == _likely_region(self.language)

    @property
    def region_or_likely(self) -> str:
        """The region, or the likely one where the tag has none."""
        return self.region or _likely_region(self.language)


def is_tag(text: str) -> bool:
    """Whether a text is an ISO 639 code, alone or with well-formed subtags; not a locale, not a name."""
    return _WELL_FORMED.fullmatch(text) is not None


def split_subtags(tag: str) -> list[str]:
    """Split a tag into its subtags as written: `en`, `US` for `en_US.UTF-8`; at least one, possibly empty."""
    return _SEPARATOR.split(_SUFFIX.sub("", tag.strip()))


def language_code(tag: str) -> str:
    """Return the language's shortest ISO 639 code: `en` for `en_US`, `eng` and `EN-gb`."""
    return _canonical(tag)[0]


def fallbacks(tag: str) -> Iterator[str]:
    """Yield the tags to look up, the most specific first (RFC 4647): `zh-hant-tw`, `zh-hant`, `zh`.

    All are canonical, in lower case with hyphens; the first is the whole tag. A language that is part of a
    wider one is followed by that: `nb`, `no`.
    """
    language, subtags = _canonical(tag)
    if not language:
        return
    for count in range(len(subtags), -1, -1):
        yield "-".join([language, *subtags[:count]])
    if language in _WIDER_LANGUAGE:
        yield _WIDER_LANGUAGE[language]


def lookup(table: Mapping[str, T], tag: str) -> T | None:
    """Return a table's value for the tag or the most specific of its `fallbacks`; None if it has none."""
    return next((table[found] for found in fallbacks(tag) if found in table), None)


def published_tag(written: object) -> str | None:
    """Return the tag shown to clients: `en_US` for `en-us`, `EN_us` and `eng_US.UTF-8`, `en` for `en`.

    None for anything that is no tag, such as `English` or a number. Home Assistant compares tags without
    regard to `-` and `_`, but knows only the two-letter code of a language that has one, and takes the next
    subtag for a region unless it is a script that it knows. So a script is left out beside a region. Chinese
    without a region is that of the mainland, or, in traditional characters, that of Taiwan.
    """
    if not isinstance(written, str):
        return None
    language, subtags = _canonical(written)
    if _CODE.fullmatch(language) is None:
        return None
    script, region = _script_and_region(subtags)
    if language == "zh" and region is None:
        region = _SCRIPT_REGIONS.get((language, script), "CN")
    if region is not None:
        return f"{language}_{region}"
    # The only language for which Home Assistant distinguishes scripts.
    return "sr_Latn" if (language, script) == ("sr", "latn") else language


def parse_accept_language(header: str) -> Iterator[str]:
    """Yield the language codes of an Accept-Language header in its order, which is that of preference."""
    for entry in header.split(","):
        yield language_code(entry.partition(";")[0])


def _canonical(tag: str) -> tuple[str, list[str]]:
    """Return the code of the language and the subtags after it, in lower case."""
    code, *subtags = split_subtags(tag.casefold())
    if code in _PRIVATE and subtags:
        return "-".join([code, *subtags]), []
    if code == "zh" and subtags and _EXTENDED.fullmatch(subtags[0]):
        code = subtags.pop(0)  # `zh-yue` is `yue`
    return _TWO_LETTERS.get(code, code), [_REGIONS.get(subtag, subtag) for subtag in subtags]


def _script_and_region(subtags: list[str]) -> tuple[str, str | None]:
    script = ""
    for subtag in subtags:
        if len(subtag) == 1:
            break  # private use or an extension: the rest has no region
        if _REGION.fullmatch(subtag):
            return script, subtag.upper()
        if _SCRIPT.fullmatch(subtag):
            script = subtag
    return script, None


def _likely_region(language: str) -> str:
    return _LIKELY_REGIONS.get(language, language.upper())
