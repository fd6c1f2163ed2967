"""The invented machine: how long steps take on it, alone, beside each other and beside other programs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from bench.scheduling_simulator.machine import Machine, Phase, make_pools, speedup
from bench.scheduling_simulator.virtual_time import run_in_virtual_time
from wyoming_tts.errors import StepTimedOut
from wyoming_tts.scheduler import Scheduler, StreamClock
from wyoming_tts.workers import Workers


def ends(machine: Machine, costs: Sequence[float], *, shares_cores: bool = True) -> list[float]:
    """When steps end that are all requested at 0 s, one of each stream."""

    async def run() -> list[float]:
        loop = asyncio.get_running_loop()
        scheduler = Scheduler(slots=machine.cores, multicore_slots=machine.cores_per_step)
        workers = Workers(scheduler, clock=loop.time, make_pool=make_pools(machine))

        async def step(cost: float) -> float:
            stream = StreamClock(0.0, shares_cores=shares_cores)
            await workers.run_step(stream, lambda: machine.spend(cost, has_cores=workers.has_cores()))
            return loop.time()

        return list(await asyncio.gather(*map(step, costs)))

    return run_in_virtual_time(run())


def test_a_lone_step_is_divided_among_the_cores() -> None:
    assert ends(Machine(1), [3.0]) == pytest.approx([3.0])
    assert ends(Machine(2), [3.0]) == pytest.approx([3.0 / speedup(2)])
    assert ends(Machine(64), [3.0]) == pytest.approx([3.0 / speedup(4)])


def test_steps_run_side_by_side_as_the_scheduler_decides() -> None:
    # The first was started before the others were known, and has both cores.
    first = 1.0 / speedup(2)
    assert ends(Machine(2), [1.0, 1.0, 1.0]) == pytest.approx([first, first + 1.0, first + 1.0])
    assert ends(Machine(2), [1.0, 1.0], shares_cores=False) == pytest.approx([first, 2 * first])


def test_a_slow_phase_stretches_what_falls_into_it() -> None:
    machine = Machine(1, [Phase(2.0), Phase(4.0, speed=0.5)])
    assert ends(machine, [3.0]) == pytest.approx([4.0])
    assert ends(Machine(1, [Phase(2.0), Phase(4.0, speed=0.5)]), [5.0]) == pytest.approx([7.0])


def test_other_programs_take_their_share_of_the_cores() -> None:
    assert ends(Machine(2, [Phase(other_threads=2)]), [1.0]) == pytest.approx([2.0 / speedup(2)])
    assert ends(Machine(4, [Phase(other_threads=1)]), [1.0]) == pytest.approx([1.25 / speedup(4)])


def test_a_step_that_takes_unusually_long_lets_others_run_beside_it() -> None:
    # Two threads then share one core from the moment at which the second starts.
    assert ends(Machine(1), [20.0, 1.0]) == pytest.approx([20.0, 5.0 + 2.0])


def test_a_step_without_end_is_stopped_at_the_limit() -> None:
    with pytest.raises(StepTimedOut):
        ends(Machine(1), [1e9])


def test_a_step_whose_listener_left_goes_on_for_a_second() -> None:
    async def run() -> float:
        loop = asyncio.get_running_loop()
        machine = Machine(1)
        workers = Workers(Scheduler(slots=1), clock=loop.time, make_pool=make_pools(machine))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(
                workers.run_step(StreamClock(0.0), lambda: machine.spend(20.0, has_cores=True)), 3.0
            )
        return loop.time()

    assert run_in_virtual_time(run()) == pytest.approx(4.0)


def clocks_after(machine: Machine, seconds: float) -> tuple[float, float]:
    """Wall and CPU time within the first step, after it has spent so many seconds."""

    async def run() -> tuple[float, float]:
        def work() -> tuple[float, float]:
            machine.spend(seconds, has_cores=True)
            return machine.clock(), machine.cpu_clock()

        return machine.begin_step(work)[1]

    return run_in_virtual_time(run())


def test_within_a_step_the_clocks_move_on_by_what_was_spent() -> None:
    assert clocks_after(Machine(1), 1.5) == pytest.approx((1.5, 1.5))


def test_heat_costs_cpu_time_and_another_program_only_time() -> None:
    assert clocks_after(Machine(1, [Phase(speed=0.5)]), 1.5) == pytest.approx((3.0, 3.0))
    assert clocks_after(Machine(1, [Phase(other_threads=2)]), 1.5) == pytest.approx((4.5, 1.5))
