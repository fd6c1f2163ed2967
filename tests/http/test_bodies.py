"""Request bodies that arrive slowly, stop arriving or are too many are ended, and their memory is freed."""

from __future__ import annotations

import asyncio
import gc
import json
import weakref
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from starlette.middleware import Middleware

from tests.http.conftest import Served, serving
from tests.http.test_connections import raw, request
from wyoming_tts.transports.connection_limits import ConnectionLimits
from wyoming_tts.transports.http import body_reading
from wyoming_tts.transports.http.access_rules import GuardOptions
from wyoming_tts.transports.http.body_budget import PROGRESS, SMALL_BODY
from wyoming_tts.transports.http.body_reading import BodyLimits, BodyReader, BodyTooSlow
from wyoming_tts.transports.http.connection import HttpConnection
from wyoming_tts.transports.http.guard import Guard, Message

MOST = 200_000
UNFINISHED = MOST - 1
HEAD = (
    "POST /v1/audio/speech HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    f"Content-Length: {MOST}\r\n\r\n"
).encode()
PATIENCE = 10.0


@pytest.fixture
def guard() -> Guard:
    return Guard(None, GuardOptions(max_body_bytes=MOST))


@asynccontextmanager
async def guarded(guard: Guard, most: int = 100) -> AsyncIterator[Served]:
    async with serving(middleware=[Middleware(guard.wrap)], connections=ConnectionLimits(most)) as served:
        yield served


async def until_held(guard: Guard, count: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while guard.bodies._budget.held != count:  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0)


async def test_beyond_the_budget_the_body_without_progress_for_longest_reads_503(
    guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body_reading, "BUDGET", 0)  # what is left fits four bodies of the maximum size
    async with guarded(guard) as served, AsyncExitStack() as clients:
        opened = [await clients.enter_async_context(raw(served)) for _ in range(5)]
        for number, (_, writer) in enumerate(opened[:4], 1):
            writer.write(HEAD + b" " * UNFINISHED)
            await until_held(guard, number * UNFINISHED)
        opened[4][1].write(request(input="hello" + " " * SMALL_BODY))
        async with asyncio.timeout(PATIENCE):
            assert (await opened[4][0].readline()).startswith(b"HTTP/1.1 200")
            head = await opened[0][0].readuntil(b"\r\n\r\n")
            body = json.loads(await opened[0][0].readuntil(b"}}"))
        assert head.startswith(b"HTTP/1.1 503")
        assert b"retry-after: 5\r\n" in head.lower()
        assert body["error"]["code"] == "busy"
        assert guard.bodies.given_up.is_set()
        await until_held(guard, 3 * UNFINISHED)


async def test_a_large_body_that_stops_arriving_is_ended_by_408() -> None:
    guard = Guard(None, GuardOptions(max_body_bytes=MOST, body_stall_timeout=0.05))
    async with guarded(guard) as served, raw(served) as (reader, writer):
        writer.write(HEAD + b" " * UNFINISHED)
        async with asyncio.timeout(PATIENCE):
            assert (await reader.readline()).startswith(b"HTTP/1.1 408")
            assert b"Got less than 16384 bytes of the body in 0.05 s." in await reader.readuntil(b"}}")
        await until_held(guard, 0)


async def test_a_connection_in_the_midst_of_a_body_makes_room(
    guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wyoming_tts.transports.connection_limits.MIN_IDLE", 0.0)
    async with guarded(guard, most=2) as served, raw(served) as (first, one), raw(served) as (_, two):
        for number, writer in enumerate((one, two), 1):
            writer.write(HEAD + b" " * UNFINISHED)
            await until_held(guard, number * UNFINISHED)
        async with raw(served) as (reader, third), asyncio.timeout(PATIENCE):
            third.write(request())
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
            assert await first.read() == b""
        await until_held(guard, UNFINISHED)


@pytest.mark.parametrize("sent", [UNFINISHED, MOST], ids=["unfinished", "complete"])
async def test_what_was_received_is_freed_with_its_connection_and_not_only_by_the_collector(
    guard: Guard, sent: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[weakref.ref[HttpConnection]] = []

    def note(self: HttpConnection, transport: asyncio.Transport) -> None:
        opened.append(weakref.ref(self))
        connect(self, transport)

    connect = HttpConnection.connection_made
    monkeypatch.setattr(HttpConnection, "connection_made", note)
    async with guarded(guard) as served:
        gc.disable()
        try:
            async with raw(served) as (reader, writer):
                writer.write(HEAD + b" " * sent)
                if sent == MOST:
                    await reader.readline()
                else:
                    await until_held(guard, sent)
            async with asyncio.timeout(PATIENCE):
                while opened[0]() is not None:  # noqa: ASYNC110 - being freed has no event
                    await asyncio.sleep(0.001)
        finally:
            gc.enable()


class TestTime:
    """Time is advanced by the client, in no time."""

    LIMITS = BodyLimits(max_bytes=10**6, timeout=30.0, stall_timeout=10.0)

    @pytest.fixture(autouse=True)
    async def clock(self, monkeypatch: pytest.MonkeyPatch) -> None:
        loop = asyncio.get_running_loop()
        real = loop.time
        self.skipped = 0.0
        monkeypatch.setattr(loop, "time", lambda: real() + self.skipped)

    async def read(self, *pieces: tuple[float, int]) -> int | None:
        """Read a body of pieces that arrive so many seconds after the last, with so many bytes."""
        left = list(pieces)

        async def receive() -> Message:
            seconds, size = left.pop(0)
            self.skipped += seconds
            await asyncio.sleep(0.001)  # timers that are due by now run
            return {"type": "http.request", "body": bytes(size), "more_body": bool(left)}

        body = await BodyReader().read(receive, self.LIMITS, peer=None, slot=None)
        return None if body is None else len(body)

    async def test_a_small_body_has_to_arrive_in_time(self) -> None:
        assert await self.read((0, 100), (29, SMALL_BODY - 100)) == SMALL_BODY
        with pytest.raises(BodyTooSlow, match="only a part of the body in 30 s"):
            await self.read((0, 100), (16, 100), (16, 100))

    async def test_a_large_body_takes_as_long_as_it_makes_progress(self) -> None:
        pieces = [(9.0, PROGRESS)] * 20
        assert await self.read((1, SMALL_BODY + 1), *pieces) == SMALL_BODY + 1 + 20 * PROGRESS

    @pytest.mark.parametrize("dripping", [0, 1, PROGRESS // 16])
    async def test_a_large_body_that_drips_is_too_slow(self, dripping: int) -> None:
        drops = [(1.0, dripping)] * 11
        with pytest.raises(BodyTooSlow, match="less than 16384 bytes of the body in 10 s"):
            await self.read((1, 2 * SMALL_BODY), *drops, (0, PROGRESS))
