"""Speech over HTTP: OpenAI's request, a streaming variant of it, and a plain address for players."""

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
_MET_BY_SPEECH = error_responses(400, 404, 408, 413, 503)


def speech_routes(speaking: SpeechContext) -> APIRouter:
    """Return the routes that speak."""
    router = APIRouter()
    _add_bodies(router, speaking)
    _add_player(router, speaking)
    return router


def _add_bodies(router: APIRouter, speaking: SpeechContext) -> None:
    options: HttpOptions = speaking.options

    @router.post(
        "/v1/audio/speech",
        response_class=Response,
        responses={200: _audio(*Encoding), **_MET_BY_SPEECH},
    )
    async def create_speech(request: Request, body: SpeechBody) -> Response:
        """Speak a text; the audio is sent as it is made."""
        return SpeechResponse(
            speaking,
            make_speech_request(
                body, options, get_request_id(request), parse_hops(request.headers.get(HOPS))
            ),
        )

    @router.post(
        "/v1/audio/speech/stream",
        response_class=Response,
        responses={200: _audio(*Encoding), **_MET_BY_SPEECH},
    )
    async def stream_speech(request: Request, body: StreamBody) -> Response:
        """Speak a text, as PCM unless another format is named."""
        return SpeechResponse(
            speaking,
            make_speech_request(
                body, options, get_request_id(request), parse_hops(request.headers.get(HOPS))
            ),
        )


def _add_player(router: APIRouter, speaking: SpeechContext) -> None:
    @router.get(
        "/synthesize-stream",
        response_class=Response,
        responses={200: _audio(Encoding.WAV), **_MET_BY_SPEECH},
    )
    async def synthesize_stream(
        request: Request,
        text: Annotated[str, Query(min_length=1, description="What to say.")],
        voice: Annotated[Name | None, Query(description="The server's default voice if left out.")] = None,
        speed: Annotated[Speed | None, Query(description="Pace, relative to the server's setting.")] = None,
    ) -> Response:
        """Speak a text as WAV without end, for `<audio src>` and players that know addresses alone."""
        spoken = make_player_request(text, voice, speed, speaking.options, get_request_id(request))
        if request.state.is_head:  # nobody would hear it
            return Response(media_type=media_type(Encoding.WAV), headers={"Cache-Control": "no-store"})
        return SpeechResponse(speaking, spoken)


def _audio(*encodings: Encoding) -> dict[str, Any]:
    types: dict[str, Any] = {media_type(encoding).partition(";")[0]: _BINARY for encoding in encodings}
    if len(encodings) > 1:
        types[EVENTS] = {"schema": _EVENT}
    headers = {
        SAMPLE_RATE: {"description": "Hz of the audio.", "schema": {"type": "integer"}},
        IGNORED: {"description": "Fields of the request without effect.", "schema": {"type": "string"}},
    }
    return {"description": "The audio, as it is made.", "content": types, "headers": headers}
