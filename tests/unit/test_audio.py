"""Level, limiter and integers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from wyoming_tts.audio import LIMITER_KNEE, gain_to, limit_peaks, loudness, silence, to_pcm
from wyoming_tts.speech import Samples

RATE = 48_000
any_samples = arrays.arrays(np.float32, st.integers(0, 300), elements=st.floats(-50, 50, width=32))


def sine(hertz: float, amplitude: float, seconds: float = 3.0, rate: int = RATE) -> Samples:
    time = np.arange(int(seconds * rate)) / rate
    return (amplitude * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def as_int16(pcm: bytes) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    return np.frombuffer(pcm, dtype="<i2")


def test_a_full_scale_997_hz_sine_measures_as_the_standard_says() -> None:
    assert loudness(sine(997, 1.0), RATE) == pytest.approx(-3.01, abs=0.05)


@pytest.mark.parametrize("rate", [16_000, 22_050, 24_000, 48_000])
def test_loudness_does_not_depend_on_the_sample_rate(rate: int) -> None:
    assert loudness(sine(997, 0.1, rate=rate), rate) == pytest.approx(-23.01, abs=0.15)


def test_low_rumble_counts_less_than_speech_frequencies() -> None:
    assert loudness(sine(30, 0.5), RATE) < loudness(sine(500, 0.5), RATE) - 6


def test_silence_between_words_is_gated_out() -> None:
    word = sine(500, 0.2, 1.0)
    with_pause = np.concatenate([word, np.zeros(3 * RATE, np.float32), word])
    assert loudness(with_pause, RATE) == pytest.approx(loudness(word, RATE), abs=1.0)


@pytest.mark.parametrize("samples", [np.zeros(0, np.float32), np.zeros(RATE, np.float32)])
def test_silence_has_no_loudness_and_is_left_alone(samples: Samples) -> None:
    assert loudness(samples, RATE) == float("-inf")
    assert gain_to(-20, samples, RATE) == 1.0


@given(st.floats(0.01, 0.9))
def test_the_gain_brings_any_level_to_the_target(amplitude: float) -> None:
    samples = sine(500, amplitude, 1.0)
    assert loudness(samples * gain_to(-20, samples, RATE), RATE) == pytest.approx(-20, abs=0.01)


def test_a_nearly_silent_voice_is_not_raised_without_bound() -> None:
    assert gain_to(-20, sine(500, 0.0005, 1.0), RATE) == pytest.approx(10**1.5)


@given(any_samples)
def test_the_limiter_never_exceeds_full_scale_nor_turns_a_sign(samples: Samples) -> None:
    limited = limit_peaks(samples)
    assert np.all(np.abs(limited) <= 1.0)
    assert np.all(np.sign(limited) == np.sign(samples))


@given(any_samples)
def test_samples_below_the_knee_pass_unchanged(samples: Samples) -> None:
    below = np.abs(samples) <= LIMITER_KNEE
    assert np.array_equal(limit_peaks(samples)[below], samples[below])


@given(any_samples, st.integers(0, 300))
def test_the_result_does_not_depend_on_chunking(samples: Samples, cut: int) -> None:
    assert to_pcm(samples[:cut], 3.0) + to_pcm(samples[cut:], 3.0) == to_pcm(samples, 3.0)


@given(arrays.arrays(np.float32, 20, elements=st.floats(width=32, allow_nan=True, allow_infinity=True)))
@pytest.mark.filterwarnings("ignore:overflow")
def test_integers_clip_and_never_wrap(samples: Samples) -> None:
    loud = np.abs(samples) >= 1.0
    integers = as_int16(to_pcm(samples, 2.0))
    assert np.all(np.abs(integers.astype(int)) <= 32767)
    assert np.all(integers[loud & (samples > 0)] > 30000)
    assert np.all(integers[loud & (samples < 0)] < -30000)
    assert np.all(integers[np.isnan(samples)] == 0)


def test_silence_lasts_as_long_as_asked() -> None:
    assert silence(1.0, 22_050) == bytes(44_100)
    assert silence(0.0, 22_050) == b""
