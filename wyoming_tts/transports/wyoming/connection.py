"""One client's Wyoming connection: reads its events and answers its requests in order.

Two tasks share a connection. The reader turns bytes into commands and never waits for audio, so `describe`
and `ping` are answered, and text keeps coming in, while a stream plays. The responder answers one utterance
after the other. The queue between them is bounded: when it is full, or a stream holds more text than its feed
has room for, reading pauses, and TCP's flow control then pauses the client (backpressure). It pauses too for
a client that sends so much that reading takes more than its share of the event loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from wyoming.event import Event
from wyoming.ping import Pong

from wyoming_tts.errors import ShuttingDown, SpeechError, to_speech_error
from wyoming_tts.speech import TextFormat, Utterance, VoiceRequest
from wyoming_tts.text.feed import TextFeed
from wyoming_tts.transports.accepting import LINGER
from wyoming_tts.transports.access import subscriber
from wyoming_tts.transports.access_log import AccessEntry, log_access
from wyoming_tts.transports.audio_frames import split_into_frames
from wyoming_tts.transports.connection_limits import ConnectionLimits
from wyoming_tts.transports.damped_log import DampedLog
from wyoming_tts.transports.input_pace import InputPace, LoopBudget
from wyoming_tts.transports.interfaces import SpeechSynthesis
from wyoming_tts.transports.request_queue import PendingRequest, RequestQueue, expire_timeout
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
from wyoming_tts.transports.wyoming.stream import WyomingClientGone, WyomingStream
from wyoming_tts.wyoming_framing import EventLimits, EventReader, ProtocolError, encode_event

Describe: TypeAlias = Callable[[], bytes]
"""Returns the encoded info event for the current voices. Called on the event loop, so it must not block."""

TRANSPORT = "wyoming"
_DESCRIBE, _SYNTHESIZE, _SYNTHESIZE_STREAM = "describe", "synthesize", "synthesize-start"

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WyomingOptions:
    """Limits and timeouts of Wyoming connections. Times are in seconds."""

    samples_per_chunk: int = 1024
    """Samples in one audio-chunk event."""
    streaming: bool = True
    """False: only `synthesize` is understood. What `describe` reports must agree."""
    words: bool = True
    """Audio events tell when which word sounds."""
    log_requests: bool = False
    """Whether each request has a line in the log."""
    limits: EventLimits = field(default_factory=EventLimits)
    backlog: int = 8
    """Utterances a client may have queued before reading from it pauses."""
    write_buffer: int = 64 * 1024
    """Unsent bytes at which a client's utterance pauses: 1.5 s of speech at 22.05 kHz."""
    send_timeout: float = 120.0
    """A client that reads nothing for this long is disconnected."""
    idle_timeout: float = 600.0
    """A client that sends no event for this long, while nothing plays, is disconnected."""
    event_timeout: float = 30.0
    """An event has to be complete this long after its first byte."""
    connections: ConnectionLimits = field(default_factory=ConnectionLimits)
    """Concurrent connections."""


def _now() -> float:
    return asyncio.get_running_loop().time()


class _Request(PendingRequest):
    """A client's request, with the events that its reply has to end with."""

    def __init__(self, speak: SpeakUtterance | None, ending: ReplyEnding, *, peer: str = "") -> None:
        feed = TextFeed()
        text = speak.text if speak else None
        super().__init__(replace(_make_utterance(speak, feed), peer=peer), feed, characters=len(text or ""))
        self.ending = ending
        self.status = "-"
        """How it was answered, once it was; for the access log."""
        self.sent_bytes = 0
        self._event = _SYNTHESIZE_STREAM if speak is not None and text is None else _SYNTHESIZE
        self._began_at = _now()

    def access_entry(self, client: str) -> AccessEntry:
        """Return its line of the access log."""
        return AccessEntry(
            client,
            TRANSPORT,
            self._event,
            "",
            self.status,
            self.sent_bytes,
            _now() - self._began_at,
            id=self.utterance.id,
            is_complete=self.status == "ok",
        )

    @classmethod
    def refused(cls, error: SpeechError, ending: ReplyEnding) -> _Request:
        """A request that is answered with an error when its turn comes."""
        request = cls(None, ending)
        request.stop(error)
        return request


