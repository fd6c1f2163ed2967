"""Download manager: concurrent downloads of voices, with shared files and atomic installation.

However many callers request a voice, or voices that share a model, each file is downloaded once. A voice
is installed as a whole: all its files are downloaded and verified first, then renamed into place, the model
last, so that a scan of the directory never finds half a voice.
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
from wyoming_tts.messages import Message
from wyoming_tts.system_reasons import system_reason
from wyoming_tts.voices.catalogue import (
    INDEX_NAME,
    PIPER_BASE_URL,
    CatalogueError,
    CatalogueFile,
    CatalogueVoice,
    read_piper_index,
)
from wyoming_tts.voices.download.hub import (
    DownloadEnvironment,
    DownloadFailed,
    DownloadOptions,
    FailureCause,
    HubClient,
)
from wyoming_tts.voices.download.transfer import Transfer, format_size

__all__ = [
    "Download",
    "DownloadEnvironment",
    "DownloadFailed",
    "DownloadManager",
    "DownloadOptions",
    "DownloadProgress",
    "DownloadState",
    "FailureCause",
]

T = TypeVar("T")

_LOGGER = logging.getLogger(__name__)

_RESERVE = 16 * 1000 * 1000
"""Bytes left free on the disk, for the rest of the system."""


class DownloadState(StrEnum):
    """State of a download."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"

    @property
    def over(self) -> bool:
        """Whether the state is final."""
        return self in {DownloadState.DONE, DownloadState.FAILED}


@dataclass(frozen=True, slots=True)
class DownloadProgress:
    """Progress report of a download at one moment."""

    voice: str
    state: DownloadState
    received: int
    """Bytes received; never less than in the previous report."""
    total: int | None
    """Bytes of all files; None while one of them is unknown."""
    error: str = ""
    """Why it failed, and what to do; empty otherwise."""
    cause: FailureCause | None = None
    """Why it failed or, while it is running, why it is being tried again; None otherwise."""


class Download:
    """Download of one voice. It continues whether anybody waits for it or not."""

    def __init__(self, voice: CatalogueVoice, transfers: tuple[Transfer, ...]) -> None:
        self.voice = voice
        self.state = DownloadState.WAITING
        self.error = ""
        """Why it failed, and what to do; empty otherwise."""
        self.cause: FailureCause | None = None
        """Why it failed; None otherwise."""
        self.transfers = transfers
        """Transfers of its files in the catalogue's order, the model first; shared with other downloads."""
        self.reported_at = -math.inf
        self._over = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Download {self.voice.name} {self.state} {self.received}/{self.total}>"

    @property
    def received(self) -> int:
        """Bytes received; never decreases."""
        return sum(transfer.received for transfer in self.transfers)

    @property
    def total(self) -> int | None:
        """Bytes of all files; None while one of them is unknown."""
        totals = [transfer.total for transfer in self.transfers]
        return None if None in totals else sum(total for total in totals if total)

    @property
    def made_progress_at(self) -> float:
        """Time of the last byte received or verified, at first of the request, by the given clock."""
        return max(transfer.made_progress_at for transfer in self.transfers)

    @property
    def interrupted_by(self) -> FailureCause | None:
        """Why nothing arrives at the moment, although more tries follow; None otherwise."""
        found = (transfer.interruption for transfer in self.transfers if transfer.interruption)
        return next((each.cause for each in found), None)

    async def wait(self, seconds: float | None = None) -> DownloadState:
        """Wait until the state is final, or so many seconds; return it. Cancelling ends only the wait."""
        try:
            async with asyncio.timeout(seconds):
                await self._over.wait()
        except TimeoutError:
            pass
        return self.state

    def settle(self, failure: DownloadFailed | None) -> None:
        """Make the state final: failed for this reason, or done without one."""
        if failure is not None:
            self.error, self.cause = str(failure), failure.cause
        self.state = DownloadState.FAILED if failure else DownloadState.DONE
        self._over.set()

    def progress(self) -> DownloadProgress:
        """Report the current progress."""
        cause = self.cause or self.interrupted_by
        return DownloadProgress(self.voice.name, self.state, self.received, self.total, self.error, cause)


