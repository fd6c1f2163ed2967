"""Pending voice: downloaded in the background with retries; requests wait for it while it makes progress.

Clients such as Home Assistant cache audio by its text, so a first answer in the fallback voice would be
replayed for a long time. A request therefore waits for a download that makes progress; a stalled download,
or a machine without a network, delays nobody.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol

from wyoming_tts.backoff import Backoff, TryAgain, retry
from wyoming_tts.voices.catalogue import CatalogueVoice
from wyoming_tts.voices.download.downloads import Download, DownloadState

_LOGGER = logging.getLogger(__name__)

STALLED_AFTER = 3.0
"""Seconds without a byte after which a request stops waiting; connecting may take as long."""

BACKOFF = Backoff(first_delay=60.0, max_delay=3600.0)
"""Between a failed download and the next try."""


class VoiceDownloader(Protocol):
    """The part of `DownloadManager` that pending voices need."""

    def start(self, voice: CatalogueVoice) -> Download:
        """Start the download, or join the one in progress."""
        ...


class PendingVoice:
    """Downloads one voice, retrying until it succeeds, and lets requests wait for it."""

    def __init__(
        self,
        voice: CatalogueVoice,
        *,
        downloads: VoiceDownloader,
        on_installed: Callable[[], Awaitable[None]],
        fallback: str | None,
        patience: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Start nothing yet; `begin` or `run` does.

        Args:
            voice: The voice to download.
            downloads: Downloads it.
            on_installed: Registers the new voice; awaited before waiting requests continue.
            fallback: Name of the voice that speaks meanwhile, for the log; None if none does.
            patience: Seconds a request waits at most.
            clock: The clock of `Download.made_progress_at`.
            sleep: Waits until the next try.
            chance: Random number from 0 to 1, for the jitter of these waits.
        """
        self._voice = voice
        self._downloads = downloads
        self._on_installed = on_installed
        self._meanwhile = f"{fallback} speaks instead" if fallback else "requests for it fail"
        self._patience = patience
        self._clock = clock
        self._sleep = sleep
        self._chance = chance
        self._download: Download | None = None
        self._started_at = -math.inf
        self._installed = asyncio.Event()
        self._told = ""
        """The failure that was logged as a warning: the same one is not told at every try."""

    def __repr__(self) -> str:
        return f"<PendingVoice {self._voice.name} {self._download}>"

    @property
    def download(self) -> Download | None:
        """The current or latest try; None before the first."""
        return self._download

    def begin(self) -> None:
        """Start the first try, so that a request can `wait` before `run` is scheduled."""
        _LOGGER.info(
            "The voice %s is not installed: downloading it. Until it is installed, %s.",
            self._voice.name,
            self._meanwhile,
        )
        self._start_download()

    async def run(self) -> None:
        """Download the voice, retrying as long as it fails; return once it is installed."""
        if self._download is None:
            self.begin()
        await retry(
            self._install,
            BACKOFF,
            on_retry=self._on_failure,
            sleep=self._sleep_and_restart,
            chance=self._chance,
        )

    async def wait(self, patience: float | None = None) -> None:
        """Wait until the voice is installed, its download fails or stalls, or patience runs out.

        `patience` is that of the request, if it has less.
        """
        give_up_at = self._clock() + min(self._patience, math.inf if patience is None else patience)
        while (download := self._download) is not None and not self._installed.is_set():
            now = self._clock()
            remaining = min(give_up_at, self._last_progress(download) + STALLED_AFTER) - now
            if remaining <= 0:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(remaining):
                    await self._installed_or_failed(download)
            # Of this download: by now `run` may have started another one.
            if download.state is DownloadState.FAILED:
                return

    def _start_download(self) -> None:
        self._started_at = self._clock()
        self._download = self._downloads.start(self._voice)

    def _last_progress(self, download: Download) -> float:
        progress_at = download.made_progress_at
        return progress_at if math.isfinite(progress_at) else self._started_at  # it may still be queued

    async def _install(self) -> None:
        download = self._download
        assert download is not None, "begin() has started one"
        if await download.wait() is not DownloadState.DONE:
            raise TryAgain(download.error)
        await self._on_installed()
        self._installed.set()

    def _on_failure(self, reason: TryAgain, _: float) -> None:
        is_new = str(reason) != self._told
        self._told = str(reason)
        _LOGGER.log(
            logging.WARNING if is_new else logging.DEBUG,
            "The voice %s could not be downloaded, %s; it is tried again later. %s",
            self._voice.name,
            self._meanwhile,
            reason,
        )

    async def _sleep_and_restart(self, seconds: float) -> None:
        await self._sleep(seconds)
        self._start_download()

    async def _installed_or_failed(self, download: Download) -> None:
        if await download.wait() is DownloadState.DONE:
            await self._installed.wait()
