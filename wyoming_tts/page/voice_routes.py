"""HTTP routes of the Voices tab: JSON that is read and answered, and uploads, whole or in parts."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import Field
from starlette.requests import ClientDisconnect

from wyoming_tts.errors import BadRequest
from wyoming_tts.messages import Message, encode_messages
from wyoming_tts.page import paths
from wyoming_tts.page.request_body import VoiceNameBody
from wyoming_tts.page.uploads import UploadRange
from wyoming_tts.page.voices import VoiceService
from wyoming_tts.transports.http.errors import json_response

PATH = paths.VOICES
"""Relative to the page."""
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,12})-([0-9]{1,12})/([0-9]{1,12})")
_CONTENT_LENGTH = re.compile(r"[0-9]{1,12}")


class RemoveBody(VoiceNameBody):
    """A voice to delete, and the files that the user has confirmed."""

    files: Annotated[list[str], Field(max_length=100)]


def voice_routes(service: VoiceService) -> APIRouter:
    """Return the routes below PATH: JSON in and out; uploads are streamed, whole or in parts."""
    router = APIRouter(include_in_schema=False)
    _add_voices(router, service)
    _add_uploads(router, service)
    return router


def _add_voices(router: APIRouter, service: VoiceService) -> None:
    @router.get(f"/{PATH}")
    async def view() -> Response:
        view = await service.view()
        # In a worker: there are hundreds of voices.
        return await service.run_blocking(lambda: json_response(encode_messages(view)))

    @router.get(f"/{PATH}/news")
    async def update() -> Response:
        return json_response(encode_messages(service.update()))

    @router.post(f"/{PATH}/download")
    async def download(body: VoiceNameBody) -> Response:
        service.download(body.name)
        return json_response(encode_messages(service.update()))

    @router.post(f"/{PATH}/cancel")
    async def cancel(body: VoiceNameBody) -> Response:
        service.cancel(body.name)
        return json_response(encode_messages(service.update()))

    @router.post(f"/{PATH}/plan-removal")
    async def plan_removal(body: VoiceNameBody) -> Response:
        return json_response(encode_messages(await service.plan_removal(body.name)))

    @router.post(f"/{PATH}/remove")
    async def remove(body: RemoveBody) -> Response:
        return json_response(asdict(await service.remove(body.name, body.files)))

    @router.post(f"/{PATH}/default")
    async def make_default(body: VoiceNameBody) -> Response:
        return json_response(asdict(await service.make_default(body.name)))


def _add_uploads(router: APIRouter, service: VoiceService) -> None:
    @router.post(f"/{PATH}/upload/{{name}}")
    async def upload(name: str, request: Request) -> Response:
        """Receive a file or, with `Content-Range`, the next part of one."""
        try:
            received = await service.uploads.receive(name, request.stream(), _upload_range(request))
        except ClientDisconnect:
            return Response(status_code=400)  # the client is gone: nobody reads it
        return json_response(asdict(received))


def _upload_range(request: Request) -> UploadRange:
    header = request.headers.get("content-range")
    if header is None:
        length = request.headers.get("content-length", "")
        return UploadRange(total=int(length) if _CONTENT_LENGTH.fullmatch(length) else None)
    match = _CONTENT_RANGE.fullmatch(header)
    start, last, total = map(int, match.groups()) if match else (0, 0, 0)
    if not start <= last < total:
        raise BadRequest(
            Message(
                "bad_range",
                "Got {header} as Content-Range, expected `bytes FIRST-LAST/TOTAL`.",
                header=repr(header[:80]),
            )
        )
    return UploadRange(start, total)
