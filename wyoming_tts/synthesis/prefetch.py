"""Prefetch: a bounded buffer that a task of its own fills, so that a source runs ahead of its consumer."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from math import isfinite
from typing import Generic, Self, TypeVar

T = TypeVar("T")


class Prefetch(Generic[T]):
    """Runs an asynchronous generator ahead, as far as there is room; use `async with`.

    The source is asked for an item when the consumer waits for one, or when there is room. It is closed, in
    the task that runs it, when the block ends.
    """

    def __init__(self, source: AsyncGenerator[T, None], *, room_in: Callable[[], float]) -> None:
        """Take the source.

        Args:
            source: Yields the items.
            room_in: Returns after how many seconds another item may be made although nobody waits for it; 0
                for now, infinite for not before something changes. Asked again by then, and after each item
                that is made or taken.
        """
        self._source = source
        self._room_in = room_in
        self._items: deque[T] = deque()
        self._is_wanted = False
        self._is_exhausted = False
        self._error: BaseException | None = None
        self._changed = asyncio.Event()
        self._may_go_on = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        raised = self._error
        self._task.cancel()
        is_cancelled = False
        while not self._task.done():
            try:
                await asyncio.wait({self._task})
            except asyncio.CancelledError:  # the source is closed all the same: a step of it may still run
                is_cancelled = True
        if is_cancelled:
            raise asyncio.CancelledError
        if self._error is not raised and isinstance(self._error, Exception):
            raise self._error  # from closing the source

    def __len__(self) -> int:
        return len(self._items)

    @property
    def is_exhausted(self) -> bool:
        """Whether everything was made; it may not have been taken yet."""
        return self._is_exhausted

    def peek(self) -> T | None:
        """Return the next item, which stays; None if there is none now."""
        return self._items[0] if self._items else None

    def take(self) -> T:
        """Remove and return the next item; there must be one."""
        item = self._items.popleft()
        self._may_go_on.set()
        return item

    def raise_error(self) -> None:
        """Raise what ended the source, if anything did."""
        if self._error is not None:
            raise self._error

    async def wait(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109 - not an error
        """Wait until another item was made, or the source ended; return False if that took too long."""
        self._is_wanted = True
        self._may_go_on.set()
        self._changed.clear()
        if self._is_exhausted:
            return True
        try:
            async with asyncio.timeout(timeout):
                await self._changed.wait()
        except TimeoutError:
            return False
        return True

    async def _run(self) -> None:
        try:
            async with aclosing(self._source) as source:
                await self._wait_for_room()
                async for item in source:
                    self._items.append(item)
                    self._is_wanted = False
                    self._changed.set()
                    await asyncio.sleep(
                        0
                    )  # the consumer first: what it does with the item decides about room
                    await self._wait_for_room()
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - raised where its consumer waits
            self._error = error
        finally:
            self._is_exhausted = True
            self._changed.set()

    async def _wait_for_room(self) -> None:
        while not self._is_wanted and (seconds := self._room_in()) > 0:
            self._may_go_on.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds if isfinite(seconds) else None):
                    await self._may_go_on.wait()
