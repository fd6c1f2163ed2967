"""A speech server for tests of proxies, and whether sound passes through one of them when it is made."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from starlette.middleware import Middleware

from tests.support.fake_speech_service import FakeSpeechService
from tests.support.fake_synthesizer import run_in_thread
from wyoming_tts.speech import Utterance
from wyoming_tts.transports.http.access_rules import GuardOptions
from wyoming_tts.transports.http.app import HttpOptions, HttpServer, HttpServerOptions, create_app
from wyoming_tts.transports.http.guard import Guard
from wyoming_tts.transports.realtime.route import RealtimeOptions, realtime_router

SPEECH = {"input": "abcdefgh", "voice": "af_heart", "response_format": "pcm", "sample_rate": 16_000}
_PIECES = 2
_TRIES = 5


@asynccontextmanager
async def speech_server(
    service: FakeSpeechService, *, options: HttpOptions | None = None, **guard_options: Any
) -> AsyncIterator[int]:
    """Run the HTTP server with its guard on loopback; yields its port."""
    guard = Guard(None, GuardOptions(**guard_options))
    app = create_app(
        service,
        options or HttpOptions(),
        run_blocking=run_in_thread,
        routers=[realtime_router(service, RealtimeOptions(), run_blocking=run_in_thread)],
        middleware=[Middleware(guard.wrap)],
    )
    server = HttpServer(app, HttpServerOptions(port=0), run_blocking=run_in_thread)
    async with server, asyncio.TaskGroup() as tasks:
        await server.start()
        tasks.create_task(server.serve())
        yield server.bound[0][1]
        await server.stop()


async def passes_sound_at_once(service: FakeSpeechService, client: httpx.AsyncClient) -> bool:
    """Whether pieces of sound, each made when the one before has arrived, overtake a byte that is held back.

    Linux holds that byte like what a proxy sends with more to come (`MSG_MORE`): two pieces that such a proxy
    passes take twice as long. On a busy machine they may be late all the same, so there are several tries.
    """
    texts: asyncio.Queue[str] = asyncio.Queue()

    async def speak_from_queue(utterance: Utterance) -> None:
        object.__setattr__(utterance, "text", _until_empty_text(texts))

    async def pass_pieces() -> None:
        for _ in range(_PIECES):
            texts.put_nowait("b")
            await anext(received)

    service.on_enter = speak_from_queue
    texts.put_nowait("a")
    passed, tries = False, 0
    async with asyncio.timeout(30), client.stream("POST", "/v1/audio/speech", json=SPEECH) as response:
        assert response.status_code == 200
        received = response.aiter_raw()
        await anext(received)
        while not passed and (tries := tries + 1) <= _TRIES:
            held = asyncio.create_task(_receive_held_byte())
            await pass_pieces()
            passed = not held.done()
            held.cancel()
        texts.put_nowait("")
        assert not [piece async for piece in received]
    return passed


async def _receive_held_byte() -> None:
    """Wait for a byte that the system holds back, as it is told that more will follow."""
    loop = asyncio.get_running_loop()
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        socket.create_connection(listening.getsockname()) as sender,
        listening.accept()[0] as receiver,
    ):
        receiver.setblocking(False)
        sender.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        sender.send(b"a")
        await loop.sock_recv(receiver, 1)


async def _until_empty_text(texts: asyncio.Queue[str]) -> AsyncIterator[str]:
    while text := await texts.get():
        yield text
