"""Word alignment: which phonemes of a text belong to which of its words.

A phonemizer keeps the order of words, but joins some ("of the"), splits others ("25"), and says nothing for a
few. Where each word has as many groups of phonemes between spaces as expected, that is all there is to know.
Else the words' phonemes are asked for by themselves, and laid along those of the text at the least edit
distance: a word sounds nearly the same within a sentence.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache
from itertools import accumulate, takewhile
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import regex  # type: ignore[import-untyped]

from wyoming_tts.offset_text import Span

PhonemesOf: TypeAlias = Callable[[Sequence[str]], Sequence[str]]
"""Phonemes of each of some words by itself, all in one call; empty for one that is not spoken."""

_HAN: Final = regex.compile(r"\p{Han}")
_UNSPACED: Final = r"\p{Han}\p{Hiragana}\p{Katakana}"
_PLAIN: Final = regex.compile(
    rf"[\p{{L}}--{_UNSPACED}][[\p{{L}}\p{{M}}'’]--[\p{{Lu}}{_UNSPACED}]]*", regex.V1
)
"""Words that a phonemizer does not split: no numbers, abbreviations, signs."""
_MOST_JOINED: Final = 3
"""Words of "out of the"."""
_SHORT: Final = 4
"""Letters of the words that phonemizers join: those that say little."""

_STRESS: Final = frozenset("ˈˌ")
_BREAKS: Final = frozenset("—–―…")
"""Marks that part words without spaces beside them."""
_VOWELS: Final = frozenset("aeiouyɪɨᵻʏɛæəɚɝɜɘɞɐʌɑɒɶɔʊʉɯɤøœɵ")

_VOWEL_RUN: Final = regex.compile(f"[{''.join(_VOWELS)}]+")
_DOUBLED: Final = regex.compile(r"(.)\1+")
_AS_ALONE: Final = str.maketrans({"ɚ": "əɹ", "ɝ": "ɜɹ", "ɾ": "t"})
"""American sounds that are others between vowels: "for an", "at a"."""

_VOWEL_FOR_VOWEL: Final = 0.5
_CONSONANT_FOR_CONSONANT: Final = 0.8
_VOWEL_FOR_CONSONANT: Final = 1.4
_FORBIDDEN: Final = 9.0
"""A sound in place of a space."""
_SOUND: Final = 1.0
"""A sound more or less."""
_SPACE: Final = 0.6
"""A space more or less: words that are split or joined."""
_SLACK: Final = 1e-4
_MOST_CELLS: Final = 400_000
"""Sounds of the words times sounds of the text that are compared: 4 ms."""
_NEAR: Final = 2
"""Sounds by which a boundary that is only estimated may be moved to a space."""
_MOST_CACHED: Final = 2048
"""Words; with their phonemes 0.4 MB."""
_LONGEST_CACHED: Final = 40
"""Letters of a word."""


class WordPhonemes:
    """The phonemes of words by themselves, which are remembered, for any number of threads."""

    def __init__(self, phonemize: PhonemesOf) -> None:
        """Ask that function for words that are not known."""
        self._phonemize = phonemize
        self._known: dict[str, str] = {}

    def __call__(self, words: Sequence[str]) -> Sequence[str]:
        """As PhonemesOf."""
        known = {word: self._known.get(word) for word in words}
        if missing := [word for word, phonemes in known.items() if phonemes is None]:
            found = dict(zip(missing, self._phonemize(missing), strict=True))
            known |= found
            if len(self._known) + len(found) > _MOST_CACHED:
                self._known = {}
            self._known.update(
                (word, phonemes) for word, phonemes in found.items() if len(word) <= _LONGEST_CACHED
            )
        return [known[word] or "" for word in words]


def align_words(
    words: Sequence[str], phonemes: Sequence[str], phonemes_of: PhonemesOf | None = None
) -> list[Span]:
    """Return the range of each word's phonemes: in order, not overlapping, empty for a word without any.

    Spaces, punctuation and stress of nothing stand at no word's edge.

    Args:
        words: those of a text, as `words_of` finds them.
        phonemes: all of the text's, with spaces between groups of them.
        phonemes_of: asked only if the groups cannot tell. Without it words are estimated by their lengths.
    """
    groups = _groups(phonemes)
    if len(groups) == len(words) and all(map(_PLAIN.fullmatch, words)):
        return groups
    if not groups or not words:
        return [Span(0, 0)] * len(words)
    if phonemes_of is None:
        return groups if len(groups) == len(words) else _by_lengths(words, phonemes)
    return (
        _by_short_words(words, phonemes, groups, phonemes_of)
        or _lay_along(phonemes_of(words), _sounds(phonemes))
        or _by_lengths(words, phonemes)
    )


class _Kind(Enum):
    """What a symbol is."""

    SPACE = auto()
    MARK = auto()
    """Punctuation, which is not heard."""
    STRESS = auto()
    """Belongs to the sound after it."""
    DETAIL = auto()
    """Shapes the sound before it: length, tone, nasality."""
    SOUND = auto()


@lru_cache(maxsize=2048)
def _kind(symbol: str) -> _Kind:
    """The kind of a symbol, by its first character: only vowel clusters have several."""
    category = unicodedata.category(symbol[:1] or " ")
    if category[0] in "ZC" or symbol in _BREAKS:
        return _Kind.SPACE
    if category[0] == "P":
        return _Kind.MARK
    if symbol in _STRESS:
        return _Kind.STRESS
    return _Kind.DETAIL if category[0] in "MN" or category in ("Lm", "Sk") else _Kind.SOUND


def _groups(phonemes: Iterable[str]) -> list[Span]:
    """The groups of phonemes between spaces, without the punctuation around them."""
    groups: list[Span] = []
    begin = end = 0
    for place, symbol in enumerate(phonemes):
        kind = _kind(symbol)
        if kind is _Kind.SPACE:
            if end > begin:
                groups.append(Span(begin, end))
            begin = end = place + 1
        elif kind is not _Kind.MARK:
            end = place + 1
        elif end == begin:
            begin = end = place + 1
    if end > begin:
        groups.append(Span(begin, end))
    return groups


@dataclass(frozen=True, slots=True)
class _Sounds:
    """Symbols that can be compared, and spaces between groups of them, with where each stands."""

    symbols: Sequence[str]
    begins: Sequence[int]
    """Where each begins, with the stress before it."""
    ends: Sequence[int]
    """Where each ends, with the details after it."""


def _sounds(phonemes: Sequence[str]) -> _Sounds:
    symbols: list[str] = []
    begins: list[int] = []
    ends: list[int] = []
    stress = None
    for place, element in enumerate(phonemes):
        for symbol in unicodedata.normalize("NFD", element):
            kind = _kind(symbol)
            in_group = bool(symbols) and symbols[-1] != " "
            if kind is _Kind.SOUND or (kind is _Kind.DETAIL and not in_group):
                symbols.append(symbol)
                begins.append(place if stress is None else stress)
                ends.append(place + 1)
                stress = None
            elif kind is _Kind.DETAIL:
                ends[-1] = place + 1
                stress = None
            elif kind is _Kind.STRESS:
                stress = place if stress is None else stress
            elif kind is _Kind.SPACE:
                stress = None
                if in_group:
                    symbols.append(" ")
                    begins.append(place)
                    ends.append(place + 1)
    if symbols[-1:] == [" "]:
        del symbols[-1], begins[-1], ends[-1]
    return _Sounds(symbols, begins, ends)


@lru_cache(maxsize=256)
def _shape(phonemes: str) -> str:
    """The consonants, and a V for each sequence of vowels: what hardly changes within a sentence.

    Stress, details and spaces are not part of it.
    """
    symbols = "".join(_sounds(phonemes).symbols).replace(" ", "").translate(_AS_ALONE)
    return str(_DOUBLED.sub(r"\1", _VOWEL_RUN.sub("V", symbols)))


def _within(phonemes: Sequence[str], span: Span) -> str:
    return "".join(phonemes[slice(*span)])


def _by_short_words(
    words: Sequence[str], phonemes: Sequence[str], groups: Sequence[Span], phonemes_of: PhonemesOf
) -> list[Span]:
    """Align by the phonemes of those words alone that may be joined or split; empty if that does not do.

    These are few, and they come again and again: the others need not be asked for.
    """
    asked = _unsure(words)
    known = dict(zip(asked, phonemes_of(asked), strict=True))
    spans: list[Span] = []
    group = 0
    while len(spans) < len(words):
        found = _next_words(words[len(spans) :], phonemes, groups[group:], known)
        if found is None:
            return []
        spans += found.spans
        group += found.groups
    return spans if group == len(groups) else []


def _unsure(words: Sequence[str]) -> list[str]:
    """The words that may be joined with others, or have any number of groups."""
    plain = [bool(_PLAIN.fullmatch(word)) for word in words]
    short = [
        False,
        *(is_plain and len(word) <= _SHORT for is_plain, word in zip(plain, words, strict=True)),
        False,
    ]
    unsure = (
        word
        for place, (word, is_plain) in enumerate(zip(words, plain, strict=True), 1)
        if not is_plain or (short[place] and (short[place - 1] or short[place + 1]))
    )
    return list(dict.fromkeys(unsure))


class _Found(NamedTuple):
    """Words that were found, and in how many groups."""

    spans: Sequence[Span]
    groups: int


def _next_words(
    words: Sequence[str], phonemes: Sequence[str], groups: Sequence[Span], known: dict[str, str]
) -> _Found | None:
    """Find the phonemes of the next word, or of several that are joined, at the beginning of the groups."""
    alone = known.get(words[0])
    if alone is not None and not _PLAIN.fullmatch(words[0]):
        return _found_split(alone, phonemes, groups)
    if not groups:
        return None
    shape = _shape(_within(phonemes, groups[0]))
    if alone is not None and _shape(alone) != shape:
        joined = [*takewhile(lambda word: word in known and _PLAIN.fullmatch(word), words[:_MOST_JOINED])]
        for count in range(len(joined), 1, -1):
            alone_each = [known[word] for word in joined[:count]]
            if _shape("".join(alone_each)) == shape:
                return _Found(_split_group(phonemes, groups[0], alone_each), 1)
    return _Found([groups[0]], 1)


def _found_split(alone: str, phonemes: Sequence[str], groups: Sequence[Span]) -> _Found | None:
    """Find a word that has any number of groups: what it sounds like has to be there."""
    count = len(_groups(alone))
    if not count:
        at = groups[0].begin if groups else len(phonemes)
        return _Found([Span(at, at)], 0)
    if count > len(groups):
        return None
    span = Span(groups[0].begin, groups[count - 1].end)
    return _Found([span], count) if _shape(alone) == _shape(_within(phonemes, span)) else None


def _split_group(phonemes: Sequence[str], group: Span, alone: Sequence[str]) -> list[Span]:
    """Split a group of phonemes into those of the words that are joined in it."""
    spans = _lay_along(alone, _sounds(phonemes[slice(*group)]))
    return [Span(group.begin + begin, group.begin + end) for begin, end in spans]


def _lay_along(alone: Sequence[str], text: _Sounds) -> list[Span]:
    """Lay the phonemes of words by themselves along those of a text; empty if there are too many."""
    symbols: list[str] = []
    owners: list[int] = []
    for number, phonemes in enumerate(alone):
        sounds = _sounds(phonemes).symbols
        if sounds:
            # The space before a word belongs to it: what is passed after it is no longer of the word before.
            symbols += [" ", *sounds] if symbols else sounds
            owners += [number] * (len(symbols) - len(owners))
    if not symbols or len(symbols) * len(text.symbols) > _MOST_CELLS:
        return []
    return _spans(text, _owners(symbols, owners, text.symbols), len(alone))


def _spans(text: _Sounds, owners: Sequence[int], count: int) -> list[Span]:
    """The span of each word, from the number of the word that each sound of the text belongs to."""
    places: list[list[int]] = [[] for _ in range(count)]
    for number, (owner, symbol) in enumerate(zip(owners, text.symbols, strict=True)):
        if symbol != " ":
            places[owner].append(number)
    spans: list[Span] = []
    last = 0
    for own in places:
        # Sounds of a vowel cluster share their place: it belongs to the first word.
        free = [number for number in own if text.begins[number] >= last]
        begin = text.begins[free[0]] if free else last
        last = text.ends[free[-1]] if free else last
        spans.append(Span(begin, last))
    return spans


def _owners(words: Sequence[str], owners: Sequence[int], text: Sequence[str]) -> list[int]:
    """The owner of each sound of the text, from those of the words' sounds.

    The ends that both have in common are the same in the best alignment, so only what differs is aligned.
    """
    head = _common(words, text)
    tail = _common(words[head:][::-1], text[head:][::-1])
    inner = slice(head, len(words) - tail)
    before = owners[max(0, head - 1)]
    found = _align(words[inner], owners[inner], text[head : len(text) - tail], before)
    return [*owners[:head], *found, *owners[len(words) - tail :]]


def _common(first: Iterable[str], second: Iterable[str]) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False)))


def _align(words: Sequence[str], owners: Sequence[int], text: Sequence[str], before: int) -> list[int]:
    """As `_owners`, at the least sum of what substituting, adding and leaving out costs."""
    if not words or not text:
        return [before] * len(text)
    substituting = _substituting(words, text)
    adding = np.array([_SPACE if symbol == " " else _SOUND for symbol in text], np.float32)
    leaving_out = [_SPACE if symbol == " " else _SOUND for symbol in words]
    added = np.concatenate([[0.0], np.cumsum(adding)]).astype(np.float32)
    costs = np.empty((len(words) + 1, len(text) + 1), np.float32)
    costs[0] = added
    for place, cost in enumerate(leaving_out):
        row = costs[place] + np.float32(cost)
        np.minimum(row[1:], costs[place, :-1] + substituting[place], out=row[1:])
        costs[place + 1] = np.minimum.accumulate(row - added) + added
    return _path(costs, substituting, leaving_out, [before, *owners])


def _path(
    costs: npt.NDArray[np.float32],
    substituting: npt.NDArray[np.float32],
    leaving_out: Sequence[float],
    owners: Sequence[int],
) -> list[int]:
    """The owner of each sound of the text, along the cheapest way through a table of costs."""
    row, column = costs.shape[0] - 1, costs.shape[1] - 1
    found: list[int] = []
    while column:
        here = costs[row, column] + _SLACK
        if row and costs[row - 1, column - 1] + substituting[row - 1, column - 1] <= here:
            found.append(owners[row])
            row, column = row - 1, column - 1
        elif row and costs[row - 1, column] + leaving_out[row - 1] <= here:
            row -= 1
        else:
            found.append(owners[row])
            column -= 1
    return found[::-1]


def _substituting(words: Sequence[str], text: Sequence[str]) -> npt.NDArray[np.float32]:
    """What each sound of the text costs in place of each of the words."""

    def compared(values: Callable[[str], object]) -> tuple[Any, Any]:
        return np.array([*map(values, words)])[:, None], np.array([*map(values, text)])[None]

    (vowels, text_vowels), (spaces, text_spaces), (symbols, text_symbols) = map(
        compared, (_VOWELS.__contains__, " ".__eq__, ord)
    )
    kinds = np.where(vowels & text_vowels, _VOWEL_FOR_VOWEL, _CONSONANT_FOR_CONSONANT)
    costs = np.where(vowels == text_vowels, kinds, _VOWEL_FOR_CONSONANT)
    costs[spaces != text_spaces] = _FORBIDDEN
    costs[symbols == text_symbols] = 0.0
    return costs.astype(np.float32)


def _by_lengths(words: Sequence[str], phonemes: Sequence[str]) -> list[Span]:
    """Estimate by the words' lengths, with boundaries moved to spaces that are near."""
    text = _sounds(phonemes)
    total, count = sum(map(_length, words)), len(text.symbols)
    owners: list[int] = []
    for number, end in enumerate(accumulate(map(_length, words))):
        edge = _near_space(text.symbols, round(count * end / total), after=len(owners))
        owners += [number] * (edge - len(owners))
    return _spans(text, owners, len(words))


def _length(word: str) -> int:
    """Letters of a word, where a Han character, which kana stand beside, counts as two."""
    return max(1, sum(1 + bool(_HAN.match(letter)) for letter in word if letter.isalnum()))


def _near_space(symbols: Sequence[str], place: int, *, after: int) -> int:
    """The place of the nearest space if one is near, behind that of the boundary before."""
    if place == len(symbols):
        return place
    around = (place + sign * distance for distance in range(_NEAR + 1) for sign in (1, -1))
    return next((at for at in around if after < at < len(symbols) and symbols[at] == " "), place)
