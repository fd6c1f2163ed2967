from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wyoming_tts.engines.kokoro.decoder_check import NotTheSame, transform_scale
from wyoming_tts.engines.kokoro.spectrum import InverseTransform

BINS, HOP = 20, 5


def _spectrum(columns: int, seed: int = 0) -> npt.NDArray[np.float32]:
    random = np.random.default_rng(seed)
    logarithms = random.normal(-1.0, 1.0, (BINS // 2 + 1, columns))
    return np.concatenate([logarithms, random.normal(0.0, 2.0, logarithms.shape)]).astype(np.float32)


def _by_definition(spectrum: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Each column's samples, windowed, added up where it stands; without what is before the first middle."""
    magnitudes, angles = np.split(spectrum.astype(np.float64), 2)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(BINS) / BINS)
    samples = np.zeros((spectrum.shape[1] - 1) * HOP + BINS)
    for number in range(spectrum.shape[1]):
        column = np.exp(magnitudes[:, number]) * np.exp(1j * np.sin(angles[:, number]))
        samples[number * HOP :][:BINS] += np.fft.irfft(column, BINS) * window
    return samples[BINS // 2 : len(samples) - BINS // 2]


@given(columns=st.integers(1, 60), cuts=st.lists(st.integers(0, 60), max_size=6), seed=st.integers(0, 99))
def test_any_chunks_give_what_the_definition_gives(columns: int, cuts: list[int], seed: int) -> None:
    spectrum = _spectrum(columns, seed)
    ends = sorted({0, columns, *(cut for cut in cuts if cut < columns)})
    transform = InverseTransform(BINS)
    chunks = [transform.add(spectrum[:, start:end]) for start, end in pairwise(ends)]
    expected = _by_definition(spectrum)
    np.testing.assert_allclose(np.concatenate([*chunks, transform.finish()]), expected, atol=1e-5)
    assert all(chunk.dtype == np.float32 for chunk in chunks)


def test_samples_are_given_away_as_soon_as_no_further_column_adds_to_them() -> None:
    transform = InverseTransform(BINS)
    assert len(transform.add(_spectrum(2))) == 0  # before the first column's middle
    assert len(transform.add(_spectrum(3))) == 3 * HOP
    assert len(transform.finish()) == BINS // 2 - HOP


def test_samples_are_scaled() -> None:
    spectrum = _spectrum(10)
    plain, scaled = (InverseTransform(BINS, scale).add(spectrum) for scale in (1.0, 0.25))
    np.testing.assert_allclose(scaled, plain / 4, rtol=1e-5)


@pytest.mark.parametrize("scale", [0.1, 1.0, 7.5])
def test_the_scale_of_an_export_is_found(scale: float) -> None:
    spectrum = _spectrum(60)
    samples = (_by_definition(spectrum) * scale).astype(np.float32)
    samples[:BINS] = 0.0  # exports differ there
    assert transform_scale(spectrum, samples, BINS) == pytest.approx(scale, rel=1e-4)


def test_a_transform_with_another_window_is_refused() -> None:
    spectrum = _spectrum(60)
    magnitudes, angles = np.split(spectrum, 2)
    columns = np.fft.irfft(np.exp(magnitudes) * np.exp(1j * np.sin(angles)), BINS, axis=0)
    samples = np.zeros(59 * HOP + BINS)
    for number in range(60):
        samples[number * HOP :][:BINS] += columns[:, number] * np.hamming(BINS)
    with pytest.raises(NotTheSame, match="its inverse transform is another by"):
        transform_scale(spectrum, samples[10:-10].astype(np.float32), BINS)


def test_a_transform_of_another_length_is_refused() -> None:
    with pytest.raises(NotTheSame, match="its transform makes 100 samples, expected 295"):
        transform_scale(_spectrum(60), np.zeros(100, np.float32), BINS)
