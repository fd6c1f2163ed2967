"""The files of the cache: one per entry, named by the digest of its key.

A file appears under its name complete (written beside it, synced, renamed) and is checked when it is read
(`entry_format`), so that neither a crash nor a bad disk can falsify it. Its modification time is when it was
last used. Everything here blocks. Several processes may share one directory: a writer holds a lock on its
partial file, which distinguishes it from one that a crash left behind.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from wyoming_tts.cache.entries import CachedSegment
from wyoming_tts.cache.entry_format import HEADER_BYTES, decode_body, encode, read_header

_SUFFIX = ".segment"
# Nothing else is ever removed: other programs may keep files in the directory, too.
_ENTRY_NAME = re.compile(r"[0-9a-f]{64}\.segment")
_PART_NAME = re.compile(r"[0-9a-f]{64}\.[0-9a-f]{16}\.part")


@dataclass(frozen=True, slots=True)
class EntryFile:
    """A file of the directory, unread."""

    name: str
    size: int
    """Bytes of the file."""
    used_at: float
    """Seconds since 1970."""


class EntryFiles:
    """The entries of one directory. Every method blocks and may raise OSError."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def scan(self) -> list[EntryFile]:
        """Create the directory if need be, remove what a crash left behind, and list the entries."""
        self.directory.mkdir(parents=True, exist_ok=True)
        found = []
        with os.scandir(self.directory) as files:
            for file in files:
                with suppress(FileNotFoundError):  # other processes remove files meanwhile
                    if _PART_NAME.fullmatch(file.name):
                        _remove_unless_locked(Path(file.path))
                    elif _ENTRY_NAME.fullmatch(file.name) and file.is_file(follow_symlinks=False):
                        found.append(_entry_file(file))
        return found

    def read(self, name: str) -> CachedSegment:
        """Return the entry, checked to be what was written under this name.

        Raises:
            FileNotFoundError: there is none.
            BrokenEntry: the file is not what was written.
        """
        with self._path(name).open("rb") as file:
            header = read_header(file.read(HEADER_BYTES), os.fstat(file.fileno()).st_size)
            body = file.read(header.body_bytes)
        return decode_body(name, header, body)

    def write(self, name: str, segment: CachedSegment, used_at: float) -> None:
        """Write the entry completely and synced, or raise and leave everything as it was."""
        file, part = self._create_locked_part(name)
        try:
            with file:
                file.writelines(encode(name, segment))
                file.flush()
                os.utime(file.fileno(), ns=_nanoseconds(used_at))
                os.fsync(file.fileno())
                part.replace(self._path(name))
        except BaseException:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            raise

    def remove(self, names: Iterable[str]) -> None:
        """Remove entries; missing ones are ignored."""
        for name in names:
            self._path(name).unlink(missing_ok=True)

    def clear(self) -> tuple[int, int]:
        """Remove all entries; return how many they were, and their bytes."""
        if not self.directory.is_dir():
            return 0, 0
        found = self.scan()
        self.remove(file.name for file in found)
        return len(found), sum(file.size for file in found)

    def touch(self, used_at: Mapping[str, float]) -> None:
        """Store when entries were used, for the LRU order after the next start."""
        for name, at in used_at.items():
            with suppress(FileNotFoundError):
                os.utime(self._path(name), ns=_nanoseconds(at))

    def _create_locked_part(self, name: str) -> tuple[BinaryIO, Path]:
        # Another process' scan may find the file before it is locked, and remove it.
        while True:
            part = self.directory / f"{name}.{secrets.token_hex(8)}.part"
            file = part.open("xb")
            if _lock(file) and os.fstat(file.fileno()).st_nlink > 0:
                return file, part
            file.close()
            part.unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self.directory / f"{name}{_SUFFIX}"


def _entry_file(file: os.DirEntry[str]) -> EntryFile:
    status = file.stat(follow_symlinks=False)
    return EntryFile(file.name.removesuffix(_SUFFIX), status.st_size, status.st_mtime)


def _remove_unless_locked(part: Path) -> None:
    with part.open("rb") as file:
        if _lock(file):
            part.unlink(missing_ok=True)


def _lock(file: BinaryIO) -> bool:
    """Lock the file for this process; false if another one holds it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # no locks here: a write whose partial file is removed fails, which does no harm
        pass
    return True


def _nanoseconds(at: float) -> tuple[int, int]:
    nanoseconds = int(at * 1e9)
    return nanoseconds, nanoseconds
