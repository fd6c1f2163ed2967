"""Waiting for a voice while it is downloaded."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from wyoming_tts.voices.catalogue import CatalogueVoice
from wyoming_tts.voices.download.downloads import Download, DownloadFailed, FailureCause
from wyoming_tts.voices.download.pending import BACKOFF, STALLED_AFTER, PendingVoice

VOICE = CatalogueVoice("en_US-far-medium", "piper", "en_US", "medium", 1, ())
FOREVER = 3600.0
FAILURE = DownloadFailed("The network is down.", FailureCause.UNREACHABLE)


class ScriptedDownload(Download):
    """A download whose progress the test sets."""

    def __init__(self, now: float) -> None:
        super().__init__(VOICE, ())
        self.last_byte_at = now

    @property
    def made_progress_at(self) -> float:
        return self.last_byte_at


class ScriptedDownloads:
    """Hands out scripted downloads."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.started: list[ScriptedDownload] = []
        self.has_started = asyncio.Event()
        self.keep_moving = 0.0
        """Seconds for which a new download counts as making progress."""

    def start(self, voice: CatalogueVoice) -> Download:
        assert voice is VOICE
        self.started.append(ScriptedDownload(self.loop.time() + self.keep_moving))
        self.has_started.set()
        return self.started[-1]


@dataclass
class Scene:
    """A pending voice whose download is in progress."""

    pending: PendingVoice
    downloads: ScriptedDownloads
    installed: list[str]
    pauses: list[float]
    running: asyncio.Task[None]

    @property
    def download(self) -> ScriptedDownload:
        return self.downloads.started[-1]


async def make_scene(*, patience: float = FOREVER) -> Scene:
    downloads, installed, pauses = ScriptedDownloads(), list[str](), list[float]()

    async def on_installed() -> None:
        installed.append(VOICE.name)

    async def no_pause(seconds: float) -> None:
        pauses.append(seconds)

    pending = PendingVoice(
        VOICE,
        downloads=downloads,
        on_installed=on_installed,
        fallback="espeak-en-us",
        patience=patience,
        clock=downloads.loop.time,
        sleep=no_pause,
        chance=lambda: 0.0,
    )
    scene = Scene(pending, downloads, installed, pauses, asyncio.create_task(pending.run()))
    await downloads.has_started.wait()
    return scene


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    scene = await make_scene()
    yield scene
    scene.running.cancel()
    await asyncio.wait([scene.running])


async def test_a_request_waits_until_the_voice_is_installed(scene: Scene) -> None:
    scene.download.last_byte_at += FOREVER  # it never stalls
    waiting = asyncio.create_task(scene.pending.wait())
    await asyncio.sleep(0)
    assert not waiting.done()
    scene.download.settle(None)
    await waiting
    assert scene.installed == [VOICE.name]
    await scene.running


async def test_requests_do_not_wait_for_a_stalled_download(scene: Scene) -> None:
    scene.download.last_byte_at -= STALLED_AFTER
    await scene.pending.wait()
    assert scene.installed == []


async def test_the_wait_for_a_download_in_progress_times_out() -> None:
    scene = await make_scene(patience=0.0)
    scene.download.last_byte_at += FOREVER
    await scene.pending.wait()
    assert not scene.running.done()
    scene.running.cancel()


async def test_a_request_with_less_patience_waits_for_less_and_one_with_more_for_no_longer() -> None:
    scene = await make_scene(patience=0.0)
    scene.download.last_byte_at += FOREVER
    await scene.pending.wait(FOREVER)
    scene.running.cancel()
    other = await make_scene(patience=FOREVER)
    other.download.last_byte_at += FOREVER
    await other.pending.wait(0.0)
    assert not other.running.done()
    other.running.cancel()


async def test_a_failed_attempt_ends_the_wait_even_if_the_retry_has_begun(scene: Scene) -> None:
    scene.download.last_byte_at += FOREVER
    waiting = asyncio.create_task(scene.pending.wait())
    await asyncio.sleep(0)
    scene.downloads.keep_moving = FOREVER  # whoever waited for the next try would wait for an hour
    scene.download.settle(FAILURE)
    await waiting
    assert len(scene.downloads.started) == 2
    assert scene.installed == []


async def test_requests_do_not_wait_once_the_voice_is_installed(scene: Scene) -> None:
    scene.download.settle(None)
    await scene.running
    await scene.pending.wait()


async def test_failures_are_logged_and_retried_at_growing_intervals(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(9):
        scene.downloads.has_started.clear()
        scene.download.settle(FAILURE)
        await scene.downloads.has_started.wait()
    assert scene.pauses[:3] == [60.0, 120.0, 240.0]
    assert scene.pauses[-1] == BACKOFF.max_delay
    assert "espeak-en-us speaks instead; it is tried again later. The network is down." in caplog.text


async def test_a_failure_that_stays_the_same_is_logged_once(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    for failure in (FAILURE, FAILURE, FAILURE, DownloadFailed("The disk is full.", FailureCause.DISK_FULL)):
        scene.downloads.has_started.clear()
        scene.download.settle(failure)
        await scene.downloads.has_started.wait()
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert [warning.rpartition("later. ")[2] for warning in warnings] == [
        "The network is down.",
        "The disk is full.",
    ]


async def test_a_queued_download_is_waited_for() -> None:
    downloads, installed = ScriptedDownloads(), list[str]()

    async def on_installed() -> None:
        installed.append(VOICE.name)

    pending = PendingVoice(
        VOICE,
        downloads=downloads,
        on_installed=on_installed,
        fallback=None,
        patience=FOREVER,
        clock=downloads.loop.time,
    )
    pending.begin()
    (download,) = downloads.started
    download.last_byte_at = -math.inf
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(pending.wait())
        tasks.create_task(pending.run())
        await asyncio.sleep(0)
        assert not waiting.done()
        download.settle(None)
    assert installed == [VOICE.name]
    assert downloads.started == [download]
