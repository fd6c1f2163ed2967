"""From an engine's samples to PCM on the wire: level, limits, integers.

The level of a voice is one gain, measured once, so that sentences keep their relation to each
other. A peak above the knee is bent instead of cut; that works sample by sample, so it needs no
look-ahead and does not depend on how the audio was cut into chunks.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wyoming_tts.speech import Samples

LIMITER_KNEE = 0.8
"""Amplitude up to which samples pass unchanged (-1.9 dBFS): a voice at -20 LUFS rarely goes there."""

MAX_GAIN_DB = 30.0
"""A voice that needs more is broken or silent; raising its noise would not make it a voice."""

_BLOCK_SECONDS = 0.4
_BLOCK_OVERLAP = 4
_ABSOLUTE_GATE_LUFS = -70.0
_RELATIVE_GATE_LU = -10.0
_LUFS_OFFSET = -0.691
_INT16_FULL_SCALE = 32767.0


def to_pcm(samples: Samples, gain: float) -> bytes:
    """Samples times `gain` through the limiter, as signed 16-bit little-endian PCM.

    Values beyond full scale are clipped, never wrapped; NaN becomes silence.
    """
    limited = limit_peaks(np.nan_to_num(samples * np.float32(gain), posinf=1.0, neginf=-1.0))
    integers: bytes = np.rint(np.clip(limited, -1.0, 1.0) * _INT16_FULL_SCALE).astype("<i2").tobytes()
    return integers


def silence(seconds: float, rate: int) -> bytes:
    """`seconds` of 16-bit mono silence, rounded to whole samples."""
    return bytes(2 * round(seconds * rate))


class Resampler:
    """Changes the rate of 16-bit mono PCM that comes in pieces; holds a few milliseconds of it."""

    def __init__(self, rate: int, wanted: int) -> None:
        import soxr  # noqa: PLC0415  # only where two rates meet

        self._stream = soxr.ResampleStream(rate, wanted, 1, dtype="int16")

    def feed(self, pcm: bytes) -> bytes:
        """Return what can be said by now of all PCM up to this."""
        return self._converted(pcm, last=False)

    def finish(self) -> bytes:
        """Return the rest; only `reset` makes it ready for more."""
        return self._converted(b"", last=True)

    def reset(self) -> None:
        """Forget what came: what is fed next is the beginning of something else."""
        self._stream.clear()

    def _converted(self, pcm: bytes, *, last: bool) -> bytes:
        samples = np.frombuffer(pcm, dtype="<i2")
        converted: npt.NDArray[np.int16] = self._stream.resample_chunk(samples, last=last)
        return converted.astype("<i2").tobytes()


def limit_peaks(samples: Samples) -> Samples:
    """Bend what exceeds the knee towards full scale with a hyperbolic tangent; never over 1.0."""
    magnitude = np.abs(samples)
    if not magnitude.size or float(magnitude.max()) <= LIMITER_KNEE:
        return samples
    headroom = 1.0 - LIMITER_KNEE
    bent = LIMITER_KNEE + headroom * np.tanh((magnitude - LIMITER_KNEE) / headroom)
    return np.where(magnitude <= LIMITER_KNEE, samples, np.copysign(bent, samples)).astype(np.float32)


def gain_to(target_lufs: float, samples: Samples, rate: int) -> float:
    """Return the linear gain that brings `samples` to `target_lufs`; 1.0 for silence."""
    measured = loudness(samples, rate)
    if not np.isfinite(measured):
        return 1.0
    gain_db = float(np.clip(target_lufs - measured, -MAX_GAIN_DB, MAX_GAIN_DB))
    return float(10.0 ** (gain_db / 20.0))


def loudness(samples: Samples, rate: int) -> float:
    """Integrated loudness of mono audio in LUFS, after ITU-R BS.1770-4; -inf for silence.

    The K weighting is applied in the frequency domain: magnitudes are all that the measure needs.
    Audio shorter than one 400 ms block is measured as a single block.
    """
    weighted = _k_weighted(samples, rate)
    block = min(len(weighted), int(_BLOCK_SECONDS * rate))
    if block == 0:
        return float("-inf")
    blocks = np.lib.stride_tricks.sliding_window_view(weighted, block)[:: max(1, block // _BLOCK_OVERLAP)]
    powers = np.mean(np.square(blocks), axis=1)
    powers = powers[powers > _power(_ABSOLUTE_GATE_LUFS)]
    if not powers.size:
        return float("-inf")
    gate = _power(_lufs(float(powers.mean())) + _RELATIVE_GATE_LU)
    return _lufs(float(powers[powers > gate].mean()))


def _lufs(power: float) -> float:
    return float(_LUFS_OFFSET + 10.0 * np.log10(power))


def _power(lufs: float) -> float:
    return float(10.0 ** ((lufs - _LUFS_OFFSET) / 10.0))


def _k_weighted(samples: Samples, rate: int) -> npt.NDArray[np.float64]:
    # Zero padding to twice the length keeps the circular convolution from wrapping round.
    size = 2 * len(samples)
    if size == 0:
        return np.zeros(0)
    z = np.exp(2j * np.pi * np.fft.rfftfreq(size))
    response = _high_shelf(z, rate) * _high_pass(z, rate)
    return np.fft.irfft(np.fft.rfft(samples, size) * response, size)[: len(samples)]


def _high_shelf(z: npt.NDArray[np.complex128], rate: int) -> npt.NDArray[np.complex128]:
    # First stage of BS.1770: analogue prototype whose 48 kHz version gives the published numbers.
    k = np.tan(np.pi * 1681.974450955533 / rate)
    quality = 0.7071752369554196
    high = 10.0 ** (3.999843853973347 / 20.0)
    band = high**0.4996667741545416
    a0 = 1.0 + k / quality + k * k
    b = (high + band * k / quality + k * k, 2.0 * (k * k - high), high - band * k / quality + k * k)
    a = (a0, 2.0 * (k * k - 1.0), 1.0 - k / quality + k * k)
    response: npt.NDArray[np.complex128] = (b[0] + b[1] / z + b[2] / z**2) / (a[0] + a[1] / z + a[2] / z**2)
    return response


def _high_pass(z: npt.NDArray[np.complex128], rate: int) -> npt.NDArray[np.complex128]:
    # Second stage of BS.1770 (RLB weighting).
    k = np.tan(np.pi * 38.13547087602444 / rate)
    quality = 0.5003270373238773
    a0 = 1.0 + k / quality + k * k
    a = (2.0 * (k * k - 1.0) / a0, (1.0 - k / quality + k * k) / a0)
    response: npt.NDArray[np.complex128] = (1.0 - 2.0 / z + 1.0 / z**2) / (1.0 + a[0] / z + a[1] / z**2)
    return response
