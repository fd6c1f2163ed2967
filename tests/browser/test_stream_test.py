"""The stream test tab in a browser, against a running product."""

from __future__ import annotations

import asyncio
import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.page_actions import (
    accessibility_violations,
    name_player,
    open_tab,
    panel,
    problems_of,
    visit,
)
from tests.support.page_site import Site
from wyoming_tts.client import DiscoveredServer

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

_RECORD_NOTES = """() => {
    window.stNotes = [];
    const note = document.querySelector("#stream_test .st-note");
    const record = () => note.textContent.startsWith("Runde") && stNotes.push(note.textContent);
    new MutationObserver(record).observe(note, { childList: true, characterData: true, subtree: true });
}"""
TEXT = "One two three. Four five six."
SHORT_TEXT = "One two."
SLOW_TEXT = "word " * 300


async def _find_one_server(_: float) -> list[DiscoveredServer]:
    return [DiscoveredServer("kitchen", "tcp://127.0.0.1:9", ("127.0.0.1",))]


def open_stream_test(page: Page, site: Site) -> None:
    open_tab(visit(page, site.url), "stream_test")
    expect(page.locator("#stream_test .st-note")).not_to_be_empty()


@pytest.fixture(scope="module")
def shared_page(product_page: Page) -> Page:
    open_tab(product_page, "stream_test")
    expect(product_page.locator("#stream_test .st-note")).not_to_be_empty()
    return product_page


@pytest.fixture
def desktop(shared_page: Page) -> Iterator[Page]:
    """The tab as it is at first: one client, of this server."""
    shared_page.locator("#stream_test-target").fill("")
    panel(shared_page, "stream_test").get_by_label("Compare with a second client").uncheck()
    yield shared_page
    assert problems_of(shared_page).found == []


def start(page: Page, text: str, *, clients: int = 1, pace: int = 20) -> None:
    page.locator("#stream_test-text").fill(text)
    page.locator("#stream_test-clients").fill(str(clients))
    page.locator("#stream_test-words_per_second").fill(str(pace))
    page.locator("#stream_test-board").evaluate(
        "(board) => { delete board.dataset.over; }"
    )  # an earlier run's
    page.locator("#stream_test-start").click()


def wait_until_over(page: Page) -> None:
    page.locator("#stream_test-board[data-over=true]").wait_for(state="attached")


def painted(page: Page, lane: int) -> int:
    """How many pixels of a lane's canvas are not empty."""
    script = """canvas => canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height)
        .data.filter((value, index) => index % 4 === 3 && value > 0).length"""
    return int(page.locator("#stream_test canvas").nth(lane).evaluate(script))


def test_a_run_of_two_clients_shows_lanes_figures_audio_and_log(desktop: Page, tmp_path: Path) -> None:
    start(desktop, TEXT, clients=2)
    lanes = desktop.locator("#stream_test .sl-row")
    expect(lanes).to_have_count(2)
    wait_until_over(desktop)
    for lane in range(2):
        expect(lanes.nth(lane)).to_have_attribute("data-state", "spoken")
        expect(lanes.nth(lane)).to_contain_text("first sound after")
        expect(lanes.nth(lane)).to_contain_text("Gaps: waiting for text")
        assert painted(desktop, lane) > 100
    cells = desktop.locator("#stream_test tbody tr td:nth-child(2)")
    assert cells.count() == 10
    assert [text for text in cells.all_inner_texts() if not any(map(str.isdigit, text))] == []

    panel(desktop, "stream_test").get_by_role("button", name="Play what client 1 heard").click()
    expect(desktop.locator(".player")).to_have_attribute("data-state", re.compile("playing|done"))
    desktop.wait_for_function("ttsPlayer.clip?.seconds > 0.1")

    with desktop.expect_download() as download:
        panel(desktop, "stream_test").get_by_role("link", name="Save the run as JSON").click()
    download.value.save_as(tmp_path / "run.json")
    run_json = json.loads((tmp_path / "run.json").read_text())
    assert [lane["state"] for lane in run_json["lanes"]] == ["spoken", "spoken"]
    spoken = [word for _, word in run_json["lanes"][0]["words"]]
    assert spoken == TEXT.replace(".", "").split()
    expect(lanes.nth(0).get_by_role("img")).to_have_accessible_name(re.compile("First audio after"))

    log_part = desktop.locator("#stream_test .st-log").first
    log_part.locator("summary").click()
    log = log_part.locator("pre")
    expect(log).to_contain_text("connected")
    log_part.locator("select").nth(1).select_option("text")
    expect(log).not_to_contain_text("connected")
    assert len(log.inner_text().splitlines()) == 12
    log_part.locator("select").nth(0).select_option("2")
    log_part.locator("input[type=search]").fill("FIVE")
    assert log.inner_text().split()[1:] == ["2", "text", "five"]
    assert accessibility_violations(desktop, "#stream_test") == []

    start(desktop, "Short.", clients=1)
    panel(desktop, "stream_test").get_by_role("columnheader", name="Change").wait_for()
    expect(lanes).to_have_count(1)
    expect(desktop.locator("tr[data-figure=spoken] td").last).to_have_text("−1 (−50 %)")


