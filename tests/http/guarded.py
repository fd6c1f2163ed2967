"""An app behind the guard, and its clients."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import uvicorn

from tests.support.manual_clock import ManualClock
from wyoming_tts.transports.http.access_rules import GuardOptions
from wyoming_tts.transports.http.guard import Guard, Receive, Scope, Send

KEY = "sk-a-key-of-mine"


SPEECH = "/v1/audio/speech"


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Echo the query string and the body's length."""
    if scope["type"] == "lifespan":
        return
    query = scope["query_string"].decode()
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": query})
        await send({"type": "websocket.close"})
        return
    message = await receive()
    assert message["type"] == "http.request"
    assert scope["method"] == "GET" or not message.get("more_body")
    received = {"query": query, "body": len(message["body"])}
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-app", b"yes")]})
    await send({"type": "http.response.body", "body": json.dumps(received).encode()})


def make_guard(clock: ManualClock | None = None, **options: Any) -> Guard:
    return Guard(app, GuardOptions(**options), clock=clock or ManualClock())


def client(guard: Guard, peer: str = "192.168.1.20", host: str = "nas.local:8880") -> httpx.AsyncClient:
    transport = httpx.ASGITransport(guard, client=(peer, 5000))
    return httpx.AsyncClient(transport=transport, base_url=f"http://{host}")


def code(response: httpx.Response) -> str:
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return str(error["code"])


@asynccontextmanager
async def serving(guard: Guard) -> AsyncIterator[int]:
    # At debug level websockets logs handshakes as they come in, before the application is called.
    config = uvicorn.Config(
        guard, port=0, lifespan="off", log_config=None, log_level="info", ws="websockets-sansio"
    )
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110 - it has no event to wait for
            await asyncio.sleep(0.001)
        yield server.servers[0].sockets[0].getsockname()[1]
        server.should_exit = True


async def exchange(port: int, request: bytes) -> tuple[int, bytes]:
    """Send raw bytes; return the status and the whole response."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    return int(answer.split()[1]), answer
