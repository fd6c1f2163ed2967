"""Estimated word timings: the words of a text spread over audio of a server that does not tell them.

Each word takes as long as its letters, at the pace that the voice spoke at before. Only audio that sounds
counts, so that pauses and a silence before the first word move the words after them. A pause that comes about
when a punctuation mark was expected is that of the mark: the word after it begins after the pause.
"""

from __future__ import annotations

import unicodedata
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from math import inf
from typing import Final, NamedTuple

import numpy as np

from wyoming_tts.engines.base import Rendered, samples_of
from wyoming_tts.ipa import split_phoneme_blocks
from wyoming_tts.offset_text import OffsetText, Span
from wyoming_tts.speech import Samples, TimedSamples, WordTiming, WordTimings
from wyoming_tts.spoken_words import words_of

_SECONDS_A_LETTER: Final = 0.065
"""Of audio that sounds, at a speed of 1: usual, for a voice that has not spoken yet."""
_NEWEST: Final = 0.5
"""Share of the last segment in what is known of a pace."""
_LEAST_LETTERS: Final = 10
"""Segments with fewer say little of a pace."""
_MOST_PACES: Final = 500
_PATIENCE: Final = 0.5
"""Seconds of sound after which a server that may tell words has told the first."""

_DIGIT_LETTERS, _IDEOGRAPH_LETTERS, _SYMBOL_LETTERS = 4, 3, 5
_IDEOGRAPHS: Final = range(0x3040, 0xA000)

_MARKS: Final = {"Po", "Pd", "Pe", "Pf"}
"""Categories of characters at which a voice may pause if they stand between words."""

_FRAMES_A_SECOND: Final = 100
_QUIET: Final = 0.004
"""Peak of a frame that does not sound: -48 dB of full scale, or the share below of the loudest before it."""
_QUIET_SHARE: Final = 0.02
_PAUSE: Final = 0.12
"""Seconds of silence that can be the pause of a punctuation mark; that within a consonant is shorter."""
_SLACK: Final = 0.2
"""How much earlier or later it may come, as a share of what was said since the mark before."""


class VoiceManner(NamedTuple):
    """A manner in which a voice speaks at a pace of its own."""

    voice: str
    speaker: str | None
    speed: float


class VoicePaces:
    """Seconds of sound a letter of each voice, learned from what it spoke; of as many as were heard last."""

    def __init__(self) -> None:
        self._paces: OrderedDict[VoiceManner, float] = OrderedDict()

    def pace(self, manner: VoiceManner) -> float:
        """Return what is known of it, else what is usual."""
        return self._paces.get(manner, _SECONDS_A_LETTER / manner.speed)

    def learn(self, manner: VoiceManner, pace: float) -> None:
        """Take what a segment took into account."""
        known = self._paces.pop(manner, pace)
        self._paces[manner] = known + _NEWEST * (pace - known)
        if len(self._paces) > _MOST_PACES:
            self._paces.popitem(last=False)


