from __future__ import annotations

import asyncio
import base64
import json
import struct
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from typing import Any, TypeVar

import pytest

from tests.http.conftest import Served, serving
from tests.support.fake_synthesizer import RATE, speech_pcm
from wyoming_tts.errors import BadRequest, Busy, MalformedMarkup, ShuttingDown, UnknownVoice, VoiceUnavailable
from wyoming_tts.speech import Prosody, TextFormat, Utterance, VoiceRequest
from wyoming_tts.transports.http.app import HttpOptions
from wyoming_tts.transports.http.speech_response import StreamEncoder

T = TypeVar("T")

SPEECH = "/v1/audio/speech"


def body(**fields: Any) -> dict[str, Any]:
    return {"model": "tts-1", "input": "hello", "voice": "alloy", "response_format": "wav", **fields}


async def test_wav_holds_what_was_said_at_the_voices_rate(served: Served) -> None:
    answer = await served.client.post(SPEECH, json=body())
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "audio/wav"
    assert answer.headers["x-sample-rate"] == str(RATE)
    assert answer.headers["x-accel-buffering"] == "no"
    assert answer.headers["cache-control"] == "no-store"
    assert "server" not in answer.headers
    assert struct.unpack("<I", answer.content[24:28]) == (RATE,)
    assert answer.content[44:] == speech_pcm("hello")


