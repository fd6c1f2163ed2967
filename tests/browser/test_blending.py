"""The blend tab in a browser: sliders and recipe stay in sync, and saved blends are voices."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, Request, expect

from tests.browser.conftest import NOWHERE
from tests.browser.listen_tab import EMBEDDED
from tests.browser.page_actions import PHONE, open_tab, problems_of, resize, visit, when_shown
from tests.scenarios.page_problems import PageProblems
from tests.support.page_site import Site, site_in_a_thread
from wyoming_tts.page.blending import MODEL_VOICE
from wyoming_tts.voices.blends.mixing import Blend
from wyoming_tts.voices.blends.recipes import parse_recipe
from wyoming_tts.voices.download.downloads import DownloadProgress, DownloadState, FailureCause

pytestmark = pytest.mark.filterwarnings("ignore")  # raised by Gradio's dependencies

MODEL, PACK = "kokoro-tones.onnx", "voices-tones.bin"
START = "af_bella(60)+af_sky(40)"


@pytest.fixture(scope="module")
def shared_page(product_page: Page) -> Page:
    resize(product_page, PHONE)
    open_tab(product_page, "blend")
    return product_page


@pytest.fixture
def problems(shared_page: Page) -> PageProblems:
    """The problems found so far on the shared page."""
    return problems_of(shared_page)


@pytest.fixture
def tab(shared_page: Page, problems: PageProblems) -> Iterator[Page]:
    """The blend tab with two voices in its mixer."""
    page = shared_page
    page.locator("#blend-while-moving").uncheck()
    with page.expect_response("**/page/blends/read"):
        type_recipe(page, START)
        page.locator("#blend-recipe").blur()  # what is typed is read at once, not after what the test does
    expect(page.locator("#blend-legend")).to_have_text("Bella60 %Sky40 %")
    show_numbers(page)
    yield page
    assert problems.found == []


def slide(page: Page, row: int, *values: int) -> None:
    """Drag a slider over these values instantly."""
    drag = "(node, values) => { for (node.value of values) node.dispatchEvent(new Event('input')); }"
    page.locator("#blend-rows input[type=range]").nth(row).evaluate(drag, values)


def bar_shares(page: Page) -> dict[str, float]:
    """Each voice's share of the bar in percent."""
    pieces = "(bar) => [...bar.children].map((piece) => [piece.dataset.voice, parseFloat(piece.style.width)])"
    return dict(page.locator("#blend-bar").evaluate(pieces))


def show_numbers(page: Page, *, shown: bool = True) -> None:
    """Show the numbers of two voices, or only the slider between them."""
    numbers = page.locator("#blend-numbers")
    if numbers.get_attribute("aria-pressed") != str(shown).lower():
        numbers.click()


def type_recipe(page: Page, recipe: str) -> None:
    page.locator("#blend-recipe").fill(recipe)


def save(page: Page, name: str) -> None:
    page.locator("#blend-name").fill(name)
    page.locator("#blend-keep").click()
    expect(when_shown(page.locator("#blend-kept"))).to_contain_text(name)


def card(page: Page, name: str) -> Any:
    return page.locator(f"#blend-list [data-name={name}]")


def installed_voices(site: Site) -> set[str]:
    answer = httpx.get(f"{site.url}v1/voices", trust_env=False)
    return {voice["name"] for voice in answer.json()["voices"] if voice["installed"]}


def voice_of(request: Request) -> str:
    """The voice named in a speech request."""
    return str((request.post_data_json or {})["voice"])


def run_on_server(site: Site, coroutine: Any) -> Any:
    """Run a coroutine on the product's event loop and return its result."""
    return asyncio.run_coroutine_threadsafe(coroutine, site.loop).result(10)


async def fail_download(site: Site) -> None:
    """Have the download of Kokoro end for want of room."""
    site.parts.downloads.cancel(MODEL_VOICE)
    failure = DownloadProgress(MODEL_VOICE, DownloadState.FAILED, 0, 1, "[Errno 28]", FailureCause.DISK_FULL)
    site.parts.downloads.record_progress(failure)


def discard_expected_error(problems: PageProblems, status: int) -> None:
    """Discard the line that Chromium logs for a response with this error status."""
    problems.found[:] = [line for line in problems.found if f"status of {status}" not in line]


