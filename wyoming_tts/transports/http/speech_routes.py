"""Speech endpoints: OpenAI's `/v1/audio/speech`, its streaming variant, and a plain URL for players."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from wyoming_tts.encoders import Encoding, media_type
from wyoming_tts.transports.http.errors import error_responses, get_request_id
from wyoming_tts.transports.http.speech_request import (
    HOPS,
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
    EVENTS,
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
_SPEECH_ERRORS = error_responses(400, 404, 408, 413, 503)


def speech_routes(context: SpeechContext) -> APIRouter:
    """Return the routes of the speech endpoints."""
    router = APIRouter()
    _add_speech(router, context)
    _add_player(router, context)
    return router


def _add_speech(router: APIRouter, context: SpeechContext) -> None:
    options: HttpOptions = context.options

    @router.post(
        "/v1/audio/speech",
        response_class=Response,
        responses={200: describe_audio(*Encoding), **_SPEECH_ERRORS},
    )
    async def create_speech(request: Request, body: SpeechBody) -> Response:
        """Speak a text; the audio is streamed as it is computed."""
        return SpeechResponse(
            context,
            make_speech_request(
                body, options, get_request_id(request), parse_hops(request.headers.get(HOPS))
            ),
        )

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


def describe_audio(*encodings: Encoding) -> dict[str, Any]:
    """Describe a response with audio for OpenAPI."""
    types: dict[str, Any] = {media_type(encoding).partition(";")[0]: _BINARY for encoding in encodings}
    if len(encodings) > 1:
        types[EVENTS] = {"schema": _EVENT}
    headers = {
        SAMPLE_RATE: {"description": "Hz of the audio.", "schema": {"type": "integer"}},
        IGNORED: {"description": "Request fields that were ignored.", "schema": {"type": "string"}},
    }
    return {"description": "The audio, streamed as it is computed.", "content": types, "headers": headers}
