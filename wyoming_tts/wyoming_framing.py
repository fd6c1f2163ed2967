"""Wyoming framing: bytes to events and back, within limits, for servers and clients of the protocol.

An event is a header line of JSON, then a block of JSON data and a binary payload, whose lengths the header
gives. The wyoming package's own reader accepts any length and reports garbage as the end of the stream, so a
hostile peer could fill the memory or go unnoticed. Here every length has a limit, and a violation of the
framing is an error that says what was received and what was expected.

`EventReader` does no I/O: bytes in, events out. `EventStream` drives it from an asyncio stream.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from wyoming.event import Event
from wyoming.version import __version__ as wyoming_version

from wyoming_tts.bounded_json import InvalidJson, JsonLimits, JsonOverLimit, parse_json
from wyoming_tts.errors import BadRequest, TooLong, describe_value
from wyoming_tts.messages import Message

_BLANKS = re.compile(rb"[ \t\r\n]+")
_READ_SIZE = 64 * 1024
_CACHED_HEADERS = 64
_HEADER_LINE = Message("header_line", "header line")
_MAX_CACHED_HEADER = 256
"""Bytes. Headers repeat: all audio-chunks of a stream have the same one. A lookup costs a tenth of parsing,
and a peer that sends ever different headers can make the cache no larger than 16 KiB."""


class ProtocolError(BadRequest):
    """The bytes violate the framing, and where the next event starts is unknown."""


class MessageTooLong(ProtocolError, TooLong):
    """An event exceeds one of the limits."""


class TruncatedEvent(ProtocolError, EOFError):
    """The stream ended in the middle of an event."""


@dataclass(frozen=True, slots=True)
class EventLimits:
    """Limits on a single event. The defaults are those of a server towards its clients."""

    header: int = 64 * 1024
    """Bytes of the header line, without its line break. Python's clients and servers read no longer line."""
    data: int = 1024 * 1024
    """Bytes of the JSON block after the header; it holds a text to speak."""
    payload: int = 64 * 1024
    """Bytes of binary payload; no request needs one."""
    json: JsonLimits = field(default_factory=JsonLimits)
    """Of the header and of the block; no event of a client has thirty values."""


REPLY_LIMITS = EventLimits(
    header=1024 * 1024, data=4 * 1024 * 1024, payload=16 * 1024 * 1024, json=JsonLimits(values=100_000)
)
"""The limits of a client towards a server: a description of thousands of voices, also in the header, as
servers not written in Python may send it; and all audio of a request at once, up to five minutes of it."""


class Header(NamedTuple):
    """The parsed first line of an event."""

    type: str
    inline: dict[str, Any]
    """Data in the header line itself. Not to be modified: it may be shared."""
    data_length: int
    """Bytes of the JSON block that follows."""
    payload_length: int
    """Bytes of the payload after the block."""


class RawEvent(NamedTuple):
    """An event that has been received completely, its block of data not yet parsed."""

    header: Header
    block: bytes
    payload: bytes

    @property
    def type(self) -> str:
        """The event's type."""
        return self.header.type

    def event(self, limits: EventLimits) -> Event:
        """Parse the block of data; raises as `merge_data`."""
        header = self.header
        return Event(header.type, merge_data(header, self.block, limits), self.payload or None)


def merge_data(header: Header, block: bytes, limits: EventLimits) -> dict[str, Any]:
    """Merge an event's data: that of its header, overridden by that of its block.

    Raises:
        ProtocolError: the block is not a JSON object; MessageTooLong if it nests too deep.
    """
    return header.inline | _parse_json_object(block, "data", limits.json) if block else dict(header.inline)


