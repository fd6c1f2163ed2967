"""The section "In Home Assistant" of the Listen tab: in the sidebar of Home Assistant, and elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import INGRESS_PEER
from tests.browser.page_actions import accessibility_violations, open_first_tab, problems_of, when_shown
from tests.support.fake_home_assistant import (
    ADMIN,
    OUR_ENGINE,
    Engine,
    FakeHomeAssistant,
    Refusal,
    pipeline,
    player,
)
from tests.support.ingress_proxy import run_ingress_proxy
from tests.support.page_site import Site
from tests.support.tones import LETTERS

# Gradio's analytics use a deprecated pandas feature.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

VOICE = LETTERS.name
CLOUD = {"tts_engine": "tts.cloud", "tts_language": "en-GB", "tts_voice": "Sonia"}
KITCHEN, BUTLER = '[data-player="media_player.kitchen"]', '[data-assistant="01b"]'


class Sidebar(NamedTuple):
    """The page in Home Assistant's sidebar, and the house."""

    page: Page
    home: FakeHomeAssistant


@pytest.fixture
def sidebar(page: Page, keyed_site: Site, home_assistant: FakeHomeAssistant) -> Iterator[Sidebar]:
    home = home_assistant
    home.engines = {OUR_ENGINE: Engine(voices={"en_US": (VOICE,)})}
    home.pipelines = [pipeline("01a", "Alfred"), pipeline("01b", "Butler", **CLOUD)]
    home.players = [
        player("media_player.tv", "Television", state="unavailable"),
        player("media_player.kitchen", "Display", area="Kitchen"),
    ]
    with run_ingress_proxy(keyed_site.url, INGRESS_PEER, user=ADMIN) as address:
        page.goto(address)
        open_first_tab(page)
        page.locator("#audition-home > summary").click()
        yield Sidebar(page, home)
        page.goto("about:blank")


def test_in_the_sidebar_a_speaker_says_the_text_and_an_assistant_takes_the_voice_until_it_is_undone(
    sidebar: Sidebar,
) -> None:
    page, home = sidebar
    kitchen, butler = page.locator(KITCHEN), page.locator(BUTLER)
    expect(when_shown(kitchen)).to_contain_text("Kitchen")
    assert page.locator("[data-player] b").all_text_contents() == ["Display", "Television"]
    expect(page.locator('[data-player="media_player.tv"] button')).to_be_disabled()

    page.locator("#audition-text").fill("Dinner is ready.")
    kitchen.get_by_role("button").click()
    expect(kitchen).to_contain_text("It plays the text now.")
    ((service, target, data),) = home.services
    assert (service, target, data["message"]) == ("tts.speak", {"entity_id": OUR_ENGINE}, "Dinner is ready.")
    assert data["options"] == {"voice": VOICE}

    expect(butler).to_contain_text("tts.cloud · Sonia")
    butler.get_by_role("button", name="Use the chosen voice in Butler").click()
    expect(butler).to_contain_text("English: Letters")
    expect(butler).to_contain_text("It speaks with this voice now.")
    assert home.pipelines[1]["tts_voice"] == VOICE
    assert accessibility_violations(page, "#audition-home") == []
    butler.get_by_role("button", name="Undo: Sonia").click()
    expect(butler).to_contain_text("tts.cloud · Sonia")
    assert home.pipelines[1]["tts_voice"] == "Sonia"

    home.refusal = Refusal("home_assistant_error", "The display sleeps.")
    kitchen.get_by_role("button").click()
    expect(when_shown(kitchen.locator(".problem"))).to_have_text(
        "Home Assistant could not do it. It says: The display sleeps."
    )
    problems_of(page).found.clear()  # the browser logs the status as an error


def test_a_server_that_is_no_add_on_says_so_and_keeps_the_steps(german: Page) -> None:
    open_first_tab(german)
    home = german.locator("#audition-home")
    home.locator("summary").click()
    expect(home).to_contain_text("wo dieser Server als Add-on von Home Assistant läuft")
    expect(home.locator("button")).to_have_count(0)
    expect(german.locator("#audition-use-steps")).to_contain_text("Sprachassistenten")
    home.locator("summary").click()
