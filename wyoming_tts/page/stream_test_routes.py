"""What of a stream test is too large for the page's own events: a client's audio, and the run as JSON."""

from __future__ import annotations

import re

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from wyoming_tts.page.stream_test import StreamTestService

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def stream_test_routes(desk: StreamTestService) -> APIRouter:
    """Serve what the desk keeps of its last runs, to whoever knows a run's name."""
    router = APIRouter(prefix="/page/stream-test", include_in_schema=False)

    @router.get("/{run}/run.json")
    async def report(run: str) -> Response:
        told = await desk.report(run)
        if told is None:
            raise _gone()
        headers = _HEADERS | {"Content-Disposition": 'attachment; filename="stream-test.json"'}
        return Response(told, media_type="application/json", headers=headers)

    @router.get("/{run}/{client:int}.wav")
    async def audio(run: str, client: int, request: Request) -> Response:
        wav = desk.wav(run, client)
        if wav is None:
            raise _gone()
        return _ranged(wav, request.headers.get("range", ""))

    return router


def _gone() -> HTTPException:
    return HTTPException(404, "That run is not kept any more.")


def _ranged(wav: bytes, wanted: str) -> Response:
    """The file, or the one part of it that was asked for: Safari plays nothing without."""
    headers = _HEADERS | {"Accept-Ranges": "bytes"}
    match = _RANGE.fullmatch(wanted)
    if match is None or not any(match.groups()):
        return Response(wav, media_type="audio/wav", headers=headers)
    first, last = _bounds(match[1], match[2], len(wav))
    if first > last:
        return Response(status_code=416, headers=headers | {"Content-Range": f"bytes */{len(wav)}"})
    headers["Content-Range"] = f"bytes {first}-{last}/{len(wav)}"
    return Response(wav[first : last + 1], status_code=206, media_type="audio/wav", headers=headers)


def _bounds(first: str, last: str, size: int) -> tuple[int, int]:
    """First and last byte, RFC 9110, section 14.1.2; without a first one the last so many are meant."""
    if not first:
        return max(0, size - int(last)), size - 1
    return int(first), min(int(last), size - 1) if last else size - 1
