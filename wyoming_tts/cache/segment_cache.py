"""The segment cache: a bounded LRU memory tier in front of optional ones on disk and on a server."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from wyoming_tts.blocking import RunBlocking
from wyoming_tts.cache.disk import DiskTier
from wyoming_tts.cache.entries import CachedSegment, CacheKey, SegmentRecording
from wyoming_tts.cache.lru import LruMap
from wyoming_tts.cache.shared import LARGEST_BYTES, SharedStatistics, SharedTier
from wyoming_tts.speech import WordTimings

_LARGEST_SHARE = 4
"""An entry over a fourth of a tier is not kept: it would evict what is used more often."""
_ENTRY_BYTES = 512
"""Approximate memory of an entry beside its PCM; without it nothing would bound empty entries."""
_WORD_BYTES = 192
"""Approximate memory of a word's timing: four numbers and what holds them."""


@dataclass(frozen=True, slots=True)
class CacheStatistics:
    """Hits, misses and writes since the start, and what the cache holds now."""

    memory_hits: int
    disk_hits: int
    misses: int
    memory_entries: int
    memory_bytes: int
    disk_entries: int
    disk_bytes: int
    """As far as known: the directory is scanned after the start, and other processes may share it."""
    writes_pending: int
    writes_dropped: int
    """Entries that stayed in memory only, because the disk was too slow, full or broken."""
    shared: SharedStatistics | None = None
    """None without a shared tier."""


@dataclass(frozen=True, slots=True)
class ClearedCache:
    """What was removed from the cache."""

    memory_segments: int
    memory_bytes: int
    disk_segments: int
    disk_bytes: int


class SegmentCache:
    """Finished segments by key. Entries are written to its directory while its `async with` is open.

    Leaving the block writes what is pending, for two seconds at most.
    """

    def __init__(
        self,
        *,
        memory_bytes: int,
        directory: Path | None,
        disk_bytes: int,
        run_blocking: RunBlocking,
        shared: SharedTier | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Prepare the cache without touching a file.

        Args:
            memory_bytes: Bound of the memory tier; 0 switches it off.
            directory: Of the disk tier, whose entries outlive the process; created if missing. None: no disk
                tier.
            disk_bytes: Bound of the files in the directory.
            run_blocking: Runs file access off the event loop.
            shared: What is asked last, if a key tells the voice's content; opened and closed with the cache.
            clock: Seconds since 1970; files hold the time of their last use.

        Raises:
            ValueError: a bound is negative.
        """
        if memory_bytes < 0 or disk_bytes < 0:
            raise ValueError(f"Got bounds of {memory_bytes} and {disk_bytes} bytes, expected 0 or more.")
        self._memory_bytes = memory_bytes
        self._memory: LruMap[CachedSegment] = LruMap()
        self._disk: DiskTier | None = None
        if directory is not None and disk_bytes:
            largest = disk_bytes // _LARGEST_SHARE
            self._disk = DiskTier(
                directory, disk_bytes, largest=largest, run_blocking=run_blocking, clock=clock
            )
        self._shared_tier = shared
        largest = max(memory_bytes, disk_bytes if self._disk else 0) // _LARGEST_SHARE
        self._largest = max(largest, LARGEST_BYTES if shared else 0)
        self._memory_hits = 0
        self._disk_hits = 0
        self._misses = 0

    def __repr__(self) -> str:
        return f"<SegmentCache {self.statistics()}>"

    async def __aenter__(self) -> Self:
        if self._disk is not None:
            self._disk.open()
        if self._shared_tier is not None:
            self._shared_tier.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for tier in (self._disk, self._shared_tier):
            if tier is not None:
                await tier.close()

    async def get(self, key: CacheKey) -> CachedSegment | None:
        """Return the segment, at once if it is in memory; None if it is not cached, or broken."""
        name = key.digest()
        segment = (
            self._get_from_memory(name)
            or await self._get_from_disk(name)
            or await self._get_shared(name, key.shared_digest())
        )
        self._misses += segment is None
        return segment

    def put(self, key: CacheKey, rate: int, pcm: bytes, timings: WordTimings | None = None) -> None:
        """Cache a finished segment: in memory at once, elsewhere soon. One that is too large is not kept.

        Raises:
            ValueError: it is no 16-bit PCM.
        """
        name, segment = key.digest(), CachedSegment(rate, pcm, timings)
        self._put_in_memory(name, segment)
        if self._disk is not None:
            self._disk.write_later(name, segment)
        if self._shared_tier is not None and (shared_name := key.shared_digest()) is not None:
            self._shared_tier.write_later(shared_name, segment)

    def record(self, key: CacheKey, rate: int) -> SegmentRecording:
        """Collect a segment while it is rendered, to be cached once it is complete."""
        return SegmentRecording(partial(self.put, key, rate), self._largest)

    async def clear(self) -> ClearedCache:
        """Forget all segments in memory and on disk. What other machines share stays as it is.

        Raises:
            OSError: the directory cannot be read or changed.
        """
        entries, size = len(self._memory), self._memory.size
        self._memory = LruMap()
        files, file_bytes = await self._disk.clear() if self._disk is not None else (0, 0)
        return ClearedCache(entries, size, files, file_bytes)

    async def flush(self) -> None:
        """Wait until everything put so far is written or dropped."""
        for tier in (self._disk, self._shared_tier):
            if tier is not None:
                await tier.flush()

    def statistics(self) -> CacheStatistics:
        """Return the counters and sizes."""
        return CacheStatistics(
            memory_hits=self._memory_hits,
            disk_hits=self._disk_hits,
            misses=self._misses,
            memory_entries=len(self._memory),
            memory_bytes=self._memory.size,
            disk_entries=self._disk.entries if self._disk else 0,
            disk_bytes=self._disk.size if self._disk else 0,
            writes_pending=self._disk.writes_pending if self._disk else 0,
            writes_dropped=self._disk.writes_dropped if self._disk else 0,
            shared=self._shared_tier.statistics() if self._shared_tier else None,
        )

    def _get_from_memory(self, name: str) -> CachedSegment | None:
        segment = self._memory.use(name)
        if self._disk is not None:
            segment = segment or self._disk.get_pending(name)
            if segment is not None:
                self._disk.touch(name)
        self._memory_hits += segment is not None
        return segment

    async def _get_from_disk(self, name: str) -> CachedSegment | None:
        segment = await self._disk.read(name) if self._disk else None
        if self._disk is None or segment is None:
            return None
        self._disk.touch(name)
        self._disk_hits += 1
        newer = self._memory.get(name)  # put while the file was being read
        if newer is None:
            self._put_in_memory(name, segment)
        return newer or segment

    async def _get_shared(self, name: str, shared_name: str | None) -> CachedSegment | None:
        if self._shared_tier is None or shared_name is None:
            return None
        segment = await self._shared_tier.read(shared_name)
        if segment is not None:  # next time it is nearer
            self._put_in_memory(name, segment)
            if self._disk is not None:
                self._disk.write_later(name, segment)
        return segment

    def _put_in_memory(self, name: str, segment: CachedSegment) -> None:
        size = len(segment.pcm) + len(segment.words) * _WORD_BYTES + _ENTRY_BYTES
        if size > self._memory_bytes // _LARGEST_SHARE:
            return
        self._memory.discard(name)
        self._memory.shrink(self._memory_bytes - size)
        self._memory.add(name, segment, size)
