"""Names of Kokoro voices, parsed: `af_bella` speaks American English and is female.

It imports nothing heavy: commands and the page only want to know which language a blend would speak.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from wyoming_tts.languages import KOKORO_LETTERS
from wyoming_tts.speech import Voice


@dataclass(frozen=True, slots=True)
class KokoroLanguage:
    """A language that Kokoro was trained in."""

    tag: str
    """The tag that clients see: `en_US`."""
    espeak: str
    """espeak-ng's name of it."""
    misaki: str | None = None
    """misaki's name of it, where that package phonemizes it better than espeak-ng.

    Upstream trained these languages with misaki's phonemes. espeak-ng calls every kanji "Chinese letter", and
    writes the tones of Mandarin as digits, which the model does not know."""


_ESPEAK: Final = {
    "a": "en-us",
    "b": "en-gb",
    "e": "es",
    "f": "fr-fr",
    "h": "hi",
    "i": "it",
    "j": "ja",
    "p": "pt-br",
    "z": "cmn",
}
_MISAKI: Final = {"j": "ja", "z": "zh"}

BY_LETTER: Final = MappingProxyType(
    {
        letter: KokoroLanguage(tag, _ESPEAK[letter], _MISAKI.get(letter))
        for letter, tag in KOKORO_LETTERS.items()
    }
)
"""The languages, by the letter that begins the names of their voices."""

BY_TAG: Final = MappingProxyType({language.tag: language for language in BY_LETTER.values()})
"""The languages, by the tags that clients see."""

_NAME = re.compile(r"(?P<language>[abefhijpz])(?P<gender>[fm])(_(?P<name>.+))?")
_GENDERS = MappingProxyType({"f": "female", "m": "male"})


def named_language(name: str) -> KokoroLanguage:
    """A voice's language by its name: the first letter of `af_heart`; American English for other names."""
    match = _NAME.fullmatch(name)
    return BY_LETTER[match["language"] if match else "a"]


def named_languages(names: Iterable[str]) -> dict[str, str]:
    """Language tags by the voices' names: `named_language` of each."""
    return {name: named_language(name).tag for name in names}


def spoken_language(voice: Voice) -> KokoroLanguage:
    """The language in which the voice reads its texts: its own, or else that of its name."""
    return BY_TAG.get(voice.language) or named_language(voice.name)


def description(name: str) -> str:
    """A voice's description by its name: `Bella (Kokoro, female)` for `af_bella`."""
    match = _NAME.fullmatch(name)
    words = ((match["name"] if match else None) or name).replace("_", " ")
    kind = f"Kokoro, {_GENDERS[match['gender']]}" if match else "Kokoro"
    return f"{words[:1].upper()}{words[1:]} ({kind})"
