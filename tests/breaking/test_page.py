"""A page that was opened and left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from tests.breaking.conftest import StartServer
from tests.breaking.connections import ATTACKER
from tests.breaking.server_under_attack import AttackedServer

IDLE_SECONDS = 10.0
IDLE_SHARE = 0.02
"""Of one core; 5 % was seen, and 0.4 % is usual."""


@asynccontextmanager
async def visitor(server: AttackedServer) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the page, which is made on its first visit."""
    transport = httpx.AsyncHTTPTransport(local_address=ATTACKER)
    async with httpx.AsyncClient(transport=transport, base_url=server.url, timeout=30.0) as client:
        while (await client.get("/")).headers["x-page"] != "ready":  # noqa: ASYNC110 - it polls, as a browser does
            await asyncio.sleep(0.2)
        yield client


async def test_a_page_that_was_visited_costs_no_computing(start_server: StartServer) -> None:
    async with start_server() as server:
        async with visitor(server):
            opened = await processor_share(server)
        closed = await processor_share(server)
    assert max(opened, closed) < IDLE_SHARE, (opened, closed)


async def processor_share(server: AttackedServer) -> float:
    """Processor time of the idle server, as a share of one core."""
    await asyncio.sleep(3.0)  # what the visit began is over
    before = server.footprint().processor_seconds
    await asyncio.sleep(IDLE_SECONDS)
    return (server.footprint().processor_seconds - before) / IDLE_SECONDS
