"""Trimming of batches that were spoken apart, and the pauses between them.

The model puts silence around every pass, never twice the same. It is trimmed, and the pause that the
punctuation calls for takes its place. Sound is faded in from zero and out to zero: a jump from one sample
to the next is heard as a click.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wyoming_tts.engines.kokoro.batches import CLAUSE_MARKS, STOPS
from wyoming_tts.offset_text import Span
from wyoming_tts.speech import Samples

SAMPLE_RATE = 24000
"""Hz; every Kokoro model speaks at this rate."""

SENTENCE_PAUSE = 0.25
"""Seconds after a mark that ends a sentence, at the voice's own speed."""
CLAUSE_PAUSE = 0.1
"""Seconds after a mark within a sentence, at the voice's own speed."""

POWER_FRAME = 120
"""Samples of a frame (5 ms) whose power is measured."""
_SILENCE = 1e-6
"""Power of a frame (5 ms) relative to the loudest frame; what is lower (-60 dB) is silence. A consonant at
the start of a word can be 45 dB below its vowels. Windows of 85 ms, common for trimming speech, find the
same sound but keep 45 ms of silence at each edge, heard as a halt where a cut is between words."""
_PAUSE = 1e-4
"""The same of the frames in a pause within speech (-40 dB), where a breath may be heard."""
_MARGIN = 240
"""Samples kept around the sound (10 ms): room for the fade."""
_FADE = 48
"""Samples (2 ms); shorter is still heard as a click, longer takes the attack off a plosive."""

_SILENT_BELOW = 10.0
"""How far below the loudest frames the predicted energy, a logarithm, is where there is no sound: in the
speech of six voices never where the power was above -50 dB, and before and after it is 13 below."""
_LOUD_PERCENTILE = 95
_FRAMES_BEFORE = 3
"""Frames of 12.5 ms kept before the first with sound: that began at most 8 ms earlier, and is faded in."""
_FRAMES_AFTER = 4
"""Frames kept after the last with sound: that ended at most 25 ms later."""


def pause_after(mark: str, speed: float) -> float:
    """Seconds of silence after a punctuation mark (empty: none) at `speed`."""
    if not mark:
        return 0.0
    if mark in STOPS:
        return SENTENCE_PAUSE / speed
    return CLAUSE_PAUSE / speed if mark in CLAUSE_MARKS else 0.0


