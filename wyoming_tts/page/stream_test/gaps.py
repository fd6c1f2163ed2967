"""Gap owners: whether the client or the server is to blame for an underrun of a listener's player.

A gap is what `bench.playback` calls one. The rule is that of the page's live typing, `stream_timeline.js`,
and both are tested by one table. The first word that is heard after the gap decides, or the word that it
interrupts. If that word could have been spoken before the player ran dry, the server was late; else the
server was waiting for text. A word can be spoken as soon as one of these has happened:

* Its sentence was sent, and the beginning of the next, before which its last word may go on.
* No text followed for as long as the server waits before it speaks what it has, if it does.
* The text was declared complete.

A word that was told before the player ran dry, or that the gap interrupts, could have been spoken, whatever
else.

Only servers of this kind tell words, and not of every voice. For others:

* If all of the text that was sent by the end of the gap could be spoken before the player ran dry, the server
  was late.
* Else the parts count that the server sends separately (`audio-start`), if there is more than one by the end
  of the gap, as other servers send each sentence as one. If as many sentences were complete before the player
  ran dry, the server was late; if they were only at the end of the gap, it was waiting for text.
* Else it cannot be told, and the owner is unknown.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from sentence_stream import SentenceBoundaryDetector

from wyoming_tts.speech import SpokenWord

WORD_IDLE = 1.0
"""Seconds that the server waits for the rest of a word, if that is longer than for more text."""
_INTERRUPTED = 0.05
"""Seconds of a word left after a gap from which on the gap interrupts it; less is the rounding of its end."""
_MAX_OPEN = 100
"""Gaps whose owner a word may still decide: the words of others came too late, or never."""


class GapOwner(StrEnum):
    """Who a gap is to be put down to."""

    TEXT = "text"
    """The client: the server was waiting for text."""
    SERVER = "server"
    """The server was late."""
    UNKNOWN = "unknown"


@dataclass(slots=True)
class Gap:
    """An underrun of the player; times in seconds."""

    at: float
    """When the player ran dry, after the start of the run."""
    seconds: float
    owner: GapOwner
    """May change when the next words are told."""


@dataclass(frozen=True, slots=True)
class GapCount:
    """The gaps of one owner."""

    count: int
    seconds: float


def count_gaps(gaps: Iterable[Gap]) -> dict[GapOwner, GapCount]:
    """Count gaps apart by owner."""
    lengths: dict[GapOwner, list[float]] = {owner: [] for owner in GapOwner}
    for gap in gaps:
        lengths[gap.owner].append(gap.seconds)
    return {owner: GapCount(len(each), round(sum(each), 4)) for owner, each in lengths.items()}


def sum_counts(counts: Iterable[Mapping[GapOwner, GapCount]]) -> dict[GapOwner, GapCount]:
    """Add up the gaps of several clients."""
    each = list(counts)
    return {
        owner: GapCount(sum(one[owner].count for one in each), sum(one[owner].seconds for one in each))
        for owner in GapOwner
    }


class SentText:
    """The text that a client sends: which sentences of it were complete at which time."""

    def __init__(self, text: str, *, flush_idle: float = 0.0) -> None:
        """`flush_idle` is how long the server waits for text before it speaks what it has; 0 for ever."""
        self._text = text
        self._flush_idle = flush_idle
        self._lengths: list[int] = []
        """Characters sent, up to the end of each piece."""
        self._times: list[float] = []
        self.finished_at: float | None = None

    def add(self, piece: str, at: float) -> None:
        """Record that a piece was sent."""
        self._lengths.append(len(piece) + (self._lengths[-1] if self._lengths else 0))
        self._times.append(at)

    def finish(self, at: float) -> None:
        """Record that all of the text was sent."""
        self.finished_at = at

    @cached_property
    def _starts(self) -> list[int]:
        """Where each sentence but the first begins."""
        return list(_sentence_starts(self._text))

    def is_speakable(self, end: int, before: float) -> bool:
        """Whether a word that ends there could be spoken before a time."""
        complete_at = self._sentence_complete_at(bisect_right(self._starts, end - 1))
        return (complete_at is not None and complete_at <= before) or self._pauses_after(end, before)

    def all_is_speakable(self, before: float, until: float) -> bool:
        """Whether all text that was sent until a time could be spoken before another."""
        sent = bisect_right(self._times, until)
        length = self._lengths[sent - 1] if sent else 0
        end = len(self._text[:length].rstrip())
        return end > 0 and self.is_speakable(end, before)

    def _pauses_after(self, end: int, before: float) -> bool:
        """Whether the text paused behind a word for as long as the server waits."""
        if not self._flush_idle:
            return False
        first = bisect_left(self._lengths, end)
        for number in range(first, len(self._times)):
            may_go_on = self._lengths[number] == end
            idle = max(self._flush_idle, WORD_IDLE) if may_go_on else self._flush_idle
            next_at = self._times[number + 1] if number + 1 < len(self._times) else math.inf
            if min(next_at, before) - self._times[number] >= idle:
                return True
        return False

    def _sentence_complete_at(self, number: int) -> float | None:
        if number >= len(self._starts):
            return self.finished_at
        piece = bisect_right(self._lengths, self._starts[number])
        return self._times[piece] if piece < len(self._times) else None

    def has_complete(self, sentences: int, before: float) -> bool:
        """Whether this many sentences were complete before a time."""
        if sentences > len(self._starts) + 1:
            return False
        at = self._sentence_complete_at(sentences - 1)
        return at is not None and at < before


def _sentence_starts(text: str) -> Iterator[int]:
    """Where sentences begin after another: at stops as in `text.sentences`, and at line ends."""
    line_begin, is_first = 0, True
    for line in text.splitlines(keepends=True):
        for start in _sentence_starts_of_line(line):
            if not is_first:
                yield line_begin + start
            is_first = False
        line_begin += len(line)


def _sentence_starts_of_line(line: str) -> Iterator[int]:
    """Where the sentences of a line begin; nowhere if it is blank."""
    ends = [0]
    for sentence in SentenceBoundaryDetector().add_chunk(line):
        ends.append(max(line.find(sentence, ends[-1]), ends[-1]) + len(sentence))
    for end in ends:
        if rest := line[end:].lstrip():
            yield len(line) - len(rest)


class GapRecorder:
    """Records the gaps of one listener and finds their owners, from what was sent and what is heard."""

    def __init__(self, text: SentText) -> None:
        self._text = text
        self.gaps: list[Gap] = []
        self._parts = 0
        self._heard: tuple[SpokenWord, float] | None = None
        """The last word that begins in audio that has arrived."""
        self._coming: list[tuple[SpokenWord, float]] = []
        """Words that begin in the audio that arrives next, and when they were told."""
        self._open: list[tuple[Gap, float]] = []
        """Gaps after which no word has been told yet, with their positions in the audio."""

    def begin_part(self) -> None:
        """Record that the server begins a part that it sends separately."""
        self._parts += 1

    def expect_words(self, words: tuple[SpokenWord, ...], at: float) -> None:
        """Record which words begin in the audio that arrives next."""
        told = [(word, at) for word in words]
        self._coming += told
        self._open = [each for each in self._open if not self._decide(*each, told)]

    def add(self, at: float, seconds: float, position: float) -> Gap:
        """Record and return a gap that the audio which arrives now has ended; `position` is in the audio."""
        gap = Gap(at, seconds, self._owner_without_words(at, seconds))
        self.gaps.append(gap)
        around = ([self._heard] if self._heard else []) + self._coming
        if not self._decide(gap, position, around):
            self._open = [*self._open[1 - _MAX_OPEN :], (gap, position)]
        return gap

    def audio_arrived(self) -> None:
        """Record that the audio is there in which the expected words begin."""
        if self._coming:
            self._heard = self._coming[-1]
            self._coming.clear()

    def _decide(self, gap: Gap, position: float, words: Iterable[tuple[SpokenWord, float]]) -> bool:
        """Find the owner by the first word that is heard after the gap; False if it is not among these."""
        for word, told in words:
            if word.end_time - position > _INTERRUPTED:
                is_begun = told <= gap.at or position - word.start_time > _INTERRUPTED
                is_late = is_begun or self._text.is_speakable(word.end, gap.at)
                gap.owner = GapOwner.SERVER if is_late else GapOwner.TEXT
                return True
        return False

    def _owner_without_words(self, at: float, seconds: float) -> GapOwner:
        if self._text.all_is_speakable(at, at + seconds):
            return GapOwner.SERVER
        if self._parts > 1:
            if self._text.has_complete(self._parts, at):
                return GapOwner.SERVER
            if self._text.has_complete(self._parts, at + seconds):
                return GapOwner.TEXT
        return GapOwner.UNKNOWN
