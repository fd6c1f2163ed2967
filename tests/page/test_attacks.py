"""Attacks on pages made with Gradio; each one succeeds on an unguarded page and fails on the product's."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cached_property
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from tests.http.test_page_mount import mounted_page, wait_until_ready
from ui.application import make_application
from ui.patched_gradio import gr
from ui.words import Words
from wyoming_tts.transports.http.access_rules import GuardOptions
from wyoming_tts.transports.http.page_mount import run_lifespan

# One event loop for all: Gradio's locks belong to that of the first request.
pytestmark = pytest.mark.asyncio(loop_scope="module")

EVIL = "http://evil.example"


class Apps:
    """The same page as Gradio itself mounts it and as the product does, each made once."""

    @cached_property
    def bare(self) -> FastAPI:
        """Gradio's own."""
        app = FastAPI()
        gr.mount_gradio_app(app, _page_with_a_handler(), path="/", run_history=False)
        return app

    @cached_property
    def ours(self) -> Any:
        """The one that the product guards."""
        return make_application(_page_with_a_handler(), Words())


def _page_with_a_handler() -> gr.Blocks:
    """A page with a handler of an event, which the product's own does not have."""
    blocks: gr.Blocks
    with gr.Blocks(analytics_enabled=False) as blocks:
        text = gr.Textbox()
        gr.Button("Go").click(str, text, text, api_visibility="private")
    return blocks


@pytest.fixture(scope="module")
def apps() -> Apps:
    return Apps()


@asynccontextmanager
async def unguarded(apps: Apps) -> AsyncIterator[httpx.AsyncClient]:
    """A page as Gradio itself mounts it, without the guard."""
    async with run_lifespan(apps.bare), _client(apps.bare) as client:
        yield client


def _client(app: Any) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, client=("192.168.1.7", 1))
    return httpx.AsyncClient(transport=transport, base_url="http://tts.local:8880")


@asynccontextmanager
async def guarded(apps: Apps, options: GuardOptions | None = None) -> AsyncIterator[httpx.AsyncClient]:
    """The same page behind the product's guard."""
    app = apps.ours
    async with mounted_page(lambda: app, peer="192.168.1.7", options=options or GuardOptions()) as (
        client,
        mount,
    ):
        mount.start()
        await wait_until_ready(mount)
        yield client


async def test_other_origins_cannot_read_the_page(apps: Apps) -> None:
    origin = {"Origin": EVIL}
    async with unguarded(apps) as client:
        assert (await client.get("/config", headers=origin)).headers["access-control-allow-origin"] == EVIL
    async with guarded(apps) as client:
        assert "access-control-allow-origin" not in (await client.get("/config", headers=origin)).headers


EVENT_ROUTES = (
    ("POST", "/gradio_api/queue/join"),
    ("POST", "/gradio_api/cancel"),
    ("POST", "/gradio_api/reset"),
    ("GET", "/gradio_api/queue/data?session_hash=x"),
    ("GET", "/gradio_api/heartbeat/x"),
    ("GET", "/gradio_api/app_id"),
)


async def test_no_event_of_gradios_can_be_called(apps: Apps) -> None:
    body = {"data": ["/dev/null"], "fn_index": 0, "session_hash": "x", "event_id": "x"}
    async with unguarded(apps) as client:
        assert (await client.post("/gradio_api/queue/join", json=body)).status_code == 200
    async with guarded(apps) as client:
        for method, path in EVENT_ROUTES:
            refused = await client.request(method, path, json=body if method == "POST" else None)
            assert (refused.status_code, refused.json()["error"]["code"]) == (404, "not_found"), path


async def test_dns_rebinding_is_refused_by_the_host_check(apps: Apps) -> None:
    host = {"Host": "rebound.evil.example:8880"}
    async with unguarded(apps) as client:
        assert (await client.get("/", headers=host)).status_code == 200
    async with guarded(apps) as client:
        assert (await client.get("/", headers=host)).json()["error"]["code"] == "host_not_allowed"


BLOCKED_ROUTES = (
    (f"/gradio_api/file={gr.__file__}", 403),
    ("/gradio_api/file=http://127.0.0.1:1/x", 403),
    ("/gradio_api/proxy=http://127.0.0.1:1/x", 400),
    ("/gradio_api/info", 200),
    ("/gradio_api/openapi.json", 200),
    ("/gradio_api/startup-events/../info", 200),
)


async def test_gradio_routes_that_the_page_does_not_need_are_404(apps: Apps) -> None:
    async with unguarded(apps) as client:
        for path, status in BLOCKED_ROUTES:
            assert (await client.get(path)).status_code == status, path
    async with guarded(apps) as client:
        for path, _ in BLOCKED_ROUTES:
            refused = await client.get(path)
            assert (refused.status_code, refused.json()["error"]["code"]) == (404, "not_found"), path


async def test_uploads_through_gradio_are_refused(apps: Apps) -> None:
    files = {"files": ("large.bin", b"x" * 2_000_000)}
    async with unguarded(apps) as client:
        assert (await client.post("/gradio_api/upload", files=files)).status_code == 200
    async with guarded(apps) as client:
        assert (await client.post("/gradio_api/upload", files=files)).status_code == 413
        small = {"files": ("small.bin", b"x")}
        assert (await client.post("/gradio_api/upload", files=small)).status_code == 404


PRIVATE = ("/", "/config", "/theme.css", "/gradio_api/startup-events")


async def test_without_a_key_every_gradio_route_is_401(apps: Apps) -> None:
    async with unguarded(apps) as client:
        for path in PRIVATE:
            assert (await client.get(path)).status_code == 200, path
    async with guarded(apps, GuardOptions(api_keys=("secret",))) as client:
        for path in PRIVATE:
            assert (await client.get(path)).status_code == 401, path
        for method, path in EVENT_ROUTES:
            assert (await client.request(method, path)).status_code == 401, path


async def test_the_index_and_config_contain_no_api_key(apps: Apps) -> None:
    options = GuardOptions(api_keys=("a-very-secret-key",))
    async with guarded(apps, options) as client:
        client.headers["Authorization"] = "Bearer a-very-secret-key"
        answers = [(await client.get(path)).text for path in ("/", "/config")]
    assert "a-very-secret-key" not in json.dumps(answers)
