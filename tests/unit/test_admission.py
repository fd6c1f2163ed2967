"""Admission decisions on a simulated clock."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from wyoming_tts.admission import REST, Admission, AdmissionOptions, Place
from wyoming_tts.demand import Demand, Work, lateness
from wyoming_tts.errors import Busy
from wyoming_tts.scheduler import Scheduler, StreamClock


def make_admission(**limits: float) -> tuple[Admission, Scheduler]:
    scheduler = Scheduler(slots=1)
    return Admission(AdmissionOptions(**limits), scheduler), scheduler  # type: ignore[arg-type]


def make_places(count: int, peer: str = "", now: float = 0.0) -> list[Place]:
    return [Place(StreamClock(work_since=now), peer) for _ in range(count)]


class KnownWork:
    """A backlog that does not change."""

    def __init__(self, works: Sequence[Work]) -> None:
        self._works = works

    def works(self) -> Sequence[Work]:
        return self._works


def sharing(crowded: float) -> tuple[Admission, Place, Place]:
    """Two who share two cores, of which one is heard: 0.1 s for each one's next step with both of them."""
    admission = Admission(AdmissionOptions(), Scheduler(slots=2, multicore_slots=2))
    listener, newcomer = make_places(2)
    for place in (listener, newcomer):
        place.stream.shares_cores = True
        place.stream.backlog = KnownWork([Work(alone=0.1, crowded=crowded, audio=1.0)])
        assert admission.admit(place, 0.0)
    newcomer.stream.is_held = True
    return admission, listener, newcomer


def test_a_start_beside_others_does_not_hold_if_one_core_is_too_little_for_two_of_them() -> None:
    admission, listener, newcomer = sharing(crowded=0.075)
    listener.stream.delivered(0.12, 0.0)
    newcomer.stream.buffered_seconds = 0.12
    assert not admission.will_hold(newcomer, 0.0)


def test_a_start_beside_others_holds_if_only_one_of_them_needs_more_than_a_core() -> None:
    admission, listener, newcomer = sharing(crowded=0.075)
    listener.stream.delivered(0.3, 0.0)
    newcomer.stream.buffered_seconds = 0.12
    assert admission.will_hold(newcomer, 0.0)


def test_who_waits_beside_a_start_takes_no_core_from_it() -> None:
    admission, waiting, newcomer = sharing(crowded=0.075)
    waiting.stream.is_held = True
    newcomer.stream.buffered_seconds = 0.12
    assert admission.will_hold(newcomer, 0.0)


def speech(seconds: float) -> list[Work]:
    """Speech that is computed as fast as it is spoken, in steps of a second."""
    return [Work(alone=1.0, crowded=1.0, audio=1.0)] * round(seconds)


def make_busy_places(count: int, peer: str = "", *, seconds: float = 4.0) -> list[Place]:
    places = make_places(count, peer)
    for place in places:
        place.stream.backlog = KnownWork(speech(seconds))
    return places


def test_streams_are_admitted_up_to_the_limit_then_queued_then_refused() -> None:
    admission, _ = make_admission(max_streams=2, max_queue=2)
    places = make_places(5)
    assert [admission.admit(place, 0.0) for place in places[:4]] == [True, True, False, False]
    with pytest.raises(Busy, match="2 utterances are being spoken and 2 are queued"):
        admission.admit(places[4], 0.0)
    admission.release(places[1], 1.0)
    assert [place.is_held for place in places] == [True, False, True, False, False]


def test_a_stream_that_left_the_queue_is_not_admitted() -> None:
    admission, _ = make_admission(max_streams=1)
    admitted, canceled, waiting = make_places(3)
    for place in (admitted, canceled, waiting):
        admission.admit(place, 0.0)
    admission.release(canceled, 0.5)
    admission.release(admitted, 1.0)
    assert waiting.is_held
    assert not canceled.is_held


def test_a_newcomer_does_not_overtake_the_queue() -> None:
    admission, _ = make_admission(max_streams=1)
    admitted, first, second = make_places(3)
    admission.admit(admitted, 0.0)
    admission.admit(first, 0.0)
    admission.release(admitted, 1.0)
    assert first.is_held
    assert not admission.admit(second, 1.0)


def test_a_newcomer_that_waited_as_long_as_it_may_is_refused() -> None:
    admission, _ = make_admission(max_streams=1, max_wait=10.0)
    admitted, early, late = make_places(3)
    admission.admit(admitted, 0.0)
    admission.admit(early, 1.0)
    admission.admit(late, 5.0)
    assert admission.wake_at(5.0) == 11.0
    admission.settle(11.0)
    assert isinstance(early.refusal, Busy)
    assert "none ended within 10 s" in early.refusal.message
    assert late.refusal is None
    assert admission.queued == 1
    assert admission.wake_at(11.0) == 15.0


