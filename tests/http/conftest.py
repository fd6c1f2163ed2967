"""A real server on loopback, with a house that has no engines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from starlette.middleware import Middleware

from tests.support.fake_house import FakeHouse
from tests.support.fake_synthesizer import in_a_thread
from wyoming_tts.transports.http.app import HttpOptions, HttpServer, ServerOptions, create_app


@dataclass
class Served:
    """A server that runs, and what it speaks with."""

    house: FakeHouse
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
    house: FakeHouse | None = None,
    middleware: Sequence[Middleware] = (),
    **listening: Any,
) -> AsyncIterator[Served]:
    house = house or FakeHouse()
    app = create_app(house, options or HttpOptions(), run_blocking=in_a_thread, middleware=middleware)
    server = HttpServer(app, ServerOptions(port=0, **listening), run_blocking=in_a_thread)
    async with server:
        await server.start()
        host, port = server.bound[0]
        scheme = "https" if server.is_encrypted else "http"
        async with (
            asyncio.TaskGroup() as tasks,
            httpx.AsyncClient(base_url=f"{scheme}://{host}:{port}", trust_env=False, verify=False) as client,
        ):
            task = tasks.create_task(server.serve())
            yield Served(house, server, client, task, scheme)
            await server.stop()


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with serving() as running:
        yield running
