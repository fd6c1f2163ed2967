"""Words in time, exact to the frame, over the connections of a real server whose voices speak in tones."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import cycle, pairwise
from typing import Any, NamedTuple

import httpx
import numpy as np
import numpy.typing as npt
import pytest
import pytest_asyncio

from tests.support.server_process import SPEAKS_LETTERS, RunningServer, server_process
from tests.support.timed_words import parse_srt, parse_vtt
from tests.support.tones import KOKORO, LETTERS, LOW, ToneVoice, silences, stretches
from wyoming_tts import client
from wyoming_tts.speech import AudioFormat, SpokenWord, TextFormat, VoiceRequest

pytestmark = pytest.mark.asyncio(loop_scope="module")

RATE = LETTERS.rate
_PAD = "_"
_FRAME_AND_PAD = f"{_PAD}^$"
PLAIN = "One two, three. Four five!"
PLAIN_SAID = (("One", "One"), ("two", "two"), ("three", "three"), ("Four", "Four"), ("five", "five"))


@dataclass(frozen=True, slots=True)
class Heard:
    """What came over a connection."""

    samples: npt.NDArray[np.int16]
    rate: int
    words: Sequence[SpokenWord]
    begun: Sequence[int]
    """Samples before the audio with which each word was told."""
    precision: float = 1e-6
    """Seconds by which times may be rounded."""

    @property
    def spans(self) -> list[tuple[float, float]]:
        """First and last sample of each word."""
        return [(word.start_time * self.rate, word.end_time * self.rate) for word in self.words]


class Slot(NamedTuple):
    """A phoneme in the audio."""

    symbol: str
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Server:
    """The server, and how to reach it."""

    uri: str
    http: httpx.AsyncClient

    async def over_http(self, text: str, **fields: Any) -> Heard:
        """Speak by OpenAI's API, with events."""
        body = {"input": text, "voice": LETTERS.name, "response_format": "pcm", "sample_rate": RATE, **fields}
        body |= {"stream_format": "sse", "return_timestamps": True}
        pcm, words, begun = b"", list[SpokenWord](), list[int]()
        async with self.http.stream("POST", "/v1/audio/speech", json=body) as response:
            assert response.status_code == httpx.codes.OK, await response.aread()
            async for line in response.aiter_lines():
                event = json.loads(line.removeprefix("data: ")) if line.startswith("data: {") else {}
                if event.get("type") == "speech.audio.words":
                    words += [SpokenWord(**word) for word in event["words"]]
                    begun += [len(pcm) // 2] * len(event["words"])
                elif event.get("type") == "speech.audio.delta":
                    pcm += base64.b64decode(event["audio"])
        return Heard(np.frombuffer(pcm, "<i2"), body["sample_rate"], words, begun, precision=0.0005)

    async def over_wyoming(
        self,
        *text: str,
        voice: str = LETTERS.name,
        text_format: TextFormat = TextFormat.PLAIN,
        streaming: bool = False,
    ) -> Heard:
        """Speak by the Wyoming protocol, text in any number of pieces."""
        pcm, rate, words, begun = bytearray(), 0, list[SpokenWord](), list[int]()

        async def pieces() -> AsyncIterator[str]:
            for piece in text:
                yield piece

        async def keep(audio: AudioFormat, more: bytes) -> None:
            nonlocal rate
            rate = audio.rate
            pcm.extend(more)

        def note(told: Sequence[SpokenWord]) -> None:
            words.extend(told)
            begun.extend([len(pcm) // 2] * len(told))

        await client.speak(
            self.uri,
            pieces(),
            on_audio=keep,
            on_words=note,
            voice=VoiceRequest(name=voice),
            text_format=text_format,
            streaming=streaming,
        )
        return Heard(np.frombuffer(bytes(pcm), "<i2"), rate, words, begun)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def process() -> AsyncIterator[tuple[RunningServer, Server]]:
    flags = ("--http", "--http-port", "0", "--no-ui", "--http-host", "127.0.0.1", "--trailing-silence", "0")
    async with server_process(*flags, *SPEAKS_LETTERS) as running:
        found = await running.read_until(r"HTTP API listens on (http://127\.0\.0\.1:\d+)")
        async with httpx.AsyncClient(base_url=found[1], trust_env=False) as http:
            yield running, Server(running.uri, http)


@pytest.fixture
def server(process: tuple[RunningServer, Server]) -> Server:
    return process[1]


def slots(heard: Heard, voices: Sequence[ToneVoice] = (LETTERS,), *, speed: float = 1.0) -> list[Slot]:
    """Decode each phoneme id, and where it is.

    Of several voices each speaks one stretch of sound, in turn.
    """
    found, begin = [], 0
    parts = zip(cycle(voices), silences(heard.samples), stretches(heard.samples), strict=False)
    for voice, silence, stretch in parts:
        names = {number: symbol for symbol, number in voice.symbols.items()}
        begin += silence
        (tones,) = voice.spoken(stretch, speed=speed)
        edges = [begin + voice.slot_begin(number, speed) for number in range(len(tones) + 1)]
        found += [Slot(names[tone.id], *edge) for tone, edge in zip(tones, pairwise(edges), strict=True)]
        begin += len(stretch)
    return found


def expected_spans(found: Sequence[Slot], said: Sequence[str]) -> Iterator[tuple[int, int]]:
    """From the first phoneme of each of these words to the end of its last, or of the blank after that."""
    heard = [number for number, slot in enumerate(found) if slot.symbol not in _FRAME_AND_PAD]
    joined = "".join(found[number].symbol for number in heard)
    at = 0
    for phonemes in said:
        at = joined.index(phonemes, at)
        last = heard[at + len(phonemes) - 1]
        is_padded = last + 1 < len(found) and found[last + 1].symbol == _PAD
        yield found[heard[at]].begin, found[last + is_padded].end
        at += len(phonemes)


def assert_exact(
    heard: Heard,
    said: Sequence[tuple[str, str]],
    *,
    voices: Sequence[ToneVoice] = (LETTERS,),
    speed: float = 1.0,
) -> None:
    """Check words against what is heard, given as pairs of a written word and what is said for it."""
    assert [word.text for word in heard.words] == [written for written, _ in said]
    spans = list(expected_spans(slots(heard, voices, speed=speed), [spoken for _, spoken in said]))
    tolerance = heard.precision * heard.rate + 0.01
    assert heard.spans == [pytest.approx(span, abs=tolerance) for span in spans]
    assert_told_in_time(heard)


def assert_told_in_time(heard: Heard) -> None:
    """Each word is told before the audio that it begins in."""
    assert not any(word.estimated for word in heard.words)
    for word, begun in zip(heard.words, heard.begun, strict=True):
        assert begun <= (word.start_time + heard.precision) * heard.rate


TEXTS = [
    pytest.param(PLAIN, TextFormat.PLAIN, PLAIN_SAID, id="plain"),
    pytest.param(
        "It is 25 °C, 3 of 1,000 said.",
        TextFormat.PLAIN,
        [
            *(("It", "It"), ("is", "is"), ("25 °C", "twenty-five degrees Celsius"), ("3", "three")),
            *(("of", "of"), ("1,000", "one thousand"), ("said", "said")),
        ],
        id="numbers",
    ),
    pytest.param(
        "# Head\n\nA **bold** [link](https://example.org) 😀 and `code`.\n\n- item",
        TextFormat.PLAIN,
        [(word, word) for word in ("Head", "A", "bold", "link", "and", "code", "item")],
        id="Markdown",
    ),
    pytest.param(
        "<speak>One <break time='300ms'/>two <sub alias='three'>III</sub>"
        "<break time='1s'/> <say-as interpret-as='digits'>45</say-as>.</speak>",
        TextFormat.SSML,
        [("One", "One"), ("two", "two"), ("III", "three"), ("45", "four five")],
        id="SSML",
    ),
]


@pytest.mark.parametrize(("text", "text_format", "said"), TEXTS)
async def test_words_over_wyoming_are_exact_to_the_frame(
    server: Server, text: str, text_format: TextFormat, said: Sequence[tuple[str, str]]
) -> None:
    assert_exact(await server.over_wyoming(text, text_format=text_format), said)


@pytest.mark.parametrize(("text", "text_format", "said"), TEXTS)
async def test_words_of_text_that_arrives_letter_by_letter_are_exact(
    server: Server, text: str, text_format: TextFormat, said: Sequence[tuple[str, str]]
) -> None:
    assert_exact(await server.over_wyoming(*text, text_format=text_format, streaming=True), said)


@pytest.mark.parametrize(("text", "text_format", "said"), TEXTS)
async def test_words_over_http_are_exact_to_the_frame(
    server: Server, text: str, text_format: TextFormat, said: Sequence[tuple[str, str]]
) -> None:
    assert_exact(await server.over_http(text, input_type=text_format.value), said)


async def test_words_come_after_a_leading_silence(server: Server) -> None:
    heard = await server.over_http(PLAIN, leading_silence=0.3)
    assert silences(heard.samples)[0] == round(0.3 * RATE)
    assert_exact(heard, PLAIN_SAID)


@pytest.mark.parametrize("speed", [0.5, 1.25, 1.5])
async def test_words_at_a_pace_that_the_model_speaks_at_are_exact(server: Server, speed: float) -> None:
    assert_exact(await server.over_http("One two three.", speed=speed), PLAIN_SAID[:3], speed=speed)


@pytest.mark.parametrize("speed", [2.0, 4.0])
async def test_words_are_stretched_with_audio_that_is_faster_than_the_model(
    server: Server, speed: float
) -> None:
    fastest = await server.over_http("One two three.", speed=1.5)
    heard = await server.over_http("One two three.", speed=speed)
    assert [word.text for word in heard.words] == ["One", "two", "three"]
    factor, rounded = 1.5 / speed, RATE / 1000
    assert heard.spans == [
        pytest.approx((begin * factor, end * factor), abs=rounded) for begin, end in fastest.spans
    ]
    assert len(heard.samples) == pytest.approx(len(fastest.samples) * factor, abs=2)
    assert_told_in_time(heard)


@pytest.mark.parametrize("rate", [8_000, 24_000, 48_000])
async def test_words_are_at_the_same_time_in_resampled_audio(server: Server, rate: int) -> None:
    native = await server.over_http(PLAIN)
    resampled = await server.over_http(PLAIN, sample_rate=rate)
    assert [word.text for word in resampled.words] == [word.text for word in native.words]
    spans = [(begin / RATE * rate, end / RATE * rate) for begin, end in native.spans]
    assert resampled.spans == [pytest.approx(span, abs=rate / 1000) for span in spans]
    assert len(resampled.samples) / rate == pytest.approx(len(native.samples) / RATE, abs=1 / 8_000)
    assert_told_in_time(resampled)


async def test_words_from_the_cache_are_those_that_were_rendered(server: Server) -> None:
    text = "Only spoken twice, not more."
    first, second = [await server.over_http(text) for _ in range(2)]
    assert second.words == first.words
    assert_exact(second, [(word, word) for word in ("Only", "spoken", "twice", "not", "more")])


async def test_words_of_two_voices_in_one_text_are_exact(server: Server) -> None:
    pause = "<break time='1s'/>"
    text = f"<speak>One two.{pause}<voice name='{LOW.name}'>Yes, 2.</voice>{pause}Three.</speak>"
    said = [("One", "One"), ("two", "two"), ("Yes", "jˈɛs"), ("2", "tˈuː"), ("Three", "Three")]
    assert_exact(await server.over_http(text, input_type="ssml"), said, voices=(LETTERS, LOW))


async def test_words_of_a_kokoro_voice_are_exact(server: Server) -> None:
    said = [("One", "wˈʌn"), ("two", "tˈuː"), ("3", "θɹˈiː"), ("Yes", "jˈɛs")]
    heard = await server.over_wyoming("One two, 3. Yes!", voice=KOKORO.speakers[0])
    assert_exact(heard, said, voices=(KOKORO,))


async def test_a_server_that_speaks_with_voices_of_another_tells_its_words(
    process: tuple[RunningServer, Server], server: Server
) -> None:
    own = await server.over_wyoming(PLAIN)
    flags = ("--remote", process[0].uri, "--voice", LETTERS.name, "--auto-punctuation", "none", "--offline")
    async with server_process(*flags, "--trailing-silence", "0") as relay:
        await relay.read_until(f"Ready: {LETTERS.name} speaks")
        heard = await replace(server, uri=relay.uri).over_wyoming(PLAIN)
    assert [(word.text, word.begin) for word in heard.words] == [
        (word.text, word.begin) for word in own.words
    ]
    assert heard.spans == [pytest.approx(span, abs=1) for span in own.spans]
    assert_told_in_time(heard)


@pytest.mark.parametrize("stream", [True, False])
async def test_captioned_speech_tells_the_words_that_its_audio_says(server: Server, *, stream: bool) -> None:
    body = {"input": PLAIN, "voice": LETTERS.name, "response_format": "pcm", "sample_rate": RATE}
    answer = await server.http.post("/dev/captioned_speech", json={**body, "stream": stream})
    lines = list(map(json.loads, answer.text.splitlines()))
    heard = np.frombuffer(b"".join(base64.b64decode(line["audio"]) for line in lines), "<i2")
    words = [word for line in lines for word in line["timestamps"]]
    assert (len(lines) > 1) == stream
    assert heard.tolist() == (await server.over_http(PLAIN)).samples.tolist()
    for word in words:
        begin, end = (round(word[time] * RATE / LETTERS.slot) for time in ("start_time", "end_time"))
        spoken = LETTERS.spoken(heard[begin * LETTERS.slot : end * LETTERS.slot])
        names = {number: symbol for symbol, number in LETTERS.symbols.items()}
        assert "".join(names[tone.id] for tone in spoken[0]).replace(_PAD, "") == word["word"]
    assert [word["word"] for word in words] == [written for written, _ in PLAIN_SAID]


async def test_captions_have_the_times_of_the_audio_of_the_same_request(server: Server) -> None:
    text = "It is **4 °C** outside, see [the forecast](https://example.org). [pause:2s] Good night!"
    heard = await server.over_http(text)
    told = {}
    for form in ("srt", "vtt", "json"):
        body = {"input": text, "voice": LETTERS.name, "response_format": form}
        told[form] = (await server.http.post("/v1/audio/speech", json=body)).text
    captions = json.loads(told["json"])["captions"]
    words = [word for caption in captions for word in caption["words"]]
    assert words == [
        {name: value for name, value in asdict(word).items() if name != "estimated"} for word in heard.words
    ]
    assert json.loads(told["json"])["duration"] == pytest.approx(len(heard.samples) / RATE, abs=0.001)
    texts = ["It is 4 °C outside, see the forecast.", "Good night!"]
    for cues in (parse_srt(told["srt"]), parse_vtt(told["vtt"])):
        assert [cue.text for cue in cues] == texts
        assert [cue.start / 1000 for cue in cues] == [caption["start_time"] for caption in captions]
    assert captions[1]["start_time"] - captions[0]["words"][-1]["end_time"] > 2
