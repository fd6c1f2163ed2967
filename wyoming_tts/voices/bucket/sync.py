"""Synchronization of a data directory with a bucket: once for the command line, again and again for a server.

A round brings what is new or changed in the bucket, deletes what it has brought and the bucket no longer has,
and exchanges blends and lexicon. A bucket that is away changes nothing here: what was brought goes on
speaking, and the next round tries again.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Final

from wyoming_tts.blocking import RunBlocking
from wyoming_tts.errors import SpeechError
from wyoming_tts.known_files import FileStamp, is_absent, stamp_of
from wyoming_tts.voices.blends.store import NO_LOCKS
from wyoming_tts.voices.bucket.layout import (
    SHARED_FILES,
    SUMS_FILE,
    FileGroup,
    group_files,
    is_voice_file,
    parse_sums,
)
from wyoming_tts.voices.bucket.object_store import (
    BucketError,
    ObjectMissing,
    ObjectRefused,
    ObjectStore,
    StoredObject,
)
from wyoming_tts.voices.bucket.record import SyncRecord
from wyoming_tts.voices.bucket.shared_files import MAX_BYTES, Exchange, SharedFiles
from wyoming_tts.voices.bucket.staging import SYNC_DIRECTORY, Incomplete, Staging, Unfit
from wyoming_tts.voices.styles import STYLES_DIRECTORY
from wyoming_tts.voices.verification import CheckForm

_LOGGER = logging.getLogger(__name__)

CHECK_SECONDS: Final = 2.0
"""How often a server looks whether blends or lexicon were changed here, to push them."""
_RETRY_SECONDS: Final = 30.0
"""After a failure, if the interval is longer."""


class SyncedElsewhere(BucketError):
    """Another process is syncing this data directory, as a server that shares it."""


class SyncState(StrEnum):
    """State of a server's sync."""

    STARTING = "starting"
    """The first round is not over."""
    SYNCED = "synced"
    FAILED = "failed"
    """The bucket could not be reached in the last round."""


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What a round did; names are those of files."""

    brought: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    pushed: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    """Files of the user's own, in place of which the bucket has others."""
    problems: tuple[str, ...] = ()
    """What was refused, and why."""

    @property
    def has_changes(self) -> bool:
        """Whether a file of the data directory was changed."""
        return bool(self.brought or self.deleted)


@dataclass(frozen=True, slots=True)
class SyncStatus:
    """The last state of a server's sync."""

    state: SyncState = SyncState.STARTING
    report: SyncReport = SyncReport()
    """Of the last round that reached the bucket."""
    synced_at: datetime | None = None
    error: str = ""
    """Why the last round failed."""


@dataclass(frozen=True, slots=True)
class SyncOptions:
    """What a sync may do."""

    may_pull: bool = True
    may_push: bool = False


@dataclass(frozen=True, slots=True)
class _Refusal:
    """Why a voice was found unfit."""

    state: tuple[tuple[str, str | None], ...]
    """Version and expected digest of each of its files."""
    reason: str


