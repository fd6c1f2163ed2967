"""Endpoints that list voices and models, blend voices and unload models."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal, TypeAlias

from fastapi import APIRouter, Body, Query, Response
from pydantic import BaseModel, Field

from wyoming_tts.errors import BadRequest
from wyoming_tts.transports.http.errors import ApiError, InvalidField, error_responses, json_response
from wyoming_tts.transports.http.speech_request import Name
from wyoming_tts.transports.interfaces import AvailableVoice, SpeechService

_MODELS = ("tts-1", "tts-1-hd", "gpt-4o-mini-tts", "kokoro", "piper")
"""Model ids that clients request without listing models first; any other is accepted as well."""
_CREATED = 1_735_689_600
"""Creation time, Unix seconds: models have none here, but clients expect one."""
_OWNER = "wyoming-tts"


class ModelEntry(BaseModel):
    """A model in OpenAI's format."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelList(BaseModel):
    """All models."""

    object: Literal["list"]
    data: list[ModelEntry]


class ModelName(BaseModel):
    """A model as its id alone."""

    id: str


class ModelNames(BaseModel):
    """All models in Open WebUI's format."""

    models: list[ModelName]


class NamedVoice(BaseModel):
    """A voice in Kokoro-FastAPI's format, with additions."""

    id: str
    name: str
    language: str = Field(description="A tag such as `en_US`.")
    engine: str
    installed: bool = Field(description="False: it is downloaded when it is requested.")


class NamedVoices(BaseModel):
    """The voices that can be requested, installed ones first."""

    voices: list[NamedVoice] | list[str]


class DetailedVoice(NamedVoice):
    """A voice with all its details."""

    description: str
    speakers: list[str] = Field(description="Empty for a single-speaker voice.")
    sample_rate: int | None = Field(description="Hz; null until it is installed.")
    problem: str = Field(
        description="Why it cannot speak although its files are here, and what to do; empty for other voices."
    )


class DetailedVoices(BaseModel):
    """The voices that can be requested, installed ones first, and those that cannot speak and why."""

    voices: list[DetailedVoice]


class Combination(BaseModel):
    """A blend, and the name to save it under."""

    voices: Annotated[list[Name], Field(min_length=1, max_length=32)] | Name = Field(
        description="A recipe such as `af_bella(2)+af_sky(1)`, or a list of voices."
    )
    name: Name | None = Field(None, description="Saves the blend under this name.")


Combined: TypeAlias = Annotated[
    Combination | Annotated[list[Name], Field(min_length=1, max_length=32)] | Name,
    Body(description="A recipe, a list of voices, or an object with a name.", examples=["af_bella+af_sky"]),
]


class Unloaded(BaseModel):
    """Models that were unloaded."""

    status: Literal["unloaded"]
    models: list[str] = Field(description="Those whose memory is free.")
    in_use: list[str] = Field(description="Those that are unloaded once their streams have ended.")


def voice_routes(service: SpeechService, *, allow_unload: bool = False) -> APIRouter:
    """Return the routes that list models and voices, and those that blend voices and unload models."""
    router = APIRouter()
    _add_models(router, service)
    _add_voices(router, service)
    _add_blending(router, service)
    _add_unloading(router, service, is_allowed=allow_unload)
    return router


def _add_models(router: APIRouter, service: SpeechService) -> None:
    @router.get("/v1/models", response_model=ModelList, responses=error_responses())
    async def list_models() -> Response:
        """List the models that clients may name."""
        return json_response(
            {"object": "list", "data": [_model_fields(name) for name in _model_names(service)]}
        )

    @router.get("/v1/models/{model}", response_model=ModelEntry, responses=error_responses(400, 404))
    async def get_model(model: str) -> Response:
        """Describe a model."""
        if model not in _model_names(service):
            raise ApiError(
                404, f"The model {model[:80]!r} does not exist.", code="model_not_found", param="model"
            )
        return json_response(_model_fields(model))

    @router.get("/v1/audio/models", response_model=ModelNames, responses=error_responses())
    async def list_model_names() -> Response:
        """List the models in Open WebUI's format."""
        return json_response({"models": [{"id": name} for name in _model_names(service)]})


def _add_voices(router: APIRouter, service: SpeechService) -> None:
    @router.get("/v1/audio/voices", response_model=NamedVoices, responses=error_responses(400))
    async def list_voice_names(
        legacy: Annotated[bool, Query(description="Names only, as older clients expect.")] = False,  # noqa: FBT002
    ) -> Response:
        """List the voices in Kokoro-FastAPI's format."""
        voices = _sorted(voice for voice in service.voices() if not voice.problem)
        if legacy:
            return json_response({"voices": [voice.name for voice in voices]})
        return json_response({"voices": [_voice_fields(voice) for voice in voices]})

    @router.get("/v1/voices", response_model=DetailedVoices, responses=error_responses())
    async def list_voices() -> Response:
        """List the voices with all their details."""
        return json_response({"voices": [_detailed_fields(voice) for voice in _sorted(service.voices())]})


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
        """Blend Kokoro voices; the returned id can be requested as a voice."""
        voices = body.voices if isinstance(body, Combination) else body
        recipe = voices if isinstance(voices, str) else "+".join(voices)
        saved_as = (body.name if isinstance(body, Combination) else None) or name
        try:
            return json_response(_detailed_fields(await service.blend(recipe, saved_as)))
        except BadRequest as error:
            raise InvalidField(error.message, param="voices", hint=error.hint) from error


def _add_unloading(router: APIRouter, service: SpeechService, *, is_allowed: bool) -> None:
    @router.post("/dev/unload", response_model=Unloaded, responses=error_responses())
    async def unload_models() -> Response:
        """Free the memory of all models, which are loaded again when they are needed."""
        if not is_allowed:
            message = "Models are not unloaded on request here. Turn on the setting allow_unload."
            raise ApiError(403, message, code="forbidden", kind="permission_error")
        unloaded = await service.unload_models()
        return json_response({"status": "unloaded", "models": unloaded.freed, "in_use": unloaded.in_use})


def _model_names(service: SpeechService) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*_MODELS, *(voice.engine for voice in service.voices())]))


def _model_fields(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": _CREATED, "owned_by": _OWNER}


def _sorted(voices: Iterable[AvailableVoice]) -> list[AvailableVoice]:
    return sorted(voices, key=lambda voice: (not voice.is_installed, voice.name))


def _voice_fields(voice: AvailableVoice) -> dict[str, Any]:
    return {
        "id": voice.name,
        "name": voice.name,
        "language": voice.language,
        "engine": voice.engine,
        "installed": voice.is_installed,
    }


def _detailed_fields(voice: AvailableVoice) -> dict[str, Any]:
    return {
        **_voice_fields(voice),
        "description": voice.description,
        "speakers": voice.speakers,
        "sample_rate": voice.sample_rate,
        "problem": voice.problem,
    }
