"""Accepting over real loopback sockets; errors of the system are scripted."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from wyoming_tts.errors import SpeechError
from wyoming_tts.transports import accepting, damped_log
from wyoming_tts.transports.accepting import Acceptor
from wyoming_tts.transports.connection_limits import ConnectionLimits, ConnectionSlot
from wyoming_tts.transports.damped_log import DampedLog


class Echo(asyncio.Protocol):
    """Keeps a connection until its client closes it."""


async def serve_forever(sock: socket.socket, slot: ConnectionSlot) -> None:
    transport, _ = await asyncio.get_running_loop().connect_accepted_socket(Echo, sock)
    slot.idle_since, slot.abort = lambda: None, transport.abort


async def never(sock: socket.socket, slot: ConnectionSlot) -> None:
    """A handshake that stalls."""
    del sock, slot
    await asyncio.Event().wait()


def refusal(reason: SpeechError) -> bytes:
    return reason.code.encode()


@asynccontextmanager
async def accepting_on(
    limits: ConnectionLimits | None = None, **options: Any
) -> AsyncIterator[tuple[Acceptor, tuple[str, int]]]:
    acceptor = Acceptor(
        limits or ConnectionLimits(), **({"serve": serve_forever, "refusal": refusal} | options)
    )
    listener = socket.create_server(("127.0.0.1", 0))
    address: tuple[str, int] = listener.getsockname()
    acceptor.listen([listener])
    try:
        yield acceptor, address
    finally:
        await acceptor.close()
        assert listener.fileno() == -1


async def connect(address: tuple[str, int]) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(*address)


async def until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not happened():  # noqa: ASYNC110 - the socket is closed without an event
            await asyncio.sleep(0.001)


def shown(acceptor: Acceptor, count: int) -> Callable[[], bool]:
    return lambda: f"open={count} refusing=0" in repr(acceptor)


async def test_a_refused_client_reads_why_though_it_has_sent_a_request() -> None:
    async with accepting_on(ConnectionLimits(1)) as (acceptor, address):
        _, first = await connect(address)
        await until(shown(acceptor, 1))
        reader, writer = await connect(address)
        writer.write(b"x" * 10_000)
        assert await reader.read() == b"busy"
        writer.close()
        first.close()
        await until(shown(acceptor, 0))


async def test_an_address_that_is_not_allowed_is_told_so() -> None:
    async with accepting_on(allow=lambda _: False) as (_, address):
        reader, writer = await connect(address)
        assert await reader.read() == b"bad_request"
        writer.close()


async def test_without_a_refusal_a_client_over_the_limit_is_reset() -> None:
    async with accepting_on(ConnectionLimits(1), refusal=lambda _: b"") as (acceptor, address):
        _, first = await connect(address)
        await until(shown(acceptor, 1))
        reader, writer = await connect(address)
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()
        first.close()


async def test_a_slot_is_held_until_the_socket_is_closed_whoever_closes_it() -> None:
    async with accepting_on() as (acceptor, address):
        _, writer = await connect(address)
        await until(shown(acceptor, 1))
        writer.transport.abort()
        await until(shown(acceptor, 0))


async def test_a_stalled_handshake_counts_and_makes_room_when_it_is_idle(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("wyoming_tts.transports.connection_limits.MIN_IDLE", 0.0)
    async with accepting_on(ConnectionLimits(1), serve=never) as (acceptor, address):
        stalled, first = await connect(address)
        await until(shown(acceptor, 1))
        _, second = await connect(address)
        assert await stalled.read() == b""  # closed for the second
        await until(shown(acceptor, 1))
        first.close()
        second.close()


async def test_closing_ends_handshakes_and_leaves_established_connections_alone() -> None:
    served: list[asyncio.BaseTransport] = []

    async def serve(sock: socket.socket, slot: ConnectionSlot) -> None:
        if served:
            await never(sock, slot)
        served.append((await asyncio.get_running_loop().connect_accepted_socket(Echo, sock))[0])

    async with accepting_on(serve=serve) as (acceptor, address):
        _, first = await connect(address)
        await until(lambda: bool(served))
        stalled, second = await connect(address)
        await until(shown(acceptor, 2))
        await acceptor.close()
        assert await stalled.read() == b""
        assert not served[0].is_closing()
        for writer in (first, second):
            writer.close()
        served[0].close()


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
async def test_without_descriptors_accepting_pauses_and_is_logged_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, code: int
) -> None:
    failures, pauses = iter([code] * 5), []
    loop = asyncio.get_running_loop()
    accept, sleep = loop.sock_accept, asyncio.sleep

    async def exhausted(listener: socket.socket) -> Any:
        if failing := next(failures, None):
            raise OSError(failing, os.strerror(failing))
        return await accept(listener)

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        await sleep(0)

    monkeypatch.setattr(loop, "sock_accept", exhausted)
    monkeypatch.setattr(accepting.asyncio, "sleep", pause)  # type: ignore[attr-defined]
    async with accepting_on() as (acceptor, address):
        _, writer = await connect(address)
        await until(shown(acceptor, 1))
        writer.close()
    assert pauses.count(accepting.ACCEPT_PAUSE) == 5
    assert [record.message for record in caplog.records] == [
        f"No client can be accepted: {os.strerror(code)}."
    ]


async def test_a_connection_that_broke_before_it_was_accepted_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    loop = asyncio.get_running_loop()
    accept, broken = loop.sock_accept, [True]

    async def abort_once(listener: socket.socket) -> Any:
        if broken:
            broken.pop()
            raise ConnectionAbortedError(errno.ECONNABORTED, "gone")
        return await accept(listener)

    monkeypatch.setattr(loop, "sock_accept", abort_once)
    async with accepting_on() as (acceptor, address):
        _, writer = await connect(address)
        await until(shown(acceptor, 1))
        writer.close()
    assert not caplog.records


async def test_a_flood_is_one_log_line_that_counts_what_was_left_out(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    log = DampedLog(logging.getLogger("flood"))
    for number in range(100):
        log.log("%s: refused", number)
    monkeypatch.setattr(damped_log, "LOG_INTERVAL", 0.0)
    log.log("%s: refused", "later")
    assert [record.message for record in caplog.records] == [
        "0: refused",
        "later: refused (99 more since the last such line.)",
    ]
