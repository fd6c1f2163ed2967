"""Responses that say when words sound: captions alone, and Kokoro-FastAPI's speech with timestamps.

As with audio, the response starts only once the first audio is there, so that earlier failures get a status
of their own.
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import AsyncExitStack, aclosing

from starlette.types import Send

from wyoming_tts.captions import CaptionFormat, CaptionWriter
from wyoming_tts.encoders import Encoding, media_type
from wyoming_tts.errors import to_speech_error
from wyoming_tts.speech import SpokenWord
from wyoming_tts.transports.backpressure import ClientStalled
from wyoming_tts.transports.http.errors import error_content
from wyoming_tts.transports.http.speech_request import SpeechRequest
from wyoming_tts.transports.http.speech_response import (
    EncodedChunk,
    SpeechContext,
    SpeechResponse,
    collect,
    send_body,
    send_start,
    send_whole,
)
from wyoming_tts.transports.interfaces import AudioStream


class CaptionsResponse(SpeechResponse):
    """Sends the captions of speech whose audio is computed and not sent."""

    def __init__(self, context: SpeechContext, request: SpeechRequest, form: CaptionFormat) -> None:
        super().__init__(context, request)
        self.media_type = form.media_type
        self._form = form

    async def _answer(self, send: Send) -> None:
        async with AsyncExitStack() as stack:
            stream = await self._enter(stack)
            headers = self._headers_at(stream.format.rate)
            pieces = await stack.enter_async_context(aclosing(self._write_captions(stream)))
            if self._request.as_a_whole:
                await send_whole(send, await collect(pieces, self._context.options), headers)
                return
            first = await anext(pieces)
            await send_start(send, headers)
            await _send_piece(send, first)
            async for piece in pieces:
                await _send_piece(send, piece)
            await send_body(send, b"", more=False)

    async def _write_captions(self, stream: AudioStream) -> AsyncGenerator[bytes, None]:
        """Yield pieces of the captions, some of them empty: one for each chunk of audio, and the rest."""
        request = self._request
        writer = CaptionWriter(self._form, request.text, word_times=request.tells_words)
        samples = 0
        async for chunk in stream:
            samples += chunk.samples
            yield _utf8(writer.add_words(chunk.words))
        yield _utf8(writer.finish(samples / stream.format.rate))


class CaptionedSpeechResponse(SpeechResponse):
    """Sends audio and the times of its words as JSON: a line for each piece, or one object for all."""

    def __init__(self, context: SpeechContext, request: SpeechRequest) -> None:
        super().__init__(context, request)
        self.media_type = "application/json"

    async def _answer(self, send: Send) -> None:
        if self._request.as_a_whole:
            await self._send_object(send)
            return
        async with self._open_stream() as (audio, pieces):
            await send_start(send, self._headers_at(audio.rate))
            try:
                untold: list[SpokenWord] = []
                """Words whose audio the encoder has not given out yet."""
                async for piece in pieces:
                    untold += piece.words
                    if piece.audio:
                        await send_body(send, self._line(piece.audio, self._timestamps(untold)))
                        untold.clear()
            except ClientStalled:
                raise
            except Exception as error:
                content = error_content(to_speech_error(error), self._request.utterance.id)
                await send_body(send, _json_line(content))
                raise
        await send_body(send, b"", more=False)

    async def _send_object(self, send: Send) -> None:
        words: list[SpokenWord] = []

        async def audio_of(pieces: AsyncIterator[EncodedChunk]) -> AsyncIterator[bytes]:
            async for piece in pieces:
                words.extend(piece.words)
                yield piece.audio

        async with self._open_stream() as (audio, pieces):
            body = await self._collect(audio, audio_of(pieces))
        timestamps = self._timestamps(words) if self._request.tells_words else None
        await send_whole(send, self._line(body, timestamps), self._headers_at(audio.rate))

    def _silence_bytes(self) -> int:
        return 0

    def _timestamps(self, words: Iterable[SpokenWord]) -> list[dict[str, object]]:
        return [_timestamp(word) for word in words] if self._request.tells_words else []

    def _line(self, audio: bytes | bytearray, timestamps: list[dict[str, object]] | None) -> bytes:
        encoding = self._request.encoding
        return _json_line(
            {
                "audio": base64.b64encode(audio).decode(),
                "audio_format": "audio/opus" if encoding is Encoding.OPUS else media_type(encoding),
                "timestamps": timestamps,
            }
        )


async def _send_piece(send: Send, piece: bytes) -> None:
    if piece:
        await send_body(send, piece)


def _timestamp(word: SpokenWord) -> dict[str, object]:
    return {
        "word": word.text,
        "start_time": round(word.start_time, 3),
        "end_time": round(word.end_time, 3),
    }


def _json_line(content: object) -> bytes:
    return f"{json.dumps(content, separators=(',', ':'))}\n".encode()


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "replace")
