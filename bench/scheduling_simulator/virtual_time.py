"""Virtual time: an event loop whose clock jumps to the next timer instead of sleeping.

Nothing may come from outside, no socket and no thread: then the order of all that happens depends on the
timers alone, and is the same in every run.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


_RESOLUTION = 1e-9
"""Seconds, as of the system's clock."""


class DeadlockError(Exception):
    """Every task waits, and no timer will wake one."""


class _JumpingSelector(selectors.SelectSelector):
    """Waits by moving the clock on."""

    def __init__(self, move_on: Callable[[float], None]) -> None:
        super().__init__()
        self._move_on = move_on

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise DeadlockError("Every task waits, and no timer will wake one.")
        self._move_on(max(0.0, timeout))
        return []


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop that starts at 0 s and never sleeps."""

    def __init__(self) -> None:
        self._now = 0.0
        super().__init__(_JumpingSelector(self._move_on))

    def time(self) -> float:
        """Return the virtual time, in seconds."""
        return self._now

    def _move_on(self, seconds: float) -> None:
        # A timer that is nearer than rounding would otherwise be set again and again for the same moment.
        self._now += max(seconds, _RESOLUTION) if seconds else 0.0


def run_in_virtual_time(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end on a loop of its own.

    Raises:
        DeadlockError: it waits for what will never happen.
    """
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)
