"""Wyoming client of another server, with a connection for each segment."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from urllib.parse import urlsplit

from wyoming.event import Event
from wyoming.info import Describe
from wyoming.tts import Synthesize, SynthesizeVoice

from wyoming_tts.blocking import RunBlocking
from wyoming_tts.engines.base import RemoteOptions, Rendered
from wyoming_tts.engines.remote.lists import ListedVoice, NoVoiceList, parse_wyoming_info
from wyoming_tts.engines.remote.pcm import NotPcm, PcmDecoder, PcmFormat
from wyoming_tts.engines.remote.told_words import ToldWords
from wyoming_tts.engines.remote.upstream import (
    RETRY_SOON,
    UpstreamFault,
    UpstreamFaultKind,
    UpstreamRequest,
    quote,
)
from wyoming_tts.messages import Message
from wyoming_tts.system_reasons import system_reason
from wyoming_tts.wyoming_framing import (
    REPLY_LIMITS,
    EventLimits,
    EventStream,
    ProtocolError,
    RawEvent,
    write_event,
)

USUAL_RATE = 22_050
"""Hz of most voices of such servers, which state a voice's rate only when it speaks."""

_PORT = 10_200
_LIST_LIMITS = EventLimits(data=4 * 1024 * 1024, json=REPLY_LIMITS.json)
"""Room for the descriptions of thousands of voices, which are parsed off the event loop."""
_SPEECH_LIMITS = EventLimits(data=64 * 1024, payload=1024 * 1024)
"""JSON is parsed on the event loop, so it must be small; a payload may be all audio of a segment."""
_SAMPLE_BYTES = 2


class WyomingUpstream:
    """One server; no connection is kept open between requests.

    The protocol has no speed, so the voice speaks at its own.
    """

    may_tell_words = None

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

    async def list_voices(self, run_blocking: RunBlocking) -> tuple[ListedVoice, ...]:
        """As `Upstream.list_voices`."""
        async with self._connection() as (reader, writer):
            await write_event(writer, Describe().event())
            events = EventStream(reader, _LIST_LIMITS)
            while (raw := await events.read_raw_event()).type != "info":
                pass
        try:
            voices = await run_blocking(partial(parse_wyoming_info, _event_json(raw)))
        except NoVoiceList as error:
            raise UpstreamFault(UpstreamFaultKind.FAILED, str(error)) from None
        return tuple(replace(voice, rate=self._rates.get(voice.name, USUAL_RATE)) for voice in voices)

    async def speak(self, request: UpstreamRequest, listed: ListedVoice) -> AsyncGenerator[Rendered, None]:
        """As `Upstream.speak`; servers of this kind tell words."""
        async with self._connection() as (reader, writer):
            voice = SynthesizeVoice(request.voice, speaker=request.speaker)
            await write_event(writer, Synthesize(request.text, voice).event())
            events = EventStream(reader, _SPEECH_LIMITS)
            decoder: PcmDecoder | None = None
            words = ToldWords(request.text, request.rate)
            while (event := await events.read_event()).type != "audio-stop":
                if event.type == "error":
                    raise _fault(event)
                if event.type not in {"audio-start", "audio-chunk"}:
                    continue
                decoder = _decoder_for(event, decoder, request.rate)
                words.take(event.data)
                for samples in decoder.feed(event.payload or b""):
                    yield words.add(samples)
            if decoder is not None:
                self._rates[listed.name] = decoder.rate
                for samples in decoder.finish():
                    yield words.add(samples)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await self._connect()
        try:
            yield reader, writer
        except (OSError, EOFError) as error:
            what = (
                system_reason(error)
                if isinstance(error, OSError)
                else Message("closed_too_early", "it was closed too early")
            )
            raise UpstreamFault(
                UpstreamFaultKind.DOWN,
                Message("connection_broke", "the connection broke ({reason})", reason=what),
                retry_after=RETRY_SOON,
            ) from None
        except ProtocolError as error:
            raise UpstreamFault(
                UpstreamFaultKind.FAILED,
                Message("answer_not_wyoming", "its answer is not Wyoming: {reason}", reason=error.message),
            ) from None
        finally:
            writer.transport.abort()  # nobody reads what is still to come

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        timeout = self._options.connect_timeout
        try:
            async with asyncio.timeout(timeout):
                return await asyncio.open_connection(self._host, self._port)
        except TimeoutError:
            raise UpstreamFault(
                UpstreamFaultKind.DOWN,
                Message("no_connection_within", "no connection within {seconds} s", seconds=f"{timeout:g}"),
            ) from None
        except OSError as error:
            raise UpstreamFault(
                UpstreamFaultKind.DOWN,
                Message("no_connection_because", "no connection ({reason})", reason=system_reason(error)),
                retry_after=RETRY_SOON,
            ) from None


def _decoder_for(event: Event, current: PcmDecoder | None, output_rate: int) -> PcmDecoder:
    """Check the format of an audio event, and return its decoder: the current one, or the first."""
    rate, width, channels = (event.data.get(key) for key in ("rate", "width", "channels"))
    if not isinstance(rate, int) or (width, channels) != (_SAMPLE_BYTES, 1):
        raise UpstreamFault(
            UpstreamFaultKind.FAILED,
            Message(
                "sent_audio_of",
                "it sent audio of {width} bytes, {channels} channels, {rate} Hz",
                width=repr(width),
                channels=repr(channels),
                rate=repr(rate),
            ),
        )
    if current is not None and current.rate != rate:
        raise UpstreamFault(
            UpstreamFaultKind.FAILED,
            Message("went_from", "it went from {before} to {after} Hz", before=current.rate, after=rate),
        )
    try:
        return current or PcmDecoder(PcmFormat(rate), output_rate)
    except NotPcm as error:
        raise UpstreamFault(
            UpstreamFaultKind.FAILED, Message("it_sent", "it sent {what}", what=str(error))
        ) from None


def _fault(event: Event) -> UpstreamFault:
    message = Message("it_answered", "it answered: {answer}", answer=quote(str(event.data.get("text"))))
    match event.data.get("code"):
        case "busy":
            return UpstreamFault(UpstreamFaultKind.BUSY, message, retry_after=1.0)
        case "bad_request" | "too_long" | "unsupported" | "unknown_voice" | "voice_unavailable":
            return UpstreamFault(UpstreamFaultKind.REFUSED, message)
        case "shutting_down":
            return UpstreamFault(UpstreamFaultKind.DOWN, message)
        case _:
            return UpstreamFault(UpstreamFaultKind.FAILED, message, retry_after=RETRY_SOON)


def _event_json(raw: RawEvent) -> bytes:
    """The event's data: in a block of its own or, from servers not written in Python, in the header line."""
    return raw.block or json.dumps(raw.header.inline).encode()
