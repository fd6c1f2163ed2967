"""The page as a whole: loading, ingress, sign-in, accessibility, layout and language."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Route, expect
from starlette.types import ASGIApp

from tests.browser.conftest import INGRESS_PEER, KEY
from tests.browser.live_typing import HEARD, open_live, type_text
from tests.browser.page_actions import (
    DESKTOP,
    PHONE,
    TABS,
    brightness,
    checked_page,
    name_player,
    open_tab,
    page_with_own_clock,
    problems_of,
    resize,
    set_color_scheme,
    visit,
    wait_for_layout,
)
from tests.scenarios.page_problems import PageProblems
from tests.support.fake_synthesizer import run_in_thread
from tests.support.ingress_proxy import PREFIX, run_ingress_proxy
from tests.support.page_site import Site, site_in_a_thread
from ui import scripts
from ui.chunks import chunks
from ui.words import Words
from wyoming_tts.page.prerendered import make_page

AWAY = Words().text("problem.away")


COUNT_FRAMES = """
window.asked = 0;
const ask = window.requestAnimationFrame;
window.requestAnimationFrame = (callback) => { window.asked += 1; return ask.call(window, callback); };
"""


@pytest.fixture
def desktop(product_page: Page) -> Iterator[Page]:
    """The page on a wide, light screen."""
    resize(product_page, DESKTOP)
    set_color_scheme(product_page, "light")
    yield product_page
    assert problems_of(product_page).found == []


def stop_clock(page: Page) -> None:
    """Time passes only as a test says from now on; no request is under way, whose timeout would pass too."""
    with page.expect_response(re.compile("/page/voices/news")):
        pass
    page.clock.pause_at(page.evaluate("Date.now() / 1000 + 1"))  # in seconds


def test_the_first_visitor_sees_a_loading_page_until_the_page_is_built(
    page: Page, site: Site, tmp_path: Path
) -> None:
    seen = threading.Event()

    async def build() -> ASGIApp:
        await asyncio.to_thread(seen.wait, 30)
        return await make_page(site.settings.state_dir, run_blocking=run_in_thread)

    with site_in_a_thread(tmp_path, state_dir=tmp_path / "state") as new:
        assert new.http._page is not None
        new.http._page._build = build
        page.goto(new.url)
        expect(page.get_by_role("heading", name="Loading the page")).to_be_visible()
        seen.set()
        expect(page.locator("#tab-audition[role=tabpanel]")).to_be_visible()
        page.goto("about:blank")


def test_the_page_goes_on_after_a_restart_of_the_server(
    page: Page, problems: PageProblems, tmp_path: Path
) -> None:
    with site_in_a_thread(tmp_path) as before:
        visit(page, before.url)
        page.locator("#audition-text").fill("Before the restart.")
        port = urlsplit(before.url).port
    open_tab(page, "status")  # for the first time, while nobody answers
    expect(page.locator("#tab-status .not-loaded")).to_contain_text(AWAY)
    expect(page.locator(".player-away")).to_have_text(AWAY)
    with site_in_a_thread(tmp_path, http_port=port) as after:
        assert after.url == before.url
        expect(page.locator("#status h2").first).to_be_visible()
        expect(page.locator("#tab-status .not-loaded")).to_have_count(0)
        expect(page.locator(".player-away")).to_be_empty()
        open_tab(page, "audition")
        page.locator("#audition-text").press("Control+Enter")
        page.wait_for_function("ttsPlayer.state === 'done'")
        expect(page.locator("#audition-text")).to_have_value("Before the restart.")
        open_tab(page, "stream_test")
        page.locator("#stream_test-start").click()
        page.locator("#stream_test-board[data-over=true]").wait_for(state="attached")
        page.goto("about:blank")
    problems.found.clear()  # requests while the server was away


def test_a_lost_server_is_told_on_every_tab_and_asked_ever_less_often(
    browser: Browser, tmp_path: Path
) -> None:
    with page_with_own_clock(browser, "en-GB") as page:
        with site_in_a_thread(tmp_path) as lost:
            visit(page, lost.url)
            stop_clock(page)
        asked: list[str] = []
        page.on("requestfailed", lambda request: asked.append(request.url))
        page.clock.run_for(3000)
        expect(page.locator(".player-away")).to_have_text(AWAY)  # nobody has pressed anything
        open_tab(page, "voices")
        expect(page.locator("#tab-voices .not-loaded").first).to_contain_text(AWAY)
        asked.clear()
        for _ in range(60):
            page.clock.run_for(1000)
        assert 0 < len(asked) < 15, asked
        page.goto("about:blank")  # the last request may still be on its way
        problems_of(page).found.clear()


def test_a_tab_that_loads_late_says_so_and_one_that_failed_is_tried_again_when_asked(
    browser: Browser, site: Site
) -> None:
    with page_with_own_clock(browser, "de-DE") as page:
        notice = page.locator("#tab-status .not-loaded")
        late: list[Route] = []

        def hold(route: Route) -> None:
            late.append(route)

        page.route("**/status.js*", hold)  # before a request is under way that this would break
        visit(page, site.url)
        stop_clock(page)
        with page.expect_request("**/status.js*"):
            open_tab(page, "status", "de")
        page.clock.run_for(499)
        expect(notice).to_have_text([])
        page.clock.run_for(1)
        expect(notice).to_have_text("Wird geladen …")
        page.route("**/status.js*", lambda route: route.abort())
        page.route("**/status.js?1", hold)
        with page.expect_request("**/status.js?1"):
            late[0].abort()  # as the server is there, another try follows at once, but one
        again = notice.get_by_role("button", name="Noch einmal versuchen")
        again.evaluate("(button) => { button.id = 'of-the-first-try'; }")
        late[1].abort()
        expect(page.locator("#of-the-first-try")).to_have_count(0)
        again.wait_for()
        page.unroute("**/status.js*")
        again.click()  # by itself the page would try again later, by a clock that stands
        expect(page.locator("#status h2").first).to_be_visible()
        expect(notice).to_have_count(0)
        problems_of(page).found.clear()  # the requests that were aborted


def test_behind_the_ingress_every_request_is_below_its_prefix_and_typing_is_heard(
    page: Page, keyed_site: Site
) -> None:
    """The page fixture fails on a 404 and on a request to another host."""
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    with run_ingress_proxy(keyed_site.url, INGRESS_PEER) as address:
        visit(page, address)
        for tab in TABS:
            open_tab(page, tab)
        response = page.evaluate(
            """async () => {
                const body = JSON.stringify({input: "abc", response_format: "pcm"});
                const headers = {"Content-Type": "application/json"};
                const url = new URL("v1/audio/speech", document.baseURI);
                const answer = await fetch(url, {method: "POST", headers, body});
                return [answer.status, (await answer.arrayBuffer()).byteLength];
            }"""
        )
        assert response[0] == 200
        assert response[1] > 1000
        with page.expect_websocket() as opened:
            type_text(open_live(page), "One. Two. ")
        assert opened.value.url == f"ws{address.removeprefix('http')}v1/audio/speech/stream/ws"
        page.wait_for_function(HEARD, arg=1)
        page.goto("about:blank")
    assert [url for url in requested if url.startswith("http://127.0.0.1") and PREFIX not in url] == []


def test_signing_in_with_the_key_is_needed_once_for_typing_too(
    page: Page, problems: PageProblems, keyed_site: Site
) -> None:
    page.goto(keyed_site.url)
    page.get_by_label("API key").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_have_text("This key is not valid.")
    problems.found.clear()  # the browser logs each 401 as an error
    page.get_by_label("API key").fill(KEY)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#tab-audition[role=tabpanel]")).to_be_visible()
    visit(page, keyed_site.url)
    assert KEY not in page.content()
    open_live(page)
    type_text(page, "One. Two. ")
    page.wait_for_function(HEARD, arg=1)
    page.goto("about:blank")
    page.context.clear_cookies()


_KEEP_SHIFTS = """window.shift = 0;
    new PerformanceObserver((list) => { for (const each of list.getEntries()) window.shift += each.value; })
        .observe({ type: "layout-shift", buffered: true });"""


def test_nothing_jumps_while_the_page_is_loaded_and_a_tab_is_opened(page: Page, site: Site) -> None:
    """Shifts that follow a click count, too: the browser's own score leaves them out."""
    resize(page, PHONE)
    page.add_init_script(_KEEP_SHIFTS)
    visit(page, site.url)
    shifts = {"load": page.evaluate("shift")}
    for tab in ("blend", "stream_test", "voices", "status"):
        page.evaluate("shift = 0")
        open_tab(page, tab)
        expect(page.locator(f"#{tab} [inert]")).to_have_count(0)
        wait_for_layout(page)
        shifts[tab] = page.evaluate("shift")
    assert max(shifts.values()) < 0.05, shifts


