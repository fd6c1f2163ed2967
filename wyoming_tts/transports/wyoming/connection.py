"""One Wyoming client: what it asks for, in order, until it leaves.

Two tasks share a connection. The reading task turns bytes into commands and never waits for
audio, so `describe` and `ping` are answered while a stream plays and text keeps coming in. The
speaking task answers one utterance after the other. Between them lies a bounded backlog; when it
is full, or a stream has more text than it can hold, reading pauses and with it the client.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from wyoming.event import Event
from wyoming.ping import Pong

from wyoming_tts.errors import ShuttingDown, SpeechError, to_speech_error
from wyoming_tts.speech import TextFormat, Utterance, VoiceRequest
from wyoming_tts.text.feed import TextFeed
from wyoming_tts.transports.backpressure import PendingRequest, RequestQueue, expire_timeout
from wyoming_tts.transports.framing import split_into_frames
from wyoming_tts.transports.ports import SpeechSynthesis
from wyoming_tts.transports.wyoming.protocol import (
    AddText,
    Command,
    EndText,
    FailText,
    RefuseRequest,
    ReplyEnding,
    ReplyEvents,
    SendInfo,
    SendPong,
    SpeakUtterance,
    WyomingProtocol,
    error_event,
)
from wyoming_tts.transports.wyoming.stream import LINGER, WyomingClientGone, WyomingStream
from wyoming_tts.wyoming_framing import EventLimits, EventReader, ProtocolError, encode_event

Describe: TypeAlias = Callable[[], bytes]
"""Gives the encoded info event for the voices of the moment. Called on the event loop: it must be quick."""

TRANSPORT = "wyoming"

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WyomingOptions:
    """How the server treats its clients. Times are in seconds."""

    samples_per_chunk: int = 1024
    """Samples in an audio-chunk event."""
    streaming: bool = True
    """Off: only `synthesize` is known. What `describe` says must agree."""
    limits: EventLimits = field(default_factory=EventLimits)
    backlog: int = 8
    """Utterances a client may have waiting before reading from it pauses."""
    write_buffer: int = 64 * 1024
    """Bytes a client has not taken before its utterance pauses: 1.5 s of speech at 22.05 kHz."""
    send_timeout: float = 120.0
    """A client that takes nothing for so long is dropped."""
    idle_timeout: float = 600.0
    """A client that sends no event for so long, while nothing plays, is closed."""
    event_timeout: float = 30.0
    """An event has to be complete so long after its first byte."""
    connections: int = 256
    """Clients at the same time."""
    connections_per_peer: int = 64
    """Of these from one address."""


def _now() -> float:
    return asyncio.get_running_loop().time()


class _Request(PendingRequest):
    """What a client has asked for, and the events that it waits for at the end."""

    def __init__(self, speak: SpeakUtterance | None, closing: ReplyEnding) -> None:
        feed = TextFeed()
        text = speak.text if speak else None
        super().__init__(_utterance(speak, feed), feed, characters=len(text or ""))
        self.closing = closing

    @classmethod
    def refused(cls, error: SpeechError, closing: ReplyEnding) -> _Request:
        """A request that is answered with an error, when its turn comes."""
        request = cls(None, closing)
        request.stop(error)
        return request


def _utterance(speak: SpeakUtterance | None, feed: TextFeed) -> Utterance:
    if speak is None or speak.text is None:
        voice = speak.voice if speak else VoiceRequest()
        text_format = speak.text_format if speak else TextFormat.PLAIN
        return Utterance(feed, voice, text_format=text_format, transport=TRANSPORT)
    return Utterance.of(speak.text, voice=speak.voice, text_format=speak.text_format, transport=TRANSPORT)


class WyomingConnection:
    """Serves one client over a wire."""

    def __init__(
        self,
        wire: WyomingStream,
        *,
        synthesizer: SpeechSynthesis,
        describe: Describe,
        options: WyomingOptions,
    ) -> None:
        self._wire = wire
        self._synthesizer = synthesizer
        self._describe = describe
        self._options = options
        self._events = EventReader(options.limits)
        self._conversation = WyomingProtocol(streaming=options.streaming)
        self._backlog = RequestQueue[_Request](options.backlog)
        self._open: _Request | None = None
        """The utterance that the client still sends text for."""
        self._patience: asyncio.Timeout | None = None
        """Ends the wait for bytes."""
        self._winding_down = False
        self._farewell: SpeechError | None = None
        """Why everything ends: the connection closes after it was told."""
        self._linger = 0.0

    async def run(self) -> None:
        """Serve until the client has gone, or everything it asked for is answered and it sends no more.

        The wire is closed afterwards. Whatever goes wrong is logged and concerns this client alone.
        """
        try:
            await self._serve()
            await self._wire.close(linger=self._linger)
        finally:
            await self._wire.abort()

    def wind_down(self) -> None:
        """Take no new utterance; close as soon as those that there are have been answered."""
        self._winding_down = True
        expire_timeout(self._patience)

    def end(self, error: SpeechError) -> None:
        """Answer everything that is not answered yet with an error, then close."""
        self._open = None
        self._give_up(error)
        self.wind_down()

    async def _serve(self) -> None:
        try:
            async with asyncio.TaskGroup() as watch:
                lost = watch.create_task(self._wire.lost())
                async with asyncio.TaskGroup() as work:
                    work.create_task(self._read())
                    work.create_task(self._speak())
                lost.cancel()
        except* WyomingClientGone as gone:
            _LOGGER.debug("%s: left: %s", self._wire.peer, gone.exceptions[0])
        except* Exception:
            _LOGGER.exception("%s: the connection failed", self._wire.peer)

    async def _read(self) -> None:
        try:
            await self._read_events()
        except ProtocolError as error:
            _LOGGER.warning("%s: disconnected: %s", self._wire.peer, error)
            self._give_up(error)
        except WyomingClientGone:
            raise
        except Exception as error:
            _LOGGER.exception("%s: disconnected", self._wire.peer)
            self._give_up(to_speech_error(error))
        finally:
            self._end_text()
            self._backlog.close()

    async def _read_events(self) -> None:
        deadline = _now() + self._options.idle_timeout
        while self._open is not None or not self._winding_down:
            received = await self._receive(deadline)
            if received is None:
                if self._is_idle():
                    return
                deadline = _now() + self._options.idle_timeout
            elif received:
                deadline = await self._take_in(received, deadline)
            else:
                await self._obey_all(self._events.end())
                return

    async def _receive(self, deadline: float) -> bytes | None:
        """Bytes, none at the end of the connection, or None when it is time to look around."""
        try:
            async with asyncio.timeout_at(deadline) as self._patience:
                return await self._wire.receive()
        except TimeoutError:
            return None
        finally:
            self._patience = None

    def _is_idle(self) -> bool:
        """Whether waiting for more is of no use.

        Raises:
            ProtocolError: the client owes the rest of an event, or of a text.
        """
        if self._winding_down:
            return self._open is None
        if self._events.is_mid_event:
            raise ProtocolError(f"Got only a part of an event in {self._options.event_timeout:g} s.")
        if self._open is not None and self._open is self._backlog.current:
            raise ProtocolError(
                f"Got no text for {self._options.idle_timeout:g} s, expected synthesize-chunk or -stop."
            )
        return not self._backlog.unanswered()

    async def _take_in(self, received: bytes, deadline: float) -> float:
        """Obey what is complete; return when to stop waiting for more."""
        was_mid_event = self._events.is_mid_event
        complete = await self._obey_all(self._events.feed(received))
        if not self._events.is_mid_event:
            return _now() + self._options.idle_timeout
        if was_mid_event and not complete:
            return deadline
        return _now() + self._options.event_timeout

    async def _obey_all(self, events: Iterable[Event]) -> int:
        count = 0
        for event in events:
            count += 1
            for command in self._conversation.receive(event):
                await self._obey(command)
        return count

    async def _obey(self, command: Command) -> None:
        match command:
            case SendInfo():
                await self._wire.send(self._describe())
            case SendPong(text):
                await self._send(Pong(text).event())
            case SpeakUtterance():
                await self._begin(command)
            case AddText(text):
                await self._add_text(text)
            case EndText():
                self._end_text()
            case FailText(error):
                self._fail_text(error)
            case RefuseRequest(error, closing):
                await self._backlog.put(_Request.refused(error, closing))

    async def _begin(self, speak: SpeakUtterance) -> None:
        if self._winding_down:
            await self._backlog.put(_Request.refused(_shutting_down(), speak.closing))
            return
        request = _Request(speak, speak.closing)
        if speak.text is None:
            self._open = request
        await self._backlog.put(request)

    async def _add_text(self, text: str) -> None:
        if self._open is not None:
            await self._open.add(text)

    def _end_text(self) -> None:
        if self._open is not None:
            self._open.feed.close()
            self._open = None

    def _fail_text(self, error: SpeechError) -> None:
        if self._open is not None:
            self._open.stop(error)
            self._end_text()

    def _give_up(self, error: SpeechError) -> None:
        self._farewell = error
        self._linger = LINGER
        if self._backlog.current is not None:
            self._backlog.current.stop(error)

    async def _speak(self) -> None:
        told = False
        async for request in self._backlog:
            failure = await self._answer(request)
            self._backlog.answered()
            told = told or (failure is not None and failure is self._farewell)
        if self._farewell is not None and not told:
            await self._send(error_event(self._farewell))

    async def _answer(self, request: _Request) -> SpeechError | None:
        """Answer one request in full; return the error that it was told of."""
        if self._farewell is not None:
            request.stop(self._farewell)
        answer = ReplyEvents(request.closing, samples_per_chunk=self._options.samples_per_chunk)
        failure = await self._play(request, answer)
        for event in answer.closed(failure):
            await self._send(event)
        return failure

    async def _play(self, request: _Request, answer: ReplyEvents) -> SpeechError | None:
        """Send the sound; return why it ended early, or None."""
        try:
            async with request.unless_stopped(), self._synthesizer.speak(request.utterance) as stream:
                answer.use(stream.format)
                async for chunk in stream:
                    for frame in split_into_frames(chunk, self._options.samples_per_chunk):
                        for event in answer.audio(frame):
                            await self._send(event)
        except WyomingClientGone:
            raise
        except SpeechError as error:
            if error is not self._farewell:
                _LOGGER.warning("%s: told the client: %s", self._wire.peer, error)
            return error
        except Exception as error:
            if self._wire.is_gone:
                raise WyomingClientGone("The client left while it was spoken to.") from error
            _LOGGER.exception("%s: an utterance failed", self._wire.peer)
            return to_speech_error(error)
        finally:
            request.feed.close()
        return None

    async def _send(self, event: Event) -> None:
        await self._wire.send(encode_event(event))


def _shutting_down() -> SpeechError:
    return ShuttingDown("The server is going down.", hint="Try again when it is back.")
