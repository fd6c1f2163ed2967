"""Speech responses over HTTP: audio streamed as it is computed, as server-sent events, or as a whole.

The response starts only once the first audio is there, so that earlier failures get a status of their own. A
later failure, or a client that disconnects, ends the stream within one step and truncates the body.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, closing, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from wyoming_tts.blocking import RunBlocking
from wyoming_tts.encoders import Encoder, EncoderOptions, Encoding, make_encoder, media_type
from wyoming_tts.errors import BadRequest, ErrorCode, TooLong, UnknownVoice, Unsupported, to_speech_error
from wyoming_tts.speech import AudioChunk, Utterance
from wyoming_tts.transports.access import subscriber
from wyoming_tts.transports.backpressure import ClientStalled
from wyoming_tts.transports.http.errors import InvalidField, UnknownLanguage, UnsupportedFormat, error_content
from wyoming_tts.transports.http.speech_request import HttpOptions, SpeechRequest
from wyoming_tts.transports.interfaces import AudioStream, SpeechSynthesis

EVENTS = "text/event-stream"
IGNORED = "X-Ignored"
SAMPLE_RATE = "X-Sample-Rate"

_UNBUFFERED = {"X-Accel-Buffering": "no", "Cache-Control": "no-store", "Accept-Ranges": "none"}
_SILENCE_ENCODINGS = frozenset({Encoding.PCM, Encoding.WAV})
"""Encodings that can start with silence; compressed silence is too small to fill a proxy's buffer."""
_TOKENS_PER_SECOND = 20
"""Tokens per second of audio, as OpenAI counts them."""
_WRITE_BYTES = 64 * 1024
"""Bytes sent at a time, so that a stalled client is noticed in the middle of a large body."""


@dataclass(frozen=True, slots=True)
class SpeechContext:
    """The dependencies of a speech response."""

    service: SpeechSynthesis
    options: HttpOptions
    run_blocking: RunBlocking


