"""A text that is still arriving, looked at by regular expressions that never guess.

An expression is tried on what has come; if more text could turn a miss into a match, `NeedMoreText`
is raised and the place is tried again later. As expressions name the character that ends them, a
match is final, and the outcome never depends on how the text was cut.
"""

from __future__ import annotations

from typing import Any

MAX_HELD_CHARS = 2_500
"""What has not been decided after so many characters is no match."""


class NeedMoreText(Exception):  # not an error: a state of the text
    """What stands here depends on text to come."""


class TextScanner:
    """The text that has come and a place in it."""

    def __init__(self) -> None:
        self.text = ""
        self.position = 0
        self.complete = False
        """Nothing more will come: what has not matched does not."""

    @property
    def char(self) -> str:
        """The character at this place."""
        return self.text[self.position]

    def add(self, text: str) -> None:
        """Append text, forgetting what has been passed."""
        self.text = self.text[self.position :] + text
        self.position = 0

    def peek(self) -> str:
        """The character behind the one at this place; empty behind the end of the whole text.

        Raises:
            Undecided: it has not come yet.
        """
        following = self.text[self.position + 1 : self.position + 2]
        if not following and not self.complete:
            raise NeedMoreText
        return following

    def match(self, expression: Any) -> Any:
        """Match at this place, within MAX_HELD_CHARS characters; None if nothing to come could match.

        Raises:
            Undecided: more text is needed.
        """
        end = self.position + MAX_HELD_CHARS
        complete = self.complete or len(self.text) >= end
        found = expression.match(self.text, self.position, min(end, len(self.text)), partial=not complete)
        if found is not None and found.partial:
            raise NeedMoreText
        return found

    def consume(self, found: Any) -> str:
        """Go behind a match; return its text."""
        self.position = found.end()
        return str(found.group())

    def advance(self, chars: int) -> str:
        """Go on by so many characters; return them."""
        start = self.position
        self.position = min(len(self.text), start + chars)
        return self.text[start : self.position]

    def replace(self, found: Any, text: str) -> None:
        """Put text in the place of a match; it is read next."""
        self.text = text + self.text[found.end() :]
        self.position = 0