def test_nothing_is_to_be_decided_while_nobody_waits() -> None:
    admission, _ = make_admission(max_streams=1)
    (place,) = make_places(1)
    admission.admit(place, 0.0)
    admission.rest(place, 1.0)
    assert admission.wake_at(1.0) is None


def test_a_place_without_work_goes_to_whoever_asks_after_a_rest() -> None:
    admission, _ = make_admission(max_streams=1)
    idle, newcomer = make_places(2)
    admission.admit(idle, 0.0)
    admission.rest(idle, 1.0)
    assert not admission.admit(newcomer, 1.0)
    assert admission.wake_at(1.0) == 1.0 + REST
    admission.settle(1.0 + REST)
    assert newcomer.is_held
    assert not admission.keep(idle, 2.0)


def test_a_place_without_work_is_kept_while_nobody_asks() -> None:
    admission, _ = make_admission(max_streams=1)
    (place,) = make_places(1)
    admission.admit(place, 0.0)
    admission.rest(place, 1.0)
    assert admission.keep(place, 1000.0)


def test_work_within_the_rest_keeps_the_place() -> None:
    admission, _ = make_admission(max_streams=1)
    brief, newcomer = make_places(2)
    admission.admit(brief, 0.0)
    admission.rest(brief, 1.0)
    admission.admit(newcomer, 1.0)
    assert admission.keep(brief, 1.0 + REST / 2)
    admission.settle(1.0 + REST)
    assert not newcomer.is_held


def test_the_place_that_rests_longest_is_given_away_first() -> None:
    admission, _ = make_admission(max_streams=3)
    places = make_places(4)
    for place, since in zip(places[:3], (2.0, 1.0, 3.0), strict=True):
        admission.admit(place, 0.0)
        admission.rest(place, since)
    assert admission.admit(places[3], 10.0)
    assert [place.is_held for place in places] == [True, False, True, True]


def test_a_stream_far_ahead_of_its_listener_lends_its_place() -> None:
    admission, scheduler = make_admission(max_streams=2)
    ahead, near, newcomer, another = make_places(4)
    for place, seconds in ((ahead, scheduler.lookahead.shared + 1.0), (near, 2.0)):
        admission.admit(place, 0.0)
        place.stream.delivered(seconds, 0.0)
    assert admission.admit(newcomer, 0.0)
    assert [ahead.is_held, near.is_held] == [False, True]
    assert not admission.admit(another, 0.0)


def test_a_stream_far_ahead_of_its_listener_takes_no_place_from_another_before_it_needs_audio() -> None:
    admission, scheduler = make_admission(max_streams=1)
    shared = scheduler.lookahead.shared
    first, second = make_places(2)
    for place in (first, second):
        admission.admit(place, 0.0)
        place.stream.delivered(shared + 2.0, 0.0)
    assert [first.is_held, second.is_held] == [False, True]
    assert not admission.admit(first, 0.0)
    assert admission.wake_at(0.0) == 2.0
    second.stream.delivered(1.0, 1.0)
    admission.settle(2.0)
    assert [first.is_held, second.is_held] == [True, False]


def test_background_work_lends_its_place_at_once_and_returns_after_all_others() -> None:
    admission, _ = make_admission(max_streams=1)
    background, newcomer, other = make_places(3)
    background.stream.in_background = True
    admission.admit(background, 0.0)
    assert admission.admit(newcomer, 0.0)
    assert not admission.admit(background, 0.1)
    assert not admission.admit(other, 0.2)
    admission.release(newcomer, 1.0)
    assert other.is_held


def test_a_stream_that_has_spoken_goes_before_newcomers_and_is_never_refused() -> None:
    admission, _ = make_admission(max_streams=1, max_queue=1, max_wait=1.0)
    speaking, resting, newcomer = make_places(3)
    admission.admit(resting, 0.0)
    resting.stream.delivered(1.0, 0.0)
    admission.rest(resting, 0.1)
    admission.admit(speaking, 0.5)
    admission.admit(newcomer, 0.6)
    assert not admission.admit(resting, 1.0)  # the queue is full
    admission.settle(100.0)
    assert newcomer.refusal is not None
    assert resting.refusal is None
    admission.admit(newcomer := make_places(1)[0], 100.0)
    admission.release(speaking, 100.5)
    assert resting.is_held
    assert not newcomer.is_held


def test_of_streams_that_have_spoken_the_one_that_runs_dry_first_is_admitted() -> None:
    admission, _ = make_admission(max_streams=2)
    late, soon = make_places(2)
    for place, seconds in ((late, 5.0), (soon, 2.0)):
        admission.admit(place, 0.0)
        place.stream.delivered(seconds, 0.0)
        admission.rest(place, 0.0)
    newcomers = make_places(2)
    for place in newcomers:
        assert admission.admit(place, 1.0)
    assert not admission.admit(late, 1.1)
    assert not admission.admit(soon, 1.2)
    admission.release(newcomers[0], 1.3)
    assert [late.is_held, soon.is_held] == [False, True]


