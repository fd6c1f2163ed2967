"""Pauses between segments: how long the silence before the next segment is, from settings and markup.

The silences of sentences and paragraphs do not add up: the longest one counts. Breaks in the markup are added
to what is there, and count even before the first segment.
"""

from __future__ import annotations


class Pauses:
    """Collects the silence before the next segment, in seconds."""

    def __init__(self, *, sentence: float, paragraph: float) -> None:
        """Begin an utterance.

        Args:
            sentence: seconds of silence between two sentences.
            paragraph: seconds of silence between two paragraphs, if that is more.
        """
        self._sentence = sentence
        self._paragraph = paragraph
        self._seconds = 0.0
        self._is_begun = False
        self.has_break = False
        """Whether a break in the markup is part of the silence."""

    def end_sentence(self) -> None:
        """A sentence has ended."""
        self._require(self._sentence)

    def end_paragraph(self) -> None:
        """A paragraph has ended."""
        self._require(self._paragraph)

    def add_break(self, seconds: float) -> None:
        """Add a break of the markup."""
        self._seconds += seconds
        self.has_break = True

    def take(self) -> float:
        """Return the silence before the segment that begins now; the next one starts from none."""
        seconds = self._seconds if self._is_begun or self.has_break else 0.0
        self._is_begun = True
        self._seconds, self.has_break = 0.0, False
        return seconds

    def _require(self, seconds: float) -> None:
        self._seconds = max(self._seconds, seconds)
