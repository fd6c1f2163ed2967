"""File watcher of the data directories: calls back when installed voices may have changed.

Notifications of the operating system (watchfiles) only trigger a scan; the scan decides what changed. A file
counts once it has been stable for a while, so that a model is not loaded while it is being copied. Where no
notifications are delivered, as for changes by other machines on a network share, the directories are polled.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias

from wyoming_tts.blocking import RunBlocking
from wyoming_tts.known_files import KnownFiles

_LOGGER = logging.getLogger(__name__)

VOICE_FILES = (".onnx", ".onnx.json", ".bin")
"""Endings of the names of voice files."""

_MOUNTS = Path("/proc/self/mountinfo")
_SHARES = (
    "9p",
    "afs",
    "ceph",
    "cifs",
    "drvfs",
    "fuse",
    "glusterfs",
    "lustre",
    "ncpfs",
    "nfs",
    "smb",
    "virtio",
)
"""Prefixes of the types of file systems on which other machines' changes cause no notification."""

_DEBOUNCE = {"debounce": 400, "step": 200}
"""Milliseconds for which notifications are collected: at most, and without a further one.

The second is also how often watchfiles wakes up, even if there is none."""

_Stamp: TypeAlias = tuple[int, int, int]
"""Identifies a file's content, as `known_files.FileStamp`."""

_Place: TypeAlias = tuple[Path, int, int]
"""A directory with its device and inode, so that a replaced directory differs from the old one."""


@dataclass(frozen=True, slots=True)
class PollIntervals:
    """Seconds between scans. A change is reported after `settle`, and up to `poll` later when polling."""

    settle: float = 0.5
    """How long a file has to be stable."""
    poll: float = 0.75
    """Where no notifications are delivered."""
    recheck: float = 30.0
    """Where they are, in case one is lost."""


@dataclass(frozen=True, slots=True)
class DirectorySnapshot:
    """Contents of the directories at one moment."""

    files: Mapping[Path, _Stamp]
    places: frozenset[_Place] = frozenset()
    """What to watch: the directories, and the parents in which they or their replacements appear."""
    is_shared: bool = False
    """A directory is on a file system that other machines change without notification."""


class SettledFiles:
    """Debouncing: which files are stable, and whether they differ from the last report. Has no clock."""

    def __init__(self, settle: float) -> None:
        self._settle = settle
        self._since: dict[Path, tuple[_Stamp, float]] = {}
        self._settled: dict[Path, _Stamp] = {}
        self._reported: dict[Path, _Stamp] = {}
        self.is_waiting = False
        """Whether a file has not been stable for long enough."""

    def update(self, files: Mapping[Path, _Stamp], now: float) -> None:
        """Take the files of a new scan. A file that is changing counts as it was last reported."""
        before = self._since
        self._since = {
            path: before[path] if path in before and before[path][0] == stamp else (stamp, now)
            for path, stamp in files.items()
        }
        stable = {path for path, (_, since) in self._since.items() if now - since >= self._settle}
        self.is_waiting = len(stable) < len(files)
        counted = {
            path: stamp if path in stable else self._reported.get(path) for path, stamp in files.items()
        }
        self._settled = {path: stamp for path, stamp in counted.items() if stamp is not None}

    @property
    def has_changes(self) -> bool:
        """Whether a file was added, changed or removed since the last report."""
        return self._settled != self._reported

    def mark_reported(self) -> None:
        """Remember the stable files as reported."""
        self._reported = self._settled


async def watch_directories(
    directories: Iterable[Path],
    on_change: Callable[[], Awaitable[None]],
    *,
    run_blocking: RunBlocking,
    known: KnownFiles | None = None,
    endings: Collection[str] = VOICE_FILES,
    intervals: PollIntervals | None = None,
) -> None:
    """Call `on_change` whenever voice files were added, changed or removed; runs until cancelled.

    It is called once at the start if there are any files, never concurrently, and again later if it fails or
    could not read a file.
    Directories need not exist, and may be replaced.

    Args:
        directories: Scanned without their subdirectories.
        on_change: Lists the voices again.
        run_blocking: Reads directories away from the event loop.
        known: What is known of the files, shared with those who read them.
        endings: Endings of the names of the files to watch.
        intervals: How often to scan.
    """
    intervals = intervals or PollIntervals()
    absolute = [each.absolute() for each in directories]
    known = known or KnownFiles()
    scan = partial(take_snapshot, absolute, tuple(endings), known)
    parents = {str(place) for each in absolute for place in (each, *each.parents)}
    files, retry = SettledFiles(intervals.settle), _Retry(known, intervals.recheck)
    async with asyncio.TaskGroup() as tasks:
        notifications = _Notifications(tasks, run_blocking, partial(_is_relevant, parents, tuple(endings)))
        while True:
            snapshot = await run_blocking(scan)
            notifications.watch(() if snapshot.is_shared else snapshot.places)
            files.update(snapshot.files, time.monotonic())
            if (files.has_changes or retry.is_due(time.monotonic())) and await _succeeds(on_change):
                files.mark_reported()
                retry.restart(time.monotonic())
            pause = intervals.recheck if notifications.are_reliable else intervals.poll
            await notifications.wait(min(pause, intervals.settle) if files.is_waiting else pause)


