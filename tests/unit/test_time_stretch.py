from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.hypothesis_examples import scaled_examples
from wyoming_tts.speech import Samples, TimedSamples, WordTiming, WordTimings
from wyoming_tts.time_stretch import TimeStretch, stretch_steps

RATE = 16_000
speeds = st.sampled_from([0.25, 0.5, 0.9, 1.1, 1.6, 2.0, 4.0])


def _tone(seconds: float, hertz: float = 120.0) -> Samples:
    tone: Samples = np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE).astype(np.float32)
    return tone


def _stretched(samples: Samples, speed: float) -> Samples:
    return np.concatenate([*stretch_steps(iter([samples]), RATE, speed)])


@pytest.mark.parametrize("speed", [0.25, 0.5, 1.3, 2.0, 4.0])
def test_speech_takes_its_time_divided_by_the_speed_at_the_same_pitch(speed: float) -> None:
    samples = _stretched(_tone(2.0), speed)
    assert len(samples) == pytest.approx(2 * RATE / speed, abs=RATE / 500)
    spectrum = np.abs(np.fft.rfft(samples))
    assert np.argmax(spectrum) * RATE / len(samples) == pytest.approx(120, abs=2)


@pytest.mark.parametrize("speed", [0.5, 1.6, 3.0])
def test_a_steady_tone_stays_steady(speed: float) -> None:
    samples = _stretched(_tone(1.0), speed)
    loudest = np.abs(samples).max()
    middle = samples[RATE // 50 : -RATE // 20]
    periods = middle[: len(middle) // 160 * 160].reshape(-1, 160)
    assert loudest <= 1.001
    assert np.abs(periods).max(axis=1).min() > 0.97


def test_its_beginning_is_not_faded_in() -> None:
    samples = np.ones(RATE, np.float32)
    np.testing.assert_allclose(_stretched(samples, 2.0)[: RATE // 4], 1.0, atol=1e-5)


def test_at_normal_speed_the_samples_are_the_same_objects() -> None:
    steps = [_tone(0.1), _tone(0.2)]
    assert all(a is b for a, b in zip(stretch_steps(iter(steps), RATE, 1.0), steps, strict=True))


@given(speed=speeds, cuts=st.lists(st.integers(0, RATE), max_size=6))
@settings(max_examples=scaled_examples(40), deadline=None)
def test_what_comes_out_does_not_depend_on_the_pieces_that_come_in(speed: float, cuts: list[int]) -> None:
    samples = _tone(1.0) * np.linspace(0.2, 1.0, RATE, dtype=np.float32)
    pieces = np.split(samples, sorted(cuts))
    np.testing.assert_array_equal(
        np.concatenate([*stretch_steps(iter(pieces), RATE, speed)]), _stretched(samples, speed)
    )


@given(speed=speeds, length=st.integers(0, 3000))
@example(speed=0.25, length=17)
@settings(max_examples=scaled_examples(60), deadline=None)
def test_speech_of_any_length_comes_out_whole(speed: float, length: int) -> None:
    samples = np.ones(length, np.float32)
    stretched = _stretched(samples, speed)
    assert len(stretched) == pytest.approx(length / speed, abs=RATE / 250)
    assert len(stretched) >= round(length / speed)  # or words would lie beyond their audio
    assert np.isfinite(stretched).all()


@given(speed=speeds, ends=st.lists(st.integers(0, RATE), min_size=2, max_size=8, unique=True))
@settings(max_examples=scaled_examples(20), deadline=None)
def test_words_are_stretched_with_their_audio(speed: float, ends: list[int]) -> None:
    ends.sort()
    words = [WordTiming(0, 1, begin, end) for begin, end in pairwise(ends)]
    early, late = WordTimings((words[0],)), WordTimings(tuple(words[1:]), estimated=True)
    samples = _tone(1.0)
    steps: list[Samples | WordTimings | TimedSamples] = [
        early,
        samples[: ends[1]],
        TimedSamples(samples[ends[1] :], late),
    ]
    told, *rest = stretch_steps(iter(steps), RATE, speed)
    timed = rest[1]
    assert isinstance(told, WordTimings)
    assert isinstance(timed, TimedSamples)
    assert timed.timings.estimated
    got = [*told.words, *timed.timings.words]
    assert [word.first_sample for word in got] == [round(end / speed) for end in ends[:-1]]
    assert [word.end_sample for word in got] == [round(end / speed) for end in ends[1:]]
    assert got[-1].end_sample <= len(_stretched(samples, speed))


def test_little_is_held_back() -> None:
    stretch = TimeStretch(RATE, 2.0)
    made = sum(len(stretch.feed(_tone(0.1))) for _ in range(10))
    assert made > RATE / 2 - 0.08 * RATE
