"""Tasks of a user on the page, whose clicks are counted: opening a menu and choosing from it are two.

They use nothing but what can be seen, so that a benchmark can run them against a server in another process.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from playwright.sync_api import Locator, Page


class Pointer:
    """The user's hand: does things on a page, and counts the clicks."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.clicks = 0

    def click(self, selector: str | Locator) -> None:
        """Click an element."""
        target = self.page.locator(selector) if isinstance(selector, str) else selector
        target.click()
        self.clicks += 1

    def write(self, selector: str, text: str) -> None:
        """Click into a field and type a text."""
        self.click(selector)
        self.page.locator(selector).fill(text)

    def choose(self, selector: str | Locator, value: str) -> None:
        """Open a menu and choose from it."""
        target = self.page.locator(selector) if isinstance(selector, str) else selector
        target.select_option(value)
        self.clicks += 2

    @contextmanager
    def hearing(self) -> Iterator[None]:
        """Do what is in the block, and hear what it makes the server say to its end."""
        with self.page.expect_response("**/v1/audio/speech"):
            yield
        self.page.locator("[data-state=done]").first.wait_for(state="attached")  # in another tab, before


def hear_first_sound(hand: Pointer, text: str, voice: str) -> None:
    """An own sentence, said by a voice of one's own choice, until it sounds."""
    hand.write("#audition-text", text)
    hand.click(_play_button(voice))
    hand.page.locator("#player-bar [data-state=playing], #player-bar [data-state=done]").wait_for()


def find_best(hand: Pointer, text: str, voices: Sequence[str]) -> None:
    """Hear voices say an own sentence, and make the last one the default."""
    hand.write("#audition-text", text)
    for voice in voices:
        with hand.hearing():
            hand.click(_play_button(voice))
    _make_default(hand)


def keep_blend(hand: Pointer, name: str) -> None:
    """Mix voices by ear, keep the mix, and make it the default, which Home Assistant then uses."""
    hand.click("#tab-blend-button")
    hand.click("#blend-map > summary")
    with hand.hearing():
        hand.click(".voice-map")
    hand.write("#blend-name", name)
    hand.click("#blend-keep")
    hand.page.locator(f"#blend-list [data-name={name}]").wait_for()
    _make_default(hand, "#blend-make-default")


def save_with_captions(hand: Pointer, text: str, voice: str) -> list[str]:
    """Hear an own sentence, and save it with captions; returns the names of the files."""
    hand.write("#audition-text", text)
    with hand.hearing():
        hand.click(_play_button(voice))
    saved: list[str] = []
    hand.page.on("download", lambda download: saved.append(download.suggested_filename))
    with hand.page.expect_download(lambda download: download.suggested_filename.endswith(".srt")):
        hand.choose("#player-bar [data-part=save] select", "mp3+srt")
    return saved


def save_again_with_captions(hand: Pointer, text: str, voice: str) -> None:
    """Hear another own sentence, and save it as the last one was."""
    hand.write("#audition-text", text)
    with hand.hearing():
        hand.click(_play_button(voice))
    with hand.page.expect_download(lambda download: download.suggested_filename.endswith(".srt")):
        hand.click("#player-bar [data-part=save] button")


def _play_button(voice: str) -> str:
    return f'.card[data-voice="{voice}"] .card-play'


def _make_default(hand: Pointer, button: str = "#audition-make-default") -> None:
    with hand.page.expect_response("**/default"):
        hand.click(button)
