"""Scheduling decisions on a simulated clock."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wyoming_tts.demand import Work
from wyoming_tts.scheduler import (
    DRY_SOON,
    NEWCOMER_PATIENCE,
    Decision,
    Lookahead,
    Scheduler,
    StepState,
    StreamClock,
    most_urgent,
)


def playing(since: float, seconds: float, *, work_since: float = 0.0) -> StreamClock:
    return StreamClock(work_since=work_since, playing_since=since, audio_seconds=seconds)


class KnownWork:
    """A backlog that does not change."""

    def __init__(self, works: Sequence[Work]) -> None:
        self._works = works

    def works(self) -> Sequence[Work]:
        return self._works


def test_a_newcomer_runs_before_a_listener_with_buffered_audio() -> None:
    ahead = playing(since=0.0, seconds=12.0)
    newcomer = StreamClock(work_since=10.0)
    assert most_urgent([ahead, newcomer], now=10.0) is newcomer


def test_a_listener_about_to_underrun_runs_before_newcomers() -> None:
    nearly_dry = playing(since=0.0, seconds=10.0 + DRY_SOON / 2)
    newcomer = StreamClock(work_since=9.0 + DRY_SOON)
    assert most_urgent([newcomer, nearly_dry], now=10.0) is nearly_dry


def test_a_newcomer_past_its_patience_runs_before_an_underrunning_listener() -> None:
    dry = playing(since=0.0, seconds=10.0)
    newcomer = StreamClock(work_since=9.9 - NEWCOMER_PATIENCE)
    assert most_urgent([dry, newcomer], now=10.0) is newcomer


def test_who_plays_goes_before_who_is_held_as_soon_as_its_work_needs_all_the_time_there_is() -> None:
    slow = playing(since=0.0, seconds=13.0)
    slow.backlog = KnownWork([Work(alone=2.5, crowded=2.5, audio=1.0)])
    held = StreamClock(work_since=1.0, is_held=True)
    assert most_urgent([held, slow], now=10.0) is held
    assert most_urgent([held, slow], now=10.5) is slow


def test_who_is_held_waits_while_those_who_play_have_no_time_to_spare_together() -> None:
    ahead = playing(since=0.0, seconds=12.0)
    held = StreamClock(work_since=1.0, is_held=True, backlog=KnownWork([Work(0.5, 0.5, 1.0)]))
    assert most_urgent([held, ahead], now=10.0, slack=0.6) is held
    assert most_urgent([held, ahead], now=10.0, slack=0.4) is ahead


def test_of_two_who_are_held_the_earlier_one_runs_first_however_long_it_waits() -> None:
    first, second = StreamClock(work_since=1.0, is_held=True), StreamClock(work_since=2.0, is_held=True)
    dry = playing(since=0.0, seconds=10.0)
    assert most_urgent([second, first], now=100.0) is first
    assert most_urgent([second, first, dry], now=100.0) is dry


def test_many_who_play_are_served_before_one_who_is_held() -> None:
    """Each has time to spare by itself, but not for all of them one after the other."""
    scheduler = Scheduler(slots=1)
    players = [playing(since=0.0, seconds=11.0) for _ in range(10)]
    for player in players:
        player.backlog = KnownWork([Work(alone=0.1, crowded=0.1, audio=1.0)])
    held = StreamClock(work_since=1.0, is_held=True, backlog=KnownWork([Work(0.1, 0.1, 1.0)]))
    for stream in (held, *players):
        scheduler.request_step(stream)
    assert scheduler.start_next(10.0).start is not held


def test_the_earlier_of_two_newcomers_runs_first() -> None:
    first, second = StreamClock(work_since=1.0), StreamClock(work_since=2.0)
    assert most_urgent([second, first], now=2.0) is first


def test_the_listener_with_the_earlier_underrun_runs_first() -> None:
    early, late = playing(since=0.0, seconds=12.0), playing(since=0.0, seconds=13.0)
    assert most_urgent([late, early], now=2.0) is early


def test_eight_simultaneous_newcomers_start_soon_without_underruns() -> None:
    """Realistic steps: 45 ms for the first 0.25 s of audio, then 30, 45 and 90 ms for 0.5, 1 and 2 s."""
    scheduler, now = Scheduler(slots=1), 0.0
    script = {
        StreamClock(work_since=0.0): [(0.045, 0.25), (0.03, 0.5), (0.045, 1.0), (0.09, 2.0)] for _ in range(8)
    }
    first_audio, gaps = [], 0
    for newcomer in script:
        scheduler.request_step(newcomer)
    while (stream := scheduler.start_next(now).start) is not None:
        cost, seconds = script[stream].pop(0)
        now += cost
        scheduler.step_done(stream, now=0)
        if stream.playing_since is None:
            first_audio.append(now)
        else:
            gaps += stream.deadline() < now
        stream.delivered(seconds, now)
        if script[stream]:
            scheduler.request_step(stream)
    assert len(first_audio) == 8
    assert max(first_audio) < 0.8
    assert gaps == 0


def test_the_deadline_after_a_gap_is_the_arrival_of_the_text() -> None:
    late = playing(since=0.0, seconds=2.0)
    late.work_arrived(now=50.0)
    assert late.deadline() == 50.0


def test_text_that_arrives_early_does_not_move_the_deadline() -> None:
    stream = playing(since=0.0, seconds=8.0)
    stream.work_arrived(now=3.0)
    assert stream.deadline() == 8.0


def test_audio_after_a_gap_restarts_playback() -> None:
    stream = playing(since=0.0, seconds=2.0)
    stream.delivered(1.5, now=10.0)
    assert stream.deadline() == 11.5


def test_contiguous_audio_extends_the_deadline() -> None:
    stream = StreamClock(work_since=0.0)
    for now in (1.0, 1.2, 1.4):
        stream.delivered(2.0, now)
    assert stream.deadline() == 7.0


def test_concurrent_steps_are_limited_to_the_slots() -> None:
    scheduler = Scheduler(slots=2)
    streams = [StreamClock(work_since=float(number)) for number in range(4)]
    for stream in streams:
        scheduler.request_step(stream)
    assert [scheduler.start_next(9).start for _ in range(3)] == [*streams[:2], None]
    scheduler.step_done(streams[0], now=9)
    assert scheduler.start_next(9).start is streams[2]


def test_a_withdrawn_stream_is_never_chosen() -> None:
    scheduler = Scheduler(slots=1)
    absent, present = StreamClock(work_since=0.0), StreamClock(work_since=1.0)
    scheduler.request_step(absent)
    scheduler.request_step(present)
    scheduler.withdraw(absent)
    assert absent.state is StepState.IDLE
    assert scheduler.start_next(9).start is present


def test_requesting_a_step_twice_is_a_programming_error() -> None:
    scheduler = Scheduler(slots=1)
    stream = StreamClock(work_since=0.0)
    scheduler.request_step(stream)
    with pytest.raises(RuntimeError, match="while WAITING"):
        scheduler.request_step(stream)


@given(st.lists(st.integers(0, 100), min_size=1, max_size=20), st.integers(1, 4))
def test_streams_run_in_deadline_order(arrivals: list[int], slots: int) -> None:
    scheduler = Scheduler(slots=slots)
    for arrival in arrivals:
        scheduler.request_step(StreamClock(work_since=arrival))
    served = []
    while (stream := scheduler.start_next(100).start) is not None:
        served.append(stream.work_since)
        scheduler.step_done(stream, now=0)
    assert served == sorted(arrivals)


class OneStep:
    def works(self) -> list[Work]:
        return [Work(alone=4.0, crowded=4.0, audio=1.0)]


def test_a_step_on_all_cores_is_known_to_be_partly_done() -> None:
    scheduler = Scheduler(slots=2, multicore_slots=2)
    stream = StreamClock(work_since=0.0, backlog=OneStep())
    assert stream.computed(5.0) == 0.0
    assert start_all(scheduler, stream, now=10.0) == [stream]
    assert stream.computed(11.5) == 1.5
    assert stream.computed(30.0) == 4.0  # and when it will end is not known any more
    scheduler.step_done(stream, 31.0)
    assert stream.computed(31.0) == 0.0


def test_a_stream_that_is_far_ahead_does_not_begin_a_step_between_two_of_one_that_is_not() -> None:
    scheduler = Scheduler(slots=1)
    near, far = playing(since=0.0, seconds=0.3), playing(since=0.0, seconds=20.0)
    assert start_all(scheduler, near, now=0.0) == [near]
    scheduler.request_step(far)
    scheduler.step_done(near, 0.1)
    decision = scheduler.start_next(0.1)
    assert decision.start is None
    assert decision.wake_at == pytest.approx(0.15)
    assert scheduler.start_next(0.16).start is far


def heard(seconds: float, work: Work) -> StreamClock:
    """A stream that shares cores, whose listener has so much to play from 0 s on."""
    stream = playing(since=0.0, seconds=seconds)
    stream.shares_cores, stream.backlog = True, KnownWork([work])
    return stream


def waiting_to_start(scheduler: Scheduler, step: float = 0.1) -> StreamClock:
    """A stream that is held, has a step queued and shares cores."""
    stream = StreamClock(work_since=0.0, is_held=True, shares_cores=True)
    stream.backlog = KnownWork([Work(step, step, 1.0)])
    scheduler.request_step(stream)
    return stream


def run_step(scheduler: Scheduler, stream: StreamClock, *, now: float, seconds: float = 0.1) -> None:
    scheduler.request_step(stream)
    assert scheduler.start_next(now).start is stream
    scheduler.step_done(stream, now + seconds)


def test_who_waits_does_not_begin_a_step_between_two_of_one_that_runs_dry_soon() -> None:
    scheduler = Scheduler(slots=1)
    near = heard(0.3, Work(0.1, 0.1, 1.0))
    run_step(scheduler, near, now=0.0)
    waiting_to_start(scheduler)
    decision = scheduler.start_next(0.1)
    assert decision.start is None
    assert decision.wake_at == pytest.approx(0.15)
    scheduler.request_step(near)
    assert scheduler.start_next(0.101).start is near


def test_one_that_does_not_ask_for_its_next_step_is_not_waited_for_any_longer() -> None:
    scheduler = Scheduler(slots=1)
    near = heard(0.3, Work(0.1, 0.1, 1.0))
    run_step(scheduler, near, now=0.0)
    waiting = waiting_to_start(scheduler)
    wake_at = scheduler.start_next(0.1).wake_at
    assert wake_at is not None
    assert scheduler.start_next(wake_at).start is waiting


def test_one_that_has_enough_to_play_or_no_more_work_is_not_waited_for() -> None:
    for seconds, works in ((5.0, [Work(0.1, 0.1, 1.0)]), (0.3, [])):
        scheduler = Scheduler(slots=1)
        stream = playing(since=0.0, seconds=seconds)
        stream.backlog = KnownWork(works)
        run_step(scheduler, stream, now=0.0)
        waiting = waiting_to_start(scheduler)
        assert scheduler.start_next(0.1).start is waiting


def test_while_one_is_waited_for_the_cores_that_it_leaves_are_used() -> None:
    scheduler = Scheduler(slots=2, multicore_slots=2)
    near = heard(0.3, Work(alone=0.1, crowded=0.06, audio=1.0))
    run_step(scheduler, near, now=0.0)
    waiting = [waiting_to_start(scheduler, step=0.05) for _ in range(3)]
    assert scheduler.start_next(0.1).start is waiting[0]
    assert scheduler.start_next(0.1).start is None


def test_the_only_listener_for_whom_one_core_is_too_little_gets_all_of_them() -> None:
    scheduler = Scheduler(slots=2, multicore_slots=2)
    stream = heard(1.0, Work(alone=0.8, crowded=0.6, audio=1.0))
    waiting_to_start(scheduler)
    scheduler.request_step(stream)
    assert scheduler.start_next(0.0).start is stream
    assert stream.has_cores


def test_of_several_for_whom_one_core_is_too_little_each_gets_one() -> None:
    scheduler = Scheduler(slots=2, multicore_slots=2)
    streams = [heard(1.0, Work(alone=0.8, crowded=0.6, audio=1.0)) for _ in range(2)]
    for stream in streams:
        scheduler.request_step(stream)
    assert {scheduler.start_next(0.0).start, scheduler.start_next(0.0).start} == {*streams}
    assert not any(stream.has_cores for stream in streams)


def test_who_waits_takes_no_core_from_one_that_will_need_all_of_them() -> None:
    for step, starts in ((0.1, True), (0.5, False)):
        scheduler = Scheduler(slots=2, multicore_slots=2)
        stream, waiting = (
            heard(1.3, Work(alone=0.8, crowded=0.7, audio=1.0)),
            waiting_to_start(scheduler, step),
        )
        other = waiting_to_start(scheduler, step=0.1)
        assert scheduler.start_next(0.0).start is waiting
        scheduler.request_step(stream)
        assert scheduler.start_next(0.0).start is stream
        assert not stream.has_cores
        scheduler.step_done(waiting, 0.1)
        other.backlog = waiting.backlog
        assert (scheduler.start_next(0.1).start is other) == starts


def test_repr_shows_the_load() -> None:
    scheduler = Scheduler(slots=1)
    for number in range(3):
        scheduler.request_step(StreamClock(work_since=float(number)))
    scheduler.start_next(9)
    assert repr(scheduler) == "<Scheduler slots=1 running=1 waiting=2>"


def start_all(scheduler: Scheduler, *streams: StreamClock, now: float) -> list[StreamClock]:
    for stream in streams:
        scheduler.request_step(stream)
    chosen = []
    while (chosen_one := scheduler.start_next(now).start) is not None:
        chosen.append(chosen_one)
    return chosen


def test_a_lone_stream_may_run_ahead_up_to_the_lookahead() -> None:
    scheduler = Scheduler(slots=1, lookahead=Lookahead(shared=8, alone=30))
    stream = playing(since=0.0, seconds=29.0)
    assert start_all(scheduler, stream, now=0.0) == [stream]
    scheduler.step_done(stream, now=0)
    stream.audio_seconds = 31.0
    scheduler.request_step(stream)
    assert scheduler.start_next(0.0) == Decision(wake_at=1.0)
    assert scheduler.start_next(1.0).start is stream


def test_a_stream_that_is_ahead_yields_to_one_that_is_not() -> None:
    scheduler = Scheduler(slots=2, lookahead=Lookahead(shared=8, alone=30))
    needy, ahead = playing(since=0.0, seconds=2.0), playing(since=0.0, seconds=20.0)
    assert start_all(scheduler, ahead, needy, now=0.0) == [needy]
    scheduler.step_done(needy, now=0)
    assert scheduler.start_next(0.1).start is ahead


def test_streams_that_are_all_ahead_use_every_slot() -> None:
    scheduler = Scheduler(slots=2, lookahead=Lookahead(shared=8, alone=30))
    one, other = playing(since=0.0, seconds=10.0), playing(since=0.0, seconds=20.0)
    assert start_all(scheduler, one, other, now=0.0) == [one, other]


def make_multicore_stream(work_since: float) -> StreamClock:
    return StreamClock(work_since=work_since, shares_cores=True)


def test_a_lone_stream_gets_all_cores() -> None:
    scheduler = Scheduler(slots=2, multicore_slots=2)
    stream = make_multicore_stream(0.0)
    scheduler.request_step(stream)
    assert scheduler.start_next(0.0).start is stream
    assert stream.has_cores
    late = make_multicore_stream(0.0)
    scheduler.request_step(late)
    assert scheduler.start_next(0.0).start is None


def test_simultaneous_streams_get_one_core_each() -> None:
    scheduler = Scheduler(slots=2, multicore_slots=2)
    streams = [make_multicore_stream(0.0), make_multicore_stream(1.0), make_multicore_stream(2.0)]
    for stream in streams:
        scheduler.request_step(stream)
    assert [scheduler.start_next(2.0).start for _ in range(3)] == [*streams[:2], None]
    assert not any(stream.has_cores for stream in streams[:2])


def test_a_stream_between_two_steps_still_counts_as_sharing() -> None:
    scheduler = Scheduler(slots=2, multicore_slots=2)
    first, second = make_multicore_stream(0.0), make_multicore_stream(0.1)
    scheduler.request_step(first)
    scheduler.start_next(0.0)
    scheduler.request_step(second)
    scheduler.step_done(first, now=0.2)
    assert scheduler.start_next(0.2).start is second
    assert not second.has_cores


def test_a_stream_that_does_not_return_gives_up_its_core() -> None:
    scheduler = Scheduler(slots=2, multicore_slots=2)
    absent, present = make_multicore_stream(0.0), make_multicore_stream(0.1)
    scheduler.request_step(absent)
    scheduler.start_next(0.0)
    scheduler.step_done(absent, now=0.1)
    scheduler.request_step(present)
    assert scheduler.start_next(1.0).start is present
    assert present.has_cores


def test_a_step_started_beside_another_gets_the_free_cores() -> None:
    scheduler = Scheduler(slots=2, multicore_slots=2, lookahead=Lookahead(shared=8, alone=30))
    streams = [make_multicore_stream(0.0), make_multicore_stream(0.0)]
    for stream in streams:
        scheduler.request_step(stream)
    scheduler.start_next(0.0)
    scheduler.start_next(0.0)
    scheduler.step_done(streams[0], now=0.1)
    streams[1].delivered(20.0, now=0.1)  # it no longer counts as sharing
    last = make_multicore_stream(0.1)
    scheduler.request_step(last)
    assert scheduler.start_next(1.0).start is last
    assert not last.has_cores


def test_a_stream_that_cannot_share_waits_for_all_cores_and_is_not_overtaken() -> None:
    scheduler = Scheduler(slots=2, multicore_slots=2)
    one, other, whole = make_multicore_stream(0.0), make_multicore_stream(0.0), StreamClock(work_since=1.0)
    scheduler.request_step(one)
    scheduler.request_step(other)
    scheduler.start_next(0.0)
    scheduler.start_next(0.0)
    scheduler.step_done(one, now=2.0)
    scheduler.request_step(whole)
    late = make_multicore_stream(1.5)
    scheduler.request_step(late)
    assert scheduler.start_next(2.0).start is None
    scheduler.step_done(other, now=2.1)
    assert scheduler.start_next(2.1).start is whole
    assert whole.has_cores
    assert scheduler.start_next(2.1).start is None


def test_streams_that_ended_between_two_steps_are_forgotten() -> None:
    scheduler = Scheduler(slots=1)
    for number in range(100):
        stream = StreamClock(work_since=float(number))
        scheduler.request_step(stream)
        scheduler.start_next(float(number))
        scheduler.step_done(stream, now=float(number))
    assert len(scheduler._between) <= 2


def test_background_work_runs_last() -> None:
    scheduler = Scheduler(slots=1)
    warm_up, listener = StreamClock(work_since=0.0, in_background=True), playing(since=0.0, seconds=29.0)
    assert start_all(scheduler, warm_up, listener, now=0.0) == [listener]
    scheduler.step_done(listener, now=0)
    assert scheduler.start_next(0.0).start is warm_up
