"""No violation of axe-core's rules, of whatever impact: tabs, dialogs, the player bar, Gradio's parts too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import pytest
from playwright.sync_api import Page, expect

from tests.browser.listen_tab import ListenTab
from tests.browser.page_actions import (
    DESKTOP,
    TABS,
    accessibility_violations,
    open_dialog,
    open_tab,
    problems_of,
    resize,
    set_color_scheme,
    weak_contrasts,
)

TONES = "de_DE-tones-low"
SHORTLIST = (TONES, "espeak-en-gb-scotland")


def toggle_what_the_bar_can_show(page: Page) -> None:
    for part in ("unfold", "past"):
        page.locator(f"#player-bar [data-part={part}]").click()


@pytest.fixture(scope="module")
def full_tab(listen_tab: ListenTab) -> Iterator[ListenTab]:
    for text in ("One two.", "Three four."):
        listen_tab.hear(text)
    toggle_what_the_bar_can_show(listen_tab.page)
    yield listen_tab
    toggle_what_the_bar_can_show(listen_tab.page)


@pytest.fixture
def listen(full_tab: ListenTab) -> Iterator[ListenTab]:
    """The page on a wide, light screen, with a clip, its spectrogram and what was heard before."""
    page = full_tab.page
    resize(page, DESKTOP)
    set_color_scheme(page, "light")
    open_tab(page, "audition")
    yield full_tab
    assert problems_of(page).found == []


def in_light_and_dark(page: Page, within: str = "html") -> dict[str, list[str]]:
    """Return what axe-core finds, and what it does not measure, by colour scheme; leaves the page light."""
    found = {"light": [*accessibility_violations(page, within), *weak_contrasts(page)]}
    set_color_scheme(page, "dark")
    found["dark"] = [*accessibility_violations(page, within, of_colours=True), *weak_contrasts(page)]
    set_color_scheme(page, "light")
    return {scheme: violations for scheme, violations in found.items() if violations}


@contextmanager
def only_one_language(page: Page) -> Iterator[None]:
    """Meanwhile the long list of voices is short: all rows are alike."""
    page.locator("#voices-language").select_option("de")
    yield
    page.locator("#voices-language").select_option("")


@pytest.mark.parametrize(
    "tab", sorted(TABS, key="voices".__eq__)
)  # last: its long list slows the others down
def test_no_tab_has_accessibility_violations(listen: ListenTab, tab: str) -> None:
    open_tab(listen.page, tab)
    with only_one_language(listen.page) if tab == "voices" else nullcontext():
        assert in_light_and_dark(listen.page) == {}


def test_no_dialog_has_accessibility_violations(listen: ListenTab) -> None:
    page, found = listen.page, {}
    listen.write("Ho.")
    for voice in SHORTLIST:
        listen.find(voice)
        listen.card(voice).locator(".card-star").click()
    page.locator("#audition-blind").click()
    dialog = open_dialog(page)
    listen.wait_for("ttsPlayer.state === 'done'")
    page.keyboard.press("2")
    listen.wait_for("ttsPlayer.state === 'done'")
    found["which is better"] = in_light_and_dark(page, "dialog[open]")
    page.keyboard.press("ArrowRight")
    expect(dialog.locator("tr").first).to_be_visible()
    found["who won"] = in_light_and_dark(page, "dialog[open]")
    page.keyboard.press("Escape")
    for voice in SHORTLIST:
        listen.find(voice)
        listen.card(voice).locator(".card-star").click()
    listen.find("")
    open_tab(page, "voices")
    with only_one_language(page):
        page.locator(f'#voices li[data-voice="{TONES}"]').get_by_role("button", name="Delete").click()
        dialog.wait_for()
        found["delete a voice"] = in_light_and_dark(page, "dialog[open]")
        page.keyboard.press("Escape")
    assert not any(found.values()), found


def test_no_tab_has_accessibility_violations_in_german_on_a_phone(german: Page) -> None:
    """Stream and Status have tests of their own, with what is shown there only after a while."""
    found = {}
    for tab in ("audition", "blend", "voices"):
        open_tab(german, tab, "de")
        within = f"#tab-{tab}, #player-bar" if tab == "audition" else f"#tab-{tab}"
        with only_one_language(german) if tab == "voices" else nullcontext():
            found[tab] = [*accessibility_violations(german, within), *weak_contrasts(german)]
    assert not any(found.values()), found