def test_the_text_speaks_the_language_of_the_voice_until_somebody_writes_one(page: Page, site: Site) -> None:
    page.goto(f"{site.url}livez")
    page.evaluate("localStorage.clear()")  # what other tests wrote
    open_stream_test(page, site)
    text, voice = page.locator("#stream_test-text"), page.locator("#stream_test [name=voice]")
    expect(text).to_have_value(re.compile("^When you come home"))
    voice.fill("de_DE-tones-low")
    expect(text).to_have_value(re.compile("^Guten Morgen"))
    voice.fill("")
    expect(text).to_have_value(re.compile("^When you come home"))
    text.fill(TEXT)
    voice.fill("de_DE-tones-low")
    expect(text).to_have_value(TEXT)


def test_the_stop_button_ends_all_rounds_at_once_and_a_second_client_does_not_begin(
    desktop: Page, site: Site
) -> None:
    panel(desktop, "stream_test").get_by_label("Compare with a second client").check()
    rounds = desktop.locator("#stream_test-rounds")
    rounds.fill("9")
    start(desktop, SLOW_TEXT, clients=2, pace=1)
    lanes = desktop.locator("#stream_test .sl-row")
    expect(lanes.first).to_have_attribute("data-state", "asking")
    expect(desktop.locator("#stream_test-start")).to_be_hidden()
    expect(desktop.locator("#stream_test .st-note")).to_have_text("Round 1 of 9, A")
    desktop.locator("#stream_test-stop").click()
    wait_until_over(desktop)
    expect(desktop.locator("#stream_test-start")).to_be_focused()  # in place of the other one
    for lane in range(2):
        expect(lanes.nth(lane)).to_have_attribute("data-state", "stopped")
    expect(lanes).to_have_count(2)
    assert not site.services.stream_test._running
    rounds.fill("1")


def test_leaving_the_page_ends_the_run(desktop: Page, site: Site) -> None:
    start(desktop, SLOW_TEXT, pace=1)
    lane = desktop.locator("#stream_test .sl-row")
    expect(lane).to_have_count(1)
    expect(lane).not_to_have_attribute("data-state", "spoken")  # the lane of the previous test
    (run,) = site.services.stream_test._running.values()
    assert run._task is not None
    desktop.goto("about:blank")
    ending = asyncio.wait_for(asyncio.wait([run._task]), 5.0)
    asyncio.run_coroutine_threadsafe(ending, site.loop).result()
    open_stream_test(desktop, site)


def test_a_refused_connection_is_a_failed_lane_and_an_invalid_request_an_error_message(
    desktop: Page, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site.services.stream_test, "_search", _find_one_server)
    desktop.locator("#stream_test-find").click()
    panel(desktop, "stream_test").get_by_label("kitchen (tcp://127.0.0.1:9)").check()
    expect(desktop.locator("#stream_test-target")).to_have_value("tcp://127.0.0.1:9")
    start(desktop, TEXT)
    lane = desktop.locator("#stream_test .sl-row")
    expect(lane).to_have_count(1)  # the previous test had two
    expect(lane).to_have_attribute("data-state", "failed")
    expect(lane).to_contain_text("No connection")
    start(desktop, "  ")
    expect(desktop.locator("#stream_test .st-note.problem")).to_contain_text("text is empty")
    problems = problems_of(desktop).found
    problems[:] = [line for line in problems if "stream-test/run" not in line]  # the browser logs it as well


