"""Word timings of Kokoro: when the words of a text are heard in the audio of its batches.

The model decides how many pairs of frames each of its tokens lasts, and there is a token for each phoneme. In
two ways it is heard otherwise than these durations say: all of it is earlier, by the same time in every voice
and at every speed, and a pause is part of the last phoneme before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from wyoming_tts.engines.base import Rendered, samples_of
from wyoming_tts.offset_text import Span
from wyoming_tts.speech import Samples, TimedSamples, WordTiming, WordTimings

Edges: TypeAlias = npt.NDArray[np.int64]
"""Samples at which the phonemes of a batch begin, and at which the last of them ends."""

PAIR_SAMPLES: Final = 600
"""Samples of a pair of frames, by which the model counts."""
_LEAD: Final = 1500
"""Samples by which a phoneme is heard before its frames (62.5 ms): so were the durations aligned that the
model was trained with. The loudness of three voices at two speeds follows that of their phonemes best when
these are taken 65 ms earlier; words behind pauses then begin 13 ms before their sound. Upstream: 75 ms."""


NO_WORDS: Final = WordTimings(())
_NO_TEXT: Final = Span(-1, -1)
"""It touches nothing."""


@dataclass(frozen=True, slots=True)
class TextWord:
    """A word, and its phonemes among those of its text, or of a batch of them."""

    text: Span
    phonemes: Span


@dataclass(frozen=True, slots=True)
class BatchTimes:
    """When the phonemes of a batch are heard, in samples of what the model makes of it."""

    edges: Edges
    sounding: npt.NDArray[np.bool_]
    """Which frames of it are not silent."""
    frame: int
    """Samples of such a frame."""

    def sound_end(self, begin: int, end: int) -> int:
        """Where the sound between two samples ends; a pair of frames is left at least."""
        first = begin // self.frame
        sounding = np.flatnonzero(self.sounding[first : -(-end // self.frame)])
        last = (first + int(sounding[-1]) + 1) * self.frame if sounding.size else 0
        return min(end, max(last, begin + PAIR_SAMPLES))


def heard_edges(edges: Edges) -> Edges:
    """Where phonemes are heard whose frames begin at these samples, after those of the silence before them.

    At least as much of that silence is left as is taken off: models without any are exact.
    """
    lead = min(_LEAD, max(0, int(edges[0]) - _LEAD))
    return edges - lead


def edges_of(durations: Samples, phonemes: int) -> Edges | None:
    """The edges of phonemes by the durations of all tokens, in pairs; None if they are not of so many.

    A token is added at each end.
    """
    if durations.size != phonemes + 2:
        return None
    edges: Edges = np.cumsum(durations.ravel()[:-1]).astype(np.int64) * PAIR_SAMPLES
    return edges


class TextWords:
    """The words of a text, found in its batches, which come in order."""

    def __init__(self, phonemes: str, words: Sequence[TextWord]) -> None:
        """Take the phonemes of the text, and its words that have some."""
        self._phonemes = phonemes
        self._words = words
        self._done = 0

    def of(self, batch: str) -> BatchWords:
        """The words of the next batch. One that is cut is in several."""
        begin = self._phonemes.index(batch, self._done)  # between batches is nothing that is heard
        end = self._done = begin + len(batch)
        words = [
            TextWord(
                word.text, Span(max(word.phonemes.begin - begin, 0), min(word.phonemes.end, end) - begin)
            )
            for word in self._words
            if word.phonemes.begin < end and word.phonemes.end > begin
        ]
        return BatchWords(batch, words)


@dataclass(frozen=True, slots=True)
class BatchWords:
    """The words of a batch, with their phonemes in it."""

    batch: str
    words: Sequence[TextWord] = ()

    def time(self, times: BatchTimes | None, kept: Span) -> WordTimings:
        """When they are heard, counted from the first sample that is kept; nothing if that is unknown."""
        if times is None or kept.begin == kept.end:
            return NO_WORDS
        words = (self._time(word, times, kept) for word in self.words)
        return WordTimings(tuple(word for word in words if word.first_sample < word.end_sample))

    def _time(self, word: TextWord, times: BatchTimes, kept: Span) -> WordTiming:
        first, after = word.phonemes
        begin, end = int(times.edges[first]), int(times.edges[after])
        if self.batch[after : after + 1] != " ":  # a mark follows, or nothing
            end = times.sound_end(int(times.edges[after - 1]), end)
        begin, end = (min(max(each, kept.begin), kept.end) - kept.begin for each in (begin, end))
        return WordTiming(*word.text, begin, end)


def words_with_phonemes(spans: Iterable[Span], phonemes: Iterable[Span]) -> list[TextWord]:
    """The words that have phonemes, by the spans of all in their text.

    Where no space is written, one that has none is part of the next, or else of the one before: characters of
    Japanese may have a reading together that belongs to none of them.
    """
    words: list[TextWord] = []
    silent = _NO_TEXT
    for span, own in zip(spans, phonemes, strict=True):
        begin = span.begin
        if silent.end == begin:
            begin = silent.begin
        else:
            _join_last(words, silent)
        silent = Span(begin, span.end)
        if own.begin < own.end:
            words.append(TextWord(silent, own))
            silent = _NO_TEXT
    _join_last(words, silent)
    return words


def _join_last(words: list[TextWord], silent: Span) -> None:
    """Make text without phonemes part of the last word, if no space is between them."""
    if words and words[-1].text.end == silent.begin:
        words[-1] = TextWord(Span(words[-1].text.begin, silent.end), words[-1].phonemes)


def timed(samples: Samples, timings: WordTimings) -> Rendered:
    """Samples with the times of their words, if there are any."""
    return TimedSamples(samples, timings) if timings.words else samples


def in_stream(steps: Iterator[Rendered]) -> Iterator[Rendered]:
    """Count the words that come with audio from the first sample of all audio, not from that of their own."""
    samples = 0
    for step in steps:
        if isinstance(step, TimedSamples) and samples:
            yield replace(step, timings=step.timings.later(samples))
        else:
            yield step
        samples += len(samples_of(step))
