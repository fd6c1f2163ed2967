"""Gap owners: whether the client or the server is to blame for an underrun of a listener's player.

A gap is what `bench.playback` calls one. The first word that is heard after it decides, or the word that it
interrupts. If the sentence of that word was complete before the player ran dry, the server was late; else the
server was waiting for text. A sentence is complete once what follows it has been sent, as in the benchmark:
the next word, or the end of the text. Before that its last word may go on.

Only servers of this kind tell words. For others:

* If all of the text had been sent before the player ran dry, the server was late.
* Else the parts count that the server sends separately (`audio-start`), if there is more than one by the end
  of the gap, as other servers send each sentence as one. If as many sentences were complete before the player
  ran dry, the server was late; if they were only at the end of the gap, it was waiting for text.
* Else it cannot be told, and the owner is unknown.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from sentence_stream import SentenceBoundaryDetector

from wyoming_tts.speech import SpokenWord

_INTERRUPTED = 0.05
"""Seconds of a word left after a gap from which on the gap interrupts it; less is the rounding of its end."""


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

    def __init__(self, text: str) -> None:
        self._text = text
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

    def complete_at(self, offset: int) -> float | None:
        """When the sentence with a character of the text was complete; None if it is not."""
        return self._sentence_complete_at(bisect_right(self._starts, offset))

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
        self._heard: SpokenWord | None = None
        """The last word that begins in audio that has arrived."""
        self._coming: list[SpokenWord] = []
        """Words that begin in the audio that arrives next."""
        self._open: list[tuple[Gap, float]] = []
        """Gaps after which no word has been told yet, with their positions in the audio."""

    def begin_part(self) -> None:
        """Record that the server begins a part that it sends separately."""
        self._parts += 1

    def expect_words(self, words: tuple[SpokenWord, ...]) -> None:
        """Record which words begin in the audio that arrives next."""
        self._coming += words
        self._open = [each for each in self._open if not self._decide(*each, words)]

    def add(self, at: float, seconds: float, position: float) -> Gap:
        """Record and return a gap that the audio which arrives now has ended; `position` is in the audio."""
        gap = Gap(at, seconds, self._owner_without_words(at, seconds))
        self.gaps.append(gap)
        around = ([self._heard] if self._heard else []) + self._coming
        if not self._decide(gap, position, around):
            self._open.append((gap, position))
        return gap

    def audio_arrived(self) -> None:
        """Record that the audio is there in which the expected words begin."""
        if self._coming:
            self._heard = self._coming[-1]
            self._coming.clear()

    def _decide(self, gap: Gap, position: float, words: Iterable[SpokenWord]) -> bool:
        """Find the owner by the first word that is heard after the gap; False if it is not among these."""
        word = next((word for word in words if word.end_time - position > _INTERRUPTED), None)
        if word is None:
            return False
        complete_at = self._text.complete_at(word.begin)
        is_late = complete_at is not None and complete_at < gap.at
        gap.owner = GapOwner.SERVER if is_late else GapOwner.TEXT
        return True

    def _owner_without_words(self, at: float, seconds: float) -> GapOwner:
        finished_at = self._text.finished_at
        if finished_at is not None and finished_at < at:
            return GapOwner.SERVER
        if self._parts > 1:
            if self._text.has_complete(self._parts, at):
                return GapOwner.SERVER
            if self._text.has_complete(self._parts, at + seconds):
                return GapOwner.TEXT
        return GapOwner.UNKNOWN
