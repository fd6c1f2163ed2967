"""Typing that is heard live, in the Stream tab, against a running product."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, WebSocketRoute, expect

from tests.browser.page_actions import accessibility_violations, checked_page, open_tab, problems_of, visit
from tests.scenarios.page_problems import PageProblems
from tests.support.page_site import Site

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

VOICE = "en_US-letters-low"
BOX = "#stream_live-text"
_HEARD = """(count) => ttsPlayer.clip && ttsPlayer.position !== null
    && ttsPlayer.clip.words.filter((word) => word.start_time <= ttsPlayer.position).length >= count"""


def open_live(page: Page, site: Site) -> Page:
    open_tab(visit(page, site.url), "stream_test")
    page.locator("#stream_live-voice").select_option(VOICE)
    page.locator(BOX).fill("")  # not what another test typed
    return page


@pytest.fixture(scope="module")
def shared_page(context: BrowserContext, site: Site) -> Iterator[Page]:
    with checked_page(context) as page:
        yield open_live(page, site)


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


def type_text(page: Page, text: str, delay: float = 0) -> None:
    page.locator(BOX).press_sequentially(text, delay=delay)


def heard_words(page: Page) -> list[str]:
    words: list[str] = page.evaluate("ttsPlayer.clip.words.map(({ text }) => text)")
    return words


def test_a_sentence_is_heard_to_its_last_word_before_the_text_is_finished(live: Page) -> None:
    type_text(live, "One two three. ")
    live.wait_for_function(_HEARD, arg=3)
    assert heard_words(live) == ["One", "two", "three"]
    expect(live.locator("#stream_live-done")).to_be_enabled()  # it may go on
    type_text(live, "Four")
    live.locator(BOX).press("Control+Enter")
    expect(head(live)).to_contain_text("over")
    assert heard_words(live) == ["One", "two", "three", "Four"]
    expect(head(live)).to_contain_text("after the first pause in typing")
    assert live.evaluate("ttsPlayer.clip.isReplayable")
    assert accessibility_violations(live, "#stream_live") == []


def test_a_pause_of_who_types_is_a_gap_that_waited_for_text(live: Page) -> None:
    type_text(live, "One. ")
    expect(head(live)).to_contain_text("nothing to play")
    type_text(live, "Two. ")
    expect(head(live)).to_contain_text("waiting for text 1 (")
    expect(head(live)).to_contain_text("server late 0")
    assert "before “Two”" in gaps(live)[0]


def test_a_change_of_what_was_sent_interrupts_and_begins_again_from_its_sentence(live: Page) -> None:
    type_text(live, "One. Two three four five. ")
    live.wait_for_function(_HEARD, arg=2)
    live.locator(BOX).press("Backspace")
    expect(live.locator("#stream_live-note")).to_contain_text("has been changed")
    assert live.evaluate("ttsPlayer.state") == "stopped"
    type_text(live, " Six. ")
    live.locator("#stream_live-done").click()
    expect(head(live)).to_contain_text("over")
    assert heard_words(live) == ["Two", "three", "four", "five", "Six"]


def test_escape_stops_and_tells_what_was_heard(live: Page) -> None:
    type_text(live, "One two three four five six seven eight nine ten. ")
    live.wait_for_function(_HEARD, arg=2)
    live.keyboard.press("Escape")
    expect(head(live)).to_contain_text("stopped")
    expect(live.locator("#stream_live-note")).to_contain_text("This much was heard: One")
    expect(live.locator("#stream_live-done")).to_be_disabled()
    expect(live.locator(BOX)).to_have_value("One two three four five six seven eight nine ten. ")


def test_an_example_is_typed_at_the_chosen_pace(live: Page) -> None:
    live.locator(BOX).fill("")
    live.locator("#stream_live-pace").fill("100")
    live.locator("#stream_live-typing").click()
    live.wait_for_function(_HEARD, arg=1)
    expect(live.locator(BOX)).not_to_be_editable()
    live.locator("#stream_live-typing").click()
    expect(live.locator(BOX)).to_be_editable()
    expect(live.locator(BOX)).to_have_value(re.compile("^Good morning.*to you\\?$"))  # none of it is lost


class HeldServer:
    """The realtime WebSocket of a page, whose messages to the page a test can hold back."""

    def __init__(self, page: Page) -> None:
        self._page_side: WebSocketRoute | None = None
        self._held: list[str | bytes] | None = None
        page.route_web_socket("**/v1/audio/speech/stream/ws", self._connect)

    def _connect(self, page_side: WebSocketRoute) -> None:
        self._page_side = page_side
        page_side.connect_to_server().on_message(self._pass)

    def _pass(self, message: str | bytes) -> None:
        assert self._page_side is not None
        if self._held is None:
            self._page_side.send(message)
        else:
            self._held.append(message)

    def hold(self) -> None:
        self._held = []

    def release(self) -> None:
        held, self._held = self._held or [], None
        for message in held:
            self._pass(message)

    def stop(self) -> None:
        """Close the connection as a server does that is stopped."""
        assert self._page_side is not None
        self._page_side.close(code=1012)


def test_what_was_sent_in_time_and_comes_late_is_a_gap_of_the_servers(page: Page, site: Site) -> None:
    server = HeldServer(page)
    open_live(page, site)
    type_text(page, "One two three four five six. ")
    expect(head(page)).to_contain_text("speaking")
    server.hold()
    page.keyboard.insert_text("Seven. Eight. ")
    expect(head(page)).to_contain_text("nothing to play")
    server.release()
    expect(head(page)).to_contain_text("waiting for text 0, server late 1 (")
    assert "before “Seven”" in gaps(page)[0]


def test_typing_on_connects_again_after_the_server_was_away(
    page: Page, site: Site, problems: PageProblems
) -> None:
    server = HeldServer(page)
    open_live(page, site)
    type_text(page, "One two three. ")
    expect(head(page)).to_contain_text("speaking")
    server.stop()
    expect(page.locator("#stream_live-problem")).to_contain_text("The server is stopping.")
    expect(head(page)).to_contain_text("broken off")
    page.context.set_offline(True)
    type_text(page, "F")
    expect(page.locator("#stream_live-problem")).to_contain_text("The server does not answer.")
    page.context.set_offline(False)
    type_text(page, "our. ")
    page.wait_for_function(_HEARD, arg=1)
    assert heard_words(page) == ["Four"]
    expect(page.locator("#stream_live-problem")).to_be_empty()
    problems.found[:] = [each for each in problems.found if "INTERNET_DISCONNECTED" not in each]
    page.reload()
    expect(page.locator(BOX)).to_have_value("One two three. Four. ")
