"""Voice agents over HTTP: the requests of LiveKit's plugin, and the subclass of Pipecat's OpenAI service.

The requests were recorded from livekit-plugins-openai 1.8.9. `script/show-livekit` and `script/show-pipecat`
run the real packages.
"""

from __future__ import annotations

import asyncio
import base64
import json
import runpy
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import openai
import pytest

from tests.http.conftest import Served, serving
from tests.support.fake_synthesizer import RATE, FakeStream, speech_pcm
from wyoming_tts.errors import UnknownVoice
from wyoming_tts.speech import AudioChunk, Utterance

SERVICE = Path(__file__).parents[2] / "deploy" / "pipecat" / "wyoming_openai_tts.py"
HEAD = """\
POST /v1/audio/speech HTTP/1.1
Host: 127.0.0.1
Accept-Encoding: gzip, deflate
Connection: keep-alive
authorization: Bearer none
accept: application/octet-stream
content-type: application/json
user-agent: AsyncOpenAI/Python 3.57.0
x-stainless-raw-response: stream
x-stainless-retry-count: 0
x-stainless-read-timeout: 30
Content-Length: {length}

"""
EVENTS = (
    '{"model":"gpt-4o-mini-tts","input":"Hello there.","voice":"af_heart","response_format":"pcm",'
    '"speed":1.0,"stream_format":"sse"}'
)
AUDIO = (
    '{"model":"tts-1","input":"Hello there.","voice":"af_heart","response_format":"pcm","speed":1.0,'
    '"stream_format":"audio"}'
)


