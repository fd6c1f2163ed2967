"""Pronunciation lexicon: replace words of a text by respellings or phonemes.

A rule maps what is written to its replacement: a respelling, or IPA phonemes, which stand in the text
as a `[[ phonemes ]]` block. All rules are applied to the original text, never to the result of another
rule, and each part of it is left to the first rule that matches. Words and phrases come first, the
longest first, then regular expressions in the order of their file.

Words are found by one dictionary lookup for each word of the text, in each of the few scopes that apply
(the voice, its language with and without region, all), so ten thousand of them cost no more than ten.
"""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any, Final

import regex  # type: ignore[import-untyped]  # the standard library's has no time limit

from wyoming_tts.languages import fallbacks, language_code

_log = logging.getLogger(__name__)

EVERY_LANGUAGE: Final = "all"
PATTERN_SECONDS: Final = 0.02
"""Time limit of one regular expression on one text; ordinary ones take microseconds."""

_OPENING, _CLOSING = "[[", "]]"

# In scripts without spaces every letter is a token, so that words are found inside sentences.
_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_TOKEN = regex.compile(
    rf"[{_UNSPACED}]\p{{M}}*+|(?:(?![{_UNSPACED}])[\w\u200c\u200d])++|\s++|.", regex.DOTALL | regex.V1
)
_APOSTROPHES = str.maketrans("’ʼ", "''")
_HISSING, _VOICELESS = ("s", "z", "ʃ", "ʒ", "ʧ", "ʤ"), ("p", "t", "k", "f", "θ")
_GROUP = regex.compile(r"\\(?:(?P<number>\d{1,2})|g<(?P<name>\w+)>|(?P<other>.?))", regex.DOTALL)


@dataclass(frozen=True, slots=True)
class Scope:
    """What a rule applies to: one voice by name, else a language with all its regions."""

    language: str = EVERY_LANGUAGE
    voice: str = ""


@dataclass(frozen=True, slots=True)
class RulePosition:
    """File and line of a rule."""

    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class WordRule:
    """A word or phrase, found where it stands as whole words."""

    written: str
    replacement: str
    exact: bool
    """Whether the match is case-sensitive."""
    scope: Scope = Scope()
    position: RulePosition = RulePosition()

    @property
    def key(self) -> tuple[bool, str]:
        """Words with the same key match the same texts."""
        return self.exact, "".join(_key(token, exact=self.exact) for token in _tokens(self.written))


class PatternRule:
    r"""A regular expression; its replacement may contain `\1` and `\g<name>`, the text of its groups.

    Raises:
        ValueError: it cannot be compiled, or the replacement names a group that it does not have.
    """

    def __init__(
        self,
        written: str,
        replacement: str,
        *,
        exact: bool,
        scope: Scope | None = None,
        position: RulePosition | None = None,
    ) -> None:
        self.written = written
        self.scope = scope or Scope()
        self.position = position or RulePosition()
        try:
            self._compiled = regex.compile(written, 0 if exact else regex.IGNORECASE)
        except regex.error as error:
            raise ValueError(f"the regular expression {written!r} is not valid: {error}") from error
        self._template = tuple(_parse_template(replacement, self._compiled))
        self._is_off = False

    def __repr__(self) -> str:
        return f"<Pattern {self.written!r}{' off' if self._is_off else ''}>"

    def hits(self, text: str) -> list[_Hit]:
        """All its matches; none once it has exceeded the time limit."""
        if self._is_off:
            return []
        try:
            found = list(self._compiled.finditer(text, timeout=PATTERN_SECONDS))
        except TimeoutError:
            self._is_off = True
            _log.warning(
                "%s: the regular expression %r took longer than %.0f ms; disabled until the file changes",
                self.position,
                self.written,
                PATTERN_SECONDS * 1000,
            )
            return []
        return [_Hit(match.start(), match.end(), self._said(match), self) for match in found if match[0]]

    def _said(self, match: Any) -> str:
        return "".join(part if isinstance(part, str) else match[part.of] or "" for part in self._template)


Rule = WordRule | PatternRule


@dataclass(frozen=True, slots=True)
class LexiconHit:
    """A rule that was applied."""

    written: str
    """The text that it matched."""
    said: str
    """The text that replaced it."""
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class LexiconResult:
    """The text after replacement, and the rules that were applied, in the order of the text."""

    text: str
    hits: tuple[LexiconHit, ...] = ()


@dataclass(frozen=True, slots=True)
class _Group:
    of: int | str


@dataclass(frozen=True, slots=True)
class _Hit:
    start: int
    end: int
    replacement: str
    rule: Rule


