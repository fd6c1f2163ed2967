"""What is done to pages made with Gradio; each attack is shown to go through where nothing guards them."""

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

from tests.http.test_page_mount import mounting, ready
from tests.support.page_site import Site
from ui.application import make_application
from ui.words import Words
from wyoming_tts.transports.http.guard import GuardOptions
from wyoming_tts.transports.http.page_mount import run_lifespan

Given = ParamSpec("Given")
SECRET_FILE = "/etc/passwd"
SECRET = "root:"
FILE = {"path": SECRET_FILE, "meta": {"_type": "gradio.FileData"}}
EVIL = "http://evil.example"
TAKES_FILES: dict[str, tuple[Callable[[], Any], Any]] = {
    "file": (gr.File, FILE),
    "files": (lambda: gr.File(file_count="multiple"), [FILE]),
    "upload button": (gr.UploadButton, FILE),
    "download button": (gr.DownloadButton, FILE),
    "audio": (lambda: gr.Audio(type="filepath"), FILE),
    "multimodal": (gr.MultimodalTextbox, {"text": "", "files": [FILE]}),
}


def read(given: Any) -> str:
    """A handler that does what handlers of such components do: it opens what it is given."""
    for path in given if isinstance(given, list) else [given]:
        with open(path["files"][0] if isinstance(path, dict) else path) as file:  # noqa: PTH123
            return file.read()
    return ""


def reading(*makes: Callable[[], Any]) -> gr.Blocks:
    """A page with a handler for each of these components."""
    blocks: gr.Blocks
    with gr.Blocks(analytics_enabled=False) as blocks:
        told = gr.Textbox()
        for make in makes:
            gr.Button("Go").click(read, make(), told, api_visibility="private")
    return blocks


def beside_a_browser(test: Callable[Given, Coroutine[Any, Any, None]]) -> Callable[Given, None]:
    """Run a test in a thread: the loop of this one is Playwright's while other files have a browser."""

    @wraps(test)
    def run(*args: Given.args, **kwargs: Given.kwargs) -> None:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(asyncio.run, test(*args, **kwargs)).result()

    return run


@asynccontextmanager
async def unguarded(blocks: gr.Blocks | None = None) -> AsyncIterator[httpx.AsyncClient]:
    """A page as Gradio mounts it by itself."""
    app = FastAPI()
    gr.mount_gradio_app(app, blocks or reading(gr.Textbox), path="/", run_history=False)
    async with run_lifespan(app), _client(app) as client:
        yield client


def _client(app: Any) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, client=("192.168.1.7", 1))
    return httpx.AsyncClient(transport=transport, base_url="http://tts.local:8880")


@asynccontextmanager
async def guarded(options: GuardOptions | None = None) -> AsyncIterator[httpx.AsyncClient]:
    """The same page behind the product's guard."""

    def build() -> FastAPI:
        return make_application(reading(gr.Textbox), Words())

    async with mounting(build, peer="192.168.1.7", options=options or GuardOptions()) as (client, mount):
        mount.start()
        await ready(mount)
        yield client


async def outcome(client: httpx.AsyncClient, data: list[Any], fn_index: int = 0) -> str:
    """What comes of calling a handler of the page, as its scripts do."""
    body = {"data": data, "fn_index": fn_index, "session_hash": "attack"}
    joined = await client.post("/gradio_api/queue/join", json=body)
    if joined.status_code != 200:
        return joined.text
    return (await client.get("/gradio_api/queue/data", params={"session_hash": "attack"})).text


@beside_a_browser
async def test_no_component_is_given_a_file_that_was_not_uploaded() -> None:
    makes = [make for make, _ in TAKES_FILES.values()]
    async with unguarded(reading(*makes)) as client:
        for number, (name, (_, data)) in enumerate(TAKES_FILES.items()):
            assert SECRET in await outcome(client, [data], number), name
    app = make_application(reading(*makes), Words())
    async with run_lifespan(app), _client(app) as client:
        for number, (name, (_, data)) in enumerate(TAKES_FILES.items()):
            told = await outcome(client, [data], number)
            assert '"success":false' in told, name
            assert SECRET not in told, name


