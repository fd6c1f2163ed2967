"""Another Wyoming server, asked for one segment on a connection of its own."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from wyoming.event import Event, async_write_event
from wyoming.info import Describe
from wyoming.tts import Synthesize, SynthesizeVoice

from wyoming_tts.blocking import RunBlocking
from wyoming_tts.engines.base import RemoteOptions
from wyoming_tts.engines.remote_lists import Listed, NoList, listed_over_wyoming
from wyoming_tts.engines.remote_pcm import NotPcm, SampleReader
from wyoming_tts.engines.remote_upstreams import Fault, FaultKind, Order
from wyoming_tts.speech import Samples

USUAL_RATE = 22_050
"""Hz of most voices of such servers, which tell it only when they speak."""

_PORT = 10_200
_MOST_LINE = 64 * 1024
_MOST_DATA = 4 * 1024 * 1024
"""Bytes of an event's JSON: the descriptions of thousands of voices."""
_MOST_DATA_WHILE_SPEAKING = 64 * 1024
_MOST_PAYLOAD = 1024 * 1024
_SAMPLE_BYTES = 2
_MOST_SHOWN = 200
_SOON = 0.1


class WyomingUpstream:
    """One server; nothing is kept open between requests.

    The protocol has no pace, so the voice's own is heard.
    """

    def __init__(self, address: str, options: RemoteOptions) -> None:
        parts = urlsplit(address)
        self._host = parts.hostname or ""
        self._port = parts.port or _PORT
        self.address = f"tcp://{f'[{self._host}]' if ':' in self._host else self._host}:{self._port}"
        self._options = options
        self._rates: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"<WyomingUpstream {self.address}>"

    async def aclose(self) -> None:
        """As `Upstream.aclose`."""

    async def listed(self, run_blocking: RunBlocking) -> tuple[Listed, ...]:
        """As `Upstream.listed`."""
        async with self._connected() as (reader, writer):
            await async_write_event(Describe().event(), writer)
            raw = await _raw_event(reader, _MOST_DATA)
            while raw.header.get("type") != "info":
                raw = await _raw_event(reader, _MOST_DATA)
        try:
            voices = await run_blocking(partial(listed_over_wyoming, raw.data))
        except NoList as error:
            raise Fault(FaultKind.FAILED, str(error)) from None
        return tuple(replace(voice, rate=self._rates.get(voice.name, USUAL_RATE)) for voice in voices)

    async def speak(self, order: Order, listed: Listed) -> AsyncGenerator[Samples, None]:
        """As `Upstream.speak`."""
        async with self._connected() as (reader, writer):
            voice = SynthesizeVoice(order.voice, speaker=order.speaker)
            await async_write_event(Synthesize(order.text, voice).event(), writer)
            samples_of: SampleReader | None = None
            while (event := await _event(reader)).type != "audio-stop":
                if event.type == "error":
                    raise _told(event)
                if event.type not in {"audio-start", "audio-chunk"}:
                    continue
                samples_of = _reader(event, samples_of, order.rate)
                for samples in samples_of.feed(event.payload or b""):
                    yield samples
            if samples_of is not None:
                self._rates[listed.name] = samples_of.rate
                for samples in samples_of.finish():
                    yield samples

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await self._connect()
        try:
            yield reader, writer
        except (OSError, EOFError) as error:
            what = _reason(error) if isinstance(error, OSError) else "it was closed too early"
            raise Fault(FaultKind.DOWN, f"the connection broke ({what})", retry_after=_SOON) from None
        finally:
            writer.transport.abort()  # what still comes is for nobody

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        patience = self._options.connect_timeout
        try:
            async with asyncio.timeout(patience):
                return await asyncio.open_connection(self._host, self._port, limit=_MOST_LINE)
        except TimeoutError:
            raise Fault(FaultKind.DOWN, f"no connection within {patience:g} s") from None
        except OSError as error:
            raise Fault(FaultKind.DOWN, f"no connection ({_reason(error)})", retry_after=_SOON) from None


def _reader(event: Event, before: SampleReader | None, wanted: int) -> SampleReader:
    rate, width, channels = (event.data.get(key) for key in ("rate", "width", "channels"))
    if not isinstance(rate, int) or (width, channels) != (_SAMPLE_BYTES, 1):
        raise Fault(FaultKind.FAILED, f"it sent audio of {width!r} bytes, {channels!r} channels, {rate!r} Hz")
    if before is not None and before.rate != rate:
        raise Fault(FaultKind.FAILED, f"it went from {before.rate} to {rate} Hz")
    try:
        return before or SampleReader(rate, wanted)
    except NotPcm as error:
        raise Fault(FaultKind.FAILED, f"it sent {error}") from None


def _told(event: Event) -> Fault:
    message = f"it answered: {_shown(event.data.get('text'))}"
    match event.data.get("code"):
        case "busy":
            return Fault(FaultKind.BUSY, message, retry_after=1.0)
        case "bad_request" | "too_long" | "unsupported" | "unknown_voice" | "voice_unavailable":
            return Fault(FaultKind.REFUSED, message)
        case "shutting_down":
            return Fault(FaultKind.DOWN, message)
        case _:
            return Fault(FaultKind.FAILED, message, retry_after=_SOON)


@dataclass(frozen=True, slots=True)
class _RawEvent:
    header: dict[str, Any]
    data: bytes
    """JSON, of thousands of voices maybe."""
    payload: bytes


async def _event(reader: asyncio.StreamReader) -> Event:
    raw = await _raw_event(reader, _MOST_DATA_WHILE_SPEAKING)
    return Event(str(raw.header.get("type")), _json(raw.data), raw.payload or None)


async def _raw_event(reader: asyncio.StreamReader, most_data: int) -> _RawEvent:
    """Read an event within limits, which the wyoming package's own reader has none of."""
    try:
        line = await reader.readline()
    except ValueError:
        raise Fault(FaultKind.FAILED, f"it sent a line of over {_MOST_LINE} bytes") from None
    if not line.endswith(b"\n"):
        raise EOFError
    header = _json(line)
    data = await reader.readexactly(_length(header, "data_length", most_data))
    payload = await reader.readexactly(_length(header, "payload_length", _MOST_PAYLOAD))
    return _RawEvent(header, data or json.dumps(header.get("data") or {}).encode(), payload)


def _length(header: dict[str, Any], key: str, most: int) -> int:
    length = header.get(key) or 0
    if not isinstance(length, int) or not 0 <= length <= most:
        raise Fault(FaultKind.FAILED, f"it sent an event with {_shown(length)} as {key}")
    return length


def _json(raw: bytes) -> dict[str, Any]:
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        raise Fault(FaultKind.FAILED, "it sent what is not Wyoming") from None
    if not isinstance(value, dict):
        raise Fault(FaultKind.FAILED, "it sent what is not Wyoming")
    return value


def _shown(value: object) -> str:
    text = "".join(character if character.isprintable() else " " for character in str(value)[:_MOST_SHOWN])
    return text.rstrip(". ")


def _reason(error: OSError) -> str:
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return error.strerror or str(error)
