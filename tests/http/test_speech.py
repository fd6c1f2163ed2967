from __future__ import annotations

import asyncio
import base64
import json
import struct
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from typing import Any, TypeVar

import pytest

from tests.http.conftest import Served, serving
from tests.support.fake_synthesizer import RATE, speech_pcm
from tests.support.held_worker import HeldWorker
from wyoming_tts.errors import BadRequest, Busy, MalformedMarkup, ShuttingDown, UnknownVoice, VoiceUnavailable
from wyoming_tts.speech import (
    Prosody,
    SpeakingVoice,
    TextFormat,
    Utterance,
    VoiceAlias,
    VoiceReason,
    VoiceRequest,
)
from wyoming_tts.transports.http.app import HttpOptions
from wyoming_tts.transports.http.speech_response import EncodedChunk, StreamEncoder

T = TypeVar("T")

SPEECH = "/v1/audio/speech"


def body(**fields: Any) -> dict[str, Any]:
    return {"model": "tts-1", "input": "hello", "voice": "alloy", "response_format": "wav", **fields}


async def test_wav_is_streamed_at_the_voices_sample_rate(served: Served) -> None:
    answer = await served.client.post(SPEECH, json=body())
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "audio/wav"
    assert answer.headers["x-sample-rate"] == str(RATE)
    assert answer.headers["x-accel-buffering"] == "no"
    assert answer.headers["cache-control"] == "no-store"
    assert "server" not in answer.headers
    assert struct.unpack("<I", answer.content[24:28]) == (RATE,)
    assert answer.content[44:] == speech_pcm("hello")


@pytest.mark.parametrize(
    "more", [{}, {"stream": False}, {"stream_format": "sse"}, {"response_format": "srt"}], ids=str
)
async def test_a_header_names_the_voice_that_speaks_and_why(served: Served, more: dict[str, Any]) -> None:
    served.service.voice = SpeakingVoice("Zoë 1", VoiceReason.FALLBACK, "alloy")
    answer = await served.client.post(SPEECH, json=body(**more))
    assert (answer.headers["x-voice"], answer.headers["x-voice-reason"]) == ("Zo%C3%AB 1", "fallback")


