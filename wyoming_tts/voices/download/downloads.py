"""Voices on their way from the catalogue to the disk.

However many ask for a voice, or for voices that share a model, each file is fetched once. A voice
appears whole: all its files are fetched and checked first, then put in place, the model last, so
that nobody who looks at the directory takes half of a voice for one.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from wyoming_tts.blocking import RunBlocking
from wyoming_tts.voices.catalogue import (
    INDEX_NAME,
    PIPER_BASE_URL,
    CatalogueError,
    CatalogueFile,
    CatalogueVoice,
    read_piper_index,
)
from wyoming_tts.voices.download.hub import DownloadEnvironment, DownloadFailed, DownloadOptions, HubClient
from wyoming_tts.voices.download.transfer import Transfer, format_size

__all__ = [
    "Download",
    "DownloadEnvironment",
    "DownloadFailed",
    "DownloadManager",
    "DownloadOptions",
    "DownloadProgress",
    "DownloadState",
]

T = TypeVar("T")

_LOGGER = logging.getLogger(__name__)

_RESERVE = 16 * 1000 * 1000
"""Bytes left free on the disk: the system it belongs to has to go on writing, too."""


class DownloadState(StrEnum):
    """How far a download is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"

    @property
    def over(self) -> bool:
        """Whether nothing will change any more."""
        return self in {DownloadState.DONE, DownloadState.FAILED}


@dataclass(frozen=True, slots=True)
class DownloadProgress:
    """What is to be told about a download at one moment."""

    voice: str
    state: DownloadState
    received: int
    """Bytes on this machine; never less than in the report before."""
    total: int | None
    """Bytes of all files; None while one of them is unknown."""
    error: str = ""
    """Why it failed, and what to do; empty otherwise."""


class Download:
    """One voice on its way. It goes on whether anybody waits or not."""

    def __init__(self, voice: CatalogueVoice, transfers: tuple[Transfer, ...]) -> None:
        self.voice = voice
        self.state = DownloadState.WAITING
        self.error = ""
        """Why it failed, and what to do; empty otherwise."""
        self.transfers = transfers
        """Its files in the order of the catalogue, the model first; shared with other downloads."""
        self.reported_at = -math.inf
        self._over = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Download {self.voice.name} {self.state} {self.received}/{self.total}>"

    @property
    def received(self) -> int:
        """Bytes on this machine; never goes down."""
        return sum(transfer.received for transfer in self.transfers)

    @property
    def total(self) -> int | None:
        """Bytes of all files; None while one of them is unknown."""
        totals = [transfer.total for transfer in self.transfers]
        return None if None in totals else sum(total for total in totals if total)

    @property
    def made_progress_at(self) -> float:
        """Time of the last byte that came or was checked, at first of the request, by the given clock."""
        return max(transfer.made_progress_at for transfer in self.transfers)

    async def wait(self, seconds: float | None = None) -> DownloadState:
        """Wait until it is over, at most so long; what it is then. Leaving does not end it."""
        try:
            async with asyncio.timeout(seconds):
                await self._over.wait()
        except TimeoutError:
            pass
        return self.state

    def settle(self, error: str) -> None:
        """It is over: with an error, or well if that is empty."""
        self.error = error
        self.state = DownloadState.FAILED if error else DownloadState.DONE
        self._over.set()

    def progress(self) -> DownloadProgress:
        """What is to be told about it now."""
        return DownloadProgress(self.voice.name, self.state, self.received, self.total, self.error)


OnProgress = Callable[[DownloadProgress], None]


