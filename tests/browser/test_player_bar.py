"""The player bar: playback, stopping, words, pictures, saving, and what was heard before."""

from __future__ import annotations

import io
import json
import re
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, Request, expect

from tests.browser.listen_tab import EMBEDDED, LONG, ListenTab
from tests.browser.page_actions import DESKTOP, PHONE, checked_page, open_tab, resize
from tests.support.page_site import Site
from ui.scripts import path_of

# Gradio's analytics use a deprecated pandas feature.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

CLASSIC_WORKERS = "window.Worker = class { terminate() {} };"
"""A browser whose workers are never modules: it does not read the option."""


def height_of(element: Locator) -> float:
    return float(element.evaluate("(each) => each.getBoundingClientRect().height"))


def test_a_phone_shows_one_line_of_the_bar_and_the_rest_on_request(tab: ListenTab) -> None:
    page = tab.page
    bar, wave, words = (page.locator(f"#player-bar .player{part}") for part in ("", "-wave", "-words"))
    tab.hear("All of this is in one line.")
    for width in (320, PHONE["width"]):
        resize(page, {"width": width, "height": 640})
        assert height_of(bar) <= 70, width
        expect(words).to_be_hidden()
        assert wave.evaluate("(each) => each.clientWidth") >= width / 2, width
        expect(page.locator("#player-bar [data-part=play]")).to_have_accessible_name("Play")
        expand = page.locator("#player-bar").get_by_role("button", name="Words and more")
        expand.click()
        parts = (page.locator(f"#player-bar [data-part={name}]") for name in ("save", "measured"))
        for part in (words, *parts):
            expect(part).to_be_visible()
        assert height_of(bar) <= 640 / 3, width
        expand.click()
        assert height_of(bar) <= 70, width
    resize(page, DESKTOP)


def test_the_wave_has_the_width_and_figures_stay_on_their_line(tab: ListenTab) -> None:
    page = tab.page
    tab.hear("Wide and long.")
    for width in (924, 1280):
        resize(page, {"width": width, "height": 720})
        wave, measured = (page.locator(f"#player-bar [data-part={part}]") for part in ("wave", "measured"))
        assert wave.evaluate("(each) => each.clientWidth") >= width * 0.4, width
        assert height_of(measured) < 30, width
        assert measured.evaluate("(each) => each.scrollWidth <= each.clientWidth"), width
    resize(page, DESKTOP)


def test_on_a_wide_screen_the_buttons_make_the_bar_no_higher(tab: ListenTab) -> None:
    for text in ("Heard before.", "Heard now."):
        tab.hear(text)
    expect(tab.page.get_by_role("button", name=re.compile("^Heard before"))).to_be_visible()
    line, told, wave = (
        height_of(tab.page.locator(f"#player-bar .player-{part}")) for part in ("line", "told", "wave")
    )
    assert line <= told + wave + 10


def test_speech_plays_until_stop_is_clicked(tab: ListenTab) -> None:
    tab.write(LONG)
    tab.speak()
    tab.wait_for("ttsPlayer.rms > 0.05")
    tab.stop()
    tab.wait_for("ttsPlayer.state === 'stopped' && ttsPlayer.rms < 0.001")
    tab.wait_until_idle()


def test_speaking_again_cancels_the_previous_request(tab: ListenTab) -> None:
    page = tab.page
    tab.write(LONG)
    tab.speak()
    tab.wait_for("ttsPlayer.state === 'playing'")
    first = page.evaluate_handle("ttsPlayer.clip")
    tab.write("Short.")
    tab.speak()
    tab.wait_for("ttsPlayer.state === 'done'")
    tab.wait_until_idle()
    assert not first.evaluate("(clip) => clip.isComplete && clip === ttsPlayer.clip")
    assert page.evaluate("ttsPlayer.clip.seconds") < 2


