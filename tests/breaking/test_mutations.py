"""Mutated Wyoming frames, HTTP requests and WebSocket messages beside listeners."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from itertools import cycle

import pytest
import websockets
from websockets.asyncio.client import connect

from tests.breaking.conftest import CORPUS, OpenScene
from tests.breaking.connections import ATTACKER, exchange
from tests.breaking.scene import Scene
from tests.support.byte_mutations import mutations, read_corpus

_AT_ONCE = 6
"""Connections of the attacker; fewer than one address may hold."""
_SOCKETS = 25
"""Divides the number of mutations: a connection costs more than a call of a parser."""
_PATIENCE = 0.5

Send = Callable[[bytes], Awaitable[None]]


async def attack(inputs: Iterable[bytes], send: Send) -> None:
    """Send all inputs, a few at once."""
    remaining = iter(inputs)

    async def work() -> None:
        for data in remaining:
            await send(data)

    await asyncio.gather(*(work() for _ in range(_AT_ONCE)))


def raw(address: tuple[str, int]) -> Send:
    """Send bytes, and end every other connection while the others wait for an answer."""
    ends = cycle([True, True, True, False])

    async def send(data: bytes) -> None:
        await exchange(address, data, ends=next(ends), patience=_PATIENCE)

    return send


def messages(scene: Scene) -> Send:
    """Send lines as messages of one WebSocket, text or binary by turns, until the server has enough."""
    binary = cycle([False, True])
    url = "ws://{}:{}/v1/audio/speech/stream/ws".format(*scene.server.http)

    async def send(data: bytes) -> None:
        with suppress(OSError, websockets.WebSocketException):
            async with asyncio.timeout(_PATIENCE), connect(url, local_addr=(ATTACKER, 0)) as socket:
                for line in data.split(b"\n"):
                    await socket.send(line if next(binary) else line.decode(errors="replace"))
                async for _ in socket:
                    pass

    return send


@pytest.mark.parametrize("transport", ["wyoming", "http", "realtime"])
async def test_mutated_input_beside_listeners(
    open_scene: OpenScene, transport: str, mutation_count: int
) -> None:
    async with open_scene() as scene:
        send = {
            "wyoming": raw(scene.server.wyoming),
            "http": raw(scene.server.http),
            "realtime": messages(scene),
        }[transport]
        corpus = read_corpus(CORPUS / transport)
        await attack(corpus, send)  # what is loaded on first use is no leak
        before = await scene.quiet()
        count = mutation_count // _SOCKETS
        async with scene.phase(f"{count} mutated, {transport}") as phase:
            await attack(mutations(corpus, count=count, seed=transport), send)
        phase.hearing.check_served()
        assert "Traceback" not in scene.server.log
        await scene.recovers(before, children=2, descriptors=24)  # voices that the corpus names