class EventReader:
    """Parses events out of received bytes, however those were cut. Does no I/O."""

    def __init__(self, limits: EventLimits | None = None) -> None:
        self._limits = limits or EventLimits()
        self._buffer = bytearray()
        self._searched = 0
        self._header: Header | None = None
        self._headers: dict[bytes, Header] = {}
        self._ended = False

    @property
    def is_mid_event(self) -> bool:
        """Whether an event has started that is not complete yet."""
        return self._header is not None or bool(self._buffer)

    def feed(self, data: bytes) -> Iterator[Event]:
        """Take received bytes; return the events that they complete, parsed on iteration.

        Raises:
            ProtocolError: (while iterating, after the events before it) the bytes are malformed;
                MessageTooLong if over a limit. The reader cannot be used any further.
        """
        self.receive(data)
        return iter(self.next_event, None)

    def end(self) -> Iterator[Event]:
        """Mark the end of the bytes; a header at the very end needs no line break.

        Raises:
            TruncatedEvent: (while iterating) the last event is not complete.
            ProtocolError: (while iterating) as for `feed`.
        """
        self.receive_end()
        return iter(self.next_event, None)

    def receive(self, data: bytes) -> None:
        """Take received bytes; `next_event` or `next_raw_event` returns their events."""
        self._buffer += data

    def receive_end(self) -> None:
        """Mark the end of the bytes."""
        if self._buffer and self._header is None and not self._ended:
            self._buffer += b"\n"
        self._ended = True

    def next_event(self) -> Event | None:
        """Return the next event, or None if it needs more bytes.

        Raises:
            TruncatedEvent: no more bytes will come, and the event is not complete.
            ProtocolError: the bytes are malformed; MessageTooLong if over a limit.
        """
        raw = self.next_raw_event()
        return None if raw is None else raw.event(self._limits)

    def next_raw_event(self) -> RawEvent | None:
        """Return the next event as `next_event` does, with its block of data unparsed."""
        header = self._header or self._next_header()
        if header is None:
            return None
        length = header.data_length
        if len(self._buffer) < length + header.payload_length:
            if self._ended:
                raise TruncatedEvent(_truncation_message())
            self._header = header
            return None
        self._header = None
        block = self._take(length) if length else b""
        payload = self._take(header.payload_length) if header.payload_length else b""
        return RawEvent(header, block, payload)

    def _next_header(self) -> Header | None:
        if not self._searched:
            self._skip_blanks()
        buffer = self._buffer
        if not buffer:
            return None
        if buffer[0] != ord("{"):
            raise ProtocolError(
                Message(
                    "no_event_start",
                    "Got {found} where an event should start, expected a line of JSON.",
                    found=repr(bytes(buffer[:1])),
                )
            )
        limit = self._limits.header
        end = buffer.find(b"\n", self._searched, limit + 1)
        if end < 0:
            _check_length(len(buffer), limit, _HEADER_LINE)
            self._searched = len(buffer)
            return None
        self._searched = 0
        return self._cached_header(self._take(end + 1))

    def _skip_blanks(self) -> None:
        if blanks := _BLANKS.match(self._buffer):
            del self._buffer[: blanks.end()]

    def _cached_header(self, line: bytes) -> Header:
        header = self._headers.get(line)
        if header is None:
            header = self._parse_header(line)
            if not header.inline and len(line) <= _MAX_CACHED_HEADER:
                if len(self._headers) >= _CACHED_HEADERS:  # a peer may put a number into each of its headers
                    self._headers.clear()
                self._headers[line] = header
        return header

    def _parse_header(self, line: bytes) -> Header:
        try:
            return parse_header(line, self._limits)
        except MessageTooLong:
            raise
        except ProtocolError as error:
            if self._ended and not self._buffer:
                raise TruncatedEvent(_truncation_message()) from error
            raise

    def _take(self, length: int) -> bytes:
        taken = bytes(self._buffer[:length])
        del self._buffer[:length]
        return taken


def _truncation_message() -> str:
    return Message(
        "cut_in_event", "Got the end of the connection in the middle of an event, expected the rest of it."
    )


