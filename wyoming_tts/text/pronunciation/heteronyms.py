"""Heteronyms: words of one spelling and two pronunciations, told apart by their neighbours.

A small tagger: each heteronym has an ordered list of rules such as `verb: to|will ADV* _ DET`, patterns of
words around it (`_`), and the first that fits decides. A word that none fits is left to the engine, whose own
rules are good for the rest. Patterns are sequences of elements: alternatives by `|`, names of word classes in
capitals, `?` and `*` as in regular expressions, `...` for some words in between.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wyoming_tts.text.pronunciation.tokens import Respelling, Token

_TARGET = "_"
_ANY = "ANY"
_GAP = "..."
_GAP_WORDS = 10
_MOST = {"": 1, "?": 1, "*": 4}


@dataclass(frozen=True, slots=True)
class WordClass:
    """A class of words: those listed, and those with one of the endings."""

    words: frozenset[str]
    endings: tuple[str, ...] = ()
    exceptions: tuple[str, ...] = ()
    """Endings of words that do not belong to it."""
    anything: bool = False

    @classmethod
    def of_entries(cls, entries: Sequence[str]) -> WordClass:
        """Make a class of words, of endings as `-ly`, and of exceptions as `!-ss`."""
        return cls(
            words=frozenset(entry for entry in entries if entry[0] not in "-!" or len(entry) == 1),
            endings=tuple(entry[1:] for entry in entries if entry[0] == "-" and len(entry) > 1),
            exceptions=tuple(entry[2:] for entry in entries if entry.startswith("!-")),
        )

    def __contains__(self, token: Token) -> bool:
        if token.key in self.words:
            return True
        if not token.is_word or (self.exceptions and token.key.endswith(self.exceptions)):
            return False
        return self.anything or bool(self.endings and token.key.endswith(self.endings))

    def __or__(self, other: WordClass) -> WordClass:
        return WordClass(
            self.words | other.words,
            self.endings + other.endings,
            self.exceptions + other.exceptions,
            self.anything or other.anything,
        )


@dataclass(frozen=True, slots=True)
class _Element:
    words: WordClass
    least: int
    most: int


@dataclass(frozen=True, slots=True)
class _Rule:
    reading: str
    before: tuple[_Element, ...]
    """The nearest first."""
    after: tuple[_Element, ...]

    def fits(self, tokens: Sequence[Token], at: int) -> bool:
        return _matches(self.before, tokens, at - 1, -1) and _matches(self.after, tokens, at + 1, 1)


@dataclass(frozen=True, slots=True)
class _Heteronym:
    spellings: Mapping[str, str]
    rules: tuple[_Rule, ...]


class HeteronymTagger:
    """Finds the reading of each heteronym in a sentence."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        """Take the section `heteronyms` of a data file."""
        classes = {name: WordClass.of_entries(words) for name, words in data["classes"].items()}
        self._classes = classes | {_ANY: WordClass(frozenset(), anything=True)}
        self._lists: Mapping[str, Sequence[Any]] = data.get("rules") or {}
        self._entries: Mapping[str, Mapping[str, Any]] = data["words"]
        self._known: dict[str, _Heteronym] = {}
        """Compiled at their first use: a text has few of them."""

    def find(self, tokens: Sequence[Token]) -> Iterator[Respelling]:
        """The respellings of the heteronyms that a rule decides."""
        for at, token in enumerate(tokens):
            if token.key in self._entries and (said := self._spelling(tokens, at)):
                yield Respelling(token.start, token.end, _like(token.written, said))

    def _spelling(self, tokens: Sequence[Token], at: int) -> str | None:
        word = self._heteronym(tokens[at].key)
        reading = next((rule.reading for rule in word.rules if rule.fits(tokens, at)), "")
        return word.spellings.get(reading)

    def _heteronym(self, word: str) -> _Heteronym:
        if word not in self._known:
            entry = self._entries[word]
            self._known[word] = _Heteronym(entry["say"], tuple(self._compile(entry["rules"])))
        return self._known[word]

    def _compile(self, rules: Sequence[Any]) -> Iterator[_Rule]:
        for rule in rules:
            if isinstance(rule, str):
                yield from self._compile(self._lists[rule])
            else:
                [(reading, pattern)] = rule.items()
                before, _, after = f" {pattern} ".partition(f" {_TARGET} ")
                yield _Rule(
                    reading,
                    tuple(self._element(part) for part in reversed(before.split())),
                    tuple(self._element(part) for part in after.split()),
                )

    def _element(self, part: str) -> _Element:
        if part == _GAP:
            return _Element(self._classes[_ANY] | WordClass(frozenset(",")), 0, _GAP_WORDS)
        mark = part[-1] if part[-1] in _MOST else ""
        words = WordClass(frozenset())
        for name in part.removesuffix(mark).split("|"):
            words |= self._classes.get(name) or WordClass.of_entries([name])
        return _Element(words, 0 if mark else 1, _MOST[mark])


def _matches(elements: Sequence[_Element], tokens: Sequence[Token], at: int, step: int) -> bool:
    """Whether the tokens from here on, in steps of one or minus one, are what the elements ask for."""
    if not elements:
        return True
    element, rest = elements[0], elements[1:]
    for count in range(element.most + 1):
        if count >= element.least and _matches(rest, tokens, at, step):
            return True
        if not 0 <= at < len(tokens) or tokens[at] not in element.words:
            return False
        at += step
    return False


def _like(written: str, said: str) -> str:
    return said[:1].upper() + said[1:] if written[:1].isupper() else said
