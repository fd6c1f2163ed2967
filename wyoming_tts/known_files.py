"""Last known state of files: an error of the file system, or a share that is away, is no deletion.

A file counts as absent only when its directory can be read and does not contain it. Any other error (out of
descriptors, I/O error, stale handle, no permission) says nothing about the file, so what was known of it
stays. A directory that vanishes as a whole, or is replaced by an empty one, as when a network share is
unmounted, keeps its files for KEEP_SECONDS. `Path.exists`, `is_file` and `glob` cannot tell these apart:
depending on the version of Python they report some or all errors as absence.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeVar, cast

from wyoming_tts.messages import Message
from wyoming_tts.system_reasons import system_reason

_LOGGER = logging.getLogger(__name__)

T = TypeVar("T")

KEEP_SECONDS: Final = 300.0
"""How long files of a directory that is away are kept: longer than a NAS takes to restart, and no longer than
someone who has really removed the directory may wait."""

ABSENT: Final = (FileNotFoundError, NotADirectoryError)
"""Errors that say that there is no such file; any other says only that it cannot be reached now."""


class FileStamp(NamedTuple):
    """Identifies a file's content without reading it."""

    mtime_ns: int
    size: int
    inode: int


def stamp_of(path: Path) -> FileStamp:
    """Read the stamp of a file as it is now, whatever was known of it.

    Raises:
        OSError: there is no such file, or it cannot be reached.
    """
    status = path.stat()
    return FileStamp(status.st_mtime_ns, status.st_size, status.st_ino)


@dataclass(frozen=True, slots=True)
class _Directory:
    """A directory when it was last read, and since when it is away."""

    identity: tuple[int, int] | None = None
    """Device and inode: a mount point is another directory than the share on it. None: there is none."""
    names: frozenset[str] = frozenset()
    away_since: float | None = None


class _Parsed(NamedTuple):
    stamp: FileStamp
    value: Any


