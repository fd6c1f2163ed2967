"""The Listen tab and the player bar as a person uses them, for the tests of both."""

from __future__ import annotations

import json
import re

from playwright.sync_api import Locator, Page, expect

from tests.browser.page_actions import name_player, open_first_tab, problems_of

EMBEDDED = "espeak-en-us"
TIMEOUT_MILLISECONDS = 40_000
"""Milliseconds; generous, for actions that take one or two seconds on an idle machine."""
SENTENCE = "This is a rather long text that is spoken for quite a while. "
LONG = SENTENCE * 12
"""Nobody waits for its end, which is 40 s away; all of it is sent within a second."""


class ListenTab:
    """The Listen tab, open in a browser."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.problems = problems_of(page)
        page.set_default_timeout(TIMEOUT_MILLISECONDS)
        self.open(url)

    def open(self, url: str) -> None:
        self.page.goto(url)
        open_first_tab(self.page)
        expect(self.card(EMBEDDED)).to_have_class(re.compile("card-chosen"))
        expect(self.text).not_to_have_value("")
        name_player(self.page)

    @property
    def text(self) -> Locator:
        return self.page.locator("#audition-text")

    def card(self, voice: str) -> Locator:
        return self.page.locator(f'.card[data-voice="{voice}"]')

    def find(self, query: str) -> list[str]:
        """Search voices, and return those that are shown."""
        self.page.locator("#audition-search").fill(query)
        shown: list[str] = self.page.locator(".card:not([hidden])").evaluate_all(
            "(cards) => cards.map((card) => card.dataset.voice)"
        )
        return shown

    def hear_card(self, voice: str) -> None:
        self.find(voice)
        self.card(voice).locator(".card-play").click()

    def unfold(self, name: str) -> None:
        self.page.locator(f"#audition-{name} > summary").click()

    def wait_for(self, condition: str) -> None:
        self.page.wait_for_function(condition, timeout=TIMEOUT_MILLISECONDS, polling=20)

    def wait_until_idle(self) -> None:
        """Wait until the server has no active streams."""
        self.wait_for(
            "fetch('status').then((answer) => answer.json()).then((status) => status.load.streams === 0)"
        )

    def write(self, text: str) -> None:
        self.text.fill(text)

    def speak(self) -> None:
        self.text.press("Control+Enter")

    def stop(self) -> None:
        self.page.locator("#player-bar [data-part=play]").click()

    def hear(self, text: str) -> None:
        """Have a text spoken to its end."""
        self.write(text)
        self.speak()
        self.wait_for(f"ttsPlayer.state === 'done' && ttsPlayer.clip?.text === {json.dumps(text)}")
