"""PCM conversion: an engine's float samples to 16-bit PCM, with gain and a limiter; silence; resampling.

The limiter bends a peak above the knee instead of clipping it. It works sample by sample, so it needs no
lookahead and does not depend on how the audio was cut into chunks.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from wyoming_tts.speech import Samples

LIMITER_KNEE = 0.8
"""Amplitude up to which samples pass unchanged (-1.9 dBFS): a voice at -20 LUFS rarely goes there."""

PIECE_BYTES = 32_768
"""Less than a second of PCM that takes no computing, as silence or from a cache, at a time: so little is
buffered for a slow listener, and the event loop turns in between."""

_INT16_FULL_SCALE = 32767.0


def to_pcm(samples: Samples, gain: float) -> bytes:
    """Apply a linear gain and the limiter; return signed 16-bit little-endian PCM.

    Values beyond full scale are clipped, never wrapped; NaN becomes silence.
    """
    if not samples.size:  # steps without audio come before the first: their time counts
        return b""
    limited = limit_peaks(np.nan_to_num(samples * np.float32(gain), posinf=1.0, neginf=-1.0))
    integers: bytes = np.rint(np.clip(limited, -1.0, 1.0) * _INT16_FULL_SCALE).astype("<i2").tobytes()
    return integers


def limit_peaks(samples: Samples) -> Samples:
    """Bend peaks above the knee towards full scale with a hyperbolic tangent; never over 1.0."""
    magnitude = np.abs(samples)
    if not magnitude.size or float(magnitude.max()) <= LIMITER_KNEE:
        return samples
    headroom = 1.0 - LIMITER_KNEE
    bent = LIMITER_KNEE + headroom * np.tanh((magnitude - LIMITER_KNEE) / headroom)
    return np.where(magnitude <= LIMITER_KNEE, samples, np.copysign(bent, samples)).astype(np.float32)


def silence(seconds: float, rate: int) -> Iterator[bytes]:
    """Yield `seconds` of silence as 16-bit mono PCM, rounded to whole samples, in pieces of PIECE_BYTES."""
    left = 2 * round(seconds * rate)
    piece = bytes(min(left, PIECE_BYTES))
    while left > 0:
        yield piece[:left]
        left -= len(piece)


class Resampler:
    """Streaming sample rate conversion of 16-bit mono PCM; holds back a few milliseconds of it."""

    def __init__(self, rate: int, target_rate: int) -> None:
        """Convert from `rate` to `target_rate`, both in Hz."""
        import soxr  # noqa: PLC0415 - imported only where two rates meet

        self._stream = soxr.ResampleStream(rate, target_rate, 1, dtype="int16")

    def feed(self, pcm: bytes) -> bytes:
        """Take more PCM; return what is complete by now."""
        return self._convert(pcm, last=False)

    def finish(self) -> bytes:
        """Return the rest; only `reset` makes the resampler ready for more."""
        return self._convert(b"", last=True)

    def reset(self) -> None:
        """Drop all state: what is fed next is the start of another signal."""
        self._stream.clear()

    def _convert(self, pcm: bytes, *, last: bool) -> bytes:
        samples = np.frombuffer(pcm, dtype="<i2")
        converted: npt.NDArray[np.int16] = self._stream.resample_chunk(samples, last=last)
        return converted.astype("<i2").tobytes()
