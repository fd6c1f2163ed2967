"""Worker threads: compute threads run the streams' steps, background threads run everything else that blocks.

These are the only threads of the server. Compute threads run one step of a stream at a time, in the order the
scheduler decides. Background threads take what blocks without being urgent: files, loading models, digests.
Results are handed back to the event loop; only queues are shared with it.

A task that is cancelled while its step runs waits for the end of the step, so that no model is freed and no
generator closed under a running thread. A step should take a fraction of a second. One that does not end
stops neither the others nor its task: `thread_pool` says in which stages it is dealt with.

The threads are daemons, because a step that outlasts the timeout at shutdown must not keep the process alive;
`close` reports whether that happened.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, Final, Generic, TypeVar

from wyoming_tts.errors import EngineFailed, StepTimedOut
from wyoming_tts.messages import Message
from wyoming_tts.scheduler import Scheduler, StepState, StreamClock
from wyoming_tts.thread_pool import AllThreadsStuck, Interruption, ThreadPool, WorkTimedOut

_LOGGER = logging.getLogger(__name__)

T = TypeVar("T")

STEP_SECONDS: Final = 60.0
"""Limit of a step: the slowest machine that speaks at all takes half of it for a long sentence of Kokoro.
Time in which others have the cores does not count."""
_CANCELLED_STEP_SECONDS: Final = 1.0
"""How long a step goes on after its listener left: most end by themselves, and interrupting one costs a
message of the engine."""
_CANCELLED_BLOCKING_SECONDS: Final = 60.0
"""The same for blocking work, most of which is about to write a file or to hand over a model."""


def _nothing() -> None:
    return


class Preempted(Exception):
    """A step that can wait was interrupted, because a listener's stream wants to compute."""