async def test_pcm_is_24_khz_unless_another_rate_is_asked_for(served: Served) -> None:
    usual = await served.client.post(SPEECH, json=body(response_format="pcm"))
    own = await served.client.post(SPEECH, json=body(response_format="pcm", sample_rate=RATE))
    assert usual.headers["x-sample-rate"] == "24000"
    assert abs(len(usual.content) - len(speech_pcm("hello")) * 24_000 // RATE) <= 64
    assert own.content == speech_pcm("hello")


@pytest.mark.parametrize(
    ("encoding", "content_type", "beginning"),
    [
        ("mp3", "audio/mpeg", b"\xff"),
        ("opus", "audio/ogg; codecs=opus", b"OggS"),
        ("flac", "audio/flac", b"fLaC"),
        ("aac", "audio/aac", b"\xff\xf1"),
    ],
)
async def test_every_format_is_what_its_type_says(
    served: Served, encoding: str, content_type: str, beginning: bytes
) -> None:
    answer = await served.client.post(SPEECH, json=body(response_format=encoding))
    assert answer.headers["content-type"] == content_type
    assert answer.content.startswith(beginning)


async def test_mp3_is_what_is_sent_where_no_format_is_named(served: Served) -> None:
    answer = await served.client.post(SPEECH, json={"input": "hello"})
    assert answer.headers["content-type"] == "audio/mpeg"


async def test_the_stream_path_takes_format_and_gives_pcm(served: Served) -> None:
    raw = await served.client.post(f"{SPEECH}/stream", json={"input": "hi", "sample_rate": RATE})
    wav = await served.client.post(f"{SPEECH}/stream", json={"input": "hi", "format": "wav"})
    assert raw.content == speech_pcm("hi")
    assert wav.content[44:] == speech_pcm("hi")


async def test_a_plain_player_gets_wav_without_a_length(served: Served) -> None:
    query = {"text": "hello", "voice": "af_heart", "speed": "1.5"}
    answer = await served.client.get("/synthesize-stream", params=query)
    assert answer.content[:8] == b"RIFF\xff\xff\xff\xff"
    assert answer.content[44:] == speech_pcm("hello")
    said = served.service.utterances[0]
    assert said.voice == VoiceRequest("af_heart")
    assert said.prosody == Prosody(speed=1.5)


async def test_a_look_at_the_players_address_speaks_nothing(served: Served) -> None:
    answer = await served.client.head("/synthesize-stream", params={"text": "hello"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "audio/wav"
    assert not served.service.utterances


async def test_fields_reach_the_utterance() -> None:
    async with serving() as served:
        fields = body(
            voice={"id": "af_bella(2)+af_sky(1)"},
            speed=2.0,
            volume=3.0,
            language="en_GB",
            speaker=3,
            sample_rate=16_000,
            input_type="ssml",
            input="<speak>hi</speak>",
        )
        answer = await served.client.post(SPEECH, json=fields, headers={"X-Request-ID": "call-7"})
        said = served.service.utterances[0]
    assert answer.headers["x-request-id"] == said.id == "call-7"
    assert said.voice == VoiceRequest("af_bella(2)+af_sky(1)", "en_GB", "3")
    assert said.prosody == Prosody(speed=2.0, volume=3.0)
    assert said.sample_rate == 16_000
    assert said.text_format is TextFormat.SSML
    assert said.transport == "http"


async def test_fields_of_kokoro_fastapi_are_understood_or_ignored(served: Served) -> None:
    fields = body(
        lang_code="b",
        volume_multiplier=0.5,
        return_download_link=True,
        download_format="mp3",
        normalization_options={"normalize": False},
        speed=None,
        voice=None,
    )
    answer = await served.client.post(SPEECH, json=fields)
    assert answer.status_code == 200
    said = served.service.utterances[0]
    assert said.voice == VoiceRequest(None, "en_GB")
    assert said.prosody == Prosody(volume=0.5)


async def test_ignored_instructions_are_reported(served: Served) -> None:
    told = await served.client.post(SPEECH, json=body(instructions="Whisper."))
    plain = await served.client.post(SPEECH, json=body())
    assert told.headers["x-ignored"] == "instructions"
    assert "x-ignored" not in plain.headers


async def test_events_carry_the_audio_and_end_with_its_usage(served: Served) -> None:
    answer = await served.client.post(
        SPEECH, json=body(response_format="pcm", sample_rate=RATE, stream_format="sse")
    )
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [json.loads(line.removeprefix("data: ")) for line in answer.text.split("\n\n") if line]
    audio = b"".join(base64.b64decode(event["audio"]) for event in events[:-1])
    assert {event["type"] for event in events[:-1]} == {"speech.audio.delta"}
    assert audio == speech_pcm("hello")
    tokens = round(len(audio) / 2 / RATE * 20)
    usage = {"input_tokens": 5, "output_tokens": tokens, "total_tokens": 5 + tokens}
    assert events[-1] == {"type": "speech.audio.done", "usage": usage}


async def test_without_streaming_the_length_is_known(served: Served) -> None:
    answer = await served.client.post(SPEECH, json=body(stream=False))
    pcm = speech_pcm("hello")
    assert answer.headers["content-length"] == str(44 + len(pcm))
    assert struct.unpack("<I", answer.content[40:44]) == (len(pcm),)
    assert "transfer-encoding" not in answer.headers


async def test_what_is_too_large_to_be_sent_as_a_whole_is_refused() -> None:
    async with serving(HttpOptions(max_buffered_bytes=1000)) as served:
        answer = await served.client.post(SPEECH, json=body(stream=False))
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "too_long"


async def test_zeros_are_sent_first_where_proxies_need_them() -> None:
    async with serving(HttpOptions(stream_prime_bytes=1001)) as served:
        answer = await served.client.post(SPEECH, json=body(response_format="pcm", sample_rate=RATE))
    assert answer.content == bytes(1000) + speech_pcm("hello")


async def test_the_first_bytes_leave_before_the_second_chunk_is_made(served: Served) -> None:
    go_on = asyncio.Event()

    async def two_pieces(utterance: Utterance) -> None:
        object.__setattr__(utterance, "text", _pieces("one", "two"))

    async def wait(_: Utterance, number: int) -> None:
        if number:
            await go_on.wait()

    served.service.on_enter, served.service.on_chunk = two_pieces, wait
    async with served.client.stream("POST", SPEECH, json=body()) as answer:
        received = b""
        pieces = answer.aiter_raw()
        while len(received) < 44 + len(speech_pcm("one")):
            received += await anext(pieces)
        assert served.service.pulled == 1
        go_on.set()
        received += b"".join([piece async for piece in pieces])
    assert received[44:] == speech_pcm("onetwo")


async def _pieces(*texts: str) -> Any:
    for text in texts:
        yield text


@pytest.mark.parametrize(
    ("error", "status", "code", "param"),
    [
        (Busy("Full."), 429, "busy", None),
        (
            UnknownVoice("There is no voice 'af_hart'.", hint="Did you mean af_heart?"),
            404,
            "unknown_voice",
            "voice",
        ),
        (VoiceUnavailable("Not here."), 503, "voice_unavailable", "voice"),
        (ShuttingDown("Going down."), 503, "shutting_down", None),
        (MalformedMarkup("no end", line=1, column=3), 400, "bad_markup", "input"),
        (RuntimeError("secret /path"), 500, "internal", None),
    ],
)
async def test_a_failure_before_the_first_byte_has_its_status(
    served: Served, error: Exception, status: int, code: str, param: str | None
) -> None:
    async def fail(_: Utterance) -> None:
        raise error

    served.service.on_enter = fail
    answer = await served.client.post(SPEECH, json=body(), headers={"X-Request-ID": "abc"})
    told = answer.json()["error"]
    assert (answer.status_code, told["code"]) == (status, code)
    if param:
        assert told["param"] == param
    assert "secret" not in answer.text
    assert ("retry-after" in answer.headers) == (status in {429, 503})
    if status == 500:
        assert "abc" in told["message"]
    if status == 404:
        assert "af_heart" in told["message"]


async def test_a_failure_in_the_first_chunk_has_its_status(served: Served) -> None:
    async def fail(*_: object) -> None:
        raise Busy("Full.")

    served.service.on_chunk = fail
    answer = await served.client.post(SPEECH, json=body())
    assert answer.status_code == 429


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"speed": 9}, "speed"),
        ({"speed": "fast"}, "speed"),
        ({"input": ""}, "input"),
        ({"input": " \n"}, "input"),
        ({"input": None}, "input"),
        ({"response_format": "midi"}, "response_format"),
        ({"voice": []}, "voice"),
        ({"voice": {"name": "x"}}, "voice"),
        ({"sample_rate": 1}, "sample_rate"),
        ({"stream_format": "xml"}, "stream_format"),
        ({"input_type": "html"}, "input_type"),
    ],
)
async def test_the_field_that_is_wrong_is_named(served: Served, fields: dict[str, Any], param: str) -> None:
    answer = await served.client.post(SPEECH, json=body(**fields))
    error = answer.json()["error"]
    assert answer.status_code == 400
    assert error["param"] == param
    assert error["type"] == "invalid_request_error"
    assert error["message"]
    assert not served.service.utterances


