"""Chromium against a running product. Errors reported by the page fail the test.

Slow fixtures are shared by all files: the browser, the product, and pages, which each test leaves unchanged.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.browser.listen_tab import EMBEDDED, ListenTab
from tests.browser.page_actions import (
    DESKTOP,
    PHONE,
    checked_page,
    open_tab,
    problems_of,
    resize,
    visit,
)
from tests.scenarios.page_problems import PageProblems
from tests.support.fake_home_assistant import FakeHomeAssistant, home_assistant_in_a_thread
from tests.support.page_site import Site, site_in_a_thread
from tests.support.tones import VOICES
from wyoming_tts.page import prerendered

CHROMIUM = Path(os.environ.get("CHROMIUM") or shutil.which("chromium-headless-shell") or "/usr/bin/chromium")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--process-per-site",  # pages share compiled scripts
    "--disable-popup-blocking",
    "--host-resolver-rules=MAP nas.local 127.0.0.1, MAP stranger.test 127.0.0.1",
)
KEY, REMOTE_KEY = "sk-of-this-house", "sk-of-another-house"
INGRESS_PEER = "127.0.0.2"
KOKORO_NAMES = {"af_bella": "af_test", "af_sky": "am_test", "bf_emma": "bf_test"}
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(scope="package")
def installed_page(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[None]:
    """An installation that brings the page: it is made once, and for all workers of pytest-xdist."""
    directory = tmp_path_factory.getbasetemp()
    if hasattr(request.config, "workerinput"):
        directory = directory.parent
    with pytest.MonkeyPatch.context() as patch, (directory / "page.lock").open("w") as lock:
        patch.setattr(prerendered, "INSTALLED", directory / prerendered.FILE_NAME)
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not prerendered.INSTALLED.exists():
            with ThreadPoolExecutor(1) as pool:  # the event loop of this thread may be Playwright's
                pool.submit(prerendered.main).result()
        fcntl.flock(lock, fcntl.LOCK_UN)
        yield


@pytest.fixture(scope="package")
def site(installed_page: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A running product with its page, the embedded voice, tone voices, and a Kokoro with real names."""
    data = tmp_path_factory.mktemp("site")
    for voice_file in (*VOICES.glob("*-low.onnx*"), VOICES / "kokoro-tones.onnx"):
        shutil.copy(voice_file, data)
    with np.load(VOICES / "voices-tones.bin") as pack, (data / "voices-tones.bin").open("wb") as file:
        np.savez_compressed(file, **{name: pack[tone] for name, tone in KOKORO_NAMES.items()})
    with site_in_a_thread(
        data, data_dir=[data], voice=EMBEDDED, offline=False, hub_endpoint=NOWHERE
    ) as running:
        yield running


@pytest.fixture(scope="package")
def home_assistant() -> Iterator[FakeHomeAssistant]:
    """An empty house, whose add-on is `keyed_site`."""
    with home_assistant_in_a_thread() as home:
        yield home


@pytest.fixture(scope="package")
def keyed_site(
    installed_page: None, tmp_path_factory: pytest.TempPathFactory, home_assistant: FakeHomeAssistant
) -> Iterator[Site]:
    """A product that requires an API key, except through the ingress of Home Assistant."""
    secrets = {"api_keys": [KEY], "remote_key": REMOTE_KEY}
    with site_in_a_thread(
        tmp_path_factory.mktemp("keyed_site"),
        ingress_peer=INGRESS_PEER,
        supervisor=home_assistant.access,
        **secrets,
    ) as running:
        yield running


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Headless Chromium. While it runs, no test of this package may be a coroutine."""
    if not CHROMIUM.exists() and not os.environ.get("CI"):
        pytest.skip(f"{CHROMIUM} is missing: script/browser installs it, or set CHROMIUM to where it is.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def context(browser: Browser) -> Iterator[BrowserContext]:
    """Shared by all English pages, so that they share its cache."""
    context = browser.new_context(locale="en-GB", color_scheme="light")
    context.new_page()  # keeps a window: opening one for each page takes longer than the page
    yield context
    context.close()


@pytest.fixture(scope="package")
def german_context(browser: Browser) -> Iterator[BrowserContext]:
    """A phone-sized screen in German with the dark colour scheme."""
    context = browser.new_context(locale="de-DE", color_scheme="dark", viewport=PHONE)
    yield context
    context.close()


@pytest.fixture(scope="package")
def german_page(german_context: BrowserContext, site: Site) -> Iterator[Page]:
    with checked_page(german_context) as page:
        yield visit(page, site.url)


@pytest.fixture
def german(german_page: Page) -> Iterator[Page]:
    """The product's page in `german_context`; a test leaves it dark."""
    yield german_page
    assert problems_of(german_page).found == []


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A new page; `visit(page, url)` opens the product's. The next finds nothing that this one kept."""
    with checked_page(context) as page:
        yield page
        if page.url.startswith("http"):
            page.evaluate("localStorage.clear()")


@pytest.fixture
def problems(page: Page) -> PageProblems:
    """The problems found so far on `page`; a test that provokes one removes it."""
    return problems_of(page)


@pytest.fixture(scope="package")
def shared_tab(site: Site, context: BrowserContext) -> Iterator[ListenTab]:
    with checked_page(context) as page:
        yield ListenTab(page, site.url)


@pytest.fixture(scope="module")
def product_page(shared_tab: ListenTab) -> Iterator[Page]:
    """The product's page, opened once for all files, as loading takes long; each may change its size."""
    yield shared_tab.page
    resize(shared_tab.page, DESKTOP)


@pytest.fixture(scope="module")
def listen_tab(shared_tab: ListenTab, product_page: Page) -> ListenTab:
    open_tab(product_page, "audition")
    return shared_tab


@pytest.fixture
def tab(listen_tab: ListenTab) -> Iterator[ListenTab]:
    """The Listen tab with the player bar; a test leaves the embedded voice chosen and the search empty."""
    yield listen_tab
    assert listen_tab.problems.found == []
