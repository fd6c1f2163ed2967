"""Render steps on worker threads: results, order, cancellation and shutdown."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import AsyncIterator, Generator
from functools import partial
from typing import Any

import pytest

from wyoming_tts.errors import EngineFailed, StepTimedOut
from wyoming_tts.scheduler import Scheduler, StepState, StreamClock
from wyoming_tts.thread_pool import INTERRUPTED_SECONDS, MAX_SPARES, OVERDUE_SECONDS, ThreadPool
from wyoming_tts.workers import Preempted, StepwiseRender, Workers


@pytest.fixture
async def workers() -> AsyncIterator[Workers]:
    workers = Workers(Scheduler(slots=1))
    yield workers
    assert await workers.close()


def make_stream(work_since: float = 0.0) -> StreamClock:
    return StreamClock(work_since=work_since)


class Gate:
    """Blocking work that signals when it runs and ends when the gate is opened."""

    def __init__(self) -> None:
        self.running = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._go = threading.Event()

    def __call__(self) -> str:
        self._loop.call_soon_threadsafe(self.running.set)
        self._go.wait(10)
        return "done"

    def open(self) -> None:
        self._go.set()


async def test_a_step_runs_on_a_compute_thread_and_returns_its_result(workers: Workers) -> None:
    name = await workers.run_step(make_stream(), lambda: threading.current_thread().name)
    assert name.startswith("compute-")


async def test_blocking_work_runs_beside_the_compute_threads(workers: Workers) -> None:
    gate = Gate()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(workers.run_step(make_stream(), gate))
        await gate.running.wait()
        name = await workers.run_blocking(lambda: threading.current_thread().name)
        gate.open()
    assert name.startswith("background-")


async def test_an_exception_in_a_step_is_raised_at_the_caller(workers: Workers) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    stream = make_stream()
    with pytest.raises(ZeroDivisionError):
        await workers.run_step(stream, fail)
    assert await workers.run_step(stream, lambda: "works again") == "works again"


async def test_waiting_steps_run_in_deadline_order(workers: Workers) -> None:
    gate, order = Gate(), list[int]()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(workers.run_step(make_stream(), gate))
        await gate.running.wait()
        for due in (3, 1, 2):
            tasks.create_task(workers.run_step(make_stream(due), partial(order.append, due)))
            await asyncio.sleep(0)
        gate.open()
    assert order == [1, 2, 3]


async def test_a_cancelled_waiting_step_never_runs(workers: Workers) -> None:
    gate, ran = Gate(), list[str]()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(workers.run_step(make_stream(), gate))
        await gate.running.wait()
        stream = make_stream()
        waiting = tasks.create_task(workers.run_step(stream, lambda: ran.append("ran")))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        gate.open()
    assert waiting.cancelled()
    assert stream.state is StepState.IDLE
    assert ran == []


async def test_cancelling_a_running_step_waits_for_its_end(workers: Workers) -> None:
    gate = Gate()
    step = asyncio.create_task(workers.run_step(make_stream(), gate))
    await gate.running.wait()
    step.cancel()
    await asyncio.sleep(0)
    step.cancel()
    await asyncio.sleep(0)
    assert not step.done()
    gate.open()
    await asyncio.wait([step])
    assert step.cancelled()
    assert await workers.run_step(make_stream(), lambda: "the slot is free") == "the slot is free"


async def test_a_step_cancelled_when_it_is_chosen_frees_its_slot(workers: Workers) -> None:
    chosen = asyncio.create_task(workers.run_step(make_stream(), lambda: None))
    await asyncio.sleep(0)  # it is chosen, but has not resumed yet
    chosen.cancel()
    await asyncio.wait([chosen])
    assert await workers.run_step(make_stream(), lambda: "free") == "free"


async def test_a_render_is_closed_when_its_listener_leaves(workers: Workers) -> None:
    closed = threading.Event()

    def endless() -> Generator[int, None, None]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    async with StepwiseRender(workers, make_stream(), endless()) as steps:
        assert await anext(steps) == 1
    assert closed.is_set()


async def test_a_render_ends_with_its_generator(workers: Workers) -> None:
    async with StepwiseRender(workers, make_stream(), (number for number in range(3))) as steps:
        assert [number async for number in steps] == [0, 1, 2]


async def test_close_returns_false_when_a_step_exceeds_the_timeout() -> None:
    workers = Workers(Scheduler(slots=1))
    gate = Gate()
    step = asyncio.create_task(workers.run_step(make_stream(), gate))
    await gate.running.wait()
    assert not await workers.close(timeout=0.01)
    gate.open()
    assert await step == "done"


async def test_a_step_knows_whether_it_may_use_several_cores() -> None:
    workers = Workers(Scheduler(slots=2, multicore_slots=2))
    alone = StreamClock(work_since=0.0, shares_cores=True)
    assert await workers.run_step(alone, workers.has_cores)
    streams = [StreamClock(work_since=0.0, shares_cores=True) for _ in range(3)]
    assert not any(await asyncio.gather(*(workers.run_step(stream, workers.has_cores) for stream in streams)))
    assert workers.has_cores()
    assert await workers.close()


async def test_a_step_that_does_not_end_lets_others_run_and_is_given_up() -> None:
    workers = Workers(Scheduler(slots=2, multicore_slots=2), step_seconds=60)
    gate, stream = Gate(), make_stream()
    endless = asyncio.create_task(workers.run_step(stream, gate))
    await gate.running.wait()
    other = asyncio.create_task(workers.run_step(make_stream(), lambda: "heard"))
    await asyncio.sleep(0)
    assert not other.done(), "the step has all cores"
    workers._compute.check(OVERDUE_SECONDS)
    assert await other == "heard"
    workers._compute.check(60)
    workers._compute.check(INTERRUPTED_SECONDS)
    with pytest.raises(StepTimedOut, match="60 s") as raised:
        await endless
    assert raised.value.is_abandoned
    assert stream.state is StepState.IDLE
    assert await workers.run_step(stream, lambda: "the stream may go on") == "the stream may go on"
    gate.open()


async def test_a_step_that_waits_for_a_core_is_not_given_up() -> None:
    cpu_seconds = 0.0
    make_pool = partial(ThreadPool, make_cpu_clock=lambda: lambda: cpu_seconds)
    workers = Workers(Scheduler(slots=1), step_seconds=60, make_pool=make_pool)
    gate = Gate()
    step = asyncio.create_task(workers.run_step(make_stream(), gate))
    await gate.running.wait()
    for _ in range(100):
        cpu_seconds += 0.1
        workers._compute.check(1)
    gate.open()
    assert await step == "done"
    assert await workers.close(5.0)


async def test_a_render_whose_step_was_abandoned_is_left_alone() -> None:
    workers = Workers(Scheduler(slots=1), step_seconds=60)
    gate = Gate()

    def endless() -> Generator[str, None, None]:
        yield gate()

    async with StepwiseRender(workers, make_stream(), endless()) as steps:
        step = asyncio.ensure_future(anext(steps))
        await gate.running.wait()
        workers._compute.check(60)
        workers._compute.check(INTERRUPTED_SECONDS)
        with pytest.raises(StepTimedOut):
            await step
    gate.open()
    assert await workers.close(5.0)


async def test_without_any_thread_left_a_step_fails_at_once() -> None:
    workers = Workers(Scheduler(slots=1), step_seconds=1)
    gates = [Gate() for _ in range(MAX_SPARES + 1)]
    for gate in gates:
        step = asyncio.create_task(workers.run_step(make_stream(), gate))
        await gate.running.wait()
        workers._compute.check(OVERDUE_SECONDS)
        workers._compute.check(INTERRUPTED_SECONDS)
        with pytest.raises(StepTimedOut):
            await step
    with pytest.raises(EngineFailed, match=r"Restart the server"):
        await workers.run_step(make_stream(), lambda: None)
    for gate in gates:
        gate.open()


class EndlessStep:
    """Work that goes on until it is interrupted, and then fails, as a model's run does."""

    def __init__(self, workers: Workers) -> None:
        self.running = asyncio.Event()
        self.times = 0
        self._workers = workers
        self._loop = asyncio.get_running_loop()

    def __call__(self) -> str:
        self.times += 1
        ended = threading.Event()
        with self._workers.interruptible(ended.set):
            self._loop.call_soon_threadsafe(self.running.set)
            assert ended.wait(10)
        raise EngineFailed("The model failed: terminated.")


