"""Tokens of a segment, and the respellings of some of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import regex  # type: ignore[import-untyped]  # knows the properties of letters

START, END, PAUSE = "<", ">", ","
"""Stand for the ends of a sentence, and for any punctuation inside one."""

_TOKEN_RE = regex.compile(
    r"(?P<block>\[\[[^\]\n]{0,500}+\]\])|(?P<word>[\p{L}\p{N}][\p{L}\p{M}\p{N}]*+(?:['’][\p{L}\p{M}]++)*+)"
    r"|(?P<stop>[.?!…](?!\S))|(?P<hyphen>(?<=\w)-(?=\w))|(?P<mark>[^\s\w])"
)
_BLOCK = "[[]]"
_HYPHEN = "-"


@dataclass(frozen=True, slots=True)
class Token:
    """A word, or what stands between two: `key` is the word in lower case, or one of the signs above."""

    key: str
    written: str
    start: int
    end: int

    @property
    def is_word(self) -> bool:
        """Whether it is a word, and no punctuation or phoneme block."""
        return self.key[0].isalnum()


@dataclass(frozen=True, slots=True)
class Respelling:
    """What an engine is given in place of a part of the text: other letters, or a block of phonemes."""

    start: int
    end: int
    said: str


def tokenize(text: str) -> Sequence[Token]:
    """The tokens of a text, with START before the first and END behind the last of each sentence."""
    tokens = [Token(START, "", 0, 0)]
    for match in _TOKEN_RE.finditer(text):
        tokens += _tokens(match)
    return [*tokens, Token(END, "", len(text), len(text))]


def _tokens(match: regex.Match[str]) -> list[Token]:
    start, end = match.span()
    written = match.group()
    if match["stop"]:
        return [Token(END, written, start, end), Token(START, "", end, end)]
    key = {"block": _BLOCK, "hyphen": _HYPHEN, "mark": PAUSE}.get(str(match.lastgroup))
    return [Token(key or written.lower().replace("’", "'"), written, start, end)]
