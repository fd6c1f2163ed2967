"""Prosody and sample rate mean the same through every transport: relative to the settings, applied once."""

from __future__ import annotations

import json
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
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

TEXT = "One two three. Four five six."
OWN = {"speed": 1.2, "volume": 0.5}
"""What the settings of the server say."""
WAV_HEADER = 44
SPEECH = "v1/audio/speech"


@dataclass(frozen=True)
class Asked:
    """What a client asks for; None leaves it out."""

    speed: float | None = None
    volume: float | None = None
    sample_rate: int | None = None

    @property
    def fields(self) -> dict[str, float]:
        return {name: value for name, value in vars(self).items() if value is not None}

    @property
    def ssml(self) -> str:
        """Where a protocol has no fields, its clients write markup."""
        rate = "" if self.speed is None else f" rate='{self.speed:.0%}'"
        volume = "" if self.volume is None else f" volume='{self.volume:.0%}'"
        return f"<speak><prosody{rate}{volume}>{TEXT}</prosody></speak>"


@dataclass(frozen=True)
class Heard:
    """Audio at the rate that its header tells."""

    rate: int
    pcm: bytes

    @property
    def seconds(self) -> float:
        return len(self.pcm) / 2 / self.rate

    @property
    def loudness(self) -> float:
        return float(np.sqrt(np.mean(np.frombuffer(self.pcm, "<i2").astype(np.float64) ** 2)))


Listen = Callable[[Site, Asked], Awaitable[Heard]]


async def wyoming(site: Site, asked: Asked) -> Heard:
    return await over_wyoming(site, Event("synthesize", {"text": asked.ssml, "text_format": "ssml"}))


async def wyoming_streaming(site: Site, asked: Asked) -> Heard:
    chunks = [Event("synthesize-chunk", {"text": piece}) for piece in asked.ssml.partition("three")]
    start = Event("synthesize-start", {"text_format": "ssml"})
    return await over_wyoming(site, start, *chunks, Event("synthesize-stop"))


async def over_wyoming(site: Site, *events: Event) -> Heard:
    async with WyomingTestClient.connect("127.0.0.1", site.port) as client:
        await client.send(*events)
        answer = await client.until("audio-stop")
    return Heard(answer[0].data["rate"], pcm_of(answer))


async def http_wav(site: Site, asked: Asked) -> Heard:
    return await posted(site, SPEECH, {"response_format": "wav", **asked.fields})


async def http_whole(site: Site, asked: Asked) -> Heard:
    return await posted(site, SPEECH, {"response_format": "wav", "stream": False, **asked.fields})


async def kokoro_fastapi(site: Site, asked: Asked) -> Heard:
    fields = asked.fields
    if "volume" in fields:
        fields["volume_multiplier"] = fields.pop("volume")
    return await posted(site, SPEECH, {"response_format": "wav", "stream": True, **fields})


async def http_stream_path(site: Site, asked: Asked) -> Heard:
    return await posted(
        site, f"{SPEECH}/stream", {"format": "pcm", "sample_rate": LETTERS.rate, **asked.fields}
    )


async def page_preview(site: Site, asked: Asked) -> Heard:
    """What the page's script posts: the sliders, and the rate that the voice is said to have."""
    facts = await site.services.preview.facts(LETTERS.name)
    sliders = {"speed": 1, "volume": 1, "sample_rate": facts.sample_rate}
    fields = {"response_format": "pcm", "voice": LETTERS.name, **sliders, **asked.fields}
    return await posted(site, SPEECH, fields)


async def player(site: Site, asked: Asked) -> Heard:
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(f"{site.url}synthesize-stream", params={"text": TEXT, **asked.fields})
    return of_wav(answer)


async def posted(site: Site, path: str, fields: dict[str, Any]) -> Heard:
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.post(f"{site.url}{path}", json={"input": TEXT, **fields})
    assert answer.status_code == 200, answer.text
    is_wav = answer.headers["content-type"] == "audio/wav"
    return of_wav(answer) if is_wav else Heard(int(answer.headers["x-sample-rate"]), answer.content)


def of_wav(answer: httpx.Response) -> Heard:
    (rate,) = struct.unpack("<I", answer.content[24:28])
    assert answer.headers["x-sample-rate"] == str(rate)
    return Heard(rate, answer.content[WAV_HEADER:])


async def realtime(site: Site, asked: Asked) -> Heard:
    async with realtime_client(url_of(site), audio={"sample_rate": rate_of(asked)}) as client:
        await client.send("response.create", response_id="r", input=TEXT, **speed_of(asked))
        created = await client.until("response.created")
        await client.until("response.completed")
    return Heard(created["audio"]["sample_rate"], client.audio["r"])


async def realtime_appended(site: Site, asked: Asked) -> Heard:
    session = {"audio": {"sample_rate": rate_of(asked), "binary": True}, **speed_of(asked)}
    async with realtime_client(url_of(site), **session) as client:
        await client.send("input.append", text=TEXT, response_id="r")
        await client.send("input.commit")
        created = await client.until("response.created")
        await client.until("response.completed")
    return Heard(created["audio"]["sample_rate"], client.audio["r"])