def _make_utterance(speak: SpeakUtterance | None, feed: TextFeed) -> Utterance:
    if speak is None or speak.text is None:
        voice = speak.voice if speak else VoiceRequest()
        text_format = speak.text_format if speak else TextFormat.PLAIN
        return Utterance(feed, voice, text_format=text_format, transport=TRANSPORT)
    return Utterance.of(speak.text, voice=speak.voice, text_format=speak.text_format, transport=TRANSPORT)


class WyomingConnection:
    """Serves one Wyoming client over a byte stream."""

    def __init__(
        self,
        stream: WyomingStream,
        *,
        synthesizer: SpeechSynthesis,
        describe: Describe,
        options: WyomingOptions,
        malformed: DampedLog,
        address: str = "",
        pace: InputPace | None = None,
    ) -> None:
        """Serve a client; places among the streams are shared fairly between the addresses of clients.

        `malformed` is the log, common to all clients, of connections that end because of what they sent.
        """
        self._stream = stream
        self._malformed = malformed
        self._synthesizer = synthesizer
        self._describe = describe
        self._options = options
        self._address = address
        self._peer = subscriber(address)
        self._events = EventReader(options.limits)
        self._pace = pace or InputPace(LoopBudget())
        self._protocol = WyomingProtocol(streaming=options.streaming)
        self._queue = RequestQueue[_Request](options.backlog)
        self._open: _Request | None = None
        """The utterance whose text is still arriving."""
        self._read_timeout: asyncio.Timeout | None = None
        """The timeout of the current wait for bytes; expired to wake the reader."""
        self._draining = False
        self._final_error: SpeechError | None = None
        """Why the connection ends: it is sent to the client before closing."""
        self._linger = 0.0
        self._active_at = _now()
        """Loop time of the last event received or reply sent."""

    def idle_since(self) -> float | None:
        """Return the loop time since which nothing is asked and nothing is being answered, else None."""
        is_idle = self._open is None and not self._queue.unanswered()
        return self._active_at if is_idle else None

    async def run(self) -> None:
        """Serve until the client disconnects, or has sent its last byte and every request is answered.

        The stream is closed on return. Failures are logged and affect this client alone.
        """
        try:
            await self._serve()
            await self._stream.close(linger=self._linger)
        finally:
            await self._stream.abort()

    def drain(self) -> None:
        """Drain: refuse new utterances, and close once the accepted ones have been answered."""
        self._draining = True
        expire_timeout(self._read_timeout)

    def end(self, error: SpeechError) -> None:
        """Answer every open request with an error, then close."""
        self._open = None
        self._abandon(error)
        self.drain()

    async def _serve(self) -> None:
        try:
            async with asyncio.TaskGroup() as watch:
                lost = watch.create_task(self._stream.wait_lost())
                async with asyncio.TaskGroup() as work:
                    work.create_task(self._read())
                    work.create_task(self._speak())
                lost.cancel()
        except* WyomingClientGone as gone:
            _LOGGER.debug("%s: disconnected: %s", self._stream.peer, gone.exceptions[0])
        except* Exception:
            _LOGGER.exception("%s: connection failed", self._stream.peer)

    async def _read(self) -> None:
        try:
            await self._read_events()
        except ProtocolError as error:
            self._malformed.log("%s: disconnecting: %s", self._stream.peer, error)
            self._abandon(error)
        except WyomingClientGone:
            raise
        except Exception as error:
            _LOGGER.exception("%s: disconnecting", self._stream.peer)
            self._abandon(to_speech_error(error))
        finally:
            self._end_text()
            self._queue.close()

    async def _read_events(self) -> None:
        deadline = _now() + self._options.idle_timeout
        while self._open is not None or not self._draining:
            received = await self._receive(deadline)
            if received is None:
                if self._should_stop_reading():
                    return
                deadline = _now() + self._options.idle_timeout
            elif received:
                self._pace.begin(len(received))
                deadline = await self._process(received, deadline)
                await self._pace.rest()
            else:
                await self._execute_all(self._events.end())
                return

    async def _receive(self, deadline: float) -> bytes | None:
        """Return received bytes, b"" at the end of the stream, or None after a timeout or wake-up."""
        try:
            async with asyncio.timeout_at(deadline) as self._read_timeout:
                return await self._stream.receive()
        except TimeoutError:
            return None
        finally:
            self._read_timeout = None

    def _should_stop_reading(self) -> bool:
        """Whether to stop after a read timeout: nothing is open, or the server is draining.

        Raises:
            ProtocolError: the client left an event or a text unfinished.
        """
        if self._draining:
            return self._open is None
        if self._events.is_mid_event:
            raise ProtocolError(f"Got only a part of an event in {self._options.event_timeout:g} s.")
        if self._open is not None and self._open is self._queue.current:
            raise ProtocolError(
                f"Got no text for {self._options.idle_timeout:g} s, expected synthesize-chunk or -stop."
            )
        return not self._queue.unanswered()

    async def _process(self, received: bytes, deadline: float) -> float:
        """Execute the complete events; return the deadline for the next bytes."""
        was_mid_event = self._events.is_mid_event
        complete = await self._execute_all(self._events.feed(received))
        if complete:
            self._active_at = _now()
        if not self._events.is_mid_event:
            return _now() + self._options.idle_timeout
        if was_mid_event and not complete:
            return deadline
        return _now() + self._options.event_timeout

    async def _execute_all(self, events: Iterable[Event]) -> int:
        count = 0
        for event in events:
            count += 1
            for command in self._protocol.receive(event):
                await self._execute(command)
            if self._pace.is_slice_over:
                await self._pace.rest()
        return count

    async def _execute(self, command: Command) -> None:
        match command:
            case SendInfo():
                await self._send_info()
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
            case RefuseRequest(error, ending):
                await self._queue.put(_Request.refused(error, ending))

    async def _send_info(self) -> None:
        began_at, info = _now(), self._describe()
        await self._stream.send(info)
        seconds = _now() - began_at
        self._log_request(AccessEntry(self._address, TRANSPORT, _DESCRIBE, "", "ok", len(info), seconds))

    async def _begin(self, speak: SpeakUtterance) -> None:
        if self._draining:
            await self._queue.put(_Request.refused(_shutting_down(), speak.ending))
            return
        request = _Request(speak, speak.ending, peer=self._peer)
        if speak.text is None:
            self._open = request
        await self._queue.put(request)

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

    def _abandon(self, error: SpeechError) -> None:
        # Its frames hold what was received, and this connection too: a cycle that would live on for long.
        error.__context__ = None
        self._final_error = error.with_traceback(None)
        self._linger = LINGER
        if self._queue.current is not None:
            self._queue.current.stop(error)

    async def _speak(self) -> None:
        is_reported = False
        async for request in self._queue:
            failure = await self._answer(request)
            self._queue.finish_current()
            self._active_at = _now()
            is_reported = is_reported or (failure is not None and failure is self._final_error)
        if self._final_error is not None and not is_reported:
            await self._send(error_event(self._final_error))

    async def _answer(self, request: _Request) -> SpeechError | None:
        """Send the complete reply to a request; return the error that it reports, if any."""
        if self._final_error is not None:
            request.stop(self._final_error)
        reply = ReplyEvents(request.ending, words=self._options.words)
        try:
            failure = await self._play(request, reply)
            for event in reply.close(failure):
                await self._send_reply(request, event)
            request.status = "ok" if failure is None else str(failure.code)
        finally:
            self._log_request(request.access_entry(self._address))
        return failure

    def _log_request(self, entry: AccessEntry) -> None:
        if self._options.log_requests:
            log_access(entry)

    async def _play(self, request: _Request, reply: ReplyEvents) -> SpeechError | None:
        """Stream the audio of a request; return the error that ended it early, or None."""
        try:
            async with request.until_stopped(), self._synthesizer.speak(request.utterance) as stream:
                reply.set_format(stream.format)
                async for chunk in stream:
                    reply.set_voice(stream.voice)
                    for frame in split_into_frames(chunk, self._options.samples_per_chunk):
                        for event in reply.audio(frame):
                            await self._send_reply(request, event)
        except WyomingClientGone:
            raise
        except SpeechError as error:
            if error is not self._final_error:
                _LOGGER.warning("%s: utterance failed: %s", self._stream.peer, error)
            return error
        except Exception as error:
            if self._stream.is_gone:
                raise WyomingClientGone("The client disconnected during its reply.") from error
            _LOGGER.exception("%s: utterance failed unexpectedly", self._stream.peer)
            return to_speech_error(error)
        finally:
            request.feed.close()
        return None

    async def _send(self, event: Event) -> None:
        await self._stream.send(encode_event(event))

    async def _send_reply(self, request: _Request, event: Event) -> None:
        encoded = encode_event(event)
        await self._stream.send(encoded)
        request.sent_bytes += len(encoded)


def _shutting_down() -> SpeechError:
    return ShuttingDown("The server is shutting down.", hint="Try again once it is running again.")
