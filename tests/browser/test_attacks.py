"""Attacks on pages made with Gradio; each one succeeds on an unguarded page and fails on the product's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import wraps
from typing import Any, ParamSpec

import gradio as gr
import httpx
from fastapi import FastAPI

from tests.http.test_page_mount import mounted_page, wait_until_ready
from tests.support.page_site import Site
from ui.application import make_application, patch
from ui.words import Words
from wyoming_tts.transports.http.guard import GuardOptions
from wyoming_tts.transports.http.page_mount import run_lifespan

Given = ParamSpec("Given")
SECRET_FILE = "/etc/passwd"
SECRET = "root:"
FILE = {"path": SECRET_FILE, "meta": {"_type": "gradio.FileData"}}
EVIL = "http://evil.example"
FILE_COMPONENTS: dict[str, tuple[Callable[[], Any], Any]] = {
    "file": (gr.File, FILE),
    "files": (lambda: gr.File(file_count="multiple"), [FILE]),
    "upload button": (gr.UploadButton, FILE),
    "download button": (gr.DownloadButton, FILE),
    "audio": (lambda: gr.Audio(type="filepath"), FILE),
    "multimodal": (gr.MultimodalTextbox, {"text": "", "files": [FILE]}),
}


def read_file(given: Any) -> str:
    """An event handler that opens the file it receives, as handlers of file components do."""
    for path in given if isinstance(given, list) else [given]:
        with open(path["files"][0] if isinstance(path, dict) else path) as file:  # noqa: PTH123
            return file.read()
    return ""


def page_of(*factories: Callable[[], Any]) -> gr.Blocks:
    """A page with such a handler for each of these components."""
    patch()
    blocks: gr.Blocks
    with gr.Blocks(analytics_enabled=False) as blocks:
        output = gr.Textbox()
        for factory in factories:
            gr.Button("Go").click(read_file, factory(), output, api_visibility="private")
    return blocks


def in_a_thread(test: Callable[Given, Coroutine[Any, Any, None]]) -> Callable[Given, None]:
    """Run a coroutine test in a thread, because this thread's event loop belongs to Playwright."""

    @wraps(test)
    def run(*args: Given.args, **kwargs: Given.kwargs) -> None:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(asyncio.run, test(*args, **kwargs)).result()

    return run


@asynccontextmanager
async def unguarded(blocks: gr.Blocks | None = None) -> AsyncIterator[httpx.AsyncClient]:
    """A page as Gradio itself mounts it, without the guard."""
    app = FastAPI()
    gr.mount_gradio_app(app, blocks or page_of(gr.Textbox), path="/", run_history=False)
    async with run_lifespan(app), _client(app) as client:
        yield client


def _client(app: Any) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, client=("192.168.1.7", 1))
    return httpx.AsyncClient(transport=transport, base_url="http://tts.local:8880")


@asynccontextmanager
async def guarded(options: GuardOptions | None = None) -> AsyncIterator[httpx.AsyncClient]:
    """The same page behind the product's guard."""

    def build() -> FastAPI:
        return make_application(page_of(gr.Textbox), Words())

    async with mounted_page(build, peer="192.168.1.7", options=options or GuardOptions()) as (client, mount):
        mount.start()
        await wait_until_ready(mount)
        yield client


async def call_handler(client: httpx.AsyncClient, data: list[Any], fn_index: int = 0) -> str:
    """The response to calling an event handler of the page as its scripts do."""
    body = {"data": data, "fn_index": fn_index, "session_hash": "attack"}
    joined = await client.post("/gradio_api/queue/join", json=body)
    if joined.status_code != 200:
        return joined.text
    return (await client.get("/gradio_api/queue/data", params={"session_hash": "attack"})).text


@in_a_thread
async def test_no_component_reads_a_server_file_that_was_not_uploaded() -> None:
    factories = [factory for factory, _ in FILE_COMPONENTS.values()]
    async with unguarded(page_of(*factories)) as client:
        for number, (name, (_, data)) in enumerate(FILE_COMPONENTS.items()):
            assert SECRET in await call_handler(client, [data], number), name
    for is_gated, expected in ((True, "Expected text"), (False, '"success":false')):
        app = make_application(page_of(*factories), Words())
        if not is_gated:
            app.user_middleware.clear()
        async with run_lifespan(app), _client(app) as client:
            for number, (name, (_, data)) in enumerate(FILE_COMPONENTS.items()):
                response = await call_handler(client, [data], number)
                assert expected in response, name
                assert SECRET not in response, name


