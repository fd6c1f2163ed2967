"""Scripted HTTP servers on loopback, for tests of the remote engine."""

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
class ReceivedRequest:
    """A request received, and the connection for its answer."""

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
        """Send a complete answer with its length."""
        await self.head(status, kind, Content_Length=str(len(body)), **headers)
        await self.send(body)

    async def head(self, status: int = 200, kind: str = "audio/pcm", **headers: str) -> None:
        lines = [f"HTTP/1.1 {status} Status", f"Content-Type: {kind}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        await self.send("\r\n".join([*lines, "", ""]).encode())

    async def chunk(self, data: bytes) -> None:
        """Send a chunk of a chunked body."""
        await self.send(b"%x\r\n%s\r\n" % (len(data), data))

    async def chunked(self, pieces: Iterable[bytes], kind: str = "audio/pcm", **headers: str) -> None:
        """Send a complete chunked answer."""
        await self.head(200, kind, Transfer_Encoding="chunked", **headers)
        for piece in pieces:
            await self.chunk(piece)
        await self.send(b"0\r\n\r\n")

    async def closed(self) -> None:
        """Wait until the client has closed its end."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(4096):
                pass


Script: TypeAlias = Callable[[ReceivedRequest], Awaitable[None]]


@dataclass
class ScriptedHttpServer:
    """A running server: its address, and the requests it received."""

    address: str
    asked: list[ReceivedRequest] = field(default_factory=list)

    @property
    def spoken(self) -> list[ReceivedRequest]:
        """Requests for speech."""
        return [asked for asked in self.asked if asked.method == "POST"]


@contextlib.asynccontextmanager
async def scripted_http_server(script: Script) -> AsyncIterator[ScriptedHttpServer]:
    """Serve on 127.0.0.1; the connection is closed if the script returns without an answer."""
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
    served = ScriptedHttpServer(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
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


async def _request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> ReceivedRequest | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    first, *lines = head.strip().split("\r\n")
    method, path, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return ReceivedRequest(method, path, headers, body, reader, writer)


def upstream(
    voices: Iterable[object] = ("af_far",), speak: Script | None = None, path: str = "/v1/audio/voices"
) -> Script:
    """Script of a server that lists these voices and speaks as `speak` does; by default a tone per letter."""

    async def script(asked: ReceivedRequest) -> None:
        if asked.method == "POST":
            await (speak or say)(asked)
        elif asked.path == path:
            await asked.answer(body=json.dumps({"voices": list(voices)}).encode(), kind="application/json")
        else:
            await asked.answer(404, b"{}", "application/json")

    return script


async def say(asked: ReceivedRequest) -> None:
    """Answer with `pcm_of` the text, in pieces that split samples."""
    pcm = pcm_of(asked.json["input"])
    await asked.chunked(pcm[at : at + 333] for at in range(0, len(pcm), 333))


async def say_as_voxcpm(asked: ReceivedRequest) -> None:
    """Answer with floating-point samples at 44,100 Hz, without anything that says so."""
    pcm = as_floats(pcm_of(asked.json["target_text"]))
    await asked.chunked((pcm[at : at + 333] for at in range(0, len(pcm), 333)), "audio/raw")


def as_floats(pcm: bytes) -> bytes:
    """16-bit PCM as floating-point samples."""
    floats: bytes = (np.frombuffer(pcm, "<i2") / np.float32(32_767)).tobytes()
    return floats


def pcm_of(text: str) -> bytes:
    """Encode a text as PCM: 240 samples per letter, with a value unique to the letter."""
    return b"".join(np.full(240, 10 * ord(letter), "<i2").tobytes() for letter in text)


def text_of(pcm: bytes) -> str:
    """Decode the PCM of `pcm_of`."""
    return "".join(chr(value // 10) for value in np.frombuffer(pcm, "<i2")[::240])


def as_pcm(samples: Iterable[Samples]) -> bytes:
    joined = np.concatenate([np.zeros(0, np.float32), *samples])
    pcm: bytes = np.rint(joined * 32767).astype("<i2").tobytes()
    return pcm


def wav(
    pcm: bytes,
    *,
    rate: int = 24_000,
    length: int | None = None,
    channels: int = 1,
    extra: bytes = b"",
    floats: bool = False,
) -> bytes:
    """Make a WAV of 16-bit or floating-point PCM, with `extra` chunks between its format and its data."""
    size, width, code = len(pcm) if length is None else length, 4 if floats else 2, 3 if floats else 1
    frame = width * channels
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, code, channels, rate, rate * frame, frame, 8 * width)
    riff = b"RIFF" + struct.pack("<I", min(size + 36, 0xFFFFFFFF)) + b"WAVE"
    return b"".join((riff, form, extra, b"data", struct.pack("<I", size), pcm))
