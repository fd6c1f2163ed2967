"""Words in capitals among others: the IT of "CLOSE IT NOW" is no abbreviation, though engines spell it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import regex  # type: ignore[import-untyped]

from wyoming_tts.text.pronunciation.tokens import END, START, Respelling, Token

_WORD_RE = regex.compile(r"\p{Lu}*[AEIOUY]\p{Lu}*")
_WORD_CHARS = 3
"""A capitalized word of so many letters, one of them a vowel, mostly is one."""
_SOME_WORDS = 3
"""So many words in capitals within a sentence are shouted; fewer may be abbreviations."""


@dataclass(frozen=True, slots=True)
class CapitalRules:
    """The words of one language that engines spell in capitals."""

    words: frozenset[str]
    not_behind: frozenset[str]
    at_start: frozenset[str]
    abbreviations: frozenset[str]
    """Those that look like words."""

    @classmethod
    def of_section(cls, data: Mapping[str, Any]) -> Self:
        """Take the section `capitals` of a data file."""
        return cls(**{key: frozenset(words) for key, words in data.items()})

    def find(self, tokens: Sequence[Token]) -> Iterator[Respelling]:
        """The words in lower case, where they stand among others in capitals."""
        for start, end in _runs_of_capitals(tokens):
            whole = tokens[start - 1].key == START and tokens[end].key == END
            run = tokens[start:end]
            if (whole or len(run) >= _SOME_WORDS) and any(map(self._is_wordlike, run)):
                yield from self._words(tokens[start - 1 : end])

    def _words(self, tokens: Sequence[Token]) -> Iterator[Respelling]:
        for before, token in pairwise(tokens):
            name = before.key in self.not_behind or (before.key == START and token.key not in self.at_start)
            if token.key in self.words and not name:
                yield Respelling(token.start, token.end, token.key)

    def _is_wordlike(self, token: Token) -> bool:
        other = token.key not in self.words | self.abbreviations
        return other and len(token.key) >= _WORD_CHARS and _WORD_RE.fullmatch(token.written) is not None


def _runs_of_capitals(tokens: Sequence[Token]) -> Iterator[tuple[int, int]]:
    """Start and end of each run of words in capitals."""
    start = 0
    for at, token in enumerate(tokens):
        if not token.written.isupper():
            if at > start:
                yield start, at
            start = at + 1
