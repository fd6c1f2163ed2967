"""The stream test tab in a browser, on a server that speaks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]
from fastapi import FastAPI
from playwright.async_api import Browser, Page, async_playwright, expect

from tests.support.house import house, settings_for_tests
from wyoming_tts.assembly import Parts
from wyoming_tts.client import FoundServer
from wyoming_tts.page.stream_test import StreamDesk
from wyoming_tts.page.stream_test_routes import stream_test_routes
from wyoming_tts.serving import ServedHouse
from wyoming_tts.tending import Description
from wyoming_tts.transports.http import HttpServer, ServerOptions, create_app
from wyoming_tts.transports.page_mount import PageMount
from wyoming_tts.transports.wyoming_server import WyomingServer
from wyoming_tts.web_options import http_options

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning"),
]

TEXT = "One two three. Four five six."
SLOW_TEXT = "word " * 300
SOON = 8000
"""Milliseconds within which what happened is to be seen."""


@dataclass
class Site:
    """A running server with a page of this one tab."""

    url: str
    desk: StreamDesk


@pytest.fixture(autouse=True)
def blockbuster() -> None:
    """Stand for the check of all tests: this loop also runs Gradio, and lives longer than a test."""


async def _found(_: float) -> list[FoundServer]:
    return [FoundServer("kitchen", "tcp://127.0.0.1:9", ("127.0.0.1",))]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site() -> AsyncIterator[Site]:
    async with house() as parts:
        wyoming = WyomingServer(
            parts.synthesizer, describe=Description(parts), run_blocking=parts.workers.run_blocking
        )
        async with wyoming:
            await wyoming.start("tcp://127.0.0.1:0")
            desk = StreamDesk(parts, lambda: f"tcp://127.0.0.1:{wyoming.bound[0][1]}", search=_found)
            app = create_app(
                ServedHouse(parts),
                http_options(settings_for_tests()),
                run_blocking=parts.workers.run_blocking,
                routers=[stream_test_routes(desk)],
            )
            mount = PageMount(partial(_page, desk), run_blocking=_here)
            app.router.routes.append(mount)
            mount.start()
            making = asyncio.create_task(mount.run())
            async with _served(app, parts) as port:
                while not mount.is_ready:  # noqa: ASYNC110 - it tells nobody
                    await asyncio.sleep(0.02)
                yield Site(f"http://127.0.0.1:{port}/", desk)
            making.cancel()
            await asyncio.wait([making])
            await desk.close()


def _page(desk: StreamDesk) -> FastAPI:
    import gradio as gr  # noqa: PLC0415 - takes four seconds, and is wanted by who runs these tests

    from ui.app import style, theme  # noqa: PLC0415
    from ui.stream_test import tab  # noqa: PLC0415
    from ui.words import Words  # noqa: PLC0415

    words = Words()
    with (
        gr.Blocks(analytics_enabled=False) as blocks,
        gr.Tabs(),
        gr.Tab(words("page.stream_test"), id="stream_test"),
    ):
        tab(desk, words)
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    gr.mount_gradio_app(
        app, blocks, path="/", theme=theme(), css=style(), i18n=words.i18n, footer_links=[], run_history=False
    )
    blocks.has_launched = True
    return app


async def _here(work: Callable[[], Any], /) -> Any:
    """Do it in this thread: in one without an event loop Gradio leaves some."""
    return work()


@asynccontextmanager
async def _served(app: FastAPI, parts: Parts) -> AsyncIterator[int]:
    options = ServerOptions(host="127.0.0.1", port=0)
    async with HttpServer(app, options, run_blocking=parts.workers.run_blocking) as server:
        await server.start()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(server.serve())
            yield server.bound[0][1]
            await server.stop()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def browser() -> AsyncIterator[Browser]:
    arguments = [
        *("--no-sandbox", "--disable-gpu", "--disable-background-networking"),
        *("--disable-component-update", "--disable-sync"),
    ]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=arguments)
        yield browser
        await browser.close()


@asynccontextmanager
async def opened(
    browser: Browser, site: Site, *, locale: str = "en-GB", width: int = 1000, dark: bool = False
) -> AsyncIterator[Page]:
    """The page; whatever it asks elsewhere, or complains of, fails the test."""
    context = await browser.new_context(
        locale=locale,
        viewport={"width": width, "height": 900},
        color_scheme="dark" if dark else "light",
    )
    page = await context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "request", lambda request: complaints.append(request.url) if elsewhere(request.url, site) else None
    )
    await page.goto(site.url)
    await expect(page.locator("#stream_test .st-note")).not_to_be_empty(timeout=20_000)
    yield page
    await context.close()
    assert complaints == []


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def desktop(browser: Browser, site: Site) -> AsyncIterator[Page]:
    """One page for all who need no other: opening one takes as long as a test."""
    async with opened(browser, site) as page:
        yield page


def elsewhere(url: str, site: Site) -> bool:
    return url.startswith("http") and not url.startswith(site.url)


async def set_number(page: Page, name: str, value: int) -> None:
    field = page.locator(f"#stream_test-{name} input[type=number]")
    await field.fill(str(value))
    await field.press("Enter")


async def start(page: Page, text: str, *, clients: int = 1, pace: int = 20) -> None:
    await page.locator("#stream_test-text textarea").fill(text)
    await set_number(page, "clients", clients)
    await set_number(page, "pace", pace)
    await page.locator("#stream_test-start").click()


async def over(page: Page) -> None:
    await expect(page.locator("#stream_test [data-over=true], #stream_test[data-over=true]")).to_be_attached(
        timeout=SOON
    )


async def painted(page: Page, lane: int) -> int:
    """How many pixels of a lane's canvas are not empty."""
    script = """canvas => canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height)
        .data.filter((value, index) => index % 4 === 3 && value > 0).length"""
    return int(await page.locator("#stream_test canvas").nth(lane).evaluate(script))


