"""An invented machine: cores, their speed as it changes, other programs, and a pool without threads.

A step runs when its thread would begin it, and says by `spend` what it costs; the pool then lets that time
pass on the virtual clock. Within the step `clock` moves on by what was spent, as for a thread.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import cycle
from typing import TypeVar

from wyoming_tts.thread_pool import OVERDUE_SECONDS, ThreadPool, WorkTimedOut

T = TypeVar("T")

MAX_CORES_PER_STEP = 4
"""As `assembly.options` has it: a step gets no more."""

_PARALLEL_SHARE = 0.7
"""Share of a step's work that several cores divide (Amdahl): two cores take 0.65 of the time of one, as was
measured for a medium Piper voice (docs/latency.md), four 0.48."""


@dataclass(frozen=True, slots=True)
class Phase:
    """Some time during which the machine is equally fast."""

    seconds: float = math.inf
    speed: float = 1.0
    """Of every core, relative to the one that costs are told for: heat slows it down."""
    other_threads: int = 0
    """Threads of other programs that compute all the time."""


def do_nothing() -> None:
    """Do nothing about a step that takes long."""


def speedup(cores: int) -> float:
    """Return how much faster a step is that has so many cores to itself than on one."""
    return 1 / ((1 - _PARALLEL_SHARE) + _PARALLEL_SHARE / cores)


@dataclass(slots=True)
class Step:
    """A step being run: what it has cost so far, in seconds on the clock."""

    started: float
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    """Of those, how long its own thread ran."""
    threads: int = 0
    on_done: list[Callable[[float], None]] = field(default_factory=list)


class Machine:
    """Cores that steps run on; the same for all streams."""

    def __init__(self, cores: int, phases: Sequence[Phase] = (Phase(),)) -> None:
        """Build it.

        Args:
            cores: How many there are.
            phases: How fast they are, one phase after the other, and again from the first.
        """
        self.cores = cores
        self.step_seconds = 0.0
        """Time of all steps that ended, as `wyoming_tts_compute_seconds` counts it."""
        self.core_seconds = 0.0
        """Time that their cores computed."""
        self._phases = phases
        self._busy_threads = 0
        self._step: Step | None = None

    @property
    def cores_per_step(self) -> int:
        """Cores of a step that has the machine to itself."""
        return min(MAX_CORES_PER_STEP, self.cores)

    def clock(self) -> float:
        """Return the time in seconds; within a step, what it has spent is added."""
        now = asyncio.get_running_loop().time()
        return now if self._step is None else now + self._step.seconds

    def cpu_clock(self) -> float:
        """Return the CPU time of the running step's thread, in seconds."""
        return self._running_step().cpu_seconds

    def spend(self, seconds: float, *, has_cores: bool) -> None:
        """Compute for so many seconds of one core at full speed, as part of the running step."""
        step = self._running_step()
        step.threads = self.cores_per_step if has_cores else 1
        work = seconds / speedup(step.threads)
        wall, cpu = self._times(work, step.started + step.seconds, self._busy_threads + step.threads)
        step.seconds += wall
        step.cpu_seconds += cpu

    def when_done(self, call: Callable[[float], None]) -> None:
        """Have something called with the time at which the running step ends."""
        self._running_step().on_done.append(call)

    def begin_step(self, work: Callable[[], T]) -> tuple[Step, T]:
        """Run a step's work, which takes no time yet; return what it costs, and its result."""
        self._step = step = Step(self.clock())
        try:
            result = work()
        finally:
            self._step = None
        self._busy_threads += step.threads
        return step, result

    def end_step(self, step: Step) -> None:
        """Free the cores of a step whose time has passed."""
        self._busy_threads -= step.threads
        self.step_seconds += step.seconds
        self.core_seconds += step.cpu_seconds * step.threads
        now = self.clock()
        for call in step.on_done:
            call(now)

    def _running_step(self) -> Step:
        if self._step is None:
            raise RuntimeError("No step is running.")
        return self._step

    def _times(self, work: float, at: float, threads: int) -> tuple[float, float]:
        """Return how long work takes that begins at a time, with so many threads in all, and its CPU time."""
        wall = cpu = 0.0
        for phase in self._phases_from(at):
            share = min(1.0, self.cores / (threads + phase.other_threads))
            seconds = min(phase.seconds, work / (phase.speed * share))
            wall += seconds
            cpu += seconds * share
            if seconds < phase.seconds:
                return wall, cpu
            work -= phase.speed * share * seconds
        raise AssertionError("Phases repeat for ever.")

    def _phases_from(self, at: float) -> Iterator[Phase]:
        """Yield what is left of the phase at a time, and the phases after it."""
        skipped = at % sum(phase.seconds for phase in self._phases)
        for phase in cycle(self._phases):
            if skipped < phase.seconds:
                yield replace(phase, seconds=phase.seconds - skipped)
            skipped = max(0.0, skipped - phase.seconds)


class SimulatedPool(ThreadPool):
    """A pool whose work takes virtual time; the scheduler starts no more of it than there are cores."""

    def __init__(self, name: str, count: int, *, cancel_seconds: float, machine: Machine) -> None:
        """As `ThreadPool`, on a machine; `count` does not matter, as no step waits for a thread."""
        del count
        super().__init__(name, 0, cancel_seconds=cancel_seconds)
        self._cancel_seconds = cancel_seconds
        self._machine = machine

    async def run(
        self,
        work: Callable[[], T],
        *,
        limit: float = math.inf,
        on_overdue: Callable[[], None] = do_nothing,
        on_cancelled: Callable[[], None] = do_nothing,
    ) -> T:
        """As `ThreadPool.run`."""
        step, result = self._machine.begin_step(work)
        loop = asyncio.get_running_loop()
        overdue = loop.call_later(OVERDUE_SECONDS, on_overdue) if step.seconds > OVERDUE_SECONDS else None
        ends_at = loop.time() + min(step.seconds, limit)
        try:
            await asyncio.sleep(ends_at - loop.time())
        except asyncio.CancelledError:
            on_cancelled()
            await asyncio.sleep(min(self._cancel_seconds, ends_at - loop.time()))
            raise
        finally:
            if overdue is not None:
                overdue.cancel()
            self._machine.end_step(step)
        if step.seconds > limit:
            raise WorkTimedOut(is_abandoned=False)
        return result

    async def close(self, timeout: float) -> bool:  # noqa: ASYNC109 - as of the pool that it stands for
        """As `ThreadPool.close`: there is no thread to end."""
        del timeout
        return True


def make_pools(machine: Machine) -> Callable[..., SimulatedPool]:
    """Return what makes the pools of `Workers`."""
    return partial(SimulatedPool, machine=machine)
