"""Language tags as they are written by many hands, and how near one is to another.

`en`, `en_US`, `en-us`, `EN-us.UTF-8` and `zh-Hans-CN` come from clients, markup, files and systems; they
are compared here by what they mean. The tags that voices publish are never changed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

_ENCODING = re.compile(r"[.@].*", re.DOTALL)  # of `de_DE.UTF-8@euro`, as systems name locales
_SEPARATOR = re.compile(r"[-_]")
_SCRIPT = re.compile(r"[a-z]{4}")
_REGION = re.compile(r"[a-z]{2}|[0-9]{3}")

_SAME_LANGUAGE = {"cmn": "zh", "fil": "tl", "in": "id", "iw": "he", "ji": "yi", "nb": "no", "nn": "no"}
"""By what a voice for both is published under."""
_CANTONESE = {("zh", "HK"), ("zh", "MO")}
_SCRIPT_REGIONS = {("zh", "hans"): "CN", ("zh", "hant"): "TW"}
_USUAL_REGIONS = {
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
"""The likely region of a language, as CLDR has it, where it is not the language's code in capitals."""


@dataclass(frozen=True, slots=True)
class LanguageTag:
    """What a tag means: equal for all ways to write it."""

    language: str
    """In small letters, of several codes for one language the one that voices carry: `zh` for `cmn`."""
    region: str | None = None
    """In capitals or three digits; None where neither region nor script was told."""

    @classmethod
    def parse(cls, tag: str) -> Self:
        """Read a tag; whatever is no region or script, such as a variant, is passed over."""
        language, *rest = _SEPARATOR.split(_ENCODING.sub("", tag.strip()).casefold())
        language = "yue" if "yue" in rest else _SAME_LANGUAGE.get(language, language)
        region = _region(language, rest)
        return cls("yue" if (language, region) in _CANTONESE else language, region)

    def speaks(self, other: LanguageTag) -> bool:
        """Whether both are of one language, wherever it is spoken."""
        return self.language == other.language

    def is_elsewhere(self, wanted: LanguageTag) -> bool:
        """Whether a region was asked for and this is not it; who names none is content with any."""
        return wanted.region is not None and self.region_or_usual != wanted.region_or_usual

    @property
    def is_usual(self) -> bool:
        """Whether it is what most who name only the language mean."""
        return self.region_or_usual == _usual(self.language)

    @property
    def region_or_usual(self) -> str:
        """The region, the usual one where none was told."""
        return self.region or _usual(self.language)


def _usual(language: str) -> str:
    return _USUAL_REGIONS.get(language, language.upper())


def _region(language: str, parts: list[str]) -> str | None:
    implied = None
    for part in parts:
        if len(part) == 1:
            return implied  # a private use or an extension: the rest says nothing of a region
        if _REGION.fullmatch(part):
            return part.upper()
        if _SCRIPT.fullmatch(part):
            implied = _SCRIPT_REGIONS.get((language, part))
    return implied
