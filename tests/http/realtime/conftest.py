"""A client of the realtime WebSocket, and what holds up its synthesizer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.support.fake_synthesizer import RATE, FakeSynthesizer
from tests.support.realtime_server import (
    RealtimeClient,
    RunningRealtimeServer,
    realtime_client,
    realtime_server,
)
from wyoming_tts.speech import Utterance
from wyoming_tts.transports.interfaces import SpeechSynthesis

NATIVE = {"sample_rate": RATE}
"""No resampling, so that audio can be compared."""


@pytest.fixture
def synthesizer() -> FakeSynthesizer:
    return FakeSynthesizer()


@pytest.fixture
async def server(synthesizer: FakeSynthesizer) -> AsyncIterator[RunningRealtimeServer]:
    async with realtime_server(synthesizer) as running:
        yield running


@asynccontextmanager
async def conversation(
    synthesizer: SpeechSynthesis, *, audio: Mapping[str, Any] = NATIVE, **options: Any
) -> AsyncIterator[RealtimeClient]:
    """A client of a server with these options of `realtime_server`."""
    async with (
        realtime_server(synthesizer, **options) as server,
        realtime_client(server.url, audio=audio) as connected,
    ):
        yield connected


@pytest.fixture
async def client(server: RunningRealtimeServer) -> AsyncIterator[RealtimeClient]:
    async with realtime_client(server.url, audio=NATIVE) as connected:
        yield connected


class Gate:
    """Blocks the synthesizer before each chunk from `hold_from` on, until `opened` is set."""

    def __init__(self, synthesizer: FakeSynthesizer, *, hold_from: int = 0) -> None:
        self.opened = asyncio.Event()
        self.reached = asyncio.Event()
        self._hold_from = hold_from
        synthesizer.on_chunk = self._wait

    async def _wait(self, _: Utterance, number: int) -> None:
        if number >= self._hold_from:
            self.reached.set()
            await self.opened.wait()


def after(client: RealtimeClient, kind: str, **fields: Any) -> list[dict[str, Any]]:
    """The events received after the first one of this kind and with these fields."""
    position = next(
        place
        for place, event in enumerate(client.events)
        if event["type"] == kind and fields.items() <= event.items()
    )
    return client.events[position + 1 :]