def painted(canvas: Locator) -> int:
    """Number of pixels that can be seen."""
    return int(
        canvas.evaluate(
            """(canvas) => canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height)
                 .data.filter((value, i) => i % 4 === 3 && value > 32).length"""
        )
    )


def test_the_waveform_grows_and_measurements_are_shown(tab: ListenTab) -> None:
    tab.hear("Draw me.")
    assert painted(tab.page.locator("#player-bar [data-part=wave]")) > 500
    measured = tab.page.locator("#player-bar [data-part=measured]").inner_text()
    assert "first sound after" in measured
    assert "received in" in measured


def test_a_worker_computes_the_spectrogram_once_it_is_unfolded(page: Page, site: Site) -> None:
    tab = ListenTab(page, site.url)  # the shared page may have its worker already
    unfold, canvas = (page.locator(f"#player-bar [data-part={part}]") for part in ("unfold", "spectrogram"))
    tab.hear("Draw me too.")
    assert page.workers == []
    with page.expect_worker() as worker:
        unfold.click()
    assert worker.value.url.endswith(f"/{path_of('spectrogram_worker')}")
    expect(canvas).to_have_attribute("data-drawable", "true")
    assert painted(canvas) > 500
    tab.hear("The next one is drawn as well.")
    expect(canvas).to_have_attribute("data-drawable", "true")
    assert painted(canvas) > 500
    wave = page.locator("#player-bar [data-part=wave]")
    edges = "(it) => [it.getBoundingClientRect().left, it.getBoundingClientRect().right]"
    assert canvas.evaluate(edges) == wave.evaluate(edges)
    unfold.press("Escape")
    expect(canvas).to_be_hidden()
    expect(unfold).to_have_attribute("aria-expanded", "false")


@pytest.mark.parametrize("missing", ["delete window.Worker;", CLASSIC_WORKERS], ids=["any", "modules"])
def test_the_spectrogram_is_left_out_where_workers_are_missing(page: Page, site: Site, missing: str) -> None:
    page.add_init_script(missing)
    tab = ListenTab(page, site.url)
    tab.hear("No picture.")
    expect(page.locator("#player-bar [data-part=wave]")).to_be_visible()
    expect(page.locator("#player-bar [data-part=unfold]")).to_be_hidden()


def test_what_was_heard_is_saved_in_each_format_and_with_its_captions(tab: ListenTab) -> None:
    tab.hear("Keep this.")
    assert save_as(tab, "mp3").startswith(b"\xff")
    assert save_as(tab, "opus").startswith(b"OggS")
    with wave.open(io.BytesIO(save_as(tab, "wav"))) as file:
        assert file.getnchannels() == 1
        assert file.getnframes() > file.getframerate() // 4
    captions = save_as(tab, "srt").decode()
    assert captions.startswith("1\n00:00:00,")
    assert "Keep this." in captions


def save_as(tab: ListenTab, kind: str) -> bytes:
    with tab.page.expect_download() as expected:
        tab.page.locator("#player-bar [data-part=save] select").select_option(kind)
    download = expected.value
    assert download.suggested_filename == f"{EMBEDDED}-Keep-this.{kind}"
    return download.path().read_bytes()


READ_ALONG = "Good **morning**, dear friends: it is 25 °C."
_MARKED_WORDS = """() => {
  window.marked = [];
  const words = document.querySelector("#player-bar .read-along");
  new MutationObserver(() => {
    const word = words.querySelector("[aria-current]");
    if (word) window.marked.push([word.textContent, ttsPlayer.position]);
  }).observe(words, { subtree: true, attributes: true, attributeFilter: ["aria-current"] });
}"""
_MARKED_TO_THE_END = "window.marked.length > 0 && ttsPlayer.state === 'done'"
"""Words of a clip that was played again; a busy machine may not see that it plays."""


