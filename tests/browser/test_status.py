"""The status tab in a browser, before the whole product."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Complaints
from tests.support.page_site import Site, site_in_a_thread
from tests.support.tones import LETTERS

KEY, REMOTE_KEY = "sk-of-this-house", "sk-of-another-house"
SOON = 3000
"""Milliseconds within which what happened is to be seen."""
_LOGGER = logging.getLogger("wyoming_tts.of.a.test")


def open_status(page: Page, site: object) -> None:
    page.goto(str(site))
    page.get_by_role("tab", name="Status").click()
    expect(page.locator("#status .status-fact-memory dd")).to_contain_text("MB")


@pytest.fixture(scope="module")
def status(browser: Browser, site: str) -> Iterator[Page]:
    """The tab, with what the server told once; one for all tests that leave it as it was."""
    with browser.new_context(locale="en-GB") as context:
        page = context.new_page()
        complaints = Complaints(page)
        page.add_init_script("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
        open_status(page, site)
        yield page
        assert complaints.found == []


def test_an_utterance_that_was_spoken_is_seen_soon_and_moves_nothing(status: Page, site: str) -> None:
    card = status.locator(".status-settings-card")
    told = status.locator(".status-latency-card p")
    expect(told).to_have_text("Nothing was spoken yet.")  # only the first test here speaks
    before = card.bounding_box()
    answer = status.request.post(
        f"{site}v1/audio/speech",
        data={"input": "hush hush", "voice": LETTERS.name, "response_format": "pcm"},
    )
    assert answer.ok
    row = status.locator(".status-recent-card tbody tr")
    expect(row).to_have_count(1, timeout=SOON)
    expect(row).to_contain_text(LETTERS.name)
    expect(row.locator("td.status-outcome")).to_have_text("done")
    expect(told).to_contain_text(re.compile(r"was heard after \d+ ms"))
    assert status.locator(".status-sparkline polyline").get_attribute("points")
    assert card.bounding_box() == before
    assert "hush" not in status.content()


def test_the_log_can_be_narrowed_to_warnings(status: Page) -> None:
    _LOGGER.warning("<b>it creaks</b>")
    _LOGGER.error("it breaks")
    creaks, breaks = (
        status.locator(".status-line", has_text=text) for text in ("<b>it creaks</b>", "breaks")
    )
    expect(creaks).to_be_visible(timeout=SOON)
    status.get_by_label("Show", exact=True).select_option("error")
    expect(creaks).to_be_hidden()
    expect(breaks).to_be_visible()
    status.get_by_label("Show", exact=True).select_option("all")
    expect(creaks).to_be_visible()


def test_an_address_is_copied_where_there_is_no_clipboard_api(status: Page) -> None:
    status.get_by_role("button", name="Copy Wyoming").first.click()
    expect(status.locator(".status-copy", has_text="Copied")).to_have_count(1)
    wanted = status.locator(".status-address code").first.inner_text()
    assert re.fullmatch(r"tcp://127\.0\.0\.1:\d+", wanted)
    status.evaluate("document.body.prepend(document.createElement('textarea'))")
    pasted = status.locator("body > textarea")
    pasted.focus()
    status.keyboard.press("Control+V")
    assert pasted.input_value() == wanted
    pasted.evaluate("field => field.remove()")


def test_where_nothing_can_be_copied_the_text_is_selected(status: Page) -> None:
    status.evaluate("document.execCommand = () => false")  # in front of the real one
    status.get_by_role("button", name="Copy the steps").click()
    expect(status.locator(".status-copy", has_text="Press Ctrl+C")).to_have_count(1)
    assert "Host: 127.0.0.1" in status.evaluate("getSelection().toString()")
    status.evaluate("delete document.execCommand")


def test_a_server_that_does_not_answer_is_told_of_and_met_again(status: Page) -> None:
    state = status.locator(".status-headline")
    status.route("**/page/status.json*", lambda route: route.abort("aborted"))
    expect(state).to_have_text("No answer")
    status.unroute("**/page/status.json*")
    expect(state).to_have_text("Ready")


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_germans_can_read_all_of_it_on_a_phone(browser: Browser, site: str, scheme: str) -> None:
    with browser.new_context(color_scheme=scheme, locale="de-DE") as context:  # type: ignore[arg-type]
        page = context.new_page()
        open_status(page, site)
        page.set_viewport_size({"width": 390, "height": 844})  # tabs without room hide in a menu
        expect(page.get_by_role("heading", name="Letzte Äußerungen")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert serious_faults(page) == []


def serious_faults(page: Page) -> list[str]:
    found = Axe().run(page, context="#status").response["violations"]
    return [
        f"{one['id']}: {one['nodes'][0]['html']}" for one in found if one["impact"] in {"serious", "critical"}
    ]


def test_nothing_is_asked_while_nobody_looks(page: Page, site: str) -> None:
    asked: list[str] = []
    open_status(page, site)
    page.on("request", lambda request: asked.append(request.url))
    page.clock.install()
    page.get_by_role("tab", name="Preview").click()
    expect(page.locator("#status")).to_be_hidden()
    asked.clear()
    page.clock.run_for(20_000)
    assert not [url for url in asked if "/page/s" in url]
    with page.expect_request("**/page/status.json*"):
        page.get_by_role("tab", name="Status").click()


@pytest.fixture
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp("locked")
    with site_in_a_thread(directory, api_keys=[KEY], remote_key=REMOTE_KEY) as site:
        yield site


def test_the_page_holds_no_secret(browser: Browser, locked: Site) -> None:
    with browser.new_context(
        locale="en-GB", extra_http_headers={"Authorization": f"Bearer {KEY}"}
    ) as context:
        page = context.new_page()
        heard: list[str] = []
        page.on("response", lambda answer: heard.append(answer.text()) if "/page/s" in answer.url else None)
        open_status(page, locked)
        page.get_by_label("Show those left at their defaults").check()
        for name in ("api_keys", "remote_key"):
            row = page.locator(".status-settings-card tr", has=page.get_by_text(name, exact=True))
            expect(row).to_contain_text("set, not shown")
        shown = page.content()
    assert heard
    for text in (shown, *heard):
        assert KEY not in text
        assert REMOTE_KEY not in text
