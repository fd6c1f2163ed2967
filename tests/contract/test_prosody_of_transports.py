"""Prosody and sample rate mean the same in every transport: relative to the settings, applied once."""

from __future__ import annotations

import json
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
import pytest
import pytest_asyncio
from wyoming.event import Event

from tests.support.page_site import Site, product
from tests.support.parts import join_chunks, settings_for_tests
from tests.support.realtime_server import realtime_client
from tests.support.tones import LETTERS
from tests.support.wyoming_client import WyomingTestClient, pcm_of
from wyoming_tts.commands import local_speech
from wyoming_tts.page.stream_test.request import StreamTestRequest
from wyoming_tts.speech import AudioFormat, Prosody, Utterance, VoiceRequest
from wyoming_tts.transports.realtime.route import PATH

pytestmark = pytest.mark.asyncio(loop_scope="module")

TEXT = "One two three. Four five six."
CONFIGURED: dict[str, Any] = {"speed": 1.2, "volume": 0.5}
"""Prosody in the settings of the server."""
WAV_HEADER = 44
SPEECH = "v1/audio/speech"


@dataclass(frozen=True)
class ProsodyRequest:
    """Prosody and sample rate that a client requests; None omits the field."""

    speed: float | None = None
    volume: float | None = None
    sample_rate: int | None = None

    @property
    def fields(self) -> dict[str, float]:
        return {name: value for name, value in vars(self).items() if value is not None}

    @property
    def ssml(self) -> str:
        """SSML, for protocols without prosody fields."""
        rate = "" if self.speed is None else f" rate='{self.speed:.0%}'"
        volume = "" if self.volume is None else f" volume='{self.volume:.0%}'"
        return f"<speak><prosody{rate}{volume}>{TEXT}</prosody></speak>"


@dataclass(frozen=True)
class ReceivedAudio:
    """Received audio with the sample rate given in its header."""

    rate: int
    pcm: bytes

    @property
    def seconds(self) -> float:
        return len(self.pcm) / 2 / self.rate

    @property
    def loudness(self) -> float:
        return float(np.sqrt(np.mean(np.frombuffer(self.pcm, "<i2").astype(np.float64) ** 2)))


Synthesize = Callable[[Site, ProsodyRequest], Awaitable[ReceivedAudio]]


async def wyoming(site: Site, request: ProsodyRequest) -> ReceivedAudio:
    return await over_wyoming(site, Event("synthesize", {"text": request.ssml, "text_format": "ssml"}))


async def wyoming_streaming(site: Site, request: ProsodyRequest) -> ReceivedAudio:
    chunks = [Event("synthesize-chunk", {"text": piece}) for piece in request.ssml.partition("three")]
    start = Event("synthesize-start", {"text_format": "ssml"})
    return await over_wyoming(site, start, *chunks, Event("synthesize-stop"))


async def over_wyoming(site: Site, *events: Event) -> ReceivedAudio:
    async with WyomingTestClient.connect("127.0.0.1", site.port) as client:
        await client.send(*events)
        answer = await client.until("audio-stop")
    return ReceivedAudio(answer[0].data["rate"], pcm_of(answer))


async def http_wav(site: Site, request: ProsodyRequest) -> ReceivedAudio:
    return await post_speech(site, SPEECH, {"response_format": "wav", **request.fields})


async def http_whole(site: Site, request: ProsodyRequest) -> ReceivedAudio:
    return await post_speech(site, SPEECH, {"response_format": "wav", "stream": False, **request.fields})


async def kokoro_fastapi(site: Site, request: ProsodyRequest) -> ReceivedAudio:
    fields = request.fields
    if "volume" in fields:
        fields["volume_multiplier"] = fields.pop("volume")
    return await post_speech(site, SPEECH, {"response_format": "wav", "stream": True, **fields})


async def http_stream_path(site: Site, request: ProsodyRequest) -> ReceivedAudio:
    return await post_speech(
        site, f"{SPEECH}/stream", {"format": "pcm", "sample_rate": LETTERS.rate, **request.fields}
    )


