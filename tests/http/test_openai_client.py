"""The official `openai` client package against a running server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import openai
import pytest

from tests.http.conftest import Served
from tests.support.fake_synthesizer import RATE, speech_pcm
from wyoming_tts.errors import Busy, UnknownVoice
from wyoming_tts.speech import Utterance


@pytest.fixture
async def client(served: Served) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0) as client:
        yield client


async def test_speech_create_returns_the_whole_audio(client: openai.AsyncOpenAI) -> None:
    answer = await client.audio.speech.create(
        model="tts-1", voice="alloy", input="hello", response_format="wav"
    )
    assert answer.content[44:] == speech_pcm("hello")


async def test_a_streaming_response_yields_the_audio(client: openai.AsyncOpenAI) -> None:
    async with client.audio.speech.with_streaming_response.create(
        model="gpt-4o-mini-tts",
        voice="nova",
        input="hello",
        response_format="pcm",
        speed=1.5,
        extra_body={"sample_rate": RATE},
    ) as answer:
        audio = b"".join([piece async for piece in answer.iter_bytes(500)])
    assert audio == speech_pcm("hello")


async def test_a_streaming_response_in_sse_format_yields_speech_events(client: openai.AsyncOpenAI) -> None:
    async with client.audio.speech.with_streaming_response.create(
        model="gpt-4o-mini-tts",
        voice={"id": "af_heart"},
        input="hello",
        stream_format="sse",
    ) as answer:
        lines = [line async for line in answer.iter_lines() if line]
    assert '"speech.audio.delta"' in lines[0]
    assert '"speech.audio.done"' in lines[-1]


async def test_models_are_listed_and_retrieved(client: openai.AsyncOpenAI) -> None:
    assert "tts-1" in [model.id async for model in client.models.list()]
    assert (await client.models.retrieve("kokoro")).id == "kokoro"


async def test_errors_raise_the_clients_own_exception_classes(
    served: Served, client: openai.AsyncOpenAI
) -> None:
    async def unknown(_: Utterance) -> None:
        raise UnknownVoice("There is no voice 'x'.", hint="Did you mean af_heart?")

    async def busy(_: Utterance) -> None:
        raise Busy("Full.")

    served.service.on_enter = unknown
    with pytest.raises(openai.NotFoundError, match="af_heart") as missing:
        await client.audio.speech.create(model="tts-1", voice="x", input="hello")
    served.service.on_enter = busy
    with pytest.raises(openai.RateLimitError) as full:
        await client.audio.speech.create(model="tts-1", voice="x", input="hello")
    with pytest.raises(openai.BadRequestError) as bad:
        await client.audio.speech.create(model="tts-1", voice="x", input="hello", speed=9)
    assert (missing.value.code, missing.value.param) == ("unknown_voice", "voice")
    assert full.value.code == "busy"
    assert bad.value.param == "speed"
