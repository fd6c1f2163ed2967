"""More connections than a process has descriptors: silent, upgraded to WebSockets, or stalled in TLS."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.breaking.conftest import OpenScene
from tests.breaking.connections import exchange, flood
from tests.support.certificates import write_certificate
from wyoming_tts.transports.connection_limits import MIN_IDLE

CONNECTIONS = 1_100
"""More than the 1,024 descriptors of the server."""
SECONDS = 5
MOST_DESCRIPTORS = 1_024 - 200
LISTENERS = "127.0.0.1"
_UPGRADE = (
    b"GET /v1/audio/speech/stream/ws HTTP/1.1\r\nHost: localhost\r\n"
    b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
_HALF_A_REQUEST = b"POST /v1/audio/speech HTTP/1.1\r\nHost: localhost\r\nX-Slow: "


FLOODS = pytest.mark.parametrize(
    ("transport", "sent"),
    [("http", b""), ("http", _HALF_A_REQUEST), ("http", _UPGRADE), ("wyoming", b""), ("wyoming", b'{"type"')],
    ids=["http", "half a request", "websocket", "wyoming", "half an event"],
)


@FLOODS
async def test_more_connections_than_descriptors_beside_listeners(
    open_scene: OpenScene, transport: str, sent: bytes
) -> None:
    async with open_scene() as scene:
        address = scene.server.wyoming if transport == "wyoming" else scene.server.http
        before, logged = await scene.quiet(), len(scene.server.log)
        async with (
            scene.phase(f"{CONNECTIONS} x {sent[:9]!r} {transport}") as attack,
            flood(address, sent, count=CONNECTIONS),
        ):
            await asyncio.sleep(SECONDS)
        attack.hearing.check_served()
        assert attack.peak.descriptors < MOST_DESCRIPTORS
        assert len(scene.server.log) - logged < 100_000
        assert "Too many open files" not in scene.server.log
        await scene.recovers(before)


@FLOODS
async def test_silent_connections_make_room_for_listeners_at_the_same_address(
    open_scene: OpenScene, transport: str, sent: bytes
) -> None:
    async with open_scene() as scene:
        address = scene.server.wyoming if transport == "wyoming" else scene.server.http
        before = await scene.quiet()
        # Until the flood is over and idle, listeners behind its address are refused with it.
        async with flood(address, sent, count=CONNECTIONS, source=LISTENERS):
            await asyncio.sleep(MIN_IDLE + 2)
            async with scene.phase(f"beside {CONNECTIONS} x {sent[:9]!r} {transport}") as attack:
                await asyncio.sleep(SECONDS)
        attack.hearing.check_served()
        await scene.recovers(before)


async def test_stalled_tls_handshakes_beside_listeners(open_scene: OpenScene, tmp_path: Path) -> None:
    certificate, key = map(str, write_certificate(tmp_path))
    flags = ("--http-certificate", certificate, "--http-key", key)
    async with open_scene(*flags, transports=("wyoming",)) as scene:
        before = await scene.quiet()
        async with (
            scene.phase(f"{CONNECTIONS} TLS handshakes") as attack,
            flood(scene.server.http, b"\x16\x03\x01\x02\x00\x01", count=CONNECTIONS),
        ):
            await asyncio.sleep(SECONDS)
        attack.hearing.check_served()
        assert attack.peak.descriptors < MOST_DESCRIPTORS
        await scene.recovers(before)


async def test_a_body_of_ten_megabytes_is_told_that_it_is_too_large(open_scene: OpenScene) -> None:
    head = b"POST /v1/audio/speech HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000000\r\n\r\n"
    async with open_scene() as scene:
        before = await scene.quiet()
        async with scene.phase("20 x 10 MB") as attack:
            for _ in range(20):
                reply = await exchange(scene.server.http, head + b"x" * 10_000_000, ends=False, patience=20)
                assert reply.startswith(b"HTTP/1.1 413 ")
        attack.hearing.check_served()
        await scene.recovers(before)
