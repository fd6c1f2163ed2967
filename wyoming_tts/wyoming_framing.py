"""Wyoming framing: bytes to events and back, within limits, for whoever speaks the protocol.

An event is a line of JSON, then a block of JSON and a binary payload, whose lengths the line gives.
The wyoming package's own reader takes any length and reports garbage as the end of the stream, so a
hostile peer could fill the memory or go unnoticed. Here every length has a limit, and whatever
violates the framing is an error that says what came and what was expected.

`EventReader` does no I/O: bytes in, events out. `EventStream` drives it from an asyncio stream.
"""

from __future__ import annotations

import json
import re
import reprlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn, Protocol

from wyoming.event import Event
from wyoming.version import __version__ as wyoming_version

from wyoming_tts.errors import BadRequest, TooLong

_BLANKS = re.compile(rb"[ \t\r\n]+")
_READ_SIZE = 64 * 1024
_REMEMBERED_LINES = 64
_LONGEST_REMEMBERED = 256
"""Bytes. First lines repeat: all audio-chunks of a stream have the same. Looking one up costs a tenth
of parsing it, and a peer that sends other lines can make the memory no larger than 16 KiB."""


class ProtocolError(BadRequest):
    """The bytes are not Wyoming events; where the next one starts is unknown."""


class MessageTooLong(ProtocolError, TooLong):
    """An event is over one of the limits."""


class TruncatedEvent(ProtocolError, EOFError):
    """The stream ended within an event."""


@dataclass(frozen=True, slots=True)
class EventLimits:
    """What one event may be at most. The defaults are what a server takes from its clients."""

    header: int = 64 * 1024
    """Bytes of the first line, without its end. Python's clients and servers read no longer line."""
    data: int = 1024 * 1024
    """Bytes of the JSON block after it; a text to speak lies here."""
    payload: int = 64 * 1024
    """Bytes of binary payload; no request has one that matters."""
    depth: int = 32
    """JSON objects and arrays within each other; no event of the protocol has ten."""


REPLY_LIMITS = EventLimits(header=1024 * 1024, data=4 * 1024 * 1024, payload=16 * 1024 * 1024)
"""What a client takes from a server: the description of thousands of voices, in the first line too as
servers not written in Python may send it; and all audio of a request at once, here up to five minutes."""


class Header(NamedTuple):
    """The first line of an event."""

    type: str
    inline: dict[str, Any]
    """Data that stands in the line. Not to be changed: it may be shared."""
    data_length: int
    """Bytes of the JSON block that follows."""
    payload_length: int
    """Bytes of the payload after that."""


class RawEvent(NamedTuple):
    """An event that has been received in full, its block of data not parsed yet."""

    header: Header
    block: bytes
    payload: bytes

    @property
    def type(self) -> str:
        """The event's type."""
        return self.header.type

    def event(self, limits: EventLimits) -> Event:
        """Parse the data; raises as `merge_data`."""
        header = self.header
        return Event(header.type, merge_data(header, self.block, limits), self.payload or None)


def merge_data(header: Header, block: bytes, limits: EventLimits) -> dict[str, Any]:
    """The data of an event: that in its first line, overridden by that in its block.

    Raises:
        ProtocolError: the block is not a JSON object; MessageTooLong when it nests too deep.
    """
    return header.inline | _json_object(block, "data", limits.depth) if block else dict(header.inline)


