"""Threads whose work does not end: replaced, interrupted, abandoned. Seconds are counted, not waited."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable

import pytest

from wyoming_tts.thread_pool import (
    BLOCKED_SHARE,
    INTERRUPTED_SECONDS,
    MAX_SPARES,
    MAX_STRETCH,
    OVERDUE_SECONDS,
    AllThreadsStuck,
    ThreadPool,
    WorkTimedOut,
    cpu_clock_of_this_thread,
)

CANCEL_SECONDS = 1.0


class Stuck:
    """Work that ends when it is released, which an interrupt may do."""

    def __init__(self, pool: ThreadPool, *, ends_when_interrupted: bool = False) -> None:
        self.running = asyncio.Event()
        self.thread = ""
        self._pool = pool
        self._ends_when_interrupted = ends_when_interrupted
        self._loop = asyncio.get_running_loop()
        self._end = threading.Event()
        self.is_interrupted = False

    def __call__(self) -> str:
        self.thread = threading.current_thread().name
        with self._pool.interruptible(self._interrupt):
            self._loop.call_soon_threadsafe(self.running.set)
            self._end.wait(10)
        if self.is_interrupted and self._ends_when_interrupted:
            raise RuntimeError("terminated")
        return "done"

    def release(self) -> None:
        self._end.set()

    def _interrupt(self) -> None:
        self.is_interrupted = True
        if self._ends_when_interrupted:
            self._end.set()


class Machine:
    """A pool on a machine that gives its threads a share of a core."""

    def __init__(self) -> None:
        self._cpu_seconds = 0.0
        self.pool = ThreadPool(
            "test", 1, cancel_seconds=CANCEL_SECONDS, make_cpu_clock=lambda: lambda: self._cpu_seconds
        )

    def run(self, seconds: float, *, share: float) -> None:
        """Have that much time pass, with a check every second."""
        for _ in range(int(seconds)):
            self._cpu_seconds += share
            self.pool.check(1)


@pytest.fixture
async def machine() -> AsyncIterator[Machine]:
    machine = Machine()
    yield machine
    await machine.pool.close(5.0)


@pytest.fixture
async def pool() -> AsyncIterator[ThreadPool]:
    pool = ThreadPool("test", 1, cancel_seconds=CANCEL_SECONDS)
    yield pool
    await pool.close(5.0)


def thread_name() -> str:
    return threading.current_thread().name


async def test_work_that_takes_long_is_replaced_and_goes_on(pool: ThreadPool) -> None:
    stuck, replaced = Stuck(pool), list[str]()
    running = asyncio.create_task(pool.run(stuck, on_overdue=lambda: replaced.append("replaced")))
    await stuck.running.wait()
    waiting = asyncio.create_task(pool.run(thread_name))
    pool.check(OVERDUE_SECONDS - 1)
    assert not replaced
    pool.check(1)
    assert replaced == ["replaced"]
    other = await waiting
    assert other != stuck.thread
    stuck.release()
    assert await running == "done"
    assert {await pool.run(thread_name) for _ in range(3)} == {other}, "the first thread has left"


async def test_work_over_its_limit_is_interrupted(pool: ThreadPool) -> None:
    stuck = Stuck(pool, ends_when_interrupted=True)
    running = asyncio.create_task(pool.run(stuck, limit=60))
    await stuck.running.wait()
    pool.check(59)
    assert not stuck.is_interrupted
    pool.check(1)
    assert stuck.is_interrupted
    with pytest.raises(WorkTimedOut) as raised:
        await running
    assert not raised.value.is_abandoned
    assert await pool.run(lambda: "works again") == "works again"


@pytest.mark.parametrize(
    ("share", "seconds"),
    [
        pytest.param(1, 60, id="it has a core"),
        pytest.param(0.25, 240, id="others have the core three quarters of the time"),
        pytest.param(1 / 512, MAX_STRETCH * 60, id="others have the core nearly all of the time"),
        pytest.param(0, 60, id="it is blocked"),
        pytest.param(BLOCKED_SHARE / 4, 60, id="it hardly ran"),
    ],
)
async def test_the_limit_counts_what_work_computes(machine: Machine, share: float, seconds: float) -> None:
    stuck = Stuck(machine.pool, ends_when_interrupted=True)
    running = asyncio.create_task(machine.pool.run(stuck, limit=60))
    await stuck.running.wait()
    machine.run(seconds - 1, share=share)
    assert not stuck.is_interrupted
    machine.run(1, share=share)
    assert stuck.is_interrupted
    with pytest.raises(WorkTimedOut):
        await running


async def test_time_blocked_and_time_computed_add_up(machine: Machine) -> None:
    stuck = Stuck(machine.pool, ends_when_interrupted=True)
    running = asyncio.create_task(machine.pool.run(stuck, limit=60))
    await stuck.running.wait()
    machine.run(40, share=0)
    machine.run(39, share=0.5)
    assert not stuck.is_interrupted
    machine.run(1, share=0.5)
    assert stuck.is_interrupted
    with pytest.raises(WorkTimedOut):
        await running


async def test_earlier_work_of_its_thread_does_not_count(machine: Machine) -> None:
    for _ in range(2):
        stuck = Stuck(machine.pool)
        running = asyncio.create_task(machine.pool.run(stuck, limit=60))
        await stuck.running.wait()
        machine.run(59, share=1)
        stuck.release()
        assert await running == "done"
    assert not stuck.is_interrupted


async def test_others_run_beside_work_that_waits_for_a_core(machine: Machine) -> None:
    stuck, replaced = Stuck(machine.pool), list[str]()
    running = asyncio.create_task(machine.pool.run(stuck, on_overdue=lambda: replaced.append("replaced")))
    await stuck.running.wait()
    machine.run(OVERDUE_SECONDS, share=0.1)
    assert replaced == ["replaced"]
    stuck.release()
    assert await running == "done"


async def test_interrupted_work_that_waits_for_a_core_is_not_abandoned(machine: Machine) -> None:
    stuck = Stuck(machine.pool)
    running = asyncio.create_task(machine.pool.run(stuck, limit=60))
    await stuck.running.wait()
    machine.run(60, share=1)
    assert stuck.is_interrupted
    machine.run(2 * INTERRUPTED_SECONDS - 1, share=0.5)
    await asyncio.sleep(0)
    assert not running.done()
    machine.run(1, share=0.5)
    with pytest.raises(WorkTimedOut) as raised:
        await running
    assert raised.value.is_abandoned
    stuck.release()


async def test_a_thread_that_has_ended_is_not_asked_for_its_time() -> None:
    """Between the end of work and the event loop's notice of it, a check may find its thread gone."""
    threads = list[threading.Thread]()

    def make_clock() -> Callable[[], float]:
        thread = threading.current_thread()
        threads.append(thread)

        def clock() -> float:
            if not thread.is_alive():
                raise OSError("Invalid argument")
            return 0.0

        return clock

    pool = ThreadPool("test", 1, cancel_seconds=CANCEL_SECONDS, make_cpu_clock=make_clock)
    stuck = Stuck(pool)
    running = asyncio.create_task(pool.run(stuck))
    await stuck.running.wait()
    pool.check(OVERDUE_SECONDS)
    stuck.release()
    threads[0].join(10)  # on the event loop, which so notices nothing
    pool.check(1)
    assert await running == "done"
    assert await pool.close(5.0)


