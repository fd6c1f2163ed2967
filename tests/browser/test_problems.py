"""What the page says when something fails: what to do, in the reader's language, and details."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, Route, expect

from tests.browser.listen_tab import EMBEDDED
from tests.browser.page_actions import PHONE, checked_page, open_tab, problems_of, resize, visit, when_shown
from tests.support.page_site import Site
from tests.support.tones import VOICES
from ui.words import Words
from wyoming_tts.voices.download.downloads import DownloadProgress, DownloadState, FailureCause
from wyoming_tts.voices.library import DefaultVoice

VOICE = "de_DE-thorsten-medium"
TECHNICAL = "[Errno -2] Name or service not known"
TONES = "de_DE-tones-low"
WHAT_TO_DO = Words().text("problem.download_name_unresolved_do", "de")


def on_server(site: Site, work: object, *values: object) -> None:
    """Call something on the product's event loop."""

    async def call() -> None:
        work(*values)  # type: ignore[operator]

    asyncio.run_coroutine_threadsafe(call(), site.loop).result(10)


@pytest.fixture
def failed_download(site: Site) -> Iterator[str]:
    """A voice whose download has failed for want of a network."""
    failure = DownloadProgress(
        VOICE, DownloadState.FAILED, 0, 63_000_000, TECHNICAL, FailureCause.NAME_UNRESOLVED
    )
    on_server(site, site.parts.downloads.record_progress, failure)
    yield VOICE
    on_server(site, site.parts.downloads.cancel, VOICE)


def test_a_failed_download_says_at_its_voice_what_to_do(german: Page, failed_download: str) -> None:
    open_tab(german, "audition", "de")
    german.locator("#audition-search").fill("thorsten medium")
    card = german.locator(f'.card[data-voice="{failed_download}"]')
    expect(when_shown(card.locator(".download-problem"))).to_contain_text(WHAT_TO_DO)
    expect(card.get_by_role("button", name="Thorsten (mittel) noch einmal herunterladen")).to_be_enabled()
    expect(german.locator("#audition-problem")).to_be_empty()  # nobody has asked for it on this page
    technical = card.get_by_text(TECHNICAL)
    expect(technical).to_be_hidden()
    card.get_by_text("Einzelheiten").click()
    expect(technical).to_be_visible()
    german.locator("#audition-search").fill("")

    open_tab(german, "voices", "de")
    listed = german.locator(f'#voices .downloads > li[data-voice="{failed_download}"]')
    expect(when_shown(listed)).to_contain_text(WHAT_TO_DO)
    expect(listed.get_by_text(TECHNICAL)).to_be_hidden()
    expect(listed.get_by_role("button", name="laden")).to_have_text("Noch einmal")
    voice = german.locator(f'#voices .voices-shelf > .voices-list > li[data-voice="{failed_download}"]')
    expect(voice).not_to_contain_text(WHAT_TO_DO)  # told once, where it is in sight whatever the list shows
    expect(voice.get_by_role("button", name="noch einmal")).to_have_text("Noch einmal")


@pytest.fixture(scope="module")
def visits(browser: Browser) -> Iterator[BrowserContext]:
    """A browser in German, with a cache."""
    context = browser.new_context(locale="de-DE")
    context.new_page()  # keeps its window
    yield context
    context.close()


@pytest.fixture
def new_page(visits: BrowserContext, site: Site) -> Iterator[Page]:
    """For a first visit to a server that has robot voices only, of which nobody has chosen one."""

    def without_neural(route: Route) -> None:
        answer = route.fetch()
        view = answer.json()
        view["voices"] = [
            voice for voice in view["voices"] if voice["engine"] == "espeak" or not voice["is_installed"]
        ]
        route.fulfill(response=answer, json=view | {"default_is_chosen": False})

    visits.route("**/page/voices", without_neural)
    with checked_page(visits) as page:
        yield page
        page.goto(f"{site.url}livez")  # a page keeps what was chosen when it is left too
        page.evaluate("localStorage.clear()")
    visits.unroute("**/page/voices")


