"""A browser before the whole product. Whatever the page says is wrong fails the test.

What takes long is made once for all files: the browser, the product, and pages that tests leave as they were.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from blockbuster import BlockBuster
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.browser.page_actions import PHONE, checked_page, problems_of, visit
from tests.scenarios.page_problems import PageProblems
from tests.support.page_site import Site, site_in_a_thread
from tests.support.tones import VOICES

CHROMIUM = Path(os.environ.get("CHROMIUM") or "/usr/bin/chromium")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--process-per-site",  # scripts that one page has compiled serve the next
)
EMBEDDED = "espeak-en-us"
KEY, REMOTE_KEY = "sk-of-this-house", "sk-of-another-house"
INGRESS_PEER = "127.0.0.2"
KOKORO_NAMES = {"af_bella": "af_test", "af_sky": "am_test", "bf_emma": "bf_test"}
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def blockbuster(blockbuster: BlockBuster) -> BlockBuster:
    """Gradio looks at its own files where it should not; nobody else may."""
    for function in blockbuster.functions.values():
        function.can_block_in("wyoming_tts/transports/http/page_mount.py", {"handle", "_served"})
    return blockbuster


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A running product with its page, the embedded voice, tone voices, and a Kokoro with real names."""
    data = tmp_path_factory.mktemp("site")
    for made in (*VOICES.glob("*-low.onnx*"), VOICES / "kokoro-tones.onnx"):
        shutil.copy(made, data)
    with np.load(VOICES / "voices-tones.bin") as pack, (data / "voices-tones.bin").open("wb") as file:
        np.savez_compressed(file, **{name: pack[tone] for name, tone in KOKORO_NAMES.items()})
    with site_in_a_thread(
        data, data_dir=[data], voice=EMBEDDED, offline=False, hub_endpoint=NOWHERE
    ) as running:
        yield running


@pytest.fixture(scope="package")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A product that lets in who has a key or comes through the ingress."""
    secrets = {"api_keys": [KEY], "remote_key": REMOTE_KEY}
    with site_in_a_thread(tmp_path_factory.mktemp("locked"), ingress_peer=INGRESS_PEER, **secrets) as running:
        yield running


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium, without a window. While it is there, no test of this package may be a coroutine."""
    if not CHROMIUM.exists() and not os.environ.get("CI"):
        pytest.skip(f"{CHROMIUM} is missing: script/browser installs it, or set CHROMIUM to where it is.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def context(browser: Browser) -> Iterator[BrowserContext]:
    """One for all English pages: they find in its cache what never changes."""
    context = browser.new_context(locale="en-GB", color_scheme="light")
    yield context
    context.close()


@pytest.fixture(scope="package")
def german_context(browser: Browser) -> Iterator[BrowserContext]:
    """A phone of somebody who reads German in the dark."""
    context = browser.new_context(locale="de-DE", color_scheme="dark", viewport=PHONE)
    yield context
    context.close()


@pytest.fixture(scope="package")
def german_page(german_context: BrowserContext, site: Site) -> Iterator[Page]:
    with checked_page(german_context) as page:
        yield visit(page, site.url)


@pytest.fixture
def german(german_page: Page) -> Iterator[Page]:
    """The product's page on that phone: leave it dark."""
    yield german_page
    assert problems_of(german_page).found == []


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page of one's own; `visit(page, url)` opens the product's."""
    with checked_page(context) as page:
        yield page


@pytest.fixture
def problems(page: Page) -> PageProblems:
    """What was wrong so far: a test that provokes it takes it out."""
    return problems_of(page)
