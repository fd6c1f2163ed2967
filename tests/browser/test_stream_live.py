"""Typing that is heard live, in the Stream tab, against a running product."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing
from typing import NamedTuple

import pytest
from playwright.sync_api import Browser, Locator, Page, WebSocketRoute, expect

from tests.browser.listen_tab import EMBEDDED
from tests.browser.live_typing import BOX, HEARD, heard_words, open_live, type_text
from tests.browser.page_actions import (
    accessibility_violations,
    checked_page,
    name_player,
    open_tab,
    problems_of,
    visit,
    when_shown,
)
from tests.support.page_site import Site

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

_ADD_TWO_TEXTS = """box => {
    for (const text of ["Four", " Five"]) {
        box.value += text;
        box.dispatchEvent(new InputEvent("input"));
        box.form.requestSubmit();
    }
}"""
"""The second is another response, while the first is not heard yet."""
_WRITE_OVER_ONE_MEGABYTE = """box => {
    box.value = "Three. Four. " + "\\u0001".repeat(180_000);  // each six bytes of JSON
    box.dispatchEvent(new InputEvent("input"));
}"""
"""As a script may, and what an older page kept."""
_COUNT_REDRAWN = """() => {
    window.redrawn = 0;
    const chart = document.querySelector("#stream_live .sl-lanes");
    new MutationObserver(() => { window.redrawn += 1; }).observe(chart, { subtree: true, childList: true });
    return ttsPlayer.position;
}"""
"""Returns where it is heard now."""


@pytest.fixture(scope="module")
def shared_page(product_page: Page) -> Iterator[Page]:
    yield open_live(product_page)
    open_tab(product_page, "stream_test")
    product_page.locator("#stream_live-voice").select_option(EMBEDDED)  # as those that follow expect


@pytest.fixture
def live(shared_page: Page) -> Iterator[Page]:
    """The section with an empty box, and nothing that speaks."""
    shared_page.keyboard.press("Escape")
    shared_page.locator(BOX).fill("")
    shared_page.locator(BOX).focus()
    yield shared_page
    assert problems_of(shared_page).found == []


def head(page: Page) -> Locator:
    return page.locator("#stream_live .sl-head")


def gaps(page: Page) -> list[str]:
    return page.locator("#stream_live-gaps li").all_text_contents()


def test_a_sentence_is_heard_to_its_last_word_before_the_text_is_finished(live: Page) -> None:
    live.keyboard.insert_text("One two three. ")  # at once: a slow machine's keys have pauses between them
    live.wait_for_function(HEARD, arg=3)
    assert heard_words(live) == ["One", "two", "three"]
    expect(live.locator("#stream_live-done")).to_be_enabled()  # it may go on
    live.locator(BOX).evaluate(_ADD_TWO_TEXTS)
    expect(head(live)).to_contain_text("finished")
    assert heard_words(live) == ["One", "two", "three", "Four", "Five"]
    assert live.evaluate("ttsPlayer.clip.words.at(-1).utf16_begin") == len("One two three. Four ")
    expect(head(live)).to_contain_text("after the first sentence was complete")
    assert live.evaluate("ttsPlayer.clip.isReplayable")
    assert accessibility_violations(live, "#stream_live") == []


def test_a_pause_of_who_types_is_a_gap_that_waited_for_text(live: Page) -> None:
    type_text(live, "One. ")
    expect(head(live)).to_contain_text("waiting for more sound")
    type_text(live, "Two. ")
    expect(head(live)).to_contain_text("waiting for text 1 (")
    expect(head(live)).to_contain_text("server late 0")
    assert "before “Two”" in gaps(live)[0]


def test_a_change_of_what_was_sent_interrupts_and_begins_again_from_its_sentence(live: Page) -> None:
    type_text(live, "One. Two three four five. ")
    live.wait_for_function(HEARD, arg=2)
    live.locator(BOX).press("Backspace")
    expect(live.locator("#stream_live-note")).to_contain_text("sent has changed")
    assert live.evaluate("ttsPlayer.state") == "stopped"
    type_text(live, " Six. ")
    live.locator("#stream_live-done").click()
    expect(head(live)).to_contain_text("finished")
    assert heard_words(live) == ["Two", "three", "four", "five", "Six"]


def test_what_an_input_method_composes_is_sent_once_it_is_chosen(live: Page) -> None:
    keyboard = live.context.new_cdp_session(live)
    live.locator(BOX).focus()
    for composed in ("n", "ni", "nih"):
        place = {"selectionStart": len(composed), "selectionEnd": len(composed)}
        keyboard.send("Input.imeSetComposition", {"text": composed, **place})
    expect(live.locator(BOX)).to_have_value("nih")
    expect(live.locator("#stream_live-done")).to_be_disabled()
    keyboard.send("Input.insertText", {"text": "One "})
    type_text(live, "two. ")
    live.locator("#stream_live-done").click()
    expect(head(live)).to_contain_text("finished")
    assert heard_words(live) == ["One", "two"]


def test_in_another_tab_a_run_goes_on_undrawn_until_escape_stops_it(live: Page) -> None:
    text = "One two three four five six seven eight nine ten. " * 8
    live.locator(BOX).fill(text)
    live.wait_for_function(HEARD, arg=2)
    open_tab(live, "audition")
    since = live.evaluate(_COUNT_REDRAWN)
    live.wait_for_function("(since) => ttsPlayer.position > since + 0.5", arg=since)
    assert live.evaluate("window.redrawn") == 0
    live.keyboard.press("Escape")
    open_tab(live, "stream_test")
    expect(head(live)).to_contain_text("stopped")
    expect(live.locator("#stream_live-note")).to_contain_text("This much was heard: One")
    expect(live.locator("#stream_live-done")).to_be_disabled()
    expect(live.locator(BOX)).to_have_value(text)


def test_a_paste_beyond_the_limit_is_cut_and_said_and_the_connection_survives_any_text(live: Page) -> None:
    live.locator(BOX).evaluate(_WRITE_OVER_ONE_MEGABYTE)
    live.wait_for_function(HEARD, arg=1)
    live.keyboard.press("Escape")
    live.locator(BOX).evaluate("box => { box.value = ''; box.focus(); }")
    live.keyboard.insert_text("Three. " * 15_000)
    expect(live.locator("#stream_live-note")).to_contain_text("The box is full: it takes 100,000 characters")
    assert live.locator(BOX).evaluate("box => box.value.length") == 100_000
    live.wait_for_function(HEARD, arg=1)
    expect(live.locator("#stream_live-problem")).to_be_empty()
    live.keyboard.press("Escape")
    live.locator(BOX).fill("")  # laying it out takes long, in each test that follows


def test_an_example_is_typed_at_the_chosen_pace(live: Page) -> None:
    live.locator(BOX).fill("")
    live.locator("#stream_live-pace").fill("100")
    live.locator("#stream_live-typing").click()
    live.wait_for_function(HEARD, arg=1)
    expect(live.locator(BOX)).not_to_be_editable()
    live.locator("#stream_live-typing").click()
    expect(live.locator(BOX)).to_be_editable()
    expect(live.locator(BOX)).to_have_value(re.compile("^Good morning.*to you\\?$"))  # none of it is lost


def _words_in(message: str | bytes) -> list[str]:
    told = json.loads(message).get("words", []) if isinstance(message, str) else []
    return [word["word"] for word in told]


class HeldServer:
    """The realtime WebSocket of a page, whose messages to the page a test can hold back."""

    def __init__(self, page: Page) -> None:
        self._page_side: WebSocketRoute | None = None
        self._held_from = ""
        self._held: list[str | bytes] = []
        self.words_around: list[str] = []
        """The last word told before, which the gap may interrupt, and the first that is held back."""
        page.route_web_socket("**/v1/audio/speech/stream/ws", self._connect)

    def hold(self, word: str) -> None:
        """Hold back a word and all that follows, until `release`."""
        self._held_from = word

    def _connect(self, page_side: WebSocketRoute) -> None:
        self._page_side = page_side
        page_side.connect_to_server().on_message(self._pass)

    def _pass(self, message: str | bytes) -> None:
        assert self._page_side is not None
        words = _words_in(message)
        if self._held_from and not self._held:
            self.words_around = [*self.words_around[-1:], *words[:1]] if words else self.words_around
        if self._held or (self._held_from and self._held_from in words):
            self._held.append(message)
        else:
            self._page_side.send(message)

    def release(self) -> None:
        held, self._held, self._held_from = self._held, [], ""
        for message in held:
            self._pass(message)

    def stop(self) -> None:
        """Close the connection as a server does that is stopped."""
        assert self._page_side is not None
        self._page_side.close(code=1012)


class HeldLive(NamedTuple):
    """The section on a page of its own, whose server can be held and stopped."""

    page: Page
    server: HeldServer


@pytest.fixture(scope="module")
def held_page(browser: Browser, site: Site) -> Iterator[HeldLive]:
    # A context of its own, which can be offline.
    with closing(browser.new_context(locale="en-GB")) as context, checked_page(context) as page:
        server = HeldServer(page)
        open_live(visit(page, site.url))
        yield HeldLive(page, server)


@pytest.fixture
def held(held_page: HeldLive) -> Iterator[HeldLive]:
    held_page.page.keyboard.press("Escape")
    held_page.page.locator(BOX).fill("")
    held_page.page.locator(BOX).focus()
    yield held_page
    assert problems_of(held_page.page).found == []


def test_what_was_sent_in_time_and_comes_late_is_a_gap_of_the_servers(held: HeldLive) -> None:
    page, server = held
    server.hold("Seven")
    page.keyboard.insert_text("One two three four five six. Seven. Eight. ")
    expect(head(page)).to_contain_text("waiting for more sound")
    server.release()
    expect(head(page)).to_contain_text(re.compile(r"waiting for text 0, server late [1-9] \("))
    late = [f"server late, before “{word}”" for word in server.words_around]
    assert any(each in gap for each in late for gap in gaps(page))


def test_typing_on_connects_again_after_the_server_was_away(held: HeldLive) -> None:
    page, server = held
    type_text(page, "One two three. ")
    expect(head(page)).to_contain_text("speaking")
    server.stop()
    expect(when_shown(page.locator("#stream_live-problem"))).to_contain_text("The server is stopping.")
    expect(head(page)).to_contain_text("interrupted")
    page.context.set_offline(True)
    type_text(page, "F")
    expect(when_shown(page.locator("#stream_live-problem"))).to_contain_text("The server does not answer.")
    page.context.set_offline(False)
    type_text(page, "our. ")
    page.wait_for_function(HEARD, arg=1)
    assert heard_words(page) == ["Four"]
    expect(page.locator("#stream_live-problem")).to_be_empty()
    page.reload()
    expect(page.locator(BOX)).to_have_value("One two three. Four. ")
    name_player(page)
    open_live(page)
    found = problems_of(page).found
    found[:] = [each for each in found if "INTERNET_DISCONNECTED" not in each]