def test_a_threads_cpu_clock_counts_its_own_work_on_any_other_thread() -> None:
    clocks = list[Callable[[], float]]()
    is_ready, is_measured = threading.Event(), threading.Event()

    def work() -> None:
        clocks.append(cpu_clock_of_this_thread())
        while time.thread_time() < 0.02:
            pass
        is_ready.set()
        is_measured.wait(10)

    thread = threading.Thread(target=work)
    thread.start()
    assert is_ready.wait(10)
    own = clocks[0]()
    end = time.thread_time() + 0.02
    while time.thread_time() < end:
        pass
    later = clocks[0]()
    is_measured.set()
    thread.join()
    assert own >= 0.02
    assert later - own < 0.02, "what this thread computed is not in it"


def test_without_such_a_clock_wall_time_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(time, "pthread_getcpuclockid", raising=False)
    assert cpu_clock_of_this_thread() is time.monotonic


async def test_interrupted_work_begins_no_further_call(pool: ThreadPool) -> None:
    stuck = Stuck(pool, ends_when_interrupted=True)
    begun = list[str]()

    def work() -> None:
        try:
            stuck()
        except RuntimeError:
            with pool.interruptible(lambda: None):
                begun.append("begun")

    running = asyncio.create_task(pool.run(work, limit=1))
    await stuck.running.wait()
    pool.check(1)
    with pytest.raises(WorkTimedOut):
        await running
    assert not begun