def test_a_tab_opened_while_the_page_is_scrolled_down_is_filled_and_shows_its_top(
    page: Page, site: Site
) -> None:
    page.set_viewport_size({"width": 1000, "height": 400})
    open_tab(visit(page, site.url), "stream_test")
    expect(page.locator("#stream_test-start")).to_be_visible()
    page.evaluate("scrollTo(0, 400)")
    click = """(tab) => {
        const left = scrollY;
        document.querySelector(`#tab-${tab}-button`).click();  // unscrolled
        return left;
    }"""
    left = page.evaluate(click, "voices")  # what is filled late above it has moved it
    assert left >= 400
    page.locator("#voices .voices-list > li").first.wait_for(state="attached")
    assert page.evaluate("scrollY") == 0
    page.evaluate("scrollTo(0, 150)")
    page.evaluate(click, "stream_test")
    assert page.evaluate("scrollY") == left
    page.evaluate(click, "voices")
    assert page.evaluate("scrollY") == 150


def test_arrow_keys_move_between_the_tabs_and_the_open_one_outlives_a_reload(desktop: Page) -> None:
    page = desktop
    open_tab(page, "audition")
    expect(page.get_by_role("heading", level=1)).to_have_text("Text to speech")
    page.locator("#tab-audition-button").focus()
    for key, tab in (("ArrowRight", "blend"), ("End", "status"), ("ArrowRight", "audition")):
        page.keyboard.press(key)
        expect(page.locator(f"#tab-{tab}[role=tabpanel]")).to_be_visible()
        expect(page.locator(f"#tab-{tab}-button")).to_be_focused()
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#tab-status-button")).to_be_focused()
    page.keyboard.press("Shift+Tab")
    assert page.evaluate("document.activeElement.role") != "tab"
    page.reload()
    page.locator("#tab-status[role=tabpanel]").wait_for()
    name_player(page)


