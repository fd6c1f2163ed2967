"""The default voice on its way: fetched in the background, waited for while it makes progress.

Clients such as Home Assistant keep what they hear by its text, so a first answer in the stand-in's
voice would stay for long. A request therefore waits for a download that moves; one that stands still,
or a machine without a network, makes nobody wait.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from wyoming_tts.voices.catalogue import CatalogueVoice
from wyoming_tts.voices.downloads import Download, DownloadState

_LOGGER = logging.getLogger(__name__)

STALLED_AFTER = 3.0
"""Seconds without a byte after which a request waits no longer; also what connecting may take."""

RETRY_FIRST, RETRY_MOST = 60.0, 3600.0
"""Seconds from a failed download to the next try: doubled each time, up to the second value."""


class Fetches(Protocol):
    """`Downloads`, as far as it is needed here."""

    def start(self, voice: CatalogueVoice) -> Download:
        """Bring the voice here."""
        ...


class DefaultVoiceArrival:
    """Fetches one voice, again and again if it must, and lets requests wait for it."""

    def __init__(
        self,
        voice: CatalogueVoice,
        *,
        downloads: Fetches,
        on_installed: Callable[[], Awaitable[None]],
        stand_in: str,
        patience: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Prepare; nothing is fetched before `run`.

        Args:
            voice: The voice to fetch.
            downloads: Fetches it.
            on_installed: Makes the new voice known; awaited before anyone who waits goes on.
            stand_in: Name of the voice that speaks meanwhile, for the log.
            patience: Seconds a request waits at the most.
            clock: The clock of `Download.made_progress_at`.
            sleep: Waits until the next try.
        """
        self._voice = voice
        self._downloads = downloads
        self._on_installed = on_installed
        self._stand_in = stand_in
        self._patience = patience
        self._clock = clock
        self._sleep = sleep
        self._download: Download | None = None
        self._installed = asyncio.Event()

    async def run(self) -> None:
        """Fetch the voice; return once it is installed."""
        pause = RETRY_FIRST
        while not await self._fetched():
            await self._sleep(pause)
            pause = min(2 * pause, RETRY_MOST)

    async def wait(self) -> None:
        """Wait for the voice while its download makes progress, at most as long as patience lasts."""
        give_up_at = self._clock() + self._patience
        while (download := self._download) is not None and not self._installed.is_set():
            now = self._clock()
            remaining = min(give_up_at, download.made_progress_at + STALLED_AFTER) - now
            if remaining <= 0 or download.state is DownloadState.FAILED:
                return
            try:
                async with asyncio.timeout(remaining):
                    await self._installed_or_over(download)
            except TimeoutError:
                continue

    async def _fetched(self) -> bool:
        _LOGGER.info(
            "The voice %s is not installed: fetching it. Until it is here, %s speaks.",
            self._voice.name,
            self._stand_in,
        )
        self._download = self._downloads.start(self._voice)
        state = await self._download.wait()
        if state is not DownloadState.DONE:
            _LOGGER.warning(
                "The voice %s could not be fetched, %s speaks instead. %s",
                self._voice.name,
                self._stand_in,
                self._download.error,
            )
            return False
        await self._on_installed()
        self._installed.set()
        _LOGGER.info("The voice %s is installed and speaks from now on.", self._voice.name)
        return True

    async def _installed_or_over(self, download: Download) -> None:
        if await download.wait() is DownloadState.DONE:
            await self._installed.wait()
