"""Request bodies that are begun by the hundred and never finished, beside listeners and a slow upload."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.breaking.conftest import OpenScene
from tests.breaking.connections import ATTACKER, flood
from tests.breaking.scene import Scene
from tests.breaking.server_under_attack import MIB, Limits
from tests.breaking.test_slow_clients import request_head
from tests.support.tones import LOW, VOICES
from wyoming_tts.transports.connection_limits import MIN_IDLE

BODIES = 500
BYTES = 1_000_000
SECONDS = 5
UNFINISHED = request_head("POST /v1/audio/speech", length=BYTES) + b" " * (BYTES - 1_000)
LISTENERS = "127.0.0.1"
PEAK = 90 * MIB
"""16 MB of large bodies, and what hundreds of connections take: 600 MB without a budget."""
PEAK_OF_MANY = 160 * MIB
"""The same where several addresses have all the connections that the descriptors allow, at 0.2 MB each."""
STAYS = 25 * MIB
"""Code loaded on first use, caches: 480 MB stayed."""
PIECE = 200_000
DROP = 8_000
"""Bytes in half a second: less than counts as progress in that time."""


@pytest.mark.parametrize("source", [ATTACKER, LISTENERS], ids=["another address", "their address"])
async def test_unfinished_bodies_beside_listeners(open_scene: OpenScene, source: str) -> None:
    async with open_scene() as scene:
        before = await scene.quiet()
        async with flood(scene.server.http, UNFINISHED, count=BODIES, source=source):
            await asyncio.sleep(
                MIN_IDLE + 1
            )  # until then they are refused with the flood, if they share its address
            async with scene.phase(f"{BODIES} bodies from {source}") as attack:
                await asyncio.sleep(SECONDS)
        attack.hearing.check_served()
        assert attack.peak.pss < before.after.pss + PEAK
        await scene.recovers(before, memory=STAYS)


async def test_unfinished_bodies_from_many_addresses_keep_no_listener_out(open_scene: OpenScene) -> None:
    async with open_scene(limits=Limits(descriptors=4096)) as scene:
        before = await scene.quiet()
        async with (
            scene.phase("5 addresses x 128 bodies") as attack,
            flood(scene.server.http, UNFINISHED, count=128, source="127.0.0.70"),
            flood(scene.server.http, UNFINISHED, count=128, source="127.0.0.71"),
            flood(scene.server.http, UNFINISHED, count=128, source="127.0.0.72"),
            flood(scene.server.http, UNFINISHED, count=128, source="127.0.0.73"),
            flood(scene.server.http, UNFINISHED, count=128, source="127.0.0.74"),
        ):
            await asyncio.sleep(SECONDS)
        attack.hearing.check_served()
        assert attack.peak.pss < before.after.pss + PEAK_OF_MANY
        await scene.recovers(before, memory=STAYS)


async def test_a_piece_of_a_voice_is_uploaded_over_a_slow_link_beside_unfinished_bodies(
    open_scene: OpenScene,
) -> None:
    async with open_scene() as scene, flood(scene.server.http, UNFINISHED, count=BODIES):
        described = (VOICES / f"{LOW.name}.onnx.json").read_bytes()
        assert await _upload(scene, described, "en_US-slow-low.onnx.json") == len(described)
        piece = bytes(PIECE)
        assert await _upload(scene, piece, "en_US-slow-low.onnx", total=2 * PIECE) == PIECE


async def _upload(scene: Scene, content: bytes, name: str, *, total: int | None = None) -> int:
    async def slowly() -> AsyncIterator[bytes]:
        for start in range(0, len(content), DROP):
            yield content[start : start + DROP]
            await asyncio.sleep(0.5)

    headers = {"Content-Range": f"bytes 0-{len(content) - 1}/{total or len(content)}"}
    async with httpx.AsyncClient(base_url=scene.server.url, timeout=60, trust_env=False) as client:
        answer = await client.post(f"/page/voices/upload/{name}", content=slowly(), headers=headers)
    assert answer.status_code == 200, answer.text
    return int(answer.json()["received"])
