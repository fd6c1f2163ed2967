"""Download service of a running server: starts, cancels and watches downloads that are triggered by hand.

The `DownloadManager` lives only as long as the server maintains its voices; this service outlives it, and
knows the speed of each download and how the latest ones ended.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from wyoming_tts.errors import UnknownVoice, VoiceUnavailable
from wyoming_tts.messages import Message
from wyoming_tts.voices.catalogue import CatalogueVoice
from wyoming_tts.voices.download.downloads import (
    DownloadManager,
    DownloadProgress,
    DownloadState,
    FailureCause,
)

_LOGGER = logging.getLogger(__name__)

_WINDOW = 5.0
"""Seconds over which the speed is averaged: long enough not to jump, short enough to show a stall."""
_MOST_ENDED = 20


@dataclass(frozen=True, slots=True)
class DownloadStatus:
    """State, progress and speed of a download that is queued, running or failed."""

    voice: str
    state: DownloadState
    received: int
    """Bytes on disk or in memory."""
    total: int | None
    """Bytes of all files; None while one of them is unknown."""
    bytes_per_second: float
    error: str = ""
    """Why it failed, and what to do; empty otherwise."""
    cause: FailureCause | None = None
    """Why it failed or, while it is running, why it is being tried again; None otherwise.
    The page says what to do in the user's language."""


@dataclass(slots=True)
class _WatchedDownload:
    progress: DownloadProgress
    steps: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=100))
    """Samples of the time and the bytes received by then."""


class DownloadService:
    """Starts, cancels and watches downloads, while a `DownloadManager` is attached."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._downloads: DownloadManager | None = None
        self._watched: dict[str, _WatchedDownload] = {}
        self._started: set[str] = set()
        """Downloads started here, whose failure nobody else logs."""
        self._completed = asyncio.Event()

    def __repr__(self) -> str:
        return f"<DownloadService {list(self._watched)}>"

    def attach(self, downloads: DownloadManager) -> None:
        """Use this manager from now on, until `run` ends."""
        self._downloads = downloads

    async def run(self, refresh_voices: Callable[[], Awaitable[None]]) -> None:
        """Refresh the voices after each completed download; once cancelled, downloads are refused."""
        try:
            while True:
                await self._completed.wait()
                self._completed.clear()
                await refresh_voices()
        finally:
            self._downloads = None

    def record_progress(self, progress: DownloadProgress) -> None:
        """Record a progress report of the `DownloadManager`."""
        if progress.state.over:
            self._log_end(progress)
        if progress.state is DownloadState.DONE:
            self._watched.pop(progress.voice, None)
            self._completed.set()
            return
        watched = self._watched.get(progress.voice)
        if watched is None or watched.progress.state.over:
            watched = self._watched[progress.voice] = _WatchedDownload(progress)
        watched.progress = progress
        if progress.state is DownloadState.RUNNING:
            watched.steps.append((self._clock(), progress.received))
        self._forget_oldest()

    def status(self) -> tuple[DownloadStatus, ...]:
        """The downloads in the order in which they were started, including those that failed lately."""
        for download in self._downloads.active if self._downloads else ():
            self.record_progress(download.progress())  # the manager's own reports are throttled
        return tuple(self._status_of(watched) for watched in self._watched.values())

    def is_downloading(self, name: str) -> bool:
        """Whether a download of the voice is queued or running."""
        return name in self._watched and not self._watched[name].progress.state.over

    def start(self, voice: CatalogueVoice) -> None:
        """Start the download of a voice; one in progress continues.

        Raises:
            VoiceUnavailable: no manager is attached.
        """
        if self._downloads is None:
            raise VoiceUnavailable(
                Message("no_downloads_now", "Downloads are not possible while the server starts or stops."),
                hint=Message("try_soon", "Try again soon."),
            )
        download = self._downloads.start(voice)
        self._started.add(voice.name)
        if not self.is_downloading(voice.name):
            self.record_progress(download.progress())

    def cancel(self, name: str) -> None:
        """Cancel a download, or dismiss one that failed.

        Raises:
            UnknownVoice: the voice is not being downloaded.
        """
        is_cancelled = self._downloads is not None and self._downloads.cancel(name)
        if self._watched.pop(name, None) is None and not is_cancelled:
            raise UnknownVoice(
                Message(
                    "is_not_downloading", "The voice {name} is not being downloaded.", name=repr(name[:80])
                )
            )

    def _log_end(self, progress: DownloadProgress) -> None:
        is_ours = progress.voice in self._started
        self._started.discard(progress.voice)
        if is_ours and progress.cause not in {None, FailureCause.STOPPED}:
            _LOGGER.warning("The voice %s could not be downloaded. %s", progress.voice, progress.error)

    def _status_of(self, watched: _WatchedDownload) -> DownloadStatus:
        progress = watched.progress
        is_running = progress.state is DownloadState.RUNNING
        speed = self._speed(watched.steps) if is_running else 0.0
        return DownloadStatus(
            progress.voice,
            progress.state,
            progress.received,
            progress.total,
            speed,
            progress.error,
            progress.cause,
        )

    def _speed(self, steps: deque[tuple[float, int]]) -> float:
        now = self._clock()
        while len(steps) > 1 and steps[0][0] < now - _WINDOW:
            steps.popleft()
        seconds = now - steps[0][0] if steps else 0.0
        return (steps[-1][1] - steps[0][1]) / seconds if seconds > 0 else 0.0

    def _forget_oldest(self) -> None:
        ended = [name for name, watched in self._watched.items() if watched.progress.state.over]
        for name in ended[:-_MOST_ENDED]:
            del self._watched[name]
