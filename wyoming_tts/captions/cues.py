"""Cues: which words of a caption are on the screen together, on which lines, and for how long.

A cue has at most two lines and stays within one sentence, unless that would flash past. Where a sentence
needs several cues, the cheapest division is taken: at clauses rather than between any two words, of about
equal length rather than a full one and a rest. The numbers are those of the usual guidelines for subtitles
(Netflix, BBC). No word is split.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from wyoming_tts.captions.caption_text import BreakStrength, CaptionText, CaptionWord
from wyoming_tts.speech import SpokenWord

MAX_COLUMNS: Final = 42
"""Of a line; a character of Chinese or Japanese takes two."""
MAX_LINES: Final = 2
MIN_SECONDS: Final = 5 / 6
MAX_SECONDS: Final = 7.0
_COLUMNS_PER_SECOND: Final = 17
"""Reading speed: a cue is left for longer than its words sound if the pause behind them allows it."""
_GAP_SECONDS: Final = 1 / 12
"""Between a cue that was left for longer and the next one, so that the eye sees the change."""
_MAX_WORDS: Final = 100
"""Words of a sentence among which divisions are weighed; a longer one is divided as far as it is certain."""

_BREAK_COST: Final = {BreakStrength.SENTENCE: 0.0, BreakStrength.CLAUSE: 0.5, BreakStrength.WORD: 2.0}
"""Of ending a cue there, where a cue itself costs 1."""
_SHORT_WORD: Final = 3
_SHORT_WORD_COST: Final = 0.4
"""Of a break after a short word, which is likely an article or a preposition."""
_JOINED_SENTENCES_COST: Final = 0.8
_FLASH_COST: Final = 8.0
_UNUSED_COST: Final = 0.8


@dataclass(frozen=True, slots=True)
class Cue:
    """What is shown from one time to another."""

    start_time: float
    """Seconds of the stream, as in `SpokenWord`."""
    end_time: float
    lines: tuple[tuple[CaptionWord, ...], ...]

    @property
    def text(self) -> str:
        """Its lines, a newline between them."""
        return "\n".join(map(line_text, self.lines))

    @property
    def words(self) -> tuple[SpokenWord, ...]:
        """Its words, as they were spoken."""
        return tuple(word.spoken for line in self.lines for word in line)


def line_text(words: Iterable[CaptionWord]) -> str:
    """Return the text of a line."""
    return "".join(word.space + word.text for word in words).lstrip()


class CueMaker:
    """Makes cues of words while they are told; the text before a word has to be added before it."""

    def __init__(self, text: str = "") -> None:
        self._text = CaptionText(text)
        self._sentence: list[CaptionWord] = []

    def add_text(self, text: str) -> None:
        """Take more of the text, as it was written."""
        self._text.add_text(text)

    def add_words(self, words: Iterable[SpokenWord]) -> Iterator[Cue]:
        """Take the next words; yields the cues that are certain."""
        for word in self._text.add_words(words):
            self._sentence.append(word)
            if self._text.last is not None:
                yield from self._take_certain(self._text.last.spoken.start_time)

    def finish(self, end_time: float) -> Iterator[Cue]:
        """Yield the rest. `end_time` is when the audio ends; the last cue does not stay for longer."""
        self._sentence += self._text.finish()
        if self._sentence:
            yield from _make_cues(_Passage(self._sentence, end_time + _GAP_SECONDS))
            self._sentence = []

    def _take_certain(self, next_start: float) -> Sequence[Cue]:
        """Take the words of which the cues are certain from the front of the sentence."""
        is_over = self._is_over(next_start)
        if not is_over and len(self._sentence) < _MAX_WORDS:
            return ()
        cues = _make_cues(_Passage(self._sentence, next_start))
        rest = 0 if is_over else len(cues.pop().words)
        del self._sentence[: len(self._sentence) - rest]
        return cues

    def _is_over(self, next_start: float) -> bool:
        """Whether the sentence ends before the next word, and is no mere `Yes.` that would flash past."""
        first, last = self._sentence[0], self._sentence[-1]
        is_end = last.strength is BreakStrength.SENTENCE
        return is_end and next_start - first.spoken.start_time >= MIN_SECONDS


class _Passage:
    """The words of one or few sentences, and what it costs to show some of them together."""

    def __init__(self, words: Sequence[CaptionWord], next_start: float) -> None:
        self.words = words
        self.starts = [*(word.spoken.start_time for word in words), next_start]
        """Of each word, and of what follows the last one."""
        self._columns = list(accumulate((columns(word.space + word.text) for word in words), initial=0))
        ends = (word.strength is BreakStrength.SENTENCE for word in words)
        self._sentence_ends = list(accumulate(ends, initial=0))
        self._break_costs = [0.0, *map(_break_cost, words, words[1:]), 0.0]

    def width(self, begin: int, end: int) -> int:
        """Columns of words on one line."""
        return self._columns[end] - self._columns[begin] - len(self.words[begin].space)

    def fits(self, begin: int, end: int) -> bool:
        """Whether words can be shown together; a single one always can."""
        if end - begin == 1:
            return True
        seconds = self.words[end - 1].spoken.end_time - self.starts[begin]
        return seconds <= MAX_SECONDS and self._fits_lines(begin, end)

    def _fits_lines(self, begin: int, end: int) -> bool:
        if self.width(begin, end) <= MAX_COLUMNS:
            return True
        full = self._columns[begin] + len(self.words[begin].space) + MAX_COLUMNS
        second = bisect_right(self._columns, full, begin, end + 1) - 1
        return second > begin and self.width(second, end) <= MAX_COLUMNS

    def cost(self, begin: int, end: int) -> float:
        """Return what it costs to show words together."""
        joined = self._sentence_ends[end - 1] - self._sentence_ends[begin]
        cost = 1.0 + self._break_costs[end] + joined * _JOINED_SENTENCES_COST
        seconds = self.starts[end] - self.starts[begin]
        if seconds < MIN_SECONDS:
            cost += (1 - seconds / MIN_SECONDS) * _FLASH_COST
        unused = 1 - (self._columns[end] - self._columns[begin]) / (MAX_COLUMNS * MAX_LINES)
        if unused > 0:
            cost += unused * unused * _UNUSED_COST
        return cost

    def break_cost(self, end: int) -> float:
        """Return what a break before a word costs; behind the last one it costs nothing."""
        return self._break_costs[end]


def _break_cost(word: CaptionWord, following: CaptionWord) -> float:
    cost = _BREAK_COST[word.strength]
    if word.strength is BreakStrength.WORD and following.space and len(word.text) <= _SHORT_WORD:
        cost += _SHORT_WORD_COST
    return cost


def _make_cues(passage: _Passage) -> list[Cue]:
    ends = _divide(passage)
    return [_make_cue(passage, begin, end) for begin, end in zip([0, *ends], ends, strict=False)]


def _divide(passage: _Passage) -> list[int]:
    """Return the ends of the cheapest division into cues (dynamic programming)."""
    best: list[tuple[float, int]] = [(0.0, 0)]
    """For each number of words the least cost of showing them, and where the last cue of them begins."""
    first = 0
    """The first word that fits into a cue with the last one; the next ones fit too."""
    for end in range(1, len(passage.words) + 1):
        while not passage.fits(first, end):
            first += 1
        best.append(min((best[begin][0] + passage.cost(begin, end), begin) for begin in range(first, end)))
    ends = []
    end = len(passage.words)
    while end:
        ends.append(end)
        end = best[end][1]
    return ends[::-1]


def _make_cue(passage: _Passage, begin: int, end: int) -> Cue:
    words = tuple(passage.words[begin:end])
    start = passage.starts[begin]
    end_time = _end_time(start, words[-1].spoken.end_time, passage.starts[end], passage.width(begin, end))
    if passage.width(begin, end) <= MAX_COLUMNS or len(words) == 1:
        return Cue(start, end_time, (words,))
    second = min(range(begin + 1, end), key=lambda at: _line_cost(passage, begin, at, end)) - begin
    return Cue(start, end_time, (words[:second], words[second:]))


def _line_cost(passage: _Passage, begin: int, second: int, end: int) -> float:
    """Return what it costs to begin the second line of a cue at a word."""
    upper, lower = passage.width(begin, second), passage.width(second, end)
    overlong = max(upper - MAX_COLUMNS, 0) + max(lower - MAX_COLUMNS, 0)
    uneven = abs(upper - lower) / MAX_COLUMNS
    return 100.0 * overlong + passage.break_cost(second) + uneven**2 + 0.1 * (upper > lower)


def _end_time(start: float, spoken_until: float, next_start: float, columns: int) -> float:
    """Return until when a cue stays: as long as reading takes, if the next one comes late enough."""
    wanted = max(spoken_until, start + MIN_SECONDS, start + min(columns / _COLUMNS_PER_SECOND, MAX_SECONDS))
    return max(min(wanted, next_start - _GAP_SECONDS), min(spoken_until, next_start))


def columns(text: str) -> int:
    """Return the columns that a text takes on a terminal or a screen."""
    if text.isascii():
        return len(text)
    return sum(_width(character) for character in text)


def _width(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
