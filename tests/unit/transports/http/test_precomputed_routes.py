"""Precomputed routes: the first request builds no pydantic adapters."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from pydantic import BaseModel, TypeAdapter
from starlette.routing import Mount

from tests.support.fake_speech_service import FakeSpeechService
from tests.support.fake_synthesizer import run_in_thread
from wyoming_tts.transports.http.app import HttpOptions, create_app
from wyoming_tts.transports.http.precomputed_routes import precompute_routes


class EchoResponse(BaseModel):
    words: str


def make_app() -> FastAPI:
    router = APIRouter()

    @router.get("/said")
    async def echo(words: str) -> EchoResponse:
        return EchoResponse(words=words)

    app = FastAPI()
    app.include_router(router)
    return app


def make_mounted_app() -> FastAPI:
    return FastAPI(routes=[Mount("/", make_app())])


@pytest.fixture
def built_adapters(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Types for which pydantic adapters, which are slow to build, were built."""
    kinds: list[object] = []
    original_init = TypeAdapter.__init__

    def recording_init(self: TypeAdapter[object], kind: object, **options: object) -> None:
        kinds.append(kind)
        original_init(self, kind, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(TypeAdapter, "__init__", recording_init)
    return kinds


async def _get(app: FastAPI, path: str) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        return await client.get(path)


@pytest.mark.parametrize("make", [make_app, make_mounted_app])
async def test_precomputed_routes_build_no_adapter_on_the_first_request(
    make: Callable[[], FastAPI], built_adapters: list[object]
) -> None:
    app = make()
    precompute_routes(app)
    built_adapters.clear()
    assert (await _get(app, "/said?words=a")).json() == {"words": "a"}
    assert built_adapters == []


async def test_without_precomputing_the_first_request_builds_adapters(built_adapters: list[object]) -> None:
    app = make_app()
    built_adapters.clear()
    await _get(app, "/said?words=a")
    assert built_adapters


async def test_the_first_api_request_builds_no_adapter(built_adapters: list[object]) -> None:
    app = create_app(FakeSpeechService(), HttpOptions(), run_blocking=run_in_thread)
    built_adapters.clear()
    assert (await _get(app, "/v1/voices")).status_code == 200
    assert built_adapters == []


def test_an_app_that_is_not_fastapi_is_left_unchanged() -> None:
    async def app(*_: object) -> None: ...

    precompute_routes(app)