@in_a_thread
async def test_no_event_handler_of_the_page_takes_a_file_component(site: Site) -> None:
    async with httpx.AsyncClient(base_url=site.url, timeout=20) as client:
        while (await client.get("/")).headers["x-page"] != "ready":
            pass
        config = (await client.get("/config")).json()
        component_types = {part["id"]: part["type"] for part in config["components"]}
        handlers = [each for each in config["dependencies"] if each["backend_fn"] and each["inputs"]]
        assert handlers
        for handler in handlers:
            kinds = {component_types[part] for part in handler["inputs"]}
            assert kinds.isdisjoint({"file", "audio", "image", "video", "gallery", "uploadbutton"})


@in_a_thread
async def test_other_origins_cannot_read_the_page() -> None:
    origin = {"Origin": EVIL}
    async with unguarded() as client:
        assert (await client.get("/config", headers=origin)).headers["access-control-allow-origin"] == EVIL
    async with guarded() as client:
        assert "access-control-allow-origin" not in (await client.get("/config", headers=origin)).headers


@in_a_thread
async def test_other_origins_cannot_call_event_handlers() -> None:
    body = {"data": ["/dev/null"], "fn_index": 0, "session_hash": "x"}
    origin = {"Origin": EVIL}
    async with unguarded() as client:
        assert (await client.post("/gradio_api/queue/join", json=body, headers=origin)).status_code == 200
    async with guarded() as client:
        refused = await client.post("/gradio_api/queue/join", json=body, headers=origin)
        assert refused.json()["error"]["code"] == "origin_not_allowed"


@in_a_thread
async def test_dns_rebinding_is_refused_by_the_host_check() -> None:
    host = {"Host": "rebound.evil.example:8880"}
    async with unguarded() as client:
        assert (await client.get("/", headers=host)).status_code == 200
    async with guarded() as client:
        assert (await client.get("/", headers=host)).json()["error"]["code"] == "host_not_allowed"


BLOCKED_ROUTES = (
    (f"/gradio_api/file={gr.__file__}", 403),
    ("/gradio_api/file=http://127.0.0.1:1/x", 403),
    ("/gradio_api/proxy=http://127.0.0.1:1/x", 400),
    ("/gradio_api/info", 200),
    ("/gradio_api/openapi.json", 200),
    ("/gradio_api/startup-events/../info", 200),
)


@in_a_thread
async def test_gradio_routes_that_the_page_does_not_need_are_404() -> None:
    async with unguarded() as client:
        for path, status in BLOCKED_ROUTES:
            assert (await client.get(path)).status_code == status, path
    async with guarded() as client:
        for path, _ in BLOCKED_ROUTES:
            refused = await client.get(path)
            assert (refused.status_code, refused.json()["error"]["code"]) == (404, "not_found"), path


@in_a_thread
async def test_uploads_through_gradio_are_refused() -> None:
    files = {"files": ("large.bin", b"x" * 2_000_000)}
    async with unguarded() as client:
        assert (await client.post("/gradio_api/upload", files=files)).status_code == 200
    async with guarded() as client:
        assert (await client.post("/gradio_api/upload", files=files)).status_code == 413
        small = {"files": ("small.bin", b"x")}
        assert (await client.post("/gradio_api/upload", files=small)).status_code == 404


PRIVATE = (
    ("GET", "/"),
    ("GET", "/config"),
    ("GET", "/theme.css"),
    ("GET", "/gradio_api/startup-events"),
    ("GET", "/gradio_api/app_id"),
    ("POST", "/gradio_api/cancel"),
    ("POST", "/gradio_api/queue/join"),
    ("GET", "/gradio_api/heartbeat/x"),
)


@in_a_thread
async def test_without_a_key_every_gradio_route_is_401() -> None:
    body: dict[str, Any] = {"data": ["/dev/null"], "fn_index": 0, "session_hash": "x", "event_id": "x"}
    async with unguarded() as client:
        for method, path in PRIVATE[:-1]:  # the last one never ends
            answer = await client.request(method, path, json=body if method == "POST" else None)
            assert answer.status_code in {200, 404, 422}, path
    async with guarded(GuardOptions(api_keys=("secret",))) as client:
        for method, path in PRIVATE:
            answer = await client.request(method, path, json=body if method == "POST" else None)
            assert answer.status_code == 401, path


@in_a_thread
async def test_the_index_and_config_contain_no_api_key() -> None:
    options = GuardOptions(api_keys=("a-very-secret-key",))
    async with guarded(options) as client:
        client.headers["Authorization"] = "Bearer a-very-secret-key"
        answers = [(await client.get(path)).text for path in ("/", "/config")]
    assert "a-very-secret-key" not in json.dumps(answers)
