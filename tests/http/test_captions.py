"""When words sound, over HTTP: captions, captioned speech, and events beside the audio."""

from __future__ import annotations

import asyncio
import base64
import json
import struct
from collections.abc import AsyncIterator
from typing import Any

import httpx
import openai
import pytest

from tests.http.conftest import Served, serving
from tests.support.fake_speech_service import FakeSpeechService
from tests.support.fake_synthesizer import RATE, SAMPLES_PER_CHARACTER, speech_pcm
from tests.support.timed_words import parse_srt, parse_vtt, vtt_word_times
from wyoming_tts.errors import EngineFailed, UnknownVoice
from wyoming_tts.speech import Utterance
from wyoming_tts.transports.http.app import HttpOptions

SPEECH = "/v1/audio/speech"
CAPTIONED = "/dev/captioned_speech"
TEXT = "The door is open. Please close it, and turn off the lights in the hall before you leave the house."
SECONDS = SAMPLES_PER_CHARACTER / RATE
"""Of a character."""


@pytest.fixture
async def telling() -> AsyncIterator[Served]:
    """A server whose voice tells when words sound."""
    service = FakeSpeechService()
    service.tells_words = True
    async with serving(service=service) as running:
        yield running


def body(**fields: Any) -> dict[str, Any]:
    return {"model": "tts-1", "input": TEXT, "voice": "alloy", **fields}


def in_pieces(service: FakeSpeechService, *pieces: str) -> None:
    """Have the synthesizer make one chunk of each piece."""

    async def text() -> AsyncIterator[str]:
        for piece in pieces:
            yield piece

    async def replace_text(utterance: Utterance) -> None:
        object.__setattr__(utterance, "text", text())

    service.on_enter = replace_text


def fail_at(service: FakeSpeechService, number: int) -> None:
    async def fail(_: Utterance, at: int) -> None:
        if at == number:
            raise EngineFailed("The model broke.")

    service.on_chunk = fail


@pytest.mark.parametrize(
    ("form", "content_type"),
    [("srt", "application/x-subrip"), ("vtt", "text/vtt; charset=utf-8"), ("json", "application/json")],
)
async def test_a_response_in_a_format_of_captions_is_captions_alone(
    telling: Served, form: str, content_type: str
) -> None:
    answer = await telling.client.post(SPEECH, json=body(response_format=form))
    assert answer.headers["content-type"] == content_type
    assert answer.headers["cache-control"] == "no-store"
    if form == "json":
        texts = [cue["text"] for cue in answer.json()["captions"]]
    else:
        texts = [cue.text for cue in (parse_srt if form == "srt" else parse_vtt)(answer.text)]
    assert " ".join(texts).replace("\n", " ") == TEXT


async def test_captions_tell_the_times_of_the_audio(telling: Served) -> None:
    answer = (await telling.client.post(SPEECH, json=body(response_format="json"))).json()
    words = [word for caption in answer["captions"] for word in caption["words"]]
    assert answer["duration"] == pytest.approx(len(TEXT) * SECONDS, abs=0.001)
    for word in words:
        assert TEXT[word["begin"] : word["end"]] == word["text"]
        assert word["start_time"] == pytest.approx(word["begin"] * SECONDS, abs=0.001)


async def test_vtt_has_the_times_of_words_if_they_are_asked_for(telling: Served) -> None:
    plain = await telling.client.post(SPEECH, json=body(response_format="vtt"))
    timed = await telling.client.post(SPEECH, json=body(response_format="VTT", return_timestamps=True))
    assert vtt_word_times(plain.text) == []
    assert len(vtt_word_times(timed.text)) == len(TEXT.split()) - len(parse_vtt(timed.text))
    assert parse_vtt(timed.text) == parse_vtt(plain.text)


async def test_captions_are_sent_while_the_speech_is_computed(telling: Served) -> None:
    go_on = asyncio.Event()
    pieces = ("This is the first of the sentences, and it is over! And ", "this one is the second.")
    in_pieces(telling.service, *pieces)

    async def wait(_: Utterance, number: int) -> None:
        if number:
            await go_on.wait()

    telling.service.on_chunk = wait
    request = body(input="".join(pieces), response_format="srt")
    async with telling.client.stream("POST", SPEECH, json=request) as answer:
        received = ""
        async for piece in answer.aiter_text():
            received += piece
            if "is over!" in received:
                go_on.set()
    assert [cue.text for cue in parse_srt(received)] == [
        "This is the first of the sentences,\nand it is over!",
        "And this one is the second.",
    ]


async def test_captions_as_a_whole_have_a_length(telling: Served) -> None:
    answer = await telling.client.post(SPEECH, json=body(response_format="srt", stream=False))
    assert answer.headers["content-length"] == str(len(answer.content))
    assert parse_srt(answer.text)