class WordEstimate:
    """The words of a segment, told with its audio unless the server tells them itself."""

    def __init__(
        self,
        text: str,
        rate: int,
        *,
        paces: VoicePaces,
        manner: VoiceManner,
        reads_phonemes: bool = True,
        tells_words: bool | None = False,
    ) -> None:
        """Take what is spoken.

        Args:
            text: The segment's text.
            rate: Of the audio, in Hz.
            paces: Which paces are known; this one is learned.
            manner: Who speaks, and how.
            reads_phonemes: Whether `[[…]]` in the text is spoken.
            tells_words: Whether the server told words of this voice before; None if that is not known.
        """
        self._words = _spoken_words(text, reads_phonemes=reads_phonemes)
        self._letters = [_letters(text[word.begin : word.end]) for word in self._words]
        self._rate = rate
        self._paces = paces
        self._manner = manner
        ends = [0, *(word.end for word in self._words)]
        self._follows_mark = [
            _has_mark(text[end : word.begin]) for end, word in zip(ends, self._words, strict=False)
        ]
        self._letter = paces.pace(manner) * rate
        """Samples that sound a letter."""
        self.is_told_by_server = False
        """Whether the server told any of these words."""
        self._patience = _PATIENCE * rate if tells_words is None else inf if tells_words else 0.0
        self._waiting: list[WordTiming] = []
        self._told_until = 0
        """End of the words in the text that were told."""
        self._held = np.zeros(0, np.float32)
        self._told: WordTiming | None = None
        self._next = 0
        self._due = 0.0
        """Samples that sound before the next word."""
        self._slack = 0.0
        """How many fewer or more they may be if it follows a mark."""
        self._sounding = 0
        self._silent = 0
        """Samples of silence before the next sound."""
        self._samples = 0
        self._sound_end = 0
        self._peak = 0.0

    def add(self, rendered: Rendered) -> Rendered:
        """Return the next audio with the words that begin in it.

        The last of it is held, so that there is audio left for the words that turn out to be left at its end.
        """
        samples = np.concatenate((self._held, samples_of(rendered)))
        if isinstance(rendered, TimedSamples) or self.is_told_by_server:
            self.is_told_by_server = True
            self._held = samples[:0]
            return self._with_told_words(rendered, samples)
        at = len(samples) - min(self._rate // _FRAMES_A_SECOND, len(samples) // 2)
        samples, self._held = samples[:at], samples[at:]
        self._waiting += self._begun(samples)
        return _timed(samples, self._ripe())

    def finish(self) -> Rendered:
        """Return the last audio, with the words that are left: the last one ends with the last sound."""
        if self.is_told_by_server:
            return self._held
        self._patience = 0.0
        self._waiting += self._begun(self._held)
        letters = sum(self._letters)
        if letters >= _LEAST_LETTERS and self._sounding:
            self._paces.learn(self._manner, self._sounding / self._rate / letters)
        self._waiting += self._left()
        return _timed(self._held, self._ripe())

    def _with_told_words(self, rendered: Rendered, samples: Samples) -> Rendered:
        """Return samples with the words of what the server rendered, but for those that were estimated."""
        if not isinstance(rendered, TimedSamples):
            return samples
        words = tuple(word for word in rendered.timings.words if word.begin >= self._told_until)
        timings = replace(rendered.timings, words=words)
        return TimedSamples(samples, timings) if words else samples

    def _ripe(self) -> list[WordTiming]:
        """Take the words that the server would have told by now."""
        if self._sounding < self._patience:
            return []
        ripe, self._waiting = self._waiting, []
        self._told_until = ripe[-1].end if ripe else self._told_until
        return ripe

    def _begun(self, samples: Samples) -> Iterator[WordTiming]:
        """Yield the words that begin in the next samples."""
        if not len(samples):
            return
        frame = max(1, self._rate // _FRAMES_A_SECOND)
        begins = np.arange(0, len(samples), frame)
        peaks = np.maximum.reduceat(np.abs(samples), begins)
        self._peak = max(self._peak, float(peaks.max()))
        quiet = max(_QUIET, _QUIET_SHARE * self._peak)
        for begin, peak in zip(begins.tolist(), peaks.tolist(), strict=True):
            length = min(frame, len(samples) - begin)
            if peak > quiet:
                yield from self._sound(self._samples + begin, length)
            else:
                self._silent += length
        self._samples += len(samples)

    def _sound(self, first_sample: int, length: int) -> Iterator[WordTiming]:
        """Yield the words that begin in a frame that sounds."""
        is_after_pause = self._silent >= _PAUSE * self._rate
        if is_after_pause and self._is_marked() and self._due - self._slack <= self._sounding:
            self._due, self._slack = float(self._sounding), 0.0
        before, self._silent = self._sounding, 0
        self._sounding += length
        self._sound_end = first_sample + length
        while self._next < len(self._words) and self._sounding > self._due + self._is_marked() * self._slack:
            self._due = max(self._due, float(before))
            yield self._tell(first_sample + int(self._due - before))

    def _is_marked(self) -> bool:
        """Whether the next word follows a mark."""
        return self._next < len(self._words) and self._follows_mark[self._next]

    def _tell(self, first_sample: int) -> WordTiming:
        if self._is_marked():
            self._slack = 0.0
        length = self._letters[self._next] * self._letter
        word = self._words[self._next]
        self._told = WordTiming(*word, first_sample, first_sample + max(1, int(length)))
        self._next += 1
        self._due += length
        self._slack += _SLACK * length
        return self._told

    def _left(self) -> Iterator[WordTiming]:
        """Yield the words that were not told, else the last one again if it lasts longer than was told."""
        told, end = self._told, self._sound_end
        left = range(self._next, len(self._words))
        if told is None:
            return
        if not left:
            if told.end_sample < end:
                yield replace(told, end_sample=end)
            return
        begin = min(told.end_sample, (told.first_sample + end) // 2)
        bounds = begin + np.cumsum([0, *self._letters[self._next :]]) * (end - begin) // sum(
            self._letters[self._next :]
        )
        for word, (first, last) in zip(left, pairwise(bounds.tolist()), strict=True):
            if first < last:
                yield WordTiming(*self._words[word], first, last)


def _timed(samples: Samples, words: Iterable[WordTiming]) -> Rendered:
    timings = WordTimings(tuple(words), estimated=True)
    return TimedSamples(samples, timings) if timings.words else samples


def _spoken_words(text: str, *, reads_phonemes: bool) -> Sequence[Span]:
    words = words_of(text)
    if reads_phonemes or "[[" not in text:
        return words
    parts = split_phoneme_blocks(OffsetText.written(text))
    blocks = [part.text.span for part in parts if part.is_ipa and isinstance(part.text, OffsetText)]
    begins = [block.begin for block in blocks if block]
    return [word for word in words if not any(word.begin <= begin < word.end for begin in begins)]


def _has_mark(between_words: str) -> bool:
    return any(unicodedata.category(character) in _MARKS for character in between_words)


def _letters(word: str) -> int:
    """How long a word takes, in letters of one that is written out."""
    return max(2, sum(map(_letters_of, word)))


def _letters_of(character: str) -> int:
    if character.isdecimal():
        return _DIGIT_LETTERS
    if ord(character) in _IDEOGRAPHS:
        return _IDEOGRAPH_LETTERS
    if character.isalpha():
        return 1
    return _SYMBOL_LETTERS if unicodedata.category(character).startswith("S") else 0
