"""The guide for websites, as it stands in docs/website.md: its site, and the server on another origin."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.listen_tab import EMBEDDED
from tests.docs.website_guide import files_of_the_guide
from tests.support.page_site import Site, site_in_a_thread
from tests.support.signed_tokens import OTHER_SECRET, SECRET


class QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - its name there
        pass


@dataclass(frozen=True)
class Website:
    origin: str
    django: Any
    """The guide's settings for Django."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server of its own: its access rules change, and the open pages of other tests would meet them."""
    with site_in_a_thread(tmp_path_factory.mktemp("guarded"), voice=EMBEDDED) as running:
        yield running


@pytest.fixture(scope="module")
def website(tmp_path_factory: pytest.TempPathFactory, site: Site) -> Iterator[Website]:
    """The guide's files, as somebody has put them into a directory, served beside the server."""
    directory = tmp_path_factory.mktemp("website")
    for name, text in files_of_the_guide().items():
        (directory / name).write_text(text, "utf-8")
    server = WSGIServer(("127.0.0.1", 0), QuietHandler)
    origin = f"http://127.0.0.1:{server.server_port}"
    environment = {
        "DJANGO_SECRET_KEY": "of-the-site",
        "SPEECH_SECRET": SECRET,
        "SPEECH_URL": site.url.rstrip("/"),
        "SITE_ORIGIN": origin,
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(directory))
        for name, value in environment.items():
            patch.setenv(name, value)
        server.set_app(importlib.import_module("website").application)
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield Website(origin, importlib.import_module("django.conf").settings)
        server.shutdown()
        thread.join()
        server.server_close()
    for name in ("website", "speech_token"):
        del sys.modules[name]


@pytest.fixture
def reader(browser: Browser, site: Site, website: Website) -> Iterator[Page]:
    """A visitor's page of the site, from which the server takes tokens."""
    tokens = {"token_keys": (f"web={SECRET}",), "cors_origins": (website.origin,)}
    site.access.replace(site.settings.model_copy(update=tokens))
    context = browser.new_context()
    page = context.new_page()
    page.goto(website.origin)
    yield page
    context.close()
    site.access.replace(site.settings)


PAINTED = "Array.from(document.querySelector('canvas').getContext('2d').getImageData(0, 0, 512, 96).data)"


def test_the_page_reads_aloud_draws_and_renews_its_token(reader: Page, site: Site, website: Website) -> None:
    before, output = site.recent.count, reader.locator("output")
    sockets: list[str] = []
    reader.on("websocket", lambda socket: sockets.append(socket.url))
    website.django.SPEECH_VOICES = ["espeak-*"]
    reader.click("button")
    reader.wait_for_function(f"{PAINTED}.some((value) => value)")
    expect(output).to_have_text("Done")
    reader.evaluate("document.querySelector('p').textContent = 'Hi.' + ' '.repeat(2600)")  # of 5,000
    for _ in range(2):
        reader.click("button")
        expect(output).to_have_text("Speaking")
        expect(output).to_have_text("Done")
    assert [record.record.transport for record in site.recent.newest(3)] == ["realtime"] * 3
    assert (site.recent.count - before, len(sockets)) == (3, 2)
    assert all("token" not in url for url in sockets)


def test_why_nothing_is_heard_is_on_the_page(reader: Page, site: Site, website: Website) -> None:
    output = reader.locator("output")
    site.access.replace(
        site.settings.model_copy(
            update={"token_keys": (f"web={OTHER_SECRET}",), "cors_origins": (website.origin,)}
        )
    )
    reader.click("button")
    expect(output).to_contain_text("The token's signature is wrong.")
    site.access.replace(site.settings.model_copy(update={"token_keys": (f"web={SECRET}",)}))
    reader.click("button")
    expect(output).to_contain_text("not one of its cors_origins")
