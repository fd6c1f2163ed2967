"""A real HTTP server on a loopback port, speaking through a fake service without engines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from starlette.middleware import Middleware

from tests.support.fake_speech_service import FakeSpeechService
from tests.support.fake_synthesizer import run_in_thread
from wyoming_tts.transports.http.app import HttpOptions, HttpServer, HttpServerOptions, create_app


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


@asynccontextmanager
async def serving(
    options: HttpOptions | None = None,
    service: FakeSpeechService | None = None,
    middleware: Sequence[Middleware] = (),
    **listening: Any,
) -> AsyncIterator[Served]:
    service = service or FakeSpeechService()
    app = create_app(service, options or HttpOptions(), run_blocking=run_in_thread, middleware=middleware)
    server = HttpServer(app, HttpServerOptions(port=0, **listening), run_blocking=run_in_thread)
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