def test_each_word_is_marked_while_it_sounds(tab: ListenTab) -> None:
    tab.page.evaluate(_MARKED_WORDS)
    tab.hear(READ_ALONG)
    marked: list[tuple[str, float]] = tab.page.evaluate("window.marked")
    words: list[dict[str, Any]] = tab.page.evaluate("ttsPlayer.clip.words")
    expected = ["Good", "morning", "dear", "friends", "it", "is", "25 °C"]
    assert [word["text"] for word in words] == expected
    # On a busy machine a short word may begin and end between two frames.
    assert [text for text, _ in marked] == [text for text in expected if text in dict(marked)]
    assert {"Good", "25 °C"} <= dict(marked).keys()
    starts = {word["text"]: word["start_time"] for word in words}
    ends = {word["text"]: after["start_time"] for word, after in pairwise(words)}
    for text, position in marked:
        assert starts[text] <= position < ends.get(text, 60.0)
    shown = tab.page.locator("#player-bar .read-along")
    assert shown.inner_text() == READ_ALONG.replace("*", "")  # no marks of Markdown
    assert shown.locator("[aria-current]").count() == 0


@pytest.mark.parametrize(("ending", "told"), [("stop()", "Stopped."), ("", "Failed")])
def test_words_are_never_those_of_another_clip(tab: ListenTab, ending: str, told: str) -> None:
    shown = tab.page.locator("#player-bar .read-along")
    tab.hear("First text.")
    answer = "new Promise(() => {})" if ending else "new Response('{}', { status: 500 })"
    tab.page.evaluate(
        f"""() => {{
          const real = window.fetch;
          window.fetch = async () => {answer};
          ttsPlayer.play({{ input: "Second text." }});
          window.fetch = real;
          {ending and "ttsPlayer." + ending}
        }}"""
    )
    expect(tab.page.locator("#player-bar [data-part=state]")).to_contain_text(told)
    expect(shown).to_have_text("Second text.")
    expect(shown.locator(".read-along-word")).to_have_count(0)


def test_a_word_that_is_clicked_plays_from_there(tab: ListenTab) -> None:
    tab.hear("One two three four five.")
    start = tab.page.evaluate("ttsPlayer.clip.words[3].start_time")
    tab.page.evaluate(_MARKED_WORDS)
    tab.page.locator("#player-bar .read-along-word", has_text="four").click()
    tab.wait_for(_MARKED_TO_THE_END)
    word, position = tab.page.evaluate("window.marked[0]")
    assert word == "four"
    assert position >= start


def test_a_word_can_be_clicked_while_the_rest_is_still_spoken(tab: ListenTab) -> None:
    tab.write(LONG)
    tab.speak()
    tab.wait_for("ttsPlayer.clip?.text.length > 100 && ttsPlayer.position > 1.5")
    tab.page.evaluate(_MARKED_WORDS)
    tab.page.locator("#player-bar .read-along-word").nth(1).click()
    second = tab.page.evaluate("ttsPlayer.clip.words[1].start_time")
    tab.wait_for(f"window.marked.some(([, position]) => position >= {second} && position < 1.5)")
    assert not tab.page.evaluate("ttsPlayer.clip.isComplete && ttsPlayer.state !== 'playing'")
    tab.wait_for("ttsPlayer.position > 2")
    tab.stop()
    tab.wait_until_idle()


def test_words_can_be_reached_and_played_by_keys(tab: ListenTab) -> None:
    tab.hear("One two three.")
    tab.page.evaluate(_MARKED_WORDS)
    tab.page.locator("#player-bar .read-along-word").first.focus()
    for key in ("ArrowRight", "ArrowRight", "Enter"):
        tab.page.keyboard.press(key)
    tab.wait_for(_MARKED_TO_THE_END)
    assert tab.page.evaluate("window.marked[0][1] >= ttsPlayer.clip.words[2].start_time - 0.1")


def test_what_was_heard_before_can_be_heard_again(tab: ListenTab) -> None:
    tab.hear("Once upon a time.")
    tab.hear("The end.")
    tab.page.locator("#player-bar [data-part=past]").click()
    tab.page.locator("#player-bar").get_by_role("button", name="Once upon a time.").click()
    tab.wait_for("ttsPlayer.state === 'done' && ttsPlayer.clip.text === 'Once upon a time.'")
    tab.page.locator("#player-bar [data-part=past]").click()


