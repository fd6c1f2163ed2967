"""Where the first sentence of an utterance may be cut, so that it is heard early.

A listener waits for the first segment alone, so a long first sentence is cut after its first
clause. The finder reads the text once, as it arrives, and is certain of a cut as soon as two more
words have begun behind it in the same sentence: with one word left the sentence is better kept
whole, and whether another comes is not known earlier. Waiting for it costs a listener one word of
a text that streams, and nothing of one that is complete.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

import regex  # type: ignore[import-untyped]  # the standard library knows no scripts

BLOCK_PLACEHOLDER = "\ufdd0"
"""Stands for a raw block while text is cut. A noncharacter: cleaned text has none."""

DEFAULT_BOUNDARIES = ",.;:?!—…，、。．；：？！､｡،؛؟۔"

_REST_WORDS = 2
"""Fewer words behind a cut are not worth one: a lone word is spoken badly."""
_HALVES = 2
"""Words are counted in halves: without spaces between words, two characters are taken for one."""
_UNSPACED_RE = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}ー\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]")

_OPENERS = "\"'“‘„‚«‹»›([{「『（【《〈〔¿¡_"
_CLOSERS = "\"'”’“‘»«›‹)]}」』）】》〉〕_"
"""Both halves of a pair of quotes: languages differ in which closes."""
_SURE_CLOSERS = "”)]}」』）】》〉〕"
"""Closing also where no space follows."""
_LONE_CLOSERS = _SURE_CLOSERS + "»›"
"""Closing also where a space comes before, as in French."""

_ABBREVIATION_LETTERS = 3
"""A full stop that ends no sentence mostly ends an abbreviation, and nearly always so after a word
this short. Taking a word for one only makes the first segment longer."""
_ABBREVIATION_RE = regex.compile(
    r"""(?xi) approx|assoc|blvd|capt|corp|dept|govt|intl|lieut|misc|prof|sept|univ
    |bspw|bzgl|einschl|entspr|evtl|exkl|ggfs|inkl|insb|jährl|mind|sogen|städt|tägl|zzgl
    |aprox|avda|bijv|dott|environ|geom|págs|resp|sras|tegenw|акад|напр|проф|соотв"""
)
"""Longer ones in the languages most often spoken."""
_INTRODUCING = frozenset(["e.g", "eg", "i.e", "ie", "viz", "cf", "z.b", "d.h", "p.ex", "vgl", "bspw"])
"""A comma behind these parts nothing: what they announce belongs to them."""


@dataclass(frozen=True, slots=True)
class FirstSegmentOptions:
    """Where the first sentence may be cut; without boundaries and `max_words` it never is."""

    boundaries: str = DEFAULT_BOUNDARIES
    """Marks behind which to cut. ASCII marks count before a space alone, others also before a letter."""
    min_words: int = 3
    """No cut before as many words; two characters are a word where no spaces are written."""
    max_words: int = 0
    """Without a boundary up to here, cut between words (never before `min_words`); 0: never do."""

    def __post_init__(self) -> None:
        if self.min_words < 1 or self.max_words < 0:
            raise ValueError(
                f"min_words is {self.min_words} and max_words is {self.max_words}; "
                "they must be at least 1 and 0."
            )
        if wrong := [mark for mark in self.boundaries if mark.isalnum() or mark.isspace()]:
            raise ValueError(
                f"boundaries has {''.join(wrong)!r}; only marks such as {DEFAULT_BOUNDARIES[:7]!r} can be."
            )

    @property
    def enabled(self) -> bool:
        """Whether there is anything to look for."""
        return bool(self.boundaries) or self.max_words > 0


@dataclass(slots=True)
class _Candidate:
    """A place to cut that still needs enough words behind it."""

    end: int
    halves: int
    """Counted before it."""
    between_words: bool
    after_digit: bool


class FirstSegmentFinder:
    """Looks for the cut in one sentence, which is shown to it as it grows.

    Marks inside a word, a number, a time or an address are no boundaries, nor are the full stop of
    an abbreviation or an ordinal and a mark between two numbers. Closing quotes and brackets stay
    before the cut.
    """

    def __init__(self, options: FirstSegmentOptions) -> None:
        self._boundaries = options.boundaries
        self._inner_boundaries = "".join(mark for mark in options.boundaries if not mark.isascii())
        self._min_halves = _HALVES * options.min_words
        self._max_halves = _HALVES * options.max_words
        self._candidate: _Candidate | None = None
        self._read = 0
        self._word_start = 0
        """Of what stands between two spaces."""
        self._halves = 0
        self._counted = False
        """The present word is in `_halves`."""
        self._last_alnum = ""
        self._inner_end = 0
        """Behind the inner boundary just read, its closers included; 0: there is none."""

    def find(self, text: str) -> int | None:
        """Read what was added; return where the text is to be cut, once that is certain.

        `text` is what was given before, and more.
        """
        for index in range(self._read, len(text)):
            char = text[index]
            if char.isspace():
                self._end_word(text, index)
            else:
                self._read_char(text, index, char)
        self._read = len(text)
        if self._candidate and self._halves - self._candidate.halves >= _HALVES * _REST_WORDS:
            return self._candidate.end
        return None

    def _read_char(self, text: str, index: int, char: str) -> None:
        if index == self._word_start:
            self._check_candidate(index, char)
        if char in self._inner_boundaries or (self._inner_end and char in _SURE_CLOSERS):
            self._inner_end = index + 1
            return
        if self._inner_end and char not in _CLOSERS:
            self._end_inner(text, char)
        if char.isalnum() or char == BLOCK_PLACEHOLDER:
            self._count(char)

    def _end_inner(self, text: str, char: str) -> None:
        """A boundary without a space behind it is over: `char` is the first that is not of it."""
        end, self._inner_end = self._inner_end, 0
        before = text[self._word_start : end].rstrip(self._boundaries + _SURE_CLOSERS)
        in_number = char.isdigit() and before[-1:].isdigit()
        if not in_number and unicodedata.category(char)[0] != "M":
            self._propose(end, between_words=False)
            self._counted = False

    def _count(self, char: str) -> None:
        self._last_alnum = char
        if not char.isascii() and _UNSPACED_RE.match(char):
            self._halves += 1
            self._counted = False
        elif not self._counted:
            self._halves += _HALVES
            self._counted = True

    def _end_word(self, text: str, index: int) -> None:
        word = text[self._word_start : index]
        candidate = self._candidate
        if candidate and candidate.end == self._word_start - 1 and not word.strip(_LONE_CLOSERS):
            candidate.end = index
        elif _ends_clause(word, self._boundaries):
            self._propose(index, between_words=False)
        elif self._max_halves and self._halves >= self._max_halves and _parts_from_next(word):
            self._propose(index, between_words=True)
        self._word_start = index + 1
        self._counted = False
        self._inner_end = 0

    def _propose(self, end: int, *, between_words: bool) -> None:
        if self._candidate is None and self._halves >= self._min_halves:
            after_digit = self._last_alnum.isdigit()
            self._candidate = _Candidate(end, self._halves, between_words, after_digit)

    def _check_candidate(self, index: int, char: str) -> None:
        """Drop a candidate just before this word if the two belong together."""
        candidate = self._candidate
        if candidate is None or candidate.end != index - 1:
            return
        in_number = candidate.after_digit and char.isdigit()
        tied = candidate.between_words and not (char.isalpha() or char in _OPENERS + BLOCK_PLACEHOLDER)
        if in_number or tied:
            self._candidate = None


def _ends_clause(word: str, boundaries: str) -> bool:
    """Whether there is a boundary between this word and the space behind it."""
    bare = word.rstrip(_CLOSERS)
    if not bare or bare[-1] not in boundaries:
        return False
    if bare[-1] == "." and _is_abbreviated(bare):
        return False
    return bare.rstrip(boundaries).strip(_OPENERS).lower() not in _INTRODUCING


def _parts_from_next(word: str) -> bool:
    """Whether a cut behind this word takes nothing from it: no unit from a number, no name from a title."""
    bare = word.strip(_OPENERS + _CLOSERS)
    if not any(char.isalnum() or char == BLOCK_PLACEHOLDER for char in bare) or bare[-1].isdigit():
        return False
    return not (bare[-1] == "." and _is_abbreviated(bare))


def _is_abbreviated(word: str) -> bool:
    """Whether the full stop at the end of this word is rather one of an abbreviation or an ordinal."""
    letters = word[:-1].strip(_OPENERS)
    if not letters or letters[-1] == ".":
        return False  # it stands alone, or is the last of an ellipsis
    return (
        len(letters) <= _ABBREVIATION_LETTERS
        or "." in letters
        or _ABBREVIATION_RE.fullmatch(letters) is not None
    )
