"""Thread pool with time limits: work that takes long no longer occupies it, work without end is given up.

A thread cannot be killed, so work that does not end is dealt with in stages, checked once a second while any
work is under way:

1. After OVERDUE_SECONDS it is overdue: another thread takes its thread's place, so that other work goes on.
2. At its limit, or soon after its caller was cancelled, it is interrupted: what it registered with
   `interruptible` is called, which makes most blocking calls return.
3. If it still has not ended INTERRUPTED_SECONDS later, it is abandoned: its caller gets WorkTimedOut, and its
   thread, a daemon, ends whenever it can.

The first stage, and the time after a cancellation, are wall time. The limit and the time to end count what
the work used of its thread's CPU time, so that honest work is not stopped on a machine whose cores are taken
by others. Blocked work, which uses none, is counted by wall time. Either way the work has at most
MAX_STRETCH times as much wall time. Where the system tells no thread's CPU time, all is wall time.

The number of threads in place of others is bounded, and so is what can be lost that way.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")

CHECK_SECONDS: Final = 1.0
"""Interval of the checks while work is under way."""
OVERDUE_SECONDS: Final = 5.0
"""Work this long no longer occupies the pool: ordinary work takes a fraction of a second. On slow machines a
step of a large model takes longer; nothing happens to it, others only run beside it."""
INTERRUPTED_SECONDS: Final = 5.0
"""How long interrupted work may take to end: an operator of a model is not interrupted half way."""
BLOCKED_SHARE: Final = 0.0001
"""Work that uses less than this share of a core between two checks did not run, so it is blocked. More would
take work that is short of CPU time for blocked: with eight busy programs on two cores it got 0.2 % in some
seconds."""
MAX_STRETCH: Final = 10.0
"""How many times its limit work may last in wall time, however little CPU time it gets."""
MAX_SPARES: Final = 4
"""Threads that may run in place of others. Each costs memory, and each overdue one a core."""


class Interrupted(Exception):
    """Raised in interrupted work that begins another interruptible call."""


class WorkTimedOut(Exception):
    """Work exceeded its limit and was stopped; or abandoned, if it could not be stopped."""

    def __init__(self, *, is_abandoned: bool) -> None:
        super().__init__()
        self.is_abandoned = is_abandoned


class AllThreadsStuck(Exception):
    """Every thread of the pool runs work that was abandoned."""


def _nothing() -> None:
    return


def cpu_clock_of_this_thread() -> Callable[[], float]:
    """Return a clock of the calling thread's CPU seconds that other threads can read while this one lives.

    It is a clock of wall time where the system has no other: macOS and Windows.
    """
    if not hasattr(time, "pthread_getcpuclockid"):
        return time.monotonic
    return partial(time.clock_gettime, time.pthread_getcpuclockid(threading.get_ident()))


@dataclass(frozen=True, slots=True)
class _Duration:
    """How long work has run, as counted by the checks."""

    wall: float = 0.0
    counted: float = 0.0
    """Seconds that it computed or was blocked, but not those in which it waited for a core."""

    def __add__(self, other: _Duration) -> _Duration:
        return _Duration(self.wall + other.wall, self.counted + other.counted)

    def __sub__(self, other: _Duration) -> _Duration:
        return _Duration(self.wall - other.wall, self.counted - other.counted)

    def reaches(self, limit: float) -> bool:
        """Whether a limit is reached that stretches while cores are scarce."""
        return self.counted >= limit or self.wall >= MAX_STRETCH * limit


class _PoolThread(threading.Thread):
    """A thread of any pool."""


def has_threads(join_seconds: float = 0.1) -> bool:
    """Whether a thread of any pool still runs; those of closed pools get a moment to end."""
    threads = [thread for thread in threading.enumerate() if isinstance(thread, _PoolThread)]
    for thread in threads:
        thread.join(join_seconds)
    return any(thread.is_alive() for thread in threads)


class Interruption:
    """What interrupts work on a thread; shared by that thread and those that may interrupt it."""

    def __init__(self, refusal: type[Exception]) -> None:
        """Raise `refusal` where interrupted work begins another interruptible call."""
        self._refusal = refusal
        self._is_set = False
        self._interrupts: list[Callable[[], None]] = []
        self._lock = threading.Lock()

    @property
    def is_set(self) -> bool:
        """Whether the work was interrupted."""
        return self._is_set

    def interrupt(self) -> None:
        """Make what is interruptible of the work return, now and later."""
        with self._lock:
            self._is_set = True
            interrupts = [*self._interrupts]
        for interrupt in interrupts:
            interrupt()

    @contextmanager
    def interruptible(self, interrupt: Callable[[], None]) -> Iterator[None]:
        """Have the work interrupted by this call during the block.

        Raises:
            Exception: the refusal; the work was interrupted before.
        """
        with self._lock:
            if self._is_set:
                raise self._refusal
            self._interrupts.append(interrupt)
        try:
            yield
        finally:
            with self._lock:
                self._interrupts.remove(interrupt)


class _Work(Generic[T]):
    """Work on its way through the pool; what both the event loop and its thread change is under the lock."""

    def __init__(
        self,
        run: Callable[[], T],
        *,
        limit: float = math.inf,
        on_overdue: Callable[[], None] = _nothing,
        is_last: bool = False,
    ) -> None:
        self.run = run
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[T] = self.loop.create_future()
        self.limit = limit
        self.on_overdue = on_overdue
        self.is_last = is_last
        """Whether its thread ends after it."""
        self.is_started = False
        self.is_abandoned = False
        self.is_overdue = False
        self.interruption = Interruption(Interrupted)
        self.has_ended = False
        self.duration = _Duration()
        self.cancelled_at: _Duration | None = None
        self.interrupted_at: _Duration | None = None
        self._cpu_clock: Callable[[], float] = time.monotonic
        self._cpu_seconds = 0.0
        """What its thread's clock showed at the last check."""
        self._lock = threading.Lock()

    def start(self, cpu_clock: Callable[[], float]) -> None:
        """Note that it starts on the calling thread, whose clock this is."""
        self._cpu_clock = cpu_clock
        self._cpu_seconds = cpu_clock()
        self.is_started = True

    def count(self, seconds: float) -> None:
        """Count more seconds of wall time, and what it made of them."""
        with self._lock:
            if self.has_ended:  # its thread may have ended too, and nothing can read its clock any more
                return
            cpu_seconds = self._cpu_clock()
        used, self._cpu_seconds = cpu_seconds - self._cpu_seconds, cpu_seconds
        is_blocked = used < BLOCKED_SHARE * seconds
        self.duration += _Duration(seconds, seconds if is_blocked else min(used, seconds))

    def mark_overdue(self) -> bool:
        """Have its thread leave the pool after it; False if it has ended in the meantime."""
        with self._lock:
            self.is_overdue = not self.has_ended
            return self.is_overdue

    def mark_ended(self) -> bool:
        """Note that it has ended; return whether another thread has taken its thread's place."""
        with self._lock:
            self.has_ended = True
            return self.is_overdue

    def interrupt(self) -> None:
        """Make it end as soon as it can."""
        self.interrupted_at = self.duration
        self.interruption.interrupt()


