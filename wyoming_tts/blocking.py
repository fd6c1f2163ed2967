"""The interface for running blocking work off the event loop, for code that has no threads of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol, TypeVar

T = TypeVar("T")


class RunBlocking(Protocol):
    """Runs blocking work away from the event loop; `Workers.run_blocking` is the usual implementation."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]:
        """Return the result of `work()`, or raise what it raised."""
        ...


async def run_uninterrupted(run_blocking: RunBlocking, work: Callable[[], T]) -> T:
    """Run blocking work and await its end even when cancelled, as what it works on is closed next."""
    running = asyncio.ensure_future(run_blocking(work))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        with suppress(Exception):
            await running
        raise
