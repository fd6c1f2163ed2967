"""A WebSocket's pongs and fragments, over a transport that is not read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from uvicorn import Config
from uvicorn.server import ServerState

from wyoming_tts.transports.http.bounded_websocket import MAX_FRAGMENTS, BoundedWebSocket

HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


class FakeTransport:
    def __init__(self) -> None:
        self.written = b""
        self.is_closed = False

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed

    def get_extra_info(self, _: str) -> None:
        return None

    def pause_reading(self) -> None:
        pass


async def accept(scope: Any, receive: Any, send: Any) -> None:
    assert scope["type"] == "websocket"
    await receive()
    await send({"type": "websocket.accept"})
    while (await receive())["type"] != "websocket.disconnect":
        pass


@pytest.fixture
async def socket() -> AsyncIterator[BoundedWebSocket]:
    config = Config(accept, ws=BoundedWebSocket, lifespan="off", log_config=None)
    config.load()
    opened = BoundedWebSocket(config, ServerState(), {})
    opened.connection_made(cast(Any, FakeTransport()))
    opened.data_received(HANDSHAKE)
    while not opened.handshake_complete:  # noqa: ASYNC110  # uvicorn has no event for it
        await asyncio.sleep(0)
    yield opened
    tasks = list(opened.tasks)
    opened.connection_lost(None)
    await asyncio.gather(*tasks)


def written(socket: BoundedWebSocket) -> bytes:
    transport = cast(Any, socket.transport)
    data: bytes = transport.written
    transport.written = b""
    return data


def frame(opcode: int, data: bytes, *, last: bool = True) -> bytes:
    return bytes([0x80 * last | opcode, 0x80 | len(data), 0, 0, 0, 0]) + data


async def test_each_ping_is_answered_while_the_client_reads(socket: BoundedWebSocket) -> None:
    written(socket)
    socket.data_received(frame(9, b"one") + frame(9, b"two"))
    assert written(socket) == b"\x8a\x03one\x8a\x03two"


async def test_pings_of_a_client_that_does_not_read_leave_one_pong(socket: BoundedWebSocket) -> None:
    written(socket)
    socket.pause_writing()
    for number in range(10_000):
        socket.data_received(frame(9, b"%d" % number))
    assert written(socket) == b""

    socket.resume_writing()
    assert written(socket) == b"\x8a\x049999"
    socket.data_received(frame(9, b"again"))
    assert written(socket) == b"\x8a\x05again"


async def test_a_close_is_answered_though_the_client_does_not_read(socket: BoundedWebSocket) -> None:
    written(socket)
    socket.pause_writing()
    socket.data_received(frame(9, b"ping") + frame(8, b"\x03\xe8"))
    assert written(socket) == b"\x88\x02\x03\xe8"


async def test_a_message_of_endless_empty_fragments_closes_the_connection(socket: BoundedWebSocket) -> None:
    written(socket)
    socket.data_received(frame(1, b"", last=False) + frame(0, b"", last=False) * (MAX_FRAGMENTS - 1))
    assert written(socket) == b""
    socket.data_received(frame(0, b"", last=False))
    assert written(socket)[2:4] == (1009).to_bytes(2, "big")
    assert cast(Any, socket.transport).is_closed
