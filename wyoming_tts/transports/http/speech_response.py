"""Speech responses over HTTP: audio streamed as it is computed, as server-sent events, or as a whole.

The response starts only once the first audio is there, so that earlier failures get a status of their own. A
later failure, or a client that disconnects, ends the stream within one step and truncates the body.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, closing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import quote

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from wyoming_tts.blocking import RunBlocking, run_uninterrupted
from wyoming_tts.captions import word_fields
from wyoming_tts.encoders import Encoder, EncoderOptions, Encoding, make_encoder, media_type
from wyoming_tts.errors import BadRequest, ErrorCode, TooLong, UnknownVoice, Unsupported, to_speech_error
from wyoming_tts.messages import Message
from wyoming_tts.speech import AudioChunk, SpokenWord, TextFormat, Utterance
from wyoming_tts.text.ssml.parser import check_ssml
from wyoming_tts.transports.access import subscriber
from wyoming_tts.transports.backpressure import ClientStalled
from wyoming_tts.transports.http.errors import InvalidField, UnknownLanguage, UnsupportedFormat, error_content
from wyoming_tts.transports.http.kept_audio import AudioRecorder, KeptAudio, KeptFile, times_name
from wyoming_tts.transports.http.server_sent_events import EVENT_STREAM, UNBUFFERED, encode_json_event
from wyoming_tts.transports.http.speech_request import HttpOptions, SpeechRequest
from wyoming_tts.transports.interfaces import AudioStream, SpeechSynthesis
from wyoming_tts.transports.tokens import TokenGrant

IGNORED = "X-Ignored"
SAMPLE_RATE = "X-Sample-Rate"
VOICE = "X-Voice"
VOICE_REASON = "X-Voice-Reason"
DOWNLOAD_PATH = "X-Download-Path"
DOWNLOAD_STATUS = "X-Download-Status"
TIMES_PATH = "X-Timing-Path"

_STREAMED = {**UNBUFFERED, "Accept-Ranges": "none"}
_SILENCE_ENCODINGS = frozenset({Encoding.PCM, Encoding.WAV})
"""Encodings that can start with silence; compressed silence is too small to fill a proxy's buffer."""
_HEADER_CHARACTERS = "!#$&'()*+,/:;=?@[]^`{|}~ "
"""Characters of a voice's name that a header carries as they are; all others are percent-encoded UTF-8."""
_TOKENS_PER_SECOND = 20
"""Tokens per second of audio, as OpenAI counts them."""
_NOTHING_SPOKEN = 0.1
"""Seconds of silence in place of a text of which nothing is spoken, such as emoji: agents (LiveKit, Pipecat)
take a response without audio for a failure, try it again and then give up the voice."""
_QUICKLY_CHECKED_CHARS = 1000
"""SSML checked on the event loop: about a millisecond, as much as the way to a worker takes on a busy one."""
_WRITE_BYTES = 64 * 1024
"""Bytes sent at a time, so that a stalled client is noticed in the middle of a large body."""


@dataclass(frozen=True, slots=True)
class SpeechContext:
    """The dependencies of a speech response."""

    service: SpeechSynthesis
    options: HttpOptions
    run_blocking: RunBlocking
    kept: KeptAudio


