from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wyoming_tts.bench.playback import simulate_playback

# Whole milliseconds, which keeps rounding errors of sums small.
MILLISECONDS = st.integers(0, 5000).map(lambda value: value / 1000)
ARRIVALS = st.lists(st.tuples(MILLISECONDS, MILLISECONDS), min_size=1, max_size=20).map(
    lambda steps: list(
        zip(
            itertools.accumulate(wait for wait, _ in steps),
            (seconds for _, seconds in steps),
            strict=True,
        )
    )
)


def test_audio_that_arrives_in_time_plays_without_a_gap() -> None:
    playback = simulate_playback([(10.0, 1.0), (10.9, 1.0), (11.5, 0.5)])
    assert playback is not None
    assert (playback.started_at, playback.ended_at) == (10.0, 12.5)
    assert (playback.underruns, playback.worst_gap, playback.silence) == (0, 0.0, 0.0)


def test_late_audio_leaves_a_gap_of_exactly_its_delay() -> None:
    playback = simulate_playback([(0.0, 1.0), (1.25, 1.0), (2.0, 1.0), (4.0, 1.0)])
    assert playback is not None
    assert playback.gaps == pytest.approx((0.25, 0.75))
    assert playback.worst_gap == pytest.approx(0.75)
    assert playback.silence == pytest.approx(1.0)
    assert playback.ended_at == pytest.approx(5.0)


def test_prebuffering_bridges_a_gap() -> None:
    arrivals = [(0.0, 0.05), (0.06, 0.05), (0.14, 0.05)]
    at_once, later = simulate_playback(arrivals), simulate_playback(arrivals, prebuffer=0.1)
    assert at_once is not None
    assert later is not None
    assert at_once.underruns == 2
    assert (later.started_at, later.underruns) == (0.06, 0)


def test_prebuffering_does_not_wait_for_more_audio_than_there_is() -> None:
    playback = simulate_playback([(1.0, 0.02), (2.0, 0.02)], prebuffer=0.1)
    assert playback is not None
    assert (playback.started_at, playback.underruns) == (2.0, 0)


def test_without_audio_there_is_no_playback() -> None:
    assert simulate_playback([]) is None
    assert simulate_playback([(1.0, 0.0)]) is None


@given(ARRIVALS, MILLISECONDS)
def test_playback_lasts_as_long_as_the_audio_and_the_gaps(
    arrivals: list[tuple[float, float]], prebuffer: float
) -> None:
    playback = simulate_playback(arrivals, prebuffer=prebuffer)
    audio = sum(seconds for _, seconds in arrivals)
    if playback is None:
        assert audio == 0.0
        return
    assert playback.ended_at - playback.started_at == pytest.approx(audio + playback.silence, abs=1e-3)
    assert all(gap > 0.0 for gap in playback.gaps)
    # No sample is played before it arrives.
    assert playback.ended_at >= max(at + seconds for at, seconds in arrivals if seconds) - 1e-9


@given(ARRIVALS, MILLISECONDS)
def test_prebuffering_never_adds_silence(arrivals: list[tuple[float, float]], prebuffer: float) -> None:
    at_once, later = simulate_playback(arrivals), simulate_playback(arrivals, prebuffer=prebuffer)
    if at_once is None or later is None:
        assert at_once is later
        return
    assert later.started_at >= at_once.started_at
    assert later.silence <= at_once.silence + 1e-3
    assert later.underruns <= at_once.underruns
    assert later.ended_at >= at_once.ended_at - 1e-3


@given(ARRIVALS)
def test_splitting_an_arrival_changes_nothing(arrivals: list[tuple[float, float]]) -> None:
    halves = [(at, seconds / 2) for at, seconds in arrivals for _ in range(2)]
    whole, cut = simulate_playback(arrivals), simulate_playback(halves)
    assert (whole is None) == (cut is None)
    if whole is not None and cut is not None:
        assert cut.gaps == pytest.approx(whole.gaps, abs=1e-6)
        assert cut.ended_at == pytest.approx(whole.ended_at)
