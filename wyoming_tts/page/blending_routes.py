"""What the Blend tab asks the server for: JSON in and out, a voice's file as it is.

Requests of our own rather than events of Gradio's: a slider that is dragged waits in no queue, a file goes
past every copy that a framework would make, and what went wrong comes in the words of all our answers.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, TypeAlias

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from wyoming_tts.errors import SpeechError
from wyoming_tts.page.blending import BlendService
from wyoming_tts.page.blending_view import BlendingView, Draft
from wyoming_tts.transports.http.errors import json_response
from wyoming_tts.voices.blends.recipes import MAX_LENGTH

PREFIX = "/page/blends"
_LONGEST = 200

_Name: TypeAlias = Annotated[str, Field(min_length=1, max_length=_LONGEST)]
_Recipe: TypeAlias = Annotated[str, Field(max_length=2 * MAX_LENGTH)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class DraftBody(_Body):
    """A blend as the page writes it."""

    name: Annotated[str, Field(max_length=_LONGEST)]
    recipe: _Recipe
    language: Annotated[str, Field(max_length=_LONGEST)] | None = None
    description: Annotated[str, Field(max_length=10 * _LONGEST)] = ""
    spherical: bool = False
    normalized: bool = True

    def draft(self) -> Draft:
        """Return it as the desk takes it."""
        return Draft(**self.model_dump())


class RecipeBody(_Body):
    """A recipe to be read."""

    recipe: _Recipe


class SaveBlendBody(_Body):
    """A blend to keep, and what it was when its edit began."""

    draft: DraftBody
    expected: DraftBody | None = None


class BlendNameBody(_Body):
    """A blend to do something with."""

    name: _Name


class TwoNamesBody(BlendNameBody):
    """A blend, and another name."""

    new: Annotated[str, Field(max_length=_LONGEST)]


def blend_routes(desk: BlendService) -> APIRouter:
    """Return the routes of the tab."""
    router = APIRouter(prefix=PREFIX, include_in_schema=False)
    _add_lists(router, desk)
    _add_changes(router, desk)
    _add_files(router, desk)
    return router


def _add_lists(router: APIRouter, desk: BlendService) -> None:
    @router.get("")
    async def shelf() -> Response:
        return await _told(desk, await desk.shelf())

    @router.post("/read")
    async def read(body: RecipeBody) -> Response:
        try:
            return json_response(asdict(await desk.read(body.recipe)))
        except SpeechError as error:  # half a recipe, of somebody who is still typing
            return json_response({"problem": str(error)})

    @router.post("/fetch")
    async def fetch() -> Response:
        return await _told(desk, await desk.fetch_model())


def _add_changes(router: APIRouter, desk: BlendService) -> None:
    @router.post("/keep")
    async def keep(body: SaveBlendBody) -> Response:
        expected = body.expected.draft() if body.expected else None
        return await _told(desk, await desk.keep(body.draft.draft(), expected))

    @router.post("/rename")
    async def rename(body: TwoNamesBody) -> Response:
        return await _told(desk, await desk.rename(body.name, body.new))

    @router.post("/duplicate")
    async def duplicate(body: TwoNamesBody) -> Response:
        return await _told(desk, await desk.duplicate(body.name, body.new))

    @router.post("/remove")
    async def remove(body: BlendNameBody) -> Response:
        return await _told(desk, await desk.remove(body.name))


def _add_files(router: APIRouter, desk: BlendService) -> None:
    @router.post("/import")
    async def take_in(
        request: Request,
        name: Annotated[str, Query(max_length=_LONGEST)],
        file: Annotated[str, Query(max_length=_LONGEST)],
    ) -> Response:
        return await _told(desk, await desk.take_in(name, file, request.stream()))

    @router.get("/export")
    async def export(name: Annotated[str, Query(min_length=1, max_length=MAX_LENGTH)]) -> Response:
        content = await desk.export(name)
        file_name = "".join(sign if sign.isascii() and sign.isalnum() else "_" for sign in name)
        headers = {
            "Content-Disposition": f'attachment; filename="{file_name}.npy"',
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        }
        return Response(content, media_type="application/octet-stream", headers=headers)


async def _told(desk: BlendService, shelf: BlendingView) -> Response:
    """Encode it on a worker: there may be a thousand blends."""
    return await desk.run_blocking(lambda: json_response(asdict(shelf)))
