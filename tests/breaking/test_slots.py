"""Clients that want every place among the streams: they send no text, or do not read, or never stop."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from websockets.asyncio.client import connect

from tests.breaking.conftest import OpenScene
from tests.breaking.connections import ATTACKER, flood
from tests.breaking.scene import Scene
from tests.breaking.server_under_attack import AttackedServer

PLACES = 16
LISTENERS = "127.0.0.1"
SECONDS = 10
"""Longer than it takes to fill the buffers of a client that does not read, and than `WITHIN`."""
WITHIN = 6.0
LONG = "The tide comes in while the gulls talk of nothing but fish and rain. " * 400


def events(*named: tuple[str, dict[str, str]]) -> bytes:
    """Wyoming events, one to a line."""
    return b"".join(json.dumps({"type": name, "data": data}).encode() + b"\n" for name, data in named)


def long_text() -> Iterable[tuple[str, dict[str, str]]]:
    """A streamed text of half an hour."""
    yield "synthesize-start", {}
    for start in range(0, len(LONG), 2000):
        yield "synthesize-chunk", {"text": LONG[start : start + 2000]}
    yield "synthesize-stop", {}


ATTACKS = {
    "start": events(("synthesize-start", {})),
    "start and chunk": events(("synthesize-start", {}), ("synthesize-chunk", {"text": "Hello there. And"})),
    "unread": events(*long_text()),
}


SOURCES = pytest.mark.parametrize(
    "source", [ATTACKER, LISTENERS], ids=["from another address", "from the same address"]
)


@asynccontextmanager
async def appended_texts(server: AttackedServer, text: str, *, source: str) -> AsyncIterator[None]:
    """Hold WebSockets that have appended a text and never commit it."""
    url = f"ws{server.url.removeprefix('http')}/v1/audio/speech/stream/ws"
    async with AsyncExitStack() as stack:
        for _ in range(PLACES):
            opened = await stack.enter_async_context(connect(url, local_addr=(source, 0), close_timeout=0.1))
            await opened.send(json.dumps({"type": "input.append", "text": text}))
        yield


@SOURCES
@pytest.mark.parametrize("attack", ATTACKS)
async def test_idle_and_unread_streams_beside_listeners(
    open_scene: OpenScene, attack: str, source: str
) -> None:
    async with open_scene("--max-streams", str(PLACES)) as scene:
        before = await scene.quiet()
        async with (
            scene.phase(f"{PLACES} times {attack} from {source}") as phase,
            flood(scene.server.wyoming, ATTACKS[attack], count=PLACES, source=source) as opened,
        ):
            assert len(opened) == PLACES
            await asyncio.sleep(SECONDS)
        phase.hearing.check_served(within=WITHIN)
        await scene.recovers(before)


@SOURCES
async def test_uncommitted_texts_beside_listeners(open_scene: OpenScene, source: str) -> None:
    async with open_scene("--max-streams", str(PLACES)) as scene:
        before = await scene.quiet()
        async with (
            scene.phase(f"{PLACES} times append from {source}") as phase,
            appended_texts(scene.server, "Hello ", source=source),
        ):
            await asyncio.sleep(SECONDS)
        phase.hearing.check_served(within=WITHIN)
        await scene.recovers(before)


async def test_a_crowd_that_reads_everything_beside_listeners_from_another_address(
    open_scene: OpenScene,
) -> None:
    async with open_scene("--max-streams", str(PLACES)) as scene:
        before = await scene.quiet()
        await listen_beside_a_crowd(scene)
        await scene.recovers(before)


async def listen_beside_a_crowd(scene: Scene) -> None:
    """Twice as many clients as there are places, each of which reads a long text as fast as it can."""
    async with (
        scene.phase(f"{2 * PLACES} read a long text") as phase,
        flood(scene.server.wyoming, ATTACKS["unread"], count=2 * PLACES) as opened,
    ):
        reading = [asyncio.create_task(read_all(sock)) for sock in opened]
        await asyncio.sleep(SECONDS)
        for task in reading:
            task.cancel()
        await asyncio.wait(reading)
    phase.hearing.check_served(within=WITHIN)


async def read_all(sock: socket.socket) -> None:
    """Read until the server closes."""
    while await asyncio.get_running_loop().sock_recv(sock, 65536):
        pass