class _Retry:
    """When to list the voices again although no file has changed: one could not be read the last time."""

    def __init__(self, known: KnownFiles, seconds: float) -> None:
        self._known = known
        self._seconds = seconds
        self._since = 0.0

    def restart(self, now: float) -> None:
        self._since = now

    def is_due(self, now: float) -> bool:
        """Whether it is time; a directory that cannot be read is tried by every scan anyway."""
        return self._known.has_unread and now - self._since >= self._seconds


def _is_relevant(places: Collection[str], endings: tuple[str, ...], _: object, path: str) -> bool:
    """Whether a notification can concern a voice: logs and the like are written to the same directories."""
    return path.endswith(endings) or path in places


async def _succeeds(on_change: Callable[[], Awaitable[None]]) -> bool:
    try:
        await on_change()
    except Exception:  # whatever it is, the next change must not be missed
        _LOGGER.exception("The installed voices cannot be listed; retrying.")
        return False
    return True


_WARM_UP = 2.0
"""Seconds after which notifications are reliable: changes before that may be missed."""


class _Notifications:
    """Notifications of the operating system about changes in some directories, where it delivers any."""

    def __init__(
        self, tasks: asyncio.TaskGroup, run_blocking: RunBlocking, is_relevant: Callable[[object, str], bool]
    ) -> None:
        self._tasks = tasks
        self._run_blocking = run_blocking
        self._is_relevant = is_relevant
        self._changed = asyncio.Event()
        self._places: frozenset[_Place] = frozenset()
        self._since = 0.0
        self._task: asyncio.Task[None] | None = None
        self._last_warning = ""
        self._is_enabled = _is_off(os.environ.get("WATCHFILES_FORCE_POLLING", ""))

    @property
    def are_reliable(self) -> bool:
        """Whether no change can be missed."""
        return self._is_listening and time.monotonic() - self._since > _WARM_UP

    @property
    def _is_listening(self) -> bool:
        return self._task is not None and not self._task.done()

    def watch(self, places: Collection[_Place]) -> None:
        """Watch these directories from now on; starts again if watching had failed."""
        watched = frozenset(places) if self._is_enabled else frozenset()
        if watched == self._places and self._is_listening:
            return
        self._since = time.monotonic()
        if self._task is not None:
            self._task.cancel()
        self._places = watched
        self._task = self._tasks.create_task(self._listen(watched)) if watched else None

    async def wait(self, seconds: float) -> None:
        """Return at the next notification, or after so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        self._changed.clear()

    async def _listen(self, places: frozenset[_Place]) -> None:
        paths = sorted({path for path, _, _ in places})
        try:
            watchfiles = await self._run_blocking(_watchfiles)
            changes = watchfiles.awatch(
                *paths,
                watch_filter=self._is_relevant,
                recursive=False,
                ignore_permission_denied=True,
                **_DEBOUNCE,
            )
            async with aclosing(changes):
                async for _ in changes:
                    self._changed.set()
        except Exception as error:  # noqa: BLE001  # of the system or of watchfiles: polling does without
            self._warn(error)
        finally:
            self._changed.set()

    def _warn(self, error: Exception) -> None:
        if str(error) == self._last_warning:
            return
        self._last_warning = str(error)
        _LOGGER.warning(
            "The data directories are polled: the system does not notify of changes (%s). "
            "If it is out of watches, raise fs.inotify.max_user_watches and max_user_instances.",
            error,
        )


def _watchfiles() -> Any:
    # Otherwise it would be imported at first use, on the event loop.
    import_module("anyio._backends._asyncio")
    return import_module("watchfiles")


def _is_off(switch: str) -> bool:
    """Whether the value of watchfiles' environment variable does not force polling."""
    return switch.lower() in {"", "false", "disable", "disabled"}


def take_snapshot(
    directories: Sequence[Path], endings: tuple[str, ...], known: KnownFiles
) -> DirectorySnapshot:
    """Scan the directories; one that does not exist counts as empty. Blocks."""
    paths = [each / name for each in directories for name in known.names(each) if name.endswith(endings)]
    files = {path: stamp for path in paths if (stamp := known.stamp(path)) is not None}
    places = frozenset(place for directory in directories for place in _places(directory))
    shares = shared_mounts(_read_text(_MOUNTS))
    return DirectorySnapshot(files, places, any(_is_on(directory, shares) for directory in directories))


def _places(directory: Path) -> Iterator[_Place]:
    """The directory if it exists, and its nearest existing parent."""
    for path in (directory, *directory.parents):
        with suppress(OSError):
            status = path.stat()
            yield path, status.st_dev, status.st_ino
            if path != directory:
                return


def shared_mounts(mounts: str) -> dict[Path, bool]:
    """Mount points, each with whether other machines can write to its file system.

    Args:
        mounts: Text of `/proc/self/mountinfo` (proc(5)).
    """
    shared = {}
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split(" ")
        if len(fields) > 4 and after:  # noqa: PLR2004  # the fifth is the mount point
            point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[4])
            shared[Path(point)] = after.startswith(_SHARES)
    return shared


def _is_on(directory: Path, shares: Mapping[Path, bool]) -> bool:
    real = Path(os.path.realpath(directory))
    return next((shares[path] for path in (real, *real.parents) if path in shares), False)


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
