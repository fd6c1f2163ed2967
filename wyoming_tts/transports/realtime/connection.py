"""One client of the realtime WebSocket: what it asks for, in order, until it leaves.

Two tasks share a connection. The reading one obeys messages and never waits for audio, so that a
`barge` is heard while a response plays. The speaking one plays one response after the other; of one that
is cancelled the client is told only when the work for it has ended. Whatever waits is bounded by the
number of responses and by their text, so reading pauses only for a client that does not take its answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Iterable
from functools import partial

from starlette.websockets import WebSocket

from wyoming_tts.blocking import RunBlocking
from wyoming_tts.errors import BadRequest, Busy, ShuttingDown, SpeechError, to_speech_error
from wyoming_tts.transports.backpressure import RequestCanceled, RequestQueue
from wyoming_tts.transports.framing import split_into_frames
from wyoming_tts.transports.ports import SpeechSynthesis
from wyoming_tts.transports.realtime.answers import ResponseMessages, refusal, session_event
from wyoming_tts.transports.realtime.protocol import (
    AppendText,
    BargeIn,
    CancelResponse,
    Command,
    CommitText,
    EndSession,
    Frame,
    Message,
    RealtimeProtocol,
    RealtimeSession,
    RefusedMessage,
    ReportSession,
    SpeakText,
    get_event_id,
    parse_message,
    too_long_error,
)
from wyoming_tts.transports.realtime.response import RealtimeOptions, RealtimeResponse
from wyoming_tts.transports.realtime.wire import (
    CLOSING_TIME,
    FAILED,
    GOING_AWAY,
    CloseConnection,
    RealtimeClientGone,
    RealtimeSocket,
)

_GOING_DOWN = "The server is going down."
_QUICKLY_PARSED = 32_768
"""Bytes or characters of JSON that are read on the event loop: well below a millisecond."""
_FRAME_SAMPLES = 8_192
"""Of one message: a third of a second at 24 kHz."""

_LOGGER = logging.getLogger(__name__)


class RealtimeConnection:
    """Serves one client over a socket that was accepted."""

    def __init__(
        self,
        socket: WebSocket,
        *,
        synthesizer: SpeechSynthesis,
        options: RealtimeOptions,
        run_blocking: RunBlocking,
        stopping: asyncio.Event,
    ) -> None:
        """Once `stopping` is set no new response is taken, and it closes when there is none left."""
        self._wire = RealtimeSocket(socket, send_timeout=options.send_timeout)
        self._synthesizer = synthesizer
        self._options = options
        self._run_blocking = run_blocking
        self._stopping = stopping
        self._conversation = RealtimeProtocol(RealtimeSession(_new_id("sess")), options.limits)
        self._backlog = RequestQueue[RealtimeResponse](options.queued, most_characters=options.queued_chars)
        self._open: RealtimeResponse | None = None
        """What the client still appends text to; may be refused or over, then its text is dropped."""
        self._active = _now()
        """When a message came or audio went."""

    async def run(self) -> None:
        """Serve until the client has gone, or there is a reason to close; closed afterwards.

        Cancelled, it tells the client that the server is going down, which takes a moment at most.
        """
        try:
            await self._wire.accept()
            code, reason = await self._serve()
            await self._wire.close(code, reason)
        except RealtimeClientGone as gone:
            _LOGGER.debug("A realtime client left: %s", gone)
        except asyncio.CancelledError:
            await self._take_leave()
            raise

    async def _take_leave(self) -> None:
        with contextlib.suppress(TimeoutError, RealtimeClientGone, CloseConnection):
            async with asyncio.timeout(CLOSING_TIME):
                for response in self._backlog.unanswered():
                    response.stop(_going_down())
                    await self._send_all(response.ending())
        await self._wire.close(GOING_AWAY, _GOING_DOWN)

    async def _serve(self) -> tuple[int, str]:
        """Return the close code and its reason."""
        closing: BaseException | None = None
        try:
            await self._converse()
        except* (CloseConnection, RealtimeClientGone) as reasons:
            closing = _first(reasons)
        except* Exception:
            _LOGGER.exception("A realtime connection failed.")
            closing = CloseConnection(FAILED, "The server failed; its log has the details.")
        if isinstance(closing, CloseConnection):
            return closing.code, closing.reason
        if closing is not None:
            raise closing
        return (GOING_AWAY, _GOING_DOWN) if self._stopping.is_set() else (1000, "")

    async def _converse(self) -> None:
        async with asyncio.TaskGroup() as group:
            await self._wire.send(session_event("session.created", self._conversation.session))
            helpers = [group.create_task(self._read()), group.create_task(self._watch())]
            await self._speak()
            for helper in helpers:
                helper.cancel()

    async def _watch(self) -> None:
        """Have the speaking task end with what there is, when the server begins to stop."""
        await self._stopping.wait()
        self._backlog.close()

    async def _read(self) -> None:
        while True:
            received = await self._receive()
            self._active = _now()
            await self._hear(received)

    async def _receive(self) -> Frame:
        idle = self._options.idle_timeout
        while (deadline := self._active + idle) > _now():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(deadline):
                    return await self._wire.receive()
        raise CloseConnection(1000, f"No message and no audio for {idle:g} s.")

    async def _hear(self, received: Frame) -> None:
        message: Message = {}
        try:
            message = await self._parsed(received)
            for command in self._conversation.receive(message):
                await self._obey(command)
        except RefusedMessage as refused:
            refused.event_id = get_event_id(message)
            await self._wire.send(refusal(refused))

    async def _parsed(self, received: Frame) -> Message:
        if len(received) <= _QUICKLY_PARSED:
            return parse_message(received, self._options.limits)
        return await self._run_blocking(partial(parse_message, received, self._options.limits))

    async def _obey(self, command: Command) -> None:
        match command:
            case ReportSession(session):
                await self._wire.send(session_event("session.updated", session))
            case SpeakText():
                answer = ResponseMessages(command.id or _new_id("resp"), command.session, command.short)
                await self._put(RealtimeResponse(answer, self._options, command.text))
            case AppendText():
                await self._append(command)
            case CommitText():
                self._commit()
            case CancelResponse(name):
                await self._cancel(name)
            case BargeIn():
                await self._barge()
            case EndSession():
                self._end_session()

    async def _put(self, response: RealtimeResponse) -> None:
        answer = response.answer
        if self._found(answer.id) is not None:
            error = BadRequest(f"Got {answer.id!r} again, which is not complete yet.")
            raise RefusedMessage(error, short=answer.short)
        if (refused := self._reason_against(response)) is not None:
            raise RefusedMessage(refused, answer.id, short=answer.short)
        await self._backlog.put(response)

    def _reason_against(self, response: RealtimeResponse) -> SpeechError | None:
        if self._stopping.is_set():
            return _going_down()
        if self._backlog.is_closed:
            return BadRequest("Got a response after session.end.", hint="Open another connection.")
        if not self._backlog.has_room_for(response):
            return Busy(
                f"{len(self._backlog)} responses of this connection are waiting.",
                hint="Wait until one is complete.",
            )
        return None

    async def _append(self, more: AppendText) -> None:
        if self._open is None:
            if not more.text:
                return
            self._open = await self._opened(more)
        response, limits = self._open, self._options.limits
        if more.id is not None and more.id != response.answer.id:
            raise RefusedMessage(
                BadRequest(
                    f"Got text for {more.id!r} while {response.answer.id!r} is being written.",
                    hint="Send input.commit first.",
                )
            )
        if response.feed.is_closed:
            return
        if response.characters + len(more.text) > limits.text_chars:
            raise RefusedMessage(too_long_error(response.characters + len(more.text), limits))
        await response.add(more.text)

    async def _opened(self, more: AppendText) -> RealtimeResponse:
        response = RealtimeResponse(ResponseMessages(more.id or _new_id("resp"), more.session), self._options)
        try:
            await self._put(response)
        except RefusedMessage:
            # What else is appended up to the commit belongs to it and is dropped with it.
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

    async def _cancel(self, name: str | None) -> None:
        response = self._backlog.current if name is None else self._found(name)
        if response is None:
            which = "No response" if name is None else f"No response {name!r}"
            raise RefusedMessage(BadRequest(f"{which} is playing or waiting."))
        if response is self._open:
            self._open = None
        response.stop(RequestCanceled())
        if self._backlog.remove(response):
            await self._send_all(response.ending())

    async def _barge(self) -> None:
        dropped = self._backlog.clear()
        self._open = None
        if self._backlog.current is not None:
            self._backlog.current.stop(RequestCanceled())
        for response in dropped:
            response.stop(RequestCanceled())
            await self._send_all(response.ending())

    def _end_session(self) -> None:
        self._close_text()
        self._backlog.close()

    def _found(self, name: str) -> RealtimeResponse | None:
        return next((known for known in self._backlog.unanswered() if known.answer.id == name), None)

    async def _speak(self) -> None:
        async for response in self._backlog:
            if not response.is_stopped:
                await self._send_all(response.answer.begun())
            await self._play(response)
            self._backlog.answered()
            await self._send_all(response.ending())

    async def _play(self, response: RealtimeResponse) -> None:
        """Send the audio, unless it is stopped; what it fails by stops it."""
        try:
            async with response.unless_stopped(), self._synthesizer.speak(response.utterance) as stream:
                async for chunk in stream:
                    for frame in split_into_frames(chunk, _FRAME_SAMPLES):
                        await self._wire.send(response.answer.audio(frame.pcm))
                        self._active = _now()
        except (RealtimeClientGone, CloseConnection):
            raise
        except RequestCanceled:
            pass
        except SpeechError as error:
            _LOGGER.warning("Told a realtime client: %s", error)
            response.stop(error)
        except Exception as error:
            _LOGGER.exception("An utterance of a realtime client failed.")
            response.stop(to_speech_error(error))
        finally:
            response.feed.close()

    async def _send_all(self, frames: Iterable[Frame]) -> None:
        for frame in frames:
            await self._wire.send(frame)


def _going_down() -> SpeechError:
    return ShuttingDown(_GOING_DOWN, hint="Connect again when it is back.")


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


def _new_id(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(8)}"


def _now() -> float:
    return asyncio.get_running_loop().time()
