"""Time stretching: speech is made faster or slower at the same pitch, while it is still being made.

This is WSOLA (Verhelst and Roelands, "An overlap-add technique based on waveform similarity (WSOLA) for high
quality time-scale modification of speech", 1993): pieces of the speech overlap at the new pace, each moved by
up to 10 ms to where it continues the one before best. A recognizer heard more words of speech stretched this
way than of what a phase vocoder made of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeAlias, overload

import numpy as np

from wyoming_tts.speech import Samples, TimedSamples, WordTimings

_PIECE_SECONDS: Final = 0.03
"""Two to three periods of the lowest voices."""
_TOLERANCE_SECONDS: Final = 0.01
"""How far a piece may be moved: a period of a voice of 100 Hz."""
_LEAST_POWER: Final = 1e-9

_Step: TypeAlias = Samples | WordTimings | TimedSamples


class TimeStretch:
    """Stretches one stretch of speech; its samples may come in pieces of any length."""

    def __init__(self, rate: int, speed: float) -> None:
        """Start with silence before it.

        Args:
            rate: samples a second.
            speed: how many times faster it becomes.
        """
        self._speed = speed
        self._hop = round(_PIECE_SECONDS * rate / 2)
        self._tolerance = round(_TOLERANCE_SECONDS * rate)
        window = np.hanning(2 * self._hop + 1)[:-1].astype(np.float32)
        self._rising, self._falling = window[: self._hop], window[self._hop :]
        self._pending = np.zeros(0, np.float32)
        self._taken = 0
        """Samples of the speech before those that are pending."""
        self._total = 0
        self._pieces = 0
        self._made = 0
        self._fading = np.zeros(0, np.float32)
        """The second half of the last piece, on which the next one is laid."""
        self._expected = np.zeros(0, np.float32)
        """What followed its first half in the speech: the next piece is to be like it."""

    def feed(self, samples: Samples) -> Samples:
        """Take more samples, shape (n,); returns those that are certain by now."""
        self._total += len(samples)
        self._pending = np.concatenate([self._pending, samples])
        return self._stretch(self._pending)

    def finish(self) -> Samples:
        """Return the rest."""
        # As much as a piece looks at beyond the speech, also where one makes more than it takes.
        ahead = max(self._hop, round(self._hop * self._speed))
        silence = np.zeros(2 * self._hop + 2 * self._tolerance + ahead, np.float32)
        made = self._stretch(np.concatenate([self._pending, silence]))
        rest = np.concatenate([made, self._fading])
        return rest[: max(0, round(self._total / self._speed) - (self._made - len(made)))]

    def _stretch(self, samples: Samples) -> Samples:
        """Make pieces of the samples, which begin after those taken, and keep what later ones need."""
        self._pending = samples
        halves: list[Samples] = []
        while (place := self._next_place()) is not None:
            piece = self._pending[place : place + 2 * self._hop]
            first, second = piece[: self._hop], piece[self._hop :]
            halves.append(first * self._rising + self._fading if self._pieces else first.copy())
            self._fading = second * self._falling
            self._expected = self._pending[place + self._hop : place + 3 * self._hop].copy()
            self._pieces += 1
            self._drop(round(self._pieces * self._hop * self._speed) - self._tolerance)
        made: Samples = np.concatenate([*halves, np.zeros(0, np.float32)])
        self._made += len(made)
        return made

    def _next_place(self) -> int | None:
        """Where the next piece begins in what is pending; None if more of the speech is needed first."""
        begin = round(self._pieces * self._hop * self._speed) - self._taken
        # After its piece, what the next one is compared with is needed too.
        if begin + self._tolerance + 3 * self._hop > len(self._pending):
            return None
        if not self._pieces:
            return begin
        first = max(0, begin - self._tolerance)
        around = self._pending[first : begin + self._tolerance + 2 * self._hop]
        return first + _most_alike(around, self._expected)

    def _drop(self, until: int) -> None:
        """Forget the speech up to a sample, counted from its begin."""
        count = min(max(0, until - self._taken), len(self._pending))
        self._pending = self._pending[count:]
        self._taken += count


def _most_alike(samples: Samples, expected: Samples) -> int:
    """Where samples are most like those expected, by their normalized correlation."""
    length = len(expected)
    products = np.correlate(samples, expected, "valid")
    sums = np.cumsum(np.concatenate([[0.0], np.square(samples, dtype=np.float64)]))
    powers = np.maximum(sums[length:] - sums[:-length], _LEAST_POWER)
    return int(np.argmax(products / np.sqrt(powers)))


@overload
def stretch_steps(steps: Iterator[Samples], rate: int, speed: float) -> Iterator[Samples]: ...
@overload
def stretch_steps(steps: Iterator[_Step], rate: int, speed: float) -> Iterator[_Step]: ...
def stretch_steps(steps: Iterator[_Step], rate: int, speed: float) -> Iterator[_Step]:
    """Stretch what is made in steps; a step more has what is left at the end.

    Args:
        steps: make samples, or none, and tell when the words in them sound.
        rate: samples a second.
        speed: how many times faster they are to be; at 1 they stay as they are.
    """
    if speed == 1.0:
        yield from steps
        return
    stretch = TimeStretch(rate, speed)
    for step in steps:
        if isinstance(step, WordTimings):
            yield step.at_speed(speed)
        elif isinstance(step, TimedSamples):
            yield TimedSamples(stretch.feed(step.samples), step.timings.at_speed(speed))
        else:
            yield stretch.feed(step)
    yield stretch.finish()
