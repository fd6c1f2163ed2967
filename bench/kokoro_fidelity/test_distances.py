from __future__ import annotations

import numpy as np
import pytest

from bench.kokoro_fidelity.distances import (
    decibels,
    level_difference,
    log_spectral_distance,
    mel_distance,
    seam_ratios,
)
from wyoming_tts.engines.kokoro.trimming import SAMPLE_RATE
from wyoming_tts.speech import Samples


def _noise(seconds: float = 1.0, seed: int = 1) -> Samples:
    return np.random.default_rng(seed).normal(0, 0.1, round(seconds * SAMPLE_RATE)).astype(np.float32)


def test_the_same_sound_is_at_no_distance() -> None:
    sound = _noise()
    assert log_spectral_distance(sound, sound) == 0
    assert level_difference(sound, sound).worst == 0
    assert mel_distance(sound, sound) == 0


def test_a_sound_twice_as_loud_is_six_decibels_away() -> None:
    sound = _noise()
    assert log_spectral_distance(sound, 2 * sound) == pytest.approx(6.02, abs=0.1)
    assert level_difference(sound, 2 * sound).mean == pytest.approx(6.02, abs=0.01)


def test_the_worst_window_is_told_by_its_time() -> None:
    sound = _noise()
    other = sound.copy()
    other[12_000:14_400] *= 2
    difference = level_difference(sound, other)
    assert difference.worst == pytest.approx(6.02, abs=0.01)
    assert difference.worst_at == 0.5
    assert difference.mean < 1


def test_pauses_are_not_compared() -> None:
    sound = np.concatenate([_noise(), np.zeros(SAMPLE_RATE, np.float32)])
    other = sound.copy()
    other[SAMPLE_RATE:] = _noise(seed=2)[:SAMPLE_RATE] * 1e-4
    assert level_difference(sound, other).worst == 0


def test_decibels_tell_a_difference_of_a_thousandth() -> None:
    sound = _noise()
    assert decibels(sound, sound * np.float32(1.001)) == pytest.approx(60, abs=0.1)


def test_a_click_at_a_seam_is_over_all_that_is_around_it() -> None:
    time = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    smooth = np.sin(2 * np.pi * 200 * time).astype(np.float32)
    clicking = smooth.copy()
    clicking[12_000:] += 0.05
    assert max(seam_ratios(smooth, [12_000])) < 1.1
    assert max(seam_ratios(clicking, [12_000])) > 10


def test_a_seam_in_silence_is_left_out() -> None:
    sound = np.concatenate([_noise(), np.zeros(SAMPLE_RATE, np.float32)])
    assert not seam_ratios(sound, [SAMPLE_RATE + 12_000])


def test_speaking_slower_is_nearer_than_saying_something_else() -> None:
    time = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    rising = np.sin(2 * np.pi * (200 * time + 400 * time**2)).astype(np.float32)
    slow_time = np.arange(SAMPLE_RATE * 5 // 4) / (SAMPLE_RATE * 5 / 4)
    slower = np.sin(2 * np.pi * 1.25 * (200 * slow_time + 400 * slow_time**2)).astype(np.float32)
    assert mel_distance(rising, slower) < mel_distance(rising, rising[::-1].copy()) / 2