async def test_pcm_is_24_khz_unless_a_sample_rate_is_requested(served: Served) -> None:
    default_rate = await served.client.post(SPEECH, json=body(response_format="pcm"))
    native_rate = await served.client.post(SPEECH, json=body(response_format="pcm", sample_rate=RATE))
    assert default_rate.headers["x-sample-rate"] == "24000"
    assert abs(len(default_rate.content) - len(speech_pcm("hello")) * 24_000 // RATE) <= 64
    assert native_rate.content == speech_pcm("hello")


@pytest.mark.parametrize(
    ("encoding", "content_type", "beginning"),
    [
        ("mp3", "audio/mpeg", b"\xff"),
        ("opus", "audio/ogg; codecs=opus", b"OggS"),
        ("flac", "audio/flac", b"fLaC"),
        ("aac", "audio/aac", b"\xff\xf1"),
    ],
)
async def test_every_format_has_its_content_type_and_magic_bytes(
    served: Served, encoding: str, content_type: str, beginning: bytes
) -> None:
    answer = await served.client.post(SPEECH, json=body(response_format=encoding))
    assert answer.headers["content-type"] == content_type
    assert answer.content.startswith(beginning)


async def test_the_default_response_format_is_mp3(served: Served) -> None:
    answer = await served.client.post(SPEECH, json={"input": "hello"})
    assert answer.headers["content-type"] == "audio/mpeg"


async def test_the_stream_path_defaults_to_pcm_and_accepts_format(served: Served) -> None:
    raw = await served.client.post(f"{SPEECH}/stream", json={"input": "hi", "sample_rate": RATE})
    wav = await served.client.post(f"{SPEECH}/stream", json={"input": "hi", "format": "wav"})
    assert raw.content == speech_pcm("hi")
    assert wav.content[44:] == speech_pcm("hi")


async def test_synthesize_stream_by_get_returns_a_wav_of_unknown_length(served: Served) -> None:
    query = {"text": "hello", "voice": "af_heart", "speed": "1.5"}
    answer = await served.client.get("/synthesize-stream", params=query)
    assert answer.content[:8] == b"RIFF\xff\xff\xff\xff"
    assert answer.content[44:] == speech_pcm("hello")
    utterance = served.service.utterances[0]
    assert utterance.voice == VoiceRequest("af_heart", may_download=False)
    assert utterance.prosody == Prosody(speed=1.5)
    assert utterance.peer == "127.0.0.1"


async def test_the_text_of_a_request_is_known_from_the_start(served: Served) -> None:
    await served.client.get("/synthesize-stream", params={"text": "hello"})
    await served.client.post(SPEECH, json=body())
    assert [utterance.is_complete for utterance in served.service.utterances] == [True, True]


async def test_a_get_downloads_no_voice(served: Served) -> None:
    await served.client.get("/synthesize-stream", params={"text": "hello", "voice": "af_heart"})
    await served.client.post(SPEECH, json=body(voice="af_heart"))
    assert [utterance.voice.may_download for utterance in served.service.utterances] == [False, True]


async def test_head_of_synthesize_stream_synthesizes_nothing(served: Served) -> None:
    answer = await served.client.head("/synthesize-stream", params={"text": "hello"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "audio/wav"
    assert "content-length" not in answer.headers
    assert not served.service.utterances


@pytest.mark.parametrize(
    "path",
    [
        "/health",
        "/readyz",
        "/status",
        "/metrics",
        "/openapi.json",
        "/v1/models",
        "/v1/audio/voices",
        "/synthesize-stream?text=hello",
        "/synthesize-stream",
        "/nothing",
    ],
)
async def test_head_tells_what_get_would_of_the_length(served: Served, path: str) -> None:
    got, headed = await served.client.get(path), await served.client.head(path)
    assert headed.status_code == got.status_code
    assert headed.headers.get("content-length") == got.headers.get("content-length")
    assert headed.headers.get("transfer-encoding") == got.headers.get("transfer-encoding")


async def test_request_fields_reach_the_utterance() -> None:
    async with serving() as served:
        fields = body(
            voice={"id": "af_bella(2)+af_sky(1)"},
            speed=2.0,
            volume=3.0,
            language="en_GB",
            speaker=3,
            sample_rate=16_000,
            leading_silence=0.1,
            input_type="ssml",
            input="<speak>hi</speak>",
        )
        answer = await served.client.post(SPEECH, json=fields, headers={"X-Request-ID": "call-7"})
        utterance = served.service.utterances[0]
    assert answer.headers["x-request-id"] == utterance.id == "call-7"
    assert utterance.voice == VoiceRequest("af_bella(2)+af_sky(1)", "en_GB", "3")
    assert utterance.prosody == Prosody(speed=2.0, volume=3.0)
    assert utterance.sample_rate == 16_000
    assert utterance.leading_silence == 0.1
    assert utterance.text_format is TextFormat.SSML
    assert utterance.transport == "http"
    assert utterance.pause_tags


async def test_kokoro_fastapis_own_fields_are_mapped_or_ignored(served: Served) -> None:
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
    utterance = served.service.utterances[0]
    assert utterance.voice == VoiceRequest(None, "en_GB")
    assert utterance.prosody == Prosody(volume=0.5)


@pytest.mark.parametrize("name", ["WAV", "Wav", "wav"])
async def test_the_name_of_a_format_may_be_written_in_any_case(served: Served, name: str) -> None:
    answer = await served.client.post(SPEECH, json=body(response_format=name))
    streamed = await served.client.post(f"{SPEECH}/stream", json={"input": "hello", "format": name})
    assert answer.headers["content-type"] == streamed.headers["content-type"] == "audio/wav"


@pytest.mark.parametrize(
    ("text", "text_format"),
    [
        ("<speak>hi</speak>", TextFormat.SSML),
        ("\n <speak version='1.0'>hi</speak>", TextFormat.SSML),
        ("<?xml version='1.0'?><speak>hi</speak>", TextFormat.SSML),
        ("<!-- by hand --><speak>hi</speak>", TextFormat.SSML),
        ("hi", TextFormat.PLAIN),
        ("<3 you", TextFormat.PLAIN),
        ("<b>hi</b>", TextFormat.PLAIN),
        ("<speaker>hi</speaker>", TextFormat.PLAIN),
    ],
)
async def test_with_ssml_a_text_that_begins_with_speak_is_ssml(
    served: Served, text: str, text_format: TextFormat
) -> None:
    await served.client.post(SPEECH, json=body(input=text, ssml=True))
    await served.client.post(SPEECH, json=body(input=text, ssml=False))
    formats = [utterance.text_format for utterance in served.service.utterances]
    assert formats == [text_format, TextFormat.PLAIN]


@pytest.mark.parametrize("words", [1, 1000])
@pytest.mark.parametrize("path", [SPEECH, "/dev/captioned_speech"])
async def test_malformed_ssml_is_refused_before_any_sound(served: Served, path: str, words: int) -> None:
    text = f"<speak><s>{'One two. ' * words}</s> <voice name='x'>Three.</speak>"
    answer = await served.client.post(path, json=body(input=text, ssml=True))
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "bad_markup", "input")
    assert served.service.entered == 0


async def test_voice_tags_are_a_matter_of_the_request(served: Served) -> None:
    text = "hi [voice:narrator] ho"
    await served.client.post(SPEECH, json=body(input=text, allow_voice_tags=True))
    await served.client.post(SPEECH, json=body(input=text))
    tagged, plain = served.service.utterances
    assert (tagged.voice_tags, plain.voice_tags) == (True, False)
    assert (tagged.named_voices, plain.named_voices) == ((VoiceRequest("narrator"),), ())


async def test_a_request_brings_names_of_its_own_for_voices(served: Served) -> None:
    aliases = {"narrator": {"voice": "af_bella", "rate": 0.8}, "boy": "am_puck", "girl": {"voice": "af_sky"}}
    await served.client.post(SPEECH, json=body(voice="narrator", voice_aliases=aliases))
    assert served.service.utterances[0].voice_aliases == {
        "narrator": VoiceAlias("af_bella", 0.8),
        "boy": VoiceAlias("am_puck"),
        "girl": VoiceAlias("af_sky"),
    }


@pytest.mark.parametrize("target", [{"voice": "af_bella", "rate": 9}, {"rate": 1}, "", 7])
async def test_an_invalid_alias_is_an_error_that_names_the_field(served: Served, target: object) -> None:
    answer = await served.client.post(SPEECH, json=body(voice_aliases={"narrator": target}))
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "voice_aliases"


async def test_ignored_instructions_are_reported_in_the_x_ignored_header(served: Served) -> None:
    with_instructions = await served.client.post(SPEECH, json=body(instructions="Whisper."))
    without_instructions = await served.client.post(SPEECH, json=body())
    assert with_instructions.headers["x-ignored"] == "instructions"
    assert "x-ignored" not in without_instructions.headers


async def test_sse_events_carry_the_audio_and_end_with_its_token_usage(served: Served) -> None:
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


async def test_stream_false_sends_a_content_length_and_a_complete_wav_header(served: Served) -> None:
    answer = await served.client.post(SPEECH, json=body(stream=False))
    pcm = speech_pcm("hello")
    assert answer.headers["content-length"] == str(44 + len(pcm))
    assert struct.unpack("<I", answer.content[40:44]) == (len(pcm),)
    assert "transfer-encoding" not in answer.headers


async def test_flac_has_its_length_where_it_is_sent_as_a_whole(served: Served) -> None:
    whole = await served.client.post(SPEECH, json=body(stream=False, response_format="flac"))
    streamed = await served.client.post(SPEECH, json=body(response_format="flac"))
    samples = len(speech_pcm("hello")) // 2
    assert [int.from_bytes(answer.content[18:26]) & 0xF_FFFF_FFFF for answer in (whole, streamed)] == [
        samples,
        0,
    ]
    assert whole.content[42:] == streamed.content[42:]


async def test_stream_false_refuses_audio_over_the_buffer_limit_with_413() -> None:
    async with serving(HttpOptions(max_buffered_bytes=1000)) as served:
        answer = await served.client.post(SPEECH, json=body(stream=False))
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "too_long"


async def test_stream_prime_bytes_sends_leading_silence_for_buffering_proxies() -> None:
    async with serving(HttpOptions(stream_prime_bytes=1001)) as served:
        answer = await served.client.post(SPEECH, json=body(response_format="pcm", sample_rate=RATE))
    assert answer.content == bytes(1000) + speech_pcm("hello")


async def test_the_first_chunk_is_sent_before_the_second_is_synthesized(served: Served) -> None:
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
async def test_a_failure_before_the_first_byte_has_its_own_status_and_code(
    served: Served, error: Exception, status: int, code: str, param: str | None
) -> None:
    async def fail(_: Utterance) -> None:
        raise error

    served.service.on_enter = fail
    answer = await served.client.post(SPEECH, json=body(), headers={"X-Request-ID": "abc"})
    details = answer.json()["error"]
    assert (answer.status_code, details["code"]) == (status, code)
    if param:
        assert details["param"] == param
    assert "secret" not in answer.text
    assert ("retry-after" in answer.headers) == (status in {429, 503})
    if status == 500:
        assert "abc" in details["message"]
    if status == 404:
        assert "af_heart" in details["message"]


async def test_a_failure_in_the_first_chunk_still_has_its_own_status(served: Served) -> None:
    async def fail(*_: object) -> None:
        raise Busy("Full.")

    served.service.on_chunk = fail
    answer = await served.client.post(SPEECH, json=body())
    assert answer.status_code == 429


@pytest.mark.parametrize("hook", ["on_enter", "on_chunk"])
async def test_busy_may_have_a_status_after_which_load_balancers_ask_another_server(hook: str) -> None:
    async def fail(*_: object) -> None:
        raise Busy("Full.")

    async with serving(HttpOptions(busy_status=503)) as served:
        setattr(served.service, hook, fail)
        answer = await served.client.post(SPEECH, json=body())
        described = (await served.client.get("/openapi.json")).json()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["error"] | {"message": ""} == {
        "message": "",
        "type": "server_error",
        "param": None,
        "code": "busy",
    }
    assert {"429", "503"} <= described["paths"][SPEECH]["post"]["responses"].keys()


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"speed": 9}, "speed"),
        ({"speed": "fast"}, "speed"),
        ({"input": ""}, "input"),
        ({"input": " \n"}, "input"),
        ({"input": "\0\0"}, "input"),
        ({"input": "\u200b\u2060\ufeff"}, "input"),
        ({"input": None}, "input"),
        ({"response_format": "midi"}, "response_format"),
        ({"voice": []}, "voice"),
        ({"voice": {"name": "x"}}, "voice"),
        ({"sample_rate": 1}, "sample_rate"),
        ({"leading_silence": -1}, "leading_silence"),
        ({"leading_silence": 11}, "leading_silence"),
        ({"patience": -1}, "patience"),
        ({"patience": 61}, "patience"),
        ({"stream_format": "xml"}, "stream_format"),
        ({"input_type": "html"}, "input_type"),
    ],
)
async def test_an_invalid_field_is_refused_by_name(
    served: Served, fields: dict[str, Any], param: str
) -> None:
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
async def test_a_malformed_json_body_is_refused_with_400(served: Served, content: bytes) -> None:
    answer = await served.client.post(SPEECH, content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "bad_request"


@pytest.mark.parametrize("text", [" ", "\0", "\u200b\ufeff"])
async def test_a_player_is_told_that_its_text_has_no_visible_character(served: Served, text: str) -> None:
    answer = await served.client.get("/synthesize-stream", params={"text": text})
    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error["param"]) == (400, "invalid_request_error", "text")
    assert not served.service.utterances