class SpeechResponse(Response):
    """An ASGI response that speaks while the client stays connected."""

    def __init__(self, context: SpeechContext, request: SpeechRequest) -> None:
        super().__init__(media_type=EVENT_STREAM if request.as_events else media_type(request.encoding))
        self._context = context
        self._request = request
        self._kept: KeptFile | None = None
        """Where its audio is kept for a download."""
        self._stream: AudioStream | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response; returns early when the client disconnects.

        Raises:
            SpeechError: before the response starts, or in the middle of its body.
        """
        client = scope.get("client")
        if client:
            utterance = replace(self._request.utterance, peer=subscriber(client[0]))
            self._request = replace(self._request, utterance=utterance)
        grant = scope.get("state", {}).get("grant")
        await run_while_connected(receive, self._check_and_answer(send, grant))

    async def _check_and_answer(self, send: Send, grant: TokenGrant | None) -> None:
        """Refuse malformed markup while the response can still have a status of its own."""
        text = self._request.text
        if self._request.utterance.text_format is TextFormat.SSML:
            if len(text) <= _QUICKLY_CHECKED_CHARS:
                check_ssml(text)
            else:
                await self._context.run_blocking(partial(check_ssml, text))
        if grant is not None:
            grant.spend(len(text))
            # What is kept is on a path that no token opens.
            self._request = replace(
                self._request, utterance=grant.restrict(self._request.utterance), kept_as=None
            )
        await self._answer(send)

    async def _answer(self, send: Send) -> None:
        if self._request.as_a_whole and not self._request.as_events:
            async with self._open_stream() as (audio, pieces):
                body = await self._collect(audio, (piece.audio async for piece in pieces))
            await send_whole(send, body, self._headers_at(audio.rate))
            return
        async with self._open_stream() as (audio, pieces):
            await send_start(send, self._headers_at(audio.rate))
            if self._request.as_events:
                await self._send_events(send, pieces, audio)
            else:
                await self._send_audio(send, pieces)

    @asynccontextmanager
    async def _open_stream(self) -> AsyncIterator[tuple[StreamEncoder, AsyncIterator[EncodedChunk]]]:
        """Yield the encoder once the first audio is there, and its output in pieces, some of them empty."""
        context, request = self._context, self._request
        async with AsyncExitStack() as stack:
            stream = await self._enter(stack)
            encoder = stack.enter_context(
                closing(await _open_encoder(request.encoding, stream.format.rate, context))
            )
            audio = StreamEncoder(encoder, context.run_blocking)
            chunks = await self._keep_audio(stack, stream)
            first = await anext(chunks, None)
            silence = bytes(self._silence_bytes())
            pieces = audio.encode(silence, first, chunks)
            yield audio, await stack.enter_async_context(aclosing(pieces))

    async def _enter(self, stack: AsyncExitStack) -> AudioStream:
        """Open the stream of the utterance, whose voice the headers name."""
        self._stream = await enter_stream(stack, self._context.service, self._request.utterance)
        return self._stream

    async def _keep_audio(self, stack: AsyncExitStack, stream: AudioStream) -> AsyncIterator[AudioChunk]:
        """Have the chunks of the stream kept, if the request asks for it."""
        context, request = self._context, self._request
        if request.kept_as is None:
            return aiter(stream)
        encoder = stack.enter_context(
            closing(await _open_encoder(request.kept_as, stream.format.rate, context))
        )
        self._kept = await context.kept.begin(request.kept_as)
        if self._kept is None:
            return aiter(stream)
        text = request.text if request.keeps_times else None
        recorder = AudioRecorder(context.kept, self._kept, encoder, context.run_blocking, text=text)
        return await stack.enter_async_context(aclosing(recorder.record(aiter(stream))))

    async def _send_audio(self, send: Send, pieces: AsyncIterator[EncodedChunk]) -> None:
        async for piece in pieces:
            if piece.audio:
                await send_body(send, piece.audio)
        await send_body(send, b"", more=False)

    async def _send_events(
        self, send: Send, pieces: AsyncIterator[EncodedChunk], audio: StreamEncoder
    ) -> None:
        try:
            async for piece in pieces:
                if piece.words and self._request.tells_words:
                    words = list(map(word_fields, piece.words))
                    await send_body(send, _event({"type": "speech.audio.words", "words": words}))
                if piece.audio:
                    delta = base64.b64encode(piece.audio).decode()
                    await send_body(send, _event({"type": "speech.audio.delta", "audio": delta}))
        except ClientStalled:
            raise
        except Exception as error:
            content = error_content(to_speech_error(error), self._request.utterance.id)
            await send_body(send, _event({"type": "error", **content}))
            raise
        usage = _usage(len(self._request.text), audio.seconds)
        await send_body(send, _event({"type": "speech.audio.done", "usage": usage}), more=False)

    async def _collect(self, audio: StreamEncoder, pieces: AsyncIterator[bytes]) -> bytearray:
        """Return all of the encoded audio, with what its beginning says of its length."""
        body = await collect(pieces, self._context.options)
        head = audio.head()
        body[: len(head)] = head
        return body

    def _silence_bytes(self) -> int:
        is_plain = not self._request.as_a_whole and not self._request.tells_words
        has_silence = self._request.encoding in _SILENCE_ENCODINGS and is_plain
        return self._context.options.stream_prime_bytes // 2 * 2 if has_silence else 0

    def _headers_at(self, rate: int) -> dict[str, str]:
        headers = {"Content-Type": str(self.media_type), SAMPLE_RATE: str(rate), **_STREAMED}
        if self._request.ignored:
            headers[IGNORED] = ", ".join(self._request.ignored)
        return headers | self._voice_headers() | self._kept_headers()

    def _voice_headers(self) -> dict[str, str]:
        if self._stream is None:
            return {}
        voice = self._stream.voice
        return {VOICE: quote(voice.name, safe=_HEADER_CHARACTERS), VOICE_REASON: voice.reason}

    def _kept_headers(self) -> dict[str, str]:
        if self._kept is None:
            return {DOWNLOAD_STATUS: "unavailable"} if self._request.kept_as else {}
        path = f"/download/{self._kept.name}"
        times = {TIMES_PATH: times_name(path)} if self._request.keeps_times else {}
        return {DOWNLOAD_PATH: path, **times}


class EncodedChunk(NamedTuple):
    """What an encoder makes of a chunk of audio."""

    audio: bytes
    """Possibly nothing: the encoder keeps what does not fill a frame."""
    words: tuple[SpokenWord, ...] = ()
    """The words that begin in the chunk."""


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
        self, silence: bytes, first: AudioChunk | None, chunks: AsyncIterator[AudioChunk]
    ) -> AsyncGenerator[EncodedChunk, None]:
        """Encode silence, the first chunk and the following ones."""
        if first is None:
            yield EncodedChunk(await self._encode(silence or bytes(2 * round(_NOTHING_SPOKEN * self.rate))))
        else:
            yield EncodedChunk(await self._encode(silence + first.pcm), first.words)
        async for chunk in chunks:
            yield EncodedChunk(await self._encode(chunk.pcm), chunk.words)
        yield EncodedChunk(await self._finish())

    async def _encode(self, pcm: bytes) -> bytes:
        self._bytes += len(pcm)
        if not self._encoder.is_cpu_bound:
            return self._encoder.encode(pcm)
        return await run_uninterrupted(self._run_blocking, partial(self._encoder.encode, pcm))

    async def _finish(self) -> bytes:
        if not self._encoder.is_cpu_bound:
            return self._encoder.finish()
        return await run_uninterrupted(self._run_blocking, self._encoder.finish)


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


async def enter_stream(stack: AsyncExitStack, service: SpeechSynthesis, utterance: Utterance) -> AudioStream:
    """Open the stream of an utterance, with errors that name the field of the request at fault."""
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


async def collect(pieces: AsyncIterator[bytes], options: HttpOptions) -> bytearray:
    """Return all of a response that is sent as a whole.

    Raises:
        TooLong: it exceeds the limit.
    """
    collected = bytearray()
    async for piece in pieces:
        collected += piece
        if len(collected) > options.max_buffered_bytes:
            limit = options.max_buffered_bytes // 1024**2
            raise TooLong(
                Message(
                    "audio_too_long",
                    "The audio exceeds the limit of {most} MB for a response sent as a whole.",
                    most=limit,
                ),
                hint=Message("omit_stream", "Omit `stream`."),
            )
    return collected


def _usage(characters: int, seconds: float) -> dict[str, int]:
    """Count usage in OpenAI's shape; input tokens are characters here."""
    tokens = round(seconds * _TOKENS_PER_SECOND)
    return {"input_tokens": characters, "output_tokens": tokens, "total_tokens": characters + tokens}


def _event(content: dict[str, object]) -> bytes:
    return encode_json_event(json.dumps(content))


async def send_whole(send: Send, body: bytes | bytearray, headers: dict[str, str]) -> None:
    """Send a response whose body is complete."""
    await send_start(send, {**headers, "Content-Length": str(len(body))})
    for start in range(0, len(body), _WRITE_BYTES):
        await send_body(send, bytes(body[start : start + _WRITE_BYTES]))
    await send_body(send, b"", more=False)


async def send_start(send: Send, headers: dict[str, str]) -> None:
    """Send the status 200 and the headers."""
    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": 200, "headers": raw})


async def send_body(send: Send, body: bytes, *, more: bool = True) -> None:
    """Send a piece of the body; `more` says whether others follow."""
    await send({"type": "http.response.body", "body": body, "more_body": more})