def test_time_without_a_place_is_no_lateness_of_the_machine() -> None:
    admission, _ = make_admission(max_streams=1)
    resting, speaking = make_places(2)
    admission.admit(resting, 0.0)
    admission.rest(resting, 0.0)
    admission.admit(speaking, 1.0)
    admission.admit(resting, 2.0)
    admission.release(speaking, 60.0)
    assert resting.stream.deadline() == 60.0


def test_one_address_may_hold_every_place_while_no_other_asks() -> None:
    admission, _ = make_admission(max_streams=4)
    places = make_places(5, "one")
    assert [admission.admit(place, 0.0) for place in places] == [True, True, True, True, False]


def test_another_address_gets_its_share_of_the_places_at_once() -> None:
    admission, _ = make_admission(max_streams=4)
    crowd, others = make_places(8, "one"), make_places(3, "other")
    for place in crowd:
        admission.admit(place, 0.0)
    assert [admission.admit(place, 0.0) for place in others] == [True, True, False]
    assert sum(place.is_held for place in crowd) == 2


def test_an_address_above_its_share_hands_over_the_place_that_is_needed_last() -> None:
    admission, _ = make_admission(max_streams=3)
    crowd, (other,) = make_places(3, "one"), make_places(1, "other")
    for place, seconds in zip(crowd, (1.0, 3.0, 2.0), strict=True):
        admission.admit(place, 0.0)
        place.stream.delivered(seconds, 0.0)
    assert admission.admit(other, 0.0)
    assert [place.is_held for place in crowd] == [True, False, True]


def test_a_freed_place_goes_to_the_address_that_holds_fewest() -> None:
    admission, _ = make_admission(max_streams=3)
    one, two = make_places(4, "one"), make_places(2, "two")
    for place in (*one[:2], two[0], *one[2:], two[1]):
        admission.admit(place, 0.0)
    admission.release(one[0], 1.0)
    assert [place.is_held for place in (*one, *two)] == [False, True, True, False, True, False]
    admission.release(two[0], 2.0)
    assert [place.is_held for place in (*one, *two)] == [False, True, True, False, False, True]


def test_a_full_queue_refuses_the_last_newcomer_of_the_address_with_most_of_them() -> None:
    admission, _ = make_admission(max_streams=2, max_queue=3)
    speaking = [*make_places(1, "one"), *make_places(1, "other")]
    crowd, other = make_places(3, "one"), make_places(2, "other")
    for place in (*speaking, *crowd):
        admission.admit(place, 0.0)
    assert not admission.admit(other[0], 0.0)
    assert [place.refusal is not None for place in crowd] == [False, False, True]
    with pytest.raises(Busy):
        admission.admit(other[1], 0.0)


def test_the_queue_of_one_address_does_not_lengthen_the_wait_of_another() -> None:
    admission, _ = make_admission(max_streams=2, max_wait=100.0, max_hold=100.0)
    speaking = (*make_busy_places(1, "one"), *make_busy_places(1, "other"))
    for place in (*speaking, *make_busy_places(5, "one")):
        admission.admit(place, 0.0)
    newcomer = speech(seconds=4.0)
    other, one = (admission.predict_wait(0.0, peer, newcomer) for peer in ("other", "one"))
    assert one == pytest.approx(other + 4 * 4.0)


def test_while_nobody_speaks_nobody_is_refused_however_slow_the_machine() -> None:
    admission, _ = make_admission(max_wait=0.1, max_hold=1.0)
    (place,) = make_busy_places(1, seconds=600.0)
    assert admission.admit(place, 0.0)
    assert place.predicted_start == 1.0
    admission.release(place, 600.0)
    assert admission.admit(make_busy_places(1, seconds=600.0)[0], 600.0)


def test_a_newcomer_waits_until_the_machine_can_carry_it() -> None:
    admission, _ = make_admission(max_wait=60.0, max_hold=5.0)
    first, second = make_busy_places(2, seconds=8.0)
    assert admission.admit(first, 0.0)
    assert not admission.admit(second, 0.0)
    assert admission.wake_at(0.0) is not None
    first.stream.backlog = KnownWork(speech(seconds=2.0))
    admission.settle(6.0)
    assert second.is_held


def test_a_newcomer_that_would_wait_too_long_for_others_is_told_how_long() -> None:
    admission, _ = make_admission(max_wait=5.0, max_hold=1.0)
    first, second = make_busy_places(2, seconds=20.0)
    admission.admit(first, 0.0)
    with pytest.raises(
        Busy, match=r"1 utterances are being spoken and 0 are queued: this one would wait for"
    ):
        admission.admit(second, 0.0)


