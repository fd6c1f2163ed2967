"""Benchmark target over the realtime WebSocket: JSON events out, binary PCM in, a response per connection."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from websockets.client import ClientProtocol
from websockets.datastructures import Headers
from websockets.frames import Frame, Opcode
from websockets.uri import parse_uri

from wyoming_tts.bench.options import BenchOptions, Input
from wyoming_tts.bench.targets.http_connection import (
    DEFAULT_SAMPLE_RATE,
    WebAddress,
    measure_voices_latency,
    require_voices,
)
from wyoming_tts.bench.targets.listener import (
    Listener,
    ListenerRequest,
    RequestOutcome,
    TimedWrite,
    count_words_to_sentence_end,
    schedule_words,
)
from wyoming_tts.client import ClientError
from wyoming_tts.http_paths import REALTIME_PATH

_RESPONSE = "bench"
_BYTES_PER_SAMPLE = 2
_SESSION_SECONDS = 5.0


class RealtimeTarget:
    """A server under test, reached over its realtime WebSocket."""

    def __init__(self, uri: str, options: BenchOptions) -> None:
        self._address = WebAddress.parse(uri, options.api_key)
        self._options = options

    async def identify(self, *, streams: bool) -> str:
        """Check that the server opens a session; its name in the table is always `realtime`.

        Raises:
            ClientError: it cannot be reached, or opens no session.
        """
        del streams  # supported either way
        await require_voices(self._address)
        try:
            async with asyncio.timeout(_SESSION_SECONDS):
                listener = await self.connect(ListenerRequest(()))
        except OSError as error:
            raise ClientError(
                f"{self._address.uri} opened no session: {str(error) or 'no answer'}.",
                hint=f"Does it speak at {REALTIME_PATH}?",
            ) from error
        listener.close()
        return "realtime"

    def make_request(self, text: str, input_: Input) -> ListenerRequest:
        """Encode a text as one `response.create`, or word by word."""
        if input_ is Input.PLAIN:
            return ListenerRequest(
                (TimedWrite(0.0, _event("response.create", response_id=_RESPONSE, input=text)),)
            )
        words = schedule_words(text, self._options.words_per_second)
        pieces = [TimedWrite(due, _event("input.append", text=word)) for due, word in words]
        pieces.append(TimedWrite(pieces[-1].due, _event("input.commit")))
        return ListenerRequest(tuple(pieces), sentence_end_piece=count_words_to_sentence_end(text))

    async def connect(self, request: ListenerRequest) -> Listener:
        """Connect a listener and open its session.

        Raises:
            OSError: the connection failed, or the server opened no session.
        """
        session: dict[str, Any] = {"audio": {"format": "pcm", "binary": True}}
        if self._options.voice is not None:
            session["voice"] = self._options.voice
        listener = await self._address.open_connection(
            lambda: RealtimeListener(request, self._address, session)
        )
        try:
            await listener.ready()
        except BaseException:
            listener.close()
            raise
        return listener

    async def measure_describe_latency(self, time_limit: float) -> float | None:
        """Seconds from connecting to the list of voices over HTTP; None if there is none in `time_limit`."""
        return await measure_voices_latency(self._address, time_limit)


class RealtimeListener(Listener):
    """Records the audio of a response; opens its session once connected, which `ready` waits for."""

    def __init__(self, request: ListenerRequest, address: WebAddress, session: dict[str, Any]) -> None:
        super().__init__(request)
        scheme = "wss" if address.is_secure else "ws"
        uri = parse_uri(f"{scheme}://{address.host_and_port}{address.prefix}{REALTIME_PATH}")
        self._websocket = ClientProtocol(uri, max_size=None)
        self._session = session
        self._api_key = address.api_key
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._rate = DEFAULT_SAMPLE_RATE
        self._text = bytearray()
        self._continues: Opcode | None = None

    async def ready(self) -> None:
        """Wait until the session is open; raises OSError if it will not be."""
        await self._ready

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the WebSocket handshake."""
        super().connection_made(transport)
        request = self._websocket.connect()
        if self._api_key is not None:
            request.headers.update(Headers(Authorization=f"Bearer {self._api_key}"))
        self._websocket.send_request(request)
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Record the frames received, at the time of the read."""
        self._mark_active()
        self._websocket.receive_data(data)
        if (refused := self._websocket.handshake_exc) is not None:
            self._fail(str(refused))
        try:
            for event in self._websocket.events_received():
                if isinstance(event, Frame):
                    self._take_frame(event)
        except (ValueError, TypeError, AttributeError, LookupError):
            self._finish(RequestOutcome.CUT_OFF, "not realtime")
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the request as cut off, unless it has ended."""
        self._fail("the connection was closed")
        super().connection_lost(exc)

    def _finish(self, outcome: RequestOutcome, error: str) -> None:
        self._fail(f"the session was {outcome}, {error}")
        super()._finish(outcome, error)

    def _fail(self, reason: str) -> None:
        if not self._ready.done():
            self._ready.set_exception(ConnectionError(reason))

    def _flush(self) -> None:
        assert self._transport is not None, "it has no connection"
        for data in self._websocket.data_to_send():
            if data:
                self._transport.write(data)

    def _take_frame(self, frame: Frame) -> None:
        opcode = self._continues if frame.opcode is Opcode.CONT else frame.opcode
        if opcode is Opcode.BINARY:
            self._record_audio(len(frame.data) / (_BYTES_PER_SAMPLE * self._rate))
        elif opcode is Opcode.TEXT:
            self._take_text(frame)
        if frame.opcode in {Opcode.CONT, Opcode.TEXT, Opcode.BINARY}:
            self._continues = None if frame.fin else opcode

    def _take_text(self, frame: Frame) -> None:
        self._text += frame.data
        if frame.fin:
            event = json.loads(self._text)
            self._text.clear()
            self._take_event(event["type"], event)

    def _take_event(self, kind: str, event: dict[str, Any]) -> None:
        match kind:
            case "session.created":
                self._take_rate(event)
                self._write(_event("session.update", session=self._session))
            case "session.updated":
                self._take_rate(event)
                if not self._ready.done():
                    self._ready.set_result(None)
            case "response.output_audio.delta":
                self._record_audio(_decoded_bytes(event["delta"]) / (_BYTES_PER_SAMPLE * self._rate))
            case "response.completed" if self._all_written:
                self._finish_spoken()
            case "response.canceled":
                self._finish(RequestOutcome.CUT_OFF, "canceled")
            case "response.error" | "error":
                self._finish(RequestOutcome.REFUSED, _error_code(event))

    def _take_rate(self, event: dict[str, Any]) -> None:
        self._rate = int(event.get("session", {}).get("audio", {}).get("sample_rate") or self._rate)

    def _write(self, data: bytes) -> None:
        assert self._transport is not None, "it has no connection"
        self._transport.write(data)


def _event(kind: str, **fields: object) -> bytes:
    """Encode an event as a masked text frame."""
    data = json.dumps({"type": kind, **fields}).encode()
    return Frame(Opcode.TEXT, data).serialize(mask=True)


def _decoded_bytes(base64: str) -> int:
    return len(base64) * 3 // 4 - base64[-2:].count("=")


def _error_code(event: dict[str, Any]) -> str:
    inner = event.get("error")
    error = inner if isinstance(inner, dict) else event
    return str(error.get("code") or "error")
