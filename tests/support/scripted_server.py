"""A scripted Wyoming server on loopback that follows or breaks the protocol as a test needs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.event import Event, Eventable, async_read_event, async_write_event
from wyoming.info import Attribution, Describe, Info, TtsProgram, TtsVoice

from tests.support.accepting import accepting

_CREDIT = Attribution(name="tests", url="https://example.org")


class ScriptedConnection:
    """One connection to the server, as its script sees it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.received: list[Event] = []
        self.writer = writer
        self._reader = reader

    async def read(self) -> Event | None:
        """Return the next event; None once the client has closed."""
        event = await async_read_event(self._reader)
        if event is not None:
            self.received.append(event)
        return event

    async def read_until(self, event_type: str) -> None:
        """Read until an event of this type arrives."""
        while (event := await self.read()) is not None:
            if event.type == event_type:
                return
        raise AssertionError(f"the client closed before {event_type}: {[e.type for e in self.received]}")

    async def closed(self) -> None:
        """Wait until the client closes its end."""
        with contextlib.suppress(ConnectionError):
            while await self.read() is not None:
                pass

    async def send(self, *events: Eventable) -> None:
        for event in events:
            await async_write_event(event.event(), self.writer)

    async def send_bytes(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()


Script: TypeAlias = Callable[[ScriptedConnection], Awaitable[None]]


@dataclass
class ScriptedServer:
    """A running server and everything it received."""

    uri: str
    connections: list[ScriptedConnection] = field(default_factory=list)

    @property
    def received(self) -> list[Event]:
        """Events of all connections, in order of connection."""
        return [event for connection in self.connections for event in connection.received]

    @property
    def types(self) -> list[str]:
        return [event.type for event in self.received]

    @property
    def port(self) -> int:
        return int(self.uri.rpartition(":")[2])


@contextlib.asynccontextmanager
async def scripted_server(script: Script, *, unix_path: Path | None = None) -> AsyncIterator[ScriptedServer]:
    """Serve on 127.0.0.1 (or a unix socket); leaving waits for the scripts and raises what they raised."""
    served = ScriptedServer(f"unix://{unix_path}")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = ScriptedConnection(reader, writer)
        served.connections.append(connection)
        await script(connection)

    async with accepting(serve, unix_path=unix_path) as port:
        if unix_path is None:
            served.uri = f"tcp://127.0.0.1:{port}"
        yield served


START = AudioStart(rate=22050, width=2, channels=1)
STOP = AudioStop()


def audio(pcm: bytes, *, rate: int = 22050, width: int = 2) -> AudioChunk:
    """A chunk of mono audio as servers send it."""
    return AudioChunk(rate=rate, width=width, channels=1, audio=pcm)


def info(name: str = "tone", *, streaming: bool = True, installed: bool = True) -> Info:
    """Info of a server with one text-to-speech program and one voice."""
    voice = TtsVoice(
        name=name,
        attribution=_CREDIT,
        installed=installed,
        description="Tone",
        version=None,
        languages=["en_US"],
    )
    program = TtsProgram(
        name="scripted",
        attribution=_CREDIT,
        installed=installed,
        description="Scripted",
        version="1",
        voices=[voice],
        supports_synthesize_streaming=streaming,
    )
    return Info(tts=[program])


def answer_describe(reply: Info) -> Script:
    """A script that answers `describe` and nothing else."""

    async def answer(connection: ScriptedConnection) -> None:
        while (event := await connection.read()) is not None:
            if Describe.is_type(event.type):
                await connection.send(reply)

    return answer