class Workers:
    """Runs steps on compute threads and blocking work on background threads."""

    def __init__(
        self,
        scheduler: Scheduler,
        *,
        background_threads: int = 2,
        step_seconds: float = STEP_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        make_pool: Callable[..., ThreadPool] = ThreadPool,
    ) -> None:
        """Start the threads.

        Args:
            scheduler: decides which step runs, and how many at a time.
            background_threads: how many threads run blocking work.
            step_seconds: how long a step may compute or be blocked before it is stopped.
            clock: monotonic time in seconds.
            make_pool: makes the pools of threads; a simulation has its own.
        """
        self._scheduler = scheduler
        self._clock = clock
        self._alarm: asyncio.TimerHandle | None = None
        self._step_seconds = step_seconds
        self._compute = make_pool("compute", scheduler.slots, cancel_seconds=_CANCELLED_STEP_SECONDS)
        self._background = make_pool(
            "background", background_threads, cancel_seconds=_CANCELLED_BLOCKING_SECONDS
        )
        self._turns: dict[StreamClock, asyncio.Future[None]] = {}
        self._thread_state = threading.local()
        self._preemptions: set[Interruption] = set()
        self._listeners_steps = 0
        self._listener_left_at = clock()

    def __repr__(self) -> str:
        return f"<Workers {self._scheduler}>"

    @property
    def scheduler(self) -> Scheduler:
        """Decides which step runs."""
        return self._scheduler

    async def run_step(self, stream: StreamClock, work: Callable[[], T]) -> T:
        """Run `work` on a compute thread when the scheduler chooses the stream; return its result.

        Cancelled while waiting, it returns at once; cancelled while `work` runs, when that has ended.

        Raises:
            StepTimedOut: `work` computed longer than a step may, and was stopped or abandoned.
            EngineFailed: every thread was lost that way.
        """
        if stream.in_background:
            return await self._run_step(stream, work)
        with self._counting_listener():
            return await self._run_step(stream, work)

    @contextmanager
    def _counting_listener(self) -> Iterator[None]:
        self.make_way()
        self._listeners_steps += 1
        try:
            yield
        finally:
            self._listeners_steps -= 1
            self._listener_left_at = self._clock()

    def make_way(self) -> None:
        """Interrupt the steps that can wait: there is a listener, for whom others will follow."""
        self._listener_left_at = self._clock()
        for preemption in self._preemptions:
            preemption.interrupt()

    def quiet_seconds(self) -> float:
        """Return for how long no listener's stream has had a step, or was about to; 0 while one has."""
        return 0.0 if self._listeners_steps else self._clock() - self._listener_left_at

    async def _run_step(
        self, stream: StreamClock, work: Callable[[], T], on_cancelled: Callable[[], None] = _nothing
    ) -> T:
        await self._wait_for_turn(stream)
        try:
            return await self._compute.run(
                partial(self._run_with_cores, stream, work),
                limit=self._step_seconds,
                on_overdue=partial(self._free_slots, stream),
                on_cancelled=on_cancelled,
            )
        except WorkTimedOut as error:
            raise StepTimedOut(self._step_seconds, is_abandoned=error.is_abandoned) from None
        except AllThreadsStuck:
            raise EngineFailed(
                Message(
                    "no_thread_left", "No thread is left to compute: all of them run steps that do not end."
                ),
                hint=Message("restart_see_log", "Restart the server; its log names the voices."),
            ) from None
        finally:
            self._scheduler.step_done(stream, self._clock())
            self._start_ready()

    async def run_preemptible_step(self, stream: StreamClock, work: Callable[[], T]) -> T:
        """As `run_step`, for a stream in the background whose work can wait for all others.

        Cancelled while `work` runs, it interrupts that at once.

        Raises:
            Preempted: a listener's stream wanted to compute before it had ended; nothing came of it.
        """
        preemption = Interruption(Preempted)
        self._preemptions.add(preemption)
        try:
            work = partial(self._run_preemptible, preemption, work)
            return await self._run_step(stream, work, preemption.interrupt)
        except StepTimedOut:
            raise  # it did not end when it was interrupted: it must not be tried again and again
        except Exception:
            if preemption.is_set:
                raise Preempted from None
            raise
        finally:
            self._preemptions.discard(preemption)

    def _run_preemptible(self, preemption: Interruption, work: Callable[[], T]) -> T:
        if preemption.is_set:
            raise Preempted
        self._thread_state.preemption = preemption
        try:
            return work()
        finally:
            self._thread_state.preemption = None

    @contextmanager
    def interruptible(self, interrupt: Callable[[], None]) -> Iterator[None]:
        """Have another thread call `interrupt` if the calling thread's step is stopped during the block."""
        preemption: Interruption | None = getattr(self._thread_state, "preemption", None)
        with ExitStack() as blocks:
            blocks.enter_context(self._compute.interruptible(interrupt))
            if preemption is not None:
                blocks.enter_context(preemption.interruptible(interrupt))
            yield

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

    def _free_slots(self, stream: StreamClock) -> None:
        _LOGGER.debug("A step takes unusually long: others run beside it.")
        self._scheduler.step_overdue(stream)
        self._start_ready()

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

    def __init__(
        self,
        workers: Workers,
        stream: StreamClock,
        steps: Generator[T, None, None],
        *,
        is_preemptible: bool = False,
    ) -> None:
        """Take the generator; `is_preemptible` runs its steps by `Workers.run_preemptible_step`."""
        self._run_step = workers.run_preemptible_step if is_preemptible else workers.run_step
        self._stream = stream
        self._steps = steps

    async def __aenter__(self) -> StepwiseRender[T]:
        return self

    async def __aexit__(self, *_: object) -> None:
        # A step that still runs was abandoned; otherwise closing a suspended generator is quick.
        if inspect.getgeneratorstate(self._steps) != inspect.GEN_RUNNING:
            self._steps.close()

    def __aiter__(self) -> StepwiseRender[T]:
        return self

    async def __anext__(self) -> T:
        result: Any = await self._run_step(self._stream, lambda: next(self._steps, _END))
        if result is _END:
            raise StopAsyncIteration
        return result  # type: ignore[no-any-return]
