"""A voice whose model computes without end, beside listeners; and stopping a server that computes it."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import Any

import httpx
import pytest
from wyoming.event import Event

from tests.breaking.conftest import OpenScene, StartServer
from tests.breaking.server_under_attack import AttackedServer
from tests.support.endless_models import NAME, write_endless_voice
from tests.support.wyoming_client import WyomingTestClient
from wyoming_tts.thread_pool import OVERDUE_SECONDS

STEP_SECONDS = 12
_GRACE = 1.0
_MARGIN = 6.0
"""Seconds that a busy machine may add to what was promised."""


async def _install(server: AttackedServer) -> None:
    write_endless_voice(server.data_dir)
    async with WyomingTestClient.connect(*server.wyoming) as client, asyncio.timeout(20):
        while True:
            await client.send(Event("describe"))
            if NAME in str((await client.receive()).data):
                return
            await asyncio.sleep(0.2)


async def _speak(server: AttackedServer) -> dict[str, Any]:
    """Speak with that voice; return the error's data."""
    async with WyomingTestClient.connect(*server.wyoming) as client:
        await client.send(Event("synthesize", {"text": "Hello.", "voice": {"name": NAME}}))
        event = await client.receive()
        while event.type != "error":
            assert event.type != "audio-stop"
            event = await client.receive()
        return event.data


async def _speak_over_http(server: AttackedServer, *, patience: float) -> None:
    async with httpx.AsyncClient(timeout=patience) as client:
        await client.post(f"{server.url}/v1/audio/speech", json={"input": "Hello.", "voice": NAME})


@pytest.mark.parametrize("leaves", [False, True], ids=["the client waits", "the client leaves"])
async def test_a_step_without_end_beside_listeners(open_scene: OpenScene, *, leaves: bool) -> None:
    async with open_scene("--step-timeout", str(STEP_SECONDS)) as scene:
        await _install(scene.server)
        before = await scene.quiet()
        async with scene.phase("endless step") as attack:
            if leaves:
                with pytest.raises(httpx.ReadTimeout):
                    await _speak_over_http(scene.server, patience=1.0)
            else:
                error = await _speak(scene.server)
                assert f"did not end within {STEP_SECONDS} s" in str(error["text"])
        attack.hearing.check_served(worst_gap=OVERDUE_SECONDS + _MARGIN)
        if not leaves:
            assert (await _speak(scene.server))["code"] == "voice_unavailable"
            assert scene.server.log.count("is not used for 600 s") == 1
        # A model whose listener left stays loaded, with its phonemizer.
        await scene.recovers(before, children=int(leaves), threads=10)


@pytest.mark.parametrize("signals", [1, 2], ids=["after the grace period", "at the second signal"])
async def test_a_server_with_a_step_without_end_stops(start_server: StartServer, signals: int) -> None:
    grace = _GRACE if signals == 1 else 300.0
    async with start_server("--shutdown-grace", str(grace)) as server:
        await _install(server)
        speaking = asyncio.create_task(_speak(server))
        await asyncio.sleep(1)
        began = time.monotonic()
        for _ in range(signals):
            server.process.send_signal(signal.SIGTERM)
            await asyncio.sleep(0.2)
        assert await asyncio.wait_for(server.process.wait(), 20) == 0
        assert time.monotonic() - began < _GRACE + _MARGIN
        await asyncio.gather(speaking, return_exceptions=True)