async def realtime_short(site: Site, asked: Asked) -> Heard:
    async with realtime_client(url_of(site), audio={"sample_rate": rate_of(asked)}) as client:
        await client.say(**{"continue": True}, segment_id="r", input=TEXT, **speed_of(asked))
        start = await client.until("start")
        await client.until("end")
    return Heard(start["sample_rate"], client.audio["r"])


def url_of(site: Site) -> str:
    return site.url.replace("http://", "ws://").rstrip("/") + PATH


def rate_of(asked: Asked) -> int:
    return asked.sample_rate or LETTERS.rate


def speed_of(asked: Asked) -> dict[str, float]:
    return {} if asked.speed is None else {"speed": asked.speed}


async def page_stream_test(site: Site, _: Asked) -> Heard:
    frames = [
        frame
        async for frame in site.services.stream_test.run(
            "me", StreamTestRequest(TEXT, words_per_second=200.0)
        )
    ]
    wav = site.services.stream_test.wav(frames[-1].run, 1)
    assert wav is not None, json.dumps([lane.error for lane in frames[-1].lanes])
    (rate,) = struct.unpack("<I", wav[24:28])
    return Heard(rate, wav[WAV_HEADER:])


async def say_without_a_server(_: Site, asked: Asked) -> Heard:
    heard: list[tuple[int, bytes]] = []

    async def on_audio(audio_format: AudioFormat, pcm: bytes) -> None:
        heard.append((audio_format.rate, pcm))

    async def pieces() -> AsyncIterator[str]:
        yield TEXT

    del asked
    await local_speech.speak(settings_for_tests(**OWN), pieces(), on_audio=on_audio, voice=VoiceRequest())
    return Heard(heard[0][0], b"".join(pcm for _, pcm in heard))


HTTP = (http_wav, http_whole, kokoro_fastapi, http_stream_path, page_preview)
REALTIME = (realtime, realtime_appended, realtime_short)
WYOMING = (wyoming, wyoming_streaming)
ALL: tuple[Listen, ...] = (*WYOMING, *HTTP, player, *REALTIME, page_stream_test, say_without_a_server)
PACED: tuple[Listen, ...] = (*WYOMING, *HTTP, player, *REALTIME)
LOUD: tuple[Listen, ...] = (*WYOMING, *HTTP)
RATED: tuple[Listen, ...] = (*HTTP, *REALTIME)


def named(listen: Listen) -> str:
    return getattr(listen, "__name__", repr(listen))


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with product(tmp_path, **OWN) as running:
        yield running


async def reference(site: Site, prosody: Prosody | None = None) -> Heard:
    """What the synthesizer gives to whom it embeds."""
    utterance = Utterance.of(TEXT, prosody=prosody or Prosody())
    async with site.parts.synthesizer.speak(utterance) as stream:
        chunks = [chunk async for chunk in stream]
    return Heard(stream.format.rate, join_chunks(chunks).astype("<i2").tobytes())


async def test_the_reference_synthesis_has_the_speed_of_the_settings(site: Site) -> None:
    own, twice = await reference(site), await reference(site, Prosody(speed=2.0))
    words = ["One two three.", "Four five six."]
    assert LETTERS.said(np.frombuffer(own.pcm, "<i2"), speed=1.2) == words
    assert LETTERS.said(np.frombuffer(twice.pcm, "<i2"), speed=2.4) == words


@pytest.mark.parametrize("listen", ALL, ids=named)
async def test_a_request_without_prosody_uses_the_settings(site: Site, listen: Listen) -> None:
    assert await listen(site, Asked()) == await reference(site)


@pytest.mark.parametrize("listen", PACED, ids=named)
async def test_a_requested_speed_of_one_is_the_configured_speed(site: Site, listen: Listen) -> None:
    assert await listen(site, Asked(speed=1.0)) == await reference(site)


@pytest.mark.parametrize("listen", PACED, ids=named)
async def test_a_requested_speed_of_two_doubles_the_configured_speed(site: Site, listen: Listen) -> None:
    assert await listen(site, Asked(speed=2.0)) == await reference(site, Prosody(speed=2.0))


@pytest.mark.parametrize("listen", PACED, ids=named)
async def test_the_combined_speed_is_clamped_to_the_range_of_the_engines(site: Site, listen: Listen) -> None:
    assert await listen(site, Asked(speed=4.0)) == await reference(site, Prosody(speed=4.0 / 1.2))


@pytest.mark.parametrize("listen", LOUD, ids=named)
async def test_a_requested_volume_is_relative_to_the_configured_volume(site: Site, listen: Listen) -> None:
    assert await listen(site, Asked(volume=1.0)) == await reference(site)
    half = await listen(site, Asked(volume=0.5))
    assert half == await reference(site, Prosody(volume=0.5))
    assert half.loudness == pytest.approx((await reference(site)).loudness / 2, rel=0.01)


@pytest.mark.parametrize("rate", [16_000, 24_000])
@pytest.mark.parametrize("listen", RATED, ids=named)
async def test_a_requested_sample_rate_changes_the_header_but_not_the_duration(
    site: Site, listen: Listen, rate: int
) -> None:
    heard, own = await listen(site, Asked(sample_rate=rate)), await reference(site)
    assert heard.rate == rate
    assert heard.seconds == pytest.approx(own.seconds, abs=0.001)
    assert heard.loudness == pytest.approx(own.loudness, rel=0.1)  # some tones lie above 8 kHz
