"""Pronunciation lexicon: replace words of a text by respellings or phonemes.

A rule maps what is written to its replacement: a respelling, or IPA phonemes, which stand in the text
as a `[[ phonemes ]]` block. All rules are applied to the original text, never to the result of another
rule, and each part of it is left to the first rule that matches. Words and phrases come first, the
longest first, then regular expressions in the order of their file, then the default pronunciations of the
language (`text.pronunciation`).

Words are found in trees by their tokens, with a few dictionary lookups for each word of the text in each of
the few scopes that apply (the voice, its language with and without region, all), so ten thousand of them cost
no more than ten.
"""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Final

import regex  # type: ignore[import-untyped]  # the standard library's has no time limit

from wyoming_tts.languages import fallbacks, language_code
from wyoming_tts.offset_text import join_texts, replace_words
from wyoming_tts.text.lexicon.patterns import PatternRule, hits_within_time
from wyoming_tts.text.lexicon.places import EVERYWHERE, UNPLACED, Hit, RulePosition, Scope
from wyoming_tts.text.pronunciation import DefaultPronunciations

_OPENING, _CLOSING = "[[", "]]"

# In scripts without spaces every letter is a token, so that words are found inside sentences.
_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_TOKEN = regex.compile(
    rf"[{_UNSPACED}]\p{{M}}*+|(?:(?![{_UNSPACED}])[\w\u200c\u200d])++|\s++|.", regex.DOTALL | regex.V1
)
_APOSTROPHES = str.maketrans("’ʼ", "''")
_HISSING, _VOICELESS = ("s", "z", "ʃ", "ʒ", "ʧ", "ʤ"), ("p", "t", "k", "f", "θ")


@dataclass(frozen=True, slots=True)
class WordRule:
    """A word or phrase, found where it stands as whole words."""

    written: str
    replacement: str
    exact: bool
    """Whether the match is case-sensitive."""
    scope: Scope = EVERYWHERE
    position: RulePosition = UNPLACED

    @property
    def key(self) -> tuple[bool, str]:
        """Words with the same key match the same texts."""
        return self.exact, "".join(_key(token, exact=self.exact) for token in _tokens(self.written))


Rule = WordRule | PatternRule


@dataclass(frozen=True, slots=True)
class LexiconHit:
    """A rule that was applied."""

    written: str
    """The text that it matched."""
    said: str
    """The text that replaced it."""
    file: str
    """Empty for a default pronunciation."""
    line: int


@dataclass(frozen=True, slots=True)
class LexiconResult:
    """The text after replacement, with its offsets, and the rules that were applied, in order."""

    text: str
    hits: tuple[LexiconHit, ...] = ()


class _Node:
    """A place in a tree of words: the word that ends here, and what may follow."""

    __slots__ = ("after", "word")

    def __init__(self) -> None:
        self.word: WordRule | None = None
        self.after: dict[str, _Node] = {}


class _Words:
    """The words and phrases of one scope, in trees by the keys of their tokens.

    A text is looked up in steps of one token, so that many phrases with the same beginning cost no more than
    the longest of them.
    """

    def __init__(self) -> None:
        self._exact = _Node()
        self._folded = _Node()

    def add(self, word: WordRule) -> None:
        node = self._exact if word.exact else self._folded
        for token in _tokens(word.written):
            node = node.after.setdefault(_key(token, exact=word.exact), _Node())
        node.word = node.word or word

    def longest(self, tokens: _Tokens, at: int) -> tuple[int, WordRule | None]:
        """The token count of the longest word that begins with this token, and the word."""
        exact = _longest(self._exact, tokens.exact_keys, tokens, at)
        folded = _longest(self._folded, tokens.keys, tokens, at)
        return folded if folded[0] > exact[0] else exact


def _longest(node: _Node, keys: list[str], tokens: _Tokens, at: int) -> tuple[int, WordRule | None]:
    found: tuple[int, WordRule | None] = (0, None)
    for end in range(at, len(keys)):
        following = node.after.get(keys[end])
        if following is None:
            break
        node = following
        if node.word is not None and not tokens.is_contracted(end + 1):
            found = end + 1 - at, node.word
    return found


class _Tokens:
    """A text in tokens, with the keys by which words are looked up: with their case, and without."""

    def __init__(self, written: list[str]) -> None:
        self.written = written
        self.exact_keys = [_key(token, exact=True) for token in written]
        self.keys = [_key(token, exact=False) for token in written]

    def is_contracted(self, at: int) -> bool:
        """Whether `'t` follows, which makes a different word: can, can't."""
        return self.keys[at : at + 2] == ["'", "t"]