async def send(served: Served, body: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Send a request as it was recorded; return the connection, whose next line is the status."""
    reader, writer = await asyncio.open_connection(*served.address)
    writer.write((HEAD.format(length=len(body)).replace("\n", "\r\n") + body).encode())
    return reader, writer


async def read_body(reader: asyncio.StreamReader) -> bytes:
    """The body of a chunked response."""
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    body = b""
    while length := int(await reader.readline(), 16):
        body += (await reader.readexactly(length + 2))[:-2]
    return body


@pytest.mark.parametrize("body", [EVENTS, AUDIO], ids=["events", "audio"])
async def test_livekit_gets_pcm_at_24_khz_in_a_voice_of_ours(body: str) -> None:
    async with serving() as served:
        reader, writer = await send(served, body)
        answer = await read_body(reader)
        writer.close()
        expected = (await served.client.post("/v1/audio/speech", json=json.loads(AUDIO))).content
    if body is EVENTS:
        events = [json.loads(line.removeprefix("data: ")) for line in answer.decode().split("\n\n") if line]
        assert events[-1]["type"] == "speech.audio.done"
        answer = b"".join(base64.b64decode(event["audio"]) for event in events[:-1])
    assert answer == expected
    utterance = served.service.utterances[0]
    assert (utterance.voice.name, utterance.sample_rate) == ("af_heart", 24_000)
    assert utterance.keeps_alive


async def never(_: Utterance, number: int) -> None:
    await asyncio.Event().wait()


async def test_an_interrupted_request_ends_its_utterance() -> None:
    """LiveKit closes the connection, as nothing of the response is read any more."""
    async with serving() as served:
        served.service.on_chunk = never
        _, writer = await send(served, AUDIO)
        await served.service.until(lambda: served.service.entered == 1)
        writer.close()
        await served.service.until(lambda: served.service.left == 1)


class Frame(NamedTuple):
    """An audio frame of Pipecat's."""

    pcm: bytes
    rate: int
    channels: int
    context_id: str


class OpenAITTSService:
    """Pipecat's class of that name, as far as the subclass uses it."""

    Settings = SimpleNamespace
    sample_rate = RATE
    chunk_size = 8_000

    def __init__(self, *, api_key: str, base_url: str, settings: Any) -> None:
        self._settings = settings
        self._client = openai.AsyncOpenAI(api_key=api_key, base_url=base_url, max_retries=0)

    async def start_tts_usage_metrics(self, _: str) -> None: ...

    async def stop_ttfb_metrics(self) -> None: ...


@pytest.fixture
def make_service(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """The subclass, with the stand-in below it."""
    frames = {
        "ErrorFrame": lambda error: error,
        "Frame": Frame,
        "StartFrame": Frame,
        "TTSAudioRawFrame": Frame,
    }
    modules: dict[str, dict[str, Any]] = {
        "pipecat": {},
        "pipecat.frames": {},
        "pipecat.frames.frames": frames,
        "pipecat.services": {},
        "pipecat.services.openai": {},
        "pipecat.services.openai.tts": {"OpenAITTSService": OpenAITTSService},
    }
    for name, content in modules.items():
        module = ModuleType(name)
        module.__dict__.update(content)
        monkeypatch.setitem(sys.modules, name, module)
    made: Callable[..., Any] = runpy.run_path(str(SERVICE))["WyomingOpenAITTSService"]
    return made


async def test_pipecat_speaks_in_any_voice_at_the_rate_of_its_pipeline(
    make_service: Callable[..., Any],
) -> None:
    async with serving() as served:
        service = make_service(base_url=f"{served.url}/v1", voice="af_bella(2)+af_sky", language="en-GB")
        frames = [frame async for frame in service.run_tts("Hello there.", "turn")]
        await service._client.close()
    assert b"".join(frame.pcm for frame in frames) == speech_pcm("Hello there.")
    assert {frame[1:] for frame in frames} == {(RATE, 1, "turn")}
    (utterance,) = served.service.utterances
    assert (utterance.voice.name, utterance.voice.language) == ("af_bella(2)+af_sky", "en-GB")
    assert (utterance.sample_rate, utterance.patience, utterance.keeps_alive) == (RATE, 2.0, True)


async def test_an_interruption_of_pipecat_ends_the_utterance(make_service: Callable[..., Any]) -> None:
    async with serving() as served:
        served.service.on_chunk = never
        service = make_service(base_url=f"{served.url}/v1", patience=0.5)
        speaking = asyncio.ensure_future(anext(service.run_tts("It goes on.", "turn")))
        await served.service.until(lambda: served.service.entered == 1)
        speaking.cancel()
        await served.service.until(lambda: served.service.left == 1)
        await service._client.close()


async def test_pipecat_is_told_of_an_unknown_voice(make_service: Callable[..., Any]) -> None:
    async def unknown(_: Utterance) -> None:
        raise UnknownVoice("There is no voice 'nobody'.", hint="Did you mean af_heart?")

    async with serving() as served:
        served.service.on_enter = unknown
        service = make_service(base_url=f"{served.url}/v1", voice="nobody")
        (error,) = [frame async for frame in service.run_tts("Hello.", "turn")]
        await service._client.close()
    assert "There is no voice 'nobody'" in error


async def test_pipecat_is_told_of_a_response_that_breaks_off(make_service: Callable[..., Any]) -> None:
    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 16000\r\n\r\n" + bytes(8_000))
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(break_off, "127.0.0.1", 0) as server:
        service = make_service(base_url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1")
        *audio, error = [frame async for frame in service.run_tts("Hello.", "turn")]
        await service._client.close()
    assert b"".join(frame.pcm for frame in audio) == bytes(8_000)
    assert error.startswith("No speech from http://127.0.0.1:")


@pytest.mark.parametrize(
    "own",
    [{"stream": False}, {"response_format": "srt"}],
    ids=["whole", "captions"],
)
async def test_what_is_not_played_while_it_arrives_is_not_kept_alive(own: dict[str, Any]) -> None:
    async with serving() as served:
        await served.client.post("/v1/audio/speech", json={"input": "Hello.", "patience": 1.5, **own})
    (utterance,) = served.service.utterances
    assert (utterance.patience, utterance.keeps_alive) == (1.5, False)


@pytest.mark.parametrize("form", ["pcm", "wav"])
async def test_a_response_of_which_nothing_is_spoken_is_a_moment_of_silence(
    form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Agents take a response without audio for a failure."""

    async def nothing(_: FakeStream) -> AsyncIterator[AudioChunk]:
        return
        yield

    monkeypatch.setattr(FakeStream, "__aiter__", nothing)
    async with serving() as served:
        answer = await served.client.post(
            "/v1/audio/speech",
            json={"input": "\N{GRINNING FACE}", "response_format": form, "sample_rate": RATE},
        )
    assert answer.content.endswith(bytes(2 * RATE // 10))
    assert len(answer.content) == 2 * RATE // 10 + (44 if form == "wav" else 0)