@beside_a_browser
async def test_no_handler_of_the_page_takes_a_file_by_its_path(site: Site) -> None:
    async with httpx.AsyncClient(base_url=site.url, timeout=20) as client:
        while (await client.get("/")).headers["x-page"] != "ready":
            pass
        config = (await client.get("/config")).json()
        takers = {part["id"]: part["type"] for part in config["components"]}
        handlers = [each for each in config["dependencies"] if each["backend_fn"] and each["inputs"]]
        assert handlers
        for handler in handlers:
            kinds = {takers[part] for part in handler["inputs"]}
            assert kinds.isdisjoint({"file", "audio", "image", "video", "gallery", "uploadbutton"})


@beside_a_browser
async def test_other_origins_do_not_read_the_page() -> None:
    origin = {"Origin": EVIL}
    async with unguarded() as client:
        assert (await client.get("/config", headers=origin)).headers["access-control-allow-origin"] == EVIL
    async with guarded() as client:
        assert "access-control-allow-origin" not in (await client.get("/config", headers=origin)).headers


@beside_a_browser
async def test_other_origins_do_not_use_the_page() -> None:
    body = {"data": ["/dev/null"], "fn_index": 0, "session_hash": "x"}
    origin = {"Origin": EVIL}
    async with unguarded() as client:
        assert (await client.post("/gradio_api/queue/join", json=body, headers=origin)).status_code == 200
    async with guarded() as client:
        refused = await client.post("/gradio_api/queue/join", json=body, headers=origin)
        assert refused.json()["error"]["code"] == "origin_not_allowed"


@beside_a_browser
async def test_a_name_of_a_stranger_does_not_lead_to_the_page() -> None:
    host = {"Host": "rebound.evil.example:8880"}
    async with unguarded() as client:
        assert (await client.get("/", headers=host)).status_code == 200
    async with guarded() as client:
        assert (await client.get("/", headers=host)).json()["error"]["code"] == "host_not_allowed"


FAR = (
    (f"/gradio_api/file={gr.__file__}", 403),
    ("/gradio_api/file=http://127.0.0.1:1/x", 403),
    ("/gradio_api/proxy=http://127.0.0.1:1/x", 400),
    ("/gradio_api/info", 200),
    ("/gradio_api/openapi.json", 200),
    ("/gradio_api/startup-events/../info", 200),
)


@beside_a_browser
async def test_routes_that_reach_further_than_the_page_are_not_there() -> None:
    async with unguarded() as client:
        for path, status in FAR:
            assert (await client.get(path)).status_code == status, path
    async with guarded() as client:
        for path, _ in FAR:
            refused = await client.get(path)
            assert (refused.status_code, refused.json()["error"]["code"]) == (404, "not_found"), path


@beside_a_browser
async def test_nobody_fills_the_disk_with_uploads() -> None:
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


@beside_a_browser
async def test_without_a_key_there_is_nothing_but_the_question_for_one() -> None:
    body: dict[str, Any] = {"data": ["/dev/null"], "fn_index": 0, "session_hash": "x", "event_id": "x"}
    async with unguarded() as client:
        for method, path in PRIVATE[:-1]:  # the last one never ends
            answer = await client.request(method, path, json=body if method == "POST" else None)
            assert answer.status_code in {200, 404, 422}, path
    async with guarded(GuardOptions(api_keys=("secret",))) as client:
        for method, path in PRIVATE:
            answer = await client.request(method, path, json=body if method == "POST" else None)
            assert answer.status_code == 401, path


@beside_a_browser
async def test_a_config_tells_no_key() -> None:
    options = GuardOptions(api_keys=("a-very-secret-key",))
    async with guarded(options) as client:
        client.headers["Authorization"] = "Bearer a-very-secret-key"
        answers = [(await client.get(path)).text for path in ("/", "/config")]
    assert "a-very-secret-key" not in json.dumps(answers)