class Lexicon:
    """Set of rules; the narrower scope wins, and within a scope the first rule."""

    def __init__(self, rules: Iterable[Rule] = (), *, clock: Callable[[], float] = time.thread_time) -> None:
        self._clock = clock
        self._words: dict[Scope, _Words] = {}
        self._patterns: dict[Scope, list[PatternRule]] = {}
        self._count = 0
        for rule in rules:
            self._count += 1
            if isinstance(rule, WordRule):
                self._words.setdefault(rule.scope, _Words()).add(rule)
            else:
                self._patterns.setdefault(rule.scope, []).append(rule)

    def __repr__(self) -> str:
        return f"<Lexicon {self._count} entries>"

    def __len__(self) -> int:
        """Number of rules."""
        return self._count

    def apply(
        self, text: str, *, language: str, voice: str, defaults: DefaultPronunciations | None = None
    ) -> LexiconResult:
        """Apply the rules to a text.

        Args:
            text: any text; `[[ phonemes ]]` in it stay as they are.
            language: the voice's, such as `en_US` or `en-us`.
            voice: its name.
            defaults: pronunciations for where no rule applies.
        """
        scopes = self._scopes(language, voice)
        if not text or not (scopes or defaults):
            return LexiconResult(text)
        written, text = text, str(text)
        plain = list(_plain_parts(text))
        tables = self._tables(scopes)
        find = partial(_word_hits, text, tables=tables, in_english=language_code(language) == "en")
        hits = [hit for start, end in plain for hit in find(start, end)] if tables else []
        patterns = [pattern for scope in scopes for pattern in self._patterns.get(scope, ())]
        if patterns:
            hits = _add_free(text, hits, hits_within_time(text, patterns, self._clock), plain)
        if defaults is not None:
            hits = _add_free(text, hits, [_default_hits(text, defaults)], plain)
        return _replace(written, hits) if hits else LexiconResult(written)

    def contains(self, token: str, language: str, voice: str) -> bool:
        """Whether a word or phrase matches exactly this text; regular expressions do not count."""
        tables = self._tables(self._scopes(language, voice))
        tokens = _Tokens(_tokens(token) if tables else [])
        count = len(tokens.written)
        return count > 0 and any(table.longest(tokens, 0)[0] == count for table in tables)

    def _scopes(self, language: str, voice: str) -> list[Scope]:
        """The scopes that have rules, the narrowest first."""
        if not self._count:
            return []
        scopes = [Scope(voice=voice), *(Scope(tag) for tag in fallbacks(language)), EVERYWHERE]
        return [scope for scope in scopes if scope in self._words or scope in self._patterns]

    def _tables(self, scopes: list[Scope]) -> list[_Words]:
        return [self._words[scope] for scope in scopes if scope in self._words]


EMPTY_LEXICON: Final = Lexicon()


def is_case_sensitive(written: str) -> bool:
    """Whether a word without an explicit `case` matches only in its own case.

    It does if it is all capitals (`US` is not "us") or has a capital inside (`mW` is not `MW`).
    """
    letters = [character for character in written if character.isalpha()]
    inner = any(now.isupper() and before.isalnum() for before, now in pairwise(written))
    return inner or (bool(letters) and all(letter.isupper() for letter in letters))


def phoneme_block(ipa: str) -> str:
    """IPA as a `[[ phonemes ]]` block in a text."""
    return f"{_OPENING}{ipa}{_CLOSING}"


def _tokens(text: str) -> list[str]:
    tokens: list[str] = _TOKEN.findall(text.strip())
    return tokens


def _key(token: str, *, exact: bool) -> str:
    if token.isspace():
        return " "
    if token.isascii():
        return token if exact else token.lower()
    token = unicodedata.normalize("NFC", token).translate(_APOSTROPHES)
    return token if exact else token.casefold()


def _word_hits(text: str, start: int, end: int, *, tables: list[_Words], in_english: bool) -> Iterator[Hit]:
    tokens = _Tokens(_TOKEN.findall(text, start, end))
    at, position = 0, start
    while at < len(tokens.written):
        count, word = 0, None
        for table in tables:
            length, found = table.longest(tokens, at)
            if length > count:
                count, word = length, found
        replacement = word.replacement if word else ""
        if (
            in_english
            and replacement.endswith(_CLOSING)
            and tokens.keys[at + count : at + count + 2] == ["'", "s"]
        ):
            replacement = _possessive(replacement)
            count += 2
        width = sum(map(len, tokens.written[at : at + count])) if count else len(tokens.written[at])
        if word:
            yield Hit(position, position + width, replacement, word.position)
        at += count or 1
        position += width


def _possessive(block: str) -> str:
    """The phonemes with an English `'s`, which no engine pronounces correctly after a block."""
    ipa = block.removesuffix(_CLOSING).rstrip()
    suffix = "ɪz" if ipa.endswith(_HISSING) else "s" if ipa.endswith(_VOICELESS) else "z"
    return f"{ipa}{suffix}{_CLOSING}"


def _plain_parts(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of each part of the text outside phoneme blocks."""
    at = 0
    while (opening := text.find(_OPENING, at)) >= 0:
        closing = text.find(_CLOSING, opening + len(_OPENING))
        if closing < 0:
            break
        yield at, opening
        at = closing + len(_CLOSING)
    yield at, len(text)


def _default_hits(text: str, defaults: DefaultPronunciations) -> list[Hit]:
    return [Hit(each.start, each.end, each.said, UNPLACED) for each in defaults.find(text)]


def _add_free(
    text: str, hits: list[Hit], more: Iterable[list[Hit]], plain: list[tuple[int, int]]
) -> list[Hit]:
    """The hits, and those of the others that do not overlap earlier ones, in the order of the text."""
    free = bytearray(len(text))
    for start, end in plain:
        free[start:end] = b"\1" * (end - start)
    for hit in hits:
        free[hit.start : hit.end] = bytes(hit.end - hit.start)
    for found in more:
        for hit in found:
            if free.find(0, hit.start, hit.end) < 0:
                free[hit.start : hit.end] = bytes(hit.end - hit.start)
                hits.append(hit)
    return sorted(hits, key=lambda hit: hit.start)


def _replace(text: str, hits: list[Hit]) -> LexiconResult:
    parts, applied = [], []
    at = 0
    for hit in hits:
        written, position = text[hit.start : hit.end], hit.position
        parts += [text[at : hit.start], replace_words(hit.replacement, written)]
        applied.append(LexiconHit(str(written), hit.replacement, position.file, position.line))
        at = hit.end
    return LexiconResult(join_texts([*parts, text[at:]]), tuple(applied))