def test_the_dot_on_the_map_of_voices_is_the_mix(tab: Page) -> None:
    tab.locator("#blend-map > summary").click()
    expect(tab.locator(".voice-map-voice")).to_have_count(3)
    dot = tab.locator(".voice-map-dot")
    expect(dot).to_have_attribute("visibility", "visible")
    type_recipe(tab, "af_sky(100)+af_bella(0.1)")
    place = tab.locator(".voice-map-voice", has_text="Sky").locator("circle").element_handle()
    tab.wait_for_function(
        "(place) => Math.abs(document.querySelector('.voice-map-dot').cx.baseVal.value"
        " - place.cx.baseVal.value) < 1",
        arg=place,
    )
    tab.locator(".voice-map").focus()
    with tab.expect_request(re.compile("audio/speech")):
        for key in ("ArrowRight", "ArrowLeft", "ArrowDown"):
            tab.keyboard.press(key)
    tab.wait_for_function("ttsPlayer.state === 'done' || ttsPlayer.state === 'playing'")
    assert sum(bar_shares(tab).values()) == pytest.approx(100)
    tab.locator("#blend-map > summary").click()


def test_a_preset_without_its_voices_offers_what_brings_them(tab: Page) -> None:
    preset = card(tab, "companion")
    expect(preset.locator(".notice")).to_contain_text("It needs voices that are not installed: Heart")
    expect(preset.get_by_role("button", name=re.compile(r"^Download Heart.*: Companion$"))).to_be_enabled()
    expect(preset.locator(".actions > *")).to_have_count(1)


def test_moving_a_slider_updates_the_recipe_and_the_bar(tab: Page) -> None:
    assert bar_shares(tab) == {"af_bella": 60, "af_sky": 40}
    slide(tab, 1, 20)
    expect(tab.locator("#blend-recipe")).to_have_value("af_bella(60)+af_sky(20)")
    assert bar_shares(tab) == {"af_bella": 75, "af_sky": 25}
    expect(tab.locator("#blend-legend")).to_contain_text("25 %")
    tab.locator("#blend-normalize").click()
    expect(tab.locator("#blend-recipe")).to_have_value("af_bella(75)+af_sky(25)")
    tab.locator("#blend-fade").evaluate("(n) => { n.value = 90; n.dispatchEvent(new Event('input')); }")
    expect(tab.locator("#blend-recipe")).to_have_value("af_bella(10)+af_sky(90)")


def test_two_voices_have_one_slider_which_is_wide_on_every_screen(tab: Page) -> None:
    narrow = []
    for width in (320, 390, 641, 800, 924, 960, 1280):
        tab.set_viewport_size({"width": width, "height": 844})
        for shown, sliders in ((False, "#blend-fader"), (True, "#blend-rows")):
            show_numbers(tab, shown=shown)
            expect(tab.locator("#blend-rows .blend-row").first).to_be_visible(visible=shown)
            for slider in tab.locator(f"{sliders} input[type=range]").all():
                box = slider.bounding_box()
                narrow += [(width, sliders, box)] if box is None or box["width"] < 150 else []
    tab.set_viewport_size(PHONE)
    assert narrow == []
    show_numbers(tab, shown=False)
    tab.locator("#blend-fade").press("ArrowRight")
    expect(tab.locator("#blend-recipe")).to_have_value("af_bella(59)+af_sky(41)")
    tab.locator("#blend-fade-b").select_option("bf_emma")
    expect(tab.locator("#blend-recipe")).to_have_value("af_bella(59)+bf_emma(41)")
    tab.locator("#blend-add").click()
    expect(tab.locator("#blend-fader")).to_be_hidden()
    expect(tab.locator("#blend-rows select")).to_have_count(3)
    expect(tab.locator("#blend-rows select").last).to_be_focused()