async def test_a_text_over_the_limit_is_refused_with_413() -> None:
    async with serving(HttpOptions(max_text_chars=10)) as served:
        answer = await served.client.post(SPEECH, json=body(input="x" * 11))
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (413, "too_long", "input")


async def test_a_text_with_too_many_words_is_refused_with_413() -> None:
    async with serving(HttpOptions(max_words=2)) as served:
        answer = await served.client.post(SPEECH, json=body(input="one two three"))
        fits = await served.client.post(SPEECH, json=body(input="one two"))
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (413, "too_long", "input")
    assert "Send it in parts, or raise max_utterance_words." in error["message"]
    assert fits.status_code == 200


async def test_a_format_without_its_encoder_is_refused_before_synthesis(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    answer = await served.client.post(SPEECH, json=body(response_format="aac"))
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "unsupported", "response_format")
    assert served.service.pulled == 0


async def test_a_cancelled_response_closes_its_encoder_only_after_the_worker_is_done() -> None:
    worker = HeldWorker()
    encoder = RecordingEncoder(worker.done)
    stream_encoder = StreamEncoder(encoder, worker.run)
    pieces = stream_encoder.encode(speech_pcm("a"), None, aiter(_pieces()))
    consuming = asyncio.create_task(consume(pieces, encoder))
    await worker.in_use.wait()
    consuming.cancel()
    await asyncio.sleep(0)
    worker.go_on.set()
    await asyncio.wait([consuming])
    assert consuming.cancelled()
    assert worker.done == ["worked", "encoded", "closed"]


