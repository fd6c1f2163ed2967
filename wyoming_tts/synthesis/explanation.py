"""What an utterance would sound like, for those who want to know why."""

from __future__ import annotations

from dataclasses import dataclass

from wyoming_tts.text.lexicon.rules import LexiconHit


@dataclass(frozen=True, slots=True)
class Explanation:
    """What the stages make of a text."""

    voice: str
    """The voice that would speak."""
    cleaned: str
    """Without markup, emoji and the like."""
    spoken: str
    """With figures and signs as words."""
    lexicon: tuple[LexiconHit, ...]
    """What the lexicon said otherwise."""
    segments: tuple[str, ...]
    """What is rendered, one after the other."""
    phonemes: tuple[str, ...]
    """IPA of each segment."""
