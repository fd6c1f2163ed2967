"""The page's files and lists are compressed for clients that accept it, and nothing else is."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from wyoming_tts.transports.http.compression import CompressionMiddleware, accepts_gzip

TEXT = "A voice for the house. " * 200
FOREVER = {"Cache-Control": "private, max-age=31536000, immutable", "ETag": '"abc"'}


def answer(content: str, kind: str, headers: dict[str, str] | None = None) -> Callable[[Request], Response]:
    return lambda _: Response(content, media_type=kind, headers=headers)


ROUTES = [
    Route("/", answer(TEXT, "text/html")),
    Route("/assets/index.js", answer(TEXT, "text/javascript", FOREVER)),
    Route("/page/voices", answer(json.dumps([TEXT]), "application/json")),
    Route("/page/short", answer("{}", "application/json")),
    Route("/page/stream-test/x/1.wav", answer(TEXT, "audio/wav")),
    Route("/v1/voices", answer(json.dumps([TEXT]), "application/json")),
    Route("/config", lambda _: Response(TEXT, 404, media_type="application/json")),
]


@asynccontextmanager
async def client() -> AsyncIterator[tuple[httpx.AsyncClient, list[str]]]:
    """A client of an app behind the middleware, and the work that ran on a worker."""
    worked: list[str] = []

    async def run_blocking(work: Callable[[], Any]) -> Any:
        worked.append("compressed")
        return work()

    app = CompressionMiddleware(Starlette(routes=ROUTES), run_blocking=run_blocking)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://tts.local") as http:
        yield http, worked


async def test_the_pages_text_is_compressed_and_reads_the_same() -> None:
    async with client() as (http, worked):
        for path in ("/", "/assets/index.js", "/page/voices"):
            whole = await http.get(path, headers={"Accept-Encoding": "identity"})
            small = await http.get(path, headers={"Accept-Encoding": "br, gzip"})
            assert small.headers["content-encoding"] == "gzip"
            assert small.headers["vary"] == "Accept-Encoding"
            assert int(small.headers["content-length"]) < len(whole.content) // 5
            assert small.content == whole.content
    assert len(worked) == 3


@pytest.mark.parametrize("path", ["/page/short", "/page/stream-test/x/1.wav", "/v1/voices", "/config"])
async def test_what_is_short_audio_or_not_the_pages_stays_as_it_is(path: str) -> None:
    async with client() as (http, worked):
        got = await http.get(path, headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in got.headers
    assert worked == []


async def test_a_file_that_never_changes_is_compressed_once() -> None:
    async with client() as (http, worked):
        answers = [await http.get("/assets/index.js") for _ in range(3)]
    assert {each.content for each in answers} == {TEXT.encode()}
    assert {each.headers["etag"] for each in answers} == {'W/"abc"'}
    assert worked == ["compressed"]


@pytest.mark.parametrize(
    ("accepted", "expected"),
    [
        ("gzip", True),
        ("deflate, gzip;q=0.5", True),
        ("*", True),
        ("GZIP", True),
        ("", False),
        ("identity", False),
        ("gzip;q=0", False),
        ("gzip; q=0.000, br", False),
        ("x-gzip-like", False),
    ],
)
def test_gzip_is_used_only_where_it_is_accepted(accepted: str, expected: bool) -> None:  # noqa: FBT001
    assert accepts_gzip(accepted) is expected
