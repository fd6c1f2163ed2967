"""Threads whose work does not end: replaced, interrupted, abandoned. Seconds are counted, not waited."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from wyoming_tts.thread_pool import (
    INTERRUPTED_SECONDS,
    MAX_SPARES,
    OVERDUE_SECONDS,
    AllThreadsStuck,
    ThreadPool,
    WorkTimedOut,
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