class DownloadManager:
    """Fetches voices into one directory while its `async with` is open.

    Leaving the block cancels what is under way; the parts stay and are gone on with the next time.
    """

    def __init__(
        self,
        directory: Path,
        *,
        run_blocking: RunBlocking,
        offline: bool = False,
        mirror: str | None = None,
        options: DownloadOptions | None = None,
        on_progress: OnProgress | None = None,
        environment: DownloadEnvironment | None = None,
    ) -> None:
        """Make it ready; nothing is opened before the first download.

        Args:
            directory: where the files go, made if it is not there.
            run_blocking: runs what touches files away from the event loop.
            offline: never open a socket; what is not here already fails.
            mirror: address that stands in for https://huggingface.co (HF_ENDPOINT).
            options: patience and limits.
            on_progress: is told of each start, end and step of a download, on the event loop.
            environment: clock, sleep, disk and network, for tests.

        Raises:
            ValueError: the mirror is no http address.
        """
        self._directory = directory
        self._run_blocking = run_blocking
        self._options = options or DownloadOptions()
        self._on_progress = on_progress
        self._environment = environment or DownloadEnvironment()
        self._hub = HubClient(
            run_blocking=run_blocking,
            mirror=mirror,
            offline=offline,
            options=self._options,
            transport=self._environment.transport,
        )
        self._slots = asyncio.Semaphore(self._options.max_concurrent)
        self._index_lock = asyncio.Lock()
        self._active: dict[str, Download] = {}
        self._runs: dict[str, asyncio.Task[None]] = {}
        self._fetches: dict[Transfer, asyncio.Task[Exception | None]] = {}
        self._group: asyncio.TaskGroup | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    def __repr__(self) -> str:
        return f"<Downloads {self._directory} active={list(self._active.values())}>"

    async def __aenter__(self) -> Self:
        self._group = await asyncio.TaskGroup().__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        group, self._group = self._group, None
        for task in self._tasks:
            task.cancel()
        try:
            # The block's own error is not the group's business: it goes on as it is.
            await group.__aexit__(None, None, None) if group else None
        finally:
            for download in tuple(self._active.values()):
                self._settle(download, "The download was stopped; the next one goes on from there.")
            await self._hub.aclose()

    @property
    def active(self) -> tuple[Download, ...]:
        """The downloads under way."""
        return tuple(self._active.values())

    def start(self, voice: CatalogueVoice) -> Download:
        """Bring the voice here, or join the download that is bringing it already. Does not wait.

        A voice whose files are all here is done within moments. One that failed is tried anew.
        """
        if voice.name in self._active:
            return self._active[voice.name]
        download = Download(voice, tuple(self._transfer(file) for file in voice.files))
        self._runs[voice.name] = self._spawn(self._run(download))
        self._active[voice.name] = download
        return download

    def cancel(self, name: str) -> bool:
        """Stop bringing a voice; it has failed then. False if it is not under way.

        What came of it stays and is gone on with the next time; files that others wait for go on coming.
        """
        download = self._active.get(name)
        if download is None:
            return False
        self._runs[name].cancel()
        for transfer in download.transfers:
            if self._needing(transfer) == [download] and transfer in self._fetches:
                self._fetches[transfer].cancel()
        self._settle(download, "The download was cancelled; the next one goes on from there.")
        return True

    async def fetch_index(self) -> Path:
        """Fetch upstream's newest index of the Piper voices; where it lies now.

        The one that was there before stays until the new one has been read without error.

        Raises:
            DownloadFailed: it cannot be had, or is no index.
        """
        async with self._index_lock:
            await self._ready_directory()
            transfer = self._new_transfer(CatalogueFile(INDEX_NAME, PIPER_BASE_URL + INDEX_NAME))
            await transfer.discard()
            await transfer.fetch()
            try:
                voices = await transfer.read_part(read_piper_index)
            except CatalogueError as error:
                await transfer.discard()
                raise DownloadFailed(f"The new index is none, the old one stays. {error}") from error
            await transfer.place()
        _LOGGER.info("Fetched the index of %d Piper voices into %s.", len(voices), self._directory)
        return self._directory / INDEX_NAME

    def _transfer(self, file: CatalogueFile) -> Transfer:
        for download in self._active.values():
            for transfer in download.transfers:
                if transfer.file.name == file.name:
                    return transfer
        return self._new_transfer(file)

    def _new_transfer(self, file: CatalogueFile) -> Transfer:
        return Transfer(
            file,
            self._directory,
            hub=self._hub,
            run_blocking=self._run_blocking,
            options=self._options,
            environment=self._environment,
            on_progress=self._advanced,
        )

    def _spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        if self._group is None:
            work.close()
            raise RuntimeError("Downloads run only inside `async with Downloads(…)`.")
        task = self._group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _run(self, download: Download) -> None:
        self._report(download)
        error = ""
        try:
            await self._bring(download)
        except DownloadFailed as failure:
            error = str(failure)
            _LOGGER.debug("%s was not fetched. %s", download.voice.name, error)
        except Exception as failure:  # one broken download must not end the others
            error = (
                f"The download broke with an unforeseen {type(failure).__name__}; the log has the details."
            )
            _LOGGER.exception("%s was not fetched.", download.voice.name)
        self._settle(download, error)

    async def _bring(self, download: Download) -> None:
        await self._ready_directory()
        needed = await self._require_room(download)
        if needed:
            _LOGGER.debug(
                "Fetching %s into %s, %s to go.", download.voice.name, self._directory, format_size(needed)
            )
        model_last = download.transfers[::-1]
        for transfer in model_last:
            await self._fetched(transfer)
        for transfer in model_last:
            await transfer.place()
        _LOGGER.debug("%s is in %s.", download.voice.name, self._directory)

    async def _ready_directory(self) -> None:
        try:
            await self._run_blocking(partial(self._directory.mkdir, parents=True, exist_ok=True))
        except OSError as error:
            raise DownloadFailed(
                f"The download directory {self._directory} cannot be made: {error.strerror or error}. "
                "Set another --download-dir."
            ) from error

    async def _require_room(self, download: Download) -> int:
        """Bytes that still have to come, for which there is room."""
        needed = sum([await transfer.survey() for transfer in download.transfers])
        free = await self._run_blocking(partial(self._environment.free_space, self._directory))
        if needed and needed + _RESERVE > free:
            raise DownloadFailed(
                f"{download.voice.name} needs {format_size(needed)} more in {self._directory}, where "
                f"{format_size(free)} are free and {format_size(_RESERVE)} are to stay so. "
                "Make room or set another --download-dir."
            )
        return needed

    async def _fetched(self, transfer: Transfer) -> None:
        if transfer not in self._fetches:
            self._fetches[transfer] = self._spawn(self._fetch(transfer))
        fetch = self._fetches[transfer]
        await asyncio.wait([fetch])
        if (failure := fetch.result()) is not None:
            raise failure

    async def _fetch(self, transfer: Transfer) -> Exception | None:
        """Fetch; what went wrong is handed to all who wait, for raising it here would end the others."""
        async with self._slots:
            for download in self._needing(transfer):
                download.state = DownloadState.RUNNING
                self._report(download)
            try:
                await transfer.fetch()
            except Exception as failure:  # noqa: BLE001
                return failure
            return None

    def _needing(self, transfer: Transfer) -> list[Download]:
        return [download for download in self._active.values() if transfer in download.transfers]

    def _settle(self, download: Download, error: str) -> None:
        del self._active[download.voice.name], self._runs[download.voice.name]
        for transfer in download.transfers:
            if not self._needing(transfer):
                self._fetches.pop(transfer, None)
        download.settle(error)
        self._report(download)

    def _advanced(self, transfer: Transfer) -> None:
        now = self._environment.clock()
        for download in self._needing(transfer):
            if now - download.reported_at >= self._options.report_every:
                self._report(download)

    def _report(self, download: Download) -> None:
        download.reported_at = self._environment.clock()
        if self._on_progress is not None:
            self._on_progress(download.progress())
