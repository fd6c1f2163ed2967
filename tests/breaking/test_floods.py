"""Floods of connections that send nothing."""

from __future__ import annotations

import asyncio

import pytest

from tests.breaking.conftest import OpenScene
from tests.breaking.connections import flood

SILENT = 300
SECONDS = 6


@pytest.mark.parametrize("transport", ["wyoming", "http"])
async def test_silent_connections_beside_listeners(open_scene: OpenScene, transport: str) -> None:
    async with open_scene() as scene:
        before = await scene.quiet()
        address = scene.server.wyoming if transport == "wyoming" else scene.server.http
        async with (
            scene.phase(f"{SILENT} silent over {transport}") as attack,
            flood(address, count=SILENT),
        ):
            await asyncio.sleep(SECONDS)
        attack.hearing.check_served()
        await scene.recovers(before)
