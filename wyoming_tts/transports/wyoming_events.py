"""Wyoming events as bytes, and back, without a socket.

The wyoming package's own reader takes any length and cannot tell garbage from the end of the
stream. Here every length has a limit, and every violation is an error that says what came and
what was expected.
"""

from __future__ import annotations

import json
import reprlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from wyoming.event import Event
from wyoming.version import __version__ as wyoming_version

from wyoming_tts.errors import BadRequest, TooLong


class ProtocolError(BadRequest):
    """The bytes are not Wyoming events; where the next one starts is unknown."""


class MessageTooLong(ProtocolError, TooLong):
    """An event is over one of the limits."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one event may be at most."""

    header: int = 64 * 1024
    """Bytes of the first line, without its end."""
    data: int = 1024 * 1024
    """Bytes of the JSON block after it; a text to speak lies here."""
    payload: int = 64 * 1024
    """Bytes of binary payload; no request has one that matters."""
    depth: int = 32
    """JSON objects and arrays within each other."""


@dataclass(frozen=True, slots=True)
class _Header:
    type: str
    data: dict[str, Any]
    data_length: int
    payload_length: int


class EventReader:
    """Turns received bytes into events, however the bytes were cut."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._buffer = bytearray()
        self._scanned = 0
        self._header: _Header | None = None

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
        self._buffer += data
        return iter(self._next_event, None)

    def end(self) -> Iterator[Event]:
        """Take it that no more bytes will come: a line at the very end needs no line break.

        Raises:
            ProtocolError: (while iterating) an event is not complete.
        """
        if self._buffer and self._header is None:
            yield from self.feed(b"\n")
        if self.is_mid_event:
            raise ProtocolError("Got the end of the connection within an event, expected the rest of it.")

    def _next_event(self) -> Event | None:
        if self._header is None:
            self._header = self._next_header()
        header = self._header
        if header is None or len(self._buffer) < header.data_length + header.payload_length:
            return None
        block = self._take(header.data_length)
        payload = self._take(header.payload_length)
        data = header.data
        if block:
            data = data | _json_object(block, "data", self._limits.depth)
        self._header = None
        return Event(header.type, data, payload or None)

    def _next_header(self) -> _Header | None:
        if not self._scanned:
            self._skip_blanks()
        if not self._buffer:
            return None
        if self._buffer[0] != ord("{"):
            raise ProtocolError(
                f"Got {bytes(self._buffer[:1])!r} where an event should start, expected a line of JSON."
            )
        limit = self._limits.header
        end = self._buffer.find(b"\n", self._scanned, limit + 1)
        if end < 0:
            _check_length(len(self._buffer), limit, "first line")
            self._scanned = len(self._buffer)
            return None
        self._scanned = 0
        return self._parsed_header(self._take(end + 1))

    def _skip_blanks(self) -> None:
        blanks = next((i for i, byte in enumerate(self._buffer) if byte not in b" \t\r\n"), len(self._buffer))
        del self._buffer[:blanks]

    def _parsed_header(self, line: bytes) -> _Header:
        limits = self._limits
        header = _json_object(line, "first line", limits.depth)
        event_type = header.get("type")
        if not isinstance(event_type, str) or not event_type:
            raise ProtocolError(f"Got {reprlib.repr(event_type)} as an event's type, expected a name.")
        data = header.get("data")
        if data is not None and not isinstance(data, dict):
            raise ProtocolError(f"Got {reprlib.repr(data)} as an event's data, expected an object.")
        data_length = _length(header, "data_length", limits.data)
        payload_length = _length(header, "payload_length", limits.payload)
        return _Header(event_type, data or {}, data_length, payload_length)

    def _take(self, length: int) -> bytes:
        taken = bytes(self._buffer[:length])
        del self._buffer[:length]
        return taken


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
        value = json.loads(raw.decode(), object_pairs_hook=_unique_keys, parse_constant=_refuse_constant)
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


def encode(event: Event) -> bytes:
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