async def test_captions_over_the_buffer_limit_are_refused_with_413() -> None:
    service = FakeSpeechService()
    service.tells_words = True
    async with serving(HttpOptions(max_buffered_bytes=50), service) as served:
        answer = await served.client.post(SPEECH, json=body(response_format="srt", stream=False))
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("form", "content"),
    [("srt", ""), ("vtt", "WEBVTT\n\n"), ("json", '{"captions": [], "duration": 1.837}')],
)
async def test_a_voice_that_tells_nothing_has_empty_captions(served: Served, form: str, content: str) -> None:
    answer = await served.client.post(SPEECH, json=body(response_format=form))
    assert (answer.status_code, answer.text.strip()) == (200, content.strip())


async def test_captions_as_events_are_refused(served: Served) -> None:
    answer = await served.client.post(SPEECH, json=body(response_format="srt", stream_format="sse"))
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (400, "stream_format", "bad_request")
    assert not served.service.utterances


@pytest.mark.parametrize("wrong", ["ass", "", 3, ["srt"], "srt "])
async def test_an_unknown_format_is_answered_with_all_of_them(served: Served, wrong: object) -> None:
    answer = await served.client.post(SPEECH, json=body(response_format=wrong))
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, "response_format")
    assert "'mp3', 'opus', 'aac', 'flac', 'wav', 'pcm', 'srt', 'vtt' or 'json'" in error["message"]


async def test_captions_are_refused_where_only_audio_is_offered(served: Served) -> None:
    for path in (f"{SPEECH}/stream", CAPTIONED):
        answer = await served.client.post(path, json=body(response_format="srt"))
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "response_format"), path


@pytest.mark.parametrize(("path", "form"), [(SPEECH, "srt"), (CAPTIONED, "wav")])
async def test_failures_before_the_first_audio_have_a_status(telling: Served, path: str, form: str) -> None:
    async def unknown(_: Utterance) -> None:
        raise UnknownVoice("There is no voice 'x'.")

    telling.service.on_enter = unknown
    missing = await telling.client.post(path, json=body(response_format=form))
    in_pieces(telling.service, "one ", "two")
    fail_at(telling.service, 0)
    broken = await telling.client.post(path, json=body(response_format=form))
    assert (missing.status_code, missing.json()["error"]["param"]) == (404, "voice")
    assert (broken.status_code, broken.json()["error"]["code"]) == (500, "internal")


async def test_a_captioned_stream_that_fails_ends_with_an_error_line_and_is_cut_off(telling: Served) -> None:
    in_pieces(telling.service, "one ", "two")
    fail_at(telling.service, 1)
    received = ""

    async def receive() -> None:
        nonlocal received
        async with telling.client.stream("POST", CAPTIONED, json=body(response_format="pcm")) as answer:
            async for piece in answer.aiter_text():
                received += piece

    with pytest.raises(httpx.RemoteProtocolError):
        await receive()
    first, last = map(json.loads, received.splitlines())
    assert [word["word"] for word in first["timestamps"]] == ["one"]
    assert last["error"]["code"] == "internal"


async def test_captioned_speech_is_a_line_of_json_for_each_piece_of_audio(telling: Served) -> None:
    in_pieces(telling.service, "one two ", "three", ".")
    answer = await telling.client.post(
        CAPTIONED, json=body(response_format="pcm", sample_rate=RATE, model="kokoro", speed=1.0, stream=True)
    )
    assert answer.headers["content-type"] == "application/json"
    lines = list(map(json.loads, answer.text.splitlines()))
    assert [set(line) for line in lines] == [{"audio", "audio_format", "timestamps"}] * 3
    assert [line["audio_format"] for line in lines] == ["audio/pcm"] * 3
    assert b"".join(base64.b64decode(line["audio"]) for line in lines) == speech_pcm("one two three.")
    assert [[word["word"] for word in line["timestamps"]] for line in lines] == [
        ["one", "two"],
        ["three"],
        [],
    ]
    assert lines[1]["timestamps"] == [
        {"word": "three", "start_time": round(8 * SECONDS, 3), "end_time": round(13 * SECONDS, 3)}
    ]


async def test_captioned_speech_as_a_whole_is_one_object(telling: Served) -> None:
    answer = await telling.client.post(CAPTIONED, json=body(response_format="wav", stream=False))
    assert answer.headers["content-length"] == str(len(answer.content))
    told = answer.json()
    audio = base64.b64decode(told["audio"])
    assert struct.unpack("<I", audio[40:44]) == (len(audio) - 44,)
    assert audio[44:] == speech_pcm(TEXT)
    assert [word["word"] for word in told["timestamps"]] == TEXT.replace(".", "").replace(",", "").split()


@pytest.mark.parametrize(
    ("encoding", "audio_format"),
    [("mp3", "audio/mpeg"), ("opus", "audio/opus"), ("flac", "audio/flac"), ("wav", "audio/wav")],
)
async def test_no_word_is_told_after_its_audio_and_none_is_lost(
    telling: Served, encoding: str, audio_format: str
) -> None:
    """Encoders hold audio back: its words wait for it."""
    in_pieces(telling.service, *(f"{word} " for word in TEXT.split()))
    answer = await telling.client.post(CAPTIONED, json=body(response_format=encoding))
    lines = list(map(json.loads, answer.text.splitlines()))
    assert {line["audio_format"] for line in lines} == {audio_format}
    assert all(line["audio"] for line in lines)
    words = [word for line in lines for word in line["timestamps"]]
    assert [word["word"] for word in words] == TEXT.replace(".", "").replace(",", "").split()
    assert [word["start_time"] for word in words] == sorted(word["start_time"] for word in words)


