"""Where a text holds phonemes instead of words: `[[ ʃɪˈvɔːn ]]`, in IPA.

Double brackets around anything that cannot be IPA, such as a wiki's link, are text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from wyoming_tts.engines.espeak.ipa import is_ipa

_BLOCK = re.compile(r"\[\[((?:(?!\]\]|\[\[)[^\n]){1,500})\]\]")


@dataclass(frozen=True, slots=True)
class PhonemeTextPart:
    """Some of a text, in order."""

    text: str
    is_ipa: bool = False
    """It is the phonemes of a block, without the brackets."""


def parts(text: str) -> Iterator[PhonemeTextPart]:
    """The text around blocks and the blocks; nothing else is lost."""
    at = 0
    for block in _BLOCK.finditer(text):
        if is_ipa(block[1]):
            if block.start() > at:
                yield PhonemeTextPart(text[at : block.start()])
            yield PhonemeTextPart(block[1], is_ipa=True)
            at = block.end()
    if at < len(text):
        yield PhonemeTextPart(text[at:])


def has_phonemes(text: str) -> bool:
    """Whether the text holds a block."""
    return any(part.is_ipa for part in parts(text))
