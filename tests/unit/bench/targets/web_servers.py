"""Scripted HTTP and WebSocket servers on loopback, which follow or break the protocol as a test needs."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request as Handshake
from websockets.http11 import Response

from tests.support.accepting import accepting

TENTH = bytes(4800)
"""A tenth of a second at 24,000 Hz."""
VOICES = "/v1/audio/voices"


@dataclass
class ReceivedHttpRequest:
    """A received HTTP request and the connection for its answer."""

    method: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    writer: asyncio.StreamWriter
    reader: asyncio.StreamReader

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def begin(self, *headers: str, status: str = "200 OK") -> None:
        """Begin a chunked reply."""
        await self.send("\r\n".join([f"HTTP/1.1 {status}", *headers, CHUNKED, "", ""]).encode())

    async def chunk(self, data: bytes) -> None:
        await self.send(b"%x\r\n%b\r\n" % (len(data), data))

    async def end(self) -> None:
        await self.send(b"0\r\n\r\n")

    async def reply(self, status: str, body: bytes) -> None:
        await self.send(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)

    async def closed(self) -> None:
        with contextlib.suppress(ConnectionError):
            await self.reader.read()


CHUNKED = "Transfer-Encoding: chunked"
PCM_TYPE = "Content-Type: audio/pcm"
Answer: TypeAlias = Callable[[ReceivedHttpRequest], Awaitable[None]]


@dataclass
class WebServer:
    uri: str
    requests: list[ReceivedHttpRequest] = field(default_factory=list)

    @property
    def speeches(self) -> list[ReceivedHttpRequest]:
        return [each for each in self.requests if each.path != VOICES]


@contextlib.asynccontextmanager
async def http_server(answer: Answer, *, voices: str = "200 OK") -> AsyncIterator[WebServer]:
    """Answers requests for the voice list itself; leaving waits for the answers and raises their errors."""
    served = WebServer("")

    async def serve_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            request = await _read_request(reader, writer)
            served.requests.append(request)
            if request.path == VOICES:
                await request.reply(voices, b'{"voices": []}')
            else:
                await answer(request)

    async with accepting(serve_connection) as port:
        served.uri = f"http://127.0.0.1:{port}"
        yield served


async def _read_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> ReceivedHttpRequest:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    method, path, _ = lines[0].split(" ")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:] if line)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return ReceivedHttpRequest(method, path, headers, json.loads(body or b"{}"), writer, reader)


@dataclass
class ScriptedSession:
    """One WebSocket session, as its script sees it."""

    connection: ServerConnection
    received: list[dict[str, Any]] = field(default_factory=list)

    async def read(self) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(await self.connection.recv())
        self.received.append(event)
        return event

    async def read_until(self, kind: str) -> dict[str, Any]:
        while (event := await self.read())["type"] != kind:
            pass
        return event

    async def send(self, *events: dict[str, Any] | bytes) -> None:
        for event in events:
            await self.connection.send(event if isinstance(event, bytes) else json.dumps(event))

    async def open(self, *, rate: int | None = None) -> None:
        """Open a session as every server does."""
        audio = {} if rate is None else {"sample_rate": rate}
        await self.send({"type": "session.created", "session": {"audio": audio}})
        await self.read_until("session.update")
        await self.send({"type": "session.updated", "session": {"audio": audio}})


SessionScript: TypeAlias = Callable[[ScriptedSession], Awaitable[None]]


@dataclass
class SessionServer:
    uri: str
    sessions: list[ScriptedSession] = field(default_factory=list)
    handshakes: list[Handshake] = field(default_factory=list)

    @property
    def types(self) -> list[str]:
        return [event["type"] for session in self.sessions for event in session.received]


@contextlib.asynccontextmanager
async def session_server(
    script: SessionScript, *, refuses: int | None = None
) -> AsyncIterator[SessionServer]:
    """A WebSocket server that lists voices over HTTP, too; `refuses` is a status for all handshakes."""

    async def run_session(connection: ServerConnection) -> None:
        session = ScriptedSession(connection)
        served.sessions.append(session)
        with contextlib.suppress(Exception):  # the client may be gone; tests check what it received
            await script(session)

    def handshake(_: ServerConnection, request: Handshake) -> Response | None:
        served.handshakes.append(request)
        if request.path == VOICES:
            return Response(200, "OK", Headers({"Content-Length": "2"}), b"{}")
        return None if refuses is None else Response(refuses, "No", Headers({"Content-Length": "0"}), b"")

    async with serve(run_session, "127.0.0.1", 0, process_request=handshake) as server:
        served = SessionServer(f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}")
        yield served