class EventReader:
    """Turns received bytes into events, however the bytes were cut. Does no I/O."""

    def __init__(self, limits: EventLimits | None = None) -> None:
        self._limits = limits or EventLimits()
        self._buffer = bytearray()
        self._scanned = 0
        self._header: Header | None = None
        self._remembered: dict[bytes, Header] = {}
        self._ended = False

    @property
    def is_mid_event(self) -> bool:
        """Whether an event has started that has not been received in full."""
        return self._header is not None or bool(self._buffer)

    def feed(self, data: bytes) -> Iterator[Event]:
        """Take received bytes; return the events that they complete, parsed as they are asked for.

        Raises:
            ProtocolError: (while iterating, after the events before it) the bytes are malformed;
                MessageTooLong when over a limit. The reader is of no use any more.
        """
        self.receive(data)
        return iter(self.next_event, None)

    def end(self) -> Iterator[Event]:
        """Take it that no more bytes will come: a line at the very end needs no line break.

        Raises:
            Truncated: (while iterating) an event is not complete.
            ProtocolError: (while iterating) as for `feed`.
        """
        self.receive_end()
        return iter(self.next_event, None)

    def receive(self, data: bytes) -> None:
        """Take received bytes, for `next_event` or `next_raw_event`."""
        self._buffer += data

    def receive_end(self) -> None:
        """Take it that no more bytes will come."""
        if self._buffer and self._header is None and not self._ended:
            self._buffer += b"\n"
        self._ended = True

    def next_event(self) -> Event | None:
        """The next event, or None until more bytes were received.

        Raises:
            Truncated: no more bytes will come, and the event is not complete.
            ProtocolError: the bytes are malformed; MessageTooLong when over a limit.
        """
        raw = self.next_raw_event()
        return None if raw is None else raw.event(self._limits)

    def next_raw_event(self) -> RawEvent | None:
        """As `next_event`, but leaves a block of data for the caller to parse."""
        header = self._header or self._next_header()
        if header is None:
            return None
        length = header.data_length
        if len(self._buffer) < length + header.payload_length:
            if self._ended:
                raise TruncatedEvent(_truncated())
            self._header = header
            return None
        self._header = None
        block = self._take(length) if length else b""
        payload = self._take(header.payload_length) if header.payload_length else b""
        return RawEvent(header, block, payload)

    def _next_header(self) -> Header | None:
        if not self._scanned:
            self._skip_blanks()
        buffer = self._buffer
        if not buffer:
            return None
        if buffer[0] != ord("{"):
            raise ProtocolError(
                f"Got {bytes(buffer[:1])!r} where an event should start, expected a line of JSON."
            )
        limit = self._limits.header
        end = buffer.find(b"\n", self._scanned, limit + 1)
        if end < 0:
            _check_length(len(buffer), limit, "first line")
            self._scanned = len(buffer)
            return None
        self._scanned = 0
        return self._header_of(self._take(end + 1))

    def _skip_blanks(self) -> None:
        if blanks := _BLANKS.match(self._buffer):
            del self._buffer[: blanks.end()]

    def _header_of(self, line: bytes) -> Header:
        header = self._remembered.get(line)
        if header is None:
            header = self._parsed(line)
            if not header.inline and len(line) <= _LONGEST_REMEMBERED:
                if len(self._remembered) >= _REMEMBERED_LINES:  # a peer may number its events
                    self._remembered.clear()
                self._remembered[line] = header
        return header

    def _parsed(self, line: bytes) -> Header:
        try:
            return parse_header(line, self._limits)
        except MessageTooLong:
            raise
        except ProtocolError as error:
            if self._ended and not self._buffer:
                raise TruncatedEvent(_truncated()) from error
            raise

    def _take(self, length: int) -> bytes:
        taken = bytes(self._buffer[:length])
        del self._buffer[:length]
        return taken


def _truncated() -> str:
    return "Got the end of the connection within an event, expected the rest of it."


def parse_header(line: bytes, limits: EventLimits) -> Header:
    """Parse an event's first line.

    Raises:
        ProtocolError: it is none; MessageTooLong when a length it announces is over its limit.
    """
    header = _json_object(line, "first line", limits.depth)
    event_type = header.get("type")
    if not isinstance(event_type, str) or not event_type:
        raise ProtocolError(f"Got {reprlib.repr(event_type)} as an event's type, expected a name.")
    data = header.get("data")
    if data is not None and not isinstance(data, dict):
        raise ProtocolError(f"Got {reprlib.repr(data)} as an event's data, expected an object.")
    data_length = _length(header, "data_length", limits.data)
    payload_length = _length(header, "payload_length", limits.payload)
    return Header(event_type, data or {}, data_length, payload_length)


def _check_length(length: int, limit: int, what: str) -> None:
    if length > limit:
        raise MessageTooLong(f"Got an event with a {what} of {length} bytes, expected at most {limit}.")


def _length(header: dict[str, Any], key: str, limit: int) -> int:
    length = header.get(key)
    if length is None:
        return 0
    # bool is an int to Python, not to the protocol.
    if not isinstance(length, int) or isinstance(length, bool) or length < 0:
        raise ProtocolError(f"Got {reprlib.repr(length)} as {key}, expected a whole number of bytes.")
    _check_length(length, limit, key)
    return length


