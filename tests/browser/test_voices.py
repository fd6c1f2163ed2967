"""The voices tab in a browser, against a running product."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.listen_tab import EMBEDDED
from tests.browser.page_actions import (
    DESKTOP,
    PHONE,
    name_player,
    open_dialog,
    open_tab,
    panel,
    problems_of,
    wait_for_layout,
    when_shown,
)
from tests.scenarios.page_problems import PageProblems
from tests.support.tones import LETTERS, VOICES
from ui.scripts import import_expression

NAME = "de_DE-brought-low"
SAID = "Brought, German (Germany)"
"""As people call it."""
AUDIBLE = 0.05

FITS_THE_SCREEN = """() => [...document.querySelectorAll("#voices *, #voices-lexicon *")].every(
  (each) => each.getBoundingClientRect().right <= document.documentElement.clientWidth
)"""
"""Whether no element of the tab extends beyond the screen's right edge."""

SCROLL_TO_THE_END = """() => {
  const list = document.querySelector("#voices .voices-list");
  list.scrollTop = list.scrollHeight;
  return list.lastElementChild.dataset.voice.startsWith("espeak-");
}"""
"""Returns whether the last of the rows so far is that of an embedded voice, which come last."""

TOP = "(element) => element.getBoundingClientRect().top"

CLEAR_FILTERS = """() => {
  for (const filter of document.querySelectorAll("#voices select, #voices-search")) {
    filter.value = "";
    filter.dispatchEvent(new Event("input", { bubbles: true }));
  }
}"""


@pytest.fixture(scope="module")
def shared_page(product_page: Page) -> Page:
    open_tab(product_page, "voices")
    visible_rows(product_page).first.wait_for()
    return product_page


@pytest.fixture
def problems(shared_page: Page) -> PageProblems:
    """The problems found so far on the shared page."""
    return problems_of(shared_page)


@pytest.fixture
def voices(shared_page: Page, problems: PageProblems) -> Iterator[Page]:
    """The voices tab with an unfiltered list."""
    shared_page.set_viewport_size(DESKTOP)
    shared_page.evaluate(CLEAR_FILTERS)
    yield shared_page
    assert problems.found == []


def visible_rows(page: Page) -> Locator:
    return page.locator("#voices .voices-list > li[data-voice]:visible")


def row(page: Page, name: str) -> Locator:
    return page.locator(f'#voices .voices-list > li[data-voice="{name}"]')


def button(page: Page, label: str, name: str) -> Locator:
    """A button of a voice; looked up in its row, because the page has a thousand buttons."""
    return row(page, name).get_by_role("button", name=label)


def test_voices_are_filtered_by_language_state_and_name(voices: Page) -> None:
    expect(voices.locator(".voices-count")).to_have_text(re.compile("^[2-9][0-9][0-9] of"))
    voices.locator("#voices-language").select_option("de")
    expect(row(voices, "de_DE-thorsten-medium")).to_be_visible()
    expect(row(voices, LETTERS.name)).to_be_hidden()
    voices.locator("#voices-state").select_option("to_fetch")
    voices.locator("#voices-search").fill("thorsten high")
    expect(visible_rows(voices)).to_have_count(1)
    expect(voices.locator(".voices-count")).to_contain_text("1 of")
    voices.locator("#voices-search").fill("nobody at all")
    expect(voices.locator(".voices-count")).to_have_text("No voice matches.")
    voices.locator("#voices-search").fill("")
    voices.set_viewport_size(PHONE)
    expect(row(voices, "de_DE-thorsten-medium")).to_be_visible()
    voices.wait_for_function(FITS_THE_SCREEN)


def test_a_long_list_is_soon_whole_and_its_end_within_reach(voices: Page) -> None:
    voices.reload()
    name_player(voices)
    visible_rows(voices).first.wait_for()
    count = voices.locator(".voices-count").inner_text().split()[0]
    expect(visible_rows(voices)).to_have_count(int(count))  # while it grows, its end moves away
    voices.wait_for_function(SCROLL_TO_THE_END)
    expect(visible_rows(voices).last).to_be_in_viewport()


def test_a_change_of_the_voices_leaves_a_scrolled_list_where_it_is(voices: Page) -> None:
    rows = visible_rows(voices)
    rows.nth(100).evaluate("(row) => row.scrollIntoView({ block: 'center' })")
    wait_for_layout(voices)
    place = rows.nth(100).evaluate(TOP)
    voices.evaluate(f"{import_expression('voice_directory')}.then((its) => its.voiceDirectory.reload())")
    wait_for_layout(voices)
    assert rows.nth(100).evaluate(TOP) == pytest.approx(place, abs=10)


def test_a_voice_has_its_name_of_people_and_the_one_for_configurations(voices: Page) -> None:
    voices.locator("#voices-search").fill("bella")
    expect(row(voices, "af_bella").locator("strong")).to_have_text("Bella")
    expect(row(voices, "af_bella").locator("code")).to_have_text("af_bella")
    expect(button(voices, "Listen to Bella, American English, female", "af_bella")).to_be_visible()


