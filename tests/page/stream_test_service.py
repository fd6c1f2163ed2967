"""A service that runs stream tests, and its runs."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.support.fake_synthesizer import FakeSynthesizer, run_in_thread
from tests.support.parts import running_parts
from wyoming_tts.page.stream_test.request import StreamTestRequest
from wyoming_tts.page.stream_test.run import StreamTestFrame
from wyoming_tts.page.stream_test.service import StreamTestService
from wyoming_tts.page.stream_test.targets import OwnAddresses
from wyoming_tts.transports.wyoming.protocol import info_event
from wyoming_tts.transports.wyoming.server import WyomingServer
from wyoming_tts.wyoming_framing import encode_event

TEXT = "One two three. Four five six."


def describe() -> bytes:
    return encode_event(info_event([], version="1", supports_streaming=True))


@asynccontextmanager
async def service_for(own: str, **options: Any) -> AsyncIterator[StreamTestService]:
    async with running_parts() as parts:
        service = StreamTestService(parts, lambda: OwnAddresses(own), **options)
        yield service
        await service.close()


@asynccontextmanager
async def speaking_service(**options: Any) -> AsyncIterator[tuple[StreamTestService, FakeSynthesizer]]:
    """The service and a real server; neither may leave a task behind."""
    fake = FakeSynthesizer()
    before = asyncio.all_tasks()
    async with WyomingServer(fake, describe=describe, run_blocking=run_in_thread) as server:
        await server.start("tcp://127.0.0.1:0")
        host, port = server.bound[0][:2]
        async with service_for(f"tcp://{host}:{port}", **options) as service:
            yield service, fake
    assert fake.entered == fake.left
    assert asyncio.all_tasks() == before


async def last_frame(
    service: StreamTestService, request: StreamTestRequest, session: str = "me"
) -> StreamTestFrame:
    frames = [frame async for frame in service.run(session, request)]
    assert [frame.over for frame in frames] == [False] * (len(frames) - 1) + [True]
    return frames[-1]


def closed_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
