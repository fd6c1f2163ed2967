"""The cache as its users see it: memory in front, the disk behind."""

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

_LARGEST_SHARE = 4
"""An entry over one fourth of a tier is not kept: it would throw out what is used more often."""
_ENTRY_BYTES = 512
"""What an entry costs in memory beside its PCM, about; without it nothing would bound empty ones."""


@dataclass(frozen=True, slots=True)
class CacheStatistics:
    """What the cache did since it was made, and what it holds now."""

    memory_hits: int
    disk_hits: int
    misses: int
    memory_entries: int
    memory_bytes: int
    disk_entries: int
    disk_bytes: int
    """As far as is known: the directory is looked at after the start, and may be shared."""
    writes_pending: int
    writes_dropped: int
    """Entries that stayed in memory only, for the disk was too slow, full or broken."""


class SegmentCache:
    """Segments by key. Its directory is written to while the `async with` is open.

    Leaving writes what waits to be written, for two seconds at most.
    """

    def __init__(
        self,
        *,
        memory_bytes: int,
        directory: Path | None,
        disk_bytes: int,
        run_blocking: RunBlocking,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Make it ready; nothing is opened.

        Args:
            memory_bytes: bound of what is kept in memory; 0 keeps nothing there.
            directory: where entries outlive the process, made if it is not there; None for nowhere.
            disk_bytes: bound of the files in the directory.
            run_blocking: runs what touches files away from the event loop.
            clock: seconds since the epoch, by which files tell when they were used.

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
        self._largest = max(memory_bytes, disk_bytes if self._disk else 0) // _LARGEST_SHARE
        self._memory_hits = 0
        self._disk_hits = 0
        self._misses = 0

    def __repr__(self) -> str:
        return f"<SegmentCache {self.statistics()}>"

    async def __aenter__(self) -> Self:
        if self._disk is not None:
            self._disk.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._disk is not None:
            await self._disk.close()

    async def get(self, key: CacheKey) -> CachedSegment | None:
        """Return the segment, at once if it is in memory; None where it is nowhere, or broken."""
        name = key.digest()
        segment = self._in_memory(name) or await self._read(name)
        self._misses += segment is None
        return segment

    def put(self, key: CacheKey, rate: int, pcm: bytes) -> None:
        """Keep a finished segment: in memory at once, on the disk soon. One that is too big is let go.

        Raises:
            ValueError: it is no 16-bit PCM.
        """
        name, segment = key.digest(), CachedSegment(rate, pcm)
        self._remember(name, segment)
        if self._disk is not None:
            self._disk.write_later(name, segment)

    def record(self, key: CacheKey, rate: int) -> SegmentRecording:
        """Collect a segment while it is made, to be kept when it is whole."""
        return SegmentRecording(partial(self.put, key, rate), self._largest)

    async def flush(self) -> None:
        """Wait until what was put so far is on the disk, or is left out there."""
        if self._disk is not None:
            await self._disk.flush()

    def statistics(self) -> CacheStatistics:
        """Return what it did and what it holds."""
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
        )

    def _in_memory(self, name: str) -> CachedSegment | None:
        segment = self._memory.use(name)
        if self._disk is not None:
            segment = segment or self._disk.waiting(name)
            if segment is not None:
                self._disk.used(name)
        self._memory_hits += segment is not None
        return segment

    async def _read(self, name: str) -> CachedSegment | None:
        segment = await self._disk.read(name) if self._disk else None
        if self._disk is None or segment is None:
            return None
        self._disk.used(name)
        self._disk_hits += 1
        newer = self._memory.get(name)  # put while the file was read
        if newer is None:
            self._remember(name, segment)
        return newer or segment

    def _remember(self, name: str, segment: CachedSegment) -> None:
        size = len(segment.pcm) + _ENTRY_BYTES
        if size > self._memory_bytes // _LARGEST_SHARE:
            return
        self._memory.discard(name)
        self._memory.shrink(self._memory_bytes - size)
        self._memory.add(name, segment, size)