def test_a_voice_is_uploaded_played_and_deleted(voices: Page, tmp_path: Path) -> None:
    source = VOICES / "de_DE-tones-low.onnx"
    model, config = tmp_path / f"{NAME}.onnx", tmp_path / f"{NAME}.json"
    shutil.copy(source, model)
    shutil.copy(f"{source}.json", config)
    panel(voices, "voices").get_by_label("Voice files").set_input_files([model, config])
    voices.locator(".voices-add").get_by_role("button", name="Upload").click()
    row(voices, NAME).wait_for()
    expect(voices.locator(".voices-add .voices-message")).to_have_text(f"{SAID} is installed.")

    button(voices, f"Listen to {SAID}", NAME).click()
    voices.wait_for_function(f"() => window.ttsPlayer.rms > {AUDIBLE}")

    button(voices, f"Delete {SAID}", NAME).click()
    dialog = open_dialog(voices)
    expect(when_shown(dialog)).to_have_accessible_name(f"Delete {SAID}?")
    expect(dialog).to_contain_text(f"{NAME}.onnx.json")
    dialog.get_by_role("button", name="Delete").click()
    expect(row(voices, NAME)).to_have_count(0)


def test_a_voice_says_the_sentence_typed_on_listen_if_it_is_of_its_language(voices: Page) -> None:
    open_tab(voices, "audition")
    voices.locator("#audition-text").fill("Ho")
    open_tab(voices, "voices")
    for name, said in (("en_US-tone-low", "Ho"), ("de_DE-tones-low", "Guten Morgen, das Licht")):
        with voices.expect_request("**/v1/audio/speech") as asked:
            row(voices, name).locator(".voices-listen").click()
        assert (asked.value.post_data_json or {})["input"].startswith(said)
    voices.evaluate("ttsPlayer.stop()")
    open_tab(voices, "audition")
    voices.locator("#audition-text").fill("")
    open_tab(voices, "voices")


def test_an_invalid_voice_file_is_refused_with_its_reason(
    voices: Page, problems: PageProblems, tmp_path: Path
) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    (tmp_path / "bad.onnx.json").write_text("{}")
    files = [tmp_path / "bad.onnx", tmp_path / "bad.onnx.json"]
    panel(voices, "voices").get_by_label("Voice files").set_input_files(files)
    voices.locator(".voices-add").get_by_role("button", name="Upload").click()
    expect(when_shown(voices.locator(".voices-add .problem"))).to_contain_text("no 'audio'")
    assert [problem for problem in problems.found if "400" in problem]
    problems.found.clear()


def test_a_new_default_voice_is_marked_with_the_setting_to_make_it_permanent(voices: Page) -> None:
    button(voices, "Make Tone, American English the default voice", "en_US-tone-low").click()
    told = voices.locator("#voices .voices-shelf > .voices-message")
    expect(told).to_contain_text("--voice names another")
    expect(told).to_contain_text("write there instead: --voice en_US-tone-low")
    row(voices, "en_US-tone-low").locator(".voices-mark").wait_for()
    voices.locator("#voices-search").fill(EMBEDDED)
    button(voices, "Make American English, eSpeak NG the default voice", EMBEDDED).click()
    row(voices, EMBEDDED).locator(".voices-mark").wait_for()


def test_a_lexicon_problem_is_shown_with_its_line_and_a_saved_lexicon_is_spoken(voices: Page) -> None:
    lexicon = voices.locator("#voices-lexicon")
    text = lexicon.locator("textarea")
    expect(lexicon.locator(".voices-message")).to_contain_text("no mistakes")
    text.fill("en:\n  kWh: [1]\n")
    expect(when_shown(lexicon.locator(".voices-problems"))).to_contain_text("Line 2, column 8")
    expect(lexicon.get_by_role("button", name="Save")).to_be_disabled()
    text.fill("en:\n  kWh: kilowatt hours\n")
    lexicon.get_by_role("button", name="Listen", exact=True).click()
    expect(lexicon.locator(".voices-said")).to_contain_text("Lexicon–")
    expect(lexicon.locator(".notice")).to_contain_text("not heard")
    lexicon.get_by_role("button", name="Save and listen").click()
    expect(lexicon.locator(".voices-message")).to_have_text("Saved, and in use from now on.")
    expect(lexicon.locator(".notice")).to_be_hidden()
    expect(lexicon.locator(".voices-said")).to_contain_text("kWh: kilowatt hours")
    voices.wait_for_function(f"() => window.ttsPlayer.rms > {AUDIBLE}")
    text.fill("")
    lexicon.get_by_role("button", name="Save").click()
    expect(lexicon.locator(".voices-message")).to_have_text("Saved, and in use from now on.")