class TestPreemptibleSteps:
    @pytest.fixture
    def background(self) -> StreamClock:
        return StreamClock(work_since=0.0, in_background=True)

    async def test_its_result_is_returned(self, workers: Workers, background: StreamClock) -> None:
        assert await workers.run_preemptible_step(background, lambda: "learned") == "learned"

    async def test_a_listeners_step_interrupts_it_at_once(
        self, workers: Workers, background: StreamClock
    ) -> None:
        endless = EndlessStep(workers)
        learning = asyncio.create_task(workers.run_preemptible_step(background, endless))
        await endless.running.wait()
        assert await workers.run_step(make_stream(), lambda: "heard") == "heard"
        with pytest.raises(Preempted):
            await learning

    async def test_another_step_in_the_background_does_not(
        self, workers: Workers, background: StreamClock
    ) -> None:
        gate = Gate()
        learning = asyncio.create_task(workers.run_preemptible_step(background, gate))
        await gate.running.wait()
        warming_up = StreamClock(work_since=0.0, in_background=True)
        other = asyncio.create_task(workers.run_step(warming_up, lambda: "warm"))
        gate.open()
        assert (await learning, await other) == ("done", "warm")

    async def test_one_that_has_not_begun_yet_never_does(
        self, workers: Workers, background: StreamClock
    ) -> None:
        gate, endless = Gate(), EndlessStep(workers)
        before = asyncio.create_task(workers.run_step(StreamClock(0.0, in_background=True), gate))
        await gate.running.wait()
        learning = asyncio.create_task(workers.run_preemptible_step(background, endless))
        await asyncio.sleep(0)
        workers.make_way()
        gate.open()
        with pytest.raises(Preempted):
            await learning
        assert await before == "done"
        assert endless.times == 0

    async def test_one_that_ends_all_the_same_has_its_result(
        self, workers: Workers, background: StreamClock
    ) -> None:
        gate = Gate()
        learning = asyncio.create_task(workers.run_preemptible_step(background, gate))
        await gate.running.wait()
        workers.make_way()
        gate.open()
        assert await learning == "done"

    async def test_its_own_failure_is_raised(self, workers: Workers, background: StreamClock) -> None:
        def fail() -> None:
            raise EngineFailed("The model failed.")

        with pytest.raises(EngineFailed, match="The model failed"):
            await workers.run_preemptible_step(background, fail)

    async def test_it_is_interrupted_at_once_when_it_is_cancelled(self, background: StreamClock) -> None:
        def make_pool(name: str, count: int, *, cancel_seconds: float) -> ThreadPool:
            del cancel_seconds  # nothing else interrupts it
            return ThreadPool(name, count, cancel_seconds=math.inf)

        workers = Workers(Scheduler(slots=1), make_pool=make_pool)
        endless = EndlessStep(workers)
        learning = asyncio.create_task(workers.run_preemptible_step(background, endless))
        await endless.running.wait()
        learning.cancel()
        with pytest.raises(asyncio.CancelledError):
            await learning
        assert await workers.close()

    async def test_one_that_does_not_end_is_no_interruption(self, background: StreamClock) -> None:
        pools: list[ThreadPool] = []

        def make_pool(*args: Any, **options: Any) -> ThreadPool:
            pools.append(ThreadPool(*args, **options))
            return pools[-1]

        workers = Workers(Scheduler(slots=1), step_seconds=10.0, make_pool=make_pool)
        gate = Gate()
        learning = asyncio.create_task(workers.run_preemptible_step(background, gate))
        await gate.running.wait()
        workers.make_way()
        for _ in range(3):
            pools[0].check(100.0)
        with pytest.raises(StepTimedOut):
            await learning
        gate.open()
        await workers.close()

    async def test_it_is_quiet_from_the_end_of_the_last_listeners_step(self, background: StreamClock) -> None:
        now = [100.0]
        workers = Workers(Scheduler(slots=1), clock=lambda: now[0])

        def take_a_second() -> float:
            now[0] += 1.0
            return workers.quiet_seconds()

        assert await workers.run_step(make_stream(), take_a_second) == 0.0
        now[0] += 3.0
        assert await workers.run_preemptible_step(background, take_a_second) == 4.0
        workers.make_way()
        assert workers.quiet_seconds() == 0.0
        assert await workers.close()