class SpeechResponse(Response):
    """An ASGI response that speaks while the client stays connected."""

    def __init__(self, context: SpeechContext, request: SpeechRequest) -> None:
        super().__init__(media_type=EVENTS if request.as_events else media_type(request.encoding))
        self._context = context
        self._request = request

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response; returns early when the client disconnects.

        Raises:
            SpeechError: before the response starts, or in the middle of its body.
        """
        client = scope.get("client")
        if client:
            utterance = replace(self._request.utterance, peer=subscriber(client[0]))
            self._request = replace(self._request, utterance=utterance)
        await run_while_connected(receive, self._answer(send))

    async def _answer(self, send: Send) -> None:
        if self._request.as_a_whole and not self._request.as_events:
            async with self._open_stream() as (audio, pieces):
                body = await _collect(pieces, self._context.options.max_buffered_bytes)
                head = audio.head()
                body[: len(head)] = head
            await self._send_whole(send, body, audio.rate)
            return
        async with self._open_stream() as (audio, pieces):
            await _send_start(send, self._headers_at(audio.rate))
            if self._request.as_events:
                await self._send_events(send, pieces, audio)
            else:
                await self._send_audio(send, pieces)

    @asynccontextmanager
    async def _open_stream(self) -> AsyncIterator[tuple[StreamEncoder, AsyncIterator[bytes]]]:
        """Yield the encoder once the first audio is there, and its output in pieces, some of them empty."""
        context, request = self._context, self._request
        async with AsyncExitStack() as stack:
            stream = await _enter_stream(stack, context.service, request.utterance)
            encoder = stack.enter_context(
                closing(await _open_encoder(request.encoding, stream.format.rate, context))
            )
            audio = StreamEncoder(encoder, context.run_blocking)
            chunks = aiter(stream)
            first = await anext(chunks, None)
            silence = bytes(self._silence_bytes())
            pieces = audio.encode(silence, first.pcm if first else b"", chunks)
            yield audio, await stack.enter_async_context(aclosing(pieces))

    async def _send_audio(self, send: Send, pieces: AsyncIterator[bytes]) -> None:
        async for piece in pieces:
            if piece:
                await _send_body(send, piece)
        await _send_body(send, b"", more=False)

    async def _send_events(self, send: Send, pieces: AsyncIterator[bytes], audio: StreamEncoder) -> None:
        try:
            async for piece in pieces:
                if not piece:
                    continue
                delta = base64.b64encode(piece).decode()
                await _send_body(send, _format_event({"type": "speech.audio.delta", "audio": delta}))
        except ClientStalled:
            raise
        except Exception as error:
            content = error_content(to_speech_error(error), self._request.utterance.id)
            await _send_body(send, _format_event({"type": "error", **content}))
            raise
        usage = _usage(self._request.characters, audio.seconds)
        await _send_body(send, _format_event({"type": "speech.audio.done", "usage": usage}), more=False)

    async def _send_whole(self, send: Send, body: bytearray, rate: int) -> None:
        await _send_start(send, {**self._headers_at(rate), "Content-Length": str(len(body))})
        for start in range(0, len(body), _WRITE_BYTES):
            await _send_body(send, bytes(body[start : start + _WRITE_BYTES]))
        await _send_body(send, b"", more=False)

    def _silence_bytes(self) -> int:
        has_silence = self._request.encoding in _SILENCE_ENCODINGS and not self._request.as_a_whole
        return self._context.options.stream_prime_bytes // 2 * 2 if has_silence else 0

    def _headers_at(self, rate: int) -> dict[str, str]:
        headers = {"Content-Type": str(self.media_type), SAMPLE_RATE: str(rate), **_UNBUFFERED}
        if self._request.ignored:
            headers[IGNORED] = ", ".join(self._request.ignored)
        return headers


class StreamEncoder:
    """Encodes the audio of one stream, on a worker where the encoder is CPU-bound."""

    def __init__(self, encoder: Encoder, run_blocking: RunBlocking) -> None:
        self._encoder = encoder
        self._run_blocking = run_blocking
        self._bytes = 0

    @property
    def rate(self) -> int:
        """Hz of the encoded audio."""
        return self._encoder.rate

    @property
    def seconds(self) -> float:
        """Seconds of audio encoded so far."""
        return self._bytes / 2 / self._encoder.rate

    def head(self) -> bytes:
        """As `Encoder.head`."""
        return self._encoder.head()

    async def encode(
        self, silence: bytes, first: bytes, chunks: AsyncIterator[AudioChunk]
    ) -> AsyncGenerator[bytes, None]:
        """Encode silence, the first audio and the following chunks; yields pieces, which may be empty."""
        yield await self._encode(silence + first)
        async for chunk in chunks:
            yield await self._encode(chunk.pcm)
        yield await self._finish()

    async def _encode(self, pcm: bytes) -> bytes:
        self._bytes += len(pcm)
        if not self._encoder.is_cpu_bound:
            return self._encoder.encode(pcm)
        return await _run_uninterrupted(self._run_blocking(partial(self._encoder.encode, pcm)))

    async def _finish(self) -> bytes:
        if not self._encoder.is_cpu_bound:
            return self._encoder.finish()
        return await _run_uninterrupted(self._run_blocking(self._encoder.finish))


async def run_while_connected(receive: Receive, work: Coroutine[Any, Any, None]) -> None:
    """Run work until it ends or the client disconnects. The request body must have been read before."""
    working = asyncio.ensure_future(work)
    disconnect = asyncio.ensure_future(_wait_for_disconnect(receive))
    try:
        await asyncio.wait((working, disconnect), return_when=asyncio.FIRST_COMPLETED)
    finally:
        disconnect.cancel()
        if not working.done():
            working.cancel()
        await asyncio.wait((working, disconnect))
    for task in (working, disconnect):
        if not task.cancelled():
            task.result()


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _run_uninterrupted(work: Any) -> bytes:
    """Await work to its end even when cancelled, because its encoder is closed next."""
    running = asyncio.ensure_future(work)
    try:
        encoded: bytes = await asyncio.shield(running)
    except asyncio.CancelledError:
        with suppress(Exception):
            await running
        raise
    return encoded


async def _enter_stream(stack: AsyncExitStack, service: SpeechSynthesis, utterance: Utterance) -> AudioStream:
    try:
        return await stack.enter_async_context(service.speak(utterance))
    except UnknownVoice as error:
        if utterance.voice.name is not None or utterance.voice.language is None:
            raise
        raise UnknownLanguage(error.message, hint=error.hint) from error
    except BadRequest as error:  # entering only resolves the voice
        if error.code not in {ErrorCode.BAD_REQUEST, ErrorCode.TOO_LONG}:
            raise
        raise InvalidField(error.message, param="voice", hint=error.hint) from error


async def _open_encoder(encoding: Encoding, rate: int, context: SpeechContext) -> Encoder:
    if encoding in _SILENCE_ENCODINGS:
        return make_encoder(encoding, rate)
    options: EncoderOptions = context.options.encoders
    try:
        return await context.run_blocking(partial(make_encoder, encoding, rate, options))
    except Unsupported as error:
        raise UnsupportedFormat(error.message, hint=error.hint) from error


async def _collect(pieces: AsyncIterator[bytes], max_bytes: int) -> bytearray:
    collected = bytearray()
    async for piece in pieces:
        collected += piece
        if len(collected) > max_bytes:
            raise TooLong(
                f"The audio exceeds the limit of {max_bytes // 1024**2} MB for a response sent as a whole.",
                hint="Omit `stream`.",
            )
    return collected


def _usage(characters: int, seconds: float) -> dict[str, int]:
    """Count usage in OpenAI's shape; input tokens are characters here."""
    tokens = round(seconds * _TOKENS_PER_SECOND)
    return {"input_tokens": characters, "output_tokens": tokens, "total_tokens": characters + tokens}


def _format_event(content: dict[str, object]) -> bytes:
    return f"data: {json.dumps(content)}\n\n".encode()


async def _send_start(send: Send, headers: dict[str, str]) -> None:
    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": 200, "headers": raw})


async def _send_body(send: Send, body: bytes, *, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more})