async def test_two_clients_are_two_lanes_a_table_sound_and_a_log(desktop: Page, tmp_path: Path) -> None:
    await start(desktop, TEXT, clients=2)
    lanes = desktop.locator("#stream_test .st-lane")
    await expect(lanes).to_have_count(2, timeout=SOON)
    await over(desktop)
    for lane in range(2):
        await expect(lanes.nth(lane)).to_have_attribute("data-state", "spoken")
        await expect(lanes.nth(lane)).to_contain_text("first sound after")
        assert await painted(desktop, lane) > 100
    cells = desktop.locator("#stream_test tbody tr td:nth-child(2)")
    assert await cells.count() == 9
    assert [text for text in await cells.all_inner_texts() if not any(map(str.isdigit, text))] == []

    audio = desktop.locator("#stream_test audio")
    played = "async audio => { await audio.play(); audio.pause(); return audio.duration; }"
    assert await audio.evaluate(played) > 0.1
    async with desktop.expect_download() as download:
        await desktop.get_by_role("link", name="Save the run as JSON").click()
    await (await download.value).save_as(tmp_path / "run.json")
    told = json.loads((tmp_path / "run.json").read_text())
    assert [lane["state"] for lane in told["lanes"]] == ["spoken", "spoken"]

    await desktop.locator("#stream_test summary").click()
    log = desktop.locator("#stream_test pre")
    await expect(log).to_contain_text("connected")
    await desktop.locator("#stream_test .st-filter select").nth(1).select_option("text")
    await expect(log).not_to_contain_text("connected")
    assert len((await log.inner_text()).splitlines()) == 12
    await desktop.locator("#stream_test .st-filter select").nth(0).select_option("2")
    await desktop.locator("#stream_test input[type=search]").fill("FIVE")
    assert (await log.inner_text()).split()[1:] == ["2", "text", "five"]
    assert await faults(desktop) == []

    await start(desktop, "Short.", clients=1)
    await expect(desktop.get_by_role("columnheader", name="Change")).to_be_visible(timeout=SOON)
    await expect(lanes).to_have_count(1)
    await expect(desktop.locator("tr[data-figure=spoken] td").last).to_have_text("−1 (−50 %)")


async def test_stop_ends_the_run_at_once(desktop: Page, site: Site) -> None:
    await start(desktop, SLOW_TEXT, clients=2, pace=1)
    lanes = desktop.locator("#stream_test .st-lane")
    await expect(lanes.first).to_have_attribute("data-state", "asking", timeout=SOON)
    await desktop.locator("#stream_test-stop").click()
    await over(desktop)
    for lane in range(2):
        await expect(lanes.nth(lane)).to_have_attribute("data-state", "stopped")
    assert not site.desk._running


async def test_leaving_the_page_ends_the_run(browser: Browser, site: Site) -> None:
    async with opened(browser, site) as page:
        await start(page, SLOW_TEXT, pace=1)
        await expect(page.locator("#stream_test .st-lane")).to_have_count(1, timeout=SOON)
        (run,) = site.desk._running.values()
    assert run._task is not None
    async with asyncio.timeout(5.0):
        await asyncio.wait([run._task])


async def test_a_refused_connection_is_a_lane_and_a_wrong_order_a_word(desktop: Page) -> None:
    await desktop.locator("#stream_test-find").click()
    await desktop.get_by_label("kitchen (tcp://127.0.0.1:9)").check()
    await expect(desktop.locator("#stream_test-target textarea, #stream_test-target input")).to_have_value(
        "tcp://127.0.0.1:9"
    )
    await start(desktop, TEXT)
    lane = desktop.locator("#stream_test .st-lane")
    await expect(lane).to_have_count(1, timeout=SOON)  # the test before had two
    await expect(lane).to_have_attribute("data-state", "failed", timeout=SOON)
    await expect(lane).to_contain_text("No connection")
    await start(desktop, "  ")
    await expect(desktop.locator("#stream_test .st-error")).to_contain_text("no text", timeout=SOON)


async def test_a_phone_and_a_reader_find_their_way(browser: Browser, site: Site) -> None:
    async with opened(browser, site, locale="de-DE", width=390, dark=True) as page:
        await start(page, TEXT, clients=2, pace=100)
        await over(page)
        await expect(page.locator("#stream_test .st-lane").first).to_contain_text("gesprochen")
        await page.locator("#stream_test summary").click()
        assert await page.evaluate("document.documentElement.scrollWidth") <= 390
        assert await faults(page) == []


async def faults(page: Page) -> list[object]:
    """What axe-core finds that keeps people out."""
    found = await Axe().run(page, context="#stream_test")
    serious = [each for each in found.response["violations"] if each["impact"] in {"serious", "critical"}]
    return [(each["id"], [node["html"] for node in each["nodes"]]) for each in serious]
