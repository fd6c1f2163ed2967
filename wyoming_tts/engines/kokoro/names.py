"""What the names of Kokoro voices tell: `af_bella` speaks American English and is female.

Imports nothing heavy: also those ask that only want to know which language a blend would speak.
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
    """As clients are shown it."""
    espeak: str
    """As espeak-ng calls it."""
    misaki: str | None = None
    """As the package misaki calls it, which phonemizes it where it is installed: espeak-ng does so poorly.

    Upstream trained these languages with misaki's phonemes. espeak-ng calls every kanji "Chinese letter", and
    tells the tones of Mandarin by digits, which the model does not know."""


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
"""The languages there are, by the letters that Kokoro's own software calls them."""

BY_TAG: Final = MappingProxyType({language.tag: language for language in BY_LETTER.values()})
"""The languages there are, as clients are shown them."""

_NAME = re.compile(r"(?P<language>[abefhijpz])(?P<gender>[fm])(_(?P<name>.+))?")
_GENDERS = MappingProxyType({"f": "female", "m": "male"})


def named_language(name: str) -> KokoroLanguage:
    """By the first letter of `af_heart`; a name of another form is taken for American English."""
    match = _NAME.fullmatch(name)
    return BY_LETTER[match["language"] if match else "a"]


def named_languages(names: Iterable[str]) -> dict[str, str]:
    """The tags that clients are shown, by name: `named_language` of each."""
    return {name: named_language(name).tag for name in names}


def spoken_language(voice: Voice) -> KokoroLanguage:
    """What the voice's texts are read in."""
    return BY_TAG.get(voice.language) or named_language(voice.name)


def description(name: str) -> str:
    """`Bella (Kokoro, female)` for `af_bella`."""
    match = _NAME.fullmatch(name)
    words = ((match["name"] if match else None) or name).replace("_", " ")
    kind = f"Kokoro, {_GENDERS[match['gender']]}" if match else "Kokoro"
    return f"{words[:1].upper()}{words[1:]} ({kind})"