def test_every_tab_is_in_sight_on_the_narrowest_phone_and_a_link_opens_it(german: Page, site: Site) -> None:
    """German has the longest names."""
    with checked_page(german.context) as page:
        page.set_viewport_size({"width": 320, "height": 640})
        page.goto(f"{site.url}#tab=status")
        expect(page.locator("#tab-status[role=tabpanel]")).to_be_visible()
        expect(page.get_by_role("tab").filter(visible=True)).to_have_count(len(TABS))
        edges = page.get_by_role("tab").evaluate_all(
            "(tabs) => tabs.map((tab) => tab.getBoundingClientRect())"
        )
        assert max(edge["right"] for edge in edges) <= 320
        assert len({edge["top"] for edge in edges}) == 1
        open_tab(page, "stream_test", "de")
        pace = page.locator("#stream_live .range-field")
        edge_of = "(element) => element.getBoundingClientRect().right"
        assert pace.locator("input").evaluate(edge_of) <= pace.evaluate(edge_of)


_HIDDEN_FOCUS = """(tab) => {
    const bar = document.querySelector("#player-bar");
    const kinds = ["button", "input", "select", "textarea", "summary", "a[href]"];
    const all = [...document.querySelectorAll(kinds.map((kind) => `#tab-${tab} ${kind}`).join())];
    const seen = all.filter((each) => !each.disabled && each.checkVisibility({ visibilityProperty: true }));
    const behind = seen.reverse().filter((each) => {
        scrollTo(0, 0);
        const lines = each instanceof HTMLTextAreaElement && each.getBoundingClientRect();
        if (lines) scrollBy(0, lines.top + 30 - bar.getBoundingClientRect().top); // one is above the bar
        each.focus();
        const [it, edge] = [each.getBoundingClientRect(), bar.getBoundingClientRect().top];
        return it.height < edge && it.bottom > edge;
    });
    return behind.map((each) => each.outerHTML);
}"""