def test_a_blend_of_two_languages_is_named_freely_and_speaks_that_of_the_heavier_voice(tab: Page) -> None:
    tab.locator("#blend-name").fill("")
    type_recipe(tab, "af_bella(30)+bf_emma(70)")
    expect(when_shown(tab.locator("#blend-language"))).to_have_value("en_GB")
    type_recipe(tab, "af_bella(70)+bf_emma(30)")
    expect(tab.locator("#blend-language")).to_have_value("en_US")
    tab.locator("#blend-language").select_option("en_GB")
    with tab.expect_request("**/v1/audio/speech") as heard:
        tab.locator("#blend-hear").click()
    assert (heard.value.post_data_json or {})["language"] == "en_GB"
    tab.evaluate("ttsPlayer.stop()")
    expect(tab.locator("#blend-name-hint")).to_have_text("Any words make a name.")
    tab.locator("#blend-name").fill("Küchenstimme")
    expect(tab.locator("#blend-name-hint")).to_contain_text("call it Kuechenstimme")
    tab.locator("#blend-description").fill("Above the noise.")
    tab.locator("#blend-keep").click()
    kept = card(tab, "Kuechenstimme")
    expect(when_shown(kept.locator("b"))).to_have_text("Küchenstimme")
    expect(kept).to_contain_text("Above the noise.")
    expect(kept).to_contain_text("British English")
    tab.locator("#blend-description").fill("")  # kept by the browser for whoever comes next
    kept.get_by_role("button", name="Delete: Küchenstimme").click()
    kept.get_by_role("button", name="Delete", exact=True).click()
    expect(kept).to_have_count(0)


def test_the_first_mix_is_of_the_voice_chosen_in_listen_and_another_of_its_language(
    page: Page, site: Site
) -> None:
    page.goto(f"{site.url}livez")
    page.evaluate("localStorage.clear()")  # the mixes of other tests
    open_tab(visit(page, f"{site.url}#voice=af_sky"), "blend")
    expect(page.locator("#blend-legend")).to_have_text("Sky60 %Bella40 %")
    page.evaluate("localStorage.clear()")


def test_what_was_mixed_and_typed_outlives_a_reload(page: Page, site: Site) -> None:
    open_tab(visit(page, site.url), "blend")
    type_recipe(page, "af_bella(70)+bf_emma(30)")
    page.locator("#blend-language").select_option("en_GB")
    page.locator("#blend-text").fill("Of my own.")
    save(page, "kept_mix")
    slide(page, 1, 35)
    page.locator("#blend-description").fill("Nearly done.")
    expect(page.locator("#blend-recipe")).to_have_value("af_bella(70)+bf_emma(35)")
    page.reload()
    expect(page.locator("#blend-legend")).to_have_text("Bella67 %Emma33 %")
    expect(page.locator("#blend-recipe")).to_have_value("af_bella(70)+bf_emma(35)")
    expect(page.locator("#blend-text")).to_have_value("Of my own.")
    expect(page.locator("#blend-language")).to_have_value("en_GB")
    expect(page.locator("#blend-editing")).to_contain_text("kept_mix")
    page.locator("#blend-keep").click()  # is a change of the one that was edited
    expect(card(page, "kept_mix")).to_contain_text("Nearly done.")
    card(page, "kept_mix").get_by_role("button", name="Delete: kept_mix").click()
    card(page, "kept_mix").get_by_role("button", name="Delete", exact=True).click()
    expect(card(page, "kept_mix")).to_have_count(0)
    page.locator("#blend-leave-edit").click()


def test_typing_a_recipe_moves_the_sliders_and_an_invalid_one_leaves_them(tab: Page) -> None:
    type_recipe(tab, "2*af_bella + af_sky, bf_emma")
    expect(tab.locator("#blend-rows .blend-row")).to_have_count(3)
    expect(tab.locator("#blend-rows input[type=range]").nth(0)).to_have_value("50")
    assert bar_shares(tab) == {"af_bella": 50, "af_sky": 25, "bf_emma": 25}
    expect(tab.locator("#blend-language-row")).to_be_visible()
    for _ in range(2):  # then the page knows what other tests have kept, for which the rows are drawn anew
        with tab.expect_response(re.compile("/page/voices/news")):
            pass
    row = tab.locator("#blend-rows .blend-row").first.element_handle()
    type_recipe(tab, "2*af_bella + af_sky, bf_emma, af_sky")
    expect(tab.locator("#blend-legend")).to_have_text("Bella40 %Sky40 %Emma20 %")
    assert row.evaluate("(row) => row.isConnected")  # it may have the focus, or be clicked right now
    type_recipe(tab, "2*af_bella + af_sky, bf_emma")
    expect(tab.locator("#blend-legend")).to_have_text("Bella50 %Sky25 %Emma25 %")
    type_recipe(tab, "2*af_bella + af_skye")
    expect(tab.locator("#blend-recipe-problem")).to_contain_text("Did you mean af_sky")
    expect(tab.locator("#blend-recipe")).to_have_value("2*af_bella + af_skye")
    assert bar_shares(tab)["af_bella"] == 50
    type_recipe(tab, "2*af_bella + af_sky")
    tab.locator("#blend-text").focus()
    expect(tab.locator("#blend-recipe")).to_have_value("af_bella(2)+af_sky")
    expect(tab.locator("#blend-recipe-problem")).to_be_empty()