@dataclass(slots=True)
class _Words:
    """The words and phrases of one scope."""

    by_key: dict[tuple[bool, str], WordRule] = field(default_factory=dict)
    lengths: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """For a first token in lower case, the token counts of the words that begin with it, longest first."""

    def add(self, word: WordRule) -> None:
        self.by_key.setdefault(word.key, word)
        tokens = _tokens(word.written)
        first = _key(tokens[0], exact=False)
        lengths = {*self.lengths.get(first, ()), len(tokens)}
        self.lengths[first] = tuple(sorted(lengths, reverse=True))

    def longest(self, tokens: _Tokens, at: int) -> tuple[int, WordRule | None]:
        """The token count of the longest word that begins with this token, and the word."""
        for length in self.lengths.get(tokens.keys[at], ()):
            end = at + length
            if end > len(tokens.written) or tokens.is_contracted(end):
                continue
            word = self.by_key.get(tokens.key(at, end, exact=True))
            word = word or self.by_key.get(tokens.key(at, end, exact=False))
            if word:
                return length, word
        return 0, None


class _Tokens:
    """A text in tokens."""

    def __init__(self, written: list[str]) -> None:
        self.written = written
        self.keys = [_key(token, exact=False) for token in written]

    def key(self, start: int, end: int, *, exact: bool) -> tuple[bool, str]:
        """The lookup key of the word that these tokens make."""
        if not exact:
            return False, "".join(self.keys[start:end])
        return True, "".join(_key(token, exact=True) for token in self.written[start:end])

    def is_contracted(self, at: int) -> bool:
        """Whether `'t` follows, which makes a different word: can, can't."""
        return self.keys[at : at + 2] == ["'", "t"]


class Lexicon:
    """Set of rules; the narrower scope wins, and within a scope the first rule."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
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

    def apply(self, text: str, *, language: str, voice: str) -> LexiconResult:
        """Apply the rules to a text.

        Args:
            text: any text; `[[ phonemes ]]` in it stay as they are.
            language: the voice's, such as `en_US` or `en-us`.
            voice: its name.
        """
        scopes = self._scopes(language, voice)
        if not scopes or not text:
            return LexiconResult(text)
        plain = list(_plain_parts(text))
        tables = self._tables(scopes)
        find = partial(_word_hits, text, tables=tables, in_english=language_code(language) == "en")
        hits = [hit for start, end in plain for hit in find(start, end)] if tables else []
        patterns = [pattern for scope in scopes for pattern in self._patterns.get(scope, ())]
        if patterns:
            hits = _add_pattern_hits(text, hits, patterns, plain)
        return _replace(text, hits) if hits else LexiconResult(text)

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
        scopes = [Scope(voice=voice), *(Scope(tag) for tag in fallbacks(language)), Scope()]
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


def _word_hits(text: str, start: int, end: int, *, tables: list[_Words], in_english: bool) -> Iterator[_Hit]:
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
            yield _Hit(position, position + width, replacement, word)
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


def _add_pattern_hits(
    text: str, hits: list[_Hit], patterns: list[PatternRule], plain: list[tuple[int, int]]
) -> list[_Hit]:
    """The hits, and those of the patterns where they do not overlap earlier ones."""
    free = bytearray(len(text))
    for start, end in plain:
        free[start:end] = b"\1" * (end - start)
    for hit in hits:
        free[hit.start : hit.end] = bytes(hit.end - hit.start)
    for pattern in patterns:
        for hit in pattern.hits(text):
            if free.find(0, hit.start, hit.end) < 0:
                free[hit.start : hit.end] = bytes(hit.end - hit.start)
                hits.append(hit)
    return sorted(hits, key=lambda hit: hit.start)


def _replace(text: str, hits: list[_Hit]) -> LexiconResult:
    parts, applied = [], []
    at = 0
    for hit in hits:
        parts += [text[at : hit.start], hit.replacement]
        position = hit.rule.position
        applied.append(LexiconHit(text[hit.start : hit.end], hit.replacement, position.file, position.line))
        at = hit.end
    return LexiconResult("".join([*parts, text[at:]]), tuple(applied))


def _parse_template(replacement: str, compiled: Any) -> Iterator[str | _Group]:
    """The replacement in parts, each a string or a group of the expression.

    Raises:
        ValueError: the expression has no such group, or a backslash precedes anything else.
    """
    at = 0
    for match in _GROUP.finditer(replacement):
        yield replacement[at : match.start()]
        at = match.end()
        if match["other"] == "\\":
            yield "\\"
            continue
        if match["other"] is not None:
            raise ValueError(rf"{match[0]!r} in the replacement is not a group; write \1, \g<name> or \\")
        of = int(match["number"]) if match["number"] else match["name"]
        if not _has_group(compiled, of):
            raise ValueError(f"{match[0]!r} in the replacement is not a group of the regular expression")
        yield _Group(of)
    yield replacement[at:]


def _has_group(compiled: Any, of: int | str) -> bool:
    return bool(of in compiled.groupindex if isinstance(of, str) else of <= compiled.groups)