@pytest.fixture
def german_visitor(new_page: Page, site: Site) -> Page:
    """The first visit."""
    return visit(new_page, site.url)


def test_a_first_visitor_hears_the_robot_of_their_language_and_is_told_what_clients_get(
    german_visitor: Page,
) -> None:
    chosen = german_visitor.locator('.card-chosen[data-voice="espeak-de"]')
    chosen.wait_for()
    expect(german_visitor.locator("#audition-text")).to_have_value(re.compile("Guten Morgen"))
    expect(german_visitor.locator("#audition-unknown")).to_contain_text(
        "bekommen die Roboterstimme „Englisch"
    )
    notice = german_visitor.locator("#audition-makeshift")
    expect(notice.get_by_role("button", name="Thorsten (mittel) herunterladen")).to_be_enabled()
    german_visitor.locator(f'.card[data-voice="{EMBEDDED}"] .card-play').click()
    expect(german_visitor.locator("#audition-unknown")).to_be_empty()


def test_the_voice_that_a_first_visitor_fetches_takes_the_place_of_the_robot(
    new_page: Page, site: Site
) -> None:
    fetched = False

    def view(route: Route) -> None:
        answer = route.fetch()
        view = answer.json()
        for voice in view["voices"]:
            if voice["engine"] != "espeak":
                is_it = voice["name"] == TONES
                voice |= {"is_installed": fetched and is_it, "is_recommended": is_it}
        route.fulfill(response=answer, json=view | {"default_is_chosen": False})

    def fetch(route: Route) -> None:
        nonlocal fetched
        fetched = True
        route.fulfill(json={"revision": 1_000_000, "downloads": []})

    page = new_page
    page.route("**/page/voices", view)
    page.route("**/page/voices/download", fetch)
    visit(page, site.url)
    page.locator('.card-chosen[data-voice="espeak-de"]').wait_for()
    page.locator("#audition-makeshift").get_by_role("button", name="Tones herunterladen").click()
    page.locator(f'.card-chosen[data-voice="{TONES}"]').wait_for()
    expect(page.locator("#audition-unknown")).to_be_empty()
    expect(page.locator("#audition-makeshift")).to_be_hidden()
    page.unroute("**/page/voices")


@pytest.mark.usefixtures("failed_download")
def test_a_first_visitor_is_told_that_the_download_has_failed_and_on_a_phone_sees_the_first_voice_too(
    german_visitor: Page,
) -> None:
    """On a phone notices are folded; dismissed ones stay away."""
    page = german_visitor
    unknown, makeshift = page.locator("#audition-unknown"), page.locator("#audition-makeshift")
    expect(when_shown(makeshift)).to_contain_text("konnte nicht heruntergeladen werden")
    expect(makeshift.locator(".problem")).to_contain_text(WHAT_TO_DO)
    expect(makeshift.get_by_role("button", name="Noch einmal: Thorsten (mittel)")).to_be_enabled()

    resize(page, PHONE)
    bottom, edge = (
        page.locator(place).first.evaluate(f"(it) => it.getBoundingClientRect().{side}")
        for place, side in ((".card .card-play", "bottom"), ("#player-bar", "top"))
    )
    assert bottom < edge
    expect(makeshift.locator(".problem")).to_be_hidden()
    makeshift.get_by_role("button", name="Download misslungen").click()
    expect(makeshift.locator(".problem")).to_be_visible()
    expect(makeshift.get_by_text("natürlich klingende")).to_be_visible()
    unknown.get_by_role("button", name="Nicht mehr anzeigen").click()
    expect(unknown).to_be_hidden()
    kept = page.evaluate("Object.keys(JSON.parse(localStorage['wyoming-tts.dismissed']))")
    assert kept == [f"first_voice {EMBEDDED}"]  # so whatever the language of the page
    page.reload()
    expect(when_shown(makeshift)).to_contain_text("Bisher gibt es")
    expect(unknown).to_be_empty()


