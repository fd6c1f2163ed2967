"""Limits of a text's length, in characters and in words, whether it is known or still arriving.

Of a text that arrives in pieces all that is within the limits is spoken, up to the last whole word, before
the error: nobody can take back what was said.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from wyoming_tts.errors import TooLong
from wyoming_tts.messages import Message

_WORD_RE = re.compile(r"\S+")
_WHOLE_WORDS_RE = re.compile(r".*\s", re.DOTALL)


@dataclass(frozen=True, slots=True)
class TextLimits:
    """The longest text of one utterance."""

    characters: int = 1_000_000
    words: int = 0
    """Words, as white space separates them; 0 is no limit."""

    def error(self, *, characters: int, words: int) -> TooLong | None:
        """Return the error for a text of this length, if it is over a limit."""
        if characters > self.characters:
            return TooLong(
                Message(
                    "text_of_characters",
                    "Got a text of {count} characters, expected at most {most}.",
                    count=characters,
                    most=self.characters,
                ),
                hint=Message("in_parts_characters", "Send it in parts, or raise max_text_chars."),
            )
        if 0 < self.words < words:
            return TooLong(
                Message(
                    "text_of_words",
                    "Got a text of {count} words, expected at most {most}.",
                    count=words,
                    most=self.words,
                ),
                hint=Message("in_parts_words", "Send it in parts, or raise max_utterance_words."),
            )
        return None

    def check(self, text: str) -> None:
        """Refuse a text that is over a limit.

        Raises:
            TooLong: it is.
        """
        error = self.error(characters=len(text), words=len(text.split()) if self.words else 0)
        if error is not None:
            raise error


class TextMeter:
    """Measures a text that arrives in pieces, and cuts it where it goes over a limit."""

    def __init__(self, limits: TextLimits) -> None:
        self.error: TooLong | None = None
        """Why nothing more is taken."""
        self._limits = limits
        self._characters = 0
        self._words = 0
        self._is_in_word = False

    def check(self, piece: str) -> None:
        """Refuse more text that would go over a limit, without taking it.

        Raises:
            TooLong: it would.
        """
        if (error := self.error_with(piece)) is not None:
            raise error

    def error_with(self, piece: str) -> TooLong | None:
        """Return the error that more text would cause, without taking it."""
        characters = self._characters + len(piece)
        return self.error or self._limits.error(characters=characters, words=self._words_with(piece))

    def take(self, piece: str) -> str:
        """Take more text; return as much of it as is within the limits."""
        if self.error is not None:
            return ""
        self.error = self.error_with(piece)
        if self.error is not None:
            piece = self._within(piece)
        self._words = self._words_with(piece)
        self._characters += len(piece)
        self._is_in_word = not piece[-1:].isspace() if piece else self._is_in_word
        return piece

    def _words_with(self, piece: str) -> int:
        if not self._limits.words:
            return 0
        goes_on = self._is_in_word and piece[:1].strip() != ""
        return self._words + len(piece.split()) - goes_on

    def _within(self, piece: str) -> str:
        """Return the beginning of the piece that is within the limits, without a word that is not whole."""
        room = max(0, self._limits.characters - self._characters)
        if len(piece) > room:
            before = None if piece[room].isspace() else _WHOLE_WORDS_RE.match(piece[:room])
            piece = piece[:room] if before is None else before[0]  # many scripts write no spaces
        if self._limits.words:
            words = self._limits.words - self._words + (self._is_in_word and piece[:1].strip() != "")
            ends = [word.end() for word in _WORD_RE.finditer(piece)]
            piece = piece[: ends[words - 1] if words else 0] if len(ends) > words else piece
        return piece
