"""Word timeline of a stream: the timings of its segments become words as they were written, with their times.

Positions are samples of the stream's audio as it is rendered; what is played before all of it, a leading
silence, is added when it is known.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import Final

from wyoming_tts.offset_text import OffsetText, Span
from wyoming_tts.speech import SpokenWord, WordTimings

_LAST_OF_PLANE_0: Final = "\uffff"
"""Characters beyond it take two code units in UTF-16."""


@dataclass(frozen=True, slots=True)
class SegmentTimings:
    """Timings of words of a segment, with what is needed to place them in the stream."""

    text: str
    """The segment's text as the engine was given it, with its offsets."""
    rate: int
    """Of the voice, in Hz, by which the timings count."""
    timings: WordTimings


class WrittenText:
    """The text of an utterance as it was written, as far as it may still be needed."""

    def __init__(self) -> None:
        self._text = ""
        self._begin = 0
        self._utf16_begin = 0

    def add(self, piece: str) -> None:
        """Append text that has arrived."""
        self._text += piece

    def forget(self, before: int) -> None:
        """Drop the text before an offset."""
        if before > self._begin:
            self._utf16_begin = self.utf16_offset(before)
            self._text = self._text[before - self._begin :]
            self._begin = before

    def cut(self, span: Span) -> str:
        """Return the text of a span, as far as it has not been forgotten."""
        begin, end = (max(0, offset - self._begin) for offset in span)
        return self._text[begin:end]

    def utf16_offset(self, offset: int) -> int:
        """Return an offset in UTF-16 code units for one in code points, which is not before what is kept."""
        before = self._text[: offset - self._begin]
        pairs = 0 if before.isascii() else sum(char > _LAST_OF_PLANE_0 for char in before)
        return self._utf16_begin + len(before) + pairs


class WordTimeline:
    """The words of a stream, in the order in which they are heard."""

    def __init__(self, rate: int, written: WrittenText) -> None:
        """Place words in audio at a rate in Hz; `written` is the utterance's text."""
        self._rate = rate
        self._written = written
        self._segment_begin = 0
        self._leading = 0
        self._words: deque[SpokenWord] = deque()
        self._told_until = 0
        """Offset in the written text behind all words so far."""

    def begin_segment(self, text: str, first_sample: int) -> None:
        """Note that the audio of a segment begins at a sample; what was written before it is not needed."""
        self._segment_begin = first_sample
        if isinstance(text, OffsetText) and (span := text.span):
            self._written.forget(span.begin)

    def delay(self, samples: int) -> None:
        """Note how much silence is played before everything."""
        self._leading = samples

    def add(self, segment: SegmentTimings) -> None:
        """Place words of the segment that began last."""
        if not isinstance(segment.text, OffsetText):
            return
        for word in segment.timings.words:
            spoken = segment.text[word.begin : word.end]
            span = spoken.span if isinstance(spoken, OffsetText) else None
            if span is not None:
                begin, end = (
                    (self._segment_begin / self._rate + sample / segment.rate)
                    for sample in (word.first_sample, word.end_sample)
                )
                self._append(span, begin, end, estimated=segment.timings.estimated)

    def _append(self, span: Span, start_time: float, end_time: float, *, estimated: bool) -> None:
        """Append a word; several words that are spoken for one that was written are one."""
        if span.begin < self._told_until:
            if self._words:
                last = self._words[-1]
                self._words[-1] = self._word(
                    Span(last.begin, max(last.end, span.end)), last.start_time, end_time, estimated=estimated
                )
                self._told_until = max(self._told_until, span.end)
            return
        self._words.append(self._word(span, start_time, end_time, estimated=estimated))
        self._told_until = span.end

    def _word(self, span: Span, start_time: float, end_time: float, *, estimated: bool) -> SpokenWord:
        begin, end = map(self._written.utf16_offset, span)
        return SpokenWord(
            self._written.cut(span), *span, begin, end, start_time, end_time, estimated=estimated
        )

    def take(self, before: int) -> tuple[SpokenWord, ...]:
        """Remove and return the words that begin before a sample of the stream, leading silence included."""
        taken = []
        delay = self._leading / self._rate
        while self._words and round((self._words[0].start_time + delay) * self._rate) < before:
            word = self._words.popleft()
            taken.append(
                replace(word, start_time=word.start_time + delay, end_time=word.end_time + delay)
                if delay
                else word
            )
        return tuple(taken)