def test_what_has_the_focus_is_not_behind_the_player_bar(desktop: Page) -> None:
    resize(desktop, PHONE)
    open_tab(desktop, "audition")
    desktop.locator("#audition-text").fill("One two three four five six seven eight nine ten. " * 9)
    desktop.locator("#audition-text").press("Control+Enter")
    desktop.locator("#player-bar").get_by_role("button", name="Words and more").click()  # the bar is high
    expect(desktop.locator(".player-words span").last).to_be_visible()
    desktop.keyboard.press("Escape")
    behind = {}
    for tab in TABS:
        open_tab(desktop, tab)
        if tab == "voices":
            desktop.locator("#voices-language").select_option("de")
        behind[tab] = desktop.evaluate(_HIDDEN_FOCUS, tab)
    desktop.locator("#player-bar").get_by_role("button", name="Words and more").click()
    assert behind == {tab: [] for tab in TABS}


_LOADED = """performance.getEntriesByType("resource").map(({ name }) => new URL(name).pathname)
    .filter((path) => /[.](js|css)$/.test(path))"""


def test_the_page_and_all_its_tabs_load_few_files_and_ask_for_no_frames_while_nothing_happens(
    page: Page, site: Site
) -> None:
    page.add_init_script(COUNT_FRAMES)
    visit(page, site.url)
    for tab in TABS:
        open_tab(page, tab)
        expect(page.locator(f"#tab-{tab} .tts[inert]")).to_have_count(0)
    loaded = page.evaluate(_LOADED)
    names = [path.rpartition("/")[2].removesuffix(".js") for path in loaded if path.startswith("/static/js/")]
    assert "first" in names
    assert "status" in names
    assert sorted(names) == sorted(set(names)), "a module was loaded with two of them"
    assert set(names) <= set(chunks(scripts.sources(), scripts.FIRST)), "a module was loaded by itself"
    assert len(loaded) < 36, loaded
    page.wait_for_function("() => { const was = asked; asked = 0; return was === 0; }", polling=250)


def test_every_tab_fits_a_phone_screen(desktop: Page, german: Page) -> None:
    resize(desktop, PHONE)
    for page, language in ((desktop, "en"), (german, "de")):
        for tab in TABS:
            open_tab(page, tab, language)
            assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], (tab, language)


def test_the_page_follows_the_preferred_colour_scheme(desktop: Page, german: Page) -> None:
    assert brightness(desktop) > 200
    assert brightness(german) < 60
    set_color_scheme(desktop, "dark")
    assert brightness(desktop) < 60
    set_color_scheme(desktop, "light")


def test_the_page_is_shown_in_the_browsers_language(german: Page) -> None:
    for tab in TABS:
        open_tab(german, tab, "de")
    assert "__i18n__" not in german.locator("body").inner_text()
    expect(german.locator("html")).to_have_attribute("lang", "de-DE")
    expect(german).to_have_title(Words().text("page.title", "de"))


def test_a_third_language_is_one_file_of_texts(browser: Browser, site: Site) -> None:
    context = browser.new_context(locale="fr-FR")
    with checked_page(context) as page:
        visit(page, site.url)
        expect(page).to_have_title(Words().text("page.title", "fr"))
        for tab in TABS:
            open_tab(page, tab, "fr")
        assert "__i18n__" not in page.locator("body").inner_text()
    context.close()
