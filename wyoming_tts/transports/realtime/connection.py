"""One client's realtime WebSocket connection: reads its messages and plays its responses in order.

Two tasks share a connection. The reader carries out messages and never waits for audio, so a `barge` takes
effect while a response plays. The responder streams them one after another, and reports a cancelled one to
the client only once the work for it has ended. The queue between them is bounded by the number of responses
and by their text, and refuses what does not fit, so reading pauses only for a client that does not read.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Iterable
from functools import partial
from typing import TypeAlias

from starlette.websockets import WebSocket

from wyoming_tts.blocking import RunBlocking
from wyoming_tts.errors import BadRequest, Busy, ShuttingDown, SpeechError, to_speech_error
from wyoming_tts.messages import Message
from wyoming_tts.speech import AudioChunk, SpeakingVoice
from wyoming_tts.transports.access import subscriber
from wyoming_tts.transports.damped_log import DampedLog
from wyoming_tts.transports.input_pace import InputPace, LoopBudget
from wyoming_tts.transports.interfaces import SpeechSynthesis
from wyoming_tts.transports.realtime.client_socket import (
    CLOSING_TIME,
    FAILED,
    CloseConnection,
    RealtimeClientGone,
    RealtimeSocket,
)
from wyoming_tts.transports.realtime.options import RealtimeOptions
from wyoming_tts.transports.realtime.protocol import (
    AppendText,
    BargeIn,
    CancelResponse,
    Command,
    CommitText,
    EndSession,
    Frame,
    JsonObject,
    RealtimeProtocol,
    RefusedMessage,
    ReportSession,
    SpeakText,
    TruncateResponse,
    get_event_id,
    parse_message,
)
from wyoming_tts.transports.realtime.response import RealtimeResponse
from wyoming_tts.transports.realtime.response_audio import AudioPiece, ResponseAudio
from wyoming_tts.transports.realtime.server_messages import (
    ResponseMessages,
    refusal_message,
    session_event,
    truncated_event,
)
from wyoming_tts.transports.realtime.session import RealtimeSession
from wyoming_tts.transports.realtime.transcript import EndedTranscripts
from wyoming_tts.transports.request_queue import RequestCanceled, RequestQueue
from wyoming_tts.transports.tokens import TokenGrant

RESTARTING = 1012
"""WebSocket close code 1012, service restart: the client may reconnect."""
_SHUTTING_DOWN = Message("shutting_down", "The server is shutting down.")
_MAX_INLINE_JSON = 32_768
"""Bytes or characters of JSON that are parsed on the event loop: well below a millisecond."""

_LOGGER = logging.getLogger(__name__)


CountSpeech: TypeAlias = Callable[[], SpeechError | None]
"""Counts a response toward the client's rate limit; returns why it may not begin, or None."""


def _count_nothing() -> None:
    return None