def trim(samples: Samples, pause: float, sound: Span | None = None) -> Samples:
    """Trim the silence around the sound of a batch, fade it in and out, and append a pause.

    Args:
        samples: one batch as the model made it, shape (n,); not changed.
        pause: seconds.
        sound: as `find_sound`, if that is known.

    Returns:
        Shape (m,), float32; the first and the last sample are zero. Nothing if all of it is silence.
    """
    start, end = sound or find_sound(samples)
    if start == end:
        return np.zeros(0, np.float32)
    padded: Samples = np.pad(samples[start:end], (0, round(pause * SAMPLE_RATE)))
    fade = min(_FADE, (end - start + 1) // 2)
    ramp = _ramp(fade)
    padded[:fade] *= ramp
    padded[end - start - fade : end - start] *= ramp[::-1]
    return padded


def sounding_frames(energy: Samples) -> tuple[int, int]:
    """The first frame of a sentence's sound, and the one after the last, before it is decoded.

    The model's durations do not tell: speech begins up to 0.1 s before its first token.

    Args:
        energy: as the model predicts it, shape (frames,).
    """
    sounding = np.flatnonzero(is_sounding(energy))
    if not sounding.size:
        return 0, len(energy)
    return max(0, int(sounding[0]) - _FRAMES_BEFORE), min(len(energy), int(sounding[-1]) + 1 + _FRAMES_AFTER)


def is_sounding(energy: Samples) -> npt.NDArray[np.bool_]:
    """Which frames of a sentence have sound, by their predicted energy, shape (frames,)."""
    sounding: npt.NDArray[np.bool_] = energy >= np.percentile(energy, _LOUD_PERCENTILE) - _SILENT_BELOW
    return sounding


class StreamTrimmer:
    """Trims the silence around the sound of a batch that comes in chunks, as `trim` does for a whole one."""

    def __init__(self, loudest: float) -> None:
        """Begin before the sound.

        Args:
            loudest: power of the loudest frame of 5 ms that the voice usually has, since it is not yet known.
        """
        self._loudest = loudest
        self._pending = np.zeros(0, np.float32)
        self._taken = 0
        self.begin: int | None = None
        """Samples before the first that is kept; None until that is known."""

    def add(self, samples: Samples, *, may_end: bool) -> Samples:
        """Take the next samples; returns those that are certain to be no silence at an end.

        Args:
            samples: shape (n,).
            may_end: whether silence from here on may be that at the end.
        """
        self._taken += len(samples)
        samples = np.concatenate([self._pending, samples])
        loud = self._loud_frames(samples)
        if self.begin is None:
            if not loud.size:
                self._pending = samples[-_MARGIN - POWER_FRAME :]
                return samples[:0]
            samples = samples[max(0, int(loud[0]) * POWER_FRAME - _MARGIN) :].copy()
            samples[:_FADE] *= _ramp(len(samples[:_FADE]))
            self.begin = self._taken - len(samples)
            loud = self._loud_frames(samples)
        end = len(samples)
        if may_end:
            end = _end_of(loud, len(samples)) if loud.size else 0
        end = max(0, min(end, len(samples) - _FADE))  # what may be faded out is not yet given away
        self._pending = samples[end:]
        return samples[:end]

    def finish(self, pause: float) -> Samples:
        """The rest of the sound, faded out, and a pause of so many seconds; nothing if there was no sound."""
        if self.begin is None:
            return np.zeros(0, np.float32)
        rest = self._pending[: _end_of(self._loud_frames(self._pending), len(self._pending))].copy()
        fade = min(_FADE, len(rest))
        rest[len(rest) - fade :] *= _ramp(fade)[::-1]
        return np.pad(rest, (0, round(pause * SAMPLE_RATE)))

    def _loud_frames(self, samples: Samples) -> npt.NDArray[np.intp]:
        power = _frame_power(samples)
        self._loudest = max(self._loudest, float(power.max(initial=0.0)))
        return np.flatnonzero(power > self._loudest * _SILENCE)


def _end_of(loud: npt.NDArray[np.intp], length: int) -> int:
    """Where the sound ends, with its margin."""
    return min(length, (int(loud[-1]) + 1) * POWER_FRAME + _MARGIN) if loud.size else min(length, _FADE)


def _ramp(length: int) -> Samples:
    return np.linspace(0.0, 1.0, length, endpoint=False, dtype=np.float32)


def loudest_power(samples: Samples) -> float:
    """Power of the loudest frame of 5 ms."""
    return float(_frame_power(samples).max(initial=0.0))


def _frame_power(samples: Samples) -> Samples:
    whole = np.pad(samples, (0, -len(samples) % POWER_FRAME)).reshape(-1, POWER_FRAME)
    power: Samples = np.square(whole).mean(axis=1)
    return power


def find_sound(samples: Samples) -> Span:
    """Where the sound starts and ends, with its margin; both the same if there is none."""
    power = _frame_power(samples)
    loud = np.flatnonzero(power > power.max(initial=0.0) * _SILENCE)
    if not loud.size:
        return Span(0, 0)
    start, end = int(loud[0]) * POWER_FRAME, (int(loud[-1]) + 1) * POWER_FRAME
    return Span(max(0, start - _MARGIN), min(len(samples), end + _MARGIN))


def loud_frames(samples: Samples) -> npt.NDArray[np.bool_]:
    """Which frames of POWER_FRAME are no pause between words."""
    power = _frame_power(samples)
    loud: npt.NDArray[np.bool_] = power > power.max(initial=0.0) * _PAUSE
    return loud
