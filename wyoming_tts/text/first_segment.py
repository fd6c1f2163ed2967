"""First segment: split the first sentence after its first clause, for a short time to first audio.

A listener waits only for the first segment, so a long first sentence is split at a clause boundary.
The finder reads the text once, as it arrives, and is certain of a boundary as soon as two more
words have begun after it in the same sentence: with one word left the sentence is better kept
whole, and whether another follows is not known earlier. Waiting for it costs the listener of a
streamed text one word, and the listener of a complete text nothing.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

import regex  # type: ignore[import-untyped]  # the standard library knows no scripts

from wyoming_tts.text.unspaced_scripts import UNSPACED_LETTERS

BLOCK_PLACEHOLDER = "\ufdd0"
"""Stands for a phoneme block while text is split. A noncharacter, which cleaned text never contains."""

DEFAULT_BOUNDARIES = ",.;:?!—…，、。．；：？！､｡،؛؟۔"

_REST_WORDS = 2
"""With fewer words after it a boundary is not used: engines speak a lone word badly."""
_HALVES = 2
"""Words are counted in halves: in scripts without spaces, two characters count as a word."""
_UNSPACED_RE = regex.compile(f"[{UNSPACED_LETTERS}]")

_OPENERS = "\"'“‘„‚«‹»›([{「『（【《〈〔¿¡_"
_CLOSERS = "\"'”’“‘»«›‹)]}」』）】》〉〕_"
"""Both quotes of a pair, as languages differ in which one closes."""
_SURE_CLOSERS = "”)]}」』）】》〉〕"
"""Close even where no space follows."""
_LONE_CLOSERS = _SURE_CLOSERS + "»›"
"""Close even after a space, as in French."""

_ABBREVIATION_LETTERS = 3
"""A full stop that ends no sentence mostly ends an abbreviation, nearly always after a word this
short. A word mistaken for an abbreviation only makes the first segment longer."""
_ABBREVIATION_RE = regex.compile(
    r"""(?xi) approx|assoc|blvd|capt|corp|dept|govt|intl|lieut|misc|prof|sept|univ
    |bspw|bzgl|einschl|entspr|evtl|exkl|ggfs|inkl|insb|jährl|mind|sogen|städt|tägl|zzgl
    |aprox|avda|bijv|dott|environ|geom|págs|resp|sras|tegenw|акад|напр|проф|соотв"""
)
"""Longer abbreviations in the most widely spoken languages."""
_INTRODUCING = frozenset(["e.g", "eg", "i.e", "ie", "viz", "cf", "z.b", "d.h", "p.ex", "vgl", "bspw"])
"""A comma after these separates nothing: what they introduce belongs to them."""


@dataclass(frozen=True, slots=True)
class FirstSegmentOptions:
    """Where the first sentence may be split; without boundaries and `max_words` it never is."""

    boundaries: str = DEFAULT_BOUNDARIES
    """Marks after which to split. ASCII marks count only before a space, others also before a letter."""
    min_words: int = 3
    """No split before this many words; two characters are a word where no spaces are written."""
    max_words: int = 0
    """Without a boundary up to here, split between words (never before `min_words`); 0: never."""

    def __post_init__(self) -> None:
        if self.min_words < 1 or self.max_words < 0:
            raise ValueError(
                f"min_words is {self.min_words} and max_words is {self.max_words}; "
                "they must be at least 1 and 0."
            )
        if wrong := [mark for mark in self.boundaries if mark.isalnum() or mark.isspace()]:
            raise ValueError(
                f"boundaries has {''.join(wrong)!r}; "
                f"only punctuation such as {DEFAULT_BOUNDARIES[:7]!r} is allowed."
            )

    @property
    def enabled(self) -> bool:
        """Whether the first sentence can be split at all."""
        return bool(self.boundaries) or self.max_words > 0


NEVER_CUT = FirstSegmentOptions(boundaries="", max_words=0)
"""The first sentence stays whole."""


@dataclass(slots=True)
class _Candidate:
    """A boundary that still needs enough words after it."""

    end: int
    halves: int
    """Half words before it."""
    between_words: bool
    after_digit: bool


class FirstSegmentFinder:
    """Finds the first clause boundary of one sentence, given as it grows.

    Marks inside a word, a number, a time or an address are not boundaries, nor are the full stop of
    an abbreviation or an ordinal, nor a mark between two numbers. Closing quotes and brackets stay
    with the first segment.
    """

    def __init__(self, options: FirstSegmentOptions) -> None:
        self._boundaries = options.boundaries
        self._inner_boundaries = "".join(mark for mark in options.boundaries if not mark.isascii())
        self._min_halves = _HALVES * options.min_words
        self._max_halves = _HALVES * options.max_words
        self._candidate: _Candidate | None = None
        self._read = 0
        self._word_start = 0
        """Start of what stands between two spaces."""
        self._halves = 0
        self._counted = False
        """The current word is included in `_halves`."""
        self._last_alnum = ""
        self._inner_end = 0
        """End of the boundary without a space that was just read, with its closers; 0: none."""

    def find(self, text: str) -> int | None:
        """Read the text that was added; return where to split once that is certain, else None.

        Args:
            text: the sentence so far; begins with the text of the call before.
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
        """Propose a boundary without a space after it; `char` is the first character after it."""
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
        elif self._max_halves and self._halves >= self._max_halves and _may_split_after(word):
            self._propose(index, between_words=True)
        self._word_start = index + 1
        self._counted = False
        self._inner_end = 0

    def _propose(self, end: int, *, between_words: bool) -> None:
        if self._candidate is None and self._halves >= self._min_halves:
            after_digit = self._last_alnum.isdigit()
            self._candidate = _Candidate(end, self._halves, between_words, after_digit)

    def _check_candidate(self, index: int, char: str) -> None:
        """Drop a candidate directly before this word if it separates what belongs together."""
        candidate = self._candidate
        if candidate is None or candidate.end != index - 1:
            return
        in_number = candidate.after_digit and char.isdigit()
        tied = candidate.between_words and not (char.isalpha() or char in _OPENERS + BLOCK_PLACEHOLDER)
        if in_number or tied:
            self._candidate = None


def _ends_clause(word: str, boundaries: str) -> bool:
    """Whether this word ends with a clause boundary."""
    bare = word.rstrip(_CLOSERS)
    if not bare or bare[-1] not in boundaries:
        return False
    if bare[-1] == "." and _is_abbreviated(bare):
        return False
    return bare.rstrip(boundaries).strip(_OPENERS).lower() not in _INTRODUCING


def _may_split_after(word: str) -> bool:
    """Whether the text may be split after this word: not between number and unit, or title and name."""
    bare = word.strip(_OPENERS + _CLOSERS)
    if not any(char.isalnum() or char == BLOCK_PLACEHOLDER for char in bare) or bare[-1].isdigit():
        return False
    return not (bare[-1] == "." and _is_abbreviated(bare))


def _is_abbreviated(word: str) -> bool:
    """Whether the full stop at the end of this word belongs to an abbreviation or an ordinal."""
    letters = word[:-1].strip(_OPENERS)
    if not letters or letters[-1] == ".":
        return False  # a lone full stop, or the end of an ellipsis
    return (
        len(letters) <= _ABBREVIATION_LETTERS
        or "." in letters
        or _ABBREVIATION_RE.fullmatch(letters) is not None
    )
