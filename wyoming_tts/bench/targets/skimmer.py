"""Low-overhead reader of Wyoming events, for measuring: counts payloads and drops them.

A client that decodes every event takes much of a small machine's processor from the server that it
measures. Here only the header lines are parsed, which repeat: a line seen before costs one look-up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterator
from typing import Any, NamedTuple, TypeVar

from wyoming_tts.client import parse_server_address
from wyoming_tts.wyoming_framing import REPLY_LIMITS, Header, MessageTooLong, merge_data, parse_header

_P = TypeVar("_P", bound=asyncio.BaseProtocol)
_REMEMBERED_LINES = 256
_LONGEST_REMEMBERED = 1024
"""Bytes; lines of audio are a tenth of that, and long ones do not repeat."""


class SkimmedEvent(NamedTuple):
    """A complete event without its payload."""

    header: Header
    block: bytes
    """The data that follows the header line, not parsed."""

    @property
    def type(self) -> str:
        """The event's type."""
        return self.header.type

    @property
    def payload(self) -> int:
        """Length of the payload in bytes."""
        return self.header.payload_length

    def data(self) -> dict[str, Any]:
        """The event's data, read now; raises ProtocolError if it is none."""
        return merge_data(self.header, self.block, REPLY_LIMITS)


class EventSkimmer:
    """Incremental parser: received bytes in, events without payloads out, however the bytes are split."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._wanted = 0
        """Bytes to buffer before an event can be complete; 0 if unknown."""
        self._to_skip = 0
        self._pending: SkimmedEvent | None = None
        self._headers: dict[bytes, Header] = {}

    def feed(self, data: bytes) -> Iterator[SkimmedEvent]:
        """Feed received bytes; yields the events that they complete.

        Raises:
            ProtocolError: this is not Wyoming; the skimmer cannot be used any more.
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

    def _events(self, data: bytes, position: int) -> Generator[SkimmedEvent, None, int]:
        """Yield the events in data from position on; returns where the first incomplete event begins."""
        self._wanted = 0
        while (end := data.find(b"\n", position)) >= 0:
            header = self._header(data[position : end + 1])
            block_end = end + 1 + header.data_length
            if block_end > len(data):
                self._wanted = block_end - position
                break
            event = SkimmedEvent(header, data[end + 1 : block_end])
            position = block_end + header.payload_length
            if position > len(data):
                self._pending, self._to_skip = event, position - len(data)
                return len(data)
            yield event
        if end < 0 and len(data) - position > REPLY_LIMITS.header:
            raise MessageTooLong(f"Got {len(data) - position} bytes without the end of a line.")
        return position

    def _header(self, line: bytes) -> Header:
        header = self._headers.get(line)
        if header is None:
            header = parse_header(line, REPLY_LIMITS)
            if len(self._headers) >= _REMEMBERED_LINES:  # a server may number its events
                self._headers.clear()
            if len(line) <= _LONGEST_REMEMBERED:
                self._headers[line] = header
        return header


async def open_wyoming_connection(uri: str, make: Callable[[], _P]) -> tuple[asyncio.Transport, _P]:
    """Connect to a Wyoming server, TCP or unix socket, with an asyncio protocol.

    Raises:
        ClientError: the URI is not valid.
        OSError: the connection failed.
    """
    loop = asyncio.get_running_loop()
    match parse_server_address(uri):
        case str(path):
            return await loop.create_unix_connection(make, path)
        case host, port:
            return await loop.create_connection(make, host, port)
