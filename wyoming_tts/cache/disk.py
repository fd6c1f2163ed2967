"""The disk tier of the cache: an LRU index of the files, and one write-behind task.

The event loop decides and never touches a file. Entries that the disk cannot keep up with are dropped. After
a failure the disk is not used for a minute; then the directory is scanned again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from wyoming_tts.blocking import RunBlocking
from wyoming_tts.cache.entries import CachedSegment
from wyoming_tts.cache.entry_format import BrokenEntry, entry_bytes
from wyoming_tts.cache.files import EntryFile, EntryFiles
from wyoming_tts.cache.lru import LruMap

_LOGGER = logging.getLogger(__name__)

_PENDING_BYTES = 8 * 1024 * 1024
"""PCM that may be pending: three minutes of speech, which a slow SD card writes in a few seconds."""
_RETRY_INTERVAL = 60.0
"""Seconds from a failure of the disk to the next try, and between two updates of one file's time of use."""
_SCAN_INTERVAL = 600.0
"""Seconds after which the index is refreshed: other processes may change the directory as well."""
_CLOSE_TIMEOUT = 2.0
"""Seconds that closing waits for pending writes."""


@dataclass(slots=True)
class _IndexEntry:
    """An entry that has its file."""

    used_at: float
    persisted_at: float
    """The time of use that the file's modification time holds."""


