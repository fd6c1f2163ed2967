"""A real HTTP server on a loopback port, speaking through a fake service without engines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import httpx
import pytest
from fastapi import FastAPI
from starlette.middleware import Middleware

from tests.support.fake_speech_service import FakeSpeechService
from tests.support.fake_synthesizer import run_in_thread
from wyoming_tts.transports.http.app import HttpOptions, HttpServer, HttpServerOptions, create_app
from wyoming_tts.transports.interfaces import SpeechService


@dataclass
class Served:
    """A running HTTP server, its fake speech service, and a client connected to it."""

    service: FakeSpeechService
    server: HttpServer
    client: httpx.AsyncClient
    task: asyncio.Task[None]
    scheme: str = "http"

    @property
    def address(self) -> tuple[str, int]:
        return self.server.bound[0]

    @property
    def url(self) -> str:
        host, port = self.address
        return f"{self.scheme}://{host}:{port}"


class _Substitute:
    """Passes everything on to the speech service of the test that runs."""

    def __init__(self) -> None:
        self.service: FakeSpeechService | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.service, name)


@dataclass(frozen=True, slots=True)
class _UsualApp:
    """An app as it is without options, which one server after the other serves."""

    app: FastAPI
    substitute: _Substitute


@cache
def _unused_apps() -> list[_UsualApp]:
    return []


def _make_usual_app() -> _UsualApp:
    substitute = _Substitute()
    service = cast("SpeechService", substitute)
    return _UsualApp(create_app(service, HttpOptions(), run_blocking=run_in_thread), substitute)


@contextmanager
def _usual_app(service: FakeSpeechService) -> Iterator[FastAPI]:
    """Lend an app: making one takes longer than most tests do, and FastAPI keeps each for ever."""
    unused = _unused_apps()
    usual = unused.pop() if unused else _make_usual_app()
    usual.substitute.service = service
    usual.app.state.requests.stopping = asyncio.Event()  # the last server has set it, in another event loop
    yield usual.app
    usual.substitute.service = None
    if not len(usual.app.state.requests):
        unused.append(usual)


@contextmanager
def _app(
    options: HttpOptions | None, service: FakeSpeechService, middleware: Sequence[Middleware]
) -> Iterator[FastAPI]:
    if options is None and not middleware:
        with _usual_app(service) as app:
            yield app
        return
    yield create_app(service, options or HttpOptions(), run_blocking=run_in_thread, middleware=middleware)


@asynccontextmanager
async def serving(
    options: HttpOptions | None = None,
    service: FakeSpeechService | None = None,
    middleware: Sequence[Middleware] = (),
    **listening: Any,
) -> AsyncIterator[Served]:
    service = service or FakeSpeechService()
    with _app(options, service, middleware) as app:
        server = HttpServer(app, HttpServerOptions(port=0, **listening), run_blocking=run_in_thread)
        async with _running(server, service) as served:
            yield served


@asynccontextmanager
async def _running(server: HttpServer, service: FakeSpeechService) -> AsyncIterator[Served]:
    async with server:
        await server.start()
        host, port = server.bound[0]
        scheme = "https" if server.is_encrypted else "http"
        async with (
            asyncio.TaskGroup() as tasks,
            # A busy machine may take long to answer: only the limit of tests ends a wait.
            httpx.AsyncClient(
                base_url=f"{scheme}://{host}:{port}", trust_env=False, verify=False, timeout=None
            ) as client,
        ):
            task = tasks.create_task(server.serve())
            yield Served(service, server, client, task, scheme)
            await server.stop()


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with serving() as running:
        yield running
