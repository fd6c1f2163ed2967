"""A worker thread that is busy for as long as a test wants."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class HeldWorker:
    """Runs blocking work after `go_on` is set; what happens is noted in `done`."""

    def __init__(self) -> None:
        self.in_use = asyncio.Event()
        self.go_on = asyncio.Event()
        self.done: list[str] = []

    async def run(self, work: Callable[[], T], /) -> T:
        self.in_use.set()
        await self.go_on.wait()
        self.done.append("worked")
        return work()
