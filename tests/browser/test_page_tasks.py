"""How many clicks the tasks of a user take; `bench.page_tasks` compares them with the page of before."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.listen_tab import EMBEDDED
from tests.browser.page_actions import checked_page, open_tab, problems_of, visit, when_shown
from tests.scenarios.page_tasks import (
    Pointer,
    find_best,
    hear_first_sound,
    keep_blend,
    save_again_with_captions,
    save_with_captions,
)
from tests.support.page_site import Site

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # raised by Gradio's dependencies
BLEND = "of_the_map"


@pytest.fixture(scope="module")
def shared_page(site: Site, context: BrowserContext) -> Iterator[Page]:
    with checked_page(context) as page:
        yield visit(page, site.url)
        page.evaluate("localStorage.clear()")


@pytest.fixture
def hand(shared_page: Page, site: Site) -> Iterator[Pointer]:
    """The hand of who has Listen open, while nothing speaks."""
    open_tab(shared_page, "audition")
    shared_page.keyboard.press("Escape")
    shared_page.wait_for_function("!ttsPlayer.isBusy")
    yield Pointer(shared_page)
    shared_page.request.post(f"{site.url}page/voices/default", data={"name": EMBEDDED})
    shared_page.request.post(f"{site.url}page/blends/remove", data={"name": BLEND})
    assert problems_of(shared_page).found == []


def test_an_own_sentence_by_a_voice_of_ones_choice_takes_two_clicks(hand: Pointer) -> None:
    hear_first_sound(hand, "Ho ho.", "de_DE-tones-low")
    assert hand.clicks == 2


def test_the_best_of_several_voices_takes_a_click_each_and_two(hand: Pointer) -> None:
    voices = ["de_DE-tones-low", "af_bella", "bf_emma"]
    find_best(hand, "Hi.", voices)
    assert hand.clicks == len(voices) + 2
    expect(hand.page.locator("#audition-use-title")).to_contain_text("Emma")


def test_a_blend_is_kept_and_made_the_default_with_six_clicks(hand: Pointer) -> None:
    keep_blend(hand, BLEND)
    assert hand.clicks == 6
    page = hand.page
    expect(when_shown(page.locator("#blend-kept"))).to_contain_text(f"{BLEND} is the default voice")
    expect(page.locator("#blend-make-default")).to_be_disabled()
    page.locator("#blend-use").click()
    expect(when_shown(page.locator("#audition-use-title"))).to_have_text("Use of_the_map")
    expect(page.locator("#audition-use-steps")).to_be_in_viewport()


def test_sound_and_captions_are_saved_with_four_clicks_and_from_then_on_with_three(hand: Pointer) -> None:
    saved = save_with_captions(hand, "Keep both.", "de_DE-tones-low")
    assert hand.clicks == 4
    assert [name.rpartition(".")[2] for name in saved] == ["mp3", "srt"]
    save_again_with_captions(hand, "And these.", "de_DE-tones-low")
    assert hand.clicks == 4 + 3
    assert [name.rpartition(".")[2] for name in saved] == ["mp3", "srt"] * 2


def test_arrow_keys_open_the_menu_of_kinds_and_save_nothing(hand: Pointer) -> None:
    page = hand.page
    hear_first_sound(hand, "Ho ho.", "de_DE-tones-low")
    page.locator("#player-bar [data-part=save] select").focus()
    page.keyboard.press("ArrowDown")
    with page.expect_download() as saved:
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
    assert saved.value.suggested_filename.endswith(".mp3")
    expect(page.locator("#player-bar [data-part=save] button")).to_have_text("Save MP3")