@dataclass(slots=True)
class BucketSync:
    """Keeps a data directory in the state of a bucket; one at a time for each directory."""

    store: ObjectStore
    directory: Path
    checks: Mapping[str, CheckForm]
    """By suffix of a voice file, or by name of a shared file: raises if it is incomplete or malformed."""
    run_blocking: RunBlocking
    options: SyncOptions = SyncOptions()
    status: SyncStatus = SyncStatus()
    first_round_over: asyncio.Event = field(default_factory=asyncio.Event)
    _unfit: dict[FileGroup, _Refusal] = field(default_factory=dict)
    """Voices that were brought in vain, and are not brought again before they are changed."""

    async def run_once(self) -> SyncReport:
        """Run one round.

        Raises:
            BucketError: the bucket cannot be reached, or another process syncs this directory.
            OSError: the data directory cannot be written.
        """
        async with self._exclusive():
            record = await self.run_blocking(partial(SyncRecord.load, self._record_path, self.store.url))
            if not self.options.may_pull:
                return await self._exchange_shared(record)
            staging = Staging(self.directory, record, self.checks, self.run_blocking)
            await self.run_blocking(staging.recover)
            report = await self._pull(staging)
            shared = await self._exchange_shared(record)
        return replace(
            report,
            brought=report.brought + shared.brought,
            pushed=shared.pushed,
            kept=report.kept + shared.kept,
            problems=report.problems + shared.problems,
        )

    async def run(self, on_change: Callable[[], Awaitable[None]], interval: float) -> None:
        """Run rounds until cancelled: at once, then at each interval, and when a shared file is changed here.

        Args:
            on_change: Called after each round that changed a file of the data directory.
            interval: Seconds between two rounds; with 0 there is only the first.
        """
        while True:
            before = await self.run_blocking(self._shared_stamps)
            await self._run_and_tell(on_change)
            self.first_round_over.set()
            has_failed = self.status.state is SyncState.FAILED
            pause = interval or float("inf")
            await self._wait(min(pause, _RETRY_SECONDS) if has_failed else pause, before)

    async def _run_and_tell(self, on_change: Callable[[], Awaitable[None]]) -> None:
        before = self.status
        try:
            report = await self.run_once()
            if report.has_changes:
                await on_change()
        except SyncedElsewhere as busy:
            _LOGGER.debug("%s.", busy)
            return
        except Exception as error:  # an unforeseen failure of a sync must not end the server
            is_foreseen = isinstance(error, (BucketError, OSError, SpeechError))
            self.status = replace(
                before, state=SyncState.FAILED, error=str(error) if is_foreseen else repr(error)
            )
            if before.error != self.status.error:
                _LOGGER.warning(
                    "Voices are not in sync with %s; what is here stays in use. %s",
                    self.store.url,
                    self.status.error,
                    exc_info=None if is_foreseen else error,
                )
            return
        now = datetime.now(UTC)
        self.status = SyncStatus(SyncState.SYNCED, report, now)
        if before.error:
            _LOGGER.info("%s can be reached again.", self.store.url)
        _log_report(report, before.report, self.store.url)

    async def _wait(self, seconds: float, before: object) -> None:
        """Return after so many seconds, or when a shared file is not as it was before, to push it."""
        until = asyncio.get_running_loop().time() + seconds
        while (left := until - asyncio.get_running_loop().time()) > 0:
            if not self.options.may_push:
                await asyncio.sleep(min(left, 3600.0))
                continue
            await asyncio.sleep(min(left, CHECK_SECONDS))
            if await self.run_blocking(self._shared_stamps) != before:
                return

    def _shared_stamps(self) -> tuple[FileStamp | None, ...]:
        return tuple(_stamp(self.directory / name) for name in SHARED_FILES)

    @property
    def _record_path(self) -> Path:
        return self.directory / SYNC_DIRECTORY / "record.json"

    async def _pull(self, staging: Staging) -> SyncReport:
        objects = {each.name: each for each in await self._list()}
        problems = [f"{_shown(name)}: not a name of a voice file" for name in objects if _is_refused(name)]
        groups, waiting = group_files(objects)
        problems += [f"{name}: its other file is not in the bucket yet" for name in waiting]
        sums = await self._sums() if SUMS_FILE in objects else {}
        brought: list[str] = []
        kept: list[str] = []
        self._unfit = {group: refusal for group, refusal in self._unfit.items() if group in groups}
        for group in groups:
            if not await self.run_blocking(partial(self._is_outdated, staging.record, group, objects)):
                continue
            try:
                is_installed = await self._bring_once(staging, group, objects, sums)
            except (Unfit, ObjectMissing, ObjectRefused) as error:
                problems.append(str(error))
                continue
            (brought if is_installed else kept).extend(group.names)
        gone = _gone(staging.record, objects)
        deleted = await self.run_blocking(partial(staging.remove, gone)) if gone else ()
        return SyncReport(tuple(brought), deleted, (), tuple(kept), tuple(problems))

    async def _bring_once(
        self,
        staging: Staging,
        group: FileGroup,
        objects: Mapping[str, StoredObject],
        sums: Mapping[str, str],
    ) -> bool:
        """Bring a voice, unless the same was found unfit before: it may be large."""
        state = tuple((objects[name].version, sums.get(name)) for name in group.names)
        refused = self._unfit.get(group)
        if refused is not None and refused.state == state:
            raise Unfit(refused.reason)
        try:
            return await self._bring(staging, group, sums)
        except Incomplete:
            raise
        except Unfit as error:
            self._unfit[group] = _Refusal(state, str(error))
            raise

    async def _bring(self, staging: Staging, group: FileGroup, sums: Mapping[str, str]) -> bool:
        if not await self.run_blocking(partial(self._is_replaceable, staging.record, group)):
            return False
        return await staging.bring(self.store, group, sums)

    async def _list(self) -> Iterable[StoredObject]:
        here = await self.store.list()
        return (*here, *await self.store.list(STYLES_DIRECTORY))

    async def _sums(self) -> Mapping[str, str]:
        content, _ = await self.store.read(SUMS_FILE, MAX_BYTES)
        try:
            return parse_sums(content)
        except ValueError as error:
            raise BucketError(str(error)) from error

    def _is_outdated(self, record: SyncRecord, group: FileGroup, objects: Mapping[str, StoredObject]) -> bool:
        return any(
            name not in record.files
            or record.files[name].version != objects[name].version
            or is_absent(self.directory / name)
            for name in group.names
        )

    def _is_replaceable(self, record: SyncRecord, group: FileGroup) -> bool:
        """Whether none of the files is the user's own. Blocks."""
        paths = {name: self.directory / name for name in group.names}
        return all(is_absent(path) or record.owns(name, path) for name, path in paths.items())

    async def _exchange_shared(self, record: SyncRecord) -> SyncReport:
        shared = SharedFiles(self.directory, record, self.checks, self.run_blocking)
        done: dict[Exchange, list[str]] = {each: [] for each in Exchange}
        problems = []
        for name in SHARED_FILES:
            try:
                result = await shared.exchange(
                    self.store, name, may_pull=self.options.may_pull, may_push=self.options.may_push
                )
            except (Unfit, ObjectRefused) as error:
                problems.append(str(error))
            else:
                done[result].append(name)
        return SyncReport(
            brought=tuple(done[Exchange.PULLED]),
            pushed=tuple(done[Exchange.PUSHED]),
            kept=tuple(done[Exchange.KEPT]),
            problems=tuple(problems),
        )

    @asynccontextmanager
    async def _exclusive(self) -> AsyncIterator[None]:
        descriptor = await self.run_blocking(partial(_open_lock, self.directory / SYNC_DIRECTORY))
        try:
            yield
        finally:
            os.close(descriptor)


