"""The page's mount in the app: built lazily on the first visit, and never in the way of the API's routes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from tests.support.fake_speech_service import FakeSpeechService
from tests.support.fake_synthesizer import run_in_thread
from wyoming_tts.transports.http.access_rules import GuardOptions
from wyoming_tts.transports.http.app import HttpOptions, create_app
from wyoming_tts.transports.http.guard import Guard
from wyoming_tts.transports.http.ingress import IngressMiddleware
from wyoming_tts.transports.http.page_filter import POLICY, is_allowed
from wyoming_tts.transports.http.page_mount import PageMount

PREFIX = "/api/hassio_ingress/a-token_1"
INGRESS = {"X-Ingress-Path": PREFIX, "X-Forwarded-Host": "ha.example:8123", "X-Forwarded-Proto": "https"}


async def _echo_headers(request: Request) -> Response:
    """Echoes the base URL and forwarding headers it received, as an index page could contain them."""
    headers = sorted(name for name in request.headers if name.startswith("x-"))
    response = PlainTextResponse(f"{request.base_url} {','.join(headers)}{request.url.query}")
    response.headers["access-control-allow-origin"] = "*"
    return response


def echo_app(events: list[str] | None = None) -> Starlette:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        if events is not None:
            events.append("started")
        yield
        if events is not None:
            events.append("stopped")

    paths = ("/", "/theme.css", "/assets/index-abcdefgh.js")
    return Starlette(routes=[Route(path, _echo_headers) for path in paths], lifespan=lifespan)


@asynccontextmanager
async def mounted_page(
    build: Callable[[], Any] = echo_app, *, peer: str = "127.0.0.1", options: GuardOptions | None = None
) -> AsyncIterator[tuple[httpx.AsyncClient, PageMount]]:
    guard = Guard(None, options or GuardOptions(ingress_peer="127.0.0.1"))
    app = create_app(
        FakeSpeechService(),
        HttpOptions(),
        run_blocking=run_in_thread,
        middleware=[Middleware(guard.wrap), Middleware(IngressMiddleware, peer=guard.ingress)],
    )
    mount = PageMount(lambda: run_in_thread(build))
    app.router.routes.append(mount)
    transport = httpx.ASGITransport(app, client=(peer, 1))
    async with (
        asyncio.TaskGroup() as tasks,
        httpx.AsyncClient(transport=transport, base_url="http://localhost:8880") as client,
    ):
        running = tasks.create_task(mount.run())
        yield client, mount
        running.cancel()


async def wait_until_ready(mount: PageMount) -> None:
    async with asyncio.timeout(5):
        while not mount.is_ready:  # noqa: ASYNC110 - it has no event to wait for
            await asyncio.sleep(0.001)


async def test_the_page_is_not_built_before_the_first_visit() -> None:
    built = threading.Event()
    release = threading.Event()

    def build() -> Starlette:
        built.set()
        assert release.wait(5)
        return echo_app()

    async with mounted_page(build) as (client, mount):
        assert (await client.get("/v1/models")).status_code == 200
        assert (await client.get("/theme.css")).status_code == 503
        assert not built.is_set()
        first = await client.get("/", headers={"Accept-Language": "de-DE,en;q=0.5"})
        assert (first.status_code, first.headers["x-page"]) == (200, "loading")
        assert "Die Seite wird geladen" in first.text
        assert "On its way" not in first.text
        assert await run_in_thread(lambda: built.wait(5))
        assert (await client.get("/")).headers["x-page"] == "loading"
        release.set()
        await wait_until_ready(mount)
        assert (await client.get("/")).headers["x-page"] == "ready"


NAVIGATION = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
BROWSER = {"User-Agent": "Mozilla/5.0 (X11)", "Accept-Language": "en", "Accept": "text/html"}


@pytest.mark.parametrize(
    ("headers", "state"),
    [
        ({**NAVIGATION, "Sec-Fetch-Site": "cross-site"}, "visit"),
        ({**BROWSER, "Referer": "http://evil.example/"}, "visit"),
        (BROWSER, "loading"),
        ({**NAVIGATION, "Sec-Fetch-Site": "none", "Sec-Purpose": "prefetch;prerender"}, "loading"),
        ({"Origin": "http://evil.example"}, None),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "image"}, None),
    ],
)
async def test_only_the_user_and_the_servers_own_pages_have_the_page_built(
    headers: dict[str, str], state: str | None
) -> None:
    async with mounted_page(peer="192.168.1.7") as (client, mount):
        answer = await client.get("/", headers=headers)
        assert answer.headers.get("x-page") == state
        assert not mount.is_requested
        assert (await client.head("/", headers=BROWSER | {"X-Page-Visit": "1"})).headers[
            "x-page"
        ] == "loading"
        assert mount.is_requested
        assert (await client.get("/", headers=headers)).headers.get("x-page") in {state, "loading", "ready"}


@pytest.mark.parametrize("headers", [{}, {**NAVIGATION, "Sec-Fetch-Site": "none"}, BROWSER | INGRESS])
async def test_a_visit_by_address_by_a_program_or_by_the_ingress_has_the_page_built(
    headers: dict[str, str],
) -> None:
    async with mounted_page() as (client, mount):
        assert (await client.get("/", headers=headers)).headers["x-page"] == "loading"
        assert mount.is_requested


async def test_start_builds_the_page_before_the_first_visit() -> None:
    events: list[str] = []
    async with mounted_page(lambda: echo_app(events)) as (client, mount):
        mount.start()
        await wait_until_ready(mount)
        assert (await client.get("/")).headers["x-page"] == "ready"
        assert events == ["started"]
    assert events == ["started", "stopped"]


async def test_a_page_that_fails_to_build_is_a_500_and_the_api_keeps_working(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def build() -> Starlette:
        raise ImportError("gradio is broken")

    async with mounted_page(build) as (client, _):
        while (answer := await client.get("/")).headers["x-page"] == "loading":  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        assert (answer.status_code, answer.headers["x-page"]) == (500, "failed")
        assert "gradio is broken" not in answer.text
        assert "gradio is broken" in caplog.text
        assert (await client.get("/v1/models")).status_code == 200


async def test_a_failed_lifespan_startup_counts_as_a_failed_page() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no"})

    async with mounted_page(lambda: app) as (client, _):
        while (answer := await client.get("/")).headers["x-page"] == "loading":  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        assert answer.headers["x-page"] == "failed"


@pytest.mark.parametrize("path", ["/v1/nothing", "/api/nothing", "/nothing", "/v1", "/assetsx/a.js"])
async def test_unknown_paths_get_the_apis_404_and_not_the_page(path: str) -> None:
    async with mounted_page() as (client, mount):
        mount.start()
        await wait_until_ready(mount)
        answer = await client.get(path)
    assert answer.status_code == 404
    assert answer.json()["error"]["message"] == "There is nothing at this path."


async def test_a_wrong_method_on_an_api_path_gets_the_apis_405() -> None:
    async with mounted_page() as (client, _):
        assert (await client.get("/v1/audio/speech")).status_code == 405


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/gradio_api/file=/etc/passwd"),
        ("GET", "/gradio_api/file=http://example.com/x"),
        ("GET", "/gradio_api/file/etc/passwd"),
        ("GET", "/gradio_api/proxy=http://x.hf.space/"),
        ("POST", "/gradio_api/upload"),
        ("POST", "/gradio_api/run/predict"),
        ("POST", "/gradio_api/call/predict"),
        ("POST", "/gradio_api/api/predict"),
        ("GET", "/gradio_api/info"),
        ("GET", "/gradio_api/openapi.json"),
        ("GET", "/gradio_api/runs"),
        ("GET", "/gradio_api/deep_link"),
        ("GET", "/gradio_api/dev/reload"),
        ("POST", "/gradio_api/vibe-edit"),
        ("POST", "/gradio_api/process_recording"),
        ("GET", "/gradio_api/stream/a/b/1/playlist.m3u8"),
        ("GET", "/gradio_api/queue/../file=/etc/passwd"),
        ("GET", "/static/../../../../etc/passwd"),
        ("GET", "/gradio_api/startup-events"),
        ("POST", "/gradio_api/queue/join"),
        ("GET", "/gradio_api/queue/data"),
        ("GET", "/gradio_api/heartbeat/abc"),
        ("GET", "/gradio_api/app_id"),
        ("GET", f"/assets/{'a' * 201}"),
        ("GET", "/assets/ü.js"),
        ("GET", "/pwa_icon/192"),
        ("GET", "/config"),
        ("GET", "/monitoring"),
        ("POST", "/login"),
        ("DELETE", "/"),
    ],
)
def test_gradio_routes_that_the_page_does_not_need_are_blocked(method: str, path: str) -> None:
    assert not is_allowed(method, path)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("HEAD", "/"),
        ("GET", "/theme.css"),
        ("GET", "/assets/index-Dx1_ab-2.js"),
        ("GET", "/static/fonts/system-ui/system-ui-Regular.woff2"),
        ("GET", "/static/js/0123456789abcdef/common.js"),
    ],
)
def test_gradio_routes_that_the_page_needs_are_allowed(method: str, path: str) -> None:
    assert is_allowed(method, path)


async def test_the_page_sends_no_cors_headers_to_other_origins() -> None:
    async with mounted_page() as (client, mount):
        mount.start()
        await wait_until_ready(mount)
        answer = await client.get("/theme.css", headers={"Origin": "http://evil.example"})
        own = await client.get("/theme.css", headers={"Origin": "http://localhost:8880"})
    assert answer.status_code == 403
    for each in (answer, own):
        assert "access-control-allow-origin" not in each.headers
    assert own.headers["content-security-policy"] == POLICY


@pytest.mark.parametrize("query", ["?page=%00", "?deep_link=../../x"])
async def test_queries_of_gradio_that_the_page_does_not_use_are_dropped(query: str) -> None:
    async with mounted_page() as (client, mount):
        mount.start()
        await wait_until_ready(mount)
        assert (await client.get(f"/{query}")).text == (await client.get("/")).text


async def test_content_hashed_assets_are_cached_as_immutable() -> None:
    async with mounted_page() as (client, mount):
        mount.start()
        await wait_until_ready(mount)
        asset = await client.get("/assets/index-abcdefgh.js")
        assert "immutable" in asset.headers["cache-control"]
        assert "immutable" not in (await client.get("/theme.css")).headers.get("cache-control", "")


async def test_requests_through_the_ingress_use_its_prefix_host_and_scheme() -> None:
    async with mounted_page() as (client, mount):
        mount.start()
        await wait_until_ready(mount)
        answer = await client.get("/", headers=INGRESS)
        assert answer.text.startswith(f"https://ha.example:8123{PREFIX}/ ")
        assert "x-forwarded" not in answer.text
        assert (await client.get("/v1/models", headers=INGRESS)).status_code == 200
        assert (await client.get("/v1/nothing", headers=INGRESS)).json()["error"]["code"] == "not_found"
        assert (await client.get("/gradio_api/file=x", headers=INGRESS)).status_code == 404


async def test_ingress_headers_of_an_untrusted_peer_are_ignored() -> None:
    async with mounted_page(peer="192.168.1.7") as (client, mount):
        mount.start()
        await wait_until_ready(mount)
        assert (await client.get("/", headers=INGRESS)).text.startswith("http://localhost:8880/ ")


@pytest.mark.parametrize("prefix", ["//evil.example", "/a/../b", "/a b", '/"><script>', "no-slash", "/"])
async def test_a_malformed_ingress_prefix_is_ignored(prefix: str) -> None:
    async with mounted_page() as (client, mount):
        mount.start()
        await wait_until_ready(mount)
        answer = await client.get("/", headers={"X-Ingress-Path": prefix})
    assert answer.text.startswith("http://localhost:8880/ ")


KEYED = GuardOptions(api_keys=("secret",), ingress_peer="127.0.0.1")


async def test_requests_through_the_ingress_need_no_api_key() -> None:
    async with mounted_page(options=KEYED) as (client, _):
        assert (await client.get("/", headers=INGRESS)).headers["x-page"] == "loading"
        assert (await client.get("/v1/models", headers=INGRESS)).status_code == 200
        assert (await client.get("/v1/models")).status_code == 401
    async with mounted_page(options=KEYED, peer="192.168.1.7") as (client, _):
        assert (await client.get("/v1/models", headers=INGRESS)).status_code == 401


async def test_a_cross_origin_post_through_the_ingress_is_refused() -> None:
    async with mounted_page(options=KEYED) as (client, _):
        body = {"input": "hi", "response_format": "pcm"}
        own = await client.post(
            "/v1/audio/speech", json=body, headers={**INGRESS, "Origin": "https://ha.example:8123"}
        )
        foreign = await client.post(
            "/v1/audio/speech", json=body, headers={**INGRESS, "Origin": "https://evil.example"}
        )
    assert (own.status_code, foreign.status_code) == (200, 403)


HTML = {"Accept": "text/html,*/*"}


async def test_a_browser_logs_in_with_the_key_once_and_gets_a_session_cookie(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG")
    async with mounted_page(options=KEYED, peer="192.168.1.7") as (client, _):
        login_page = await client.get("/", headers=HTML)
        assert login_page.status_code == 401
        assert 'type="password"' in login_page.text
        wrong = await client.post("/login", data={"key": "guess"})
        assert wrong.status_code == 401
        assert 'role="alert"' in wrong.text
        assert (await client.get("/", headers=HTML)).status_code == 401
        right = await client.post("/login", data={"key": "secret"})
        assert (right.status_code, right.headers["location"]) == (303, "./")
        cookie = right.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert (await client.get("/", headers=HTML)).headers["x-page"] == "loading"
        assert (await client.get("/v1/models")).status_code == 200
        exposed = login_page.text + wrong.text + cookie + caplog.text
    assert "secret" not in exposed
    assert "guess" not in exposed


async def test_a_forged_session_cookie_is_refused() -> None:
    async with mounted_page(options=KEYED, peer="192.168.1.7") as (client, _):
        for made_up in ("", "x", "secret", "a" * 43):
            headers = {"Cookie": f"wyoming_tts_session={made_up}"}
            assert (await client.get("/v1/models", headers=headers)).status_code == 401


async def test_login_attempts_are_rate_limited() -> None:
    async with mounted_page(options=KEYED, peer="192.168.1.7") as (client, _):
        for number in range(10):
            assert (await client.post("/login", data={"key": f"guess-{number}"})).status_code == 401
        assert (await client.post("/login", data={"key": "secret"})).status_code == 429


async def test_an_api_request_without_a_key_gets_json_and_not_the_login_page() -> None:
    async with mounted_page(options=KEYED, peer="192.168.1.7") as (client, _):
        answer = await client.get("/v1/models", headers=HTML)
    assert answer.json()["error"]["code"] == "invalid_api_key"


async def test_a_session_ends_when_its_key_is_removed() -> None:
    guard = Guard(_answer_plain_text, KEYED)
    transport = httpx.ASGITransport(guard, client=("192.168.1.7", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        await client.post("/login", data={"key": "secret"})
        guard.reconfigure(KEYED)
        assert (await client.get("/v1/models")).status_code == 200
        guard.reconfigure(GuardOptions(api_keys=("other",)))
        assert (await client.get("/v1/models")).status_code == 401


async def _answer_plain_text(scope: Any, receive: Any, send: Any) -> None:
    await PlainTextResponse("here")(scope, receive, send)


async def test_a_script_of_a_page_that_outlived_a_restart_builds_the_page_and_waits_for_it() -> None:
    script = "/static/js/0123456789abcdef/common.js"
    own = {"Sec-Fetch-Site": "same-origin", "Referer": "http://localhost:8880/"}
    async with mounted_page() as (client, mount):
        foreign = await client.get(script, headers={"Sec-Fetch-Site": "cross-site"})
        assert not mount.is_requested
        await client.get(script, headers=own)
        assert mount.is_ready
    assert foreign.status_code in {403, 503}
