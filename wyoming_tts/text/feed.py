"""Text buffer with backpressure, between the client that sends an utterance and the stream that speaks it.

A client may send faster than speech is made. The feed holds a bounded number of characters: above
its high-water mark `put` waits, and with it the transport's reading, until the stream has drained
it to the low-water mark.
"""

from __future__ import annotations

import asyncio
from collections import deque

HIGH_MARK = 32_768
"""Characters: about 35 minutes of speech, far more than any lookahead needs."""
LOW_MARK = 8_192


class TextFeed:
    """An asynchronous iterator over the pieces of text that a producer puts in, in order."""

    def __init__(self, *, high_mark: int = HIGH_MARK, low_mark: int = LOW_MARK) -> None:
        self._pieces: deque[str] = deque()
        self._held = 0
        self._high_mark = high_mark
        self._low_mark = low_mark
        self._closed = False
        self._arrived = asyncio.Event()
        self._drained = asyncio.Event()
        self._drained.set()

    def __repr__(self) -> str:
        return f"<TextFeed held={self._held} closed={self._closed}>"

    @property
    def is_closed(self) -> bool:
        """Whether the text has ended; anything put now is dropped."""
        return self._closed

    async def put(self, text: str) -> None:
        """Add a piece of text; wait while the feed is above its high mark.

        After `close` the text is dropped, as nothing will read it.
        """
        if self._closed or not text:
            return
        self._pieces.append(text)
        self._held += len(text)
        self._arrived.set()
        if self._held > self._high_mark:
            self._drained.clear()
        await self._drained.wait()

    def close(self) -> None:
        """End the text: the iterator stops once it is drained, and a waiting `put` returns."""
        self._closed = True
        self._arrived.set()
        self._drained.set()

    def __aiter__(self) -> TextFeed:
        return self

    async def __anext__(self) -> str:
        while not self._pieces:
            if self._closed:
                raise StopAsyncIteration
            self._arrived.clear()
            await self._arrived.wait()
        piece = self._pieces.popleft()
        self._held -= len(piece)
        if self._held <= self._low_mark:
            self._drained.set()
        return piece
