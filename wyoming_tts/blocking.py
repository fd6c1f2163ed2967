"""The interface for running blocking work off the event loop, for code that has no threads of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

T = TypeVar("T")


class RunBlocking(Protocol):
    """Runs blocking work away from the event loop; `Workers.run_blocking` is the usual implementation."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]:
        """Return the result of `work()`, or raise what it raised."""
        ...