def test_a_start_will_hold_when_what_is_left_is_computed_before_it_is_needed() -> None:
    admission, _ = make_admission()
    (place,) = make_places(1)
    admission.admit(place, 0.0)
    place.stream.is_held = True
    place.stream.backlog = KnownWork([Work(alone=2.0, crowded=2.0, audio=1.0)] * 3)
    place.stream.buffered_seconds = 3.9
    assert not admission.will_hold(place, 0.0)
    place.stream.buffered_seconds = 4.0
    assert admission.will_hold(place, 0.0)


def test_a_stream_that_started_at_once_and_runs_dry_keeps_nobody_out() -> None:
    admission, _ = make_admission(max_hold=5.0)
    at_once, newcomer = make_places(2)
    at_once.stream.starts_at_once = True
    at_once.stream.backlog = KnownWork([Work(alone=0.4, crowded=0.4, audio=1.0)] * 20)
    newcomer.stream.backlog = at_once.stream.backlog
    assert admission.admit(at_once, 0.0)
    at_once.stream.delivered(0.1, 0.0)
    assert admission.admit(newcomer, 0.5)


def test_a_start_does_not_hold_while_a_step_of_another_leaves_no_core() -> None:
    admission, scheduler = make_admission()
    place, other = make_places(2)
    for each in (place, other):
        admission.admit(each, 0.0)
        each.stream.is_held = True
    place.stream.backlog = KnownWork([Work(alone=0.5, crowded=0.5, audio=1.0)] * 3)
    place.stream.buffered_seconds = 2.0
    assert admission.will_hold(place, 0.0)
    other.stream.backlog = KnownWork([Work(alone=3.0, crowded=3.0, audio=4.0)])
    scheduler.request_step(other.stream)
    scheduler.start_next(0.0)
    assert not admission.will_hold(place, 0.0)
    assert admission.will_hold(place, 2.0)


def test_a_start_that_would_make_another_listener_run_dry_does_not_hold() -> None:
    admission, _ = make_admission()
    playing, held = make_places(2)
    for place in (playing, held):
        admission.admit(place, 0.0)
        place.stream.backlog = KnownWork([Work(alone=0.9, crowded=0.9, audio=1.0)] * 10)
    playing.stream.delivered(1.0, 0.0)
    held.stream.is_held = True
    held.stream.buffered_seconds = 1.0
    assert not admission.will_hold(held, 0.0)
    playing.stream.backlog = KnownWork([])
    assert admission.will_hold(held, 0.0)


def test_active_are_the_streams_with_work_or_audio_that_still_plays() -> None:
    admission, _ = make_admission()
    working, playing, idle = make_places(3)
    for place in (working, playing, idle):
        admission.admit(place, 0.0)
    playing.stream.delivered(5.0, 0.0)
    for place in (playing, idle):
        admission.rest(place, 1.0)
    assert [admission.count_active(now) for now in (1.0, 6.0)] == [2, 1]
    assert repr(admission) == "<Admission held=3 queued=0>"


def test_the_committed_share_is_what_playing_on_takes_of_the_machine() -> None:
    admission, _ = make_admission(max_hold=100.0)
    assert admission.committed_share(0.0) == 0.0
    listener, resting = make_places(2)
    listener.stream.backlog = KnownWork([Work(alone=1.0, crowded=1.0, audio=4.0)])
    for place in (listener, resting):
        assert admission.admit(place, 0.0)
    assert admission.committed_share(0.0) == pytest.approx(0.25)
    listener.stream.delivered(4.0, 0.0)  # what was made is time for the rest
    assert admission.committed_share(0.0) == pytest.approx(0.125)
    listener.stream.backlog = KnownWork([Work(alone=9.0, crowded=9.0, audio=4.0)])
    assert admission.committed_share(4.0) == pytest.approx(2.25)


def test_the_end_of_a_stream_costs_little_however_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred listeners that leave at once must not hold up the event loop, least of all while it stops."""
    judged: list[int] = []

    def count(demands: Sequence[Demand], *given: object, **named: object) -> float:
        judged.append(len(demands))
        return lateness(demands, *given, **named)  # type: ignore[arg-type]

    admission, _ = make_admission(max_wait=10_000, max_hold=20)
    places = make_busy_places(20, seconds=15.0)
    for place in places:
        place.stream.is_held = True
        admission.admit(place, 0.0)
    assert admission.queued > 10
    monkeypatch.setattr("wyoming_tts.demand.lateness", count)
    for place in reversed(places):
        admission.release(place, 1.0)
    assert len(judged) <= 3 * len(places)
