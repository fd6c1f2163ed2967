"""Pacing of input: what clients send is read for a bounded share of the event loop's time.

Reading waits only while there is nothing to read, so a client that sends as fast as it can would keep the
loop to itself. Therefore a connection's reader computes for a millisecond at a time, and pays for it from two
token buckets, in seconds of the loop: its own, and one that all connections share. When either is empty, the
reader rests; unread bytes fill the socket's buffer, and TCP's flow control slows the client down
(backpressure). Nobody is refused or disconnected for sending fast.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

SLICE: Final = 0.001
"""Seconds of computing after which a reader lets others run."""
CONNECTION_SHARE: Final = 0.05
"""Of the loop's time for one connection's input: over 2,000 pieces of text a second, on a Raspberry Pi 500.
A language model writes 200 at the most."""
TOTAL_SHARE: Final = 0.25
"""Of the loop's time for the input of all connections, so that audio has the most of it."""
BURST: Final = 0.1
"""Seconds of the loop that a quiet client has saved up: thousands of messages pass at once."""
RECEIVE_BUFFER: Final = 128 * 1024
"""Bytes in the kernel's receive buffer of a client that sends text. By default it grows to megabytes, which
would be read on for minutes after a client that flooded has gone."""
_PER_BYTE: Final = 1e-9
"""Seconds that the loop has spent on receiving a byte before it is handled here."""
_MAX_CHARGE: Final = 10 * SLICE
"""Of one turn: in a longer one the reader has waited, for a queue or for its client."""


class LoopBudget:
    """Token bucket in seconds of the event loop's time; by default that of all connections."""

    def __init__(self, share: float = TOTAL_SHARE, *, burst: float = BURST) -> None:
        """Fill up by `share` seconds each second, up to `burst`."""
        self._share = share
        self._burst = burst
        self._left = burst
        self._filled_at: float | None = None

    def spend(self, seconds: float, now: float) -> float:
        """Spend at monotonic time `now`, if need be in advance; return the seconds until it is paid off."""
        since = 0.0 if self._filled_at is None else now - self._filled_at
        self._filled_at = now
        self._left = min(self._burst, self._left + since * self._share) - seconds
        return max(0.0, -self._left / self._share)


class InputPace:
    """How fast one connection's input is handled: in turns, after which its reader rests."""

    def __init__(
        self, total: LoopBudget, *, own: LoopBudget | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Pay from the budget of all connections, `total`, and from the connection's own one."""
        self._total = total
        self._own = own or LoopBudget(CONNECTION_SHARE)
        self._clock = clock
        self._began = 0.0
        self._received = 0

    def another_reader(self) -> InputPace:
        """Make the pace of another reader of the same connection, which pays from the same budgets."""
        return InputPace(self._total, own=self._own, clock=self._clock)

    def begin(self, received: int = 0) -> None:
        """Begin a turn, in which so many bytes are handled."""
        self._began = self._clock()
        self._received = received

    @property
    def is_slice_over(self) -> bool:
        """Whether the turn has taken so long that others should run."""
        return self._clock() - self._began > SLICE

    def end(self, *, is_bulk: bool = False) -> float:
        """End the turn; return the seconds to rest before the next one.

        Bulk, such as an upload, may take the share of all connections: it is long, but nothing in it asks for
        anything.
        """
        now = self._clock()
        charge = min(now - self._began, _MAX_CHARGE) + self._received * _PER_BYTE
        rest = self._total.spend(charge, now)
        return rest if is_bulk else max(rest, self._own.spend(charge, now))

    async def rest(self) -> None:
        """End the turn, let others run, and begin the next one when this one is paid for."""
        await asyncio.sleep(self.end())
        self.begin()
