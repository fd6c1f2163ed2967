"""A voice on its way: fetched in the background, waited for while it makes progress.

Clients such as Home Assistant keep what they hear by its text, so a first answer in the stand-in's
voice would stay for long. A request therefore waits for a download that moves; one that stands still,
or a machine without a network, makes nobody wait.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from wyoming_tts.backoff import Backoff, TryAgain, retry
from wyoming_tts.voices.catalogue import CatalogueVoice
from wyoming_tts.voices.download.downloads import Download, DownloadState

_LOGGER = logging.getLogger(__name__)

STALLED_AFTER = 3.0
"""Seconds without a byte after which a request waits no longer; also what connecting may take."""

BACKOFF = Backoff(first_delay=60.0, max_delay=3600.0)
"""From a failed download to the next try."""


class VoiceDownloader(Protocol):
    """`Downloads`, as far as it is needed here."""

    def start(self, voice: CatalogueVoice) -> Download:
        """Bring the voice here."""
        ...


class PendingVoice:
    """Fetches one voice, again and again if it must, and lets requests wait for it."""

    def __init__(
        self,
        voice: CatalogueVoice,
        *,
        downloads: VoiceDownloader,
        on_installed: Callable[[], Awaitable[None]],
        stand_in: str | None,
        patience: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Prepare; nothing is fetched before `begin` or `run`.

        Args:
            voice: The voice to fetch.
            downloads: Fetches it.
            on_installed: Makes the new voice known; awaited before anyone who waits goes on.
            stand_in: Name of the voice that speaks meanwhile, for the log; None where none does.
            patience: Seconds a request waits at the most.
            clock: The clock of `Download.made_progress_at`.
            sleep: Waits until the next try.
            chance: From 0 to 1, for the jitter of these waits.
        """
        self._voice = voice
        self._downloads = downloads
        self._on_installed = on_installed
        self._meanwhile = f"{stand_in} speaks instead" if stand_in else "requests for it fail"
        self._patience = patience
        self._clock = clock
        self._sleep = sleep
        self._chance = chance
        self._download: Download | None = None
        self._tried_at = -math.inf
        self._installed = asyncio.Event()

    def __repr__(self) -> str:
        return f"<VoiceArrival {self._voice.name} {self._download}>"

    @property
    def download(self) -> Download | None:
        """The latest try; None before the first."""
        return self._download

    def begin(self) -> None:
        """Start the first try, so that a request may `wait` before `run` has its turn."""
        _LOGGER.info(
            "The voice %s is not installed: fetching it. Until it is here, %s.",
            self._voice.name,
            self._meanwhile,
        )
        self._try()

    async def run(self) -> None:
        """Fetch the voice; return once it is installed."""
        if self._download is None:
            self.begin()
        await retry(
            self._arrive,
            BACKOFF,
            on_retry=self._on_failure,
            sleep=self._sleep_and_try,
            chance=self._chance,
        )

    async def wait(self) -> None:
        """Wait for the voice while its download makes progress, at most as long as patience lasts."""
        give_up_at = self._clock() + self._patience
        while (download := self._download) is not None and not self._installed.is_set():
            now = self._clock()
            remaining = min(give_up_at, self._moved_at(download) + STALLED_AFTER) - now
            if remaining <= 0 or download.state is DownloadState.FAILED:
                return
            try:
                async with asyncio.timeout(remaining):
                    await self._installed_or_over(download)
            except TimeoutError:
                continue

    def _try(self) -> None:
        self._tried_at = self._clock()
        self._download = self._downloads.start(self._voice)

    def _moved_at(self, download: Download) -> float:
        moved_at = download.made_progress_at
        return moved_at if math.isfinite(moved_at) else self._tried_at  # it may have had no turn yet

    async def _arrive(self) -> None:
        download = self._download
        assert download is not None, "nothing has begun"
        if await download.wait() is not DownloadState.DONE:
            raise TryAgain(download.error)
        await self._on_installed()
        self._installed.set()

    def _on_failure(self, reason: TryAgain, _: float) -> None:
        _LOGGER.warning(
            "The voice %s could not be fetched, %s. %s", self._voice.name, self._meanwhile, reason
        )

    async def _sleep_and_try(self, seconds: float) -> None:
        await self._sleep(seconds)
        self._try()

    async def _installed_or_over(self, download: Download) -> None:
        if await download.wait() is DownloadState.DONE:
            await self._installed.wait()
