"""Cleaning of a text before it is phonemized: what espeak-ng crashes on, or would read out, is taken away."""

from __future__ import annotations

import unicodedata

from wyoming_tts.speech import Segment

# Punctuation that has a spoken name in every language; the rest only shapes a sentence, and a
# phonemizer that is given nothing else reads it out ("exclamation").
_NAMED_MARKS = frozenset("%&@#*/\\§")

_MAX_WORD, _MAX_LINE_NOISE, _MAX_MARKS = 60, 16, 8
"""Characters. espeak-ng overruns its buffers at words such as `s'` repeated a hundred times. Gaps make that
rarer; they do not rule it out."""


def clean_text(segment: Segment) -> str:
    """The segment's text on one line, as a phonemizer can take it; empty if there is nothing to pronounce."""
    # Lone surrogates cannot be encoded, and a NUL ends a C string.
    clean = segment.text.encode("utf-8", "ignore").decode("utf-8").replace("\0", " ")
    return " ".join(map(_break_up, clean.split())) if any(map(_is_spoken, clean)) else ""


def _break_up(word: str) -> str:
    """Put gaps into what is longer than words are; what stands in double brackets stays."""
    if len(word) <= _MAX_LINE_NOISE or not word.isascii() or "[[" in word or "]]" in word:
        return word  # Chinese and Thai sentences are one word
    marks = sum(not character.isalnum() for character in word)
    longest = _MAX_LINE_NOISE if marks > _MAX_MARKS else _MAX_WORD
    return " ".join(word[start : start + longest] for start in range(0, len(word), longest))


def _is_spoken(character: str) -> bool:
    category = unicodedata.category(character)
    return category[0] in "LN" or category in ("Sm", "Sc", "So") or character in _NAMED_MARKS
