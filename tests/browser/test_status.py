"""The status tab in a browser, against a running product."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser.conftest import KEY, REMOTE_KEY
from tests.browser.page_actions import (
    DESKTOP,
    accessibility_violations,
    checked_page,
    open_tab,
    page_with_own_clock,
    panel,
    problems_of,
    resize,
    set_color_scheme,
    visit,
    when_shown,
)
from tests.support.page_site import Site
from tests.support.tones import LETTERS
from wyoming_tts import __version__
from wyoming_tts.telemetry.recent_utterances import RecentUtterances

POLL_MILLISECONDS = 3000
"""Milliseconds of the page's clock after which it has fetched the status again."""
_LOGGER = logging.getLogger("wyoming_tts.of.a.test")


STATUS = "**/page/status.json*"


def open_status(page: Page, url: str) -> None:
    open_tab(visit(page, url), "status")
    expect(page.locator("#status .status-fact-memory dd")).to_contain_text("MB")


def answer_without_listeners(route: Route) -> None:
    """What other tests had spoken may be played for a minute yet."""
    route.fulfill(json=route.fetch().json() | {"listeners": []})


@pytest.fixture(scope="module")
def shared_page(browser: Browser, site: Site) -> Iterator[Page]:
    """The status tab of a server that has not spoken yet."""
    RecentUtterances.__init__(site.recent)  # forget the utterances of other test files
    with page_with_own_clock(browser, "en-GB") as page:
        page.add_init_script("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
        page.route(STATUS, answer_without_listeners)
        open_status(page, site.url)
        yield page
        page.unroute_all(behavior="ignoreErrors")


@pytest.fixture
def status(shared_page: Page) -> Iterator[Page]:
    """The status tab after its first fetch; every test leaves it unchanged."""
    yield shared_page
    assert problems_of(shared_page).found == []


def advance_to_next_poll(page: Page) -> None:
    """Advance the page's clock, so that it fetches the status again."""
    page.clock.fast_forward(POLL_MILLISECONDS)


def test_a_new_utterance_appears_at_the_next_poll_without_layout_shift(status: Page, site: Site) -> None:
    card = status.locator(".status-settings-card")
    latency = status.locator(".status-latency-card")
    expect(latency.locator("p")).to_have_text(
        "Nothing has been spoken yet."
    )  # only the first test here speaks
    advance_to_next_poll(status)
    status.locator(".status-listeners-card .status-none").wait_for()
    expect(status.locator(".status-listeners-card .status-count")).to_be_hidden()
    resize(status, {"width": 390, "height": 720})
    assert latency.bounding_box()["height"] < 160  # type: ignore[index]
    resize(status, DESKTOP)
    before = card.bounding_box()
    answer = status.request.post(
        f"{site}v1/audio/speech",
        data={"input": "hush hush", "voice": LETTERS.name, "response_format": "pcm"},
    )
    assert answer.ok
    advance_to_next_poll(status)
    row = status.locator(".status-recent-card tbody tr")
    expect(row).to_have_count(1)
    expect(row.locator("td.status-voice")).to_have_text("Letters")
    expect(row.get_by_title(LETTERS.name)).to_be_visible()
    expect(row.locator("td.status-outcome")).to_have_text("done")
    expect(latency.locator("tbody")).to_have_text(re.compile(r"^Piper1[\d.]+ m?s[\d.]+ m?s$"))
    expect(latency.locator(".status-points path")).to_have_count(1)
    expect(latency.locator(".status-y")).to_have_text(re.compile(r"^[\d.]+ m?s[\d.]+ m?s0 ms$"))
    assert card.bounding_box() == before
    assert "hush" not in status.content()


def test_who_is_spoken_to_stands_first(status: Page) -> None:
    kitchen = {
        "peer": "192.0.2.7",
        "name": "<b>kitchen</b>",
        "transport": "wyoming",
        "voice": LETTERS.name,
        "requested_voice": "",
        "state": "speaking",
        "ahead": 2.5,
        "seconds": 4,
    }
    waiting = kitchen | {"peer": "127.0.0.1", "name": "", "voice": "", "state": "queued", "ahead": 0}

    def answer(route: Route) -> None:
        route.fulfill(json=route.fetch().json() | {"listeners": [kitchen, waiting]})

    status.route(STATUS, answer)
    advance_to_next_poll(status)
    expect(status.locator("#status h2").first).to_have_text("Listening now")
    rows = status.locator(".status-listeners-card tbody tr")
    first = ["<b>kitchen</b> (192.0.2.7)", "speaking", "2.5 s", "Letters", "wyoming", "4.0 s"]
    expect(rows.nth(0).locator("td")).to_have_text(first)
    second = ["this machine (127.0.0.1)", "waiting for its turn", "0.0 s", "–", "wyoming", "4.0 s"]
    expect(rows.nth(1).locator("td")).to_have_text(second)
    status.unroute(STATUS, answer)
    advance_to_next_poll(status)
    status.locator(".status-listeners-card .status-none").wait_for()


_WIDER_THAN_THEIR_PLACE = """(regions) => regions
    .filter((region) => region.clientWidth && region.scrollWidth > region.clientWidth + 1)
    .map((region) => region.ariaLabel)"""


def test_every_table_can_be_read_on_any_screen(status: Page) -> None:
    listener = {
        "peer": "192.168.178.41",
        "name": "kitchen-satellite.fritz.box",
        "transport": "wyoming",
        "voice": "en_GB-northern_english_male-medium",
        "requested_voice": "",
        "state": "held",
        "ahead": 2.5,
        "seconds": 4,
    }
    told = status.request.get(f"{status.url}page/status.json").json() | {"listeners": [listener]}

    def answer(route: Route) -> None:
        route.fulfill(json=told)

    status.route(STATUS, answer)
    advance_to_next_poll(status)
    expect(status.locator(".status-listeners-card tbody tr")).to_have_count(1)
    for width in (320, 390, 924, 1280):
        resize(status, {"width": width, "height": 720})
        assert status.locator("#status .status-scroll").evaluate_all(_WIDER_THAN_THEIR_PLACE) == [], width
    resize(status, {"width": 320, "height": 640})
    cell = status.locator(".status-listeners-card td.status-ahead")
    assert cell.evaluate("(cell) => getComputedStyle(cell, '::before').content") == '"Ahead"'
    resize(status, DESKTOP)
    status.unroute(STATUS, answer)
    advance_to_next_poll(status)
    expect(status.locator(".status-listeners-card tbody tr")).to_have_count(0)
    assert status.locator(".status-listeners-card").bounding_box()["height"] < 160  # type: ignore[index]


def test_everything_for_a_bug_report_is_copied_at_once(status: Page) -> None:
    panel(status, "status").get_by_role("button", name="Copy everything for a bug report").click()
    card = status.locator(".status-report-card")
    expect(when_shown(card.locator("p[role=status]"))).to_have_text("Copied")
    expect(card.locator("pre")).to_contain_text(f"# wyoming-tts {__version__}")
    expect(card.locator("pre")).to_contain_text(f"- {LETTERS.name}: piper")


def test_the_log_can_be_filtered_by_level(status: Page) -> None:
    _LOGGER.warning("<b>it creaks</b>")
    _LOGGER.error("it breaks")
    creaks, breaks = (
        status.locator(".status-line", has_text=text) for text in ("<b>it creaks</b>", "breaks")
    )
    advance_to_next_poll(status)
    creaks.wait_for()
    panel(status, "status").get_by_label("Show", exact=True).select_option("error")
    expect(creaks).to_be_hidden()
    expect(breaks).to_be_visible()
    panel(status, "status").get_by_label("Show", exact=True).select_option("all")
    expect(creaks).to_be_visible()


def test_an_address_is_copied_without_the_clipboard_api(status: Page) -> None:
    panel(status, "status").get_by_role("button", name="Copy Wyoming").first.click()
    expect(status.locator(".status-copy", has_text="Copied")).to_have_count(1)
    address = status.locator(".status-address code").first.inner_text()
    assert re.fullmatch(r"tcp://127\.0\.0\.1:\d+", address)
    status.evaluate("document.body.prepend(document.createElement('textarea'))")
    pasted = status.locator("body > textarea")
    pasted.focus()
    status.keyboard.press("Control+V")
    assert pasted.input_value() == address
    pasted.evaluate("field => field.remove()")


def test_text_that_cannot_be_copied_is_selected(status: Page) -> None:
    status.evaluate("document.execCommand = () => false")  # shadows the real one
    panel(status, "status").get_by_role("button", name="Copy the steps").click()
    expect(status.locator(".status-copy", has_text="Press Ctrl+C")).to_have_count(1)
    assert "Host: 127.0.0.1" in status.evaluate("getSelection().toString()")
    status.evaluate("delete document.execCommand")


def test_an_unreachable_server_is_reported_until_it_answers_again(status: Page) -> None:
    def answer(route: Route) -> None:
        route.abort("aborted")

    state = status.locator(".status-headline")
    status.route(STATUS, answer)
    advance_to_next_poll(status)
    expect(state).to_have_text("No answer")
    status.unroute(STATUS, answer)
    advance_to_next_poll(status)
    expect(state).to_have_text("Ready")


def test_a_shared_cache_is_told_of_beside_the_servers_own(status: Page) -> None:
    shared = {"is_usable": True, "hits": 7}

    def answer(route: Route) -> None:
        told = route.fetch().json()
        told["server"]["cache"] |= {"memory_hits": 1, "disk_hits": 0, "misses": 8, "shared": shared}
        route.fulfill(json=told)

    cache = status.locator(".status-fact-cache dd")
    status.route(STATUS, answer)
    advance_to_next_poll(status)
    expect(cache).to_contain_text(re.compile(r"^50\s% of 16, .*; shared: 7$"))
    shared["is_usable"] = False
    advance_to_next_poll(status)
    expect(cache).to_contain_text("; shared cache failing")
    status.unroute(STATUS, answer)


def test_the_status_tab_is_accessible_in_german_on_a_phone(german: Page) -> None:
    open_tab(german, "status", "de")
    expect(german.locator("#status .status-fact-memory dd")).to_contain_text("MB")
    expect(panel(german, "status").get_by_role("heading", name="Letzte Äußerungen")).to_be_visible()
    assert german.evaluate("document.documentElement.scrollWidth") <= 390
    assert accessibility_violations(german, "#status") == []
    set_color_scheme(german, "light")
    assert accessibility_violations(german, "#status", of_colours=True) == []
    set_color_scheme(german, "dark")


def test_files_that_cannot_be_read_are_listed_while_there_are_some(status: Page) -> None:
    def answer(route: Route) -> None:
        told = route.fetch().json() | {"listeners": []}
        told["server"]["unreadable"] = {"/data/default_voice.yaml": "expected `voice: NAME`"}
        route.fulfill(json=told)

    unreadable = status.locator(".status-fact-unreadable")
    expect(unreadable).to_be_hidden()
    status.route(STATUS, answer, times=1)
    advance_to_next_poll(status)
    expect(when_shown(unreadable)).to_have_text(
        "Not readable now/data/default_voice.yaml: expected `voice: NAME`"
    )
    advance_to_next_poll(status)
    expect(unreadable).to_be_hidden()


def test_the_status_is_not_polled_while_the_tab_is_hidden(status: Page) -> None:
    requested: list[str] = []
    status.on("request", lambda request: requested.append(request.url))
    open_tab(status, "audition")
    expect(status.locator("#status")).to_be_hidden()
    requested.clear()
    status.clock.run_for(20_000)
    assert not [url for url in requested if "/page/s" in url]
    with status.expect_request(STATUS):
        open_tab(status, "status")


def test_the_status_tab_and_its_responses_contain_no_secrets(browser: Browser, keyed_site: Site) -> None:
    headers = {"Authorization": f"Bearer {KEY}"}
    with (
        browser.new_context(locale="en-GB", extra_http_headers=headers) as context,
        checked_page(context) as page,
    ):
        responses: list[str] = []
        page.on(
            "response",
            lambda answer: (
                responses.append(answer.text())
                if "/page/s" in answer.url or "/page/report" in answer.url
                else None
            ),
        )
        open_status(page, keyed_site.url)
        panel(page, "status").get_by_label("Show settings left at their defaults").check()
        panel(page, "status").get_by_role("button", name="Copy everything").click()
        expect(when_shown(page.locator(".status-report"))).to_contain_text("api_keys: (set, not shown)")
        for name in ("api_keys", "remote_key"):
            row = page.locator(".status-settings-card tr", has=page.get_by_text(name, exact=True))
            expect(row).to_contain_text("set, not shown")
        content = page.content()
    assert responses
    for text in (content, *responses):
        assert KEY not in text
        assert REMOTE_KEY not in text
