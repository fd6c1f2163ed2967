"""Voice upkeep of a running server: downloads, warm-up of the default voice, and the answer to `describe`."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from wyoming_tts import __version__
from wyoming_tts.assembly.default_voice import preload_voices, warm_up, warm_up_until_ready
from wyoming_tts.assembly.options import missing_voice_options
from wyoming_tts.assembly.parts import Parts
from wyoming_tts.speech import Voice
from wyoming_tts.transports.wyoming.protocol import info_event
from wyoming_tts.voices.catalogue import Catalogue
from wyoming_tts.voices.download.downloads import DownloadManager, DownloadProgress
from wyoming_tts.voices.download.hub import DownloadFailed
from wyoming_tts.voices.download.on_demand import OnDemandDownloads
from wyoming_tts.voices.download.progress import show_progress
from wyoming_tts.wyoming_framing import encode_event

_LOGGER = logging.getLogger(__name__)


class DescribeResponse:
    """The encoded `info` event that answers `describe`, cached until the voices change."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._voices: tuple[Voice, ...] | None = None
        self._catalogue: Catalogue | None = None
        self._encoded = b""

    def __call__(self) -> bytes:
        """Return the encoded event."""
        library, catalogue = self._parts.library, self._parts.catalogue.current
        if self._voices is not library.voices or self._catalogue is not catalogue:
            self._voices, self._catalogue = library.voices, catalogue
            settings = self._parts.settings
            info = info_event(
                library.voices,
                version=__version__,
                supports_streaming=settings.streaming,
                downloadable=library.downloadable if settings.advertise == "all" else (),
            )
            self._encoded = encode_event(info)
        return self._encoded


_FIRST_SYNC_SECONDS: Final = 30.0
"""How long the start waits for voices of the bucket: after that, the server is as ready as it is without."""


async def follow_bucket(parts: Parts) -> None:
    """Keep the voices in sync with the bucket, if there is one; runs until cancelled."""
    if parts.bucket is None:
        return

    async def on_change() -> None:
        await parts.refresh_voices()
        await parts.workers.run_blocking(parts.lexicon.refresh)

    await parts.bucket.run(on_change, parts.settings.voices_sync_interval)


async def _wait_for_bucket(parts: Parts) -> None:
    """Let the first sync bring a voice, before another one speaks for it or it is downloaded."""
    if parts.bucket is not None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_FIRST_SYNC_SECONDS):
                await parts.bucket.first_round_over.wait()


async def maintain_voices(parts: Parts, on_download: Callable[[str], None] = lambda _: None) -> None:
    """Make the default voice ready and download voices on demand; runs until cancelled.

    Args:
        parts: The server's parts.
        on_download: Called with the final state of each download.
    """
    settings = parts.settings
    with show_progress(sys.stderr) as show:

        def on_progress(progress: DownloadProgress) -> None:
            show(progress)
            parts.downloads.record_progress(progress)
            if progress.state.over:
                on_download(progress.state)

        downloads = DownloadManager(
            settings.download_dir,
            run_blocking=parts.workers.run_blocking,
            offline=settings.offline,
            mirror=settings.hub_endpoint,
            on_progress=on_progress,
        )
        async with downloads:
            parts.downloads.attach(downloads)
            if settings.update_voices:
                await _update_catalogue(parts, downloads)
            if not parts.library.default_is_installed:
                await _wait_for_bucket(parts)
            async with _missing_voices(parts, downloads) as missing, asyncio.TaskGroup() as tasks:
                if not parts.library.default_is_installed:
                    tasks.create_task(_download_default(parts, missing))
                tasks.create_task(_make_voices_ready(parts))
                await parts.downloads.run(parts.refresh_voices)


async def _make_voices_ready(parts: Parts) -> None:
    await warm_up_until_ready(parts)  # the default voice, or its stand-in
    await _wait_for_bucket(parts)
    await preload_voices(parts)


def _missing_voices(parts: Parts, downloads: DownloadManager) -> OnDemandDownloads:
    return OnDemandDownloads(
        parts.library,
        find=lambda name: parts.library.names.find_in_catalogue(name),  # noqa: PLW0108 - names may be replaced
        downloads=downloads,
        on_installed=parts.refresh_voices,
        options=missing_voice_options(parts.settings, parts.engines),
    )


async def _download_default(parts: Parts, missing: OnDemandDownloads) -> None:
    if parts.remote is not None:
        await parts.remote.wait_probed()
        if parts.library.default_is_installed:
            await warm_up(parts)
            return
    if await missing.fetch(parts.library.names.default().name):
        await warm_up(parts)


async def _update_catalogue(parts: Parts, downloads: DownloadManager) -> None:
    try:
        await downloads.fetch_index()
    except DownloadFailed as error:
        _LOGGER.warning("The voice catalogue could not be updated; the current one stays. %s", error)
    else:
        await parts.catalogue.read()