class DiskTier:
    """Entries in a directory, at most `bound` bytes of files; writes between `open` and `close`."""

    def __init__(
        self,
        directory: Path,
        bound: int,
        *,
        largest: int,
        run_blocking: RunBlocking,
        clock: Callable[[], float],
    ) -> None:
        self._files = EntryFiles(directory)
        self._bound = bound
        self._largest = largest
        self._run_blocking = run_blocking
        self._clock = clock
        self._index: LruMap[_IndexEntry] = LruMap()
        self._pending: LruMap[CachedSegment] = LruMap()
        self._unsaved_uses: dict[str, float] = {}
        self._scanned_at: float | None = None
        self._failed_at: float | None = None
        self._is_failing = False
        self._dropped = 0
        self._writer: asyncio.Task[None] | None = None
        self._closing = False
        self._wake_up = asyncio.Event()
        self._idle = asyncio.Event()

    @property
    def entries(self) -> int:
        """Number of files, as far as known."""
        return len(self._index)

    @property
    def size(self) -> int:
        """Bytes of these files."""
        return self._index.size

    @property
    def writes_pending(self) -> int:
        """Number of entries waiting to be written."""
        return len(self._pending)

    @property
    def writes_dropped(self) -> int:
        """Number of entries not written because the disk was too slow, full or broken."""
        return self._dropped

    def open(self) -> None:
        """Scan the directory and start writing, in the background."""
        self._closing = False
        self._wake()
        self._writer = asyncio.create_task(self._write_behind(), name="segment cache")

    async def close(self) -> None:
        """Write what is pending, for two seconds at most."""
        writer, self._writer = self._writer, None
        if writer is None:
            return
        self._closing = True
        self._wake_up.set()
        try:
            await asyncio.wait([writer], timeout=_CLOSE_TIMEOUT)
        finally:
            self._idle.set()
            if not writer.done():
                self._abandon(writer)

    async def flush(self) -> None:
        """Wait until everything pending is written or dropped."""
        if self._writer is not None:
            await self._idle.wait()

    async def clear(self) -> tuple[int, int]:
        """Remove all entries and forget those that are pending; return the number of files and their bytes.

        Raises:
            OSError: the directory cannot be read or changed.
        """
        self._pending, self._unsaved_uses = LruMap(), {}
        removed = await self._run_blocking(self._files.clear)
        self._index = LruMap()
        return removed

    def get_pending(self, name: str) -> CachedSegment | None:
        """Return an entry that is not written yet, or None."""
        return self._pending.get(name)

    def touch(self, name: str) -> None:
        """Note that the entry was used, even if it came from memory."""
        entry = self._index.use(name)
        if entry is None:
            return
        entry.used_at = self._clock()
        if (
            self._writer
            and not self._is_backing_off
            and self._has_elapsed(entry.persisted_at, _RETRY_INTERVAL)
        ):
            entry.persisted_at = self._unsaved_uses[name] = entry.used_at
            self._wake()

    def write_later(self, name: str, segment: CachedSegment) -> None:
        """Queue the entry to be written; it is dropped if the queue is full."""
        size = entry_bytes(segment)
        if self._writer is None or size > self._largest:
            return
        if self._is_backing_off or self._pending.size + size > _PENDING_BYTES:
            self._dropped += 1
            return
        self._pending.add(name, segment, size)
        self._wake()

    async def read(self, name: str) -> CachedSegment | None:
        """Return the entry, or None if there is none or it is broken; a broken one is removed."""
        if not self._may_contain(name):
            return None
        try:
            return await self._run_blocking(partial(self._files.read, name))
        except FileNotFoundError:
            pass  # another process evicted it
        except BrokenEntry as error:
            await self._remove_broken(name, error)
        except OSError as error:
            self._on_disk_failure(error)
        self._index.discard(name)
        return None

    def _may_contain(self, name: str) -> bool:
        # A miss must not wait for a thread, unless the directory has not been scanned yet.
        return name in self._index or (self._scanned_at is None and not self._is_backing_off)

    async def _remove_broken(self, name: str, error: BrokenEntry) -> None:
        _LOGGER.warning("Removed the broken entry %s from the segment cache: %s.", name, error)
        try:
            await self._run_blocking(partial(self._files.remove, [name]))
        except OSError as failure:
            self._on_disk_failure(failure)

    async def _write_behind(self) -> None:
        while True:
            try:
                await self._write_pending()
            except OSError as error:
                self._on_disk_failure(error)
            except Exception:  # whatever it is, the cache continues in memory
                _LOGGER.exception("Writing to the segment cache failed.")
                self._back_off()
            if self._closing:
                return
            self._wake_up.clear()
            self._idle.set()
            await self._wake_up.wait()

    async def _write_pending(self) -> None:
        if self._is_backing_off or (self._closing and not self._pending and not self._unsaved_uses):
            return
        if self._scanned_at is None or (
            self._pending and self._has_elapsed(self._scanned_at, _SCAN_INTERVAL)
        ):
            await self._scan()
        while self._unsaved_uses or self._pending:
            used, self._unsaved_uses = self._unsaved_uses, {}
            if used:
                await self._run_blocking(partial(self._files.touch, used))
            if self._pending:
                await self._write_oldest()

    async def _scan(self) -> None:
        found = await self._run_blocking(self._files.scan)
        known, self._index = self._index, LruMap()
        entries = [(_index_entry(known.get(file.name), file), file) for file in found]
        for entry, file in sorted(entries, key=lambda pair: pair[0].used_at):
            self._index.add(file.name, entry, file.size)
        if evicted := self._index.shrink(self._bound):
            await self._run_blocking(partial(self._files.remove, evicted))
        self._scanned_at = self._clock()

    async def _write_oldest(self) -> None:
        name, segment = self._pending.oldest()
        size = entry_bytes(segment)
        now = self._clock()
        evicted = self._index.shrink(self._bound - size)
        await self._run_blocking(partial(self._evict_and_write, evicted, name, segment, now))
        self._index.add(name, _IndexEntry(now, now), size)
        if self._pending.get(name) is segment:  # otherwise a newer one was put meanwhile
            self._pending.discard(name)
        if self._is_failing:
            _LOGGER.info("The segment cache writes to %s again.", self._files.directory)
            self._is_failing = False

    def _evict_and_write(self, evicted: list[str], name: str, segment: CachedSegment, now: float) -> None:
        self._files.remove(evicted)
        self._files.write(name, segment, now)

    def _wake(self) -> None:
        self._idle.clear()
        self._wake_up.set()

    @property
    def _is_backing_off(self) -> bool:
        return self._failed_at is not None and not self._has_elapsed(self._failed_at, _RETRY_INTERVAL)

    def _has_elapsed(self, since: float, seconds: float) -> bool:
        # A clock that was set back must not delay anything for hours.
        return not 0 <= self._clock() - since < seconds

    def _on_disk_failure(self, error: OSError) -> None:
        if not self._is_failing:
            _LOGGER.warning(
                "The segment cache cannot use %s: %s. It continues in memory and tries again later.",
                self._files.directory,
                error.strerror or error,
            )
        self._is_failing = True
        self._back_off()

    def _back_off(self) -> None:
        self._failed_at = self._clock()
        self._scanned_at = None
        self._dropped += len(self._pending)
        self._pending = LruMap()
        self._unsaved_uses = {}

    def _abandon(self, writer: asyncio.Task[None]) -> None:
        self._dropped += len(self._pending)
        _LOGGER.warning(
            "%s is too slow: %d segments were not written to the cache.",
            self._files.directory,
            len(self._pending),
        )
        writer.cancel()


def _index_entry(known: _IndexEntry | None, file: EntryFile) -> _IndexEntry:
    used_at = max(known.used_at, file.used_at) if known else file.used_at
    return _IndexEntry(used_at, persisted_at=file.used_at)