def parse_header(line: bytes, limits: EventLimits) -> Header:
    """Parse an event's header line.

    Raises:
        ProtocolError: it is malformed; MessageTooLong if a length that it announces is over its limit.
    """
    header = _parse_json_object(line, _HEADER_LINE, limits.json)
    event_type = header.get("type")
    if not isinstance(event_type, str) or not event_type:
        raise ProtocolError(
            Message(
                "event_type",
                "Got {found} as an event's type, expected a name.",
                found=describe_value(event_type),
            )
        )
    data = header.get("data")
    if data is not None and not isinstance(data, dict):
        raise ProtocolError(
            Message(
                "event_data",
                "Got {found} as an event's data, expected an object.",
                found=describe_value(data),
            )
        )
    data_length = _read_length(header, "data_length", limits.data)
    payload_length = _read_length(header, "payload_length", limits.payload)
    return Header(event_type, data or {}, data_length, payload_length)


def _check_length(length: int, limit: int, what: str) -> None:
    if length > limit:
        raise MessageTooLong(
            Message(
                "event_too_long",
                "Got an event with a {what} of {size} bytes, expected at most {most}.",
                what=what,
                size=length,
                most=limit,
            )
        )


def _read_length(header: dict[str, Any], key: str, limit: int) -> int:
    length = header.get(key)
    if length is None:
        return 0
    # bool is an int to Python, not to the protocol.
    if not isinstance(length, int) or isinstance(length, bool) or length < 0:
        raise ProtocolError(
            Message(
                "event_length",
                "Got {found} as {key}, expected a whole number of bytes.",
                found=describe_value(length),
                key=key,
            )
        )
    _check_length(length, limit, key)
    return length


def _parse_json_object(raw: bytes, what: str, limits: JsonLimits) -> dict[str, Any]:
    try:
        value = parse_json(raw, limits)
    except JsonOverLimit as error:
        raise MessageTooLong(
            Message(
                "event_over_limit",
                "Got an event whose {what} is over a limit: {reason}.",
                what=what,
                reason=str(error),
            )
        ) from None
    except InvalidJson as error:
        raise ProtocolError(
            Message(
                "event_not_json",
                "Got an event whose {what} is not JSON in UTF-8: {reason}.",
                what=what,
                reason=str(error),
            )
        ) from None
    if not isinstance(value, dict):
        raise ProtocolError(
            Message(
                "event_part",
                "Got {found} as an event's {what}, expected an object.",
                found=describe_value(value),
                what=what,
            )
        )
    return value


def encode_event(event: Event) -> bytes:
    """Encode an event into one piece of bytes, so that no other write can come in between.

    Data goes into the block, not into the header: the clients' reader accepts no line over 64 KiB.
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
    """The part of asyncio.StreamReader that is used."""

    async def read(self, n: int, /) -> bytes:
        """Read up to n bytes; none at the end of the stream."""
        ...


class ByteWriter(Protocol):
    """The part of asyncio.StreamWriter that is used."""

    def write(self, data: bytes, /) -> None:
        """Queue bytes to be sent."""
        ...

    async def drain(self) -> None:
        """Wait while too many bytes are queued (backpressure)."""
        ...


class EventStream:
    """Reads events from an asyncio stream; cancelling a read loses no bytes."""

    def __init__(self, stream: ByteReader, limits: EventLimits) -> None:
        self._stream = stream
        self._limits = limits
        self._reader = EventReader(limits)

    async def read_event(self) -> Event:
        """Read the next event.

        Raises:
            EOFError: the stream ended; TruncatedEvent if it ended in the middle of an event.
            ProtocolError: the bytes are malformed; MessageTooLong if over a limit.
            OSError: the connection broke.
        """
        return (await self.read_raw_event()).event(self._limits)

    async def read_raw_event(self) -> RawEvent:
        """Read the next event as `read_event` does, with its block of data unparsed."""
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
    """Send an event, and wait while the peer is too far behind in reading (backpressure).

    Raises:
        OSError: the connection broke.
    """
    writer.write(encode_event(event))
    await writer.drain()