def test_a_locked_voice_keeps_its_weight(tab: Page) -> None:
    # Numbers that give no voice a weight of 1 or 0, which a recipe writes in another way.
    tab.evaluate("() => { let at = 0; Math.random = () => 0.1 + 0.8 * (at = (at + 0.37) % 1); }")
    tab.get_by_role("button", name="Lock Bella").click()
    tab.locator("#blend-add").click()
    for _ in range(5):
        tab.locator("#blend-randomize").click()
        assert sum(bar_shares(tab).values()) == pytest.approx(100)
        assert bar_shares(tab)["af_bella"] == 60
    tab.get_by_role("button", name="Remove voice 3").click()
    expect(tab.locator("#blend-rows .blend-row")).to_have_count(2)
    expect(tab.get_by_role("button", name="Remove voice 1")).to_be_disabled()
    expect(tab.locator("#blend-recipe")).to_have_value(re.compile(r"^\w+\(\d+\)\+\w+\(\d+\)$"))


def test_the_blend_and_each_of_its_voices_can_be_played(tab: Page) -> None:
    tab.locator("#blend-hear").click()
    tab.wait_for_function("ttsPlayer.rms > 0.02")
    tab.locator("#blend-stop").click()
    with tab.expect_request("**/v1/audio/speech") as alone:
        tab.get_by_role("button", name="Listen to Sky alone").click()
    assert voice_of(alone.value) == "af_sky"
    tab.locator("#blend-while-moving").check()
    with tab.expect_request("**/v1/audio/speech") as moved:
        slide(tab, 1, *range(30, 40))
    assert voice_of(moved.value) == "af_bella(60)+af_sky(39)"
    tab.locator("#blend-stop").click()


def test_a_saved_blend_is_an_installed_voice_until_it_is_deleted(tab: Page, site: Site) -> None:
    save(tab, "dawn")
    assert "dawn" in installed_voices(site)
    card(tab, "dawn").get_by_role("button", name="Rename: dawn").click()
    card(tab, "dawn").get_by_label("New name").fill("dusk")
    tab.keyboard.press("Enter")
    card(tab, "dusk").wait_for()
    expect(tab.locator("#blend-editing-words")).to_contain_text("dusk")
    expect(tab.locator("#blend-name")).to_have_value("dusk")
    card(tab, "dusk").get_by_role("button", name="Delete: dusk").click()
    card(tab, "dusk").get_by_role("button", name="Delete", exact=True).click()
    expect(card(tab, "dusk")).to_have_count(0)
    assert not {"dawn", "dusk"} & installed_voices(site)


def test_a_saved_spherical_blend_is_played_by_name_until_it_is_edited(tab: Page) -> None:
    tab.locator("#blend-spherical").check()
    save(tab, "arc")
    with tab.expect_request("**/v1/audio/speech") as saved:
        tab.locator("#blend-hear").click()
    assert voice_of(saved.value) == "arc"
    slide(tab, 0, 61)
    with tab.expect_request("**/v1/audio/speech") as moved:
        tab.locator("#blend-hear").click()
    assert voice_of(moved.value) == "af_bella(61)+af_sky(40)"
    tab.locator("#blend-stop").click()
    tab.locator("#blend-leave-edit").click()
    tab.locator("#blend-spherical").uncheck()