_NOTE_THAT_IT_PLAYS = """() => {
  window.hasPlayed = false;
  ttsPlayer.addEventListener("change", () => { window.hasPlayed ||= ttsPlayer.isBusy; });
}"""


def press_play(tab: ListenTab) -> list[str]:
    """Press the bar's Play, and tell what it asked the server to say before it ended."""
    asked: list[str] = []

    def note(request: Request) -> None:
        if request.url.endswith("/v1/audio/speech"):
            asked.append(json.loads(request.post_data or "{}")["input"])

    tab.page.on("request", note)
    tab.page.evaluate(_NOTE_THAT_IT_PLAYS)
    tab.page.locator("#player-bar [data-part=play]").click()
    tab.wait_for("window.hasPlayed && ttsPlayer.state === 'done'")
    tab.page.remove_listener("request", note)
    return asked


def test_play_speaks_what_is_typed_on_listen_and_repeats_the_clip_elsewhere(tab: ListenTab) -> None:
    page = tab.page
    repeat = page.locator("#player-bar").get_by_role("button", name="Repeat what was heard")
    tab.hear("Old.")
    assert press_play(tab) == []
    tab.write("New.")
    open_tab(page, "status")
    expect(repeat).to_be_hidden()
    assert press_play(tab) == []
    open_tab(page, "audition")
    repeat.click()
    tab.wait_for("ttsPlayer.state === 'done' && ttsPlayer.clip.text === 'Old.'")
    assert press_play(tab) == ["New."]
    page.evaluate("ttsPlayer.play({ input: 'Of a blend.' })")
    tab.wait_for("ttsPlayer.state === 'done'")
    assert press_play(tab) == ["New."]


def test_two_pages_do_not_speak_over_each_other(tab: ListenTab, site: Site) -> None:
    tab.write(LONG)
    tab.speak()
    tab.wait_for("ttsPlayer.state === 'playing'")
    with checked_page(tab.page.context) as other:
        ListenTab(other, site.url).hear("Me now.")
    tab.wait_for("ttsPlayer.state === 'stopped'")


def test_odd_sized_chunks_are_joined_and_a_late_chunk_is_an_underrun(tab: ListenTab) -> None:
    result = tab.page.evaluate(
        """async () => {
          const real = window.fetch;
          const bytes = new Uint8Array(Int16Array.from({ length: 4000 }, (_, i) => i).buffer);
          const send = (controller, event) => {
            const sent = new TextEncoder().encode(`data: ${JSON.stringify(event)}\\n\\n`);
            controller.enqueue(sent.slice(0, 7));
            controller.enqueue(sent.slice(7));
          };
          const sendAudio = (controller, from, to) => {
            const audio = btoa(String.fromCharCode(...bytes.slice(from, to)));
            send(controller, { type: "speech.audio.delta", audio });
          };
          const stream = new ReadableStream({
            async start(controller) {
              sendAudio(controller, 0, 1601);
              await new Promise((resolve) => setTimeout(resolve, 400)); // of 100 ms of audio
              for (let at = 1601; at < bytes.length; at += 333) sendAudio(controller, at, at + 333);
              send(controller, { type: "speech.audio.done" });
              controller.close();
            },
          });
          window.fetch = async () => new Response(stream, { headers: { "X-Sample-Rate": "8000" } });
          const playing = ttsPlayer.play({ input: "x" });
          window.fetch = real;
          const clip = await playing;
          const samples = Array.from(clip.joined(), (x) => Math.round(x * 32768));
          return [samples.every((x, i) => x === i), samples.length, clip.rate, ttsPlayer.stats.underruns];
        }"""
    )
    assert result == [True, 4000, 8000, 1]