class ThreadPool:
    """Named daemon threads that take work from one queue, in order."""

    def __init__(
        self,
        name: str,
        count: int,
        *,
        cancel_seconds: float,
        clock: Callable[[], float] = time.monotonic,
        make_cpu_clock: Callable[[], Callable[[], float]] = cpu_clock_of_this_thread,
    ) -> None:
        """Start the threads.

        Args:
            name: beginning of the threads' names.
            count: how many there are.
            cancel_seconds: how long work goes on after its caller was cancelled, before it is interrupted.
            clock: monotonic time in seconds.
            make_cpu_clock: called on each thread; makes the clock of its CPU seconds.
        """
        self._name = name
        self._cancel_seconds = cancel_seconds
        self._clock = clock
        self._make_cpu_clock = make_cpu_clock
        self._items: SimpleQueue[_Work[Any]] = SimpleQueue()
        self._under_way: set[_Work[Any]] = set()
        self._local = threading.local()
        self._started = 0
        self._spares = MAX_SPARES
        self._replaced_ended = asyncio.Event()
        """Set while no replaced thread still runs its work."""
        self._replaced_ended.set()
        self._stuck = 0
        """Threads without replacement whose work was abandoned."""
        self._timer: asyncio.TimerHandle | None = None
        self._checked_at = 0.0
        self._count = count
        self._closed = False
        for _ in range(count):
            self._start_thread()

    async def run(
        self,
        work: Callable[[], T],
        *,
        limit: float = math.inf,
        on_overdue: Callable[[], None] = _nothing,
        on_cancelled: Callable[[], None] = _nothing,
    ) -> T:
        """Run work on a thread; return its result. Cancelled, it returns when the work has ended.

        Args:
            work: what to run.
            limit: seconds that it may compute or be blocked.
            on_overdue: called on the event loop when another thread has taken its thread's place.
            on_cancelled: called on the event loop when the caller is cancelled while the work is under way.

        Raises:
            WorkTimedOut: it exceeded its limit.
            AllThreadsStuck: no thread is left to run it.
        """
        if self._closed:
            raise RuntimeError("The workers are closed.")
        if self._stuck >= self._count:
            raise AllThreadsStuck
        item = _Work(work, limit=limit, on_overdue=on_overdue)
        self._under_way.add(item)
        self._items.put(item)
        self._schedule_check()
        try:
            return await asyncio.shield(item.future)
        except asyncio.CancelledError:
            item.cancelled_at = item.duration
            on_cancelled()
            await _wait_until_done(item.future)
            raise

    @contextmanager
    def interruptible(self, interrupt: Callable[[], None]) -> Iterator[None]:
        """Have another thread interrupt the calling thread's work by this call, during the block.

        Outside of the pool's threads nothing interrupts the block.

        Raises:
            Interrupted: the work was interrupted before.
        """
        work: _Work[Any] | None = getattr(self._local, "work", None)
        if work is None:
            yield
            return
        with work.interruption.interruptible(interrupt):
            yield

    def check(self, seconds: float) -> None:
        """Count more seconds for all work under way, and deal with what takes too long.

        The seconds are counted rather than measured, so that a machine that slept is not taken for slow work.
        """
        for work in [work for work in self._under_way if work.is_started]:
            work.count(seconds)
            if work.duration.wall >= OVERDUE_SECONDS and not work.is_overdue:
                self._replace_thread(work)
            if work.interrupted_at is not None:
                if (work.duration - work.interrupted_at).reaches(INTERRUPTED_SECONDS):
                    self._abandon(work)
            elif self._is_over(work):
                work.interrupt()

    async def close(self, timeout: float) -> bool:  # noqa: ASYNC109 - the work goes on after it
        """End the threads after their current work; False if one still runs after `timeout` seconds."""
        if self._closed:
            return not self._under_way
        self._closed = True
        ends = [_Work(_nothing, is_last=True) for _ in range(self._count)]
        for end in ends:
            self._items.put(end)
        replaced_ended = asyncio.create_task(self._replaced_ended.wait())
        awaited: list[asyncio.Future[Any]] = [*(end.future for end in ends), replaced_ended]
        _, still_running = await asyncio.wait(awaited, timeout=timeout)
        replaced_ended.cancel()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return not still_running

    def _start_thread(self) -> None:
        name = f"{self._name}-{self._started}"
        self._started += 1
        _PoolThread(target=self._work, name=name, daemon=True).start()

    def _work(self) -> None:
        cpu_clock = self._make_cpu_clock()
        is_last = False
        while not is_last:
            work = self._local.work = self._items.get()
            work.start(cpu_clock)
            result, failure = _result_of(work.run)
            is_last = work.mark_ended() or work.is_last
            try:
                work.loop.call_soon_threadsafe(self._on_end, work, result, failure)
            except RuntimeError:
                return  # the loop is closed: nothing waits for results any more
            self._local.work = None
            del work, result, failure  # or the thread would keep the result alive until its next work

    def _on_end(self, work: _Work[Any], result: object, failure: BaseException | None) -> None:
        if work.is_overdue:
            self._spares += 1
            if self._spares == MAX_SPARES:
                self._replaced_ended.set()
        elif work.is_abandoned:
            self._stuck -= 1
        self._under_way.discard(work)
        if failure is not None and work.interruption.is_set and work.cancelled_at is None:
            failure = WorkTimedOut(is_abandoned=False)
        _settle(work.future, result, failure)

    def _is_over(self, work: _Work[Any]) -> bool:
        cancelled_at = work.cancelled_at
        if cancelled_at is not None and (work.duration - cancelled_at).wall >= self._cancel_seconds:
            return True
        return work.duration.reaches(work.limit)

    def _replace_thread(self, work: _Work[Any]) -> None:
        if not self._spares or self._closed or not work.mark_overdue():
            return
        self._spares -= 1
        self._replaced_ended.clear()
        self._start_thread()
        work.on_overdue()

    def _abandon(self, work: _Work[Any]) -> None:
        self._under_way.discard(work)
        work.is_abandoned = True
        _settle(work.future, None, WorkTimedOut(is_abandoned=True))
        if not work.is_overdue:
            self._stuck += 1
        if self._stuck >= self._count:
            for waiting in [waiting for waiting in self._under_way if not waiting.is_started]:
                self._under_way.discard(waiting)
                _settle(waiting.future, None, AllThreadsStuck())

    def _schedule_check(self) -> None:
        if self._timer is None:
            self._checked_at = self._clock()
            self._timer = asyncio.get_running_loop().call_later(CHECK_SECONDS, self._check_again)

    def _check_again(self) -> None:
        self._timer = None
        self.check(min(self._clock() - self._checked_at, 2 * CHECK_SECONDS))
        if self._under_way:
            self._schedule_check()


def _result_of(run: Callable[[], T]) -> tuple[T | None, BaseException | None]:
    try:
        return run(), None
    except BaseException as error:  # noqa: BLE001 - raised again where the work was handed in
        return None, error


def _settle(future: asyncio.Future[Any], result: object, failure: BaseException | None) -> None:
    if future.done():
        return
    if failure is None:
        future.set_result(result)
    else:
        future.set_exception(failure)


async def _wait_until_done(future: asyncio.Future[Any]) -> None:
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError:
            continue  # the caller is being cancelled already, and raises when the work is done
    if not future.cancelled():
        future.exception()  # retrieved, or asyncio would log it
