"""Inverse short-time Fourier transform (iSTFT), column by column, by overlap-add.

Kokoro's generator makes a spectrum: the logarithms of its magnitudes, then numbers whose sines are its
phases.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wyoming_tts.speech import Samples

Values = npt.NDArray[np.float32]

HOPS = 4
"""Columns that overlap: a column comes every quarter of the transform's length, as iSTFTNet has it."""

_MOST = 20.0
"""Of the logarithms of magnitudes: speech has at most 3, and what comes out can still be squared."""


class InverseTransform:
    """The transform of one utterance."""

    def __init__(self, bins: int, scale: float = 1.0) -> None:
        """Begin with silence.

        Args:
            bins: length of the transform in samples.
            scale: of the samples; exports differ in what they divide by.
        """
        self._bins = bins
        self._hop = bins // HOPS
        hann = np.square(np.sin(np.pi * np.arange(bins) / bins))
        self._window = (hann * scale).astype(np.float32)
        self._tail = np.zeros(bins - self._hop, np.float32)
        self._dropped = bins // 2

    def add(self, spectrum: Values) -> Samples:
        """Transform the next columns, shape (bins + 2, columns); returns the samples that are complete."""
        magnitudes, angles = np.split(spectrum, 2)
        with np.errstate(invalid="ignore"):  # a style from anywhere may make them infinite
            values = np.exp(np.minimum(magnitudes, _MOST)) * np.exp(1j * np.sin(angles))
        columns = np.fft.irfft(values, n=self._bins, axis=0)
        weighted: Values = columns.astype(np.float32) * self._window[:, None]
        count, hop = weighted.shape[1], self._hop
        summed = np.zeros((count + HOPS - 1) * hop, np.float32)
        summed[: len(self._tail)] = self._tail
        by_hop = summed.reshape(-1, hop)
        for place in range(HOPS):
            by_hop[place : place + count] += weighted[place * hop : (place + 1) * hop].T
        self._tail = summed[count * hop :].copy()
        return self._without_start(summed[: count * hop])

    def finish(self) -> Samples:
        """The samples up to the middle of the last column."""
        return self._without_start(self._tail[: self._bins // 2 - self._hop])

    def _without_start(self, samples: Samples) -> Samples:
        """The first column's middle is where the utterance begins."""
        dropped = min(self._dropped, len(samples))
        self._dropped -= dropped
        return samples[dropped:]