class KnownFiles:
    """Names, stamps and contents of files as last known. Every method blocks.

    Threads may share it: each access to its state is a single operation of a dictionary.
    """

    def __init__(
        self, *, keep_seconds: float = KEEP_SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._keep_seconds = keep_seconds
        self._clock = clock
        self._directories: dict[Path, _Directory] = {}
        self._stamps: dict[Path, FileStamp] = {}
        self._parsed: dict[tuple[Path, Callable[[Path], Any]], _Parsed] = {}
        self._unreachable: dict[Path, str] = {}
        self._unread: dict[Path, str] = {}
        self._told: set[Path] = set()
        """Troubles that are in the log until they are over: one line for a directory and all its files."""

    def __repr__(self) -> str:
        return f"<KnownFiles in {len(self._directories)} directories, {len(self.troubles)} in trouble>"

    @property
    def troubles(self) -> Mapping[Path, str]:
        """The directories and files that could not be read when last tried, each with the reason."""
        return MappingProxyType({**self._unreachable, **self._unread})

    @property
    def has_unread(self) -> bool:
        """Whether the content of a file could not be read when last tried."""
        return bool(self._unread)

    def names(self, directory: Path) -> frozenset[str]:
        """The names in a directory, or those known before if it cannot be read or is away."""
        directory = directory.absolute()
        known = self._directories.get(directory, _Directory())
        try:
            found = _scan(directory)
        except ABSENT:
            found = _Directory()
        except OSError as error:
            self._note(self._unreachable, directory, error)
            return known.names
        if known.names and _is_away(found, known):
            return self._keep(directory, known)
        if found.identity:
            self._settle(self._unreachable, directory)
        self._unreachable.pop(directory, None)
        self._directories[directory] = found
        for name in known.names - found.names:
            self._forget(directory / name)
        return found.names

    def is_away(self, directory: Path) -> bool:
        """Whether the directory has vanished as a whole, less than KEEP_SECONDS ago."""
        self.names(directory)
        known = self._directories.get(directory.absolute())
        return known is not None and known.away_since is not None

    def stamp(self, path: Path) -> FileStamp | None:
        """The stamp of a file, or the one known before if it cannot be reached; None if it is absent."""
        path = path.absolute()
        try:
            stamp = stamp_of(path)
        except ABSENT:
            if not self.is_away(path.parent):
                self._forget(path)
        except OSError as error:
            self._note(self._unreachable, path, error)
        else:
            if path.parent not in self._directories:
                self.names(path.parent)  # to know it again
            self._settle(self._unreachable, path)
            self._stamps[path] = stamp
        return self._stamps.get(path)

    def read(self, path: Path, parse: Callable[[Path], T]) -> T:
        """Return `parse(path)`, computed when the file changes; the previous result if it cannot be read.

        Args:
            path: The file.
            parse: Reads it; the same function each time, not a new one. An `OSError` of it says that the file
                cannot be read now; any other error ends what is known of the file.

        Raises:
            OSError: it cannot be read, and never could.
        """
        key = path.absolute(), parse
        stamp, remembered = self.stamp(path), self._parsed.get(key)
        if remembered and stamp == remembered.stamp:
            self._settle(self._unread, key[0])
            return cast("T", remembered.value)
        try:
            value = parse(path)
        except (*ABSENT, IsADirectoryError):
            self._forget(key[0])
            raise
        except OSError as error:
            if remembered is None:
                self._unread[key[0]] = system_reason(error)  # whoever asked for the file tells of it
                raise
            self._note(self._unread, key[0], error)
            return cast("T", remembered.value)
        except BaseException:
            self._parsed.pop(key, None)
            self._settle(self._unread, key[0])
            raise
        self._settle(self._unread, key[0])
        if stamp is not None:
            self._parsed[key] = _Parsed(stamp, value)
        return value

    def _keep(self, directory: Path, known: _Directory) -> frozenset[str]:
        """The names of a directory that is away, until they have been kept for long enough."""
        now = self._clock()
        since = now if known.away_since is None else known.away_since
        if now - since < self._keep_seconds:
            self._directories[directory] = _Directory(known.identity, known.names, since)
            if known.away_since is None:
                self._told.add(directory)
                self._unreachable[directory] = Message(
                    "gone_or_empty", "it is gone or empty, as when a network share is unmounted"
                )
                _LOGGER.warning(
                    "%s is gone or empty, as when a network share is unmounted. The files that were in it "
                    "are kept for %.0f minutes, in case it comes back.",
                    directory,
                    self._keep_seconds / 60,
                )
            return known.names
        self._directories[directory] = _Directory()
        self._unreachable.pop(directory, None)
        self._told.discard(directory)
        for name in known.names:
            self._forget(directory / name)
        _LOGGER.warning("%s did not come back: the files in it count as removed now.", directory)
        return frozenset()

    def _note(self, troubles: dict[Path, str], path: Path, error: OSError) -> None:
        """Log a trouble when it begins, and not at each look."""
        troubles[path] = system_reason(error)
        if self._told.isdisjoint((path, path.parent)):
            self._told.add(path)
            _LOGGER.warning(
                "%s cannot be read now: %s. What is known of it stays.", path, system_reason(error)
            )

    def _settle(self, troubles: dict[Path, str], path: Path) -> None:
        if troubles.pop(path, None) and path in self._told:
            self._told.discard(path)
            _LOGGER.info("%s can be read again.", path)

    def _forget(self, path: Path) -> None:
        self._unreachable.pop(path, None)
        self._unread.pop(path, None)
        self._told.discard(path)
        self._stamps.pop(path, None)
        for key in [key for key in list(self._parsed) if key[0] == path]:
            self._parsed.pop(key, None)


def is_absent(path: Path) -> bool:
    """Whether there is certainly nothing at the path; unlike `not Path.exists()` in every version of Python.

    Raises:
        OSError: that cannot be told now.
    """
    try:
        path.lstat()
    except ABSENT:
        return True
    return False


def _scan(directory: Path) -> _Directory:
    status = directory.stat()
    with os.scandir(directory) as entries:
        names = frozenset(entry.name for entry in entries)
    return _Directory((status.st_dev, status.st_ino), names)


def _is_away(found: _Directory, known: _Directory) -> bool:
    """Whether a directory was not emptied file by file: then it would still be the same directory."""
    is_empty = all(name.startswith(".") for name in found.names)
    return is_empty and found.identity != known.identity
