"""The Preview tab in a browser: what is heard, how soon, and what stops it."""

from __future__ import annotations

import io
import statistics
import wave
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import EMBEDDED
from tests.browser.page_actions import checked_page, name_player, problems_of
from tests.support.page_site import Site

# Gradio's count of its own events asks pandas for what is going away.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

SOON = 250
"""Milliseconds from the click to the first sound."""
TIMEOUT_MILLISECONDS = 40_000
"""Milliseconds for what takes one or two where nothing else runs."""
ROUNDS = 6
"""Of measuring: a machine that has much else to do says nothing of the page."""
TAKES = 5
"""Of which the median counts."""
SHOWN = "English (US) · eSpeak NG · espeak-en-us"
SENTENCE = "This is a rather long text that is spoken for quite a while. "
LONG = SENTENCE * 40


class Tab:
    """The tab, open in a browser."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.problems = problems_of(page)
        page.set_default_timeout(TIMEOUT_MILLISECONDS)
        page.goto(url)
        expect(page.locator("#preview-voice input")).to_have_value(SHOWN, timeout=TIMEOUT_MILLISECONDS)
        expect(page.locator("#preview-text textarea")).not_to_have_value("", timeout=TIMEOUT_MILLISECONDS)
        name_player(page)

    def eventually(self, condition: str) -> None:
        self.page.wait_for_function(condition, timeout=TIMEOUT_MILLISECONDS, polling=20)

    def silent(self) -> None:
        """The server has no stream left."""
        self.eventually(
            "fetch('status').then((answer) => answer.json()).then((told) => told.load.streams === 0)"
        )

    def write(self, text: str) -> None:
        self.page.locator("#preview-text textarea").fill(text)

    def press(self, name: str) -> None:
        self.page.locator(f"#preview-{name}").click()

    def choose(self, name: str, option: str) -> None:
        self.page.locator(f"#preview-{name} input").fill(option)
        self.page.locator(f"#preview-{name}").get_by_role("option", name=option).last.click()


@pytest.fixture(scope="module")
def opened(site: Site, context: BrowserContext) -> Iterator[Tab]:
    with checked_page(context) as page:
        yield Tab(page, site.url)


@pytest.fixture
def tab(opened: Tab) -> Iterator[Tab]:
    yield opened
    assert opened.problems.found == []


def test_the_page_opens_with_an_example_and_what_the_voice_can_be_told(tab: Tab) -> None:
    expect(tab.page.locator("#preview-pitch")).to_be_visible()
    expect(tab.page.locator("#preview-noise_scale")).to_have_count(0)
    assert "morning" in tab.page.locator("#preview-text textarea").input_value()


def test_speech_is_heard_until_stop(tab: Tab) -> None:
    tab.write(LONG)
    tab.press("speak")
    tab.eventually("ttsPlayer.rms > 0.05")
    tab.press("stop")
    tab.eventually("ttsPlayer.state === 'stopped' && ttsPlayer.rms < 0.001")
    tab.silent()


@pytest.mark.timeout(150)
def test_a_click_is_heard_soon(tab: Tab, capsys: pytest.CaptureFixture[str]) -> None:
    heard(tab, "Warm.")
    medians = []
    for round_ in range(ROUNDS):
        times = [heard(tab, f"Take {round_} {number}: the kettle is on. " * 4) for number in range(TAKES)]
        told, sounding = ([time[i] for time in times] for i in (0, 1))
        with capsys.disabled():
            print(f"\nclick to first sound: page {_spread(told)}, analyser {_spread(sounding)}")
        medians.append(max(statistics.median(told), statistics.median(sounding)))
        if medians[-1] < SOON:
            break
    assert min(medians) < SOON


def heard(tab: Tab, text: str) -> tuple[float, float]:
    """Milliseconds from a click to the first sound: as the page tells, and as its analyser hears it."""
    tab.write(text)
    tab.page.evaluate(
        """() => {
          window.firstSound = null;
          const look = (clicked) => {
            if (ttsPlayer.rms > 0.01) window.firstSound = performance.now() - clicked;
            else setTimeout(look, 2, clicked);
          };
          document
            .getElementById("preview-speak")
            .addEventListener("click", (event) => look(event.timeStamp), { capture: true, once: true });
        }"""
    )
    tab.press("speak")
    tab.eventually("window.firstSound !== null")
    times = tab.page.evaluate("[ttsPlayer.stats.heard, window.firstSound]")
    tab.press("stop")
    tab.eventually("ttsPlayer.rms < 0.001")
    return times[0], times[1]


def test_speaking_again_cancels_the_one_before(tab: Tab) -> None:
    page = tab.page
    tab.write(LONG)
    page.locator("#preview-text textarea").press("Control+Enter")
    tab.eventually("ttsPlayer.state === 'playing'")
    first = page.evaluate_handle("ttsPlayer.clip")
    tab.write("Short.")
    tab.press("speak")
    tab.eventually("ttsPlayer.state === 'done'")
    tab.silent()
    assert not first.evaluate("(clip) => clip.isWhole && clip === ttsPlayer.clip")
    assert page.evaluate("ttsPlayer.clip.seconds") < 2


def test_what_was_heard_is_drawn(tab: Tab) -> None:
    tab.write("Draw me.")
    tab.press("speak")
    tab.eventually("ttsPlayer.state === 'done'")
    for name in ("wave", "spectrogram"):
        painted = tab.page.locator(f"#preview-player [data-part={name}]").evaluate(
            """(canvas) => canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height)
                 .data.filter((value, i) => i % 4 === 3 && value > 32).length"""
        )
        assert painted > 500, name
    told = tab.page.locator("#preview-player [data-part=measured]").inner_text()
    assert "first sound after" in told
    assert "real-time factor" in told


@pytest.mark.parametrize(("kind", "start"), [("mp3", b"\xff"), ("opus", b"OggS")])
def test_compressed_files_are_what_they_say(tab: Tab, kind: str, start: bytes) -> None:
    assert downloaded(tab, kind).startswith(start)


def test_a_downloaded_wav_plays(tab: Tab) -> None:
    with wave.open(io.BytesIO(downloaded(tab, "wav"))) as file:
        assert file.getnchannels() == 1
        assert file.getnframes() > file.getframerate() // 4


def downloaded(tab: Tab, kind: str) -> bytes:
    tab.write("Keep this.")
    with tab.page.expect_download() as coming:
        tab.page.locator(f"#preview-{kind}").click()
    download = coming.value
    assert download.suggested_filename == f"{EMBEDDED}.{kind}"
    return download.path().read_bytes()


def test_what_will_be_said_unfolds_and_follows_the_text(tab: Tab) -> None:
    page = tab.page
    tab.write("It is **21.5 °C**. Fine?")
    page.get_by_role("button", name="What will be spoken").click()
    expect(page.locator("#preview-cleaned textarea")).to_have_value("It is 21.5 °C. Fine?")
    expect(page.locator("#preview-segments li")).to_have_count(2)
    expect(page.locator("#preview-segments .preview-phonemes").last).to_contain_text("f")
    tab.write("One <b> & two")
    page.locator("#preview-text textarea").blur()
    expect(page.locator("#preview-segments li")).to_have_count(1)
    page.get_by_role("button", name="What will be spoken").click()


def test_one_key_turns_to_the_other_voice(tab: Tab) -> None:
    page = tab.page
    page.get_by_role("button", name="Compare two voices").click()
    tab.choose("other", "espeak-en-gb-scotland")
    tab.write(SENTENCE * 5)
    asked: list[Any] = []
    page.on("request", lambda made: asked.append(made.post_data_json) if "speech" in made.url else None)
    tab.press("speak")
    tab.eventually("ttsPlayer.state === 'playing' && ttsPlayer.clip?.isWhole")
    page.keyboard.press("F2")
    expect(page.locator("#preview-player [data-part=side]")).to_have_text("B")
    tab.eventually("ttsPlayer.rms > 0.02 && ttsPlayer.clip?.isWhole")
    page.wait_for_function("ttsPlayer.fraction > 0.005")
    page.keyboard.press("F2")
    expect(page.locator("#preview-player [data-part=side]")).to_have_text("A")
    tab.eventually("ttsPlayer.rms > 0.02 && ttsPlayer.fraction > 0.005")
    page.keyboard.press("Escape")
    tab.eventually("ttsPlayer.state === 'stopped'")
    # A was heard again from what had been kept of it.
    assert [body["voice"] for body in asked] == [EMBEDDED, "espeak-en-gb-scotland"]


def test_a_voice_of_several_speakers_brings_them_and_its_sliders(tab: Tab) -> None:
    page = tab.page
    tab.choose("voice", "de_DE-tones-low")
    expect(page.locator("#preview-speaker input")).to_have_value("anna")
    expect(page.locator("#preview-length_scale input[type=number]")).to_have_value("1.25")
    expect(page.locator("#preview-pitch")).to_have_count(0)
    tab.choose("speaker", "bert")
    page.locator("#preview-noise_scale input[type=number]").fill("0.4")
    page.locator("#preview-noise_scale input[type=number]").blur()
    tab.write("Ho")
    with page.expect_request("**/v1/audio/speech") as coming:
        tab.press("speak")
    body = coming.value.post_data_json
    assert body == {
        "input": "Ho",
        "speed": 1,
        "volume": 1,
        "voice": "de_DE-tones-low",
        "sample_rate": 16000,
        "speaker": "bert",
        "noise_scale": 0.4,
        "response_format": "pcm",
    }
    tab.eventually("ttsPlayer.state === 'done'")


def test_bytes_in_odd_pieces_are_joined_and_what_comes_too_late_is_waited_for(tab: Tab) -> None:
    told = tab.page.evaluate(
        """async () => {
          const real = window.fetch;
          const bytes = new Uint8Array(Int16Array.from({ length: 4000 }, (_, i) => i).buffer);
          const stream = new ReadableStream({
            async start(controller) {
              controller.enqueue(bytes.slice(0, 1601));
              await new Promise((resolve) => setTimeout(resolve, 400)); // of 100 ms of audio
              for (let at = 1601; at < bytes.length; at += 333) controller.enqueue(bytes.slice(at, at + 333));
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
    assert told == [True, 4000, 8000, 1]


def test_what_fails_is_told(tab: Tab) -> None:
    problem = tab.page.evaluate(
        "ttsPlayer.play({input: 'x', voice: 'nobody'}).then(() => [ttsPlayer.state, ttsPlayer.problem])"
    )
    assert problem[0] == "failed"
    assert "nobody" in problem[1]
    told = tab.problems.found
    told[:] = [line for line in told if "v1/audio/speech" not in line]  # the browser complains, too


def test_a_browser_without_web_audio_plays_plainly_and_says_so(
    german_context: BrowserContext, site: Site
) -> None:
    with checked_page(german_context) as page:
        page.add_init_script("delete window.AudioContext; delete window.webkitAudioContext;")
        plays_plainly(Tab(page, site.url))


def plays_plainly(tab: Tab) -> None:
    page = tab.page
    expect(page.locator("#preview-player [data-part=plain]")).to_contain_text("Dieser Browser")
    tab.write("Plainly.")
    with page.expect_request("**/synthesize-stream?**") as coming:
        tab.press("speak")
    assert "text=Plainly" in coming.value.url
    tab.eventually("ttsPlayer.state === 'done'")


def _spread(times: list[float]) -> str:
    return f"median {statistics.median(times):.0f} ms ({min(times):.0f} to {max(times):.0f})"