@contextmanager
def a_minute_later(page: Page) -> Iterator[None]:
    """Meanwhile the page's clock is a minute ahead."""
    page.evaluate("{ const now = performance.now.bind(performance); performance.now = () => now() + 60000; }")
    yield
    page.evaluate("delete performance.now")


def test_sound_that_ran_dry_is_waited_for_with_the_seconds(tab: ListenTab) -> None:
    state, elapsed = (tab.page.locator(f"#player-bar [data-part={part}]") for part in ("state", "elapsed"))
    tab.page.evaluate(
        """() => {
          const real = window.fetch;
          const audio = btoa(String.fromCharCode(...new Uint8Array(800)));
          const begun = `data: ${JSON.stringify({ type: "speech.audio.delta", audio })}\n\n`;
          const start = (controller) => controller.enqueue(new TextEncoder().encode(begun)); // and never ends
          window.fetch = async () => new Response(new ReadableStream({ start }), {
            headers: { "X-Sample-Rate": "8000" },
          });
          ttsPlayer.play({ input: "x" });
          window.fetch = real;
        }"""
    )
    expect(state).to_have_text("Waiting for more…")
    with a_minute_later(tab.page):
        expect(elapsed).to_have_text(re.compile(r"^6\d s$"))
    tab.stop()
    expect(elapsed).to_have_text("")
    expect(state).to_have_text("Stopped.")


def test_a_long_wait_for_a_voice_says_that_its_model_is_loaded(tab: ListenTab) -> None:
    state = tab.page.locator("#player-bar [data-part=state]")
    tab.page.evaluate(
        """() => {
          const real = window.fetch;
          window.fetch = (_, { signal }) => new Promise((_, reject) => {
            signal.addEventListener("abort", () => reject(signal.reason));
          });
          ttsPlayer.play({ input: "x" });
          window.fetch = real;
        }"""
    )
    expect(state).to_have_text("Waiting for the voice…")
    with a_minute_later(tab.page):
        expect(state).to_contain_text("its model is loaded")
    tab.stop()
    expect(state).to_have_text("Stopped.")


def test_an_answer_that_breaks_off_is_shown_as_a_problem(tab: ListenTab) -> None:
    state = tab.page.evaluate(
        """async () => {
          const real = window.fetch;
          const audio = btoa(String.fromCharCode(...new Uint8Array(800)));
          const begun = `data: ${JSON.stringify({ type: "speech.audio.delta", audio })}\\n\\n`;
          window.fetch = async () => new Response(begun, { headers: { "X-Sample-Rate": "8000" } });
          const playing = ttsPlayer.play({ input: "x" });
          window.fetch = real;
          await playing;
          return ttsPlayer.state;
        }"""
    )
    assert state == "failed"


def test_a_failed_request_is_shown_as_a_problem(tab: ListenTab) -> None:
    problem = tab.page.evaluate(
        "ttsPlayer.play({input: 'x', voice: 'nobody'}).then(() => [ttsPlayer.state, ttsPlayer.error.message])"
    )
    assert problem[0] == "failed"
    assert "nobody" in problem[1]
    problems = tab.problems.found
    problems[:] = [line for line in problems if "v1/audio/speech" not in line]  # the browser logs it as well


def test_a_browser_without_web_audio_falls_back_to_an_audio_element_and_says_so(
    german_context: BrowserContext, site: Site
) -> None:
    with checked_page(german_context) as page:
        page.add_init_script("delete window.AudioContext; delete window.webkitAudioContext;")
        check_fallback_playback(ListenTab(page, site.url))


def check_fallback_playback(tab: ListenTab) -> None:
    page = tab.page
    expect(page.locator("#player-bar [data-part=plain]")).to_contain_text("Dieser Browser")
    tab.write("Plainly.")
    with page.expect_request("**/synthesize-stream?**") as expected:
        tab.speak()
    assert "text=Plainly" in expected.value.url
    tab.wait_for("ttsPlayer.state === 'done'")
