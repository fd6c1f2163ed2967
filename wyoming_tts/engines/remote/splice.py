"""Splice of two renderings of a segment: where another server goes on after the first one broke off.

Samples that were sent cannot be taken back, so the new rendering is cut. If it is the same audio, as voices
without randomness make it, it goes on at the same sample. Else it goes on at the quiet place that is nearest
to that sample or, if both servers told when words sound, to the same place of the same word. The step
between the two waveforms decays within milliseconds, so that nothing clicks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from wyoming_tts.engines.base import Rendered, Seam, samples_of
from wyoming_tts.speech import Samples, TimedSamples, WordTiming, WordTimings

_REACH: Final = 0.15
"""Seconds within which a quiet place is looked for: at most half a syllable is said twice, or not at all."""
_FRAME: Final = 0.005
_COMPARED: Final = 0.02
"""Seconds of the end by which the same audio is recognized: longer than a period of any voice."""
_SAME: Final = 0.02
"""Greatest difference of the same audio, as a share of its peak: other processors round differently."""
_ROUNDING: Final = 3e-4
"""The same in silence: ten steps of 16 bits."""
_QUIET: Final = 0.004
"""Peak of a frame that is quiet: -48 dB of full scale, or the share below of the loudest around it."""
_QUIET_SHARE: Final = 0.05
_DECAY: Final = 0.005
"""Seconds; longer is heard as a thump."""


class SentAudio:
    """What the listener was sent of a segment."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        """Of the audio, in Hz."""
        self.count = 0
        """Number of samples."""
        self.last: Samples = np.zeros(0, np.float32)
        """The last of them, by which the place is recognized in another rendering."""
        self.told_until = 0
        """End of the words in the text that were told."""
        self.sounds_until = 0
        """The sample at which the last of these words ends."""
        self.told: list[WordTiming] = []
        """Those that the servers themselves told."""

    def add(self, rendered: Rendered) -> None:
        """Take what was sent next."""
        samples = samples_of(rendered)
        self.count += len(samples)
        kept = int(_COMPARED * self.rate)
        self.last = samples[-kept:] if len(samples) >= kept else np.concatenate((self.last, samples))[-kept:]
        for timings in _timings_of(rendered):
            self.told_until = max(self.told_until, timings.words[-1].end)
            self.sounds_until = timings.words[-1].end_sample
            if not timings.estimated:
                self.told.extend(timings.words)


class Splice:
    """A rendering of a segment, from where an earlier one broke off; all of it if nothing was sent yet."""

    def __init__(self, sent: SentAudio) -> None:
        """Take what was sent before; what is sent later does not matter."""
        self._rate = sent.rate
        self._sent = sent.count
        self._last = sent.last
        self._told_until = sent.told_until
        self._sounds_until = sent.sounds_until
        self._heard = next((word for word in reversed(sent.told) if word.first_sample < sent.count), None)
        """The last word that began in what was sent, if the server told it."""
        self._received = 0
        self._window: Samples = np.zeros(0, np.float32)
        """The last samples received, from as far back as a place to go on may be."""
        self._waiting: list[WordTimings] = []
        self._later: int | None = None if sent.count else 0
        """Samples by which it is later in what is sent than by itself, once it is known where it goes on."""
        self._is_same: bool | None = None

    def add(self, rendered: Rendered) -> Iterable[Rendered | Seam]:
        """Return what is to be sent of the next audio."""
        if self._later is not None:
            return self._shifted(samples_of(rendered), _timings_of(rendered))
        self._waiting.extend(_timings_of(rendered))
        samples = samples_of(rendered)
        self._received += len(samples)
        self._window = np.concatenate((self._window, samples))
        place = self._place()
        if self._received < self._sent:
            self._forget(self._sent if place is None else min(place, self._sent))
            return ()
        if self._is_same_audio():
            return self._go_on(self._sent)
        if place is None or self._received < place + self._reach:
            return ()
        return self._go_on(self._quiet_place(place))

    def finish(self) -> Iterable[Rendered | Seam]:
        """Return the rest; the new rendering may have ended before the place where it goes on."""
        if self._later is not None:
            return ()
        place = self._place()
        return self._go_on(self._quiet_place(min(self._sent if place is None else place, self._received)))

    @property
    def _reach(self) -> int:
        return int(_REACH * self._rate)

    def _place(self) -> int | None:
        """The sample of the new rendering that the listener has come to; None if words are yet to tell."""
        heard = self._heard
        told = [word for timings in self._waiting if not timings.estimated for word in timings.words]
        if heard is None or not told:
            return self._sent
        for word in told:
            if word.begin >= heard.begin:
                return _same_place(self._sent, heard, word) if word.begin == heard.begin else self._sent
        return None

    def _forget(self, place: int) -> None:
        """Drop samples that are too far before a place."""
        before = place - self._reach - int(_COMPARED * self._rate) - (self._received - len(self._window))
        self._window = self._window[min(max(0, before), len(self._window)) :]

    def _is_same_audio(self) -> bool:
        """Whether what was received ends like what was sent, as long as that was."""
        if self._is_same is None:
            end = len(self._window) - (self._received - self._sent)
            samples = self._window[max(0, end - len(self._last)) : end]
            allowed = max(_ROUNDING, _SAME * _peak(self._last))
            self._is_same = len(samples) == len(self._last) and _peak(samples - self._last) <= allowed
        return self._is_same

    def _quiet_place(self, place: int) -> int:
        """The nearest quiet sample to a place or, if nothing near is quiet, one of the quietest frame."""
        begin = self._received - len(self._window)
        first = max(place - self._reach, begin)
        near = self._window[first - begin : place + self._reach - begin]
        if not len(near):
            return place
        frame = max(1, int(_FRAME * self._rate))
        begins = np.arange(0, len(near), frame)
        peaks = np.maximum.reduceat(np.abs(near), begins)
        quiet = max(_QUIET, _QUIET_SHARE * float(peaks.max()), float(peaks.min()))
        begins = first + begins[peaks <= quiet]
        nearest = np.clip(place, begins, begins + frame - 1)
        return int(nearest[np.argmin(np.abs(nearest - place))])

    def _go_on(self, place: int) -> Iterator[Rendered | Seam]:
        """Send from here on, and return what is received from there."""
        self._later = self._sent - place
        samples = self._window[len(self._window) - (self._received - place) :]
        if not self._is_same and len(samples):
            yield Seam()
            samples = _without_step(samples, self._last, int(_DECAY * self._rate))
        self._window = self._window[:0]
        waiting, self._waiting = self._waiting, []
        yield from self._shifted(samples, waiting)

    def _shifted(self, samples: Samples, timings: Sequence[WordTimings]) -> Iterator[Rendered]:
        """Return samples with the words that were not told before, as they sound in what is sent."""
        words = tuple(self._shifted_words(timings))
        told = WordTimings(words, estimated=any(one.estimated for one in timings))
        if len(samples):
            yield TimedSamples(samples, told) if words else samples
        elif words:
            yield told

    def _shifted_words(self, timings: Sequence[WordTimings]) -> Iterator[WordTiming]:
        later = self._later or 0
        for word in (word for one in timings for word in one.words if word.begin >= self._told_until):
            first = max(word.first_sample + later, self._sounds_until)
            yield replace(word, first_sample=first, end_sample=max(word.end_sample + later, first + 1))


def _timings_of(rendered: Rendered) -> tuple[WordTimings, ...]:
    if isinstance(rendered, WordTimings):
        return (rendered,)
    return (rendered.timings,) if isinstance(rendered, TimedSamples) else ()


def _same_place(sample: int, word: WordTiming, same_word: WordTiming) -> int:
    """The sample of another rendering at which as much of a word was said; the pause after it is as long."""
    if sample >= word.end_sample:
        return same_word.end_sample + sample - word.end_sample
    said = (sample - word.first_sample) / (word.end_sample - word.first_sample)
    return same_word.first_sample + round(said * (same_word.end_sample - same_word.first_sample))


def _peak(samples: Samples) -> float:
    return float(np.abs(samples).max(initial=0.0))


def _without_step(samples: Samples, before: Samples, decay: int) -> Samples:
    """Return samples that go on where those before end."""
    length = min(decay, len(samples))
    step = (before[-1] - samples[0]) * np.linspace(1.0, 0.0, length, endpoint=False, dtype=np.float32)
    return np.concatenate((samples[:length] + step, samples[length:]))
