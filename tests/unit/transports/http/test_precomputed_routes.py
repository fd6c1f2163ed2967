"""What an app's first request finds done."""

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


class Said(BaseModel):
    words: str


def some_app() -> FastAPI:
    router = APIRouter()

    @router.get("/said")
    async def said(words: str) -> Said:
        return Said(words=words)

    app = FastAPI()
    app.include_router(router)
    return app


def mounted_app() -> FastAPI:
    return FastAPI(routes=[Mount("/", some_app())])


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What routes take long to make, as it is made."""
    kinds: list[object] = []
    make = TypeAdapter.__init__

    def noted(self: TypeAdapter[object], kind: object, **options: object) -> None:
        kinds.append(kind)
        make(self, kind, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(TypeAdapter, "__init__", noted)
    return kinds


async def _answer(app: FastAPI, path: str) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        return await client.get(path)


@pytest.mark.parametrize("make", [some_app, mounted_app])
async def test_the_first_request_makes_nothing_where_routes_were_worked_out(
    make: Callable[[], FastAPI], made: list[object]
) -> None:
    app = make()
    precompute_routes(app)
    made.clear()
    assert (await _answer(app, "/said?words=a")).json() == {"words": "a"}
    assert made == []


async def test_else_it_does(made: list[object]) -> None:
    app = some_app()
    made.clear()
    await _answer(app, "/said?words=a")
    assert made


async def test_the_first_request_to_the_api_makes_nothing(made: list[object]) -> None:
    app = create_app(FakeSpeechService(), HttpOptions(), run_blocking=run_in_thread)
    made.clear()
    assert (await _answer(app, "/v1/voices")).status_code == 200
    assert made == []


def test_an_app_of_another_kind_is_left_alone() -> None:
    async def app(*_: object) -> None: ...

    precompute_routes(app)