async def page_audition(site: Site, request: ProsodyRequest) -> ReceivedAudio:
    """Post what the script of the page posts: the sliders and the listed sample rate of the voice."""
    facts = await site.services.audition.facts(LETTERS.name)
    sliders = {"speed": 1, "volume": 1, "sample_rate": facts.sample_rate}
    fields = {"response_format": "pcm", "voice": LETTERS.name, **sliders, **request.fields}
    return await post_speech(site, SPEECH, fields)


async def player(site: Site, request: ProsodyRequest) -> ReceivedAudio:
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(f"{site.url}synthesize-stream", params={"text": TEXT, **request.fields})
    return parse_wav(answer)


async def post_speech(site: Site, path: str, fields: dict[str, Any]) -> ReceivedAudio:
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.post(f"{site.url}{path}", json={"input": TEXT, **fields})
    assert answer.status_code == 200, answer.text
    is_wav = answer.headers["content-type"] == "audio/wav"
    return (
        parse_wav(answer) if is_wav else ReceivedAudio(int(answer.headers["x-sample-rate"]), answer.content)
    )


def parse_wav(answer: httpx.Response) -> ReceivedAudio:
    (rate,) = struct.unpack("<I", answer.content[24:28])
    assert answer.headers["x-sample-rate"] == str(rate)
    return ReceivedAudio(rate, answer.content[WAV_HEADER:])


async def realtime(site: Site, request: ProsodyRequest) -> ReceivedAudio:
    async with realtime_client(url_of(site), audio={"sample_rate": rate_of(request)}) as client:
        await client.send("response.create", response_id="r", input=TEXT, **speed_of(request))
        created = await client.until("response.created")
        await client.until("response.completed")
    return ReceivedAudio(created["audio"]["sample_rate"], client.audio["r"])


async def realtime_appended(site: Site, request: ProsodyRequest) -> ReceivedAudio:
    session = {"audio": {"sample_rate": rate_of(request), "binary": True}, **speed_of(request)}
    async with realtime_client(url_of(site), **session) as client:
        await client.send("input.append", text=TEXT, response_id="r")
        await client.send("input.commit")
        created = await client.until("response.created")
        await client.until("response.completed")
    return ReceivedAudio(created["audio"]["sample_rate"], client.audio["r"])


async def realtime_short(site: Site, request: ProsodyRequest) -> ReceivedAudio:
    async with realtime_client(url_of(site), audio={"sample_rate": rate_of(request)}) as client:
        await client.say(**{"continue": True}, segment_id="r", input=TEXT, **speed_of(request))
        start = await client.until("start")
        await client.until("end")
    return ReceivedAudio(start["sample_rate"], client.audio["r"])


def url_of(site: Site) -> str:
    return site.url.replace("http://", "ws://").rstrip("/") + PATH


def rate_of(request: ProsodyRequest) -> int:
    return request.sample_rate or LETTERS.rate


def speed_of(request: ProsodyRequest) -> dict[str, float]:
    return {} if request.speed is None else {"speed": request.speed}


async def page_stream_test(site: Site, _: ProsodyRequest) -> ReceivedAudio:
    frames = [
        frame
        async for frame in site.services.stream_test.run(
            "me", StreamTestRequest(TEXT, words_per_second=200.0)
        )
    ]
    wav = site.services.stream_test.wav(frames[-1].run, 1)
    assert wav is not None, json.dumps([stream.error for stream in frames[-1].lanes])
    (rate,) = struct.unpack("<I", wav[24:28])
    return ReceivedAudio(rate, wav[WAV_HEADER:])


async def say_without_a_server(_: Site, request: ProsodyRequest) -> ReceivedAudio:
    received: list[tuple[int, bytes]] = []

    async def on_audio(audio_format: AudioFormat, pcm: bytes) -> None:
        received.append((audio_format.rate, pcm))

    async def pieces() -> AsyncIterator[str]:
        yield TEXT

    del request
    await local_speech.speak(
        settings_for_tests(**CONFIGURED), pieces(), on_audio=on_audio, voice=VoiceRequest()
    )
    return ReceivedAudio(received[0][0], b"".join(pcm for _, pcm in received))


