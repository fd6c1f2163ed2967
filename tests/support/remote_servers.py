"""HTTP servers on loopback that answer as their test's script says, right or wrong."""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from wyoming_tts.speech import Samples


@dataclass
class Asked:
    """A request, and the connection to answer it on."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def json(self) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(self.body)
        return parsed

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(
        self, status: int = 200, body: bytes = b"", kind: str = "audio/pcm", **headers: str
    ) -> None:
        """A whole answer with its length."""
        await self.head(status, kind, Content_Length=str(len(body)), **headers)
        await self.send(body)

    async def head(self, status: int = 200, kind: str = "audio/pcm", **headers: str) -> None:
        lines = [f"HTTP/1.1 {status} Status", f"Content-Type: {kind}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        await self.send("\r\n".join([*lines, "", ""]).encode())

    async def chunk(self, data: bytes) -> None:
        """A piece of a chunked body."""
        await self.send(b"%x\r\n%s\r\n" % (len(data), data))

    async def chunked(self, pieces: Iterable[bytes], kind: str = "audio/pcm", **headers: str) -> None:
        """A whole chunked answer."""
        await self.head(200, kind, Transfer_Encoding="chunked", **headers)
        for piece in pieces:
            await self.chunk(piece)
        await self.send(b"0\r\n\r\n")

    async def closed(self) -> None:
        """Wait until the client has closed its end."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(4096):
                pass


Script: TypeAlias = Callable[[Asked], Awaitable[None]]


@dataclass
class HttpServer:
    """Where it listens, and what it was asked."""

    address: str
    asked: list[Asked] = field(default_factory=list)

    @property
    def spoken(self) -> list[Asked]:
        """What it was asked to speak."""
        return [asked for asked in self.asked if asked.method == "POST"]


@contextlib.asynccontextmanager
async def http_server(script: Script) -> AsyncIterator[HttpServer]:
    """Serve on 127.0.0.1; a script that returns without an answer has its connection closed."""
    connections: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (asked := await _request(reader, writer)) is not None:
                served.asked.append(asked)
                await script(asked)
                if writer.is_closing():
                    return
        except ConnectionError:
            pass
        finally:
            writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(serve(reader, writer))
        connections.add(task)
        task.add_done_callback(connections.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    served = HttpServer(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    try:
        yield served
    finally:
        server.close()
        ending = list(connections)
        for task in ending:
            task.cancel()
        results = await asyncio.gather(*ending, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result


async def _request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Asked | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    first, *lines = head.strip().split("\r\n")
    method, path, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Asked(method, path, headers, body, reader, writer)


def upstream(
    voices: Iterable[object] = ("af_far",), speak: Script | None = None, path: str = "/v1/audio/voices"
) -> Script:
    """A server that lists these voices and speaks as `speak` does, else a tone for each letter."""

    async def script(asked: Asked) -> None:
        if asked.method == "POST":
            await (speak or say)(asked)
        elif asked.path == path:
            await asked.answer(body=json.dumps({"voices": list(voices)}).encode(), kind="application/json")
        else:
            await asked.answer(404, b"{}", "application/json")

    return script


async def say(asked: Asked) -> None:
    """Answer with `pcm_of` the text, in pieces that cut samples."""
    pcm = pcm_of(asked.json["input"])
    await asked.chunked(pcm[at : at + 333] for at in range(0, len(pcm), 333))


def pcm_of(text: str) -> bytes:
    """240 samples for each letter that only it has."""
    return b"".join(np.full(240, 10 * ord(letter), "<i2").tobytes() for letter in text)


def text_of(pcm: bytes) -> str:
    """What `pcm_of` was given."""
    return "".join(chr(value // 10) for value in np.frombuffer(pcm, "<i2")[::240])


def as_pcm(samples: Iterable[Samples]) -> bytes:
    joined = np.concatenate([np.zeros(0, np.float32), *samples])
    pcm: bytes = np.rint(joined * 32767).astype("<i2").tobytes()
    return pcm


def wav(
    pcm: bytes, *, rate: int = 24_000, length: int | None = None, channels: int = 1, extra: bytes = b""
) -> bytes:
    """WAV of 16-bit PCM, with chunks between its format and its data."""
    size = len(pcm) if length is None else length
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, rate, rate * 2 * channels, 2 * channels, 16)
    riff = b"RIFF" + struct.pack("<I", min(size + 36, 0xFFFFFFFF)) + b"WAVE"
    return b"".join((riff, form, extra, b"data", struct.pack("<I", size), pcm))