OnProgress = Callable[[DownloadProgress], None]


class DownloadManager:
    """Downloads voices into one directory while its `async with` is open.

    Leaving the block cancels the downloads in progress; partial files stay and are resumed the next time.
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
        """Open nothing yet; the first download does.

        Args:
            directory: Where the files go; created if it does not exist.
            run_blocking: Runs file access away from the event loop.
            offline: Never open a socket; files that are missing fail.
            mirror: Address used in place of https://huggingface.co (HF_ENDPOINT).
            options: Timeouts and limits.
            on_progress: Called at the start, end and each step of a download, on the event loop.
            environment: Clock, sleep, disk and network, for tests.

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
        return f"<DownloadManager {self._directory} active={list(self._active.values())}>"

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
            # The block's own error is not handed to the group, so that it propagates unwrapped.
            await group.__aexit__(None, None, None) if group else None
        finally:
            for download in tuple(self._active.values()):
                self._settle(
                    download,
                    _stopped(
                        Message(
                            "download_stopped", "The download was stopped; the next one resumes from there."
                        )
                    ),
                )
            await self._hub.aclose()

    @property
    def active(self) -> tuple[Download, ...]:
        """The downloads that are queued or running."""
        return tuple(self._active.values())

    def start(self, voice: CatalogueVoice) -> Download:
        """Start the download of a voice, or join the one in progress. Does not wait.

        A voice whose files are all installed is done within moments. One that failed is tried again.
        """
        if voice.name in self._active:
            return self._active[voice.name]
        download = Download(voice, tuple(self._transfer(file) for file in voice.files))
        self._runs[voice.name] = self._spawn(self._run(download))
        self._active[voice.name] = download
        return download

    def cancel(self, name: str) -> bool:
        """Cancel the download of a voice, which then has failed. False if there is none.

        Partial files stay and are resumed the next time; transfers shared with other downloads continue.
        """
        download = self._active.get(name)
        if download is None:
            return False
        self._runs[name].cancel()
        for transfer in download.transfers:
            if self._users(transfer) == [download] and transfer in self._fetches:
                self._fetches[transfer].cancel()
        self._settle(
            download,
            _stopped(
                Message("download_cancelled", "The download was cancelled; the next one resumes from there.")
            ),
        )
        return True

    async def fetch_index(self) -> Path:
        """Download upstream's newest index of the Piper voices; return its path.

        The previous one stays until the new one has been parsed.

        Raises:
            DownloadFailed: it cannot be downloaded, or is no index.
        """
        async with self._index_lock:
            await self._create_directory()
            transfer = self._new_transfer(CatalogueFile(INDEX_NAME, PIPER_BASE_URL + INDEX_NAME))
            await transfer.discard()
            await transfer.fetch()
            try:
                voices = await transfer.read_part(read_piper_index)
            except CatalogueError as error:
                await transfer.discard()
                message = Message(
                    "index_invalid",
                    "The new index is invalid, the old one stays. {reason}",
                    reason=str(error),
                )
                raise DownloadFailed(message, FailureCause.DAMAGED) from error
            await transfer.place()
        _LOGGER.info("Downloaded the index of %d Piper voices into %s.", len(voices), self._directory)
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
            on_progress=self._on_transfer_progress,
        )

    def _spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        if self._group is None:
            work.close()
            raise RuntimeError("Downloads run only inside `async with DownloadManager(…)`.")
        task = self._group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _run(self, download: Download) -> None:
        self._report(download)
        failed: DownloadFailed | None = None
        try:
            await self._download(download)
        except DownloadFailed as failure:
            failed = failure
            _LOGGER.debug("%s was not downloaded. %s", download.voice.name, failure)
        except Exception as failure:  # one broken download must not cancel the others
            failed = DownloadFailed(
                Message(
                    "fetch_failed_unexpectedly",
                    "The download failed with an unexpected {kind}; the log has the details.",
                    kind=type(failure).__name__,
                ),
                FailureCause.UNEXPECTED,
            )
            _LOGGER.exception("%s was not downloaded.", download.voice.name)
        self._settle(download, failed)

    async def _download(self, download: Download) -> None:
        await self._create_directory()
        needed = await self._require_space(download)
        if needed:
            _LOGGER.debug(
                "Downloading %s into %s, %s to go.", download.voice.name, self._directory, format_size(needed)
            )
        model_last = download.transfers[::-1]
        for transfer in model_last:
            await self._wait_for(transfer)
        for transfer in model_last:
            await transfer.place()
        _LOGGER.debug("%s is installed in %s.", download.voice.name, self._directory)

    async def _create_directory(self) -> None:
        try:
            await self._run_blocking(partial(self._directory.mkdir, parents=True, exist_ok=True))
        except OSError as error:
            raise DownloadFailed(
                Message(
                    "download_dir_not_made",
                    "The download directory {directory} cannot be created: {reason}.",
                    directory=self._directory,
                    reason=system_reason(error),
                ),
                FailureCause.NOT_WRITABLE,
                hint=Message("set_download_dir", "Set another --download-dir."),
            ) from error

    async def _require_space(self, download: Download) -> int:
        """Bytes that are still to be received, for which there is space on the disk."""
        needed = sum([await transfer.measure_remaining() for transfer in download.transfers])
        free = await self._run_blocking(partial(self._environment.free_space, self._directory))
        if needed and needed + _RESERVE > free:
            raise DownloadFailed(
                Message(
                    "needs_space",
                    "{name} needs {needed} more in {directory}, where {free} are free and {reserve} have to "
                    "stay free.",
                    name=download.voice.name,
                    needed=format_size(needed),
                    directory=self._directory,
                    free=format_size(free),
                    reserve=format_size(_RESERVE),
                ),
                FailureCause.DISK_FULL,
                hint=Message("free_or_other_dir", "Free some space or set another --download-dir."),
            )
        return needed

    async def _wait_for(self, transfer: Transfer) -> None:
        if transfer not in self._fetches:
            self._fetches[transfer] = self._spawn(self._fetch(transfer))
        fetch = self._fetches[transfer]
        await asyncio.wait([fetch])
        if (failure := fetch.result()) is not None:
            raise failure

    async def _fetch(self, transfer: Transfer) -> Exception | None:
        """Fetch the file; return what failed instead of raising it, which would cancel the whole group."""
        async with self._slots:
            for download in self._users(transfer):
                download.state = DownloadState.RUNNING
                self._report(download)
            try:
                await transfer.fetch()
            except Exception as failure:  # noqa: BLE001
                return failure
            return None

    def _users(self, transfer: Transfer) -> list[Download]:
        return [download for download in self._active.values() if transfer in download.transfers]

    def _settle(self, download: Download, failure: DownloadFailed | None) -> None:
        del self._active[download.voice.name], self._runs[download.voice.name]
        for transfer in download.transfers:
            if not self._users(transfer):
                self._fetches.pop(transfer, None)
        download.settle(failure)
        self._report(download)

    def _on_transfer_progress(self, transfer: Transfer) -> None:
        now = self._environment.clock()
        for download in self._users(transfer):
            if now - download.reported_at >= self._options.report_every:
                self._report(download)

    def _report(self, download: Download) -> None:
        download.reported_at = self._environment.clock()
        if self._on_progress is not None:
            self._on_progress(download.progress())


def _stopped(message: str) -> DownloadFailed:
    return DownloadFailed(message, FailureCause.STOPPED)
