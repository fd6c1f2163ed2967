"""The guard as middleware of the app: refusals carry request ids, and requests pass through intact."""

from __future__ import annotations

import asyncio

from starlette.middleware import Middleware

from tests.http.conftest import serving
from tests.http.test_connections import raw, request
from tests.support.fake_synthesizer import speech_pcm
from wyoming_tts.transports.http.access_rules import GuardOptions
from wyoming_tts.transports.http.app import HttpOptions
from wyoming_tts.transports.http.guard import Guard


def guard_middleware(*keys: str) -> list[Middleware]:
    return [Middleware(Guard(None, GuardOptions(api_keys=keys)).wrap)]


async def test_a_request_without_a_key_is_refused_with_a_request_id() -> None:
    async with serving(middleware=guard_middleware("secret")) as served:
        body = {"input": "hi", "response_format": "wav"}
        refused = await served.client.post("/v1/audio/speech", json=body, headers={"X-Request-ID": "mine"})
        served.client.headers["Authorization"] = "Bearer secret"
        spoke = await served.client.post("/v1/audio/speech", json=body)
    assert (refused.status_code, refused.headers["x-request-id"]) == (401, "mine")
    assert refused.json()["error"]["message"]
    assert spoke.content[44:] == speech_pcm("hi")


async def test_an_incomplete_request_body_times_out_behind_the_guard_too() -> None:
    async with (
        serving(HttpOptions(request_timeout=0.2), middleware=guard_middleware()) as served,
        raw(served) as (reader, writer),
    ):
        writer.write(request()[:-3])
        async with asyncio.timeout(5):
            assert (await reader.readline()).startswith(b"HTTP/1.1 408")
            assert b'"code": "request_timeout"' in await reader.readuntil(b"}}")
