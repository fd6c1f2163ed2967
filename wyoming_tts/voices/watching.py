"""Tells when the voices in the data directories may have changed.

The operating system says that something stirred (watchfiles); what changed is seen by looking. A file
counts once it has stayed the same for a while, so a model is not tried while it is being copied. Where no
notices come, as of changes that others make on a network share, looking alone has to do, and is done often.
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

_LOGGER = logging.getLogger(__name__)

VOICE_FILES = (".onnx", ".onnx.json", ".bin")
"""How the names of files end that voices are made of."""

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
"""How the names of file systems begin that others write to without this machine's knowledge."""

_NOTICES = {"debounce": 400, "step": 50}
"""Milliseconds that notices are gathered for, at most, and without a further one."""

_Stamp: TypeAlias = tuple[int, int, int]
"""What changes with a file's content: time of change, size, inode."""

_Place: TypeAlias = tuple[Path, int, int]
"""A directory with its device and inode: another one of that name is another place."""


@dataclass(frozen=True, slots=True)
class PollIntervals:
    """Seconds between looks; a voice is told of after `settle`, `poll` later where there are no notices."""

    settle: float = 0.5
    """For this long a file has to stay the same."""
    poll: float = 0.75
    """Where no notices come."""
    recheck: float = 30.0
    """Where they do, in case one is lost."""


@dataclass(frozen=True, slots=True)
class DirectorySnapshot:
    """What the directories held at one moment."""

    files: Mapping[Path, _Stamp]
    places: frozenset[_Place] = frozenset()
    """Where notices are to come from: the directories, and what they or their replacements appear in."""
    is_shared: bool = False
    """A directory lies where others can change it unnoticed."""


class SettledFiles:
    """Which files are as they were for a while, and whether that was told; without a clock of its own."""

    def __init__(self, settle: float) -> None:
        self._settle = settle
        self._since: dict[Path, tuple[_Stamp, float]] = {}
        self._settled: dict[Path, _Stamp] = {}
        self._told: dict[Path, _Stamp] = {}
        self.is_waiting = False
        """A file has not been the same for long enough."""

    def take(self, files: Mapping[Path, _Stamp], now: float) -> None:
        """Compare with what was seen before. A file that changes counts as what it was when told of."""
        before = self._since
        self._since = {
            path: before[path] if path in before and before[path][0] == stamp else (stamp, now)
            for path, stamp in files.items()
        }
        stable = {path for path, (_, since) in self._since.items() if now - since >= self._settle}
        self.is_waiting = len(stable) < len(files)
        counted = {path: stamp if path in stable else self._told.get(path) for path, stamp in files.items()}
        self._settled = {path: stamp for path, stamp in counted.items() if stamp is not None}

    @property
    def has_news(self) -> bool:
        """Whether anything has come, changed or gone since it was last told."""
        return self._settled != self._told

    def told(self) -> None:
        """Take it that all there is was told."""
        self._told = self._settled


async def watch_directories(
    directories: Iterable[Path],
    on_change: Callable[[], Awaitable[None]],
    *,
    run_blocking: RunBlocking,
    endings: Collection[str] = VOICE_FILES,
    pace: PollIntervals | None = None,
) -> None:
    """Call `on_change` whenever voices may have come, changed or gone; ends by being cancelled.

    It is called once at the start if there are any, never twice at a time, and again later if it fails.
    Directories need not exist, and may be replaced.

    Args:
        directories: not searched below their first level.
        on_change: looks which voices there are.
        run_blocking: reads directories away from the event loop.
        endings: of the names that matter.
        pace: how often to look.
    """
    pace = pace or PollIntervals()
    absolute = [each.absolute() for each in directories]
    look = partial(take_snapshot, absolute, tuple(endings))
    awaited = {str(place) for each in absolute for place in (each, *each.parents)}
    settling = SettledFiles(pace.settle)
    async with asyncio.TaskGroup() as tasks:
        notices = _FileNotices(tasks, run_blocking, partial(_matters, awaited, tuple(endings)))
        while True:
            seen = await run_blocking(look)
            notices.follow(() if seen.is_shared else seen.places)
            settling.take(seen.files, time.monotonic())
            if settling.has_news and await _succeeds(on_change):
                settling.told()
            wait = pace.recheck if notices.are_coming else pace.poll
            await notices.wait(min(wait, pace.settle) if settling.is_waiting else wait)


def _matters(places: Collection[str], endings: tuple[str, ...], _: object, path: str) -> bool:
    """Whether a notice can mean a voice: logs and the like are written in the same places all the time."""
    return path.endswith(endings) or path in places


async def _succeeds(on_change: Callable[[], Awaitable[None]]) -> bool:
    try:
        await on_change()
    except Exception:  # whatever it is, the next change is to be seen
        _LOGGER.exception("The voices that are there now cannot be listed; it is tried again.")
        return False
    return True


