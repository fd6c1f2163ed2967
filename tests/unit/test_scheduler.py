"""Who computes next, with invented times."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wyoming_tts.scheduler import Scheduler, StepState, StreamClock, earliest_deadline


def playing(since: float, seconds: float, *, work_since: float = 0.0) -> StreamClock:
    return StreamClock(work_since=work_since, playing_since=since, audio_seconds=seconds)


def test_a_newcomer_goes_before_a_listener_with_audio_ahead() -> None:
    ahead = playing(since=0.0, seconds=12.0)
    newcomer = StreamClock(work_since=10.0)
    assert earliest_deadline([ahead, newcomer]) is newcomer


def test_a_listener_about_to_run_dry_goes_before_a_newcomer() -> None:
    nearly_dry = playing(since=0.0, seconds=9.9)
    newcomer = StreamClock(work_since=10.0)
    assert earliest_deadline([newcomer, nearly_dry]) is nearly_dry


def test_of_two_newcomers_the_earlier_goes_first() -> None:
    first, second = StreamClock(work_since=1.0), StreamClock(work_since=2.0)
    assert earliest_deadline([second, first]) is first


def test_a_stream_whose_text_came_late_is_due_when_the_text_came() -> None:
    late = playing(since=0.0, seconds=2.0)
    Scheduler.work_arrived(late, now=50.0)
    assert late.deadline() == 50.0


def test_text_that_comes_early_leaves_the_deadline_where_the_audio_ends() -> None:
    stream = playing(since=0.0, seconds=8.0)
    Scheduler.work_arrived(stream, now=3.0)
    assert stream.deadline() == 8.0


def test_audio_after_a_gap_starts_the_playing_anew() -> None:
    stream = playing(since=0.0, seconds=2.0)
    Scheduler.delivered(stream, 1.5, now=10.0)
    assert stream.deadline() == 11.5


def test_audio_without_a_gap_adds_up() -> None:
    stream = StreamClock(work_since=0.0)
    for now in (1.0, 1.2, 1.4):
        Scheduler.delivered(stream, 2.0, now)
    assert stream.deadline() == 7.0


def test_no_more_steps_run_than_there_are_slots() -> None:
    scheduler = Scheduler(slots=2)
    streams = [StreamClock(work_since=float(number)) for number in range(4)]
    for stream in streams:
        scheduler.ask(stream)
    assert [scheduler.start_next(), scheduler.start_next(), scheduler.start_next()] == [*streams[:2], None]
    scheduler.step_done(streams[0])
    assert scheduler.start_next() is streams[2]


def test_a_withdrawn_stream_is_never_chosen() -> None:
    scheduler = Scheduler(slots=1)
    gone, here = StreamClock(work_since=0.0), StreamClock(work_since=1.0)
    scheduler.ask(gone)
    scheduler.ask(here)
    scheduler.withdraw(gone)
    assert gone.state is StepState.IDLE
    assert scheduler.start_next() is here


def test_asking_twice_is_a_programming_error() -> None:
    scheduler = Scheduler(slots=1)
    stream = StreamClock(work_since=0.0)
    scheduler.ask(stream)
    with pytest.raises(RuntimeError, match="while WAITING"):
        scheduler.ask(stream)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=20), st.integers(1, 4))
def test_every_stream_gets_its_turn_in_the_order_of_deadlines(arrivals: list[float], slots: int) -> None:
    scheduler = Scheduler(slots=slots)
    for arrival in arrivals:
        scheduler.ask(StreamClock(work_since=arrival))
    served = []
    while (stream := scheduler.start_next()) is not None:
        served.append(stream.work_since)
        scheduler.step_done(stream)
    assert served == sorted(arrivals)


def test_its_repr_tells_the_load() -> None:
    scheduler = Scheduler(slots=1)
    for number in range(3):
        scheduler.ask(StreamClock(work_since=float(number)))
    scheduler.start_next()
    assert repr(scheduler) == "<Scheduler slots=1 running=1 waiting=2>"
