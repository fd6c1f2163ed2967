"""HTTP routes of the Stream tab: runs as server-sent events, and what is kept of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import asdict
from typing import Annotated, TypeAlias

from fastapi import APIRouter, Request, Response
from pydantic import Field
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from wyoming_tts.page import paths
from wyoming_tts.page.request_body import RequestBody
from wyoming_tts.page.stream_test.request import ClientKind, StreamTestRequest
from wyoming_tts.page.stream_test.run import StreamTestFrame, as_translatable_json
from wyoming_tts.page.stream_test.service import StreamTestService
from wyoming_tts.transports.http.byte_ranges import requested_range
from wyoming_tts.transports.http.errors import json_response
from wyoming_tts.transports.http.server_sent_events import EVENT_STREAM, UNBUFFERED, encode_json_event
from wyoming_tts.transports.http.speech_response import run_while_connected, send_body, send_start

PATH = paths.STREAM_TEST
"""Relative to the page."""
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_EVENT_HEADERS = {"Content-Type": EVENT_STREAM, **UNBUFFERED}

_Session: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class SessionBody(RequestBody):
    """The page whose run is meant, by a name that it has chosen."""

    session: _Session


class RunBody(SessionBody):
    """The parameters of a run, which `check_request` limits."""

    text: str
    target: str = ""
    kind: ClientKind = ClientKind.WYOMING_STREAM
    words_per_second: float = 20.0
    clients: int = 1
    voice: str = ""
    vary: bool = False
    recorded: int = 1
    warm_up: bool = False

    def to_request(self) -> StreamTestRequest:
        """Return them as the service takes them."""
        return StreamTestRequest(**self.model_dump(exclude={"session"}))


class NothingBody(RequestBody):
    """No parameters."""


class FramesResponse(Response):
    """The frames of a run as server-sent events; the run ends when the client disconnects."""

    def __init__(self, service: StreamTestService, body: RunBody) -> None:
        super().__init__(media_type=EVENT_STREAM)
        self._service = service
        self._session = body.session
        self._request = body.to_request()

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        """Send the frames.

        Raises:
            SpeechError: before the response starts.
        """
        await run_while_connected(receive, self._run(send))

    async def _run(self, send: Send) -> None:
        async with aclosing(self._service.run(self._session, self._request)) as frames:
            await self._send(send, await anext(frames), frames)

    async def _send(self, send: Send, first: StreamTestFrame, others: AsyncIterator[StreamTestFrame]) -> None:
        await send_start(send, _EVENT_HEADERS)
        await send_body(send, _event(first))
        async for frame in others:
            await send_body(send, _event(frame))
        await send_body(send, b"", more=False)


def _event(frame: StreamTestFrame) -> bytes:
    return encode_json_event(as_translatable_json(frame))


def stream_test_routes(service: StreamTestService) -> APIRouter:
    """Return the routes below PATH; the unguessable ID of a run is the permission for what is kept of it."""
    router = APIRouter(prefix=f"/{PATH}", include_in_schema=False)
    _add_runs(router, service)
    _add_kept(router, service)
    return router


def _add_runs(router: APIRouter, service: StreamTestService) -> None:
    @router.post("/run")
    async def run(body: RunBody) -> Response:
        return FramesResponse(service, body)

    @router.post("/stop")
    async def stop(body: SessionBody) -> Response:
        await service.stop(body.session)
        return json_response({})

    @router.post("/find")
    async def find(_: NothingBody) -> Response:
        return json_response([asdict(server) for server in await service.find()])


def _add_kept(router: APIRouter, service: StreamTestService) -> None:
    @router.get("/{run}/run.json")
    async def report(run: str) -> Response:
        content = await service.report(run)
        if content is None:
            raise _gone()
        headers = _HEADERS | {"Content-Disposition": 'attachment; filename="stream-test.json"'}
        return Response(content, media_type="application/json", headers=headers)

    @router.get("/{run}/{client:int}.wav")
    async def audio(run: str, client: int, request: Request) -> Response:
        wav = service.wav(run, client)
        if wav is None:
            raise _gone()
        return _range_response(wav, request.headers.get("range", ""))


def _gone() -> HTTPException:
    return HTTPException(404, "That run is no longer kept.")


def _range_response(wav: bytes, requested: str) -> Response:
    """Answer with the file or the requested byte range of it; Safari plays audio only with ranges."""
    part = requested_range(requested, len(wav))
    headers = _HEADERS | part.headers
    if part.is_empty:
        return Response(status_code=part.status, headers=headers)
    return Response(wav[part.first : part.last + 1], part.status, headers, media_type="audio/wav")
