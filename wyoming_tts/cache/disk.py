"""The tier on the disk: which entries are there, what goes, and the one task that writes behind.

The event loop decides and never touches a file. What the disk cannot keep up with is left out; when
it fails, it is left alone for a minute, and the directory is looked at anew then.
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
from wyoming_tts.cache.files import HEADER_BYTES, BrokenEntry, EntryFile, EntryFiles
from wyoming_tts.cache.lru import LruMap

_LOGGER = logging.getLogger(__name__)

_PENDING_BYTES = 8 * 1024 * 1024
"""PCM that may wait to be written: three minutes of speech, some seconds' work for a slow SD card."""
_ONCE_A_MINUTE = 60.0
"""Seconds from a failure of the disk to the next try, and between two notes of use on one file."""
_SURVEY_SECONDS = 600.0
"""How old what is known may be of a directory that other processes change as well."""
_PATIENCE = 2.0
"""Seconds at the end for what is not yet written."""


@dataclass(slots=True)
class _Filed:
    """What is known of an entry that has its file."""

    used_at: float
    noted_at: float
    """The use that the file tells of."""


class DiskTier:
    """Entries in a directory, at most `bound` bytes of files. Writes between `open` and `close`."""

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
        self._index: LruMap[_Filed] = LruMap()
        self._pending: LruMap[CachedSegment] = LruMap()
        self._unnoted: dict[str, float] = {}
        self._surveyed_at: float | None = None
        self._failed_at: float | None = None
        self._failing = False
        self._dropped = 0
        self._writer: asyncio.Task[None] | None = None
        self._closing = False
        self._work = asyncio.Event()
        self._idle = asyncio.Event()

    @property
    def entries(self) -> int:
        """Files there are, as far as is known."""
        return len(self._index)

    @property
    def size(self) -> int:
        """Their bytes."""
        return self._index.size

    @property
    def writes_pending(self) -> int:
        """Entries that wait to be written."""
        return len(self._pending)

    @property
    def writes_dropped(self) -> int:
        """Entries that were not written, for the disk was too slow, full or broken."""
        return self._dropped

    def open(self) -> None:
        """Start to write, after a look at what is there."""
        self._closing = False
        self._rouse()
        self._writer = asyncio.create_task(self._write_behind(), name="segment cache")

    async def close(self) -> None:
        """Write what waits, for two seconds at most."""
        writer, self._writer = self._writer, None
        if writer is None:
            return
        self._closing = True
        self._work.set()
        try:
            await asyncio.wait([writer], timeout=_PATIENCE)
        finally:
            self._idle.set()
            if not writer.done():
                self._give_up(writer)

    async def flush(self) -> None:
        """Wait until all is written that waits to be, or is left out."""
        if self._writer is not None:
            await self._idle.wait()

    def waiting(self, name: str) -> CachedSegment | None:
        """Return an entry that is not yet written."""
        return self._pending.get(name)

    def used(self, name: str) -> None:
        """Note that the entry was of use, also if memory had it."""
        filed = self._index.use(name)
        if filed is None:
            return
        filed.used_at = self._clock()
        if self._writer and not self._resting and self._due(filed.noted_at, _ONCE_A_MINUTE):
            filed.noted_at = self._unnoted[name] = filed.used_at
            self._rouse()

    def write_later(self, name: str, segment: CachedSegment) -> None:
        """Queue the entry to be written; with no room in the queue it is left out."""
        size = HEADER_BYTES + len(segment.pcm)
        if self._writer is None or size > self._largest:
            return
        if self._resting or self._pending.size + size > _PENDING_BYTES:
            self._dropped += 1
            return
        self._pending.add(name, segment, size)
        self._rouse()

    async def read(self, name: str) -> CachedSegment | None:
        """Return the entry, or None where there is none or it is broken; that one is removed then."""
        if not self._may_have(name):
            return None
        try:
            return await self._run_blocking(partial(self._files.read, name))
        except FileNotFoundError:
            pass  # another process needed the room
        except BrokenEntry as error:
            await self._remove_broken(name, error)
        except OSError as error:
            self._rest(error)
        self._index.discard(name)
        return None

    def _may_have(self, name: str) -> bool:
        # A miss must not wait for a thread; only until the directory is known it has to be asked.
        return name in self._index or (self._surveyed_at is None and not self._resting)

    async def _remove_broken(self, name: str, error: BrokenEntry) -> None:
        _LOGGER.warning("Removed the broken entry %s from the segment cache: %s.", name, error)
        try:
            await self._run_blocking(partial(self._files.remove, [name]))
        except OSError as failure:
            self._rest(failure)

    async def _write_behind(self) -> None:
        while True:
            try:
                await self._work_off()
            except OSError as error:
                self._rest(error)
            except Exception:  # the cache goes on in memory, whatever it is
                _LOGGER.exception("Writing to the segment cache failed.")
                self._leave_alone()
            if self._closing:
                return
            self._work.clear()
            self._idle.set()
            await self._work.wait()

    async def _work_off(self) -> None:
        if self._resting or (self._closing and not self._pending and not self._unnoted):
            return
        if self._surveyed_at is None or (self._pending and self._due(self._surveyed_at, _SURVEY_SECONDS)):
            await self._survey()
        while self._unnoted or self._pending:
            used, self._unnoted = self._unnoted, {}
            if used:
                await self._run_blocking(partial(self._files.mark_used, used))
            if self._pending:
                await self._write_oldest()

    async def _survey(self) -> None:
        found = await self._run_blocking(self._files.survey)
        known, self._index = self._index, LruMap()
        filed = [(_filed(known.get(entry.name), entry), entry) for entry in found]
        for what, entry in sorted(filed, key=lambda pair: pair[0].used_at):
            self._index.add(entry.name, what, entry.size)
        if out := self._index.shrink(self._bound):
            await self._run_blocking(partial(self._files.remove, out))
        self._surveyed_at = self._clock()

    async def _write_oldest(self) -> None:
        name, segment = self._pending.oldest()
        size = HEADER_BYTES + len(segment.pcm)
        now = self._clock()
        out = self._index.shrink(self._bound - size)
        await self._run_blocking(partial(self._replace, out, name, segment, now))
        self._index.add(name, _Filed(now, now), size)
        if self._pending.get(name) is segment:  # else a newer one came meanwhile
            self._pending.discard(name)
        if self._failing:
            _LOGGER.info("The segment cache is written to %s again.", self._files.directory)
            self._failing = False

    def _replace(self, out: list[str], name: str, segment: CachedSegment, now: float) -> None:
        self._files.remove(out)
        self._files.write(name, segment, now)

    def _rouse(self) -> None:
        self._idle.clear()
        self._work.set()

    @property
    def _resting(self) -> bool:
        return self._failed_at is not None and not self._due(self._failed_at, _ONCE_A_MINUTE)

    def _due(self, since: float, seconds: float) -> bool:
        # A clock that was set back must not put anything off for hours.
        return not 0 <= self._clock() - since < seconds

    def _rest(self, error: OSError) -> None:
        if not self._failing:
            _LOGGER.warning(
                "The segment cache cannot use %s: %s. It goes on in memory and tries again later.",
                self._files.directory,
                error.strerror or error,
            )
        self._failing = True
        self._leave_alone()

    def _leave_alone(self) -> None:
        self._failed_at = self._clock()
        self._surveyed_at = None
        self._dropped += len(self._pending)
        self._pending = LruMap()
        self._unnoted = {}

    def _give_up(self, writer: asyncio.Task[None]) -> None:
        self._dropped += len(self._pending)
        _LOGGER.warning(
            "%s is too slow: %d segments are left out of the cache.",
            self._files.directory,
            len(self._pending),
        )
        writer.cancel()


def _filed(known: _Filed | None, entry: EntryFile) -> _Filed:
    used_at = max(known.used_at, entry.used_at) if known else entry.used_at
    return _Filed(used_at, noted_at=entry.used_at)
