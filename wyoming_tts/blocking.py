"""How a part that may not have threads of its own gets blocking work done elsewhere."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

T = TypeVar("T")


class RunBlocking(Protocol):
    """Runs work that blocks away from the event loop; `Workers.run_blocking` is one."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]:
        """Give the result of `work()`, or raise what it raised."""
        ...