async def test_work_that_ignores_the_interrupt_is_abandoned(pool: ThreadPool) -> None:
    stuck = Stuck(pool)
    running = asyncio.create_task(pool.run(stuck, limit=60))
    await stuck.running.wait()
    pool.check(60)
    pool.check(INTERRUPTED_SECONDS - 1)
    assert stuck.is_interrupted
    assert not running.done()
    pool.check(1)
    with pytest.raises(WorkTimedOut) as raised:
        await running
    assert raised.value.is_abandoned
    assert await pool.run(lambda: "others go on") == "others go on"
    assert not await pool.close(0.1), "the abandoned thread still runs"
    stuck.release()


async def test_cancelled_work_is_interrupted_after_a_while_and_waited_for(pool: ThreadPool) -> None:
    stuck = Stuck(pool, ends_when_interrupted=True)
    running = asyncio.create_task(pool.run(stuck))
    await stuck.running.wait()
    pool.check(2)
    running.cancel()
    await asyncio.sleep(0)
    pool.check(CANCEL_SECONDS / 2)
    assert not stuck.is_interrupted
    assert not running.done()
    pool.check(CANCEL_SECONDS / 2)
    assert stuck.is_interrupted
    await asyncio.wait([running])
    assert running.cancelled()


async def test_cancelled_work_that_ignores_the_interrupt_is_abandoned(pool: ThreadPool) -> None:
    stuck = Stuck(pool)
    running = asyncio.create_task(pool.run(stuck))
    await stuck.running.wait()
    running.cancel()
    await asyncio.sleep(0)
    pool.check(CANCEL_SECONDS)
    pool.check(INTERRUPTED_SECONDS)
    await asyncio.wait([running])
    assert running.cancelled()
    stuck.release()


async def test_threads_in_place_of_others_are_bounded_and_then_work_fails_at_once(pool: ThreadPool) -> None:
    lost = [Stuck(pool) for _ in range(MAX_SPARES + 1)]
    for stuck in lost:
        running = asyncio.create_task(pool.run(stuck, limit=OVERDUE_SECONDS))
        await stuck.running.wait()
        waiting = asyncio.create_task(pool.run(lambda: "next")) if stuck is lost[-1] else None
        await asyncio.sleep(0)
        pool.check(OVERDUE_SECONDS)
        pool.check(INTERRUPTED_SECONDS)
        with pytest.raises(WorkTimedOut):
            await running
    assert waiting is not None
    with pytest.raises(AllThreadsStuck):
        await waiting
    with pytest.raises(AllThreadsStuck):
        await pool.run(lambda: "refused")
    lost[-1].release()
    await _until_it_works(pool)
    for stuck in lost:
        stuck.release()


async def _until_it_works(pool: ThreadPool) -> None:
    """A thread that comes back serves again."""
    async with asyncio.timeout(5):
        while True:
            try:
                assert await pool.run(lambda: "back") == "back"
            except AllThreadsStuck:
                await asyncio.sleep(0)
            else:
                return


async def test_waiting_work_gets_no_older(pool: ThreadPool) -> None:
    stuck = Stuck(pool)
    running = asyncio.create_task(pool.run(stuck))
    await stuck.running.wait()
    waiting = asyncio.create_task(pool.run(lambda: "done", limit=1))
    await asyncio.sleep(0)
    pool.check(OVERDUE_SECONDS - 1)
    stuck.release()
    assert (await running, await waiting) == ("done", "done")


async def test_a_machine_that_slept_is_not_taken_for_slow_work() -> None:
    now = [0.0]
    pool = ThreadPool("test", 1, cancel_seconds=CANCEL_SECONDS, clock=lambda: now[0])
    stuck = Stuck(pool)
    running = asyncio.create_task(pool.run(stuck, limit=60))
    await stuck.running.wait()
    now[0] = 3600.0
    pool._check_again()
    assert not stuck.is_interrupted
    stuck.release()
    assert await running == "done"
    assert await pool.close(5.0)


def test_outside_of_the_pool_nothing_is_interrupted() -> None:
    async def main() -> None:
        pool = ThreadPool("test", 1, cancel_seconds=CANCEL_SECONDS)
        with pool.interruptible(lambda: None):
            pass
        assert await pool.close(5.0)

    asyncio.run(main())
