"""Wyoming client: asks a server for its voices (`describe`) and for speech (`synthesize`, streaming or not).

One request uses one connection. Text is sent in one task while the reply is read in another, so a streamed
reply is heard before its text has ended. Failures of the server or the network are raised as `ClientError`,
whose messages are written here and nowhere else.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterable, AsyncIterator, Callable
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.error import Error
from wyoming.event import Event
from wyoming.info import Describe, Info, TtsProgram, TtsVoice
from wyoming.tts import (
    Synthesize,
    SynthesizeChunk,
    SynthesizeStart,
    SynthesizeStop,
    SynthesizeStopped,
    SynthesizeVoice,
)

from wyoming_tts.bounded_json import JsonLimits
from wyoming_tts.client.errors import (
    ClientError,
    ConnectionLost,
    OutputClosed,
    ServerError,
    connection_lost,
    no_answer_within,
    no_connection,
)
from wyoming_tts.client.speech_meter import OnAudio, OnWords, SpeechMeter, SpeechReport
from wyoming_tts.messages import Message
from wyoming_tts.speech import AudioFormat, TextFormat, VoiceRequest
from wyoming_tts.system_reasons import system_reason
from wyoming_tts.wyoming_framing import REPLY_LIMITS, EventLimits, EventStream, ProtocolError, write_event
from wyoming_tts.wyoming_words import parse_words

_T = TypeVar("_T")
_ERROR_GRACE_SECONDS = 2.0
"""How long to wait for the closing events after an `error`; some servers never send them."""
_CLOSE_SECONDS = 1.0
_MALFORMED = (LookupError, TypeError, ValueError, AttributeError)
"""Exceptions of the wyoming package for JSON that is not a valid event."""
_SPEECH_LIMITS = EventLimits(payload=REPLY_LIMITS.payload, json=JsonLimits(values=10_000))
"""Of the events of speech, none of which lists voices: a thousand words with all audio at once."""
_SAMPLE_BYTES = 2
_MAX_RATE, _MAX_CHANNELS = 768_000, 32
"""Limits of audio formats, which also fit into a WAV header."""


@dataclass(frozen=True, slots=True)
class ClientTimeouts:
    """How long the client waits, in seconds."""

    connect: float = 5.0
    answer: float = 60.0
    """For the first audio once the text is complete, and then for each further event."""


async def describe(uri: str, timeout: float = 5.0) -> Info:  # noqa: ASYNC109 -- the error's message names it
    """Ask a server for its description: its programs and their voices.

    Raises:
        ClientError: it cannot be reached, or did not answer within `timeout` seconds.
    """
    try:
        async with asyncio.timeout(timeout), _connected(uri, timeout, REPLY_LIMITS) as connection:
            await connection.write(Describe().event())
            event = await connection.read()
            while not Info.is_type(event.type):
                event = await connection.read()
    except TimeoutError:
        raise ClientError(
            f"{uri} did not answer within {timeout:g} s.",
            hint="Is it a Wyoming server, and is it overloaded?",
        ) from None
    return _parsed(_info, event)


def supports_streaming(info: Info) -> bool:
    """Whether the server takes streamed text (`speak` with `streaming`)."""
    return any(program.installed and program.supports_synthesize_streaming for program in info.tts)


async def speak(
    uri: str,
    pieces: AsyncIterable[str],
    *,
    on_audio: OnAudio,
    on_words: OnWords | None = None,
    voice: VoiceRequest | None = None,
    streaming: bool = False,
    text_format: TextFormat = TextFormat.PLAIN,
    timeouts: ClientTimeouts | None = None,
) -> SpeechReport:
    """Have a server speak a text, and pass its audio to `on_audio` as it arrives.

    `on_words` gets the words that the server tells, before the audio in which they begin; only this package's
    server does. With `streaming` each piece is sent as it comes, else all of them in one request. If
    `on_audio` raises OutputClosed, the speech ends early, with a report that is not complete.

    Raises:
        ServerError: the server answered with an error; audio received before was passed on.
        ConnectionLost: the connection ended before the reply was complete.
        ClientError: no connection, no answer in time, or an invalid answer.
    """
    limits = timeouts or ClientTimeouts()
    wire_voice = _wire_voice(voice or VoiceRequest())
    wire_format = None if text_format is TextFormat.PLAIN else text_format.value
    async with _connected(uri, limits.connect, _SPEECH_LIMITS) as connection:
        exchange = _Exchange(
            connection, uri, streaming=streaming, on_audio=on_audio, on_words=on_words, answer=limits.answer
        )
        try:
            async with asyncio.TaskGroup() as tasks:
                sending = tasks.create_task(exchange.send(pieces, wire_voice, wire_format))
                await exchange.receive()
                sending.cancel()
        except ExceptionGroup as group:
            # The first failure is the cause; the other task was only cancelled.
            raise group.exceptions[0] from None
    return exchange.report()


class _Exchange:
    """One request and its reply on one connection."""

    def __init__(
        self,
        connection: _Connection,
        uri: str,
        *,
        streaming: bool,
        on_audio: OnAudio,
        on_words: OnWords | None,
        answer: float,
    ) -> None:
        self._connection = connection
        self._uri = uri
        self._streaming = streaming
        self._on_audio = on_audio
        self._on_words = on_words
        self._answer = answer
        self._meter = SpeechMeter()
        self._format: AudioFormat | None = None
        self._error: ServerError | None = None
        self._text_sent = False
        self._audio_ended = False
        self._complete = True
        self._reading: asyncio.Timeout | None = None

    def report(self) -> SpeechReport:
        return self._meter.report(complete=self._complete)

    async def send(
        self, pieces: AsyncIterable[str], voice: SynthesizeVoice | None, text_format: str | None
    ) -> None:
        # The reader meets a broken connection too, and knows what was lost.
        with contextlib.suppress(ConnectionLost):
            if self._streaming:
                await self._send_stream(pieces, voice, text_format)
            else:
                text = "".join([piece async for piece in pieces])
                self._meter.mark_text_sent()
                await self._write(Synthesize(text, voice, text_format).event())
        self._mark_text_complete()

    async def _send_stream(
        self, pieces: AsyncIterable[str], voice: SynthesizeVoice | None, text_format: str | None
    ) -> None:
        sent: list[str] = []
        await self._write(SynthesizeStart(voice, text_format).event())
        async for piece in pieces:
            sent.append(piece)
            self._meter.mark_text_sent()
            await self._write(SynthesizeChunk(piece).event())
        # For servers that cannot stream: they ignored the chunks and speak this.
        await self._write(Synthesize("".join(sent), voice, text_format).event())
        await self._write(SynthesizeStop().event())

    async def _write(self, event: Event) -> None:
        await self._connection.write(event)

    def _mark_text_complete(self) -> None:
        self._text_sent = True
        if self._reading is not None and self._reading.when() is None:
            self._reading.reschedule(asyncio.get_running_loop().time() + self._answer)

    async def receive(self) -> None:
        """Read the reply to its end and pass its audio on."""
        try:
            while not await self._handle(await self._next_event()):
                pass
        except OutputClosed:
            self._complete = False
        if self._error is not None:
            raise self._error

    async def _next_event(self) -> Event:
        try:
            async with asyncio.timeout(self._event_timeout()) as self._reading:
                return await self._connection.read()
        except (TimeoutError, ConnectionLost) as error:
            raise (self._error or self._incomplete_reply(error)) from None
        finally:
            self._reading = None

    def _event_timeout(self) -> float | None:
        if self._error is not None:
            return _ERROR_GRACE_SECONDS
        # The text may still be being typed: no reply is due before all of it was sent.
        return self._answer if self._text_sent else None

    async def _handle(self, event: Event) -> bool:
        """Handle an event; returns whether it ends the reply."""
        if Error.is_type(event.type):
            error = _parsed(Error.from_event, event)
            self._error = self._error or ServerError(error.text, error.code)
        elif AudioStart.is_type(event.type):
            start = _parsed(AudioStart.from_event, event)
            await self._take_audio(AudioFormat(start.rate, start.width, start.channels), b"")
        elif AudioChunk.is_type(event.type):
            chunk = _parsed(AudioChunk.from_event, event)
            if self._on_words is not None and (words := parse_words(event.data)):
                self._on_words(words)
            await self._take_audio(AudioFormat(chunk.rate, chunk.width, chunk.channels), chunk.audio)
        elif AudioStop.is_type(event.type):
            self._audio_ended = True
            return not self._streaming
        return SynthesizeStopped.is_type(event.type)

    async def _take_audio(self, audio_format: AudioFormat, pcm: bytes) -> None:
        if self._format is None:
            self._format = _checked_format(audio_format, self._uri)
        if audio_format != self._format or len(pcm) % self._format.frame_bytes:
            raise ClientError(
                f"{self._uri} sent {len(pcm)} bytes of {_in_words(audio_format)} "
                f"in a stream of {_in_words(self._format)}.",
                hint="This is a bug of the server.",
            )
        self._meter.add_audio(audio_format, pcm)
        await self._on_audio(audio_format, pcm)

    def _incomplete_reply(self, error: Exception) -> ClientError:
        heard = (
            Message("after_audio", "after {seconds} s of audio", seconds=f"{self._meter.seconds:.1f}")
            if self._format
            else Message("before_audio", "before any audio")
        )
        if self._streaming and self._audio_ended:
            return ClientError(
                Message(
                    "no_stream_end", "{uri} sent the audio, but not the end of the stream.", uri=self._uri
                ),
                hint="It may not support streamed text: try without --stream.",
            )
        if isinstance(error, TimeoutError):
            return ClientError(
                Message(
                    "silent_for",
                    "{uri} sent nothing for {seconds} s {heard}.",
                    uri=self._uri,
                    seconds=f"{self._answer:g}",
                    heard=heard,
                ),
                hint="It may be overloaded, or not a text-to-speech server; its log may say more.",
            )
        return ConnectionLost(
            Message(
                "closed_while",
                "{uri} closed the connection {heard}, before the end of the speech.",
                uri=self._uri,
                heard=heard,
            ),
            hint="Its log may say why.",
        )


def _wire_voice(voice: VoiceRequest) -> SynthesizeVoice | None:
    if voice.speaker is not None and voice.name is None:
        raise ClientError(
            f"Speaker {voice.speaker!r} was requested without a voice.", hint="Name the voice as well."
        )
    if voice == VoiceRequest():
        return None
    return SynthesizeVoice(voice.name, voice.language, voice.speaker)


def _checked_format(audio_format: AudioFormat, uri: str) -> AudioFormat:
    rate, width, channels = audio_format.rate, audio_format.width, audio_format.channels
    if not all(isinstance(value, int) for value in (rate, width, channels)):
        raise ClientError(
            f"{uri} sends audio of {width!r} bytes, {channels!r} channels, {rate!r} Hz; expected numbers."
        )
    if width != _SAMPLE_BYTES or not 0 < channels <= _MAX_CHANNELS or not 0 < rate <= _MAX_RATE:
        raise ClientError(f"{uri} sends {_in_words(audio_format)}; 16-bit PCM was expected.")
    return audio_format


def _in_words(audio_format: AudioFormat) -> str:
    return f"{audio_format.width * 8}-bit audio at {audio_format.rate} Hz, {audio_format.channels} channel(s)"


class _Connection:
    """Events to and from one server; its failures are raised as `ClientError`."""

    def __init__(
        self, uri: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limits: EventLimits
    ) -> None:
        self._uri = uri
        self._events = EventStream(reader, limits)
        self._writer = writer

    async def read(self) -> Event:
        try:
            return await self._events.read_event()
        except EOFError:
            raise ConnectionLost(
                Message("connection_closed", "{uri} closed the connection.", uri=self._uri),
                hint="Is it a Wyoming server? Its log may say why.",
            ) from None
        except ProtocolError as error:
            raise ClientError(
                Message(
                    "not_wyoming",
                    "{uri} sent something that is not Wyoming: {reason}",
                    uri=self._uri,
                    reason=error.message,
                ),
                hint="Is it the right port?",
            ) from error
        except OSError as error:
            raise connection_lost(self._uri, system_reason(error)) from error

    async def write(self, event: Event) -> None:
        try:
            await write_event(self._writer, event)
        except OSError as error:
            raise connection_lost(self._uri, system_reason(error)) from error

    async def close(self) -> None:
        self._writer.close()
        # A peer that does not read would keep a clean shutdown waiting for ever.
        with contextlib.suppress(OSError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._writer.wait_closed()


@contextlib.asynccontextmanager
async def _connected(uri: str, patience: float, limits: EventLimits) -> AsyncIterator[_Connection]:
    address = parse_server_address(uri)
    try:
        async with asyncio.timeout(patience):
            connection = _Connection(uri, *await _open(address), limits)
    except TimeoutError:
        raise _unreachable(uri, no_answer_within(patience)) from None
    except OSError as error:
        raise _unreachable(uri, system_reason(error)) from error
    try:
        yield connection
    finally:
        await connection.close()


async def _open(address: str | tuple[str, int]) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if isinstance(address, str):
        return await asyncio.open_unix_connection(address)
    return await asyncio.open_connection(*address)


def parse_server_address(uri: str) -> str | tuple[str, int]:
    """Parse a server's URI into the path of a unix socket, or into host and port.

    Raises:
        ClientError: it is neither `tcp://HOST:PORT` nor `unix:///PATH`.
    """
    try:
        address = urlsplit(uri)
        if address.scheme == "unix" and address.path:
            return address.path
        if address.scheme == "tcp" and address.hostname and address.port:
            return address.hostname, address.port
    except ValueError:
        pass  # the port is not a number
    raise ClientError(
        f"{uri!r} is not an address to connect to.", hint="Give tcp://HOST:10200 or unix:///PATH."
    )


def _unreachable(uri: str, reason: str) -> ClientError:
    return ClientError(
        no_connection(uri, reason),
        hint="Is the server running there? `wyoming-tts serve` starts one.",
    )


def _parsed(parse: Callable[[Event], _T], event: Event) -> _T:
    try:
        return parse(event)
    except _MALFORMED as error:
        raise ClientError(
            f"The server sent a malformed {event.type!r} event: {error!r}.",
            hint="This is a bug of the server.",
        ) from error


def _info(event: Event) -> Info:
    """Parse a server's description; the wyoming package checks few of the types."""
    info = Info.from_event(event)
    programs_right = all(isinstance(program, TtsProgram) for program in info.tts)
    if not programs_right or not all(isinstance(voice, TtsVoice) for one in info.tts for voice in one.voices):
        raise TypeError("its list of voices has the wrong shape")
    return info
