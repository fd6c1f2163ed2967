"""The downloads of a running server, for those who watch them and have voices fetched by hand.

What fetches comes and goes with the server's tending of its voices; this stays, and knows how fast the
downloads are and how the last ones ended.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from wyoming_tts.errors import UnknownVoice, VoiceUnavailable
from wyoming_tts.voices.catalogue import CatalogueVoice
from wyoming_tts.voices.download.downloads import DownloadManager, DownloadProgress, DownloadState

_WINDOW = 5.0
"""Seconds over which the speed is told: long enough not to jump, short enough to show a stall."""
_MOST_ENDED = 20


@dataclass(frozen=True, slots=True)
class DownloadStatus:
    """A download as it is shown: under way, waiting for its turn, or failed."""

    voice: str
    state: DownloadState
    received: int
    """Bytes on this machine."""
    total: int | None
    """Bytes of all files; None while one of them is unknown."""
    bytes_per_second: float
    error: str = ""
    """Why it failed, and what to do; empty otherwise."""


@dataclass(slots=True)
class _Watched:
    progress: DownloadProgress
    steps: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=100))
    """When how many bytes were here."""


class DownloadService:
    """Watches downloads; has them started and cancelled while the server fetches at all."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._downloads: DownloadManager | None = None
        self._watched: dict[str, _Watched] = {}
        self._arrived = asyncio.Event()

    def __repr__(self) -> str:
        return f"<DownloadService {list(self._watched)}>"

    def attach(self, downloads: DownloadManager) -> None:
        """Have voices fetched by these from now on, until `run` ends."""
        self._downloads = downloads

    async def run(self, look_for_voices: Callable[[], Awaitable[None]]) -> None:
        """Have each voice that arrived made known; once this is cancelled nothing is fetched."""
        try:
            while True:
                await self._arrived.wait()
                self._arrived.clear()
                await look_for_voices()
        finally:
            self._downloads = None

    def record_progress(self, progress: DownloadProgress) -> None:
        """Take down what `DownloadManager` reports."""
        if progress.state is DownloadState.DONE:
            self._watched.pop(progress.voice, None)
            self._arrived.set()
            return
        watched = self._watched.get(progress.voice)
        if watched is None or watched.progress.state.over:
            watched = self._watched[progress.voice] = _Watched(progress)
        watched.progress = progress
        if progress.state is DownloadState.RUNNING:
            watched.steps.append((self._clock(), progress.received))
        self._forget_oldest()

    def status(self) -> tuple[DownloadStatus, ...]:
        """The downloads in the order in which they were asked for, those that failed lately among them."""
        for download in self._downloads.active if self._downloads else ():
            self.record_progress(
                download.progress()
            )  # reports are for those who watch a terminal: too few, and late
        return tuple(self._fetched(watched) for watched in self._watched.values())

    def is_downloading(self, name: str) -> bool:
        """Whether the voice of that name is waiting or coming."""
        return name in self._watched and not self._watched[name].progress.state.over

    def start(self, voice: CatalogueVoice) -> None:
        """Have a voice fetched; one that is under way already goes on.

        Raises:
            VoiceUnavailable: nothing is fetched now.
        """
        if self._downloads is None:
            raise VoiceUnavailable(
                "Nothing is fetched now: the server is starting or stopping.", hint="Try again soon."
            )
        download = self._downloads.start(voice)
        if not self.is_downloading(voice.name):
            self.record_progress(download.progress())

    def cancel(self, name: str) -> None:
        """Stop a download, or let go of one that failed.

        Raises:
            UnknownVoice: there is none of that voice.
        """
        is_stopped = self._downloads is not None and self._downloads.cancel(name)
        if self._watched.pop(name, None) is None and not is_stopped:
            raise UnknownVoice(f"No voice {name[:80]!r} is being fetched.")

    def _fetched(self, watched: _Watched) -> DownloadStatus:
        progress = watched.progress
        is_running = progress.state is DownloadState.RUNNING
        speed = self._speed(watched.steps) if is_running else 0.0
        return DownloadStatus(
            progress.voice, progress.state, progress.received, progress.total, speed, progress.error
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
