"""Wyoming as it is measured: what came, how much and when, with as little work as possible.

A client that unpacks every event takes a good part of a small machine's processor from the server
that it measures. Here payloads are counted and thrown away, and of the JSON only the first lines are
read, which repeat: a line that was met before costs one look-up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterator
from typing import Any, NamedTuple, TypeVar

from wyoming_tts.client import server_address
from wyoming_tts.wyoming_framing import REPLY_LIMITS, Header, MessageTooLong, merge_data, parse_header

_P = TypeVar("_P", bound=asyncio.BaseProtocol)
_REMEMBERED_LINES = 256
_LONGEST_REMEMBERED = 1024
"""Bytes; lines of audio are a tenth of that, and long ones do not repeat."""


class Skimmed(NamedTuple):
    """An event that has arrived in full; its payload is counted only."""

    header: Header
    block: bytes
    """Data behind the first line, as it came."""

    @property
    def type(self) -> str:
        """The event's type."""
        return self.header.type

    @property
    def payload(self) -> int:
        """Bytes of payload."""
        return self.header.payload_length

    def data(self) -> dict[str, Any]:
        """The event's data, read now; raises ProtocolError if it is none."""
        return merge_data(self.header, self.block, REPLY_LIMITS)


class Skimmer:
    """Turns received bytes into events without their payloads, however the bytes were cut."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._wanted = 0
        """Bytes that must be held before they can be an event; 0 if unknown."""
        self._to_skip = 0
        self._pending: Skimmed | None = None
        self._headers: dict[bytes, Header] = {}

    def feed(self, data: bytes) -> Iterator[Skimmed]:
        """Take received bytes; the events they complete.

        Raises:
            ProtocolError: they are none; the skimmer is of no use any more.
        """
        position = 0
        if self._pending is not None:
            position = min(self._to_skip, len(data))
            self._to_skip -= position
            if self._to_skip:
                return
            yield self._pending
            self._pending = None
        elif self._held:
            self._held += data
            if len(self._held) < self._wanted:
                return
            data = bytes(self._held)
        position = yield from self._events(data, position)
        self._held = bytearray(data[position:])

    def _events(self, data: bytes, position: int) -> Generator[Skimmed, None, int]:
        """The events in data from position on; returns where the first incomplete line begins."""
        self._wanted = 0
        while (end := data.find(b"\n", position)) >= 0:
            header = self._header(data[position : end + 1])
            block_end = end + 1 + header.data_length
            if block_end > len(data):
                self._wanted = block_end - position
                break
            event = Skimmed(header, data[end + 1 : block_end])
            position = block_end + header.payload_length
            if position > len(data):
                self._pending, self._to_skip = event, position - len(data)
                return len(data)
            yield event
        if end < 0 and len(data) - position > REPLY_LIMITS.header:
            raise MessageTooLong(f"Got {len(data) - position} bytes without the end of a line.")
        return position

    def _header(self, line: bytes) -> Header:
        known = self._headers.get(line)
        if known is None:
            known = parse_header(line, REPLY_LIMITS)
            if len(self._headers) >= _REMEMBERED_LINES:  # a server may number its events
                self._headers.clear()
            if len(line) <= _LONGEST_REMEMBERED:
                self._headers[line] = known
        return known


async def connected(uri: str, make: Callable[[], _P]) -> tuple[asyncio.Transport, _P]:
    """A connection to the server, handled by a protocol of our own.

    Raises:
        ClientError: the address cannot be used.
        OSError: nobody answers there.
    """
    loop = asyncio.get_running_loop()
    match server_address(uri):
        case str(path):
            return await loop.create_unix_connection(make, path)
        case host, port:
            return await loop.create_connection(make, host, port)
