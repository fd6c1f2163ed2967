"""Fake voice hub: an HTTP server on loopback that serves files, with the failures of real servers."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Self


@dataclass(frozen=True)
class Request:
    """A request received."""

    path: str
    headers: dict[str, str]

    @property
    def offset(self) -> int:
        """Start of the requested range."""
        value = self.headers.get("range", "bytes=0-")
        return int(value.removeprefix("bytes=").removesuffix("-"))


@dataclass
class Behaviour:
    """How one request is answered; the default is a correct answer."""

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    """Sent in place of the file."""
    etag: str = '"v1"'
    cut_after: int | None = None
    """Close the connection after this many bytes of the body."""
    ignores_range: bool = False
    says_length: bool = True
    hold_after: int | None = None
    """Send this many bytes of the body, set `held`, and continue once `released` is set."""
    held: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)


class FakeHub:
    """Serves `files` by path; `plan` queues the behaviour for the next requests, one each."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.plan: deque[Behaviour] = deque()
        self.requests: list[Request] = []
        self.body_bytes_sent = 0
        self.connections = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._on_connection, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        host, port = self._server.sockets[0].getsockname()
        return f"http://{host}:{port}"

    def requests_for(self, path: str) -> list[Request]:
        """Requests for one file, in order."""
        return [request for request in self.requests if request.path.endswith(path)]

    def _on_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = _parse_request(await reader.readuntil(b"\r\n\r\n"))
            self.requests.append(request)
            behaviour = self.plan.popleft() if self.plan else Behaviour()
            await self._answer(request, behaviour, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, request: Request, behaviour: Behaviour, writer: asyncio.StreamWriter) -> None:
        status, headers, body = self._response(request, behaviour)
        lines = [f"HTTP/1.1 {status} X", "Connection: close", *(f"{k}: {v}" for k, v in headers.items())]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        body = body[: behaviour.cut_after]
        if behaviour.hold_after is not None:
            await self._send(writer, body[: behaviour.hold_after])
            behaviour.held.set()
            await behaviour.released.wait()
            body = body[behaviour.hold_after :]
        await self._send(writer, body)

    async def _send(self, writer: asyncio.StreamWriter, body: bytes) -> None:
        self.body_bytes_sent += len(body)
        writer.write(body)
        await writer.drain()

    def _response(self, request: Request, behaviour: Behaviour) -> tuple[int, dict[str, str], bytes]:
        content = self.files.get(request.path) if behaviour.body is None else behaviour.body
        headers = {"ETag": behaviour.etag, "Content-Type": "application/octet-stream"}
        status, content = (200, content) if content is not None else (404, b"no such file")
        same = request.headers.get("if-range", behaviour.etag) == behaviour.etag
        if status == 200 and request.offset and same and not behaviour.ignores_range:
            status, headers, content = _part(content, request.offset, headers)
        if behaviour.says_length:
            headers["Content-Length"] = str(len(content))
        return behaviour.status or status, headers | behaviour.headers, content


def _part(content: bytes, offset: int, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
    if offset >= len(content):
        return 416, headers | {"Content-Range": f"bytes */{len(content)}"}, b""
    extent = f"bytes {offset}-{len(content) - 1}/{len(content)}"
    return 206, headers | {"Content-Range": extent}, content[offset:]


def _parse_request(head: bytes) -> Request:
    request_line, *lines = head.decode().split("\r\n")
    pairs = (line.split(": ", 1) for line in lines if line)
    return Request(request_line.split(" ")[1], {name.lower(): value for name, value in pairs})
