"""Word timings from the marks that libespeak-ng sets in its audio: which word of a segment sounds when.

The library tells at which character a word begins that it says, at which sample, and where its sounds and
pauses are. A word of the text may be several to it (`1984`), and several words one (`of the`): those share
the sounds by their letters.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from wyoming_tts.engines.espeak.process import PAUSE, SOUND
from wyoming_tts.offset_text import OffsetText, Span
from wyoming_tts.speech import WordTiming
from wyoming_tts.spoken_words import words_of

Mark: TypeAlias = tuple[int, int]
"""As `engines.espeak.process.MARK`."""

_NONE: Final = -1


@dataclass(slots=True)
class _Told:
    """What the library said as one word, or in parts of one."""

    word: int
    """Which word of the piece it begins with."""
    sounds: list[int] = field(default_factory=list)
    """Where each sound begins."""
    end: int = 0
    """Where the last of them ends."""


class SegmentWords:
    """The words of a segment, to be found again in the pieces of it that the library is given."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._words = words_of(text)
        self._begins = [word.begin for word in self._words]
        self._told = _NONE

    def timings(self, text: str, marks: Sequence[Mark], first_sample: int, samples: int) -> list[WordTiming]:
        """Return when the words sound that begin in the next piece.

        Args:
            text: The piece as the library was given it: with its offsets in the segment, or all of that.
            marks: Where the library's words, sounds and pauses begin.
            first_sample: Samples of the segment before the piece.
            samples: Samples of the piece.
        """
        is_unchanged = text == self._text
        spans = self._words if is_unchanged else words_of(text)
        timings: list[WordTiming] = []
        for at, sound in _sounds_of_words(text, spans, _told_words(spans, marks, samples)):
            words = range(at, at + 1) if is_unchanged else self._find(text[spans[at].begin : spans[at].end])
            for word, begin, end in _divide(words, sound.begin, min(sound.end, samples)):
                timing = WordTiming(*self._words[word], first_sample + begin, first_sample + end)
                if word == self._told and timings:
                    timings[-1] = replace(timing, first_sample=timings[-1].first_sample)
                elif word > self._told and begin < end:
                    timings.append(timing)
                    self._told = word
        return timings

    def _find(self, text: str) -> range:
        """Which words of the segment a word of a piece stands for, or for parts of which."""
        span = text.span if isinstance(text, OffsetText) else None
        if span is None:
            return range(0)
        first = bisect_right(self._begins, span.begin) - 1
        if first < 0 or self._words[first].end <= span.begin:  # it begins with what is in no word
            first += 1
        return range(first, bisect_left(self._begins, span.end, first))


def _divide(words: range, begin: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Give each of the words as much time."""
    for number, word in enumerate(words):
        first, last = (begin + (end - begin) * part // len(words) for part in (number, number + 1))
        yield word, first, last


def _told_words(spans: Sequence[Span], marks: Sequence[Mark], samples: int) -> list[_Told]:
    """Return what the library said as words of the piece, in their order."""
    if not spans:
        return []
    ends = [span.end for span in spans]
    told = [_Told(0)]
    is_sound = False
    for mark, sample in (*marks, (PAUSE, samples)):
        if is_sound:
            told[-1].end = sample
        is_sound = mark == SOUND
        if is_sound:
            told[-1].sounds.append(sample)
        elif mark >= 0:
            word = min(bisect_right(ends, mark), len(spans) - 1)
            if word > told[-1].word:
                told.append(_Told(word))
    return told


def _sounds_of_words(text: str, spans: Sequence[Span], told: Sequence[_Told]) -> Iterator[tuple[int, Span]]:
    """Yield from where to where each word of a piece sounds, those left out that nothing was said of."""
    for at, this in enumerate(told):
        end = told[at + 1].word if at + 1 < len(told) else len(spans)
        if this.sounds and end <= this.word + 1:
            yield this.word, Span(this.sounds[0], this.end)
        elif this.sounds:
            sharing = [this.word]
            sharing += [word for word in range(this.word + 1, end) if _has_letters(text, spans[word])]
            yield from _share(this, sharing, [spans[word].end - spans[word].begin for word in sharing])


def _has_letters(text: str, span: Span) -> bool:
    return any(character.isalnum() for character in str(text)[span.begin : span.end])


def _share(told: _Told, words: Sequence[int], weights: Sequence[int]) -> Iterator[tuple[int, Span]]:
    bounds = [*told.sounds, told.end]
    taken = weight = 0
    for word, own_weight in zip(words, weights, strict=True):
        weight += own_weight
        upto = round(len(told.sounds) * weight / sum(weights))
        if upto > taken:
            yield word, Span(bounds[taken], bounds[upto])
        taken = upto