async def test_captioned_speech_without_timestamps_has_none(telling: Served) -> None:
    whole = await telling.client.post(CAPTIONED, json=body(return_timestamps=False, stream=False))
    lines = await telling.client.post(CAPTIONED, json=body(return_timestamps=False))
    assert whole.json()["timestamps"] is None
    assert all(json.loads(line)["timestamps"] == [] for line in lines.text.splitlines())


async def test_captioned_speech_starts_without_the_silence_for_proxies() -> None:
    """It would shift the audio against the times."""
    service = FakeSpeechService()
    service.tells_words = True
    async with serving(HttpOptions(stream_prime_bytes=1000), service) as served:
        lines = await served.client.post(CAPTIONED, json=body(response_format="pcm", sample_rate=RATE))
        events = await served.client.post(
            SPEECH,
            json=body(response_format="pcm", sample_rate=RATE, stream_format="sse", return_timestamps=True),
        )
    assert base64.b64decode(json.loads(lines.text.splitlines()[0])["audio"]) == speech_pcm(TEXT)
    assert base64.b64decode(sse_events(events.text)[1]["audio"]) == speech_pcm(TEXT)


def sse_events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line.removeprefix("data: ")) for line in text.split("\n\n") if line]


async def test_events_tell_words_before_the_audio_in_which_they_begin(telling: Served) -> None:
    in_pieces(telling.service, "one two ", "three", ".")
    answer = await telling.client.post(
        SPEECH,
        json=body(response_format="pcm", sample_rate=RATE, stream_format="sse", return_timestamps=True),
    )
    events = sse_events(answer.text)
    assert [event["type"].removeprefix("speech.audio.") for event in events] == [
        *("words", "delta"),
        *("words", "delta"),
        *("delta", "done"),
    ]
    assert [[word["text"] for word in event.get("words", ())] for event in events[:3:2]] == [
        ["one", "two"],
        ["three"],
    ]
    assert events[2]["words"] == [
        {
            "text": "three",
            "start_time": round(8 * SECONDS, 3),
            "end_time": round(13 * SECONDS, 3),
            "begin": 8,
            "end": 13,
            "utf16_begin": 8,
            "utf16_end": 13,
        }
    ]


async def test_events_are_those_of_openai_unless_words_are_asked_for(telling: Served) -> None:
    answer = await telling.client.post(SPEECH, json=body(stream_format="sse"))
    assert {event["type"] for event in sse_events(answer.text)} == {"speech.audio.delta", "speech.audio.done"}


async def test_openais_client_reads_audio_beside_the_words(telling: Served) -> None:
    """It decodes the events, and passes on those that it does not know."""
    async with (
        openai.AsyncOpenAI(base_url=f"{telling.url}/v1", api_key="none", max_retries=0) as client,
        client.audio.speech.with_streaming_response.create(
            model="gpt-4o-mini-tts",
            voice="nova",
            input="hello you",
            response_format="pcm",
            stream_format="sse",
            extra_body={"sample_rate": RATE, "return_timestamps": True},
        ) as answer,
    ):
        events = [json.loads(line[6:]) async for line in answer.iter_lines() if line]
    deltas = [event["audio"] for event in events if event["type"] == "speech.audio.delta"]
    assert b"".join(map(base64.b64decode, deltas)) == speech_pcm("hello you")
    assert [word["text"] for word in events[0]["words"]] == ["hello", "you"]


async def test_head_and_get_of_captioned_speech_are_not_allowed(served: Served) -> None:
    for method in ("HEAD", "GET"):
        answer = await served.client.request(method, CAPTIONED)
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST"), method


async def test_the_description_has_the_formats_and_the_fields_of_words(served: Served) -> None:
    schema = (await served.client.get("/openapi.json")).json()
    speech = schema["paths"][SPEECH]["post"]["responses"]["200"]["content"]
    captioned = schema["paths"][CAPTIONED]["post"]["responses"]["200"]["content"]["application/json"]
    assert {"application/x-subrip", "text/vtt", "application/json", "audio/mpeg"} <= set(speech)
    assert speech["application/json"]["schema"]["$ref"].endswith("/Captions")
    assert list(captioned["example"]) == ["audio", "audio_format", "timestamps"]


async def test_a_client_that_leaves_ends_the_work_on_its_captions(telling: Served) -> None:
    waiting = asyncio.Event()
    in_pieces(telling.service, "One is here. ", "Two", "Three")

    async def hang(_: Utterance, number: int) -> None:
        if number:
            waiting.set()
            await asyncio.Event().wait()

    telling.service.on_chunk = hang
    async with telling.client.stream("POST", SPEECH, json=body(response_format="srt")):
        await waiting.wait()
    await telling.service.until(lambda: telling.service.left == 1)
