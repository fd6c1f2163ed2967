"""Speech endpoints: OpenAI's, with captions too, Kokoro-FastAPI's captioned speech, and a URL for players."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from wyoming_tts.captions import CaptionFormat
from wyoming_tts.encoders import Encoding, media_type
from wyoming_tts.http_paths import SPEECH_PATH
from wyoming_tts.transports.http.caption_responses import CaptionedSpeechResponse, CaptionsResponse
from wyoming_tts.transports.http.caption_schemas import CAPTIONED_EXAMPLE, Captions
from wyoming_tts.transports.http.errors import error_responses, get_request_id
from wyoming_tts.transports.http.server_sent_events import EVENT_STREAM
from wyoming_tts.transports.http.speech_request import (
    HOPS,
    CaptionedSpeechBody,
    HttpOptions,
    Name,
    SpeechBody,
    Speed,
    StreamBody,
    make_player_request,
    make_speech_request,
    parse_hops,
)
from wyoming_tts.transports.http.speech_response import (
    IGNORED,
    SAMPLE_RATE,
    SpeechContext,
    SpeechResponse,
)

_BINARY: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
_EVENT = {
    "type": "object",
    "properties": {"data": {"type": "string", "contentMediaType": "application/json"}},
    "required": ["data"],
}
_TEXT: dict[str, Any] = {"schema": {"type": "string"}}


_HEADERS = {
    SAMPLE_RATE: {"description": "Hz of the audio.", "schema": {"type": "integer"}},
    IGNORED: {"description": "Request fields that were ignored.", "schema": {"type": "string"}},
}
_CAPTIONED: dict[str, Any] = {
    # Without a schema: Kokoro-FastAPI's content type is that of one JSON value, and several lines are none.
    "content": {"application/json": {"example": CAPTIONED_EXAMPLE}},
    "description": "The audio and the times of its words: an object like this one on each line, or one for "
    "all if `stream` is false. `timestamps` are of the words that begin in this audio.",
    "headers": _HEADERS,
}
_SPEECH_ERRORS = error_responses(400, 404, 408, 413, 503)


def speech_routes(context: SpeechContext) -> APIRouter:
    """Return the routes of the speech endpoints."""
    router = APIRouter()
    _add_speech(router, context)
    _add_captioned(router, context)
    _add_player(router, context)
    return router


def _add_speech(router: APIRouter, context: SpeechContext) -> None:
    options: HttpOptions = context.options

    @router.post(
        SPEECH_PATH,
        response_class=Response,
        responses={200: describe_audio(*Encoding, captions=tuple(CaptionFormat)), **_SPEECH_ERRORS},
    )
    async def create_speech(request: Request, body: SpeechBody) -> Response:
        """Speak a text; the audio, or its captions, are streamed as they are computed."""
        speech = make_speech_request(
            body, options, get_request_id(request), parse_hops(request.headers.get(HOPS))
        )
        if speech.captions is not None:
            return CaptionsResponse(context, speech, speech.captions)
        return SpeechResponse(context, speech)

    @router.post(
        "/v1/audio/speech/stream",
        response_class=Response,
        responses={200: describe_audio(*Encoding), **_SPEECH_ERRORS},
    )
    async def stream_speech(request: Request, body: StreamBody) -> Response:
        """Speak a text, as PCM unless another format is requested."""
        return SpeechResponse(
            context,
            make_speech_request(
                body, options, get_request_id(request), parse_hops(request.headers.get(HOPS))
            ),
        )


def _add_captioned(router: APIRouter, context: SpeechContext) -> None:
    @router.post(
        "/dev/captioned_speech",
        response_class=Response,
        responses={200: _CAPTIONED, **_SPEECH_ERRORS},
    )
    async def create_captioned_speech(request: Request, body: CaptionedSpeechBody) -> Response:
        """Speak a text, and say when its words sound: lines of JSON, or one object if `stream` is false."""
        hops = parse_hops(request.headers.get(HOPS))
        speech = make_speech_request(body, context.options, get_request_id(request), hops)
        return CaptionedSpeechResponse(context, speech)


def _add_player(router: APIRouter, context: SpeechContext) -> None:
    @router.get(
        "/synthesize-stream",
        response_class=Response,
        responses={200: describe_audio(Encoding.WAV), **_SPEECH_ERRORS},
    )
    async def synthesize_stream(
        request: Request,
        text: Annotated[str, Query(min_length=1, description="The text to speak.")],
        voice: Annotated[Name | None, Query(description="The server's default voice if omitted.")] = None,
        speed: Annotated[Speed | None, Query(description="Pace, relative to the server's setting.")] = None,
    ) -> Response:
        """Speak a text as WAV of unknown length, for `<audio src>` and players that only take a URL."""
        speech = make_player_request(text, voice, speed, context.options, get_request_id(request))
        if request.state.is_head:  # the audio would be discarded
            answer = Response(media_type=media_type(Encoding.WAV), headers={"Cache-Control": "no-store"})
            del answer.headers["Content-Length"]  # of nothing; a player would take it for that of the audio
            return answer
        return SpeechResponse(context, speech)


def describe_audio(*encodings: Encoding, captions: Collection[CaptionFormat] = ()) -> dict[str, Any]:
    """Describe a response with audio for OpenAPI, or with captions in its place."""
    types: dict[str, Any] = {media_type(encoding).partition(";")[0]: _BINARY for encoding in encodings}
    types |= {form.media_type.partition(";")[0]: _TEXT for form in captions if form is not CaptionFormat.JSON}
    if len(encodings) > 1:
        types[EVENT_STREAM] = {"schema": _EVENT}
    described = {
        "description": "The audio, streamed as it is computed.",
        "content": types,
        "headers": _HEADERS,
    }
    return described | ({"model": Captions} if captions else {})
