"""Speech meter: latency, duration and level of one utterance, measured while its audio passes."""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from wyoming_tts.speech import AudioFormat, SpokenWord

OnAudio: TypeAlias = Callable[[AudioFormat, bytes], Awaitable[None]]
"""Takes 16-bit PCM in order; called without bytes once the format is known."""
OnWords: TypeAlias = Callable[[tuple[SpokenWord, ...]], None]
"""Takes the words of further audio, in order, before that audio."""

_FULL_SCALE = 32768.0


@dataclass(frozen=True, slots=True)
class SpeechReport:
    """Figures of one utterance."""

    format: AudioFormat | None
    """None if not even a format arrived."""
    samples: int
    """Samples per channel."""
    ttfa: float | None
    """Seconds from the first text sent to the first audio; None without audio."""
    total: float
    """Seconds from the first text sent to the end of the reply, including time spent waiting for a player."""
    rms_dbfs: float
    """RMS level over all samples: 0 is a square wave at full scale, -3.01 a sine; -inf is silence."""
    peak_dbfs: float
    """The largest sample: 0 is full scale, -inf silence."""
    complete: bool = True
    """False if the output was closed before the end."""

    @property
    def seconds(self) -> float:
        """Playing time of the audio."""
        return self.samples / self.format.rate if self.format else 0.0


class SpeechMeter:
    """Computes a report chunk by chunk, so that memory does not grow with the speech."""

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self._now = now
        self._sent_at: float | None = None
        self._heard_at: float | None = None
        self._format: AudioFormat | None = None
        self._samples = 0
        self._square_sum = 0.0
        self._peak = 0

    def mark_text_sent(self) -> None:
        """Start the clock when the first text is sent; later calls have no effect."""
        if self._sent_at is None:
            self._sent_at = self._now()

    def add_audio(self, audio_format: AudioFormat, pcm: bytes) -> None:
        """Add audio: 16-bit little-endian PCM of whole samples; no bytes only set the format."""
        self._format = audio_format
        if not pcm:
            return
        if self._heard_at is None:
            self._heard_at = self._now()
        values = np.frombuffer(pcm, dtype="<i2").astype(np.int64)
        self._samples += len(pcm) // audio_format.frame_bytes
        self._square_sum += float(np.dot(values, values))
        self._peak = max(self._peak, int(np.abs(values).max()))

    @property
    def seconds(self) -> float:
        """Playing time so far."""
        return self._samples / self._format.rate if self._format else 0.0

    def report(self, *, complete: bool = True) -> SpeechReport:
        """Report the figures so far; `complete` is False if the speech was cut short."""
        return SpeechReport(
            format=self._format,
            samples=self._samples,
            ttfa=self._ttfa(),
            total=0.0 if self._sent_at is None else self._now() - self._sent_at,
            rms_dbfs=_decibels(self._rms()),
            peak_dbfs=_decibels(float(self._peak)),
            complete=complete,
        )

    def _ttfa(self) -> float | None:
        if self._sent_at is None or self._heard_at is None:
            return None
        return self._heard_at - self._sent_at

    def _rms(self) -> float:
        if self._format is None or self._samples == 0:
            return 0.0
        return math.sqrt(self._square_sum / (self._samples * self._format.channels))


def _decibels(level: float) -> float:
    return 20 * math.log10(level / _FULL_SCALE) if level else -math.inf