class RealtimeConnection:
    """Serves one realtime client over a WebSocket until either side closes it."""

    def __init__(
        self,
        socket: WebSocket,
        *,
        synthesizer: SpeechSynthesis,
        options: RealtimeOptions,
        run_blocking: RunBlocking,
        stopping: asyncio.Event,
        pace: InputPace | None = None,
        count_speech: CountSpeech | None = None,
        grant: TokenGrant | None = None,
        slow_sends: DampedLog | None = None,
    ) -> None:
        """Prepare to serve a socket that is not accepted yet.

        Once `stopping` is set, new responses are refused and the connection closes when none is left.
        `count_speech` is called for each response; without it, any number may begin. `grant` is what the
        client's token permits; None permits all. All connections of a server share `slow_sends`, the log of
        messages that took long to send.
        """
        self._peer = subscriber(socket.client.host) if socket.client else ""
        self._socket = RealtimeSocket(
            socket,
            send_timeout=options.send_timeout,
            slow_send=options.slow_send,
            slow_sends=slow_sends,
        )
        self._synthesizer = synthesizer
        self._options = options
        self._run_blocking = run_blocking
        self._stopping = stopping
        self._count_speech = count_speech or _count_nothing
        self._grant = grant
        self._pace = pace or InputPace(LoopBudget())
        self._protocol = RealtimeProtocol(RealtimeSession(_new_id("sess")), options.limits, opus=options.opus)
        self._queue = RequestQueue[RealtimeResponse](options.queued, max_characters=options.queued_chars)
        self._open: RealtimeResponse | None = None
        """The response that text is appended to. If it was refused or is over, its text is dropped."""
        self._ended = EndedTranscripts()
        self._last_activity = _now()
        """Loop time of the last message received or audio sent."""

    def idle_since(self) -> float | None:
        """Return the loop time since which nothing is asked and nothing is being answered, else None."""
        return None if self._queue.unanswered() else self._last_activity

    async def run(self) -> None:
        """Serve until the client leaves or the connection has to be closed; it is closed on return.

        When cancelled, it first tells the client that the server is shutting down, within `CLOSING_TIME`.
        """
        try:
            await self._socket.accept()
            code, reason = await self._serve()
            await self._socket.close(code, reason)
        except RealtimeClientGone as gone:
            _LOGGER.debug("A realtime client disconnected: %s", gone)
        except asyncio.CancelledError:
            await self._close_for_shutdown()
            raise

    async def _close_for_shutdown(self) -> None:
        with contextlib.suppress(TimeoutError, RealtimeClientGone, CloseConnection):
            async with asyncio.timeout(CLOSING_TIME):
                for response in self._queue.unanswered():
                    response.stop(_shutting_down())
                    await self._send_all(response.ending())
        await self._socket.close(RESTARTING, _SHUTTING_DOWN)

    async def _serve(self) -> tuple[int, str]:
        """Run the connection; return the close code and its reason."""
        closing: BaseException | None = None
        try:
            await self._run_tasks()
        except* (CloseConnection, RealtimeClientGone) as reasons:
            closing = _first_error(reasons)
        except* Exception:
            _LOGGER.exception("A realtime connection failed.")
            closing = CloseConnection(FAILED, "Internal error; the server's log has the details.")
        if isinstance(closing, CloseConnection):
            return closing.code, closing.reason
        if closing is not None:
            raise closing
        return (RESTARTING, _SHUTTING_DOWN) if self._stopping.is_set() else (1000, "")

    async def _run_tasks(self) -> None:
        async with asyncio.TaskGroup() as group:
            await self._socket.send(session_event("session.created", self._protocol.session))
            helpers = [group.create_task(self._read()), group.create_task(self._close_queue_on_stop())]
            await self._speak()
            for helper in helpers:
                helper.cancel()

    async def _close_queue_on_stop(self) -> None:
        """Let the responder end after the responses that are queued when the server begins to stop."""
        await self._stopping.wait()
        self._queue.close()

    async def _read(self) -> None:
        while True:
            received = await self._receive()
            self._last_activity = _now()
            self._pace.begin()
            await self._handle(received)
            await self._pace.rest()

    async def _receive(self) -> Frame:
        idle = self._options.idle_timeout
        while (deadline := self._last_activity + idle) > _now():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(deadline):
                    return await self._socket.receive()
        raise CloseConnection(1000, f"No message and no audio for {idle:g} s.")

    async def _handle(self, received: Frame) -> None:
        message: JsonObject = {}
        try:
            message = await self._parse(received)
            for command in self._protocol.receive(message):
                await self._execute(command)
        except RefusedMessage as refused:
            refused.event_id = get_event_id(message)
            await self._socket.send(refusal_message(refused))

    async def _parse(self, received: Frame) -> JsonObject:
        if len(received) <= _MAX_INLINE_JSON:
            return parse_message(received, self._options.limits)
        return await self._run_blocking(partial(parse_message, received, self._options.limits))

    async def _execute(self, command: Command) -> None:
        match command:
            case ReportSession(session):
                await self._socket.send(session_event("session.updated", session))
            case SpeakText():
                messages = ResponseMessages(command.id or _new_id("resp"), command.session, command.short)
                await self._enqueue(self._response(messages, command.text))
            case AppendText():
                await self._append(command)
            case CommitText():
                self._commit()
            case CancelResponse(name, played_ms):
                await self._cancel(name, played_ms)
            case TruncateResponse():
                await self._truncate(command)
            case BargeIn():
                await self._cancel_all(command)
            case EndSession():
                self._end_session()

    def _response(self, messages: ResponseMessages, text: str | None = None) -> RealtimeResponse:
        audio = ResponseAudio(messages.session, self._options.encoders, self._run_blocking)
        return RealtimeResponse(
            messages, self._options, text, peer=self._peer, audio=audio, grant=self._grant
        )

    async def _enqueue(self, response: RealtimeResponse) -> None:
        messages = response.messages
        if self._find(messages.id) is not None:
            duplicate = BadRequest(f"Got the id {messages.id!r} again before its response was complete.")
            raise RefusedMessage(duplicate, short=messages.short)
        if (error := self._reason_to_refuse(response)) is not None:
            raise RefusedMessage(error, messages.id, short=messages.short)
        await self._queue.put(response)

    def _reason_to_refuse(self, response: RealtimeResponse) -> SpeechError | None:
        if self._stopping.is_set():
            return _shutting_down()
        if self._queue.is_closed:
            return BadRequest("Got a response after session.end.", hint="Open another connection.")
        if not self._queue.has_room_for(response):
            return Busy(
                Message(
                    "responses_waiting",
                    "This connection already has {count} responses waiting.",
                    count=len(self._queue),
                ),
                hint=Message("wait_for_one", "Wait until one of them is complete."),
            )
        return self._count_speech() or self._spend(response.characters)

    def _spend(self, characters: int, *, requests: int = 1) -> SpeechError | None:
        """Count text by the client's token; return why it may not be spoken, or None."""
        try:
            if self._grant is not None:
                self._grant.spend(characters, requests=requests)
        except SpeechError as error:
            return error
        return None

    async def _append(self, more: AppendText) -> None:
        if self._open is None:
            if not more.text:
                return
            self._open = await self._open_response(more)
        response = self._open
        if more.id is not None and more.id != response.messages.id:
            raise RefusedMessage(
                BadRequest(
                    f"Got text for {more.id!r} while {response.messages.id!r} is open.",
                    hint="Send input.commit first.",
                )
            )
        if response.feed.is_closed:
            return
        if (error := self._spend(len(more.text), requests=0)) is not None:
            response.feed.close()  # what it has is spoken to its end; more is dropped until the next commit
            raise RefusedMessage(error)
        await response.add(more.text)
        if response.meter.error is not None:
            response.feed.close()  # as above: text that goes on behind a gap is not spoken
            raise RefusedMessage(response.meter.error)

    async def _open_response(self, more: AppendText) -> RealtimeResponse:
        response = self._response(ResponseMessages(more.id or _new_id("resp"), more.session))
        try:
            await self._enqueue(response)
        except RefusedMessage:
            # Text up to the next commit belongs to the refused response and is dropped with it.
            response.feed.close()
            self._open = response
            raise
        return response

    def _commit(self) -> None:
        if self._open is None:
            raise RefusedMessage(BadRequest("Got input.commit, but no text was appended."))
        self._close_text()

    def _close_text(self) -> None:
        if self._open is not None:
            self._open.feed.close()
            self._open = None

    async def _cancel(self, name: str | None, played_ms: float | None) -> None:
        response = self._queue.current if name is None else self._find(name)
        if response is None:
            which = "No response" if name is None else f"No response {name!r}"
            raise RefusedMessage(BadRequest(f"{which} is playing or queued."))
        if response is self._open:
            self._open = None
        response.cancel(played_ms)
        if self._queue.remove(response):
            await self._end(response)

    async def _truncate(self, command: TruncateResponse) -> None:
        name = command.id or self._sounding()
        response = self._find(name) if name else None
        transcript = response.transcript if response else self._ended.get(name)
        if name is None or transcript is None:
            raise _not_spoken(name)
        if response is not None:
            await self._cancel(name, command.played_ms)
        heard = transcript.heard(command.played_ms)
        await self._socket.send(truncated_event(name, heard, is_item=command.is_item))

    async def _cancel_all(self, barge: BargeIn) -> None:
        """Cancel all responses. Those before the one that the client plays were heard, those after it not."""
        name = barge.id or self._sounding()
        unfinished, dropped = self._queue.unanswered(), self._queue.clear()
        self._open = None
        names = [response.messages.id for response in unfinished]
        sounding = names.index(name) if name in names else -1
        for number, response in enumerate(unfinished):
            response.cancel(barge.played_ms if number == sounding else None if number < sounding else 0)
        for response in dropped:
            await self._end(response)
        if sounding < 0 and (barge.id is not None or barge.played_ms is not None):
            await self._truncate(TruncateResponse(name, barge.played_ms))

    def _sounding(self) -> str | None:
        """Return the id of the response that a client most likely plays: the current one, else the last."""
        return self._queue.current.messages.id if self._queue.current else self._ended.last

    def _end_session(self) -> None:
        self._close_text()
        self._queue.close()

    def _find(self, name: str) -> RealtimeResponse | None:
        return next((known for known in self._queue.unanswered() if known.messages.id == name), None)

    async def _speak(self) -> None:
        async for response in self._queue:
            if not response.is_stopped:
                await self._send_all(response.messages.started())
            await self._play(response)
            self._queue.finish_current()
            await self._end(response)

    async def _play(self, response: RealtimeResponse) -> None:
        """Stream the response's audio until it ends or is stopped; a failure stops it with that error."""
        try:
            async with response.until_stopped(), self._synthesizer.speak(response.utterance) as stream:
                async for chunk in stream:
                    await self._tell_voice(response, stream.voice)
                    await self._send_chunk(response, chunk)
                await self._send_audio(response, response.audio.rest())
            response.transcript.complete()
        except (RealtimeClientGone, CloseConnection):
            raise
        except RequestCanceled:
            pass
        except SpeechError as error:
            _LOGGER.warning("A response of a realtime client failed: %s", error)
            response.stop(error)
        except Exception as error:
            _LOGGER.exception("A response of a realtime client failed unexpectedly.")
            response.stop(to_speech_error(error))
        finally:
            response.feed.close()
            response.audio.close()

    async def _tell_voice(self, response: RealtimeResponse, voice: SpeakingVoice) -> None:
        if voice != response.voice:
            response.voice = voice
            await self._send_all(response.messages.voice(voice))

    async def _send_chunk(self, response: RealtimeResponse, chunk: AudioChunk) -> None:
        words = [response.timed(word) for word in chunk.words]
        response.transcript.add_words(words)
        await self._send_all(response.messages.words(words))
        if not chunk.first_sample and response.primer:
            await self._send_piece(response, response.primer)
        await self._send_audio(response, response.audio.pieces(chunk))

    async def _send_audio(self, response: RealtimeResponse, pieces: AsyncIterator[AudioPiece]) -> None:
        async for piece in pieces:
            await self._send_piece(response, piece)

    async def _send_piece(self, response: RealtimeResponse, piece: AudioPiece) -> None:
        # Before it is sent: who is cancelled while the client reads too slowly has written it already.
        response.transcript.add_audio(piece.samples, has_sound=piece.has_sound)
        await self._socket.send(response.messages.audio(piece.data))
        self._last_activity = _now()

    async def _end(self, response: RealtimeResponse) -> None:
        """Tell the client that a response has ended, and keep what is needed to tell what was heard of it."""
        self._ended.add(response.messages.id, response.transcript)
        await self._send_all(response.ending())

    async def _send_all(self, frames: Iterable[Frame]) -> None:
        for frame in frames:
            await self._socket.send(frame)


def _shutting_down() -> SpeechError:
    return ShuttingDown(
        _SHUTTING_DOWN, hint=Message("reconnect_when_running", "Reconnect once it is running again.")
    )


def _not_spoken(name: str | None) -> RefusedMessage:
    which = "no response" if name is None else f"response {name!r}, which is none of the last"
    return RefusedMessage(BadRequest(f"Got {which}, expected one that was spoken on this connection."))


def _first_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    first = group.exceptions[0]
    return _first_error(first) if isinstance(first, BaseExceptionGroup) else first


def _new_id(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(8)}"


def _now() -> float:
    return asyncio.get_running_loop().time()
