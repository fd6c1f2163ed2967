"""Receive budget: the bytes of unfinished request bodies in memory, and which body is dropped beyond it.

Of the address that has most bytes, the body that has been without progress for longest: so whoever begins
many bodies and does not finish them loses them, not those whose link is slow. No clock and no I/O: times are
arguments.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from wyoming_tts.transports.access import subscriber

BUDGET = 16 * 1024 * 1024
"""Bytes of all large bodies: of uploads, of which the page sends one piece at a time, or very long texts."""
SMALL_BODY = 64 * 1024
"""Bytes up to which a body counts as small, like those of nearly all speech requests: it always passes."""
PROGRESS = 16 * 1024
"""Bytes that count as progress: a body that arrives byte by byte makes none."""


class IncomingBody:
    """A body that is being received."""

    def __init__(self, peer: str | None, now: float, drop: Callable[[], None]) -> None:
        """Begin at the time `now`; `drop` is called when it has to give way, and frees its memory."""
        self.peer = None if peer is None else subscriber(peer)
        self.size = 0
        self.progressed_at = now
        """Time at which it began, or at which the last `PROGRESS` bytes were complete."""
        self.is_dropped = False
        self._progress = 0
        self._drop = drop

    @property
    def is_large(self) -> bool:
        """Whether it counts for the budget."""
        return self.size > SMALL_BODY

    def add(self, count: int, now: float) -> None:
        """Count bytes that have arrived."""
        self.size += count
        self._progress += count
        if self._progress >= PROGRESS:
            self._progress = 0
            self.progressed_at = now

    def drop(self) -> None:
        """Give it up, so that its memory is free."""
        self.is_dropped = True
        self._drop()


class BodyBudget:
    """The bodies that are being received, within a budget of bytes."""

    def __init__(self, budget: int = BUDGET) -> None:
        self.budget = budget
        self._large: set[IncomingBody] = set()
        self._peers: Counter[str | None] = Counter()

    @property
    def held(self) -> int:
        """Bytes of all large bodies."""
        return self._peers.total()

    def add(self, body: IncomingBody, count: int, now: float) -> None:
        """Count bytes that have arrived, and drop bodies, perhaps this one, while all exceed the budget."""
        body.add(count, now)
        if not body.is_large:
            return
        self._peers[body.peer] += count if body in self._large else body.size
        self._large.add(body)
        while self.held > self.budget:
            dropped = min(self._large, key=lambda each: (-self._peers[each.peer], each.progressed_at))
            self.close(dropped)
            dropped.drop()

    def close(self, body: IncomingBody) -> None:
        """Forget a body that has arrived or ended; does nothing if that was done before."""
        if body not in self._large:
            return
        self._large.remove(body)
        self._peers[body.peer] -= body.size
        if not self._peers[body.peer]:
            del self._peers[body.peer]
