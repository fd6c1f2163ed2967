"""Reading request bodies: in full, within limits of size and time, and of memory for all of them together.

A small body has to arrive in time; a large one, for which a slow link needs longer, has to make progress. A
connection counts as idle since the last progress of its body, so that a client with many unfinished bodies
keeps nobody from connecting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from wyoming_tts.transports.connection_limits import ConnectionSlot
from wyoming_tts.transports.http.body_budget import BUDGET, PROGRESS, BodyBudget, IncomingBody
from wyoming_tts.transports.http.guard_request import Receive

_LARGEST_TOGETHER = 4
"""Bodies of the maximum size for which the budget is enough, however large that was set."""


class BodyTooLarge(Exception):
    """A body exceeds its limit of size."""


class BodyTooSlow(Exception):
    """A body did not arrive in time, or stopped arriving."""


class BodyDropped(Exception):
    """A body gave way to others, since all of them together exceeded the budget."""


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """Limits of one body; times are in seconds."""

    max_bytes: int
    timeout: float
    """Within this a small body must arrive, and a large one become large."""
    stall_timeout: float
    """A large body must not be without progress for longer."""


class BodyReader:
    """Reads the bodies of all requests."""

    def __init__(self) -> None:
        self._budget = BodyBudget()
        self.given_up = asyncio.Event()
        """Set whenever a body was dropped or too slow; whoever returns its memory to the system clears it."""

    async def read(
        self, receive: Receive, limits: BodyLimits, *, peer: str | None, slot: ConnectionSlot | None
    ) -> bytes | None:
        """Read a complete body; None if the client has disconnected.

        Args:
            receive: ASGI's function, which yields the body in pieces.
            limits: Limits of this body.
            peer: Address of the client.
            slot: Place of its connection, if that has one.

        Raises:
            BodyTooLarge: it exceeds its limit.
            BodyTooSlow: it did not arrive in time.
            BodyDropped: it had to give way.
        """
        self._budget.budget = max(BUDGET, _LARGEST_TOGETHER * limits.max_bytes)
        reading = _Reading(self._budget, limits, peer)
        with _idle_while(slot, reading.body):
            try:
                return await reading.read(receive)
            except (BodyTooSlow, BodyDropped):
                self.given_up.set()
                raise
            finally:
                self._budget.close(reading.body)
                reading.free()


class _Reading:
    """The reading of one body."""

    def __init__(self, budget: BodyBudget, limits: BodyLimits, peer: str | None) -> None:
        self._budget = budget
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._timer = asyncio.timeout(limits.timeout)
        self._data = bytearray()
        self.body = IncomingBody(peer, self._loop.time(), self._drop)

    async def read(self, receive: Receive) -> bytes | None:
        try:
            async with self._timer:
                while (message := await receive())["type"] == "http.request":
                    self._add(message.get("body", b""))
                    if not message.get("more_body", False):
                        return bytes(self._data)
        except TimeoutError:
            raise self._end() from None
        return None

    def _add(self, piece: bytes) -> None:
        body, limits = self.body, self._limits
        if body.size + len(piece) > limits.max_bytes:
            raise BodyTooLarge(f"The body exceeds the limit of {limits.max_bytes} bytes.")
        self._data += piece
        self._budget.add(body, len(piece), self._loop.time())
        if body.is_dropped:
            raise self._end()
        if body.is_large:
            self._timer.reschedule(body.progressed_at + limits.stall_timeout)

    def free(self) -> None:
        """Free the memory now: the collector of reference cycles may be late by minutes."""
        self._data.clear()

    def _drop(self) -> None:
        self.free()
        if not self._timer.expired():
            self._timer.reschedule(self._loop.time())

    def _end(self) -> BodyDropped | BodyTooSlow:
        if self.body.is_dropped:
            return BodyDropped("Too many large bodies are being received, and this one was slow.")
        limits = self._limits
        if self.body.is_large:
            return BodyTooSlow(f"Got less than {PROGRESS} bytes of the body in {limits.stall_timeout:g} s.")
        return BodyTooSlow(f"Got only a part of the body in {limits.timeout:g} s.")


@contextmanager
def _idle_while(slot: ConnectionSlot | None, body: IncomingBody) -> Iterator[None]:
    """Have a connection count as idle since the last progress of its body."""
    if slot is None:
        yield
        return

    def progressed_at() -> float:
        return body.progressed_at

    served, slot.idle_since = slot.idle_since, progressed_at
    try:
        yield
    finally:
        if slot.idle_since is progressed_at:  # not after the connection was lost
            slot.idle_since = served
