"""HTTP routes of the Blend tab: JSON that is read and answered, and voice files in and out."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, TypeAlias
from urllib.parse import quote

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from wyoming_tts.errors import SpeechError
from wyoming_tts.messages import said_parts
from wyoming_tts.page.blending import BlendDraft, BlendingView, BlendService
from wyoming_tts.page.request_body import RequestBody, VoiceNameBody
from wyoming_tts.transports.http.errors import json_response
from wyoming_tts.voices.blends.recipes import MAX_LENGTH

PATH = "/page/blends"
_MAX_NAME = 200

_Name: TypeAlias = Annotated[str, Field(max_length=_MAX_NAME)]
_Recipe: TypeAlias = Annotated[str, Field(max_length=2 * MAX_LENGTH)]


class DraftBody(RequestBody):
    """A blend as the browser sends it."""

    name: _Name
    recipe: _Recipe
    language: _Name | None = None
    description: Annotated[str, Field(max_length=10 * _MAX_NAME)] = ""
    spherical: bool = False
    normalized: bool = True
    title: _Name = ""

    def draft(self) -> BlendDraft:
        """Return it as the service takes it."""
        return BlendDraft(**self.model_dump())


class RecipeBody(RequestBody):
    """A recipe to parse."""

    recipe: _Recipe


class SaveBlendBody(RequestBody):
    """A blend to save, and its state when the edit began."""

    draft: DraftBody
    expected: DraftBody | None = None


class NewNameBody(VoiceNameBody):
    """A blend and a new name for it or its copy, also as people write it."""

    new: _Name
    title: _Name = ""


def blend_routes(service: BlendService) -> APIRouter:
    """Return the routes below PATH; all answer JSON except the exported file."""
    router = APIRouter(prefix=PATH, include_in_schema=False)
    _add_view(router, service)
    _add_changes(router, service)
    _add_files(router, service)
    return router


def _add_view(router: APIRouter, service: BlendService) -> None:
    @router.get("")
    async def view() -> Response:
        return await _view_response(service, await service.view())

    @router.get("/map")
    async def voice_map() -> Response:
        return json_response([asdict(voice) for voice in await service.map()])

    @router.post("/read")
    async def parse(body: RecipeBody) -> Response:
        try:
            return json_response(asdict(await service.parse(body.recipe)))
        except SpeechError as error:  # a recipe that is still being typed
            return json_response(
                {"problem": str(error), "code": error.code, "said": said_parts(error.message, error.hint)}
            )


def _add_changes(router: APIRouter, service: BlendService) -> None:
    @router.post("/keep")
    async def save(body: SaveBlendBody) -> Response:
        expected = body.expected.draft() if body.expected else None
        return await _view_response(service, await service.save(body.draft.draft(), expected))

    @router.post("/rename")
    async def rename(body: NewNameBody) -> Response:
        return await _view_response(service, await service.rename(body.name, body.new, body.title))

    @router.post("/duplicate")
    async def duplicate(body: NewNameBody) -> Response:
        return await _view_response(service, await service.duplicate(body.name, body.new, body.title))

    @router.post("/remove")
    async def remove(body: VoiceNameBody) -> Response:
        return await _view_response(service, await service.remove(body.name))


def _add_files(router: APIRouter, service: BlendService) -> None:
    @router.post("/import")
    async def import_voice(
        request: Request,
        name: Annotated[str, Query(max_length=_MAX_NAME)],
        file: Annotated[str, Query(max_length=_MAX_NAME)],
    ) -> Response:
        return await _view_response(service, await service.import_voice(name, file, request.stream()))

    @router.get("/export")
    async def export(name: Annotated[str, Query(min_length=1, max_length=MAX_LENGTH)]) -> Response:
        content = await service.export(name)
        headers = {
            "Content-Disposition": _attachment(name, service.title(name)),
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        }
        return Response(content, media_type="application/octet-stream", headers=headers)


def _attachment(name: str, title: str) -> str:
    """Name the exported file after a voice or recipe: by its title, if it has one, where that can be read."""
    plain = "".join(sign if sign.isascii() and sign.isalnum() else "_" for sign in name)
    titled = f"; filename*=UTF-8''{quote(title, safe='')}.npy" if title else ""
    return f'attachment; filename="{plain}.npy"{titled}'


async def _view_response(service: BlendService, view: BlendingView) -> Response:
    """Encode the view on a worker: there may be a thousand blends."""
    return await service.run_blocking(lambda: json_response(asdict(view)))
