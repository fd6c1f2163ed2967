"""Explanation of an utterance: what each stage of the text pipeline makes of it, down to the phonemes."""

from __future__ import annotations

from dataclasses import dataclass

from wyoming_tts.text.lexicon.rules import LexiconHit


@dataclass(frozen=True, slots=True)
class Explanation:
    """The results of the stages, for people who want to know why something sounds as it does."""

    voice: str
    """Name of the voice that would speak."""
    cleaned: str
    """The text without markup, emoji and the like."""
    spoken: str
    """The text with figures and symbols as words."""
    lexicon: tuple[LexiconHit, ...]
    """Replacements made by the lexicon."""
    segments: tuple[str, ...]
    """The segments as they would be rendered, in order."""
    phonemes: tuple[str, ...]
    """IPA of each segment."""
