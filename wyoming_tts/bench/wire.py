"""Wyoming as it is measured: what came, how much and when, with as little work as possible.

A client that unpacks every event takes a good part of a small machine's processor from the server
that it measures. Here payloads are counted and thrown away, and of the JSON only the first lines are
read, which repeat: a line that was met before costs one look-up.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Generator, Iterator
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

from wyoming_tts.client import ClientError

_P = TypeVar("_P", bound=asyncio.BaseProtocol)
_LONGEST_LINE = 1 << 20
_REMEMBERED_LINES = 256


class NotWyoming(Exception):
    """The bytes are not Wyoming events."""


class Skimmed(NamedTuple):
    """An event that has arrived in full; its payload is counted only."""

    type: str
    inline: dict[str, Any]
    """Data in the first line."""
    block: bytes
    """Data behind the first line, as it came."""
    payload: int
    """Bytes of payload."""

    def data(self) -> dict[str, Any]:
        """The event's data, read now."""
        return self.inline | _json_object(self.block) if self.block else self.inline


class _Header(NamedTuple):
    type: str
    inline: dict[str, Any]
    block: int
    payload: int


class Skimmer:
    """Turns received bytes into events without their payloads, however the bytes were cut."""

    def __init__(self) -> None:
        self._held = b""
        self._to_skip = 0
        self._pending: Skimmed | None = None
        self._headers: dict[bytes, _Header] = {}

    def feed(self, data: bytes) -> Iterator[Skimmed]:
        """Take received bytes; the events they complete.

        Raises:
            NotWyoming: they are none; the skimmer is of no use any more.
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
            data = self._held + data
        position = yield from self._events(data, position)
        self._held = data[position:]

    def _events(self, data: bytes, position: int) -> Generator[Skimmed, None, int]:
        """The events in data from position on; returns where the first incomplete line begins."""
        while (end := data.find(b"\n", position)) >= 0:
            header = self._header(data[position : end + 1])
            block_end = end + 1 + header.block
            if block_end > len(data):
                break
            event = Skimmed(header.type, header.inline, data[end + 1 : block_end], header.payload)
            position = block_end + header.payload
            if position > len(data):
                self._pending, self._to_skip = event, position - len(data)
                return len(data)
            yield event
        if end < 0 and len(data) - position > _LONGEST_LINE:
            raise NotWyoming(f"Got {len(data) - position} bytes without the end of a line.")
        return position

    def _header(self, line: bytes) -> _Header:
        known = self._headers.get(line)
        if known is None:
            known = _parsed(line)
            if len(self._headers) >= _REMEMBERED_LINES:  # a server may number its events
                self._headers.clear()
            self._headers[line] = known
        return known


def _parsed(line: bytes) -> _Header:
    header = _json_object(line)
    kind, inline = header.get("type"), header.get("data") or {}
    lengths = (header.get("data_length") or 0, header.get("payload_length") or 0)
    sane = isinstance(kind, str) and isinstance(inline, dict)
    if not sane or not all(isinstance(length, int) and length >= 0 for length in lengths):
        raise NotWyoming(f"Got {line[:80]!r} where an event should start.")
    return _Header(str(kind), inline, *lengths)


def _json_object(raw: bytes) -> dict[str, Any]:
    try:
        value = json.loads(raw)
    except ValueError:
        raise NotWyoming(f"Got {raw[:80]!r}, expected JSON.") from None
    if not isinstance(value, dict):
        raise NotWyoming(f"Got {raw[:80]!r}, expected a JSON object.")
    return value


def encoded(event_type: str, **data: object) -> bytes:
    """An event without payload, as the wyoming package writes it."""
    block = json.dumps(data).encode() if data else b""
    header = {"type": event_type, "version": "1.10.0", "data_length": len(block)}
    return json.dumps(header).encode() + b"\n" + block


async def connected(uri: str, make: Callable[[], _P]) -> tuple[asyncio.Transport, _P]:
    """A connection to the server, handled by a protocol of our own.

    Raises:
        ClientError: the address cannot be used.
        OSError: nobody answers there.
    """
    loop = asyncio.get_running_loop()
    match _address(uri):
        case str(path):
            return await loop.create_unix_connection(make, path)
        case host, port:
            return await loop.create_connection(make, host, port)


def _address(uri: str) -> str | tuple[str, int]:
    """A socket's path, or host and port."""
    try:
        address = urlsplit(uri)
        if address.scheme == "unix" and address.path:
            return address.path
        if address.scheme == "tcp" and address.hostname and address.port:
            return address.hostname, address.port
    except ValueError:
        pass  # a port that is no number
    raise ClientError(
        f"{uri!r} is not an address to connect to.", hint="Give tcp://HOST:10200 or unix:///PATH."
    )
