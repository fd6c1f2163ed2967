"""Pauses between segments: how long the silence before the next segment is, from settings and markup.

The silences of sentences, lines and paragraphs do not add up: the longest one counts. Breaks in the markup
are added to what is there, and count even before the first segment. They alone cost a client no text that
is spoken, so their sum is bounded; that of the silences grows with what is spoken.
"""

from __future__ import annotations

import logging

from wyoming_tts.text.markup import MAX_BREAKS_SECONDS

_LOGGER = logging.getLogger(__name__)


class Pauses:
    """Collects the silence before the next segment, in seconds."""

    def __init__(self, *, sentence: float, paragraph: float, line: float = 0.0) -> None:
        """Begin an utterance.

        Args:
            sentence: seconds of silence between two sentences.
            paragraph: seconds of silence between two paragraphs, if that is more.
            line: seconds of silence after a line that is a sentence without a mark, if that is more.
        """
        self._sentence = sentence
        self._line = line
        self._paragraph = paragraph
        self._seconds = 0.0
        self._is_begun = False
        self._breaks_left = MAX_BREAKS_SECONDS
        self.has_break = False
        """Whether a break in the markup is part of the silence."""

    def end_sentence(self) -> None:
        """A sentence has ended."""
        self._require(self._sentence)

    def end_line(self) -> None:
        """A line has ended that is a sentence."""
        self._require(self._line)

    def end_paragraph(self) -> None:
        """A paragraph has ended."""
        self._require(self._paragraph)

    def add_break(self, seconds: float) -> None:
        """Add a break of the markup, as far as the sum of all is within MAX_BREAKS_SECONDS."""
        added = min(seconds, self._breaks_left)
        if not added:
            return
        self._seconds += added
        self._breaks_left -= added
        self.has_break = True
        if not self._breaks_left:
            _LOGGER.info("The breaks of a text last %g s in all; more have no effect.", MAX_BREAKS_SECONDS)

    def take(self) -> float:
        """Return the silence before the segment that begins now; the next one starts from none."""
        seconds = self._seconds if self._is_begun or self.has_break else 0.0
        self._is_begun = True
        self._seconds, self.has_break = 0.0, False
        return seconds

    def _require(self, seconds: float) -> None:
        self._seconds = max(self._seconds, seconds)
