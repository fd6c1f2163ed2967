"""Languages as voices' authors write them, brought to the one form that clients match.

Home Assistant compares tags without regard to `-` and `_`, but knows two-letter codes alone where there are
such, and takes the first part that follows for a region unless it is a script that it knows.
"""

from __future__ import annotations

import re

_TAG = re.compile(
    r"(?P<language>[a-z]{2,3})(?:[-_](?P<script>[a-z]{4}))?(?:[-_](?P<region>[a-z]{2}|[0-9]{3}))?(?:[-_.@+].*)?",
    re.IGNORECASE,
)

# ISO 639-2 (of both kinds), withdrawn codes, and espeak-ng's own, to ISO 639-1.
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
        "te": "tel", "th": "tha", "tr": "tur", "uk": "ukr", "ur": "urd", "vi": "vie", "zh": "zho chi cmn",
    }.items()
    for three in others.split()
}  # fmt: skip
_REGIONS = {"UK": "GB"}
_CHINA = {"hans": "CN", "hant": "TW"}


def published_tag(written: object) -> str | None:
    """The tag that clients are shown: `en_US` for `en-us`, `EN_us` and `eng_US.UTF-8`, `en` for `en`.

    None for what is no tag, such as `English` or a number. A script is left out beside a region. Chinese
    without a region is that of the mainland, or for traditional characters that of Taiwan.
    """
    match = _TAG.fullmatch(written.strip()) if isinstance(written, str) else None
    if match is None:
        return None
    given = match["language"].lower()
    language = _TWO_LETTERS.get(given, given)
    script = (match["script"] or "").lower()
    region = (match["region"] or "").upper()
    if language == "zh" and not region:
        region = _CHINA.get(script, "CN")
    if region:
        return f"{language}_{_REGIONS.get(region, region)}"
    # The only language that Home Assistant tells apart by script.
    return "sr_Latn" if (language, script) == ("sr", "latn") else language
