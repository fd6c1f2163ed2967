"""Clients that send as fast as they can what takes long to read, and others that read no answer."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import time
from contextlib import suppress

import pytest
from wyoming.tts import SynthesizeChunk, SynthesizeStart

from tests.breaking.conftest import OpenScene
from tests.breaking.connections import open_socket, received, reset
from tests.breaking.server_under_attack import MIB
from wyoming_tts.wyoming_framing import encode_event

SECONDS = 8
CONNECTIONS = 8
MANY = 30
"""Connections of one address: its limit is 32."""
_LISTS = b"[" + b"[]," * 320_000 + b"[]]"
_START = encode_event(SynthesizeStart().event())
_HANDSHAKE = (
    b"GET /v1/audio/speech/stream/ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def frame(opcode: int, data: bytes, *, last: bool = True) -> bytes:
    """A masked WebSocket frame, with a mask of zeros."""
    # Longer lengths follow in a field of their own (RFC 6455, 5.2).
    length = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xff" + struct.pack(">Q", len(data))
    return bytes([0x80 * last | opcode]) + length + bytes(4) + data


def post(body: bytes, *fields: bytes) -> bytes:
    """A speech request."""
    head = b"POST /v1/audio/speech HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    return head + b"".join(field + b"\r\n" for field in fields) + b"\r\n" + body


WYOMING = {
    "unknown events": b'{"type":"x"}\n' * 5_000,
    "ever other headers": b"".join(b'{"type":"%07d"}\n' % number for number in range(5_000)),
    "lists as data": b'{"type":"synthesize","data_length":%d}\n' % len(_LISTS) + _LISTS,
    "lists in headers": b'{"type":"x","data":{"a":' + _LISTS[:63_000] + b"[]]}}\n",
    "payloads": b'{"type":"x","payload_length":65536}\n' + bytes(65_536),
    "describe": b'{"type":"describe"}\n' * 3_000,
    "pieces of text": _START + encode_event(SynthesizeChunk("a").event()) * 1_000,
}
WEBSOCKET = {
    "pings": frame(9, b"") * 5_000,
    "pongs": frame(10, b"") * 5_000,
    "messages without text": frame(1, b'{"type":"input.append","text":""}') * 3_000,
    "malformed messages": frame(1, b"") * 5_000,
    "lists": frame(1, _LISTS),
    "lists in binary messages": frame(2, _LISTS),
    "fragments": frame(1, b"", last=False) + frame(0, b"", last=False) * 20_000,
}
HTTP = {
    "lists": post(_LISTS, b"Content-Length: %d" % len(_LISTS)),
    "chunks of a byte": post(b"1\r\n \r\n" * 40_000, b"Transfer-Encoding: chunked"),
}
ATTACKS = {
    **{f"wyoming: {name}": (b"", data) for name, data in WYOMING.items()},
    **{f"websocket: {name}": (_HANDSHAKE, data) for name, data in WEBSOCKET.items()},
    **{f"http: {name}": (b"", data) for name, data in HTTP.items()},
}


async def repeat(address: tuple[str, int], first: bytes, data: bytes, *, until: float, reads: bool) -> None:
    """Send the same again and again as fast as the server takes it, on a new connection if it closes one."""
    while time.monotonic() < until:
        sock = await open_socket(address, first)
        if sock is None:
            return
        with suppress(OSError):
            async with asyncio.timeout(max(0.0, until - time.monotonic())):
                await _send_repeatedly(sock, data, reads=reads)
        reset(sock)


async def _send_repeatedly(sock: socket.socket, data: bytes, *, reads: bool) -> None:
    loop = asyncio.get_running_loop()
    while True:
        for at in range(0, len(data), 65_536):
            await loop.sock_sendall(sock, data[at : at + 65_536])
            if reads:
                received(sock)


@pytest.mark.parametrize("attack", ATTACKS)
async def test_input_that_takes_long_to_read(open_scene: OpenScene, attack: str) -> None:
    first, data = ATTACKS[attack]
    async with open_scene() as scene:
        before = await scene.quiet()
        address = scene.server.wyoming if attack.startswith("wyoming") else scene.server.http
        async with scene.phase(attack) as phase, asyncio.TaskGroup() as attackers:
            until = time.monotonic() + SECONDS
            for _ in range(CONNECTIONS):
                attackers.create_task(repeat(address, first, data, until=until, reads=True))
        phase.hearing.check_served(within=5.0, worst_gap=1.0)
        assert phase.processor_share < 1.5  # of two cores and more, with what the listeners need
        await scene.recovers(before)


async def test_as_many_floods_as_an_address_may_open(open_scene: OpenScene) -> None:
    async with open_scene() as scene:
        before = await scene.quiet()
        async with scene.phase(f"{MANY} floods") as phase, asyncio.TaskGroup() as attackers:
            until = time.monotonic() + SECONDS
            for _ in range(MANY):
                data = WYOMING["unknown events"]
                attackers.create_task(repeat(scene.server.wyoming, b"", data, until=until, reads=True))
        phase.hearing.check_served(within=5.0, worst_gap=1.0)
        await scene.recovers(before)


@pytest.mark.parametrize("attack", ["wyoming: describe", "websocket: pings", "http: health"])
async def test_answers_that_are_not_read_do_not_pile_up(open_scene: OpenScene, attack: str) -> None:
    pipelined = (b"", b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 1_000)
    first, data = ATTACKS.get(attack, pipelined)
    if attack == "websocket: pings":
        data = frame(9, b"x" * 125) * 3_000
    async with open_scene() as scene:
        before = await scene.quiet()
        address = scene.server.wyoming if attack.startswith("wyoming") else scene.server.http
        async with scene.phase(f"{attack}, unread") as phase, asyncio.TaskGroup() as attackers:
            until = time.monotonic() + SECONDS
            for _ in range(CONNECTIONS):
                attackers.create_task(repeat(address, first, data, until=until, reads=False))
        phase.hearing.check_served(within=5.0, worst_gap=1.0)
        assert phase.peak.pss < before.after.pss + 30 * MIB
        await scene.recovers(before)


async def test_floods_on_connections_that_are_refused(open_scene: OpenScene) -> None:
    async with open_scene("--max-connections-per-peer", "2") as scene:
        before = await scene.quiet()
        async with scene.phase("refused floods") as phase, asyncio.TaskGroup() as attackers:
            until = time.monotonic() + SECONDS
            for _ in range(MANY):
                data = WYOMING["payloads"]
                attackers.create_task(repeat(scene.server.wyoming, b"", data, until=until, reads=False))
        phase.hearing.check_served(within=5.0, worst_gap=1.0)
        await scene.recovers(before)


async def test_a_book_sent_letter_by_letter_is_taken_beside_listeners(open_scene: OpenScene) -> None:
    book = "It was a bright cold day in April, and the clocks were striking thirteen. " * 100
    events = [SynthesizeStart().event(), *(SynthesizeChunk(letter).event() for letter in book)]
    async with open_scene() as scene:
        await scene.quiet()
        async with scene.phase("a book letter by letter") as phase:
            reader, writer = await asyncio.open_connection(*scene.server.wyoming)
            writer.write(b"".join(map(encode_event, events)))
            await writer.drain()
            header = json.loads(await reader.readline())
            writer.close()
        assert header["type"] == "audio-start"
        phase.hearing.check_served(within=5.0, worst_gap=1.0)
