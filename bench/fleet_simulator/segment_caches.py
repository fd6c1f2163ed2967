"""Segment caches of a fleet: in each replica's memory, and one that all of them share.

The shared one stands for a Redis behind the memory of each replica. A segment is asked for over the network,
which takes a moment; it is there once one replica has spoken its text.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from typing import TypeAlias

from bench.scheduling_simulator.voices import RATE, SECONDS_PER_CHARACTER
from wyoming_tts.blocking import RunBlocking
from wyoming_tts.cache import SegmentCache
from wyoming_tts.cache.entries import CachedSegment, CacheKey

SpokenText: TypeAlias = tuple[int, str]
"""A text, by its number, and the voice that spoke it."""

_SAMPLE_BYTES = 2

ASKED: ContextVar[SpokenText | None] = ContextVar("asked", default=None)
"""What the running stream speaks."""


class SharedSegments:
    """What is in the cache that all replicas share."""

    def __init__(self, delay: float) -> None:
        """Begin with nothing in it; an answer takes `delay` seconds."""
        self.delay = delay
        self._spoken: set[SpokenText] = set()

    def __contains__(self, spoken: SpokenText | None) -> bool:
        return spoken in self._spoken

    def add(self, spoken: SpokenText) -> None:
        """Note that a replica has spoken a text."""
        self._spoken.add(spoken)


class _FleetCache(SegmentCache):
    """A replica's own cache, in front of the shared one."""

    def __init__(self, memory_bytes: int, run_blocking: RunBlocking, shared: SharedSegments) -> None:
        super().__init__(memory_bytes=memory_bytes, directory=None, disk_bytes=0, run_blocking=run_blocking)
        self._shared = shared

    async def get(self, key: CacheKey) -> CachedSegment | None:
        segment = await super().get(key)
        if segment is not None or (asked := ASKED.get()) is None:
            return segment
        await asyncio.sleep(self._shared.delay)
        if asked not in self._shared:
            return None
        samples = max(1, round(len(key.text) * SECONDS_PER_CHARACTER * RATE))
        pcm = bytes(samples * _SAMPLE_BYTES)
        self.put(key, RATE, pcm)
        return CachedSegment(RATE, pcm)


def make_cache(seconds: float, shared: SharedSegments | None) -> Callable[[RunBlocking], SegmentCache]:
    """Return what makes the cache of a replica that keeps so many seconds of speech."""
    memory_bytes = round(seconds * RATE * _SAMPLE_BYTES)

    def make(run_blocking: RunBlocking) -> SegmentCache:
        if shared is not None:
            return _FleetCache(memory_bytes, run_blocking, shared)
        return SegmentCache(
            memory_bytes=memory_bytes, directory=None, disk_bytes=0, run_blocking=run_blocking
        )

    return make
