"""What a connection's input may cost, by an invented clock."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.manual_clock import ManualClock
from wyoming_tts.transports.input_pace import (
    BURST,
    CONNECTION_SHARE,
    SLICE,
    TOTAL_SHARE,
    InputPace,
    LoopBudget,
)


def take_turn(pace: InputPace, clock: ManualClock, seconds: float, *, received: int = 0) -> float:
    pace.begin(received)
    clock.now += seconds
    return pace.end()


def flood(paces: list[InputPace], clock: ManualClock, *, until: float) -> list[int]:
    """Have each connection take a turn of a slice whenever it need not rest; return the turns of each."""
    due, turns = [clock.now] * len(paces), [0] * len(paces)
    while clock.now < until:
        first = min(range(len(paces)), key=due.__getitem__)
        clock.now = max(clock.now, due[first])
        due[first] = clock.now + take_turn(paces[first], clock, SLICE)
        turns[first] += 1
    return turns


def test_a_budget_is_spent_down_to_nothing_before_anyone_waits() -> None:
    budget = LoopBudget(0.5, burst=2.0)
    assert budget.spend(2.0, now=0.0) == 0.0
    assert budget.spend(1.0, now=0.0) == 2.0
    assert budget.spend(0.0, now=2.0) == 0.0


def test_a_budget_saves_up_no_more_than_its_burst() -> None:
    budget = LoopBudget(0.5, burst=2.0)
    budget.spend(2.0, now=0.0)
    assert budget.spend(2.0, now=1_000.0) == 0.0
    assert budget.spend(0.5, now=1_000.0) == 1.0


def test_a_language_model_is_never_slowed_down() -> None:
    clock = ManualClock()
    pace = InputPace(LoopBudget(TOTAL_SHARE), clock=clock)
    for _ in range(2_000):
        clock.now += 1 / 200
        assert take_turn(pace, clock, 0.0002, received=60) == 0.0


def test_a_text_that_arrives_at_once_is_not_slowed_down() -> None:
    clock = ManualClock()
    pace = InputPace(LoopBudget(TOTAL_SHARE), clock=clock)
    assert not any(take_turn(pace, clock, SLICE, received=20_000) for _ in range(int(0.9 * BURST / SLICE)))


def test_one_flood_gets_its_share_of_the_loop() -> None:
    clock = ManualClock()
    turns = flood([InputPace(LoopBudget(TOTAL_SHARE), clock=clock)], clock, until=clock.now + 60)
    assert turns[0] * SLICE == pytest.approx(60 * CONNECTION_SHARE + BURST, rel=0.02)


def test_many_floods_share_what_input_gets_in_all_evenly() -> None:
    clock = ManualClock()
    total = LoopBudget(TOTAL_SHARE)
    turns = flood([InputPace(total, clock=clock) for _ in range(32)], clock, until=clock.now + 60)
    assert sum(turns) * SLICE == pytest.approx(60 * TOTAL_SHARE + BURST, rel=0.02)
    assert max(turns) - min(turns) <= BURST / SLICE


def test_a_quiet_client_waits_beside_floods_for_a_turn_of_each_at_most() -> None:
    clock = ManualClock()
    total = LoopBudget(TOTAL_SHARE)
    flood([InputPace(total, clock=clock) for _ in range(32)], clock, until=clock.now + 10)
    rest = take_turn(InputPace(total, clock=clock), clock, 0.0001)
    assert rest <= 33 * SLICE / TOTAL_SHARE


def test_a_turn_that_waited_for_something_is_not_charged_for_all_of_it() -> None:
    clock = ManualClock()
    pace = InputPace(LoopBudget(TOTAL_SHARE), clock=clock)
    for _ in range(100):
        assert take_turn(pace, clock, 60.0) <= 0.2


def test_received_bytes_are_charged_though_nothing_was_computed() -> None:
    clock = ManualClock()
    pace = InputPace(LoopBudget(TOTAL_SHARE), clock=clock)
    assert any(take_turn(pace, clock, 0.0, received=64 * 1024) for _ in range(10_000))


def test_an_upload_pays_from_the_share_of_all_connections_alone() -> None:
    clock = ManualClock()
    own, total = LoopBudget(CONNECTION_SHARE), LoopBudget(TOTAL_SHARE)
    pace = InputPace(total, own=own, clock=clock)
    pace.begin()
    clock.now += SLICE
    assert pace.end(is_bulk=True) == 0.0
    assert own.spend(BURST, clock.now) == 0.0
    assert total.spend(BURST, clock.now) == pytest.approx(SLICE / TOTAL_SHARE)


def test_another_reader_of_a_connection_spends_the_same_budget() -> None:
    clock = ManualClock()
    pace = InputPace(LoopBudget(TOTAL_SHARE, burst=1_000.0), clock=clock)
    turns = flood([pace, pace.another_reader()], clock, until=clock.now + 60)
    assert sum(turns) * SLICE == pytest.approx(60 * CONNECTION_SHARE + BURST, rel=0.02)


def test_a_slice_is_over_after_a_millisecond() -> None:
    clock = ManualClock()
    pace = InputPace(LoopBudget(TOTAL_SHARE), clock=clock)
    pace.begin()
    assert not pace.is_slice_over
    clock.now += 1.1 * SLICE
    assert pace.is_slice_over


async def test_a_rest_lets_others_run_though_nothing_has_to_be_paid() -> None:
    clock = ManualClock()
    pace = InputPace(LoopBudget(TOTAL_SHARE), clock=clock)
    turns: list[str] = []

    async def other() -> None:
        turns.append("other")

    task = asyncio.create_task(other())
    await pace.rest()
    turns.append("reader")
    await task
    assert turns == ["other", "reader"]
