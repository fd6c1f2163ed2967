"""Resumable transfer of one file: received into a partial file, verified by digest, then renamed into place.

Bytes go to `NAME.part` beside the file's final path. Only when size and digest are right is it synced and
renamed; a partial file that is left behind, by a lost connection or a kill, is resumed at the next try, and
the digest tells whether that was right. The partial file is opened anew for each block: no handle stays open
across an await, so cancelling needs no clean-up.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import logging
import math
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from wyoming_tts.backoff import TryAgain, retry
from wyoming_tts.blocking import RunBlocking
from wyoming_tts.messages import Message
from wyoming_tts.system_reasons import system_reason
from wyoming_tts.voices.catalogue import CatalogueFile
from wyoming_tts.voices.download.hub import (
    DownloadEnvironment,
    DownloadFailed,
    DownloadOptions,
    FailureCause,
    FileBody,
    HubClient,
    RangeNotSatisfiable,
    TransferInterrupted,
)

if TYPE_CHECKING:
    from hashlib import _Hash

T = TypeVar("T")

_LOGGER = logging.getLogger(__name__)

_HASHED_AT_ONCE = 8 * 1024 * 1024
"""Bytes hashed at once: about 30 ms, after which the worker thread is free for others."""
_UNKNOWN_SIZE_LIMIT = 64 * 1024 * 1024
"""Most bytes accepted of a file whose size is unknown: indexes are below 1 MB."""
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})


def format_size(size: float) -> str:
    """Format a number of bytes with decimal units, as file managers do: `63.2 MB`."""
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:  # noqa: PLR2004
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


class _PartialFile:
    """`NAME.part`, which becomes the file once it is complete. Every method blocks."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.path = target.with_name(f"{target.name}.part")

    def size(self) -> int:
        return _size(self.path) or 0

    def is_complete(self, size: int | None) -> bool:
        """By size alone: a configuration that the user edited without changing its size is kept."""
        return size is not None and _size(self.target) == size

    def write(self, offset: int, block: bytearray) -> None:
        # Offset 0 starts over: older content must not remain behind the new bytes.
        with self.path.open("r+b" if offset else "wb") as part:
            part.seek(offset)
            part.write(block)

    def hash_on(self, hasher: _Hash, offset: int) -> int:
        with self.path.open("rb") as part:
            part.seek(offset)
            block = part.read(_HASHED_AT_ONCE)
        hasher.update(block)
        return len(block)

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)

    def put_in_place(self) -> None:
        with self.path.open("r+b") as part:
            os.fsync(part.fileno())
        self.path.replace(self.target)
        directory = os.open(self.target.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


class Transfer:
    """Downloads one file; shared by all downloads that need it."""

    def __init__(
        self,
        file: CatalogueFile,
        directory: Path,
        *,
        hub: HubClient,
        run_blocking: RunBlocking,
        options: DownloadOptions,
        environment: DownloadEnvironment,
        on_progress: Callable[[Transfer], None],
    ) -> None:
        self.file = file
        self.received = 0
        """Bytes received. Never decreases: when a file has to be downloaded again from its beginning,
        it stays constant until it is exceeded."""
        self.total = file.size
        """Bytes of the whole file; None while unknown."""
        self.made_progress_at = -math.inf
        """Time of the last byte received or verified, by the environment's clock; at first of the request.
        Minus infinity before that, and from a lost connection until bytes are received again."""
        self.interruption: TransferInterrupted | None = None
        """Why it does not arrive, from a failed try until bytes are received again; None otherwise."""
        self._part = _PartialFile(directory / file.name)
        self._hub = hub
        self._run_blocking = run_blocking
        self._options = options
        self._environment = environment
        self._on_progress = on_progress
        self._etag: str | None = None
        self._resumed = False
        self._restarted = False
        self._placing = asyncio.Lock()
        self._in_place = False

    def __repr__(self) -> str:
        return f"<Transfer {self.file.name} {self.received}/{self.total}>"

    async def measure_remaining(self) -> int:
        """Inspect the disk; return the bytes still to be received (0 where the size is unknown)."""
        self._in_place = await self._is_complete()
        self._advance((self.file.size or 0) if self._in_place else await self._disk(self._part.size))
        return 0 if self._in_place or self.file.size is None else max(0, self.file.size - self.received)

    async def fetch(self) -> None:
        """Receive the whole file into `NAME.part` and verify it, unless it is in place already.

        Raises:
            DownloadFailed: it cannot be downloaded. The partial file is kept for the next time unless
                it was wrong; a file that was in place stays.
        """
        self.made_progress_at = self._environment.clock()
        try:
            await retry(
                self._try,
                self._options.backoff,
                on_retry=self._on_interruption,
                progress=lambda: self.received,
                sleep=self._environment.sleep,
                chance=self._environment.chance,
            )
        except TransferInterrupted as reason:
            raise DownloadFailed(
                Message(
                    "not_in_tries",
                    "{name} could not be downloaded in {count} tries: {reason}.",
                    name=self.file.name,
                    count=self._options.backoff.max_tries,
                    reason=str(reason),
                ),
                reason.cause,
                hint=Message(
                    "check_connection", "Check the connection; the next try resumes where this one ended."
                ),
            ) from reason

    async def place(self) -> None:
        """Rename the verified partial file to its final name; safe to call concurrently."""
        async with self._placing:
            if not self._in_place:
                await self._put_in_place()
            self._in_place = True

    async def _put_in_place(self) -> None:
        try:
            await self._disk(self._part.put_in_place)
        except TransferInterrupted as reason:
            # Another process that downloads the same voice was faster.
            if not await self._is_complete():
                raise DownloadFailed(
                    Message(
                        "not_moved",
                        "{name} cannot be moved into place: {reason}.",
                        name=self.file.name,
                        reason=str(reason),
                    ),
                    FailureCause.NOT_WRITABLE,
                ) from reason

    async def read_part(self, read: Callable[[Path], T]) -> T:
        """Call `read` on the partial file before it is placed, away from the event loop."""
        return await self._run_blocking(lambda: read(self._part.path))

    async def discard(self) -> None:
        """Delete the partial file."""
        await self._disk(self._part.discard)

    async def _try(self) -> None:
        while True:
            try:
                return await self._resume()
            except RangeNotSatisfiable:
                await self._restart()

    async def _resume(self) -> None:
        self._in_place = await self._is_complete()
        if self._in_place:
            return
        offset = await self._disk(self._part.size)
        self._resumed = offset > 0
        if self.file.size is not None and offset > self.file.size:
            raise RangeNotSatisfiable
        if offset != self.file.size:
            await self._receive(offset)
        await self._verify()

    async def _is_complete(self) -> bool:
        return await self._disk(partial(self._part.is_complete, self.file.size))

    async def _receive(self, offset: int) -> None:
        async with self._hub.get(self.file.url, offset=offset, etag=self._etag) as body:
            self._check_total(body)
            position, block = body.start, bytearray()
            try:
                async for piece in body.pieces:
                    block += piece
                    self._check_received(position + len(block))
                    if len(block) >= self._options.block_bytes:
                        position, block = await self._write(position, block)
            except TransferInterrupted:
                await self._write(position, block)
                raise
            position, _ = await self._write(position, block)
        if self.total is not None and position < self.total:
            raise TransferInterrupted(
                Message(
                    "ended_after",
                    "{where} ended after {size} of {total} bytes",
                    where=self.file.url,
                    size=position,
                    total=self.total,
                )
            )

    def _check_total(self, body: FileBody) -> None:
        self._etag = body.etag
        self._resumed = body.start > 0
        if self.file.size is None:
            self.total = body.total
        elif body.total not in {None, self.file.size}:
            raise DownloadFailed(
                Message(
                    "other_size",
                    "{name} has {size} bytes at {where}, expected {expected}: it changed upstream.",
                    name=self.file.name,
                    size=body.total,
                    where=self._hub.mirrored_url(self.file.url),
                    expected=self.file.size,
                ),
                FailureCause.DAMAGED,
                hint=Message("update_catalogue", "Update the catalogue with --update-voices."),
            )

    def _check_received(self, end: int) -> None:
        limit = self.file.size or _UNKNOWN_SIZE_LIMIT
        if end > limit:
            raise DownloadFailed(
                Message(
                    "sends_more",
                    "{where} sends more than the {limit} bytes expected of {name}.",
                    where=self._hub.mirrored_url(self.file.url),
                    limit=limit,
                    name=self.file.name,
                ),
                FailureCause.PROXY,
                hint=Message(
                    "answers_something_else",
                    "A proxy or mirror answers with something else: try another network.",
                ),
            )
        self.made_progress_at = self._environment.clock()
        self.interruption = None
        self._advance(end)

    def _advance(self, end: int) -> None:
        received = end if self.total is None else min(end, self.total)
        if received > self.received:
            self.received = received
            self._on_progress(self)

    async def _write(self, offset: int, block: bytearray) -> tuple[int, bytearray]:
        if block:
            await self._disk(partial(self._part.write, offset, block))
        return offset + len(block), bytearray()

    async def _verify(self) -> None:
        if self.file.digest is None:
            return
        algorithm, _, expected = self.file.digest.partition(":")
        got = await self._digest(algorithm)
        if got == expected:
            return
        if self._resumed and not self._restarted:
            # The partial file may be the remainder of an older version or another program.
            raise RangeNotSatisfiable
        await self._disk(self._part.discard)
        raise DownloadFailed(
            Message(
                "wrong_digest",
                "{name} arrived with {algorithm} {got}, expected {expected}. It was discarded; what was "
                "installed before stays.",
                name=self.file.name,
                algorithm=algorithm,
                got=got,
                expected=expected,
            ),
            FailureCause.DAMAGED,
            hint=Message(
                "changed_or_altered",
                "Either it changed upstream (update the catalogue with --update-voices) or a proxy or "
                "mirror alters it (try another network).",
            ),
        )

    async def _digest(self, algorithm: str) -> str:
        hasher = hashlib.new(algorithm, usedforsecurity=False)
        offset = 0
        while count := await self._disk(partial(self._part.hash_on, hasher, offset)):
            offset += count
            self.made_progress_at = self._environment.clock()
        return hasher.hexdigest()

    async def _restart(self) -> None:
        await self._disk(self._part.discard)
        if self._restarted:
            raise DownloadFailed(
                Message(
                    "twice_refused",
                    "{where} twice refused to resume {name}.",
                    where=self._hub.mirrored_url(self.file.url),
                    name=self.file.name,
                ),
                FailureCause.REFUSED,
                hint=Message("try_other_network", "Try again later or from another network."),
            )
        _LOGGER.info("The partial file of %s does not match; it is downloaded again.", self.file.name)
        self._restarted = True
        self._etag = None

    def _on_interruption(self, reason: TryAgain, pause: float) -> None:
        _LOGGER.debug("%s interrupted (%s); retrying in %.1f s.", self.file.name, reason, pause)
        self.made_progress_at = -math.inf
        self.interruption = reason if isinstance(reason, TransferInterrupted) else None

    async def _disk(self, work: Callable[[], T]) -> T:
        try:
            return await self._run_blocking(work)
        except FileNotFoundError as error:
            raise TransferInterrupted(
                Message("was_removed", "{path} was removed", path=error.filename)
            ) from error
        except OSError as error:
            raise self._disk_failure(error) from error

    def _disk_failure(self, error: OSError) -> DownloadFailed:
        directory = self._part.target.parent
        if error.errno in _NO_ROOM:
            return DownloadFailed(
                Message("disk_is_full", "The disk of {directory} is full.", directory=directory),
                FailureCause.DISK_FULL,
                hint=Message(
                    "free_some_partial",
                    "Free some space or set another --download-dir; the partial file of {name} is kept and "
                    "will be resumed.",
                    name=self.file.name,
                ),
            )
        return DownloadFailed(
            Message(
                "not_stored",
                "{name} cannot be stored in {directory}: {reason}.",
                name=self.file.name,
                directory=directory,
                reason=system_reason(error),
            ),
            FailureCause.NOT_WRITABLE,
            hint=Message(
                "check_or_other_dir", "Check that the directory is writable, or set another --download-dir."
            ),
        )
