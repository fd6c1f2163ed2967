"""The journal: what is known of each utterance as lines of JSON, for `wyoming-tts stats` and for others.

Written by one task, in batches and on a worker. A disk that is slow or full costs lines, which are
counted, and never an utterance. Each batch is one write to the end of the file, so a process that is
killed leaves at most one broken line, which readers skip and the next batch closes off.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from math import isfinite
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from wyoming_tts.blocking import RunBlocking
from wyoming_tts.telemetry.log_lines import record_fields

if TYPE_CHECKING:
    from wyoming_tts.speech import UtteranceRecord

MOST_WAITING = 1000
"""Lines that wait to be written; more are dropped."""
_GATHERING = 1.0
"""Seconds in which lines are gathered into one write: memory cards wear out by writes."""
_LINE_END = b"\n"

_LOGGER = logging.getLogger(__name__)


class Journal:
    """Appends records to a file while its `async with` is open; what waits at the end is still written."""

    def __init__(
        self,
        path: Path,
        run_blocking: RunBlocking,
        *,
        max_bytes: int = 5_000_000,
        kept: int = 2,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Make it ready; nothing is opened before the first record.

        Args:
            path: The file; older ones lie beside it as `NAME.1`, `NAME.2`.
            run_blocking: Writes away from the event loop.
            max_bytes: A new file is begun where this one would grow beyond that.
            kept: How many old files are kept.
            clock: Gives the time of a record, in seconds since 1970.
        """
        self.path = path
        self.dropped = 0
        """Records that were not written: too many waited, or the file could not be written."""
        self._run_blocking = run_blocking
        self._max_bytes = max_bytes
        self._kept = kept
        self._clock = clock
        self._lines: deque[bytes] = deque()
        self._there_is_work = asyncio.Event()
        self._closing = asyncio.Event()
        self._writing: asyncio.Task[None] | None = None
        self._is_failing = False

    def __repr__(self) -> str:
        return f"<Journal {self.path} waiting={len(self._lines)} dropped={self.dropped}>"

    async def __aenter__(self) -> Self:
        self._writing = asyncio.create_task(self._write(), name="journal")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._there_is_work.set()
        if self._writing is not None:
            await self._writing

    def note(self, record: UtteranceRecord) -> None:
        """Have a record written soon; never waits."""
        if len(self._lines) >= MOST_WAITING:
            self.dropped += 1
            return
        noted = {"time": round(self._clock(), 3), **record_fields(record)}
        self._lines.append(json.dumps(noted, separators=(",", ":")).encode() + _LINE_END)
        self._there_is_work.set()

    async def _write(self) -> None:
        while self._lines or not self._closing.is_set():
            await self._there_is_work.wait()
            self._there_is_work.clear()
            await self._gathered()
            await self._write_batch()

    async def _gathered(self) -> None:
        try:
            async with asyncio.timeout(_GATHERING):
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
        except Exception as error:  # noqa: BLE001 - no disk, however broken, may end the server
            self.dropped += len(lines)
            if not self._is_failing:
                _LOGGER.warning(
                    "The journal %s cannot be written: %s. Speech goes on; lines are lost until it can.",
                    self.path,
                    error,
                )
            self._is_failing = True
        else:
            if self._is_failing:
                _LOGGER.warning("The journal %s is written again; %d lines were lost.", *self._lost())
            self._is_failing = False

    def _lost(self) -> tuple[Path, int]:
        return self.path, self.dropped

    def _append(self, batch: bytes) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._rotate(len(batch))
        file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            left = _closing_off(file) + batch
            while left:  # a disk that gets full takes a part, and says so with the next write
                left = left[os.write(file, left) :]
        finally:
            os.close(file)

    def _rotate(self, coming: int) -> None:
        try:
            size = self.path.stat().st_size
        except FileNotFoundError:
            return
        if not size or size + coming <= self._max_bytes:
            return
        names = [self.path, *rotated_files(self.path, self._kept)]
        for newer, older in reversed(list(pairwise(names))):
            if newer.exists():
                newer.replace(older)
        if not self._kept:
            self.path.unlink()


def rotated_files(path: Path, kept: int) -> list[Path]:
    """Return where old files of a journal lie, the youngest first; they need not exist."""
    return [path.with_name(f"{path.name}.{number}") for number in range(1, kept + 1)]


def _closing_off(file: int) -> bytes:
    """What ends a line that broke off when its writer was killed, or its disk was full."""
    size = os.fstat(file).st_size
    return b"" if not size or os.pread(file, 1, size - 1) == _LINE_END else _LINE_END


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """A line of the journal, as far as statistics want it. Times are in seconds."""

    time: float
    """Since 1970, when the utterance was over."""
    outcome: str
    error: str
    ttfa: float | None
    wait: float
    audio_seconds: float
    compute_seconds: float
    characters: int
    underruns: int

    @classmethod
    def of(cls, line: bytes) -> JournalEntry | None:
        """Read a line; None if it is broken."""
        try:
            values = json.loads(line)
            return cls._of_values(values) if isinstance(values, Mapping) else None
        except (ValueError, TypeError, KeyError, RecursionError):
            return None

    @classmethod
    def _of_values(cls, values: Mapping[str, Any]) -> JournalEntry:
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
        )


def _number(value: Any) -> float:
    number = float(value)
    if not isfinite(number):
        raise ValueError(f"Got {number}, expected a finite number.")
    return number


def read_entries(path: Path) -> Iterator[JournalEntry]:
    """Read a journal's file line by line, without those that are broken. Blocks.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as lines:
        for line in lines:
            note = JournalEntry.of(line)
            if note is not None:
                yield note
