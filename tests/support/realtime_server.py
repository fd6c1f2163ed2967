"""A server with only the realtime WebSocket, and a client that records every message."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI
from starlette.middleware import Middleware
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.support.fake_synthesizer import run_in_thread
from wyoming_tts.transports.connection_limits import ConnectionLimits
from wyoming_tts.transports.http.guard import Guard
from wyoming_tts.transports.http.request_lifecycle import OpenRequests, RequestLifecycleMiddleware
from wyoming_tts.transports.http.server import HttpServer, HttpServerOptions
from wyoming_tts.transports.interfaces import SpeechSynthesis
from wyoming_tts.transports.realtime.route import PATH, RealtimeOptions, realtime_router


@dataclass
class RunningRealtimeServer:
    server: HttpServer
    requests: OpenRequests

    @property
    def port(self) -> int:
        return self.server.bound[0][1]

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}{PATH}"

    def is_stalled(self) -> bool:
        """Whether uvicorn is paused until a client reads."""
        connections = self.server._server.server_state.connections
        writable = [known.writable for known in connections if isinstance(known, WebSocketsSansIOProtocol)]
        return any(not event.is_set() for event in writable)

    async def until(self, happened: Callable[[], bool]) -> None:
        """Poll for a condition that has no event."""
        async with asyncio.timeout(10):
            while not happened():  # noqa: ASYNC110
                await asyncio.sleep(0.005)


@asynccontextmanager
async def realtime_server(
    synthesizer: SpeechSynthesis,
    *,
    connections: ConnectionLimits | None = None,
    guard: Guard | None = None,
    log_requests: bool = False,
    **options: Any,
) -> AsyncIterator[RunningRealtimeServer]:
    requests = OpenRequests()
    layer = Middleware(
        RequestLifecycleMiddleware,
        requests=requests,
        send_timeout=10,
        request_timeout=10,
        log_requests=log_requests,
    )
    app = FastAPI(middleware=[layer] if guard is None else [layer, Middleware(guard.wrap)])
    app.state.requests = requests
    app.include_router(realtime_router(synthesizer, RealtimeOptions(**options), run_blocking=run_in_thread))
    listening = HttpServerOptions(port=0, connections=connections or ConnectionLimits())
    server = HttpServer(app, listening, run_blocking=run_in_thread)
    async with asyncio.TaskGroup() as group, server:
        await server.start()
        group.create_task(server.serve())
        yield RunningRealtimeServer(server, requests)


@dataclass
class RealtimeClient:
    """Sends events and records every message in order; audio is collected by response."""

    socket: ClientConnection
    events: list[dict[str, Any]] = field(default_factory=list)
    audio: dict[str, bytes] = field(default_factory=dict)
    binary_for: str = ""
    """The response that was started last."""

    async def send(self, kind: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"type": kind, **fields}))

    async def say(self, **fields: Any) -> None:
        await self.socket.send(json.dumps(fields))

    async def next(self) -> dict[str, Any]:
        """Receive the next message; binary audio is recorded as an event of type `binary delta`."""
        async with asyncio.timeout(20):
            return self._record(await self.socket.recv())

    async def until(self, kind: str, **fields: Any) -> dict[str, Any]:
        while True:
            event = await self.next()
            if event["type"] == kind and fields.items() <= event.items():
                return event

    async def closed(self) -> tuple[int | None, str | None]:
        """Read to the end; return the server's close code and reason."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                await self.next()
        return self.socket.close_code, self.socket.close_reason

    def kinds(self) -> list[str]:
        """The received event types, with a run of audio as one."""
        shown: list[str] = []
        for event in self.events:
            if not shown or event["type"] != shown[-1] or "delta" not in shown[-1]:
                shown.append(event["type"])
        return shown

    def _record(self, received: str | bytes) -> dict[str, Any]:
        if isinstance(received, bytes):
            event: dict[str, Any] = {"type": "binary delta", "response": self.binary_for}
            self._add_audio(self.binary_for, received)
        else:
            event = json.loads(received)
            if event["type"] in ("response.created", "start"):
                self.binary_for = event.get("response") or event["segment_id"]
            if "delta" in event:
                self._add_audio(event["response"], base64.b64decode(event["delta"]))
        self.events.append(event)
        return event

    def _add_audio(self, response: str, pcm: bytes) -> None:
        self.audio[response] = self.audio.get(response, b"") + pcm


@asynccontextmanager
async def realtime_client(url: str, **session: Any) -> AsyncIterator[RealtimeClient]:
    """Connect a client and update its session."""
    async with connect(url, max_size=None, compression=None, ping_interval=None, close_timeout=2) as sock:
        client = RealtimeClient(sock)
        await client.until("session.created")
        if session:
            await client.send("session.update", session=session)
            await client.until("session.updated")
        yield client
