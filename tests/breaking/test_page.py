"""Browsers that are none: invented sessions, malformed events, a page that was opened and left."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from tests.breaking.conftest import OpenScene, StartServer
from tests.breaking.connections import ATTACKER
from tests.breaking.server_under_attack import MIB, AttackedServer

SESSIONS = 300
SECRET = "what-nobody-may-read-in-the-log"
IDLE_SECONDS = 10.0
IDLE_SHARE = 0.02
"""Of one core; 5 % was seen, and 0.4 % is usual."""
_JOIN = "/gradio_api/queue/join"


@asynccontextmanager
async def visitor(server: AttackedServer) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the page, which is made on its first visit."""
    transport = httpx.AsyncHTTPTransport(local_address=ATTACKER)
    async with httpx.AsyncClient(transport=transport, base_url=server.url, timeout=30.0) as client:
        while (await client.get("/")).headers["x-page"] != "ready":  # noqa: ASYNC110 - it polls, as a browser does
            await asyncio.sleep(0.2)
        yield client


async def events_of(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    """The events that run on the server, those with most values first."""
    config = (await client.get("/config")).json()
    events = [event for event in config["dependencies"] if event["backend_fn"]]
    return sorted(events, key=lambda event: -len(event["inputs"]))


def malformed(number: int, values: int) -> list[bytes]:
    """Bodies that the page does not send."""
    valid = {"session_hash": "s", "fn_index": number, "data": [SECRET] * values}
    file = {"path": f"/etc/{SECRET}", "meta": {"_type": "gradio.FileData"}}
    odd_data: list[Any] = [None, {}, [SECRET], [SECRET] * 99, [file] * values, [{}] * values]
    changes: list[dict[str, Any]] = [
        *({"fn_index": number} for number in (99_999, -1, 2**70, 1.5, "x", None)),
        *({"data": data} for data in odd_data),
        *({"session_hash": session} for session in (None, "", 5, "s" * 10_000, "../\0")),
        {"trigger_id": 2**80},
    ]
    return [b"", b"{", b"[]", b"[" * 5000, *(json.dumps(valid | change).encode() for change in changes)]


async def test_invented_sessions_beside_listeners(open_scene: OpenScene) -> None:
    async with open_scene() as scene, visitor(scene.server) as client:
        smallest = (await events_of(client))[-1]
        before = await scene.quiet()
        async with scene.phase("sessions") as attack:
            statuses = []
            for number in range(SESSIONS):
                body = {"session_hash": f"s{number}", "fn_index": smallest["id"], "data": []}
                statuses.append((await client.post(_JOIN, json=body)).status_code)
        assert set(statuses) <= {200, 429, 503}, statuses
        attack.hearing.check_served()
        assert attack.after.private < before.after.private + 40 * MIB
        await scene.recovers(before)


async def test_malformed_events_are_4xx_and_leave_no_text_in_the_log(start_server: StartServer) -> None:
    async with start_server() as server, visitor(server) as client:
        largest = (await events_of(client))[0]
        for path in (_JOIN, "/gradio_api/cancel", "/gradio_api/reset"):
            for body in malformed(largest["id"], len(largest["inputs"])):
                if path.endswith("reset") and b"event_id" in body:
                    continue
                answer = await client.post(path, content=body, headers={"Content-Type": "application/json"})
                assert 400 <= answer.status_code < 500, (path, body[:100], answer.text[:200])
        for path in ("/?page=%00", f"/assets/{'a' * 300}", "/gradio_api/queue/data?session_hash=nobody"):
            assert (await client.get(path)).status_code < 500, path
        failing = {"session_hash": "s", "fn_index": largest["id"], "data": [SECRET] * len(largest["inputs"])}
        assert (await client.post(_JOIN, json=failing)).status_code == 200
        await server.until(lambda: "event of the page failed" in server.log, seconds=20, what="the failure")
        assert SECRET not in server.log
        assert "Traceback" not in server.log


async def test_a_page_that_was_visited_costs_no_computing(start_server: StartServer) -> None:
    async with start_server() as server:
        async with visitor(server) as client, client.stream("GET", "/gradio_api/heartbeat/someone"):
            opened = await processor_share(server)
        closed = await processor_share(server)
    assert max(opened, closed) < IDLE_SHARE, (opened, closed)


async def processor_share(server: AttackedServer) -> float:
    """Processor time of the idle server, as a share of one core."""
    await asyncio.sleep(3.0)  # what the visit began is over
    before = server.footprint().processor_seconds
    await asyncio.sleep(IDLE_SECONDS)
    return (server.footprint().processor_seconds - before) / IDLE_SECONDS