class RecordingEncoder:
    content_type, rate, is_cpu_bound = "audio/x", RATE, True

    def __init__(self, done: list[str]) -> None:
        self._done = done

    def encode(self, pcm: bytes) -> bytes:
        self._done.append("encoded")
        return pcm

    def finish(self) -> bytes:
        return b""

    def head(self) -> bytes:
        return b""

    def close(self) -> None:
        self._done.append("closed")


async def consume(pieces: AsyncIterator[EncodedChunk], encoder: RecordingEncoder) -> None:
    with closing(encoder):
        async for _ in pieces:
            pass


async def test_a_buffered_response_is_sent_after_its_speech_stream_has_closed(served: Served) -> None:
    async with served.client.stream("POST", SPEECH, json=body(stream=False, input="x" * 3000)) as answer:
        assert answer.status_code == 200
        assert served.service.left == 1
        assert len(await answer.aread()) == int(answer.headers["content-length"])


async def test_an_unknown_language_names_language_as_the_wrong_field(served: Served) -> None:
    async def fail(_: Utterance) -> None:
        raise UnknownVoice("No installed voice speaks 'xx'.")

    served.service.on_enter = fail
    answer = await served.client.post(SPEECH, json={"input": "hi", "language": "xx"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (404, "language")


async def test_a_malformed_blend_recipe_names_voice_as_the_wrong_field(served: Served) -> None:
    async def fail(_: Utterance) -> None:
        raise BadRequest("The recipe has '(' at column 4.")

    served.service.on_enter = fail
    answer = await served.client.post(SPEECH, json=body(voice="af(("))
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "voice")
