"""The page as a whole: how it comes up, where it is shown, and whether everybody can read it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Complaints
from tests.support.ingress_proxy import PREFIX, ingress_to
from tests.support.page_site import site_in_a_thread
from ui.words import LANGUAGES, Words, read_texts

TABS = ("preview", "blend", "stream_test", "voices", "status")
_AXE = {"resultTypes": ["violations"]}
_SERIOUS = frozenset({"serious", "critical"})


def open_tab(page: Page, name: str, language: str = "en") -> None:
    """Choose a tab as a person does, from the menu where there is no room for it."""
    label = Words().text(f"page.{name}", language)
    tab = page.get_by_role("tab", name=label, exact=True).filter(visible=True)
    if not tab.count():
        page.locator(".overflow-menu > button").click()
        page.locator(".overflow-dropdown button").filter(has_text=re.compile(f"^{label}$")).click()
    else:
        tab.first.click()
    expect(page.locator(f"#tab-{name}[role=tabpanel]")).to_be_visible()


def opened(page: Page, url: str) -> None:
    page.goto(url)
    expect(page.locator("#tab-preview[role=tabpanel]")).to_be_visible(timeout=30_000)


def test_who_comes_first_sees_that_the_page_is_on_its_way(page: Page, tmp_path: Path) -> None:
    with site_in_a_thread(tmp_path) as site:
        page.goto(site.url)
        expect(page.get_by_role("heading", name="The page is on its way")).to_be_visible()
        expect(page.locator("#tab-preview[role=tabpanel]")).to_be_visible(timeout=30_000)
        page.goto("about:blank")


def test_behind_the_ingress_everything_is_below_its_prefix(page: Page, tmp_path: Path) -> None:
    """The page fixture fails on a 404 and on a request to another host."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    given = {"api_keys": ("secret",), "ingress_peer": "127.0.0.1"}
    with site_in_a_thread(tmp_path, **given) as site, ingress_to(site.url) as address:
        opened(page, address)
        for tab in TABS:
            open_tab(page, tab)
        told = page.evaluate(
            """async () => {
                const body = JSON.stringify({input: "abc", response_format: "pcm"});
                const headers = {"Content-Type": "application/json"};
                const url = new URL("v1/audio/speech", document.baseURI);
                const answer = await fetch(url, {method: "POST", headers, body});
                return [answer.status, (await answer.arrayBuffer()).byteLength];
            }"""
        )
        assert told[0] == 200
        assert told[1] > 1000
        page.goto("about:blank")
    assert [url for url in asked if "127.0.0.1" in url and PREFIX not in url] == []


def test_a_key_is_asked_for_once(page: Page, complaints: Complaints, tmp_path: Path) -> None:
    with site_in_a_thread(tmp_path, api_keys=("open sesame",)) as site:
        page.goto(site.url)
        page.get_by_label("API key").fill("wrong")
        page.get_by_role("button", name="Come in").click()
        expect(page.get_by_role("alert")).to_have_text("That key is not known here.")
        complaints.found.clear()  # the browser says of each 401 that it is one
        page.get_by_label("API key").fill("open sesame")
        page.get_by_role("button", name="Come in").click()
        expect(page.locator("#tab-preview[role=tabpanel]")).to_be_visible(timeout=30_000)
        again = page.context.new_page()
        opened(again, site.url)
        assert "open sesame" not in again.content()
        again.close()
        page.goto("about:blank")


def test_it_fits_a_phone(page: Page, site: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})  # of a phone
    opened(page, site)
    for tab in TABS:
        open_tab(page, tab)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, tab


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_as_bright_as_the_rest_of_the_screen(browser: Browser, site: str, scheme: str) -> None:
    context = browser.new_context(color_scheme="dark" if scheme == "dark" else "light")
    page = context.new_page()
    opened(page, site)
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = sum(map(int, re.findall(r"\d+", colour)[:3])) / 3
    context.close()
    assert (brightness > 200) == (scheme == "light")
    assert (brightness < 60) == (scheme == "dark")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_use_it(browser: Browser, site: str, scheme: str) -> None:
    """axe-core finds nothing serious on any tab."""
    context = browser.new_context(color_scheme="dark" if scheme == "dark" else "light")
    page = context.new_page()
    opened(page, site)
    found = []
    for tab in TABS:
        open_tab(page, tab)
        violations = Axe().run(page, options=_AXE).response["violations"]
        found += [
            f"{tab}: {each['id']}: {[node['target'] for node in each['nodes']]}"
            for each in violations
            if each["impact"] in _SERIOUS
        ]
    context.close()
    assert found == []


def test_it_speaks_the_reader_s_language(browser: Browser, site: str) -> None:
    context = browser.new_context(locale="de-DE")
    page = context.new_page()
    opened(page, site)
    for tab in TABS:
        open_tab(page, tab, "de")
    assert "__i18n__" not in page.locator("body").inner_text()
    context.close()


def test_every_language_has_every_text() -> None:
    names = {language: set(read_texts(language)) for language in LANGUAGES}
    for language in LANGUAGES:
        assert names[language] == names["en"], language
        assert all(read_texts(language).values())


def test_a_text_that_is_missing_is_an_error() -> None:
    with pytest.raises(KeyError, match=r"ui/words/en\.yaml"):
        Words()("preview.no_such_text")


_LAZY = """
import asyncio, sys, tempfile, urllib.request
from pathlib import Path
from tests.support.page_site import product

async def main(ui):
    with tempfile.TemporaryDirectory() as directory:
        async with product(Path(directory), ui=ui) as site:
            url = site.url + ("" if not ui else "v1/models")
            try:
                answer = await asyncio.to_thread(urllib.request.urlopen, url)
                print(answer.status, "gradio" in sys.modules)
            except urllib.error.HTTPError as error:
                print(error.code, "gradio" in sys.modules)

asyncio.run(main(sys.argv[1] == "ui"))
"""


@pytest.mark.parametrize(("ui", "told"), [("ui", "200 False"), ("no-ui", "404 False")])
def test_gradio_is_not_imported_before_it_is_wanted(ui: str, told: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _LAZY, ui], capture_output=True, text=True, check=True, timeout=50
    )
    assert done.stdout.strip() == told