def _json_object(raw: bytes, what: str, depth: int) -> dict[str, Any]:
    try:
        value = _DECODER.decode(raw.decode())
    except RecursionError:
        raise MessageTooLong(f"Got JSON nested without end, expected at most {depth} levels.") from None
    except ValueError as error:
        raise ProtocolError(f"Got an event whose {what} is not JSON in UTF-8: {error}.") from None
    if not isinstance(value, dict):
        raise ProtocolError(f"Got {reprlib.repr(value)} as an event's {what}, expected an object.")
    if raw.count(b"{") + raw.count(b"[") > depth:
        _check_depth(value, depth)
    return value


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    if len(unique) < len(pairs):
        raise ProtocolError("Got a JSON object with a key that comes twice, expected each key once.")
    return unique


def _refuse_constant(name: str) -> NoReturn:
    raise ProtocolError(f"Got {name}, expected a value that JSON has.")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique_keys, parse_constant=_refuse_constant)
"""Made once: json.loads makes one for each call that has options, which takes longer than parsing."""


def _check_depth(value: dict[str, Any], depth: int) -> None:
    level: list[Any] = [value]
    for _ in range(depth):
        level = [inner for outer in level for inner in _containers(outer)]
        if not level:
            return
    raise MessageTooLong(f"Got JSON nested in more than {depth} levels, expected at most {depth}.")


def _containers(outer: dict[str, Any] | list[Any]) -> Iterator[Any]:
    values = outer.values() if isinstance(outer, dict) else outer
    return (value for value in values if isinstance(value, dict | list))


def encode_event(event: Event) -> bytes:
    """An event as it goes over the wire, in one piece: whoever writes it cannot be interrupted within.

    Data goes behind the first line, by its length: the clients' reader takes no line over 64 KiB.
    """
    header: dict[str, Any] = {"type": event.type, "version": wyoming_version}
    block = b""
    if event.data:
        block = _json_bytes(event.data)
        header["data_length"] = len(block)
    payload = event.payload or b""
    if payload:
        header["payload_length"] = len(payload)
    return b"".join((_json_bytes(header), b"\n", block, payload))


def _json_bytes(value: dict[str, Any]) -> bytes:
    # "replace": a message may quote a file name that is not Unicode.
    return json.dumps(value, ensure_ascii=False).encode(errors="replace")


class ByteReader(Protocol):
    """What is read of an asyncio.StreamReader."""

    async def read(self, n: int, /) -> bytes:
        """Up to n bytes; none at the end."""
        ...


class ByteWriter(Protocol):
    """What is written to of an asyncio.StreamWriter."""

    def write(self, data: bytes, /) -> None:
        """Take bytes to be sent."""
        ...

    async def drain(self) -> None:
        """Wait while too many bytes are held."""
        ...


class EventStream:
    """Reads events from an asyncio stream. A wait that is cancelled loses no bytes."""

    def __init__(self, stream: ByteReader, limits: EventLimits) -> None:
        self._stream = stream
        self._limits = limits
        self._reader = EventReader(limits)

    async def read_event(self) -> Event:
        """The next event.

        Raises:
            EOFError: no more events come; Truncated if the stream ended within one.
            ProtocolError: the bytes are malformed; MessageTooLong when over a limit.
            OSError: the connection broke.
        """
        return (await self.read_raw_event()).event(self._limits)

    async def read_raw_event(self) -> RawEvent:
        """As `read_event`, but leaves a block of data for the caller to parse."""
        while (raw := self._reader.next_raw_event()) is None:
            await self._receive()
        return raw

    async def _receive(self) -> None:
        received = await self._stream.read(_READ_SIZE)
        if received:
            self._reader.receive(received)
        elif self._reader.is_mid_event:
            self._reader.receive_end()
        else:
            raise EOFError("The stream ended.")


async def write_event(writer: ByteWriter, event: Event) -> None:
    """Send an event; wait while the peer has not taken enough of those before.

    Raises:
        OSError: the connection broke.
    """
    writer.write(encode_event(event))
    await writer.drain()
