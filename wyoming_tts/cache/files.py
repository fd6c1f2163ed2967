"""The files of the cache: one per entry, named by the digest of its key.

A file appears under its name complete (written beside it, synced, renamed) and holds a digest of its name and
content, so that neither a crash nor a bad disk can falsify it. Its modification time is when it was last
used. Everything here blocks. Several processes may share one directory: a writer holds a lock on its partial
file, which distinguishes it from one that a crash left behind.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import struct
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from hashlib import blake2b
from itertools import starmap
from pathlib import Path
from typing import BinaryIO, NamedTuple

from wyoming_tts.cache.entries import CachedSegment
from wyoming_tts.speech import WordTiming, WordTimings

_HEADER = struct.Struct("<4sHBxIIQ32s")
"""Magic, version, kind of timings, rate in Hz, words, bytes of PCM, digest of all else and of the file's
name; the words and the PCM follow."""
HEADER_BYTES = _HEADER.size
_WORD = struct.Struct("<4I")
"""The fields of a WordTiming, in order."""
_MAGIC = b"WTSC"
_VERSION = 2
_SUFFIX = ".segment"
# Nothing else is ever removed: other programs may keep files in the directory, too.
_ENTRY_NAME = re.compile(r"[0-9a-f]{64}\.segment")
_PART_NAME = re.compile(r"[0-9a-f]{64}\.[0-9a-f]{16}\.part")


class _Timings(IntEnum):
    """What is told of an entry's words."""

    NONE = 0
    EXACT = 1
    ESTIMATED = 2

    @classmethod
    def of(cls, timings: WordTimings | None) -> _Timings:
        if timings is None:
            return cls.NONE
        return cls.ESTIMATED if timings.estimated else cls.EXACT

    def read(self, words: bytes) -> WordTimings | None:
        if self is _Timings.NONE:
            return None
        each = tuple(starmap(WordTiming, _WORD.iter_unpack(words)))
        return WordTimings(each, estimated=self is _Timings.ESTIMATED)


class BrokenEntry(Exception):
    """A file is not what was written; the message says in which respect."""


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
            header = _read_header(file)
            words = file.read(header.words * _WORD.size)
            pcm = file.read(header.pcm_bytes)
        if _digest(name, header, words, pcm) != header.digest:
            raise BrokenEntry("its digest does not match its content")
        return CachedSegment(header.rate, pcm, _Timings(header.timings).read(words))

    def write(self, name: str, segment: CachedSegment, used_at: float) -> None:
        """Write the entry completely and synced, or raise and leave everything as it was."""
        file, part = self._create_locked_part(name)
        try:
            with file:
                file.writelines(_content(name, segment))
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


class _Header(NamedTuple):
    """What a file's header says."""

    timings: int
    rate: int
    words: int
    pcm_bytes: int
    digest: bytes = b""

    @property
    def file_bytes(self) -> int:
        """Bytes of the whole file."""
        return HEADER_BYTES + self.words * _WORD.size + self.pcm_bytes

    @classmethod
    def of(cls, segment: CachedSegment) -> _Header:
        """Return that of a segment, without its digest."""
        return cls(_Timings.of(segment.timings), segment.rate, len(segment.words), len(segment.pcm))


def file_bytes(segment: CachedSegment) -> int:
    """Return how many bytes the file of a segment has."""
    return _Header.of(segment).file_bytes


def _content(name: str, segment: CachedSegment) -> Iterable[bytes]:
    header = _Header.of(segment)
    words = b"".join(
        _WORD.pack(word.begin, word.end, word.first_sample, word.end_sample) for word in segment.words
    )
    digest = _digest(name, header, words, segment.pcm)
    return _HEADER.pack(_MAGIC, _VERSION, *header[:-1], digest), words, segment.pcm


def _read_header(file: BinaryIO) -> _Header:
    """Return the header; the file's length has been checked against it."""
    content = file.read(HEADER_BYTES)
    size = os.fstat(file.fileno()).st_size
    if len(content) < HEADER_BYTES:
        raise BrokenEntry(f"it has {size} bytes, expected a header of {HEADER_BYTES}")
    magic, version, *fields = _HEADER.unpack(content)
    if (magic, version) != (_MAGIC, _VERSION):
        raise BrokenEntry(f"it begins with {content[:6]!r}, expected {_MAGIC!r} and version {_VERSION}")
    header = _Header(*fields)
    if size != header.file_bytes:
        raise BrokenEntry(f"it has {size} bytes, expected {header.file_bytes}")
    return header


def _digest(name: str, header: _Header, words: bytes, pcm: bytes) -> bytes:
    fields = struct.pack("<64sHBIIQ", name.encode(), _VERSION, *header[:-1])
    digest = blake2b(fields, digest_size=32)
    digest.update(words)
    digest.update(pcm)
    return digest.digest()


def _nanoseconds(at: float) -> tuple[int, int]:
    nanoseconds = int(at * 1e9)
    return nanoseconds, nanoseconds
