"""Waiting for a voice while it is fetched."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from wyoming_tts.voices.catalogue import CatalogueVoice
from wyoming_tts.voices.download.downloads import Download
from wyoming_tts.voices.download.pending import BACKOFF, STALLED_AFTER, PendingVoice

VOICE = CatalogueVoice("en_US-far-medium", "piper", "en_US", "medium", 1, ())
FOREVER = 3600.0


class ScriptedDownload(Download):
    """A download whose progress the test tells."""

    def __init__(self, now: float) -> None:
        super().__init__(VOICE, ())
        self.last_byte_at = now

    @property
    def made_progress_at(self) -> float:
        return self.last_byte_at


class Hub:
    """Hands out scripted downloads."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.downloads: list[ScriptedDownload] = []
        self.asked = asyncio.Event()

    def start(self, voice: CatalogueVoice) -> Download:
        assert voice is VOICE
        self.downloads.append(ScriptedDownload(self.loop.time()))
        self.asked.set()
        return self.downloads[-1]


@dataclass
class Scene:
    """An arrival under way."""

    arrival: PendingVoice
    hub: Hub
    installed: list[str]
    pauses: list[float]
    running: asyncio.Task[None]

    @property
    def download(self) -> ScriptedDownload:
        return self.hub.downloads[-1]


async def a_scene(*, patience: float = FOREVER) -> Scene:
    hub, installed, pauses = Hub(), list[str](), list[float]()

    async def on_installed() -> None:
        installed.append(VOICE.name)

    async def no_pause(seconds: float) -> None:
        pauses.append(seconds)

    arrival = PendingVoice(
        VOICE,
        downloads=hub,
        on_installed=on_installed,
        stand_in="espeak-en-us",
        patience=patience,
        clock=hub.loop.time,
        sleep=no_pause,
        chance=lambda: 0.0,
    )
    scene = Scene(arrival, hub, installed, pauses, asyncio.create_task(arrival.run()))
    await hub.asked.wait()
    return scene


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    scene = await a_scene()
    yield scene
    scene.running.cancel()
    await asyncio.wait([scene.running])


async def test_a_request_waits_until_the_voice_is_installed(scene: Scene) -> None:
    scene.download.last_byte_at += FOREVER  # it moves all the time
    waiting = asyncio.create_task(scene.arrival.wait())
    await asyncio.sleep(0)
    assert not waiting.done()
    scene.download.settle("")
    await waiting
    assert scene.installed == [VOICE.name]
    await scene.running


async def test_nobody_waits_for_a_download_that_stands_still(scene: Scene) -> None:
    scene.download.last_byte_at -= STALLED_AFTER
    await scene.arrival.wait()
    assert scene.installed == []


async def test_patience_ends_the_wait_for_a_download_that_moves() -> None:
    scene = await a_scene(patience=0.0)
    scene.download.last_byte_at += FOREVER
    await scene.arrival.wait()
    assert not scene.running.done()
    scene.running.cancel()


async def test_a_failure_ends_the_wait_at_once(scene: Scene) -> None:
    scene.download.last_byte_at += FOREVER
    waiting = asyncio.create_task(scene.arrival.wait())
    await asyncio.sleep(0)
    scene.download.settle("The network is down.")
    await waiting
    assert scene.installed == []


async def test_after_the_arrival_nobody_waits(scene: Scene) -> None:
    scene.download.settle("")
    await scene.running
    await scene.arrival.wait()


async def test_failures_are_told_and_tried_again_at_growing_intervals(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(9):
        scene.hub.asked.clear()
        scene.download.settle("The network is down.")
        await scene.hub.asked.wait()
    assert scene.pauses[:3] == [60.0, 120.0, 240.0]
    assert scene.pauses[-1] == BACKOFF.max_delay
    assert "espeak-en-us speaks instead. The network is down." in caplog.text


async def test_a_download_that_has_had_no_turn_yet_is_waited_for() -> None:
    hub, installed = Hub(), list[str]()

    async def on_installed() -> None:
        installed.append(VOICE.name)

    arrival = PendingVoice(
        VOICE, downloads=hub, on_installed=on_installed, stand_in=None, patience=FOREVER, clock=hub.loop.time
    )
    arrival.begin()
    hub.downloads[0].last_byte_at = -math.inf
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(arrival.wait())
        tasks.create_task(arrival.run())
        await asyncio.sleep(0)
        assert not waiting.done()
        hub.downloads[0].settle("")
    assert installed == [VOICE.name]
    assert len(hub.downloads) == 1
