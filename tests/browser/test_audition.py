"""The Listen tab and the player bar: cards, playback, stopping, words, saving, and what is kept."""

from __future__ import annotations

import io
import json
import re
import wave
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.browser.conftest import EMBEDDED
from tests.browser.page_actions import checked_page, name_player, open_first_tab, problems_of
from tests.support.page_site import Site
from ui.scripts import path_of

# Gradio's analytics use a deprecated pandas feature.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

TIMEOUT_MILLISECONDS = 40_000
"""Milliseconds; generous, for actions that take one or two seconds on an idle machine."""
SENTENCE = "This is a rather long text that is spoken for quite a while. "
LONG = SENTENCE * 40
CLASSIC_WORKERS = "window.Worker = class { terminate() {} };"
"""A browser whose workers are never modules: it does not read the option."""


class ListenTab:
    """The Listen tab, open in a browser."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.problems = problems_of(page)
        page.set_default_timeout(TIMEOUT_MILLISECONDS)
        self.open(url)

    def open(self, url: str) -> None:
        self.page.goto(url)
        open_first_tab(self.page)
        expect(self.card(EMBEDDED)).to_have_class(re.compile("card-chosen"))
        expect(self.text).not_to_have_value("")
        name_player(self.page)

    @property
    def text(self) -> Locator:
        return self.page.locator("#audition-text")

    def card(self, voice: str) -> Locator:
        return self.page.locator(f'.card[data-voice="{voice}"]')

    def find(self, query: str) -> list[str]:
        """Search voices, and return those that are shown."""
        self.page.locator("#audition-search").fill(query)
        shown: list[str] = self.page.locator(".card:not([hidden])").evaluate_all(
            "(cards) => cards.map((card) => card.dataset.voice)"
        )
        return shown

    def hear_card(self, voice: str) -> None:
        self.find(voice)
        self.card(voice).locator(".card-play").click()

    def unfold(self, name: str) -> None:
        self.page.locator(f"#audition-{name} > summary").click()

    def wait_for(self, condition: str) -> None:
        self.page.wait_for_function(condition, timeout=TIMEOUT_MILLISECONDS, polling=20)

    def wait_until_idle(self) -> None:
        """Wait until the server has no active streams."""
        self.wait_for(
            "fetch('status').then((answer) => answer.json()).then((status) => status.load.streams === 0)"
        )

    def write(self, text: str) -> None:
        self.text.fill(text)

    def speak(self) -> None:
        self.text.press("Control+Enter")

    def stop(self) -> None:
        self.page.locator("#player-bar [data-part=play]").click()

    def hear(self, text: str) -> None:
        """Have a text spoken to its end."""
        self.write(text)
        self.speak()
        self.wait_for(f"ttsPlayer.state === 'done' && ttsPlayer.clip?.text === {json.dumps(text)}")


@pytest.fixture(scope="module")
def shared_tab(site: Site, context: BrowserContext) -> Iterator[ListenTab]:
    with checked_page(context) as page:
        yield ListenTab(page, site.url)


@pytest.fixture
def tab(shared_tab: ListenTab) -> Iterator[ListenTab]:
    yield shared_tab
    assert shared_tab.problems.found == []


def test_the_tab_opens_with_an_example_text_and_the_chosen_voices_own_sliders(tab: ListenTab) -> None:
    tab.unfold("more")
    expect(tab.page.locator("#audition-pitch")).to_be_visible()
    expect(tab.page.locator("#audition-noise_scale")).to_have_count(0)
    assert "morning" in tab.text.input_value()
    tab.unfold("more")


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
    assert "real-time factor" in measured


def test_a_worker_computes_the_spectrogram_once_it_is_unfolded(tab: ListenTab) -> None:
    page = tab.page
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
    unfold.click()
    expect(canvas).to_be_hidden()


@pytest.mark.parametrize("missing", ["delete window.Worker;", CLASSIC_WORKERS], ids=["any", "modules"])
def test_the_spectrogram_is_left_out_where_workers_are_missing(page: Page, site: Site, missing: str) -> None:
    page.add_init_script(missing)
    tab = ListenTab(page, site.url)
    tab.hear("No picture.")
    expect(page.locator("#player-bar [data-part=wave]")).to_be_visible()
    expect(page.locator("#player-bar [data-part=unfold]")).to_be_hidden()


@pytest.mark.parametrize(("kind", "start"), [("mp3", b"\xff"), ("opus", b"OggS")])
def test_downloaded_compressed_files_have_their_formats_magic_bytes(
    tab: ListenTab, kind: str, start: bytes
) -> None:
    assert download_audio(tab, kind).startswith(start)


def test_a_downloaded_wav_file_is_valid(tab: ListenTab) -> None:
    with wave.open(io.BytesIO(download_audio(tab, "wav"))) as file:
        assert file.getnchannels() == 1
        assert file.getnframes() > file.getframerate() // 4


def download_audio(tab: ListenTab, kind: str) -> bytes:
    tab.hear("Keep this.")
    with tab.page.expect_download() as expected:
        tab.page.locator("#player-bar [data-part=save]").select_option(kind)
    download = expected.value
    assert download.suggested_filename == f"{EMBEDDED}.{kind}"
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
    assert shown.inner_text() == READ_ALONG
    assert shown.locator("[aria-current]").count() == 0


def test_a_word_that_is_clicked_plays_from_there(tab: ListenTab) -> None:
    tab.hear("One two three four five.")
    start = tab.page.evaluate("ttsPlayer.clip.words[3].start_time")
    tab.page.evaluate(_MARKED_WORDS)
    tab.page.locator("#player-bar .read-along-word", has_text="four").click()
    tab.wait_for("ttsPlayer.state === 'playing' && ttsPlayer.position > 0")
    assert tab.page.evaluate("ttsPlayer.position") >= start
    tab.wait_for("ttsPlayer.state === 'done'")
    assert [text for text, _ in tab.page.evaluate("window.marked")][:1] == ["four"]


def test_a_word_can_be_clicked_while_the_rest_is_still_spoken(tab: ListenTab) -> None:
    tab.write(LONG)
    tab.speak()
    tab.wait_for("ttsPlayer.clip?.text.length > 100 && ttsPlayer.position > 1.5")
    tab.page.locator("#player-bar .read-along-word").nth(1).click()
    second = tab.page.evaluate("ttsPlayer.clip.words[1].start_time")
    tab.wait_for(f"ttsPlayer.position >= {second} && ttsPlayer.position < 1.5")
    assert not tab.page.evaluate("ttsPlayer.clip.isComplete && ttsPlayer.state !== 'playing'")
    tab.wait_for("ttsPlayer.position > 2")
    tab.stop()
    tab.wait_until_idle()


def test_words_can_be_reached_and_played_by_keys(tab: ListenTab) -> None:
    tab.hear("One two three.")
    tab.page.locator("#player-bar .read-along-word").first.focus()
    for key in ("ArrowRight", "ArrowRight", "Enter"):
        tab.page.keyboard.press(key)
    tab.wait_for("ttsPlayer.state === 'playing'")
    assert tab.page.evaluate("ttsPlayer.position >= ttsPlayer.clip.words[2].start_time - 0.1")
    tab.wait_for("ttsPlayer.state === 'done'")


def test_captions_are_saved_beside_the_sound(tab: ListenTab) -> None:
    captions = download_audio(tab, "srt").decode()
    assert captions.startswith("1\n00:00:00,")
    assert "Keep this." in captions


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
    expect(title).to_have_text("British English")
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


def test_a_blind_comparison_of_the_shortlist_names_the_winner_at_its_end(tab: ListenTab) -> None:
    page = tab.page
    tab.write("Ho.")
    shortlist = ["de_DE-tones-low", "espeak-en-gb-scotland"]
    for voice in shortlist:
        tab.find(voice)
        tab.card(voice).locator(".card-star").click()
    page.locator("#audition-blind").click()
    dialog = page.get_by_role("dialog")
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
    winner = "Tones" if preferred == "de_DE-tones-low" else "British English"
    expect(dialog.get_by_role("heading")).to_have_text(f"{winner} won")
    expect(dialog.locator("tr").first).to_contain_text("1 of 1")
    dialog.get_by_role("button", name=f"Choose {winner}").click()
    expect(tab.card(preferred)).to_have_class(re.compile("card-chosen"))
    for voice in shortlist:
        tab.find(voice)
        tab.card(voice).locator(".card-star").click()
    tab.hear_card(EMBEDDED)
    tab.find("")


def test_two_cards_put_together_are_a_blend_with_one_slider_that_is_kept(tab: ListenTab) -> None:
    page = tab.page
    tab.write("Ho.")
    tab.find("american kokoro female")
    tab.card("af_bella").drag_to(tab.card("af_sky"))
    expect(page.locator("#audition-pair-a")).to_have_text("Bella 50 %")
    tab.wait_for("ttsPlayer.body?.voice === 'af_sky' && ttsPlayer.state === 'done'")
    share = page.locator("#audition-pair-share")
    share.focus()
    page.keyboard.press("ArrowRight")
    tab.wait_for("ttsPlayer.body?.voice === 'af_bella(45)+af_sky(55)' && ttsPlayer.state === 'done'")
    expect(page.locator("#audition-pair-name")).to_have_value("bella_sky")
    page.get_by_role("button", name="Keep this blend").click()
    expect(tab.card("bella_sky")).to_have_class(re.compile("card-chosen"))
    expect(page.locator("#audition-use-title")).to_have_text("Use bella_sky")
    page.request.post(f"{page.url}page/blends/remove", data={"name": "bella_sky"})
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
    expect(page.locator("#audition-used")).to_contain_text("Tones speaks until the server restarts")
    expect(page.locator("#audition-make-default")).to_be_disabled()
    tab.hear_card(EMBEDDED)
    page.locator("#audition-make-default").click()
    expect(page.locator("#audition-make-default")).to_be_disabled()
    tab.find("")


def test_what_was_typed_and_chosen_survives_a_reload(page: Page, site: Site) -> None:
    tab = ListenTab(page, site.url)
    tab.write("Still here?")
    tab.hear_card("de_DE-tones-low")
    tab.page.reload()
    expect(tab.text).to_have_value("Still here?")
    expect(tab.card("de_DE-tones-low")).to_have_class(re.compile("card-chosen"))
    expect(tab.page.locator("#audition-search")).to_have_value("de_DE-tones-low")
    page.evaluate("localStorage.clear()")


def test_a_link_opens_with_its_voice_and_text(page: Page, site: Site) -> None:
    page.goto(f"{site.url}#voice=de_DE-tones-low&text=Linked%20words")
    expect(page.locator("#audition-text")).to_have_value("Linked words")
    expect(page.locator('.card[data-voice="de_DE-tones-low"]')).to_have_class(re.compile("card-chosen"))
    assert page.evaluate("location.hash") == ""
    page.evaluate("localStorage.clear()")


def test_what_was_heard_before_can_be_heard_again(tab: ListenTab) -> None:
    tab.hear("Once upon a time.")
    tab.hear("The end.")
    tab.page.locator("#player-bar [data-part=past]").click()
    tab.page.get_by_role("button", name="Once upon a time.").click()
    tab.wait_for("ttsPlayer.state === 'done' && ttsPlayer.clip.text === 'Once upon a time.'")
    tab.page.locator("#player-bar [data-part=past]").click()


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
