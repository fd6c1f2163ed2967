"""Downloads of finished audio: Kokoro-FastAPI's `/v1/download/{filename}`.

Whoever has the unguessable name of a file may have the file, within what the guard lets in.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from starlette.types import Receive, Scope, Send

from wyoming_tts.blocking import RunBlocking
from wyoming_tts.encoders import Encoding, media_type
from wyoming_tts.messages import Message
from wyoming_tts.transports.http.byte_ranges import ByteRange, requested_range
from wyoming_tts.transports.http.errors import ApiError, error_responses
from wyoming_tts.transports.http.kept_audio import KeptAudio, KeptFile, audio_name
from wyoming_tts.transports.http.speech_response import run_while_connected

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_ENDING = re.compile(r"\.[A-Za-z0-9]{1,5}$")
_MAX_NAME_CHARS = 100
_MARKS = "._-"
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_FILE = {"schema": {"type": "string", "format": "binary"}}
_FILES = {
    "description": "The file, or the part of it that was asked for.",
    "content": {media_type(encoding).partition(";")[0]: _FILE for encoding in Encoding},
}


def download_routes(kept: KeptAudio, run_blocking: RunBlocking) -> APIRouter:
    """Return the routes of finished audio; what `X-Download-Path` says is right with and without `/v1`."""
    router = APIRouter()

    async def download(
        request: Request,
        filename: str,
        name: Annotated[
            str | None, Query(max_length=1000, description="To save it as, without ending.")
        ] = None,
    ) -> Response:
        """Return the audio of a response with `return_download_link`, or the times of its words."""
        file = _find(kept, filename)
        size = file.audio.size if filename == file.name else len(file.times)
        part = requested_range(request.headers.get("range", ""), size)
        headers = {**_HEADERS, **part.headers}
        if part.is_empty:
            return Response(status_code=part.status, headers=headers)
        headers["Content-Disposition"] = f'attachment; filename="{_save_name(name, filename)}"'
        if filename != file.name:
            content = file.times[part.first : part.last + 1]
            return Response(content, part.status, headers, media_type="application/json")
        return _FileResponse(file, part, headers, run_blocking)

    responses = {200: _FILES, 206: _FILES, **error_responses(400, 404, 409, 416)}
    for path in ("/v1/download/{filename}", "/download/{filename}"):
        router.add_api_route(path, download, response_class=Response, responses=responses)
    return router


def _find(kept: KeptAudio, filename: str) -> KeptFile:
    file = kept.find(audio_name(filename))
    if file is not None and not file.is_finished:
        raise ApiError(
            409,
            Message("file_not_finished", "The file is not finished yet: its response has not ended."),
            code="not_finished",
        )
    if file is None or (filename != file.name and not file.times):
        raise ApiError(
            404, Message("file_not_kept", "There is no such file, or it is no longer kept."), code="not_found"
        )
    return file


def _save_name(wanted: str | None, filename: str) -> str:
    """Return the name to save a file as: what was wanted, in safe characters, with the file's own ending."""
    stem = _ENDING.sub("", _UNSAFE.sub("_", wanted or "")).strip(_MARKS)[:_MAX_NAME_CHARS].strip(_MARKS)
    return f"{stem}.{filename.rpartition('.')[2]}" if stem else filename


class _FileResponse(Response):
    """Part of a file, read piece by piece off the event loop while the client stays connected."""

    def __init__(
        self, file: KeptFile, part: ByteRange, headers: dict[str, str], run_blocking: RunBlocking
    ) -> None:
        length = str(part.last - part.first + 1)
        super().__init__(None, part.status, {**headers, "Content-Length": length}, file.media_type)
        self._audio = file.audio
        self._part = part
        self._run_blocking = run_blocking

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await run_while_connected(receive, self._send(send, is_head=scope["state"]["is_head"]))

    async def _send(self, send: Send, *, is_head: bool) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        position, end = self._part.first, self._part.last + 1
        while position < end and not is_head:
            piece = await self._run_blocking(partial(self._audio.read, position, end - position))
            position += len(piece)
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
