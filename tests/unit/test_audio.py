"""Gain, limiter and 16-bit PCM."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from wyoming_tts.audio import LIMITER_KNEE, PIECE_BYTES, limit_peaks, silence, to_pcm
from wyoming_tts.speech import Samples

any_samples = arrays.arrays(np.float32, st.integers(0, 300), elements=st.floats(-50, 50, width=32))


def as_int16(pcm: bytes) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    return np.frombuffer(pcm, dtype="<i2")


@given(any_samples)
def test_the_limiter_stays_within_full_scale_and_keeps_the_sign(samples: Samples) -> None:
    limited = limit_peaks(samples)
    assert np.all(np.abs(limited) <= 1.0)
    assert np.all(np.sign(limited) == np.sign(samples))


@given(any_samples)
def test_samples_below_the_knee_pass_unchanged(samples: Samples) -> None:
    below = np.abs(samples) <= LIMITER_KNEE
    assert np.array_equal(limit_peaks(samples)[below], samples[below])


@given(any_samples, st.integers(0, 300))
def test_limiting_does_not_depend_on_chunking(samples: Samples, cut: int) -> None:
    assert to_pcm(samples[:cut], 3.0) + to_pcm(samples[cut:], 3.0) == to_pcm(samples, 3.0)


@given(arrays.arrays(np.float32, 20, elements=st.floats(width=32, allow_nan=True, allow_infinity=True)))
@pytest.mark.filterwarnings("ignore:overflow")
def test_integer_conversion_clips_and_never_wraps(samples: Samples) -> None:
    loud = np.abs(samples) >= 1.0
    integers = as_int16(to_pcm(samples, 2.0))
    assert np.all(np.abs(integers.astype(int)) <= 32767)
    assert np.all(integers[loud & (samples > 0)] > 30000)
    assert np.all(integers[loud & (samples < 0)] < -30000)
    assert np.all(integers[np.isnan(samples)] == 0)


def test_silence_has_the_requested_duration() -> None:
    assert b"".join(silence(1.0, 22_050)) == bytes(44_100)
    assert not list(silence(0.0, 22_050))


def test_silence_is_made_in_pieces_as_small_as_those_of_a_cached_segment() -> None:
    pieces = list(silence(10.0, 48_000))
    assert {len(piece) for piece in pieces[:-1]} == {PIECE_BYTES}
    assert 0 < len(pieces[-1]) <= PIECE_BYTES
    assert sum(map(len, pieces)) == 960_000
