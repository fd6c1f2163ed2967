"""What can be asked for over HTTP: voices, models, and blends of voices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeAlias

from fastapi import APIRouter, Body, Query, Response
from pydantic import BaseModel, Field

from wyoming_tts.errors import BadRequest
from wyoming_tts.transports.http.errors import ApiError, InvalidField, error_responses, json_response
from wyoming_tts.transports.http.speech_request import Name
from wyoming_tts.transports.ports import AvailableVoice, SpeechService

_MODELS = ("tts-1", "tts-1-hd", "gpt-4o-mini-tts", "kokoro", "piper")
"""The ids that clients ask for without looking; any other is served as well."""
_CREATED = 1_735_689_600
"""Models have no date here, but clients expect one."""
_OWNER = "wyoming-tts"


class ModelEntry(BaseModel):
    """A model, as OpenAI describes it."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelList(BaseModel):
    """All models."""

    object: Literal["list"]
    data: list[ModelEntry]


class ModelName(BaseModel):
    """A model, by its id alone."""

    id: str


class ModelNames(BaseModel):
    """All models, as Open WebUI asks for them."""

    models: list[ModelName]


class NamedVoice(BaseModel):
    """A voice, as Kokoro-FastAPI describes it, and what is known of it beside."""

    id: str
    name: str
    language: str = Field(description="As `en_US`.")
    engine: str
    installed: bool = Field(description="False: it is fetched when it is asked for.")


class NamedVoices(BaseModel):
    """The voices that can be asked for, those that are installed first."""

    voices: list[NamedVoice] | list[str]


class DetailedVoice(NamedVoice):
    """All that is known of a voice."""

    description: str
    speakers: list[str] = Field(description="Empty for a voice of one speaker.")
    sample_rate: int | None = Field(description="Hz; null until it is installed.")


class DetailedVoices(BaseModel):
    """The voices that can be asked for, those that are installed first."""

    voices: list[DetailedVoice]


class Combination(BaseModel):
    """A blend, and the name to keep it under."""

    voices: Annotated[list[Name], Field(min_length=1, max_length=32)] | Name = Field(
        description="A recipe as `af_bella(2)+af_sky(1)`, or its voices."
    )
    name: Name | None = Field(None, description="Kept under this name if there is one.")


Combined: TypeAlias = Annotated[
    Combination | Annotated[list[Name], Field(min_length=1, max_length=32)] | Name,
    Body(description="A recipe, a list of voices, or an object with a name.", examples=["af_bella+af_sky"]),
]


def voice_routes(service: SpeechService) -> APIRouter:
    """Return the routes that list, and the one that blends."""
    router = APIRouter()
    _add_models(router, service)
    _add_voices(router, service)
    _add_blending(router, service)
    return router


def _add_models(router: APIRouter, service: SpeechService) -> None:
    @router.get("/v1/models", response_model=ModelList, responses=error_responses())
    async def list_models() -> Response:
        """List the models that clients may name."""
        return json_response({"object": "list", "data": [_model(name) for name in _model_names(service)]})

    @router.get("/v1/models/{model}", response_model=ModelEntry, responses=error_responses(400, 404))
    async def get_model(model: str) -> Response:
        """Describe a model."""
        if model not in _model_names(service):
            raise ApiError(404, f"There is no model {model[:80]!r}.", code="model_not_found", param="model")
        return json_response(_model(model))

    @router.get("/v1/audio/models", response_model=ModelNames, responses=error_responses())
    async def list_model_names() -> Response:
        """List the models as Open WebUI asks for them."""
        return json_response({"models": [{"id": name} for name in _model_names(service)]})


def _add_voices(router: APIRouter, service: SpeechService) -> None:
    @router.get("/v1/audio/voices", response_model=NamedVoices, responses=error_responses(400))
    async def list_voice_names(
        legacy: Annotated[bool, Query(description="Names alone, as older clients expect.")] = False,  # noqa: FBT002
    ) -> Response:
        """List the voices as Kokoro-FastAPI does."""
        voices = _sorted(service.voices())
        if legacy:
            return json_response({"voices": [voice.name for voice in voices]})
        return json_response({"voices": [_named(voice) for voice in voices]})

    @router.get("/v1/voices", response_model=DetailedVoices, responses=error_responses())
    async def list_voices() -> Response:
        """List the voices with all that is known of them."""
        return json_response({"voices": [_in_full(voice) for voice in _sorted(service.voices())]})


def _add_blending(router: APIRouter, service: SpeechService) -> None:
    @router.post(
        "/v1/audio/voices/combine",
        response_model=DetailedVoice,
        responses=error_responses(400, 404, 408, 413, 503),
    )
    async def combine_voices(
        body: Combined,
        name: Annotated[str | None, Query(max_length=1000, description="As in the body.")] = None,
    ) -> Response:
        """Blend Kokoro voices; the answer's id can be asked for as a voice."""
        voices = body.voices if isinstance(body, Combination) else body
        recipe = voices if isinstance(voices, str) else "+".join(voices)
        kept_as = (body.name if isinstance(body, Combination) else None) or name
        try:
            return json_response(_in_full(await service.blend(recipe, kept_as)))
        except BadRequest as error:
            raise InvalidField(error.message, param="voices", hint=error.hint) from error


def _model_names(service: SpeechService) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*_MODELS, *(voice.engine for voice in service.voices())]))


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": _CREATED, "owned_by": _OWNER}


def _sorted(voices: Sequence[AvailableVoice]) -> list[AvailableVoice]:
    return sorted(voices, key=lambda voice: (not voice.is_installed, voice.name))


def _named(voice: AvailableVoice) -> dict[str, Any]:
    return {
        "id": voice.name,
        "name": voice.name,
        "language": voice.language,
        "engine": voice.engine,
        "installed": voice.is_installed,
    }


def _in_full(voice: AvailableVoice) -> dict[str, Any]:
    return {
        **_named(voice),
        "description": voice.description,
        "speakers": voice.speakers,
        "sample_rate": voice.sample_rate,
    }
