"""Backpressure and pending requests of a connection: a bounded queue of what is not answered yet.

A connection has a task that reads and one that speaks. The first puts requests in here, the second answers
them in order. A request can be stopped at any time before its answer is complete: then speaking it ends at
once, or does not begin. Where there is no room, a protocol either stops reading (`put`) or refuses
(`has_room_for`).
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import deque
from collections.abc import AsyncIterator, Iterator
from typing import Generic, TypeVar

from wyoming_tts.errors import EngineFailed, SpeechError
from wyoming_tts.speech import Utterance
from wyoming_tts.text.feed import TextFeed


class RequestCanceled(Exception):
    """The client does not want to hear any more of it."""


class PendingRequest:
    """A request to speak, between its arrival and the end of its answer."""

    def __init__(self, utterance: Utterance, feed: TextFeed, *, characters: int = 0) -> None:
        """Wait for its turn; `characters` of its text are known, the others come through the feed."""
        self.utterance = utterance
        self.feed = feed
        self.characters = characters
        self.stopped_by: SpeechError | RequestCanceled | None = None
        """Set once: why it is not spoken, or not to its end."""
        self._playing: asyncio.Timeout | None = None

    @property
    def is_stopped(self) -> bool:
        """Whether it is not to be spoken, or not to its end."""
        return self.stopped_by is not None

    @property
    def failure(self) -> SpeechError | None:
        """What the client is to be told of it; None where it was cancelled, or nothing went wrong."""
        return self.stopped_by if isinstance(self.stopped_by, SpeechError) else None

    async def add(self, text: str) -> None:
        """Say this too; waits while the feed is full."""
        self.characters += len(text)
        await self.feed.put(text)

    def stop(self, reason: SpeechError | RequestCanceled) -> None:
        """Stop speaking it, now or as soon as it would begin. Of several reasons the first counts."""
        self.feed.close()
        if self.stopped_by is None:
            self.stopped_by = reason
            expire_timeout(self._playing)

    @contextlib.asynccontextmanager
    async def unless_stopped(self) -> AsyncIterator[None]:
        """Run the block until `stop` is called.

        Raises:
            Canceled, SpeechError: what it was stopped by, before the block or when the block has ended.
            EngineFailed: the block was cancelled by itself; nobody here did that.
        """
        try:
            async with asyncio.timeout(None) as self._playing:
                self._raise_reason()
                with _cancelled_by_others_alone():
                    yield
        except Exception:
            self._raise_reason()
            raise
        finally:
            self._playing = None
        self._raise_reason()

    def _raise_reason(self) -> None:
        if self.stopped_by is not None:
            raise self.stopped_by


PendingT = TypeVar("PendingT", bound=PendingRequest)


class RequestQueue(Generic[PendingT]):
    """The requests of a connection that are not answered yet, in order; iterating ends after `close`."""

    def __init__(self, most: int, *, most_characters: float = math.inf) -> None:
        """Let `most` requests wait, and `most_characters` of their texts, unless it is only one."""
        self._most = most
        self._most_characters = most_characters
        self._waiting: deque[PendingT] = deque()
        self._closed = False
        self._arrived = asyncio.Event()
        self._left = asyncio.Event()
        self.current: PendingT | None = None
        """What is being answered."""

    def __repr__(self) -> str:
        return f"<RequestQueue waiting={len(self)} current={self.current is not None} closed={self._closed}>"

    def __len__(self) -> int:
        """How many wait, without the current one."""
        return len(self._waiting)

    def unanswered(self) -> list[PendingT]:
        """The current one and those that wait."""
        return [*([self.current] if self.current else []), *self._waiting]

    @property
    def is_closed(self) -> bool:
        """Whether nothing more will be put."""
        return self._closed

    def has_room_for(self, pending: PendingT) -> bool:
        """Whether it can be put without waiting."""
        if not self._waiting:
            return self._most > 0
        characters = pending.characters + sum(waiting.characters for waiting in self._waiting)
        return len(self._waiting) < self._most and characters <= self._most_characters

    async def put(self, pending: PendingT) -> None:
        """Add to the end; waits while there is no room."""
        while not self.has_room_for(pending):
            self._left.clear()
            await self._left.wait()
        self._waiting.append(pending)
        self._arrived.set()

    def remove(self, pending: PendingT) -> bool:
        """Take back one that waits; False if it does not."""
        if pending not in self._waiting:
            return False
        self._waiting.remove(pending)
        self._left.set()
        return True

    def clear(self) -> list[PendingT]:
        """Take back all that wait, and return them."""
        waiting = list(self._waiting)
        self._waiting.clear()
        self._left.set()
        return waiting

    def close(self) -> None:
        """Nothing more will be put."""
        self._closed = True
        self._arrived.set()

    def answered(self) -> None:
        """The current one is over."""
        self.current = None

    def __aiter__(self) -> RequestQueue[PendingT]:
        return self

    async def __anext__(self) -> PendingT:
        while not self._waiting:
            if self._closed:
                raise StopAsyncIteration
            self._arrived.clear()
            await self._arrived.wait()
        self._left.set()
        self.current = self._waiting.popleft()
        return self.current


def expire_timeout(scope: asyncio.Timeout | None) -> None:
    """End a block that runs under a timeout, as if the time were over."""
    if scope is not None and not scope.expired():
        scope.reschedule(asyncio.get_running_loop().time())


@contextlib.contextmanager
def _cancelled_by_others_alone() -> Iterator[None]:
    """Take a cancellation that nobody asked this task for as what it is: a failure of what it awaits."""
    try:
        yield
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise EngineFailed("The engine gave up.", hint="The server's log has the details.") from error
