"""Emoji names: the short name of an emoji in the speaker's language, for listeners who want to hear them.

The names come from the emoji package: Unicode's own in English and CLDR's in a dozen other
languages, including whole sequences (flags, families, professions). unicodedata has single
characters only, and only in English.
"""

from __future__ import annotations

import emoji
import regex  # type: ignore[import-untyped]  # the standard library knows no emoji properties

from wyoming_tts.languages import fallbacks

_SKIN_TONE_RE = regex.compile(r"\p{Emoji_Modifier}")
_FALLBACK = "en"


def emoji_name(sequence: str, language: str = _FALLBACK) -> str:
    """Return the name of one emoji sequence; empty if it has none.

    Args:
        sequence: the emoji with all its selectors and joiners; skin tones are left out of the name.
        language: such as `de` or `de_DE`; English where the package does not have it.
    """
    known = next((code for code in fallbacks(language) if code in emoji.LANGUAGES), _FALLBACK)
    plain = _SKIN_TONE_RE.sub("", sequence) or sequence
    for spelling in (plain, plain + "\ufe0f", plain.replace("\ufe0f", "")):
        if emoji.is_emoji(spelling):
            return emoji.demojize(spelling, language=known, delimiters=("", "")).replace("_", " ").strip()
    return ""
