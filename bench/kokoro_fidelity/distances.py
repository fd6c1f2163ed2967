"""Distances between two recordings of one sentence: log-spectral, of levels, mel cepstra after DTW, seams.

The first two take recordings that run in step, sample by sample. Mel distance takes any two: dynamic time
warping (DTW) finds which frames belong together.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from wyoming_tts.engines.kokoro.trimming import SAMPLE_RATE
from wyoming_tts.speech import Samples

Doubles: TypeAlias = npt.NDArray[np.float64]

LEVEL_WINDOW = 2400
"""Samples (100 ms) that a level is taken over: about a syllable."""
SEAM_WINDOW = 480
"""Samples (20 ms) around a seam that it is compared with."""

_FFT = 1024
_HOP = 256
_DYNAMICS = 1e-8
"""Power below the loudest bin (80 dB) under which spectra are not compared."""
_SPEECH_DECIBELS = 50.0
"""Frames this far below the loudest are pauses, which are not compared."""
_QUIET_WINDOW = 1e-4
"""Power of a window of levels relative to the loudest (-40 dB), from which on it is compared."""
_MEL_BANDS = 40
_TINY = 1e-12


@dataclass(frozen=True, slots=True)
class LevelDifference:
    """Of windows of 100 ms, in dB."""

    mean: float
    worst: float
    worst_at: float
    """Seconds from the start."""


def power_spectrum(samples: Samples) -> Doubles:
    """Shape (columns, bins)."""
    padded = np.pad(samples.astype(np.float64), (0, _FFT))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FFT)[::_HOP]
    return np.square(np.abs(np.fft.rfft(frames * np.hanning(_FFT))))


def log_spectral_distance(reference: Samples, other: Samples) -> float:
    """Mean over the frames of speech of the root of the mean square of the bins' differences, in dB."""
    length = min(len(reference), len(other))
    power, others = power_spectrum(reference[:length]), power_spectrum(other[:length])
    floor = power.max() * _DYNAMICS
    difference = 10 * np.log10((power + floor) / (others + floor))
    energy = 10 * np.log10(power.mean(axis=1) + _TINY)
    is_speech = energy > energy.max() - _SPEECH_DECIBELS
    return float(np.sqrt(np.square(difference).mean(axis=1))[is_speech].mean())


def level_difference(reference: Samples, other: Samples) -> LevelDifference:
    """How much louder or softer windows of 100 ms are."""
    windows = min(len(reference), len(other)) // LEVEL_WINDOW
    power, others = (_window_power(samples, windows) for samples in (reference, other))
    loud = np.flatnonzero(power > power.max(initial=0.0) * _QUIET_WINDOW)
    if not loud.size:
        return LevelDifference(0.0, 0.0, 0.0)
    difference = np.abs(10 * np.log10((others[loud] + _TINY) / (power[loud] + _TINY)))
    worst = int(np.argmax(difference))
    at = float(loud[worst]) * LEVEL_WINDOW / SAMPLE_RATE
    return LevelDifference(float(difference.mean()), float(difference[worst]), at)


def _window_power(samples: Samples, windows: int) -> Doubles:
    cut = samples[: windows * LEVEL_WINDOW].astype(np.float64).reshape(windows, LEVEL_WINDOW)
    power: Doubles = np.square(cut).mean(axis=1)
    return power


def decibels(reference: Samples, other: Samples) -> float:
    """Power of a recording over that of its difference from another."""
    error = np.square(reference - other, dtype=np.float64).sum()
    return float(10 * np.log10(np.square(reference, dtype=np.float64).sum() / max(error, _TINY)))


def seam_ratios(samples: Samples, places: Iterable[int]) -> Sequence[float]:
    """The second difference at each place over the 99th percentile of those around it; 1 is usual speech.

    Places in silence, and too close to an end, are left out.
    """
    bend = np.abs(np.diff(samples.astype(np.float64), n=2))
    least = float(bend.max(initial=0.0)) * 1e-3
    ratios = []
    for place in places:
        around = bend[max(0, place - SEAM_WINDOW) : place + SEAM_WINDOW]
        if SEAM_WINDOW <= place < len(bend) - SEAM_WINDOW and (usual := np.percentile(around, 99)) > least:
            ratios.append(float(bend[place - 2 : place + 1].max() / usual))
    return ratios


def mel_distance(reference: Samples, other: Samples) -> float:
    """Mean difference in dB of the mel bands of frames that belong together, after their levels are equal."""
    bands, others = (_mel_bands(samples) for samples in (reference, other))
    costs = np.sqrt(np.square(bands[:, None] - others[None]).mean(axis=2))
    return _warped_mean(costs)


def _mel_bands(samples: Samples) -> Doubles:
    power = power_spectrum(samples)[::2] @ _mel_filters()
    bands: Doubles = 10 * np.log10(power + power.max() * _DYNAMICS)
    bands -= bands.mean()
    return bands


@cache
def _mel_filters() -> Doubles:
    """Triangles, shape (bins, bands)."""
    hertz = np.linspace(0, SAMPLE_RATE / 2, _FFT // 2 + 1)
    mel = 2595 * np.log10(1 + hertz / 700)
    edges = np.linspace(0, mel[-1], _MEL_BANDS + 2)
    triangles = [
        np.interp(mel, edges[band : band + 3], [0.0, 1.0, 0.0], left=0.0, right=0.0)
        for band in range(_MEL_BANDS)
    ]
    return np.stack(triangles, axis=1)


def _warped_mean(costs: Doubles) -> float:
    """Least mean cost of a path from the first pair of frames to the last."""
    rows, columns = costs.shape
    total: npt.NDArray[Any] = np.full((rows + 1, columns + 1), np.inf)
    steps = np.zeros((rows + 1, columns + 1))
    total[0, 0] = 0.0
    for row in range(1, rows + 1):
        for column in range(1, columns + 1):
            before = min(((row - 1, column - 1), (row - 1, column), (row, column - 1)), key=total.__getitem__)
            total[row, column] = total[before] + costs[row - 1, column - 1]
            steps[row, column] = steps[before] + 1
    return float(total[rows, columns] / steps[rows, columns])