def _gone(record: SyncRecord, objects: Mapping[str, StoredObject]) -> tuple[str, ...]:
    """Files that were brought and are no longer in the bucket; none if it is empty, as a wrong one may be."""
    if not any(map(is_voice_file, objects)):
        return ()
    files = [name for name in record.files if name not in SHARED_FILES]
    # A configuration alone may be about to be replaced; without its model it goes too.
    return tuple(name for name in files if name.removesuffix(".json") not in objects)


def _is_refused(name: str) -> bool:
    return not is_voice_file(name) and name not in {*SHARED_FILES, SUMS_FILE}


def _shown(name: str) -> str:
    """A name on one line: one of a directory may have any characters."""
    return name if name.isprintable() else name.encode("unicode_escape", "backslashreplace").decode("ascii")


def _open_lock(directory: Path) -> int:
    directory.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise SyncedElsewhere("another process is syncing this data directory") from None
    except OSError as error:
        if error.errno not in NO_LOCKS:
            os.close(descriptor)
            raise
    return descriptor


def _stamp(path: Path) -> FileStamp | None:
    try:
        return stamp_of(path)
    except OSError:
        return None


def _log_report(report: SyncReport, before: SyncReport, url: str) -> None:
    done = {"brought": report.brought, "deleted": report.deleted, "pushed": report.pushed}
    for what, names in done.items():
        if names:
            _LOGGER.info("Sync with %s: %s %s.", url, what, ", ".join(names))
    if report.kept and report.kept != before.kept:
        _LOGGER.warning("Sync with %s: your own files stay as they are: %s.", url, ", ".join(report.kept))
    for problem in set(report.problems) - set(before.problems):
        _LOGGER.warning("Sync with %s: %s.", url, problem.rstrip("."))
