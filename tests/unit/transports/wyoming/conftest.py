"""The Wyoming server on loopback, with a synthesizer that tests hold up or make fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from wyoming.event import Event
from wyoming.tts import Synthesize, SynthesizeChunk, SynthesizeStart, SynthesizeStop

from tests.support.fake_synthesizer import FakeSynthesizer, run_in_thread
from tests.support.wyoming_client import WyomingTestClient
from wyoming_tts.speech import Utterance
from wyoming_tts.transports.wyoming.protocol import info_event
from wyoming_tts.transports.wyoming.server import WyomingOptions, WyomingServer
from wyoming_tts.wyoming_framing import encode_event

LOOPBACK = "tcp://127.0.0.1:0"
PLAIN_ANSWER = ["audio-start", "audio-chunk", "audio-stop"]
STREAM_ANSWER = [*PLAIN_ANSWER, "synthesize-stopped"]
BROKEN_STREAM_ANSWER = ["audio-start", "audio-chunk", "error", "audio-stop", "synthesize-stopped"]
LOGGER = "wyoming_tts.transports.wyoming.connection"

START = SynthesizeStart().event()
STOP = SynthesizeStop().event()


def synthesize(text: str) -> Event:
    return Synthesize(text).event()


def text_chunk(text: str) -> Event:
    return SynthesizeChunk(text).event()


def describe() -> bytes:
    return encode_event(info_event([], version="1", supports_streaming=True))


@pytest.fixture
def fake() -> FakeSynthesizer:
    return FakeSynthesizer()


@asynccontextmanager
async def running_server(
    fake: FakeSynthesizer, options: WyomingOptions | None = None, uri: str = LOOPBACK
) -> AsyncIterator[WyomingServer]:
    before = asyncio.all_tasks()
    async with WyomingServer(fake, describe=describe, run_blocking=run_in_thread, options=options) as server:
        await server.start(uri)
        yield server
    assert server.connections == 0
    assert fake.entered == fake.left
    assert asyncio.all_tasks() == before


@asynccontextmanager
async def connected(
    fake: FakeSynthesizer, options: WyomingOptions | None = None
) -> AsyncIterator[tuple[WyomingServer, WyomingTestClient]]:
    async with running_server(fake, options) as server, WyomingTestClient.connect(*server.bound[0]) as client:
        yield server, client


async def wait_for_client_count(server: WyomingServer, count: int) -> None:
    """Wait until the server has this many clients; the test's time limit bounds the wait."""
    while server.connections != count:  # noqa: ASYNC110  # the server has no event for it
        await asyncio.sleep(0.001)


class Gate:
    """A hook that blocks the synthesizer until the gate is opened."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()

    async def __call__(self, *_: object) -> None:
        await self.opened.wait()


def raise_at(error: Exception, *, at: int = 0) -> Callable[[Utterance, int], Awaitable[None]]:
    async def fail(_: Utterance, number: int) -> None:
        if number == at:
            raise error

    return fail
