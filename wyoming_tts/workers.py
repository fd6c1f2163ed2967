"""Worker threads: compute threads run the streams' steps, background threads run everything else that blocks.

These are the only threads of the server. Compute threads run one step of a stream at a time, in the order the
scheduler decides. Background threads take what blocks without being urgent: files, loading models, digests.
Results are handed back to the event loop; only queues are shared with it.

A step cannot be interrupted. A task that is cancelled while its step runs waits for the end of the step, so
that no model is freed and no generator closed under a running thread: cancellation takes effect within one
step. The threads are daemons, because a step that outlasts the timeout at shutdown must not keep the process
alive; `close` reports whether that happened.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Generator
from functools import partial
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from wyoming_tts.scheduler import Scheduler, StepState, StreamClock

T = TypeVar("T")

_WorkItem = tuple[Callable[[], Any] | None, "asyncio.Future[Any]", asyncio.AbstractEventLoop]
"""What to run, and where its result goes; None in place of work ends the thread."""


class _ThreadPool:
    """A fixed number of named threads that take work from one queue."""

    def __init__(self, name: str, count: int) -> None:
        self._items: SimpleQueue[_WorkItem] = SimpleQueue()
        self._threads = [
            threading.Thread(target=self._work, name=f"{name}-{number}", daemon=True)
            for number in range(count)
        ]
        self._closed = False
        for thread in self._threads:
            thread.start()

    async def run(self, work: Callable[[], T]) -> T:
        if self._closed:
            raise RuntimeError("The workers are closed.")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._items.put((work, future, loop))
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await _wait_until_done(future)
            raise

    async def close(self, timeout: float) -> bool:  # noqa: ASYNC109 - the work goes on after it
        if self._closed:
            return True
        self._closed = True
        loop = asyncio.get_running_loop()
        ends = [loop.create_future() for _ in self._threads]
        for end in ends:
            self._items.put((None, end, loop))
        _, still_running = await asyncio.wait(ends, timeout=timeout)
        return not still_running

    def _work(self) -> None:
        while True:
            work, future, loop = self._items.get()
            try:
                _run_and_hand_back(work or _nothing, future, loop)
            except RuntimeError:
                return  # the loop is closed: nothing waits for results any more
            if work is None:
                return
            del work, future  # or the thread would keep the result alive until its next work


def _nothing() -> None:
    return


def _run_and_hand_back(
    work: Callable[[], Any], future: asyncio.Future[Any], loop: asyncio.AbstractEventLoop
) -> None:
    result, failure = None, None
    try:
        result = work()
    except BaseException as error:  # noqa: BLE001 - raised again where the work was handed in
        failure = error
    loop.call_soon_threadsafe(_settle, future, result, failure)


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


class Workers:
    """Runs steps on compute threads and blocking work on background threads."""

    def __init__(
        self,
        scheduler: Scheduler,
        *,
        background_threads: int = 2,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._scheduler = scheduler
        self._clock = clock
        self._alarm: asyncio.TimerHandle | None = None
        self._compute = _ThreadPool("compute", scheduler.slots)
        self._background = _ThreadPool("background", background_threads)
        self._turns: dict[StreamClock, asyncio.Future[None]] = {}
        self._thread_state = threading.local()

    def __repr__(self) -> str:
        return f"<Workers {self._scheduler}>"

    @property
    def scheduler(self) -> Scheduler:
        """Decides which step runs."""
        return self._scheduler

    async def run_step(self, stream: StreamClock, work: Callable[[], T]) -> T:
        """Run `work` on a compute thread when the scheduler chooses the stream; return its result.

        Cancelled while waiting, it returns at once; cancelled while `work` runs, when that has ended.
        """
        await self._wait_for_turn(stream)
        try:
            return await self._compute.run(partial(self._run_with_cores, stream, work))
        finally:
            self._scheduler.step_done(stream, self._clock())
            self._start_ready()

    def has_cores(self) -> bool:
        """Whether the step running on the calling thread may use all cores; engines ask for it."""
        return getattr(self._thread_state, "has_cores", True)

    def _run_with_cores(self, stream: StreamClock, work: Callable[[], T]) -> T:
        self._thread_state.has_cores = stream.has_cores
        return work()

    async def run_blocking(self, work: Callable[[], T]) -> T:
        """Run blocking work on a background thread; return its result."""
        return await self._background.run(work)

    async def close(self, timeout: float = 1.0) -> bool:  # noqa: ASYNC109 - the work goes on after it
        """End the threads after their current work; False if one still runs after `timeout` seconds."""
        if self._alarm is not None:
            self._alarm.cancel()
        ended = await asyncio.gather(self._compute.close(timeout), self._background.close(timeout))
        return all(ended)

    async def _wait_for_turn(self, stream: StreamClock) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._turns[stream] = turn
        self._scheduler.request_step(stream)
        self._start_ready()
        try:
            await turn
        except asyncio.CancelledError:
            self._withdraw(stream)
            raise

    def _withdraw(self, stream: StreamClock) -> None:
        self._turns.pop(stream, None)
        if stream.state is StepState.RUNNING:  # chosen at the moment it was cancelled
            self._scheduler.step_done(stream, self._clock())
            self._start_ready()
        else:
            self._scheduler.withdraw(stream)

    def _start_ready(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        now = self._clock()
        while (decision := self._scheduler.start_next(now)).start is not None:
            turn = self._turns.pop(decision.start)
            if not turn.done():
                turn.set_result(None)
        if decision.wake_at is not None:
            loop = asyncio.get_running_loop()
            self._alarm = loop.call_later(decision.wake_at - now, self._start_ready)


_END = object()


class StepwiseRender(Generic[T]):
    """Iterates asynchronously over a generator on compute threads, one `next()` a step; use `async with`."""

    def __init__(self, workers: Workers, stream: StreamClock, steps: Generator[T, None, None]) -> None:
        self._workers = workers
        self._stream = stream
        self._steps = steps

    async def __aenter__(self) -> StepwiseRender[T]:
        return self

    async def __aexit__(self, *_: object) -> None:
        # No step runs at this point (see Workers.run_step), and closing a suspended generator is quick.
        self._steps.close()

    def __aiter__(self) -> StepwiseRender[T]:
        return self

    async def __anext__(self) -> T:
        result: Any = await self._workers.run_step(self._stream, lambda: next(self._steps, _END))
        if result is _END:
            raise StopAsyncIteration
        return result  # type: ignore[no-any-return]
