"""The journal: the record of each utterance as a line of JSON, for `wyoming-tts stats` and other readers.

One task writes it, in batches and on a worker. A disk that is slow or full costs lines, which are counted,
but never an utterance. Each batch is appended with one write, so a killed process leaves at most one
truncated line, which readers skip and the next batch terminates.
"""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from math import isfinite
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from wyoming_tts.atomic_write import replace_file
from wyoming_tts.blocking import RunBlocking
from wyoming_tts.known_files import is_absent
from wyoming_tts.telemetry.log_lines import record_fields

if TYPE_CHECKING:
    from wyoming_tts.speech import UtteranceRecord

MAX_PENDING = 1000
"""Lines that may wait to be written; more are dropped."""
_BATCH_SECONDS = 1.0
"""Seconds over which lines are collected into one write: memory cards wear out by writes."""
_LINE_END = b"\n"

_LOGGER = logging.getLogger(__name__)


class Journal:
    """Appends records to a file while its `async with` is open; leaving the block writes what is pending."""

    def __init__(
        self,
        path: Path,
        run_blocking: RunBlocking,
        *,
        max_bytes: int = 5_000_000,
        kept: int = 2,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Prepare the journal; nothing is opened before the first record.

        Args:
            path: The file; rotated ones are beside it as `NAME.1`, `NAME.2`.
            run_blocking: Runs writes off the event loop.
            max_bytes: Size at which the file is rotated.
            kept: Number of rotated files to keep.
            clock: Time of a record, in seconds since 1970.
        """
        self.path = path
        self.dropped = 0
        """Records not written: too many were pending, or the file could not be written."""
        self._run_blocking = run_blocking
        self._max_bytes = max_bytes
        self._kept = kept
        self._clock = clock
        self._lines: deque[bytes] = deque()
        self._wake_up = asyncio.Event()
        self._closing = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None
        self._is_failing = False

    def __repr__(self) -> str:
        return f"<Journal {self.path} waiting={len(self._lines)} dropped={self.dropped}>"

    async def __aenter__(self) -> Self:
        self._writer = asyncio.create_task(self._write(), name="journal")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._wake_up.set()
        if self._writer is not None:
            await self._writer

    def append(self, record: UtteranceRecord) -> None:
        """Queue a record to be written soon; never waits."""
        if len(self._lines) >= MAX_PENDING:
            self.dropped += 1
            return
        entry = {"time": round(self._clock(), 3), **record_fields(record)}
        self._lines.append(json.dumps(entry, separators=(",", ":")).encode() + _LINE_END)
        self._wake_up.set()

    async def _write(self) -> None:
        while self._lines or not self._closing.is_set():
            await self._wake_up.wait()
            self._wake_up.clear()
            await self._collect_batch()
            await self._write_batch()

    async def _collect_batch(self) -> None:
        try:
            async with asyncio.timeout(_BATCH_SECONDS):
                await self._closing.wait()
        except TimeoutError:
            pass

    async def _write_batch(self) -> None:
        lines = tuple(self._lines)
        self._lines.clear()
        if not lines:
            return
        try:
            await self._run_blocking(partial(self._append, b"".join(lines)))
        except Exception as error:  # noqa: BLE001 - a broken disk must not end the server
            self.dropped += len(lines)
            if not self._is_failing:
                _LOGGER.warning(
                    "The journal %s cannot be written: %s. Speech continues; lines are lost until it can.",
                    self.path,
                    error,
                )
            self._is_failing = True
        else:
            if self._is_failing:
                _LOGGER.warning(
                    "The journal %s can be written again; %d lines were lost.", self.path, self.dropped
                )
            self._is_failing = False

    def _append(self, batch: bytes) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._rotate(len(batch))
        file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            rest = _line_end(file) + batch
            while rest:  # a disk that gets full accepts a part, and fails with the next write
                rest = rest[os.write(file, rest) :]
        finally:
            os.close(file)

    def _rotate(self, added: int) -> None:
        try:
            size = self.path.stat().st_size
        except FileNotFoundError:
            return
        if not size or size + added <= self._max_bytes:
            return
        names = [self.path, *rotated_files(self.path, self._kept)]
        for newer, older in reversed(list(pairwise(names))):
            with suppress(FileNotFoundError):
                newer.replace(older)
        if not self._kept:
            self.path.unlink()


def rotated_files(path: Path, kept: int) -> list[Path]:
    """Return the paths of a journal's rotated files, the newest first; they need not exist."""
    return [path.with_name(f"{path.name}.{number}") for number in range(1, kept + 1)]


def move_journal(old: Path, new: Path, *, kept: int = 2) -> None:
    """Move a journal and its rotated files to another place, unless there is a journal. Blocks.

    A move that is interrupted is completed by the next one, and nothing is overwritten.

    Raises:
        OSError: a file could not be moved; it is still at the old place.
    """
    if not is_absent(new) or is_absent(old) or os.path.realpath(old) == os.path.realpath(new):
        return
    new.parent.mkdir(parents=True, exist_ok=True)
    # The journal itself comes last: while it is absent, there is something left to move.
    sources, targets = [*rotated_files(old, kept), old], [*rotated_files(new, kept), new]
    for source, target in zip(sources, targets, strict=True):
        if is_absent(target) and not is_absent(source):
            _move(source, target)
    _LOGGER.info("Moved the journal %s to %s.", old, new)


def _move(source: Path, target: Path) -> None:
    try:
        source.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _move_between_disks(source, target)


def _move_between_disks(source: Path, target: Path) -> None:
    replace_file(target, source.read_bytes())
    try:
        target.chmod(source.stat().st_mode & 0o777)
        source.unlink()
    except OSError:
        target.unlink()  # two copies would count twice
        raise


def _line_end(file: int) -> bytes:
    """Return what terminates a line that was cut off when its writer was killed or the disk was full."""
    size = os.fstat(file).st_size
    return b"" if not size or os.pread(file, 1, size - 1) == _LINE_END else _LINE_END


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """The fields of a journal line that statistics need. Times are in seconds."""

    time: float
    """End of the utterance, since 1970."""
    outcome: str
    error: str
    ttfa: float | None
    wait: float
    audio_seconds: float
    compute_seconds: float
    characters: int
    underruns: int
    underrun_seconds: float
    held: float
    """Seconds for which audio was held back so that it plays without a gap."""

    @classmethod
    def parse(cls, line: bytes) -> JournalEntry | None:
        """Parse a line; None if it is malformed."""
        try:
            values = json.loads(line)
            return cls._from_values(values) if isinstance(values, Mapping) else None
        except (ValueError, TypeError, KeyError, RecursionError):
            return None

    @classmethod
    def _from_values(cls, values: Mapping[str, Any]) -> JournalEntry:
        return cls(
            time=_number(values["time"]),
            outcome=str(values["outcome"]),
            error=str(values["error"]),
            ttfa=None if values["ttfa"] is None else _number(values["ttfa"]),
            wait=_number(values["wait"]),
            audio_seconds=_number(values["audio_seconds"]),
            compute_seconds=_number(values["compute_seconds"]),
            characters=int(_number(values["characters"])),
            underruns=int(_number(values["underruns"])),
            underrun_seconds=_number(values.get("underrun_seconds", 0.0)),
            held=_number(values.get("held", 0.0)),  # lines of older versions have none
        )


def _number(value: Any) -> float:
    number = float(value)
    if not isfinite(number):
        raise ValueError(f"Got {number}, expected a finite number.")
    return number


def read_entries(path: Path) -> Iterator[JournalEntry]:
    """Yield the entries of a journal's file, skipping malformed lines. Blocks.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as lines:
        for line in lines:
            entry = JournalEntry.parse(line)
            if entry is not None:
                yield entry
