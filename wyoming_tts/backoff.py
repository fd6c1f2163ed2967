"""Exponential backoff: tries that fail in a row are further and further apart.

`Backoff` says how long to wait, for those who count failures and sleep themselves; `retry` is the loop
for the rest. Neither reads a clock: a test gives its own sleep, and sees the pauses.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

_T = TypeVar("_T")
_DOUBLED_AT_MOST = 60
"""Times; 2 to the power of any count of failures would not be a float."""


class TryAgain(Exception):
    """A try failed, and another may succeed."""

    def __init__(self, reason: str, *, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after
        """Seconds the other side asked to wait; None if it did not."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait between tries, and how often to try. Times are in seconds."""

    first: float
    """After one failure; doubled after each further one in a row."""
    longest: float
    """The most, whatever the other side asks for; jitter comes on top."""
    tries: int | None = None
    """In a row that get no further before it is given up; None if it never is."""
    jitter: float = 0.1
    """Share of a pause by which `retry` may make it longer, at random: machines that lost a server in the
    same moment are not to come back to it in the same moment."""

    def pause(self, failures: int, *, at_least: float = 0.0) -> float:
        """Seconds to wait after so many failures in a row, from 1; without jitter."""
        doubled = self.first * 2.0 ** min(failures - 1, _DOUBLED_AT_MOST)
        return min(max(doubled, at_least), self.longest)


async def retry(
    attempt: Callable[[], Awaitable[_T]],
    backoff: Backoff,
    *,
    before_pause: Callable[[TryAgain, float], None],
    progress: Callable[[], float] = lambda: 0.0,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    chance: Callable[[], float] = random.random,
) -> _T:
    """Await `attempt` until it returns, with a pause after each `TryAgain`.

    Args:
        attempt: One try; any other exception ends it all.
        backoff: How long the pauses are, and how many tries there may be.
        before_pause: Told why, and how many seconds come now.
        progress: How far it has come. A failure after a try that came further counts as the first.
        sleep: Waits for as many seconds.
        chance: Gives the jitter: 0 for none, up to 1 for all of it.

    Raises:
        TryAgain: the last failure of as many as `backoff.tries` in a row.
    """
    failures = 0
    while True:
        before = progress()
        try:
            return await attempt()
        except TryAgain as reason:
            failures = 1 if progress() > before else failures + 1
            if failures == backoff.tries:
                raise
            pause = backoff.pause(failures, at_least=reason.retry_after or 0.0)
            pause *= 1.0 + backoff.jitter * chance()
            before_pause(reason, pause)
        await sleep(pause)
