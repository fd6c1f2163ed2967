"""Connections that are reset in the middle of whatever they do, a thousand times."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from tests.breaking.conftest import CORPUS, OpenScene
from tests.breaking.connections import open_socket, reset
from tests.support.byte_mutations import read_corpus

CONNECTIONS = 1_000
_AT_ONCE = 6
_LONGEST_STAY = 0.05
_TRANSPORTS = ("wyoming", "http")


@pytest.mark.parametrize("transport", _TRANSPORTS)
async def test_a_thousand_resets_beside_listeners(open_scene: OpenScene, transport: str) -> None:
    random = Random(transport)
    corpus = read_corpus(CORPUS / transport)
    cuts = (random.choice(corpus) for _ in range(CONNECTIONS))
    async with open_scene() as scene:
        address = scene.server.wyoming if transport == "wyoming" else scene.server.http

        async def work() -> None:
            for data in cuts:
                sock = await open_socket(address, data[: random.randrange(len(data) + 1)])
                await asyncio.sleep(random.random() * _LONGEST_STAY)
                if sock is not None:
                    reset(sock)

        before = await scene.quiet()
        async with scene.phase(f"{CONNECTIONS} resets, {transport}") as attack:
            await asyncio.gather(*(work() for _ in range(_AT_ONCE)))
        attack.hearing.check_served()
        assert "Traceback" not in scene.server.log
        await scene.recovers(before, children=2, descriptors=24)  # voices that the corpus names
