"""What a Wyoming client has asked for and not got yet.

A request waits here for its turn. It can fail at any time before its answer is complete: then
speaking it stops at once, or does not begin.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator

from wyoming_tts.errors import SpeechError
from wyoming_tts.speech import Utterance
from wyoming_tts.text.feed import TextFeed
from wyoming_tts.transports.wyoming_protocol import Closing, Speak

TRANSPORT = "wyoming"


class Pending:
    """An utterance between its request and the end of its answer."""

    def __init__(self, speak: Speak | None, closing: Closing, *, failure: SpeechError | None = None) -> None:
        self.closing = closing
        self.failure = failure
        """Set once: why it is not spoken, or not to its end."""
        self.feed = TextFeed()
        """Its text, if the client sends it piece by piece."""
        self.utterance = self._utterance(speak)
        self._speaking: asyncio.Timeout | None = None

    @classmethod
    def of(cls, speak: Speak) -> Pending:
        """A request that can be spoken."""
        return cls(speak, speak.closing)

    @classmethod
    def refused(cls, error: SpeechError, closing: Closing) -> Pending:
        """A request that is answered with an error, when its turn comes."""
        return cls(None, closing, failure=error)

    def _utterance(self, speak: Speak | None) -> Utterance:
        if speak is None:
            return Utterance(self.feed, transport=TRANSPORT)
        if speak.text is None:
            return Utterance(self.feed, speak.voice, text_format=speak.text_format, transport=TRANSPORT)
        return Utterance.of(speak.text, voice=speak.voice, text_format=speak.text_format, transport=TRANSPORT)

    def fail(self, error: SpeechError) -> None:
        """Stop speaking it, now or as soon as it would begin. Of several reasons the first counts."""
        if self.failure is not None:
            return
        self.failure = error
        expire(self._speaking)

    @contextlib.asynccontextmanager
    async def unless_failed(self) -> AsyncIterator[None]:
        """Run the block until `fail` is called, and raise what it was called with."""
        try:
            async with asyncio.timeout(None) as self._speaking:
                self._raise_failure()
                yield
        except Exception:
            self._raise_failure()
            raise
        finally:
            self._speaking = None
        self._raise_failure()

    def _raise_failure(self) -> None:
        if self.failure is not None:
            raise self.failure


class Backlog:
    """What a client has asked for and not got yet, in order; iterating ends after `close`."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._pending: deque[Pending] = deque()
        self._closed = False
        self._arrived = asyncio.Event()
        self._taken = asyncio.Event()

    def __len__(self) -> int:
        return len(self._pending)

    async def put(self, pending: Pending) -> None:
        """Add to the end; wait while it is full."""
        while len(self._pending) >= self._room:
            self._taken.clear()
            await self._taken.wait()
        self._pending.append(pending)
        self._arrived.set()

    def close(self) -> None:
        """Nothing more will be put."""
        self._closed = True
        self._arrived.set()

    def __aiter__(self) -> Backlog:
        return self

    async def __anext__(self) -> Pending:
        while not self._pending:
            if self._closed:
                raise StopAsyncIteration
            self._arrived.clear()
            await self._arrived.wait()
        self._taken.set()
        return self._pending.popleft()


def expire(scope: asyncio.Timeout | None) -> None:
    """End a block that runs under a timeout, as if the time were over."""
    if scope is not None and not scope.expired():
        scope.reschedule(asyncio.get_running_loop().time())
