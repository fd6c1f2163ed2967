"""The Listen tab: the text, voice cards, choosing, comparing and blending, and what is kept."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.listen_tab import EMBEDDED, LONG, SENTENCE, ListenTab
from tests.browser.page_actions import DESKTOP, PHONE, name_player, open_dialog, resize, wait_for_layout
from tests.support.page_site import Site

# Gradio's analytics use a deprecated pandas feature.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def test_the_tab_opens_with_an_example_text_and_the_chosen_voices_own_sliders(tab: ListenTab) -> None:
    tab.page.evaluate("localStorage.clear()")
    tab.open(tab.page.url)
    tab.unfold("more")
    expect(tab.page.locator("#audition-pitch")).to_be_visible()
    expect(tab.page.locator("#audition-noise_scale")).to_have_count(0)
    assert "morning" in tab.text.input_value()
    expect(tab.page.locator('[data-shelf="here"] .card').first).to_have_class(re.compile("card-chosen"))
    tab.unfold("more")


def test_the_explanation_unfolds_and_follows_the_text(tab: ListenTab) -> None:
    page = tab.page
    tab.write("It is **21.5 °C**. Fine?")
    tab.unfold("said")
    expect(page.locator("#audition-cleaned")).to_have_text("It is 21.5 °C. Fine?")
    expect(page.locator("#audition-segments li")).to_have_count(2)
    expect(page.locator("#audition-segments .audition-phonemes").last).to_contain_text("f")
    tab.write("One <b> & two")
    expect(page.locator("#audition-segments li")).to_have_count(1)
    tab.unfold("said")


def test_f2_switches_between_the_two_voices_heard_last_and_replays_from_there(tab: ListenTab) -> None:
    page = tab.page
    tab.write(SENTENCE * 5)
    requested: list[Any] = []
    page.on(
        "request",
        lambda request: requested.append(request.post_data_json) if "speech" in request.url else None,
    )
    for voice in ("espeak-en-gb-scotland", EMBEDDED):
        tab.hear_card(voice)
        tab.wait_for(f"ttsPlayer.body?.voice === '{voice}' && ttsPlayer.clip?.isComplete")
    tab.wait_for("ttsPlayer.fraction > 0.01")
    page.keyboard.press("F2")
    title = page.locator("#player-bar [data-part=title]")
    expect(title).to_have_text("British English (Scotland)")
    tab.wait_for("ttsPlayer.rms > 0.02 && ttsPlayer.fraction > 0.005")
    page.keyboard.press("F2")
    expect(title).to_have_text("American English")
    tab.wait_for("ttsPlayer.rms > 0.02 && ttsPlayer.fraction > 0.005")
    page.keyboard.press("Escape")
    tab.wait_for("ttsPlayer.state === 'stopped'")
    # Both were played again from their clips in memory.
    assert [body["voice"] for body in requested] == ["espeak-en-gb-scotland", EMBEDDED]
    tab.find("")


def test_choosing_a_multi_speaker_voice_shows_its_speakers_and_sliders(tab: ListenTab) -> None:
    page = tab.page
    tab.write("Ho")
    tab.unfold("more")
    tab.hear_card("de_DE-tones-low")
    expect(page.locator("#audition-speaker")).to_have_value("anna")
    expect(page.locator("#audition-length_scale")).to_have_value("1.25")
    expect(page.locator("#audition-pitch")).to_have_count(0)
    page.locator("#audition-speaker").select_option("bert")
    page.locator("#audition-noise_scale").fill("0.4")
    with page.expect_request("**/v1/audio/speech") as expected:
        tab.speak()
    assert expected.value.post_data_json == {
        "input": "Ho",
        "speed": 1,
        "volume": 1,
        "voice": "de_DE-tones-low",
        "sample_rate": 16000,
        "speaker": "bert",
        "noise_scale": 0.4,
        "response_format": "pcm",
        "stream_format": "sse",
        "return_timestamps": True,
    }
    tab.wait_for("ttsPlayer.state === 'done'")
    tab.unfold("more")
    tab.hear_card(EMBEDDED)
    tab.find("")


def test_words_of_a_search_find_by_language_gender_engine_and_name(tab: ListenTab) -> None:
    assert tab.find("german tones") == ["de_DE-tones-low"]
    assert "af_bella" in tab.find("female american kokoro")
    assert {"de_DE-kerstin-low", "de_DE-eva_k-x_low"} <= {*tab.find("german female")}
    assert "am_test" not in tab.find("female")
    assert tab.find("nothing has this") == []
    expect(tab.page.locator("#audition-found")).to_contain_text("No voice")
    tab.find("")


def test_the_card_of_the_voice_that_speaks_stops_it(tab: ListenTab) -> None:
    tab.wait_for("!ttsPlayer.isBusy")  # what the test before has it say
    tab.write(LONG)
    card = tab.card(EMBEDDED)
    card.locator(".card-play").click()
    expect(card).to_have_attribute("data-speaking", "")
    tab.wait_for("ttsPlayer.state === 'playing'")
    card.locator(".card-play").click()
    tab.wait_for("ttsPlayer.state === 'stopped'")
    expect(card).not_to_have_attribute("data-speaking", "")


def test_arrow_keys_go_from_voice_to_voice_and_each_says_the_sentence(tab: ListenTab) -> None:
    tab.write("Ho.")
    found = [name for name in tab.find("espeak english") if name.startswith("espeak-en-")]
    tab.page.locator("#audition-search").press("ArrowDown")
    tab.wait_for(f"ttsPlayer.body?.voice === {json.dumps(found[0])} && ttsPlayer.state === 'done'")
    tab.page.keyboard.press("ArrowDown")
    tab.wait_for(f"ttsPlayer.body?.voice === {json.dumps(found[1])} && ttsPlayer.state === 'done'")
    tab.page.keyboard.press("ArrowUp")
    tab.wait_for(f"ttsPlayer.body?.voice === {json.dumps(found[0])} && ttsPlayer.state === 'done'")
    tab.hear_card(EMBEDDED)
    tab.find("")


def test_an_example_is_written_on_request_and_can_be_undone(tab: ListenTab) -> None:
    tab.write("My own words.")
    chip = tab.page.locator("#audition-examples .chip").nth(1)
    chip.focus()
    chip.blur()
    assert tab.text.input_value() == "My own words."
    chip.click()
    assert tab.text.input_value() == chip.inner_text()
    tab.page.keyboard.press("Control+z")
    assert tab.text.input_value() == "My own words."


def test_a_marked_voice_is_on_the_shortlist_until_it_is_unmarked(tab: ListenTab) -> None:
    tab.find("tones-low german")
    star = tab.card("de_DE-tones-low").locator(".card-star")
    star.click()
    marked = tab.page.locator('[data-shelf="marked"] .card')
    expect(marked).to_have_count(1)
    expect(star).to_have_attribute("aria-pressed", "true")
    star.click()
    expect(marked).to_have_count(0)
    tab.find("")


def toggle_stars(tab: ListenTab, voices: list[str]) -> None:
    for voice in voices:
        tab.find(voice)
        tab.card(voice).locator(".card-star").click()


def test_a_blind_comparison_of_the_shortlist_names_the_winner_at_its_end(tab: ListenTab) -> None:
    page = tab.page
    tab.write("Ho.")
    shortlist = ["de_DE-tones-low", "espeak-en-gb-scotland"]
    toggle_stars(tab, shortlist)
    page.locator("#audition-blind").click()
    dialog = open_dialog(page)
    better = dialog.get_by_role("button", name="B is better")
    expect(better).to_be_disabled()
    title = page.locator("#player-bar [data-part=title]")
    expect(title).to_have_text("A")
    tab.wait_for("ttsPlayer.state === 'done'")
    page.keyboard.press("2")
    expect(title).to_have_text("B")
    tab.wait_for("ttsPlayer.state === 'done'")
    preferred = page.evaluate("ttsPlayer.body.voice")
    assert not any(word in dialog.inner_text() for word in ("Tones", "British"))
    page.keyboard.press("ArrowRight")
    winner = "Tones" if preferred == "de_DE-tones-low" else "British English (Scotland)"
    expect(dialog.get_by_role("heading")).to_have_text(f"{winner} won")
    expect(title).to_have_text(winner)
    expect(dialog.locator("tr").first).to_contain_text("1 of 1")
    dialog.get_by_role("button", name=f"Choose {winner}").click()
    tab.find("")
    expect(tab.card(preferred)).to_have_class(re.compile("card-chosen"))
    toggle_stars(tab, shortlist)
    tab.hear_card(EMBEDDED)
    tab.find("")


@contextmanager
def voices_long_in_coming(page: Page) -> Iterator[None]:
    """Meanwhile no speech comes, and whoever wants to know after 5 s is told at once."""
    speech = "**/v1/audio/speech"
    page.route(speech, lambda _: None)
    page.evaluate(
        "{ const real = window.setTimeout; window.undoTimeout = () => { window.setTimeout = real; };"
        "window.setTimeout = (work, after, ...rest) => real(work, after === 5000 ? 0 : after, ...rest); }"
    )
    yield
    page.evaluate("window.undoTimeout()")
    page.unroute(speech)


def test_a_blind_comparison_can_be_stopped_in_its_dialog_and_ended_early(tab: ListenTab) -> None:
    page = tab.page
    tab.write(LONG)
    shortlist = ["de_DE-tones-low", "espeak-en-gb-scotland", EMBEDDED]
    toggle_stars(tab, shortlist)
    page.locator("#audition-blind").click()
    dialog = open_dialog(page)
    end = dialog.get_by_role("button", name="End now and count")
    expect(dialog).to_contain_text("Hear both A and B first.")
    expect(end).to_be_disabled()
    dialog.get_by_role("button", name="Stop A").click()
    tab.wait_for("ttsPlayer.state === 'stopped'")
    dialog.get_by_role("button", name="▶ B").click()
    expect(dialog.get_by_role("button", name="Stop B")).to_be_visible()
    expect(dialog).not_to_contain_text("Hear both A and B first.")
    dialog.get_by_role("button", name="B is better").click()
    expect(dialog.get_by_role("button", name="Stop A")).to_be_visible()
    dialog.get_by_role("button", name="Back").click()
    tab.wait_for("ttsPlayer.state === 'stopped'")
    with voices_long_in_coming(page):
        page.keyboard.press("1")
        loading, buttons = dialog.locator(".blind-loading"), dialog.locator(".actions")
        expect(loading).to_contain_text("its model is loaded")
        ends, begins = (
            each.evaluate("(each) => each.getBoundingClientRect().toJSON()") for each in (loading, buttons)
        )
        assert ends["bottom"] + 8 <= begins["top"]
    page.keyboard.press("Control+0")
    for key in "120":
        page.keyboard.press(key)
    end.click()
    expect(dialog.locator("tr").first).to_contain_text("0.5 of 1")
    dialog.get_by_role("button", name="Close").click()
    toggle_stars(tab, shortlist)
    tab.find("")


def test_one_escape_leaves_a_blind_comparison_and_nothing_speaks_from_then_on(tab: ListenTab) -> None:
    page, dialog = tab.page, open_dialog(tab.page)
    shortlist = ["de_DE-tones-low", "espeak-en-gb-scotland"]
    tab.write(LONG)
    toggle_stars(tab, shortlist)
    page.locator("#audition-blind").click()
    expect(dialog.get_by_role("button", name="Stop A")).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    tab.wait_for("ttsPlayer.state === 'stopped'")
    expect(page.locator("#player-bar [data-part=title]")).to_have_text(re.compile("Tones|Scotland"))

    held: list[Route] = []
    facts = re.compile(f"/voice\\?name=({'|'.join(shortlist)})$")
    page.route(facts, lambda route: held.append(route))  # noqa: PLW0108 - Playwright sets attributes of it
    tab.find("")
    tab.open(page.url)
    with page.expect_request(facts):
        page.locator("#audition-blind").click()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    spoken: list[str] = []
    page.on("request", lambda request: spoken.append(request.url) if "speech" in request.url else None)
    with page.expect_response(facts):
        for route in held:
            route.continue_()
    page.unroute(facts)
    toggle_stars(tab, shortlist)
    tab.hear_card(EMBEDDED)
    tab.wait_for("ttsPlayer.isBusy")
    tab.stop()
    assert len(spoken) == 1
    tab.find("")


def test_two_cards_put_together_are_a_blend_with_one_slider_that_is_kept(tab: ListenTab) -> None:
    page = tab.page
    tab.write("Ho.")
    tab.find("american kokoro female")
    expect(page.locator("#audition-pair[open]")).to_have_count(0)
    tab.card("af_bella").drag_to(tab.card("af_sky"))
    expect(page.locator("#audition-pair-a")).to_have_text("Bella 50 %")
    tab.wait_for("ttsPlayer.body?.voice === 'af_bella(50)+af_sky(50)' && ttsPlayer.state === 'done'")
    share = page.locator("#audition-pair-share")
    share.focus()
    page.keyboard.press("ArrowRight")
    tab.wait_for("ttsPlayer.body?.voice === 'af_bella(45)+af_sky(55)' && ttsPlayer.state === 'done'")
    expect(page.locator("#audition-pair-name")).to_have_value("bella_sky")
    page.locator("#audition-pair").get_by_role("button", name="Save blend").click()
    expect(page.locator("#audition-use-title")).to_have_text("Use bella_sky")
    tab.find("")
    expect(tab.card("bella_sky")).to_have_class(re.compile("card-chosen"))
    page.request.post(f"{page.url}page/blends/remove", data={"name": "bella_sky"})
    expect(tab.card("bella_sky")).to_have_count(0)  # the cards are made anew, which ends a drag
    language = page.locator("#audition-pair-language")
    expect(language).to_be_hidden()
    tab.find("kokoro female")
    tab.card("af_sky").drag_to(tab.card("bf_emma"))
    tab.wait_for("ttsPlayer.body?.voice === 'af_sky(50)+bf_emma(50)' && ttsPlayer.body.language === 'en_US'")
    language.select_option("British English")
    tab.wait_for("ttsPlayer.body.language === 'en_GB' && ttsPlayer.state === 'done'")
    tab.hear_card(EMBEDDED)
    expect(page.locator("#audition-pair")).to_be_hidden()
    tab.find("")


def test_a_voice_is_made_the_default_where_it_was_heard(tab: ListenTab) -> None:
    page = tab.page
    tab.write("Ho.")
    tab.hear_card("de_DE-tones-low")
    expect(page.locator("#audition-use-title")).to_have_text("Use Tones")
    expect(page.locator("#audition-use-steps")).to_contain_text("German")
    page.locator("#audition-make-default").click()
    expect(page.locator("#audition-used")).to_contain_text(
        "Tones is the default voice until the server restarts"
    )
    expect(page.locator("#audition-make-default")).to_be_disabled()
    page.request.post(f"{page.url}page/voices/default", data={"name": EMBEDDED})  # as somebody else would
    expect(page.locator("#audition-make-default")).to_be_enabled()
    expect(page.locator("#audition-used")).to_be_empty()
    tab.find("")


def test_what_is_done_with_the_chosen_voice_is_a_click_from_its_card(tab: ListenTab) -> None:
    page = tab.page
    tab.write("Ho.")
    resize(page, {**PHONE, "height": 360})  # few cards are enough to scroll
    tab.find("")
    cards = page.locator("[data-shelf=here] .card")
    far = cards.last
    far.locator(".card-play").click()
    expect(page.locator("#audition-make-default")).not_to_be_in_viewport()
    hidden, facts = cards.first.locator(".card-use"), cards.first.locator(".card-facts > .quiet")
    expect(hidden).to_be_hidden()
    places = [each.evaluate("(element) => element.getBoundingClientRect().right") for each in (hidden, facts)]
    assert places[0] < places[1], "A button that is not shown leaves the facts their room."
    far.get_by_role("button", name=re.compile("^Use ")).click()
    expect(page.locator("#audition-make-default")).to_be_in_viewport()
    expect(page.locator("#audition-make-default")).to_be_focused()
    expect(page.locator("#audition-more > summary")).to_be_in_viewport()
    expect(page.locator("#audition-said > summary")).to_be_in_viewport()
    tab.hear_card(EMBEDDED)
    tab.find("")
    resize(page, DESKTOP)


def test_what_was_typed_and_chosen_survives_a_reload(tab: ListenTab) -> None:
    tab.write("Still here?")
    tab.hear_card("de_DE-tones-low")
    tab.page.reload()
    expect(tab.text).to_have_value("Still here?")
    expect(tab.card("de_DE-tones-low")).to_have_class(re.compile("card-chosen"))
    expect(tab.page.locator("#audition-search")).to_have_value("de_DE-tones-low")
    name_player(tab.page)
    tab.hear_card(EMBEDDED)
    tab.find("")


@pytest.mark.parametrize(
    ("voice", "told"),
    [
        ("nobody", "There is no voice “nobody” here: American English speaks instead."),
        (
            "de_DE-thorsten-medium",
            "The voice Thorsten (medium) is not installed: American English is chosen instead.",
        ),
    ],
)
def test_a_link_whose_voice_is_not_here_says_so_above_the_cards(
    page: Page, site: Site, voice: str, told: str
) -> None:
    page.goto(f"{site.url}#voice={voice}&text=Hello")
    notice = page.locator("#audition-unknown")
    expect(notice).to_contain_text(told)
    expect(notice.locator("button.primary")).to_have_count(int(voice != "nobody"))
    page.locator(f'.card[data-voice="{EMBEDDED}"] .card-play').click()
    expect(notice).to_be_empty()
    page.evaluate("localStorage.clear()")


def test_a_link_opens_with_its_voice_and_text(page: Page, site: Site) -> None:
    page.goto(f"{site.url}#voice=de_DE-tones-low&text=Linked%20words")
    expect(page.locator("#audition-text")).to_have_value("Linked words")
    expect(page.locator('.card[data-voice="de_DE-tones-low"]')).to_have_class(re.compile("card-chosen"))
    assert page.evaluate("location.hash") == ""
    page.evaluate("localStorage.clear()")


def test_shelves_are_as_before_once_a_search_ends(tab: ListenTab) -> None:
    robots, here = (tab.page.locator(f"details[data-shelf={name}]") for name in ("robots", "here"))
    expect(
        here.locator(f'.card[data-voice="{EMBEDDED}"]')
    ).to_be_attached()  # the default is no makeshift here
    tab.find("")
    robots.evaluate("(details) => { details.open = false }")
    tab.find("scotland")
    expect(robots).to_have_attribute("open", "")
    tab.find("")
    expect(robots).not_to_have_attribute("open", "")
    expect(here).to_have_attribute("open", "")


def test_arrow_keys_go_on_to_cards_that_were_not_made_yet(tab: ListenTab) -> None:
    away = tab.page.locator("details[data-shelf=away]")
    resize(tab.page, {**PHONE, "height": 360})
    tab.page.evaluate(
        "() => { window.whenIdle = requestIdleCallback; window.requestIdleCallback = () => 0; }"
    )
    away.locator("summary").click()
    away.locator(".card").nth(20).wait_for(state="attached")
    made = away.locator(".card").count()
    assert made < 100
    away.locator(".card-fetch").last.evaluate("(fetch) => fetch.focus({ preventScroll: true })")
    tab.page.keyboard.press("ArrowDown")
    expect(away.locator(".card").nth(made).locator(".card-fetch")).to_be_focused()
    tab.page.evaluate("() => { window.requestIdleCallback = window.whenIdle; }")
    away.locator("summary").click()
    resize(tab.page, DESKTOP)


def test_an_unfolded_shelf_is_soon_whole_though_nobody_scrolls(tab: ListenTab) -> None:
    robots = tab.page.locator("details[data-shelf=robots]")
    for query in ("", "nobody at all", ""):
        tab.find(query)
    count = int(re.sub(r"\D", "", robots.locator("summary").inner_text()))
    assert robots.locator(".card").count() < 30 < count
    robots.locator("summary").click()
    expect(robots.locator(".card")).to_have_count(count)
    robots.locator("summary").click()


def test_a_star_leaves_what_the_reader_looks_at_where_it_is(tab: ListenTab) -> None:
    away = tab.page.locator("details[data-shelf=away]")
    away.locator("summary").click()
    marked = away.locator(".card").nth(60)
    marked.wait_for(state="attached")
    voice = marked.get_attribute("data-voice")
    before_it = away.locator(".card").nth(57)
    marked.evaluate("(card) => card.scrollIntoView({ block: 'center' })")
    wait_for_layout(tab.page)
    place = bottom_of(before_it)
    marked.locator(".card-star").click()
    star = tab.page.locator(f'[data-shelf=marked] .card[data-voice="{voice}"] .card-star')
    expect(star).to_be_focused()
    wait_for_layout(tab.page)
    assert bottom_of(before_it) == pytest.approx(place, abs=10)
    star.click()
    away.locator("summary").click()


def test_the_player_bar_hides_neither_what_a_search_finds_nor_the_card_that_speaks(tab: ListenTab) -> None:
    page = tab.page
    resize(page, {"width": 924, "height": 768})
    tab.hear("First.")
    for name in ("more", "said"):
        tab.unfold(name)
    page.evaluate("scrollTo(0, 0)")
    tab.find("german")
    first = page.locator(".card:not([hidden])").first
    assert bottom_of(first) <= top_of_bar(page)
    tab.find("")
    tab.write(SENTENCE * 10)
    expect(page.locator("#audition-segments li")).to_have_count(10)
    card = tab.card(EMBEDDED)
    play = card.locator(".card-play")
    play.evaluate(
        "(play) => scrollBy(0, play.closest('.card').getBoundingClientRect().bottom - innerHeight + 4)"
    )
    play.evaluate("(play) => play.click()")
    tab.wait_for("ttsPlayer.state === 'playing'")
    wait_for_layout(page)
    assert bottom_of(card) <= top_of_bar(page)
    page.keyboard.press("Escape")
    for name in ("more", "said"):
        tab.unfold(name)
    resize(page, DESKTOP)


def bottom_of(element: Locator) -> float:
    return float(element.evaluate("(element) => element.getBoundingClientRect().bottom"))


def top_of_bar(page: Page) -> float:
    return float(page.locator(".player").evaluate("(bar) => bar.getBoundingClientRect().top"))
