"""A low-level Wyoming client that can break the protocol; events are read by the wyoming package."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Self

from wyoming.event import Event, async_read_event, async_write_event


class WyomingTestClient:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    @asynccontextmanager
    async def connect(cls, host: str, port: int) -> AsyncIterator[Self]:
        reader, writer = await asyncio.open_connection(host, port)
        try:
            yield cls(reader, writer)
        finally:
            writer.close()
            await asyncio.gather(writer.wait_closed(), return_exceptions=True)

    async def send(self, *events: Event) -> None:
        for event in events:
            await async_write_event(event, self.writer)

    async def send_bytes(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def receive(self) -> Event:
        event = await async_read_event(self.reader)
        assert event is not None, "the server closed the connection"
        return event

    async def until(self, event_type: str) -> list[Event]:
        """Receive up to and including the first event of a type."""
        events = [await self.receive()]
        while events[-1].type != event_type:
            events.append(await self.receive())
        return events

    async def rest(self) -> list[Event]:
        """Receive until the server closes."""
        events = []
        while (event := await async_read_event(self.reader)) is not None:
            events.append(event)
        return events


def reset_connection(client: WyomingTestClient) -> None:
    """Reset the connection like a process killed with unread data: the server sees no end of stream."""
    sock = client.writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.writer.transport.abort()


def pcm_of(events: Sequence[Event]) -> bytes:
    """Join the PCM of the audio-chunk events."""
    return b"".join(event.payload or b"" for event in events if event.type == "audio-chunk")


def event_types(events: Sequence[Event]) -> list[str]:
    """The events' types, with a run of audio-chunk as one."""
    found: list[str] = []
    for event in events:
        if not (event.type == "audio-chunk" and found[-1:] == ["audio-chunk"]):
            found.append(event.type)
    return found