@pytest.mark.parametrize(
    "content", [b"{", b"[1]", b'"text"', b"\xff\xfe", b"", b"[" * 100_000, b'{"input": "\\ud800"}']
)
async def test_a_body_that_is_no_request_is_refused(served: Served, content: bytes) -> None:
    answer = await served.client.post(SPEECH, content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "bad_request"


async def test_a_text_over_the_limit_is_refused() -> None:
    async with serving(HttpOptions(max_text_chars=10)) as served:
        answer = await served.client.post(SPEECH, json=body(input="x" * 11))
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (413, "too_long", "input")


async def test_a_format_that_cannot_be_written_is_refused_before_anything_is_spoken(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    answer = await served.client.post(SPEECH, json=body(response_format="aac"))
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "unsupported", "response_format")
    assert served.service.pulled == 0


async def test_an_encoder_is_closed_only_when_no_worker_uses_it_any_more() -> None:
    in_use, go_on, done = asyncio.Event(), asyncio.Event(), list[str]()

    async def slowly(work: Callable[[], T], /) -> T:
        in_use.set()
        await go_on.wait()
        done.append("worked")
        return work()

    encoder = Recorder(done)
    sound = StreamEncoder(encoder, slowly)
    pieces = sound.encode(b"", speech_pcm("a"), aiter(_pieces()))
    taking = asyncio.create_task(take(pieces, encoder))
    await in_use.wait()
    taking.cancel()
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.wait([taking])
    assert taking.cancelled()
    assert done == ["worked", "encoded", "closed"]


class Recorder:
    content_type, rate, is_cpu_bound = "audio/x", RATE, True

    def __init__(self, done: list[str]) -> None:
        self._done = done

    def encode(self, pcm: bytes) -> bytes:
        self._done.append("encoded")
        return pcm

    def finish(self) -> bytes:
        return b""

    def close(self) -> None:
        self._done.append("closed")


async def take(pieces: AsyncIterator[bytes], encoder: Recorder) -> None:
    with closing(encoder):
        async for _ in pieces:
            pass


async def test_a_whole_answer_is_sent_when_its_stream_is_left_already(served: Served) -> None:
    async with served.client.stream("POST", SPEECH, json=body(stream=False, input="x" * 3000)) as answer:
        assert answer.status_code == 200
        assert served.service.left == 1
        assert len(await answer.aread()) == int(answer.headers["content-length"])


async def test_a_language_that_no_voice_speaks_is_blamed_itself(served: Served) -> None:
    async def fail(_: Utterance) -> None:
        raise UnknownVoice("No installed voice speaks 'xx'.")

    served.service.on_enter = fail
    answer = await served.client.post(SPEECH, json={"input": "hi", "language": "xx"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (404, "language")


async def test_a_recipe_that_is_none_is_the_voices_fault(served: Served) -> None:
    async def fail(_: Utterance) -> None:
        raise BadRequest("The recipe has '(' at column 4.")

    served.service.on_enter = fail
    answer = await served.client.post(SPEECH, json=body(voice="af(("))
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "voice")
