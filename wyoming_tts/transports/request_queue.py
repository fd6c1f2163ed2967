"""Request queue of a connection: bounded, of the requests that are not answered yet.

A connection has two tasks: the reader queues requests, and the responder answers them in order. A request can
be stopped at any time until it is answered: it then stops playing at once, or never starts. When the queue is
full, a protocol either stops reading (`put` waits) or refuses (`has_room_for`).
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import deque
from collections.abc import AsyncIterator, Iterator
from typing import Generic, TypeVar

from wyoming_tts.errors import EngineFailed, SpeechError
from wyoming_tts.messages import Message
from wyoming_tts.speech import Utterance
from wyoming_tts.text.feed import TextFeed


class RequestCanceled(Exception):
    """The client cancelled the request."""


class PendingRequest:
    """A speech request, from its arrival to the end of its answer."""

    def __init__(self, utterance: Utterance, feed: TextFeed, *, characters: int = 0) -> None:
        """Create a request; `characters` of its text are known already, more may come through the feed."""
        self.utterance = utterance
        self.feed = feed
        self.characters = characters
        self.stopped_by: SpeechError | RequestCanceled | None = None
        """Why it was stopped. Set at most once."""
        self._scope: asyncio.Timeout | None = None

    @property
    def is_stopped(self) -> bool:
        """Whether it was stopped before its end."""
        return self.stopped_by is not None

    @property
    def error(self) -> SpeechError | None:
        """The error to report to the client; None if it was cancelled or did not fail."""
        return self.stopped_by if isinstance(self.stopped_by, SpeechError) else None

    async def add(self, text: str) -> None:
        """Append text; waits while the feed is full."""
        self.characters += len(text)
        await self.feed.put(text)

    def stop(self, reason: SpeechError | RequestCanceled) -> None:
        """Stop it, now or as soon as it would start. If called again, the first reason stands."""
        self.feed.close()
        if self.stopped_by is None:
            self.stopped_by = reason
            expire_timeout(self._scope)

    @contextlib.asynccontextmanager
    async def until_stopped(self) -> AsyncIterator[None]:
        """Cancel the block when `stop` is called.

        Raises:
            RequestCanceled, SpeechError: the reason it was stopped by, before or after the block.
            EngineFailed: what the block awaits was cancelled, though neither `stop` nor anybody who
                cancels this task asked for it.
        """
        try:
            async with asyncio.timeout(None) as self._scope:
                self._raise_reason()
                with _translate_stray_cancellation():
                    yield
        except Exception:
            self._raise_reason()
            raise
        finally:
            self._scope = None
        self._raise_reason()

    def _raise_reason(self) -> None:
        if self.stopped_by is not None:
            raise self.stopped_by


RequestT = TypeVar("RequestT", bound=PendingRequest)


class RequestQueue(Generic[RequestT]):
    """A bounded queue of a connection's unanswered requests; iteration ends after `close`."""

    def __init__(self, max_waiting: int, *, max_characters: float = math.inf) -> None:
        """Bound the waiting requests and the characters of their texts, which a single request may exceed."""
        self._max_waiting = max_waiting
        self._max_characters = max_characters
        self._waiting: deque[RequestT] = deque()
        self._closed = False
        self._arrived = asyncio.Event()
        self._left = asyncio.Event()
        self.current: RequestT | None = None
        """The request that is being answered."""

    def __repr__(self) -> str:
        return f"<RequestQueue waiting={len(self)} current={self.current is not None} closed={self._closed}>"

    def __len__(self) -> int:
        """The number of waiting requests, without the current one."""
        return len(self._waiting)

    def unanswered(self) -> list[RequestT]:
        """The current request and the waiting ones, in order."""
        return [*([self.current] if self.current else []), *self._waiting]

    @property
    def is_closed(self) -> bool:
        """Whether it takes no more requests."""
        return self._closed

    def has_room_for(self, request: RequestT) -> bool:
        """Whether a request fits without waiting."""
        if not self._waiting:
            return self._max_waiting > 0
        characters = request.characters + sum(waiting.characters for waiting in self._waiting)
        return len(self._waiting) < self._max_waiting and characters <= self._max_characters

    async def put(self, request: RequestT) -> None:
        """Add a request at the end; waits while the queue is full."""
        while not self.has_room_for(request):
            self._left.clear()
            await self._left.wait()
        self._waiting.append(request)
        self._arrived.set()

    def remove(self, request: RequestT) -> bool:
        """Remove a waiting request; return False if it is not waiting."""
        if request not in self._waiting:
            return False
        self._waiting.remove(request)
        self._left.set()
        return True

    def clear(self) -> list[RequestT]:
        """Remove all waiting requests and return them."""
        waiting = list(self._waiting)
        self._waiting.clear()
        self._left.set()
        return waiting

    def close(self) -> None:
        """Take no more requests; iteration ends after those that are waiting."""
        self._closed = True
        self._arrived.set()

    def finish_current(self) -> None:
        """Mark the current request as answered."""
        self.current = None

    def __aiter__(self) -> RequestQueue[RequestT]:
        return self

    async def __anext__(self) -> RequestT:
        while not self._waiting:
            if self._closed:
                raise StopAsyncIteration
            self._arrived.clear()
            await self._arrived.wait()
        self._left.set()
        self.current = self._waiting.popleft()
        return self.current


def expire_timeout(scope: asyncio.Timeout | None) -> None:
    """Make a timeout scope expire now."""
    if scope is not None and not scope.expired():
        scope.reschedule(asyncio.get_running_loop().time())


@contextlib.contextmanager
def _translate_stray_cancellation() -> Iterator[None]:
    """Turn a cancellation that nobody requested of this task into a failure of what it awaits."""
    try:
        yield
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise EngineFailed(
            Message("engine_aborted", "The engine aborted the request."),
            hint=Message("see_server_log", "The server's log has the details."),
        ) from error