HTTP = (http_wav, http_whole, kokoro_fastapi, http_stream_path, page_audition)
REALTIME = (realtime, realtime_appended, realtime_short)
WYOMING = (wyoming, wyoming_streaming)
ALL: tuple[Synthesize, ...] = (*WYOMING, *HTTP, player, *REALTIME, page_stream_test, say_without_a_server)
PACED: tuple[Synthesize, ...] = (*WYOMING, *HTTP, player, *REALTIME)
LOUD: tuple[Synthesize, ...] = (*WYOMING, *HTTP)
RATED: tuple[Synthesize, ...] = (*HTTP, *REALTIME)


def transport_name(synthesize: Synthesize) -> str:
    return getattr(synthesize, "__name__", repr(synthesize))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    async with product(tmp_path_factory.mktemp("site"), **CONFIGURED) as running:
        yield running


async def reference(site: Site, prosody: Prosody | None = None) -> ReceivedAudio:
    """Audio of the synthesizer used directly, without any transport."""
    utterance = Utterance.of(TEXT, prosody=prosody or Prosody())
    async with site.parts.synthesizer.speak(utterance) as stream:
        chunks = [chunk async for chunk in stream]
    return ReceivedAudio(stream.format.rate, join_chunks(chunks).astype("<i2").tobytes())


async def test_the_reference_synthesis_has_the_speed_of_the_settings(site: Site) -> None:
    configured, faster = await reference(site), await reference(site, Prosody(speed=1.25))
    words = ["One two three.", "Four five six."]
    assert LETTERS.said(np.frombuffer(configured.pcm, "<i2"), speed=1.2) == words
    assert LETTERS.said(np.frombuffer(faster.pcm, "<i2"), speed=1.5) == words


@pytest.mark.parametrize("synthesize", ALL, ids=transport_name)
async def test_a_request_without_prosody_uses_the_settings(site: Site, synthesize: Synthesize) -> None:
    assert await synthesize(site, ProsodyRequest()) == await reference(site)


@pytest.mark.parametrize("synthesize", PACED, ids=transport_name)
async def test_a_requested_speed_of_one_is_the_configured_speed(site: Site, synthesize: Synthesize) -> None:
    assert await synthesize(site, ProsodyRequest(speed=1.0)) == await reference(site)


@pytest.mark.parametrize("synthesize", PACED, ids=transport_name)
async def test_a_requested_speed_of_two_doubles_the_configured_speed(
    site: Site, synthesize: Synthesize
) -> None:
    assert await synthesize(site, ProsodyRequest(speed=2.0)) == await reference(site, Prosody(speed=2.0))


@pytest.mark.parametrize("synthesize", PACED, ids=transport_name)
async def test_the_combined_speed_is_clamped_to_the_range_of_the_engines(
    site: Site, synthesize: Synthesize
) -> None:
    assert await synthesize(site, ProsodyRequest(speed=4.0)) == await reference(
        site, Prosody(speed=4.0 / 1.2)
    )


@pytest.mark.parametrize("synthesize", LOUD, ids=transport_name)
async def test_a_requested_volume_is_relative_to_the_configured_volume(
    site: Site, synthesize: Synthesize
) -> None:
    assert await synthesize(site, ProsodyRequest(volume=1.0)) == await reference(site)
    halved = await synthesize(site, ProsodyRequest(volume=0.5))
    assert halved == await reference(site, Prosody(volume=0.5))
    assert halved.loudness == pytest.approx((await reference(site)).loudness / 2, rel=0.01)


@pytest.mark.parametrize("rate", [16_000, 24_000])
@pytest.mark.parametrize("synthesize", RATED, ids=transport_name)
async def test_a_requested_sample_rate_changes_the_header_but_not_the_duration(
    site: Site, synthesize: Synthesize, rate: int
) -> None:
    received, configured = await synthesize(site, ProsodyRequest(sample_rate=rate)), await reference(site)
    assert received.rate == rate
    assert received.seconds == pytest.approx(configured.seconds, abs=0.001)
    assert received.loudness == pytest.approx(
        configured.loudness, rel=0.1
    )  # resampling to 16 kHz removes tones above 8 kHz
