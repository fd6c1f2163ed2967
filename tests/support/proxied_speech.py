"""A speech server for tests of proxies, and how long sound is on its way through one of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from starlette.middleware import Middleware

from tests.support.fake_speech_service import FakeSpeechService
from tests.support.fake_synthesizer import run_in_thread
from wyoming_tts.speech import Utterance
from wyoming_tts.transports.http.app import HttpOptions, HttpServer, HttpServerOptions, create_app
from wyoming_tts.transports.http.guard import Guard, GuardOptions
from wyoming_tts.transports.realtime.route import RealtimeOptions, realtime_router

SPEECH = {"input": "abcdefgh", "voice": "af_heart", "response_format": "pcm", "sample_rate": 16_000}
CORK_SECONDS = 0.2
"""After which Linux sends what a program held back for more to come (`MSG_MORE`, TCP_CORK)."""
_PIECES = 8


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


async def fastest_piece(service: FakeSpeechService, client: httpx.AsyncClient) -> float:
    """Seconds from a piece of sound being made until the client has it: the least of several pieces.

    Each piece is made when the one before has arrived. On a busy machine some are late; a proxy that
    holds sound back is late with all of them.
    """
    texts: asyncio.Queue[str] = asyncio.Queue()

    async def speak_from_queue(utterance: Utterance) -> None:
        object.__setattr__(utterance, "text", _until_empty_text(texts))

    service.on_enter = speak_from_queue
    seconds: list[float] = []
    texts.put_nowait("a")
    async with asyncio.timeout(30), client.stream("POST", "/v1/audio/speech", json=SPEECH) as response:
        assert response.status_code == 200
        received = response.aiter_raw()
        await anext(received)
        for _ in range(_PIECES):
            made_at = time.monotonic()
            texts.put_nowait("b")
            await anext(received)
            seconds.append(time.monotonic() - made_at)
        texts.put_nowait("")
        assert not [piece async for piece in received]
    return min(seconds)


async def _until_empty_text(texts: asyncio.Queue[str]) -> AsyncIterator[str]:
    while text := await texts.get():
        yield text