def test_another_voice_in_place_of_an_absent_default_is_told(german: Page, site: Site) -> None:
    library = site.parts.library
    on_server(site, library.change_default, DefaultVoice(VOICE))
    try:
        notice = german.locator("#audition-makeshift")
        open_tab(german, "audition", "de")
        expect(when_shown(notice)).to_contain_text(
            "Die Standardstimme Thorsten (mittel) ist nicht installiert: Stattdessen spricht Tones."
        )
        expect(notice.get_by_role("button", name="Thorsten (mittel) herunterladen")).to_be_visible()
        open_tab(german, "voices", "de")
        stand_in = german.locator(f'#voices .voices-list > li[data-voice="{TONES}"]')
        expect(stand_in.get_by_role("button", name=re.compile("Standardstimme"))).to_be_visible()
        open_tab(german, "status", "de")
        expect(german.locator(".status-fact-default_voice")).to_contain_text("Es spricht Tones, Deutsch")
    finally:
        on_server(site, library.change_default, DefaultVoice(EMBEDDED))
    expect(notice).to_be_hidden()


def test_the_servers_own_sentences_are_told_in_the_readers_language(german: Page, site: Site) -> None:
    data = site.settings.download_dir
    (data / "torn.onnx").write_bytes(b"")
    (data / "torn.onnx.json").write_bytes((VOICES / "en_US-letters-low.onnx.json").read_bytes())
    asyncio.run_coroutine_threadsafe(site.parts.refresh_voices(), site.loop).result(10)
    open_tab(german, "voices", "de")
    broken = german.locator("#voices .voices-broken")
    expect(when_shown(broken)).to_contain_text("das Modell ist leer: Es wird noch kopiert")
    expect(german.locator("#tab-voices")).to_be_visible()
    broken.get_by_role("button").click()
    german.locator("#voices dialog[open]").get_by_role("button", name="Löschen").click()
    expect(broken).to_be_empty()
    german.locator("#voices-lexicon-text").fill("en:\n  word: [1]\n")
    expect(when_shown(german.locator(".voices-problems"))).to_contain_text(
        "eine Liste; erwartet wird eine Umschrift"
    )
    german.locator("#voices-lexicon-text").fill("de:\n  kWh Kilowattstunden\n  Foo: bar\n")
    mistake = german.locator(".voices-problems li")
    expect(mistake).to_contain_text("Zeile 2, Spalte 3 in dieser Zeile fehlt ein Doppelpunkt")
    expect(mistake.locator("code")).to_have_text("kWh Kilowattstunden")
    german.locator("#voices-lexicon-text").fill("")
    refusal = "fetch('page/voices/upload/x', { method: 'POST', body: 'x' })"
    answer = german.evaluate(f"{refusal}.then((answer) => answer.json())")
    assert [each["id"] for each in answer["error"]["said"]] == ["bad_file_name", "name_letters"]
    found = problems_of(german).found
    found[:] = [line for line in found if "voices/upload" not in line]


@pytest.fixture
def refused(german: Page) -> Iterator[Locator]:
    """What the player says, whose requests are refused; the browser logs them as well."""
    yield german.locator('.player [data-part="state"]')
    found = problems_of(german).found
    found[:] = [line for line in found if "v1/audio/speech" not in line]


def test_a_refused_request_is_told_in_the_readers_language(german: Page, refused: Locator) -> None:
    german.evaluate("ttsPlayer.play({ input: 'x', voice: 'nobody' })")
    expect(refused).to_contain_text("Es gibt keine Stimme 'nobody'.")


def test_a_refusal_worded_in_english_is_told_by_its_kind(german: Page, refused: Locator) -> None:
    german.evaluate("ttsPlayer.play({ input: 'x', language: 7 })")
    expect(refused).to_contain_text(Words().text("problem.code_bad_request", "de"))
    details = refused.get_by_text("language")
    expect(details).to_be_hidden()
    refused.get_by_text("Einzelheiten").click()
    expect(details).to_be_visible()
