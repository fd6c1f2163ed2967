"""Another Wyoming server, asked for one segment on a connection of its own."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from urllib.parse import urlsplit

from wyoming.event import Event
from wyoming.info import Describe
from wyoming.tts import Synthesize, SynthesizeVoice

from wyoming_tts.blocking import RunBlocking
from wyoming_tts.engines.base import RemoteOptions
from wyoming_tts.engines.remote.lists import ListedVoice, NoList, listed_over_wyoming
from wyoming_tts.engines.remote.pcm import NotPcm, SampleReader
from wyoming_tts.engines.remote.pool import UpstreamFault, UpstreamFaultKind, UpstreamRequest
from wyoming_tts.speech import Samples
from wyoming_tts.wyoming_framing import EventLimits, EventStream, ProtocolError, RawEvent, write_event

USUAL_RATE = 22_050
"""Hz of most voices of such servers, which tell it only when they speak."""

_PORT = 10_200
_LIST_LIMITS = EventLimits(data=4 * 1024 * 1024)
"""The descriptions of thousands of voices, which are parsed away from the event loop."""
_SPEECH_LIMITS = EventLimits(data=64 * 1024, payload=1024 * 1024)
"""Data that is parsed on the event loop, and all audio of a segment at once."""
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

    async def listed(self, run_blocking: RunBlocking) -> tuple[ListedVoice, ...]:
        """As `Upstream.listed`."""
        async with self._connected() as (reader, writer):
            await write_event(writer, Describe().event())
            events = EventStream(reader, _LIST_LIMITS)
            while (raw := await events.read_raw_event()).type != "info":
                pass
        try:
            voices = await run_blocking(partial(listed_over_wyoming, _data(raw)))
        except NoList as error:
            raise UpstreamFault(UpstreamFaultKind.FAILED, str(error)) from None
        return tuple(replace(voice, rate=self._rates.get(voice.name, USUAL_RATE)) for voice in voices)

    async def speak(self, order: UpstreamRequest, listed: ListedVoice) -> AsyncGenerator[Samples, None]:
        """As `Upstream.speak`."""
        async with self._connected() as (reader, writer):
            voice = SynthesizeVoice(order.voice, speaker=order.speaker)
            await write_event(writer, Synthesize(order.text, voice).event())
            events = EventStream(reader, _SPEECH_LIMITS)
            samples_of: SampleReader | None = None
            while (event := await events.read_event()).type != "audio-stop":
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
            raise UpstreamFault(
                UpstreamFaultKind.DOWN, f"the connection broke ({what})", retry_after=_SOON
            ) from None
        except ProtocolError as error:
            raise UpstreamFault(
                UpstreamFaultKind.FAILED, f"it sent what is not Wyoming: {_shown(error.message)}"
            ) from None
        finally:
            writer.transport.abort()  # what still comes is for nobody

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        patience = self._options.connect_timeout
        try:
            async with asyncio.timeout(patience):
                return await asyncio.open_connection(self._host, self._port)
        except TimeoutError:
            raise UpstreamFault(UpstreamFaultKind.DOWN, f"no connection within {patience:g} s") from None
        except OSError as error:
            raise UpstreamFault(
                UpstreamFaultKind.DOWN, f"no connection ({_reason(error)})", retry_after=_SOON
            ) from None


def _reader(event: Event, before: SampleReader | None, wanted: int) -> SampleReader:
    rate, width, channels = (event.data.get(key) for key in ("rate", "width", "channels"))
    if not isinstance(rate, int) or (width, channels) != (_SAMPLE_BYTES, 1):
        raise UpstreamFault(
            UpstreamFaultKind.FAILED, f"it sent audio of {width!r} bytes, {channels!r} channels, {rate!r} Hz"
        )
    if before is not None and before.rate != rate:
        raise UpstreamFault(UpstreamFaultKind.FAILED, f"it went from {before.rate} to {rate} Hz")
    try:
        return before or SampleReader(rate, wanted)
    except NotPcm as error:
        raise UpstreamFault(UpstreamFaultKind.FAILED, f"it sent {error}") from None


def _told(event: Event) -> UpstreamFault:
    message = f"it answered: {_shown(event.data.get('text'))}"
    match event.data.get("code"):
        case "busy":
            return UpstreamFault(UpstreamFaultKind.BUSY, message, retry_after=1.0)
        case "bad_request" | "too_long" | "unsupported" | "unknown_voice" | "voice_unavailable":
            return UpstreamFault(UpstreamFaultKind.REFUSED, message)
        case "shutting_down":
            return UpstreamFault(UpstreamFaultKind.DOWN, message)
        case _:
            return UpstreamFault(UpstreamFaultKind.FAILED, message, retry_after=_SOON)


def _data(raw: RawEvent) -> bytes:
    """JSON, in the block or, from servers not written in Python, in the first line."""
    return raw.block or json.dumps(raw.header.inline).encode()


def _shown(value: object) -> str:
    text = "".join(character if character.isprintable() else " " for character in str(value)[:_MOST_SHOWN])
    return text.rstrip(". ")


def _reason(error: OSError) -> str:
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return error.strerror or str(error)
