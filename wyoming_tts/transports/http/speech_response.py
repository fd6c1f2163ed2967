"""Speech as the body of an HTTP response: as it is made, in events, or as a whole.

The first audio is there before the response starts, so that whatever fails until then has a status of its
own. Later failures and clients that leave end the stream within one step; the body is then cut off.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, closing, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from wyoming_tts.blocking import RunBlocking
from wyoming_tts.encoders import Encoder, EncoderOptions, Encoding, make_encoder, media_type, wav_header
from wyoming_tts.errors import BadRequest, ErrorCode, TooLong, UnknownVoice, Unsupported, to_speech_error
from wyoming_tts.speech import AudioChunk, Utterance
from wyoming_tts.transports.http.errors import InvalidField, UnknownLanguage, UnsupportedFormat, error_content
from wyoming_tts.transports.http.request_lifecycle import ClientStalled
from wyoming_tts.transports.http.speech_request import HttpOptions, SpeechRequest
from wyoming_tts.transports.ports import AudioStream, SpeechSynthesis

EVENTS = "text/event-stream"
IGNORED = "X-Ignored"
SAMPLE_RATE = "X-Sample-Rate"

_UNBUFFERED = {"X-Accel-Buffering": "no", "Cache-Control": "no-store", "Accept-Ranges": "none"}
_PRIMED = frozenset({Encoding.PCM, Encoding.WAV})
"""What holds PCM; encoded silence would be too small to push anything."""
_TOKENS_PER_SECOND = 20
"""Of audio, as OpenAI counts them."""
_WAV_HEADER_BYTES = 44
_SENT_AT_ONCE = 64 * 1024
"""Bytes, so that a slow client is noticed in the middle of a large body."""


@dataclass(frozen=True, slots=True)
class SpeechContext:
    """What a response needs to speak."""

    service: SpeechSynthesis
    options: HttpOptions
    run_blocking: RunBlocking


class SpeechResponse(Response):
    """Speaks when it is called, for as long as the client is there."""

    def __init__(self, speaking: SpeechContext, wanted: SpeechRequest) -> None:
        super().__init__(media_type=EVENTS if wanted.as_events else media_type(wanted.encoding))
        self._speaking = speaking
        self._wanted = wanted

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; returns early when the client leaves.

        Raises:
            SpeechError: before the response has started, or in the middle of its body.
        """
        await run_while_connected(receive, self._answer(send))

    async def _answer(self, send: Send) -> None:
        if self._wanted.as_a_whole and not self._wanted.as_events:
            async with self._sounding() as (sound, pieces):
                body = await _gathered(pieces, self._speaking.options.max_buffered_bytes)
            await self._send_whole(send, body, sound.rate)
            return
        async with self._sounding() as (sound, pieces):
            await _start(send, self._headers_at(sound.rate))
            if self._wanted.as_events:
                await self._send_events(send, pieces, sound)
            else:
                await self._send_audio(send, pieces)

    @asynccontextmanager
    async def _sounding(self) -> AsyncIterator[tuple[StreamEncoder, AsyncIterator[bytes]]]:
        """Give the sound once its first audio is there, and its encoded pieces, some of them empty."""
        speaking, wanted = self._speaking, self._wanted
        async with AsyncExitStack() as stack:
            stream = await _entered(stack, speaking.service, wanted.utterance)
            encoder = stack.enter_context(
                closing(await _encoder(wanted.encoding, stream.format.rate, speaking))
            )
            sound = StreamEncoder(encoder, speaking.run_blocking)
            chunks = aiter(stream)
            first = await anext(chunks, None)
            silence = bytes(self._prime_bytes())
            pieces = sound.pieces(silence, first.pcm if first else b"", chunks)
            yield sound, await stack.enter_async_context(aclosing(pieces))

    async def _send_audio(self, send: Send, pieces: AsyncIterator[bytes]) -> None:
        async for piece in pieces:
            if piece:
                await _body(send, piece)
        await _body(send, b"", more=False)

    async def _send_events(self, send: Send, pieces: AsyncIterator[bytes], sound: StreamEncoder) -> None:
        try:
            async for piece in pieces:
                if not piece:
                    continue
                audio = base64.b64encode(piece).decode()
                await _body(send, _event({"type": "speech.audio.delta", "audio": audio}))
        except ClientStalled:
            raise
        except Exception as error:
            told = to_speech_error(error)
            content = error_content(told, self._wanted.utterance.id)
            await _body(send, _event({"type": "error", **content}))
            raise
        usage = _usage(self._wanted.characters, sound.seconds)
        await _body(send, _event({"type": "speech.audio.done", "usage": usage}), more=False)

    async def _send_whole(self, send: Send, body: bytearray, rate: int) -> None:
        if self._wanted.encoding is Encoding.WAV:
            body[:_WAV_HEADER_BYTES] = wav_header(rate, len(body) - _WAV_HEADER_BYTES)
        await _start(send, {**self._headers_at(rate), "Content-Length": str(len(body))})
        for start in range(0, len(body), _SENT_AT_ONCE):
            await _body(send, bytes(body[start : start + _SENT_AT_ONCE]))
        await _body(send, b"", more=False)

    def _prime_bytes(self) -> int:
        is_primed = self._wanted.encoding in _PRIMED and not self._wanted.as_a_whole
        return self._speaking.options.stream_prime_bytes // 2 * 2 if is_primed else 0

    def _headers_at(self, rate: int) -> dict[str, str]:
        headers = {"Content-Type": str(self.media_type), SAMPLE_RATE: str(rate), **_UNBUFFERED}
        if self._wanted.ignored:
            headers[IGNORED] = ", ".join(self._wanted.ignored)
        return headers


