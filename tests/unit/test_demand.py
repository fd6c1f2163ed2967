"""The processor demand criterion, against a machine that is simulated step by step."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wyoming_tts.demand import (
    Capacity,
    Demand,
    Work,
    can_start_within,
    earliest_start,
    expected_lead,
    lateness,
    lead_needed,
)

ONE = Capacity(1)

seconds = st.floats(min_value=0.01, max_value=5.0)
works = st.lists(
    st.builds(
        lambda alone, share, audio: Work(alone, share * alone, audio), seconds, st.floats(0.5, 1.0), seconds
    ),
    max_size=6,
)
demands = st.lists(st.builds(Demand, works, seconds), max_size=4)


def gaps(works: Sequence[Work], start: float) -> float:
    """Play work that is computed from now on, starting after a while; return the longest wait within it."""
    done, needed, longest = 0.0, start, 0.0
    for work in works:
        done += work.alone
        longest = max(longest, done - needed)
        needed += work.audio
    return longest


@given(works)
def test_the_lead_is_the_earliest_start_without_a_gap(works: list[Work]) -> None:
    lead = lead_needed(works)
    assert gaps(works, lead) == pytest.approx(0.0, abs=1e-9)
    if lead > 0.02:
        assert gaps(works, lead - 0.01) > 0.0


def test_speech_that_takes_twice_its_length_needs_as_much_lead_as_it_is_long() -> None:
    assert lead_needed([Work(alone=2.0, crowded=2.0, audio=1.0)] * 10) == pytest.approx(11.0)


def test_the_margin_grows_with_the_root_of_the_number_of_segments() -> None:
    def margin(segments: int) -> float:
        works = [Work(1.5, 1.5, 1.0, cost_variance=0.04, deficit_variance=0.04)] * segments
        return lead_needed(works) - expected_lead(works)

    common = 0.015 * 1.5  # an error of the mean is the same in each
    assert margin(100) - 100 * common == pytest.approx(10 * (margin(1) - common), rel=0.01)


def test_a_text_that_takes_as_long_to_compute_as_to_play_needs_no_lead_for_its_length() -> None:
    works = [Work(1.0, 1.0, 1.0, cost_variance=0.01)] * 100
    assert lead_needed(works) - expected_lead(works) < 2.0


def test_speech_on_a_fast_machine_needs_the_lead_of_its_longest_step() -> None:
    assert lead_needed([Work(alone=0.1, crowded=0.1, audio=1.0)] * 10) == pytest.approx(0.1)


@given(demands)
def test_nothing_is_late_if_and_only_if_the_work_due_by_each_time_fits_into_it(demands: list[Demand]) -> None:
    due, streams = [], sum(bool(demand.works) for demand in demands)
    for demand in demands:
        time = demand.ahead
        for work in demand.works:
            due.append((time, work.crowded if streams > 1 else work.alone))
            time += work.audio
    fits = all(sum(cost for other, cost in due if other <= time) <= time + 1e-9 for time, _ in due)
    assert (lateness(demands, ONE) <= 1e-9) is fits


@given(works, demands, demands)
def test_a_start_at_the_predicted_time_makes_nobody_late_who_was_in_time(
    newcomer: list[Work], playing: list[Demand], held: list[Demand]
) -> None:
    start = earliest_start(newcomer, playing, held, ONE)
    assert start >= lead_needed(newcomer)
    if lateness(playing, ONE) <= 0:
        later = [
            Demand(demand.works, max(demand.ahead + start, lead_needed(demand.works))) for demand in held
        ]
        assert lateness([Demand(newcomer, start), *playing, *later], ONE) <= 1e-6


def test_a_lone_stream_starts_as_soon_as_its_own_work_allows() -> None:
    works = [Work(alone=2.0, crowded=1.0, audio=1.0)] * 5
    assert earliest_start(works, [], [], ONE) == lead_needed(works)


def test_streams_that_arrive_together_can_start_soon_after_each_other() -> None:
    works = [Work(alone=0.1, crowded=0.1, audio=1.0)] * 20
    assert earliest_start(works, [], [Demand(works)] * 7, ONE) <= 1.0


def test_those_who_play_too_late_already_are_waited_for() -> None:
    overload = [Demand([Work(alone=2.0, crowded=2.0, audio=1.0)] * 10, ahead=1.0)] * 2
    assert earliest_start([Work(0.1, 0.1, 1.0)], overload, [], ONE) > 30.0


def test_more_steps_at_a_time_carry_more_streams() -> None:
    busy = [Demand([Work(alone=0.9, crowded=0.9, audio=1.0)] * 10, ahead=1.0)] * 2
    assert lateness(busy, ONE) > 0
    assert lateness(busy, Capacity(2)) <= 0


@given(works, demands, demands, st.floats(0.0, 30.0), st.sampled_from([ONE, Capacity(1, 4), Capacity(4, 4)]))
def test_whether_a_start_is_within_a_time_is_told_without_looking_for_it(
    newcomer: list[Work], playing: list[Demand], held: list[Demand], limit: float, capacity: Capacity
) -> None:
    start = earliest_start(newcomer, playing, held, capacity)
    if abs(start - limit) > 0.06:  # `earliest_start` does not tell closer ones apart
        assert can_start_within(limit, newcomer, playing, held, capacity) is (start < limit)
