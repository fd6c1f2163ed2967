"""Exponential backoff with jitter: the delays between failed attempts, and the retry loop around them.

`Backoff` computes a delay, for callers that count failures and sleep themselves; `retry` is the loop for
everybody else. Neither reads a clock: a test passes its own sleep and sees the delays.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

_T = TypeVar("_T")
_MAX_DOUBLINGS = 60
"""2.0 to the power of an unbounded count of failures would overflow a float."""


class TryAgain(Exception):
    """An attempt failed in a way that may pass: `retry` makes another."""

    def __init__(self, reason: str, *, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after
        """Seconds the other side asked us to wait; None if it did not."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait between attempts, and how many to make. Times are in seconds."""

    first_delay: float
    """After the first failure; doubled with every further failure in a row."""
    max_delay: float
    """Upper bound, whatever the other side asks for; jitter is added on top."""
    max_tries: int | None = None
    """Failed attempts in a row, without progress, after which `retry` gives up; None: never."""
    jitter: float = 0.1
    """Largest share of a delay that `retry` adds at random: machines that lost a server at the same moment
    must not all come back to it at the same moment."""

    def delay(self, failures: int, *, at_least: float = 0.0) -> float:
        """Return the seconds to wait after this many failures in a row (from 1), without jitter."""
        doubled = self.first_delay * 2.0 ** min(failures - 1, _MAX_DOUBLINGS)
        return min(max(doubled, at_least), self.max_delay)


async def retry(
    attempt: Callable[[], Awaitable[_T]],
    backoff: Backoff,
    *,
    on_retry: Callable[[TryAgain, float], None],
    progress: Callable[[], float] = lambda: 0.0,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    chance: Callable[[], float] = random.random,
) -> _T:
    """Await `attempt` until it returns, with a delay after each `TryAgain`.

    Args:
        attempt: One try; any other exception passes through at once.
        backoff: How long the delays are, and how many tries are made.
        on_retry: Called before each delay with the failure and the seconds until the next try.
        progress: How far the work has come. A failure after a try that made progress counts as the first.
        sleep: Waits for the given seconds.
        chance: Scales the jitter, from 0 (none) to 1 (all of it).

    Raises:
        TryAgain: the last of `backoff.max_tries` failures in a row.
    """
    failures = 0
    while True:
        before = progress()
        try:
            return await attempt()
        except TryAgain as reason:
            failures = 1 if progress() > before else failures + 1
            if failures == backoff.max_tries:
                raise
            delay = backoff.delay(failures, at_least=reason.retry_after or 0.0)
            delay *= 1.0 + backoff.jitter * chance()
            on_retry(reason, delay)
        await sleep(delay)
