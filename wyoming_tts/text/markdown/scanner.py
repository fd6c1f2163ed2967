"""Incremental scanner: regular expressions on text that is still arriving, without guessing.

An expression is tried on the text so far; if more text could turn a miss into a match,
`NeedMoreText` is raised and the position is tried again later. As expressions include the character
that ends them, a match is final, and the result never depends on how the text was divided.
"""

from __future__ import annotations

from typing import Any

MAX_HELD_CHARS = 2_500
"""An expression that is still undecided after this many characters does not match."""


class NeedMoreText(Exception):  # not an error: a state of the text
    """The match at this position depends on text that has not arrived."""


class TextScanner:
    """The text that has arrived, and the current position in it."""

    def __init__(self) -> None:
        self._written = ""
        self.text = ""
        """The text without its offsets: expressions are faster on it."""
        self.position = 0
        self.complete = False
        """No more text will arrive: what is undecided does not match."""

    @property
    def char(self) -> str:
        """The character at the position."""
        return self.text[self.position]

    def add(self, text: str) -> None:
        """Append text and forget the text before the position."""
        self._set(self._written[self.position :] + text)

    def _set(self, text: str) -> None:
        self._written, self.text, self.position = text, str(text), 0

    def peek(self) -> str:
        """The character after the one at the position; empty at the end of the text.

        Raises:
            NeedMoreText: it has not arrived yet.
        """
        following = self.text[self.position + 1 : self.position + 2]
        if not following and not self.complete:
            raise NeedMoreText
        return following

    def match(self, expression: Any) -> Any:
        """Match at the position, within MAX_HELD_CHARS characters; None if no more text could match.

        Raises:
            NeedMoreText: more text is needed.
        """
        end = self.position + MAX_HELD_CHARS
        complete = self.complete or len(self.text) >= end
        found = expression.match(self.text, self.position, min(end, len(self.text)), partial=not complete)
        if found is not None and found.partial:
            raise NeedMoreText
        return found

    def consume(self, found: Any) -> str:
        """Move past a match; return its text."""
        self.skip(found)
        return self.group(found)

    def group(self, found: Any, name: str | int = 0) -> str:
        """Return a group of the last match, with its offsets; empty if it did not take part."""
        begin, end = found.span(name)
        return self._written[begin:end] if begin >= 0 else ""

    def skip(self, found: Any) -> None:
        """Move past a match."""
        self.position = found.end()

    def advance(self, chars: int) -> None:
        """Move by this many characters."""
        self.position = min(len(self.text), self.position + chars)

    def read(self, chars: int) -> str:
        """Move by this many characters; return them."""
        start = self.position
        self.advance(chars)
        return self._written[start : self.position]

    def replace(self, found: Any, text: str) -> None:
        """Replace a match with text that is scanned next."""
        self._set(text + self._written[found.end() :])