_SETTLING_IN = 2.0
"""Seconds after which the system surely tells of changes: what happens before may go unnoticed."""


class _FileNotices:
    """What the operating system says of some places, while it says anything."""

    def __init__(
        self, tasks: asyncio.TaskGroup, run_blocking: RunBlocking, matters: Callable[[object, str], bool]
    ) -> None:
        self._tasks = tasks
        self._run_blocking = run_blocking
        self._matters = matters
        self._stirred = asyncio.Event()
        self._places: frozenset[_Place] = frozenset()
        self._since = 0.0
        self._task: asyncio.Task[None] | None = None
        self._complained = ""
        self._is_wanted = _is_off(os.environ.get("WATCHFILES_FORCE_POLLING", ""))

    @property
    def are_coming(self) -> bool:
        """Whether a change would be noticed for sure."""
        return self._is_listening and time.monotonic() - self._since > _SETTLING_IN

    @property
    def _is_listening(self) -> bool:
        return self._task is not None and not self._task.done()

    def follow(self, places: Collection[_Place]) -> None:
        """Listen to these places from now on; also again, if listening had failed."""
        wanted = frozenset(places) if self._is_wanted else frozenset()
        if wanted == self._places and self._is_listening:
            return
        self._since = time.monotonic()
        if self._task is not None:
            self._task.cancel()
        self._places = wanted
        self._task = self._tasks.create_task(self._listen(wanted)) if wanted else None

    async def wait(self, seconds: float) -> None:
        """Return when something stirred, or after this time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stirred.wait()
        self._stirred.clear()

    async def _listen(self, places: frozenset[_Place]) -> None:
        paths = sorted({path for path, _, _ in places})
        try:
            watchfiles = await self._run_blocking(_watchfiles)
            changes = watchfiles.awatch(
                *paths, watch_filter=self._matters, recursive=False, ignore_permission_denied=True, **_NOTICES
            )
            async with aclosing(changes):
                async for _ in changes:
                    self._stirred.set()
        except Exception as error:  # noqa: BLE001  # of the system or of watchfiles: looking does without
            self._complain(error)
        finally:
            self._stirred.set()

    def _complain(self, error: Exception) -> None:
        if str(error) == self._complained:
            return
        self._complained = str(error)
        _LOGGER.warning(
            "The data directories are looked at all the time: the system does not tell of changes (%s). "
            "If it is out of watches, raise fs.inotify.max_user_watches and max_user_instances.",
            error,
        )


def _watchfiles() -> Any:
    # It would load this with its first use, on the event loop.
    import_module("anyio._backends._asyncio")
    return import_module("watchfiles")


def _is_off(switch: str) -> bool:
    """Whether the variable that watchfiles knows does not force it to poll."""
    return switch.lower() in {"", "false", "disable", "disabled"}


def take_snapshot(directories: Sequence[Path], endings: tuple[str, ...]) -> DirectorySnapshot:
    """See what the directories hold now; one that cannot be read holds nothing. Reads directories."""
    files = {path: stamp for directory in directories for path, stamp in _files(directory, endings)}
    places = frozenset(place for directory in directories for place in _places(directory))
    shares = shared_mounts(_text(_MOUNTS))
    return DirectorySnapshot(files, places, any(_lies_on(directory, shares) for directory in directories))


def _files(directory: Path, endings: tuple[str, ...]) -> Iterator[tuple[Path, _Stamp]]:
    try:
        with os.scandir(directory) as entries:
            names = [entry.name for entry in entries if entry.name.endswith(endings)]
    except OSError:
        return
    for name in names:
        path = directory / name
        with suppress(OSError):  # gone meanwhile, or a link to nowhere
            status = path.stat()
            yield path, (status.st_mtime_ns, status.st_size, status.st_ino)


def _places(directory: Path) -> Iterator[_Place]:
    """The directory if it is there, and the nearest one that it is or will be in."""
    for path in (directory, *directory.parents):
        with suppress(OSError):
            status = path.stat()
            yield path, status.st_dev, status.st_ino
            if path != directory:
                return


def shared_mounts(mounts: str) -> dict[Path, bool]:
    """Where file systems are mounted, and whether others can write to them.

    Args:
        mounts: as the kernel lists them in `/proc/self/mountinfo` (proc(5)).
    """
    shared = {}
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split(" ")
        if len(fields) > 4 and after:  # noqa: PLR2004  # the fifth is the mount point
            point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[4])
            shared[Path(point)] = after.startswith(_SHARES)
    return shared


def _lies_on(directory: Path, shares: Mapping[Path, bool]) -> bool:
    real = Path(os.path.realpath(directory))
    return next((shares[path] for path in (real, *real.parents) if path in shares), False)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