def test_two_protocols_are_compared_on_one_axis_of_time_and_kept_over_a_restart(
    desktop: Page, site: Site, tmp_path: Path
) -> None:
    panel(desktop, "stream_test").get_by_label("Compare with a second client").check()
    desktop.locator("#stream_test-kind_b").select_option("http")
    expect(desktop.locator("#stream_test-words_per_second_b")).to_be_hidden()
    start(desktop, TEXT, pace=100)
    wait_until_over(desktop)
    lanes = desktop.locator("#stream_test .sl-row")
    expect(lanes).to_have_count(2)
    expect(lanes.nth(0)).to_contain_text("A: Wyoming, word by word, 100 words a second")
    expect(lanes.nth(1)).to_contain_text("B: HTTP /v1/audio/speech")
    heads = desktop.locator("#stream_test thead th").all_inner_texts()
    assert heads == ["Figure", "A", "B", "Difference (B\N{NO-BREAK SPACE}−\N{NO-BREAK SPACE}A)"]
    expect(desktop.locator("tr[data-figure=spoken] td").last).to_have_text("±0 (±0 %)")
    expect(panel(desktop, "stream_test").get_by_text("Few clients: no clear difference")).to_be_visible()
    assert accessibility_violations(desktop, "#stream_test") == []

    site.services.stream_test._kept.clear()  # as after a restart of the server
    desktop.reload()
    name_player(desktop)
    open_tab(desktop, "stream_test")
    kept = desktop.locator("#stream_test .run-list li")
    expect(kept.nth(0)).to_contain_text("HTTP")
    for run in range(2):
        kept.nth(run).get_by_role("checkbox").check()
    panel(desktop, "stream_test").get_by_role("button", name="Compare the two ticked").click()
    expect(lanes.nth(1)).to_contain_text("B: HTTP /v1/audio/speech")
    assert painted(desktop, 1) > 100
    panel(desktop, "stream_test").get_by_role("button", name="A: Play what client 1 heard").click()
    expect(desktop.locator("#stream_test .st-after")).to_contain_text("The recording is gone")
    problems = problems_of(desktop).found
    problems[:] = [line for line in problems if "/1.wav" not in line]
    with desktop.expect_download() as download:
        panel(desktop, "stream_test").get_by_role("button", name="Export as CSV").click()
    download.value.save_as(tmp_path / "runs.csv")
    lines = list(csv.DictReader((tmp_path / "runs.csv").read_text("utf-8-sig").splitlines()))
    assert [line["kind"] for line in lines] == ["http", "wyoming_stream"]
    kept.nth(1).get_by_role("checkbox").uncheck()
    panel(desktop, "stream_test").get_by_role("button", name="Delete the ticked").click()
    expect(desktop.locator("#stream_test .run-list")).not_to_contain_text("HTTP")
    kept.nth(0).get_by_role("button", name="Open").click()
    expect(lanes).to_have_count(1)


def test_rounds_in_turn_are_one_kept_run_and_their_table_is_accessible_in_german_on_a_phone(
    german: Page,
) -> None:
    open_tab(german, "stream_test", "de")
    panel(german, "stream_test").get_by_label("Mit einem zweiten Client vergleichen").check()
    german.locator("#stream_test-kind_b").select_option("wyoming_plain")
    panel(german, "stream_test").get_by_label("Reihenfolge").select_option("after")
    german.locator("#stream_test-rounds").fill("2")
    german.evaluate(_RECORD_NOTES)
    start(german, SHORT_TEXT, pace=100)
    wait_until_over(german)
    sides = ["A", "B", "B", "A"]  # who was second begins the next round
    assert german.evaluate("stNotes") == [
        f"Runde {number // 2 + 1} von 2, {side}" for number, side in enumerate(sides)
    ]
    expect(german.locator("#stream_test .st-note")).to_contain_text("A: Bediente Clients: 2 von 2")
    expect(german.locator("#stream_test-stop")).to_be_hidden()
    expect(german.locator("#stream_test .st-note")).to_be_in_viewport()
    heads = german.locator("#stream_test thead th").all_inner_texts()
    assert heads[1:] == [
        *("A (Runden: 2)", "B (Runden: 2)"),
        *("Unterschied der Mediane (B\N{NO-BREAK SPACE}−\N{NO-BREAK SPACE}A)", "Erkennbar?"),
    ]
    spoken = german.locator("tr[data-figure=spoken] td").all_inner_texts()
    assert spoken == ["1 (1 – 1)", "1 (1 – 1)", "±0 (±0 %)", "nein"]
    expect(german.locator("#stream_test .st-few")).to_contain_text("weniger als 5 Runden")
    for cell in german.locator("tr[data-figure=ttfa_p50] > *").all():
        box = cell.bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= 390  # all of it is in sight, and says which column it is
    label = german.locator("tr[data-figure=ttfa_p50] td").nth(1)
    assert "B (Runden: 2)" in label.evaluate("(it) => getComputedStyle(it, '::before').content")
    kept = german.locator("#stream_test .run-list li")
    expect(kept.filter(has_text="Runden: 2")).to_have_count(2)
    german.locator("#stream_test .st-log summary").first.click()
    assert german.evaluate("document.documentElement.scrollWidth") <= 390
    assert accessibility_violations(german, "#stream_test") == []
    german.locator("#stream_test-rounds").fill("1")


def test_two_clients_speak_at_the_same_time_in_german_on_a_phone(german: Page) -> None:
    open_tab(german, "stream_test", "de")
    panel(german, "stream_test").get_by_label("Mit einem zweiten Client vergleichen").check()
    panel(german, "stream_test").get_by_label("Reihenfolge").select_option("together")
    start(german, SHORT_TEXT, pace=100)
    wait_until_over(german)
    for side in range(2):
        expect(german.locator("#stream_test .sl-row").nth(side)).to_contain_text("gesprochen")
    expect(german.locator("#stream_test .st-note")).to_contain_text("A: Bediente Clients: 1 von 1")
