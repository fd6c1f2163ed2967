"""Typing that is heard live, in the Stream tab, as a person does it."""

from __future__ import annotations

from playwright.sync_api import Page

from tests.browser.page_actions import open_tab

VOICE = "en_US-letters-low"
BOX = "#stream_live-text"
HEARD = """(count) => ttsPlayer.clip && ttsPlayer.position !== null
    && ttsPlayer.clip.words.filter((word) => word.start_time <= ttsPlayer.position).length >= count"""
"""Whether that many words were heard."""


def open_live(page: Page) -> Page:
    """Open the section with an empty box and a voice whose words are known."""
    open_tab(page, "stream_test")
    page.locator("#stream_live-voice").select_option(VOICE)
    page.locator(BOX).fill("")  # not what another test typed
    return page


def type_text(page: Page, text: str, delay: float = 0) -> None:
    """Type key by key, with `delay` milliseconds between two."""
    page.locator(BOX).press_sequentially(text, delay=delay)


def heard_words(page: Page) -> list[str]:
    """All words of the clip, be they heard yet or not."""
    words: list[str] = page.evaluate("ttsPlayer.clip.words.map(({ text }) => text)")
    return words
