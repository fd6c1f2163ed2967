"""Speech clients over the web, for stream tests: OpenAI's `/v1/audio/speech`, and the realtime WebSocket.

They have the form of `client.speak`, and raise the same errors. Unlike those of `bench.targets`, which only
measure, they pass on the audio and the words that are heard.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import ssl
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any

import h11
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, WebSocketException

from wyoming_tts.bench.targets.http_connection import DEFAULT_SAMPLE_RATE, HttpReplyParser, WebAddress
from wyoming_tts.bounded_json import JsonLimits, parse_json
from wyoming_tts.client import ClientError, ClientTimeouts, ConnectionLost, OnAudio, OnWords, ServerError
from wyoming_tts.client.errors import connection_lost, no_answer_within, no_connection
from wyoming_tts.http_paths import REALTIME_PATH, SPEECH_PATH
from wyoming_tts.messages import Message
from wyoming_tts.page.direct_websocket import DirectWebSocket
from wyoming_tts.page.stream_test.targets import StreamTestTarget
from wyoming_tts.speech import AudioFormat, SpokenWord
from wyoming_tts.system_reasons import system_reason

_OK = 200
_READ_BYTES = 65_536
_MAX_ERROR_BYTES = 65_536
_MAX_MESSAGE_BYTES = 1 << 20
_JSON_LIMITS = JsonLimits(values=10_000)
"""Of a message: a thousand words, which take 5 ms to parse."""
_MAX_RATE = 768_000
_RAW_TYPES = {"audio/pcm", "audio/l16", "audio/raw", "audio/x-raw"}
_MALFORMED = (LookupError, TypeError, ValueError, AttributeError)


def _address(server: StreamTestTarget) -> WebAddress:
    return WebAddress.parse(server.uri, server.api_key)


def _tls(server: StreamTestTarget) -> ssl.SSLContext | None:
    if not server.uri.startswith("https:"):
        return None
    context = ssl.create_default_context()
    if server.is_own:  # its certificate names its public host, not the address by which it is reached here
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


async def speak_over_http(
    server: StreamTestTarget,
    pieces: AsyncIterable[str],
    *,
    on_audio: OnAudio,
    on_words: OnWords,
    voice: str | None,
    timeouts: ClientTimeouts,
) -> None:
    """Have a server speak a text over OpenAI's HTTP API, which takes all of it at once and tells no words.

    Raises:
        ClientError: as for `client.speak`.
    """
    del on_words
    async with _opened(server, timeouts.connect) as (reader, writer):
        text = "".join([piece async for piece in pieces])
        body = {"model": "tts-1", "input": text, "response_format": "pcm", "stream": True}
        writer.write(
            _address(server).request("POST", SPEECH_PATH, body | ({"voice": voice} if voice else {}))
        )
        reply = _HttpReply(server.uri, on_audio)
        while not reply.is_over:
            try:
                async with asyncio.timeout(timeouts.answer):
                    data = await reader.read(_READ_BYTES)
            except TimeoutError:
                raise _silence(server, timeouts.answer) from None
            except OSError as error:
                raise _lost(server, system_reason(error)) from error
            await reply.receive(data)


@contextlib.asynccontextmanager
async def _opened(
    server: StreamTestTarget, seconds: float
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    address = _address(server)
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection(address.host, address.port, ssl=_tls(server))
    except TimeoutError:
        raise _unreachable(server, no_answer_within(seconds)) from None
    except OSError as error:
        raise _unreachable(server, system_reason(error)) from error
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


class _HttpReply:
    """The reply to a speech request, whose body is 16-bit mono PCM, or an error."""

    def __init__(self, uri: str, on_audio: OnAudio) -> None:
        self._uri = uri
        self._on_audio = on_audio
        self._parser = HttpReplyParser()
        self._format = AudioFormat(DEFAULT_SAMPLE_RATE)
        self._status = 0
        self._held = b""
        self._error_body = bytearray()
        self.is_over = False

    async def receive(self, data: bytes) -> None:
        """Take what was read, nothing at the end of the connection."""
        try:
            for event in self._parser.feed(data):
                await self._take(event)
        except h11.RemoteProtocolError as error:
            if data or not self._status:
                raise ClientError(
                    Message("not_http", "{uri} sent something that is not HTTP.", uri=self._uri),
                    hint=Message("is_http_port", "Is it the port of its HTTP API?"),
                ) from error
            raise ConnectionLost(
                Message(
                    "closed_early", "{uri} closed the connection before the end of the speech.", uri=self._uri
                )
            ) from None

    async def _take(self, event: h11.Event) -> None:
        if isinstance(event, h11.Response):
            await self._begin(event)
        elif isinstance(event, h11.Data):
            await self._take_body(bytes(event.data))
        elif isinstance(event, h11.EndOfMessage):
            self.is_over = True
            if self._status != _OK:
                raise _error_of(bytes(self._error_body), f"http {self._status}")

    async def _begin(self, response: h11.Response) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in response.headers}
        self._status = response.status_code
        if self._status != _OK:
            return
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind.startswith("audio/") and kind not in _RAW_TYPES:
            raise ClientError(
                Message("not_pcm", "{uri} sent {kind}; raw PCM was expected.", uri=self._uri, kind=kind)
            )
        self._format = AudioFormat(_checked_rate(headers.get("x-sample-rate")))
        await self._on_audio(self._format, b"")

    async def _take_body(self, data: bytes) -> None:
        if self._status != _OK:
            self._error_body += data[: _MAX_ERROR_BYTES - len(self._error_body)]
            return
        data = self._held + data
        whole = len(data) - len(data) % self._format.frame_bytes
        self._held = data[whole:]
        if whole:
            await self._on_audio(self._format, data[:whole])


def _checked_rate(told: Any) -> int:
    """Return the sample rate that a server tells, or the usual one."""
    try:
        rate = int(told)
    except (TypeError, ValueError):
        return DEFAULT_SAMPLE_RATE
    return rate if 0 < rate <= _MAX_RATE else DEFAULT_SAMPLE_RATE


async def speak_over_realtime(
    server: StreamTestTarget,
    pieces: AsyncIterable[str],
    *,
    on_audio: OnAudio,
    on_words: OnWords,
    voice: str | None,
    timeouts: ClientTimeouts,
) -> None:
    """Have a server speak a text over its realtime WebSocket, each piece sent as it comes.

    Raises:
        ClientError: as for `client.speak`.
    """
    address = _address(server)
    scheme = "wss" if address.is_secure else "ws"
    headers = {"Authorization": f"Bearer {server.api_key}"} if server.api_key else {}
    try:
        async with DirectWebSocket(  # a redirect could lead to a server that must not be tested
            f"{scheme}://{address.host_and_port}{REALTIME_PATH}",
            additional_headers=headers,
            max_size=_MAX_MESSAGE_BYTES,
            open_timeout=timeouts.connect,
            close_timeout=1.0,
            ssl=_tls(server),
        ) as socket:
            exchange = _RealtimeExchange(
                server, socket, on_audio=on_audio, on_words=on_words, answer=timeouts.answer
            )
            await exchange.speak(pieces, voice)
    except TimeoutError:
        raise _unreachable(server, no_answer_within(timeouts.connect)) from None
    except OSError as error:
        raise _unreachable(server, system_reason(error)) from error
    except WebSocketException as error:
        raise _lost(server, str(error)) from error


class _RealtimeExchange:
    """One response on one realtime connection."""

    def __init__(
        self,
        server: StreamTestTarget,
        socket: ClientConnection,
        *,
        on_audio: OnAudio,
        on_words: OnWords,
        answer: float,
    ) -> None:
        self._server = server
        self._socket = socket
        self._on_audio = on_audio
        self._on_words = on_words
        self._answer = answer
        self._format = AudioFormat(DEFAULT_SAMPLE_RATE)
        self._text_sent = False
        self._reading: asyncio.Timeout | None = None

    async def speak(self, pieces: AsyncIterable[str], voice: str | None) -> None:
        """Open a session, send the text and read the reply to its end."""
        session = {"audio": {"format": "pcm", "binary": True}, **({"voice": voice} if voice else {})}
        await self._send("session.update", session=session)
        while await self._receive(self._answer) != "session.updated":
            pass
        await self._on_audio(self._format, b"")
        try:
            async with asyncio.TaskGroup() as tasks:
                sending = tasks.create_task(self._send_text(pieces))
                await self._receive_speech()
                sending.cancel()
        except ExceptionGroup as group:
            # The first failure is the cause; the other task was only cancelled.
            raise group.exceptions[0] from None

    async def _send(self, kind: str, **fields: object) -> None:
        await self._socket.send(json.dumps({"type": kind, **fields}))

    async def _send_text(self, pieces: AsyncIterable[str]) -> None:
        with contextlib.suppress(ConnectionClosed):  # the reader meets it, too
            async for piece in pieces:
                await self._send("input.append", text=piece)
            await self._send("input.commit")
        self._text_sent = True
        if self._reading is not None and self._reading.when() is None:
            self._reading.reschedule(asyncio.get_running_loop().time() + self._answer)

    async def _receive_speech(self) -> None:
        # The text may still be being written: no reply is due before all of it was sent.
        while await self._receive(self._answer if self._text_sent else None) != "response.completed":
            pass

    async def _receive(self, seconds: float | None) -> str:
        """Receive and handle a message; returns its type, "" for audio."""
        try:
            async with asyncio.timeout(seconds) as self._reading:
                message = await self._socket.recv()
        except TimeoutError:
            raise _silence(self._server, self._answer) from None
        finally:
            self._reading = None
        try:
            if isinstance(message, bytes):
                await self._take_audio(message)
                return ""
            event = parse_json(message, _JSON_LIMITS)
            return await self._handle(str(event["type"]), event)
        except _MALFORMED as error:
            raise ClientError(
                Message(
                    "malformed",
                    "{uri} sent a malformed message: {reason}.",
                    uri=self._server.uri,
                    reason=repr(error),
                )
            ) from error

    async def _take_audio(self, pcm: bytes) -> None:
        if len(pcm) % self._format.frame_bytes:
            raise ValueError(f"{len(pcm)} bytes of 16-bit audio")
        await self._on_audio(self._format, pcm)

    async def _handle(self, kind: str, event: dict[str, Any]) -> str:
        match kind:
            case "session.created" | "session.updated":
                self._format = AudioFormat(_checked_rate(event["session"]["audio"].get("sample_rate")))
            case "response.output_audio.words":
                self._on_words(tuple(map(_word, event["words"])))
            case "response.output_audio.delta":
                await self._take_audio(base64.b64decode(event["delta"]))
            case "response.canceled":
                raise ClientError(
                    Message("was_cancelled", "{uri} cancelled the speech.", uri=self._server.uri)
                )
            case "response.error" | "error":
                inner = event["error"] if isinstance(event.get("error"), dict) else event
                raise ServerError(str(inner.get("message", "")), str(inner.get("code") or "error"))
        return kind


def _word(told: dict[str, Any]) -> SpokenWord:
    return SpokenWord(
        str(told["word"]),
        int(told["begin"]),
        int(told["end"]),
        int(told["utf16_begin"]),
        int(told["utf16_end"]),
        int(told["start_ms"]) / 1000,
        int(told["end_ms"]) / 1000,
        estimated=told.get("estimated") is True,
    )


def _error_of(body: bytes, code: str) -> ServerError:
    """Return the error that a server tells in OpenAI's format."""
    try:
        error = parse_json(body, _JSON_LIMITS)["error"]
        return ServerError(str(error["message"]), str(error.get("code") or code))
    except _MALFORMED:
        return ServerError(Message("no_reason_given", "it gave no reason"), code)


def _unreachable(server: StreamTestTarget, reason: str) -> ClientError:
    return ClientError(
        no_connection(server.uri, reason), hint=Message("is_http_port", "Is it the port of its HTTP API?")
    )


def _lost(server: StreamTestTarget, reason: str) -> ConnectionLost:
    return connection_lost(server.uri, reason)


def _silence(server: StreamTestTarget, seconds: float) -> ClientError:
    return ClientError(
        Message("sent_nothing", "{uri} sent nothing for {seconds} s.", uri=server.uri, seconds=f"{seconds:g}")
    )