def test_a_stale_edit_is_reported_and_can_still_be_saved(
    tab: Page, site: Site, problems: PageProblems
) -> None:
    save(tab, "noon")
    blends = site.parts.blends.store
    other = Blend("noon", parse_recipe("af_sky+bf_emma"), "en_GB")
    edit = partial(blends.replace, other, expected=Blend("noon", parse_recipe(START)))
    run_on_server(site, site.parts.workers.run_blocking(edit))
    slide(tab, 0, 90)
    tab.locator("#blend-keep").click()
    expect(when_shown(tab.locator("#blend-stale"))).to_contain_text("is now af_sky+bf_emma")
    discard_expected_error(problems, 400)
    expect(tab.locator("#blend-recipe")).to_have_value("af_bella(90)+af_sky(40)")
    tab.locator("#blend-keep-mine").click()
    expect(card(tab, "noon")).to_contain_text("69 % Bella, 31 % Sky")
    expect(card(tab, "noon").locator("code")).to_have_text("af_bella(90)+af_sky(40)")
    expect(card(tab, "noon").get_by_role("button", name="Copy the recipe of noon")).to_be_visible()
    expect(tab.locator("#blend-stale")).to_be_hidden()


def test_an_exported_voice_is_imported_under_another_name(tab: Page, tmp_path: Path) -> None:
    save(tab, "tea")
    with tab.expect_download() as download:
        card(tab, "tea").get_by_role("link", name="Export: tea").click()
    download.value.save_as(tmp_path / "af_tea.npy")
    tab.locator("#blend-file").set_input_files(tmp_path / "af_tea.npy")
    expect(tab.locator("#blend-import-name")).to_have_value("af_tea")
    tab.locator("#blend-import button[type=submit]").click()
    expect(when_shown(card(tab, "af_tea"))).to_contain_text("imported")
    type_recipe(tab, "af_tea+af_sky")
    expect(tab.locator("#blend-legend")).to_contain_text("Tea")


def test_the_blend_tab_fits_a_phone_screen(tab: Page) -> None:
    type_recipe(tab, "af_bella+af_sky+bf_emma")
    expect(tab.locator("#blend-rows .blend-row")).to_have_count(3)
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390


def test_without_kokoro_the_tab_says_so_and_offers_the_download(
    page: Page, site: Site, tmp_path: Path
) -> None:
    """On a server of its own: other pages ask the shared one for Kokoro's voices whenever they change."""
    for name in (MODEL, PACK):
        shutil.copy(site.parts.settings.download_dir / name, tmp_path)
    model, away = tmp_path / MODEL, tmp_path / "away"
    with site_in_a_thread(
        tmp_path, data_dir=[tmp_path], voice=EMBEDDED, offline=False, hub_endpoint=NOWHERE
    ) as lacking:
        open_tab(visit(page, lacking.url), "blend")
        page.locator("#blend-mixer").wait_for()
        model.rename(away)
        run_on_server(lacking, lacking.parts.refresh_voices())
        page.evaluate("window.dispatchEvent(new Event('focus'))")
        expect(when_shown(page.locator("#blend-absent"))).to_contain_text(
            "the Kokoro model is not installed yet"
        )
        expect(page.locator("#blend-mixer")).to_be_hidden()
        page.get_by_role("button", name="Download Kokoro").click()
        expect(when_shown(page.locator("#blend-fetching"))).to_contain_text("being downloaded")
        expect(page.locator("#blend-fetch")).to_be_disabled()
        run_on_server(lacking, fail_download(lacking))
        expect(when_shown(page.locator("#blend-absent-problem"))).to_contain_text("has no room")
        expect(page.locator("#blend-fetching")).to_have_text("")
        expect(page.locator("#blend-fetch")).to_be_enabled()
        lacking.parts.downloads.cancel(MODEL_VOICE)
        away.rename(model)
        run_on_server(lacking, lacking.parts.refresh_voices())
        page.locator("#blend-mixer").wait_for()
        expect(page.locator("#blend-absent")).to_be_hidden()
        page.goto("about:blank")
    discard_expected_error(problems_of(page), 503)  # where its voices lie, asked at the moment they went
