"""What the Voices tab asks the server for: JSON in and out, voices' files as they are.

Files are taken whole, or in parts that are small enough for whatever stands between; none is held in memory.
"""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Annotated, TypeAlias

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import ClientDisconnect

from wyoming_tts.errors import BadRequest
from wyoming_tts.page.lexicon import LexiconService
from wyoming_tts.page.voices import VoiceService
from wyoming_tts.page.voices_uploads import UploadRange
from wyoming_tts.transports.http.errors import json_response
from wyoming_tts.yaml_files.reading import MAX_BYTES

VOICES = "page/voices"
LEXICON = "page/lexicon"
"""Below where the page is."""

_RANGE = re.compile(r"bytes ([0-9]{1,12})-([0-9]{1,12})/([0-9]{1,12})")
_LENGTH = re.compile(r"[0-9]{1,12}")

_Name: TypeAlias = Annotated[str, Field(min_length=1, max_length=200)]
_Text: TypeAlias = Annotated[str, Field(max_length=MAX_BYTES)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class VoiceNameBody(_Body):
    """A voice to do something with."""

    name: _Name


class RemoveBody(VoiceNameBody):
    """A voice to delete, and the files of it that were agreed to."""

    files: Annotated[list[str], Field(max_length=100)]


class LexiconTextBody(_Body):
    """A lexicon to be checked."""

    text: _Text


class SaveLexiconBody(LexiconTextBody):
    """A lexicon to be saved, and the file that it was made from."""

    version: Annotated[str, Field(max_length=64)]


class SentenceBody(_Body):
    """A sentence to try the lexicon with."""

    sentence: Annotated[str, Field(min_length=1, max_length=500)]


def voice_routes(desk: VoiceService) -> APIRouter:
    """Return the routes of the tab."""
    router = APIRouter(include_in_schema=False)
    _add_voices(router, desk)
    _add_uploads(router, desk)
    _add_lexicon(router, desk.lexicon)
    return router


def _add_voices(router: APIRouter, desk: VoiceService) -> None:
    @router.get(f"/{VOICES}")
    async def shelf() -> Response:
        return json_response(asdict(await desk.shelf()))

    @router.get(f"/{VOICES}/news")
    async def news() -> Response:
        return json_response(asdict(desk.news()))

    @router.post(f"/{VOICES}/download")
    async def download(body: VoiceNameBody) -> Response:
        desk.download(body.name)
        return json_response(asdict(desk.news()))

    @router.post(f"/{VOICES}/cancel")
    async def cancel(body: VoiceNameBody) -> Response:
        desk.cancel(body.name)
        return json_response(asdict(desk.news()))

    @router.post(f"/{VOICES}/plan-removal")
    async def plan_removal(body: VoiceNameBody) -> Response:
        return json_response(asdict(await desk.plan_removal(body.name)))

    @router.post(f"/{VOICES}/remove")
    async def remove(body: RemoveBody) -> Response:
        return json_response(asdict(await desk.remove(body.name, body.files)))

    @router.post(f"/{VOICES}/default")
    async def make_default(body: VoiceNameBody) -> Response:
        return json_response(asdict(await desk.make_default(body.name)))


def _add_uploads(router: APIRouter, desk: VoiceService) -> None:
    @router.post(f"/{VOICES}/upload/{{name}}")
    async def upload(name: str, request: Request) -> Response:
        """Take a file, or with `Content-Range` the next part of one."""
        try:
            received = await desk.uploads.receive(name, request.stream(), _extent(request))
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it
        return json_response(asdict(received))


def _add_lexicon(router: APIRouter, desk: LexiconService) -> None:
    @router.get(f"/{LEXICON}")
    async def load() -> Response:
        return json_response(asdict(await desk.load()))

    @router.post(f"/{LEXICON}/check")
    async def check(body: LexiconTextBody) -> Response:
        return json_response(asdict(await desk.check(body.text)))

    @router.post(f"/{LEXICON}/save")
    async def save(body: SaveLexiconBody) -> Response:
        return json_response(asdict(await desk.save(body.text, body.version)))

    @router.post(f"/{LEXICON}/said")
    async def said(body: SentenceBody) -> Response:
        return json_response(asdict(await desk.said(body.sentence)))


def _extent(request: Request) -> UploadRange:
    told = request.headers.get("content-range")
    if told is None:
        length = request.headers.get("content-length", "")
        return UploadRange(total=int(length) if _LENGTH.fullmatch(length) else None)
    match = _RANGE.fullmatch(told)
    start, last, total = map(int, match.groups()) if match else (0, 0, 0)
    if not start <= last < total:
        raise BadRequest(f"The part {told[:80]!r} is none.", hint="Send `bytes FIRST-LAST/TOTAL`.")
    return UploadRange(start, total)