class StreamEncoder:
    """The audio of one stream on its way through an encoder."""

    def __init__(self, encoder: Encoder, run_blocking: RunBlocking) -> None:
        self._encoder = encoder
        self._run_blocking = run_blocking
        self._bytes = 0

    @property
    def rate(self) -> int:
        """Hz of what is encoded."""
        return self._encoder.rate

    @property
    def seconds(self) -> float:
        """Playing time by now."""
        return self._bytes / 2 / self._encoder.rate

    async def pieces(
        self, silence: bytes, first: bytes, chunks: AsyncIterator[AudioChunk]
    ) -> AsyncGenerator[bytes, None]:
        """Give what is encoded, which may be nothing, of silence, first audio, and the chunks after."""
        yield await self._encode(silence + first)
        async for chunk in chunks:
            yield await self._encode(chunk.pcm)
        yield await self._finish()

    async def _encode(self, pcm: bytes) -> bytes:
        self._bytes += len(pcm)
        if not self._encoder.is_cpu_bound:
            return self._encoder.encode(pcm)
        return await _undivided(self._run_blocking(partial(self._encoder.encode, pcm)))

    async def _finish(self) -> bytes:
        if not self._encoder.is_cpu_bound:
            return self._encoder.finish()
        return await _undivided(self._run_blocking(self._encoder.finish))


async def run_while_connected(receive: Receive, work: Coroutine[Any, Any, None]) -> None:
    """Do the work, and leave it when the client leaves. The request's body has been read before."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_left(receive))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
    finally:
        leaving.cancel()
        if not working.done():
            working.cancel()
        await asyncio.wait((working, leaving))
    for task in (working, leaving):
        if not task.cancelled():
            task.result()


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _undivided(work: Any) -> bytes:
    """Wait for work to its end even if nobody wants it any more: its encoder is closed next."""
    doing = asyncio.ensure_future(work)
    try:
        encoded: bytes = await asyncio.shield(doing)
    except asyncio.CancelledError:
        with suppress(Exception):
            await doing
        raise
    return encoded


async def _entered(stack: AsyncExitStack, service: SpeechSynthesis, utterance: Utterance) -> AudioStream:
    try:
        return await stack.enter_async_context(service.speak(utterance))
    except UnknownVoice as error:
        if utterance.voice.name is not None or utterance.voice.language is None:
            raise
        raise UnknownLanguage(error.message, hint=error.hint) from error
    except BadRequest as error:  # entering finds the voice and reads nothing else
        if error.code not in {ErrorCode.BAD_REQUEST, ErrorCode.TOO_LONG}:
            raise
        raise InvalidField(error.message, param="voice", hint=error.hint) from error


async def _encoder(encoding: Encoding, rate: int, speaking: SpeechContext) -> Encoder:
    if encoding in _PRIMED:
        return make_encoder(encoding, rate)
    options: EncoderOptions = speaking.options.encoders
    try:
        return await speaking.run_blocking(partial(make_encoder, encoding, rate, options))
    except Unsupported as error:
        raise UnsupportedFormat(error.message, hint=error.hint) from error


async def _gathered(pieces: AsyncIterator[bytes], most: int) -> bytearray:
    gathered = bytearray()
    async for piece in pieces:
        gathered += piece
        if len(gathered) > most:
            raise TooLong(
                f"The audio is over {most // 1024**2} MB, too much to be sent as a whole.",
                hint="Leave `stream` out.",
            )
    return gathered


def _usage(characters: int, seconds: float) -> dict[str, int]:
    """Count as OpenAI does as far as that goes: what is put in has characters here, not tokens."""
    tokens = round(seconds * _TOKENS_PER_SECOND)
    return {"input_tokens": characters, "output_tokens": tokens, "total_tokens": characters + tokens}


def _event(content: dict[str, object]) -> bytes:
    return f"data: {json.dumps(content)}\n\n".encode()


async def _start(send: Send, headers: dict[str, str]) -> None:
    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": 200, "headers": raw})


async def _body(send: Send, body: bytes, *, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more})
