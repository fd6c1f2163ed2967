"""IPA within a text: `[[ ʃɪˈvɔːn ]]` is spoken by its phonemes, whichever engine speaks.

Double brackets around anything that cannot be IPA, such as a wiki's link, are text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from wyoming_tts.offset_text import group

_MISAKI: Final = str.maketrans(
    {"A": "eɪ", "I": "aɪ", "O": "oʊ", "Q": "əʊ", "W": "aʊ", "Y": "ɔɪ", "T": "ɾ", "ᵊ": "ə"}
)
"""Kokoro's own phonemizer writes these as one letter each."""

SOUNDS: Final = frozenset(
    "pbtdkɡfvszhmnlwjθðʃʒŋɲʎɹrʁʀɻɽɾxχɣβɸʋɱɕʑɧʂʐʈɖɳɭɫɬʍɥɰcɟʝqʜʟɮɺʘɓɗʄɠʛɢɴʔʕħɦʙʧʤʦʣʨʥ"
    "iɪɨᵻyʏeɛæəɚɝɜɘɞɐʌaɑɒɶɔoʊuʉɯɤøœɵ"
)
"""Signs of IPA for a sound, one character each."""
BOUNDARIES: Final = frozenset("ˈˌ ‿.-|‖")
"""Signs for stress, and between words, syllables and groups."""
DETAILS: Final = frozenset("ǀǁǂǃːˑʰʱʲʷˠˤⁿˡᵊ˞ʼ˥˦˧˨˩↑↓→↗↘ꜛꜜ()")
"""Signs that shape a sound, such as length and tone, and those that no voice here can speak."""

_ORDINARY: Final = frozenset("çøœæðħŋβθχ‿‖") | set(map(chr, range(128)))
"""Signs of IPA that stand in ordinary writing too."""

# What is typed in place of the sign that looks like it.
_TYPED: Final = str.maketrans({"g": "ɡ", ":": "ː", "'": "ˈ", "’": "ˈ", ",": "ˌ"})
_DISTINCT: Final = SOUNDS | BOUNDARIES | DETAILS
_TIES: Final = {0x361: None, 0x35C: None}
_BLOCK = re.compile(r"\[\[((?:(?!\]\]|\[\[)[^\n]){1,500})\]\]")


@dataclass(frozen=True, slots=True)
class PhonemeTextPart:
    """A stretch of a text."""

    text: str
    is_ipa: bool = False
    """Whether it is the phonemes of a block, without the brackets."""


def split_phoneme_blocks(text: str) -> Iterator[PhonemeTextPart]:
    """Split a text into its blocks of phonemes and the text around them, in order; nothing else is lost."""
    at = 0
    for block in _BLOCK.finditer(text):
        if is_ipa(block[1]):
            if block.start() > at:
                yield PhonemeTextPart(text[at : block.start()])
            yield PhonemeTextPart(group(block, 1), is_ipa=True)
            at = block.end()
    if at < len(text):
        yield PhonemeTextPart(text[at:])


def has_phoneme_blocks(text: str) -> bool:
    """Whether the text holds a block of phonemes."""
    return any(part.is_ipa for part in split_phoneme_blocks(text))


def is_ipa(text: str) -> bool:
    """Whether the text can be read as IPA: it has a sound, and nothing that is not a sign of IPA."""
    signs = normalize_ipa(text)
    return not SOUNDS.isdisjoint(signs) and all(
        sign in SOUNDS or sign in BOUNDARIES or sign in DETAILS or unicodedata.combining(sign)
        for sign in signs
    )


def is_certainly_ipa(text: str) -> bool:
    """Whether the text is IPA, and no word that happens to consist of its letters, as `kitchen` does."""
    return is_ipa(text) and any(sign not in _ORDINARY and sign in _DISTINCT for sign in text)


def from_misaki(text: str) -> str:
    """IPA for phonemes as Kokoro's phonemizer writes them: IPA with capitals for diphthongs."""
    return text.translate(_MISAKI)


def normalize_ipa(text: str) -> str:
    """IPA on one line, decomposed (NFD), with the signs that were meant and without ties."""
    return unicodedata.normalize("NFD", " ".join(text.split()).translate(_TYPED)).translate(_TIES)
