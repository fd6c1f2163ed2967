"""Attacks on TLS on the HTTP port: handshakes that stall, fail or are many, and clients that read nothing."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.breaking.conftest import OpenScene
from tests.breaking.connections import ATTACKER, close_all, exchange, open_socket
from tests.breaking.scene import Scene
from tests.breaking.server_under_attack import MIB
from tests.http.test_tls_memory import client_hello
from tests.support.certificates import write_certificate

SECONDS = 5
PEAK = 90 * MIB
"""What 128 clients in the midst of a handshake take at a time; 460 MB were held."""
STAYS = 35 * MIB
UNFINISHED = {"half a hello": client_hello()[:100], "hello": client_hello()}
WRONG = {"garbage": b"\x16\x03\x01\xff\xff" + bytes(range(256)) * 8, "plain HTTP": b"GET / HTTP/1.1\r\n\r\n"}


@pytest.fixture
def tls(tmp_path: Path) -> tuple[str, ...]:
    certificate, key = map(str, write_certificate(tmp_path))
    return ("--http-certificate", certificate, "--http-key", key)


@contextlib.asynccontextmanager
async def attack(scene: Scene, name: str) -> AsyncIterator[float]:
    """Measure what listeners over Wyoming hear; yields when the attack has to end."""
    before = await scene.quiet("")
    async with scene.phase(name) as phase:
        yield asyncio.get_running_loop().time() + SECONDS
    phase.hearing.check_served()
    assert phase.peak.pss < before.after.pss + PEAK
    await scene.recovers(before, memory=STAYS)


def is_before(end: float) -> bool:
    return asyncio.get_running_loop().time() < end


@pytest.mark.parametrize("sent", UNFINISHED.values(), ids=UNFINISHED)
async def test_handshakes_that_are_never_finished(
    open_scene: OpenScene, tls: tuple[str, ...], sent: bytes
) -> None:
    async with open_scene(*tls, transports=("wyoming",)) as scene:
        async with attack(scene, "unfinished handshakes") as end:
            opened: list[socket.socket] = []
            while is_before(end) and len(opened) < 2000:
                if (sock := await open_socket(scene.server.http, sent)) is not None:
                    opened.append(sock)
            close_all(opened)
        assert len(scene.server.log) < 100_000


@pytest.mark.parametrize("sent", WRONG.values(), ids=WRONG)
async def test_what_is_not_tls(open_scene: OpenScene, tls: tuple[str, ...], sent: bytes) -> None:
    async with open_scene(*tls, transports=("wyoming",)) as scene:
        async with attack(scene, "not TLS") as end:
            while is_before(end):
                await exchange(scene.server.http, sent, ends=False)
        assert len(scene.server.log) < 100_000


async def test_handshakes_one_after_another(open_scene: OpenScene, tls: tuple[str, ...]) -> None:
    async with open_scene(*tls, transports=("wyoming",)) as scene, attack(scene, "handshakes") as end:
        while is_before(end):
            _, writer = await _connect(scene)
            writer.transport.abort()


async def test_clients_over_tls_that_read_nothing(open_scene: OpenScene, tls: tuple[str, ...]) -> None:
    async with open_scene(*tls, transports=("wyoming",)) as scene, attack(scene, "nobody reads") as end:
        writers = []
        for _ in range(60):
            _, writer = await _connect(scene)
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            writer.write(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 200)
            writers.append(writer)
        await asyncio.sleep(end - asyncio.get_running_loop().time())
        for writer in writers:
            writer.transport.abort()


async def _connect(scene: Scene) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return await asyncio.open_connection(*scene.server.http, ssl=context, local_addr=(ATTACKER, 0))
