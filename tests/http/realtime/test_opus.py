"""Opus over the realtime WebSocket: packets in messages, as exact as PCM."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest

from tests.http.realtime.conftest import conversation
from tests.support.fake_synthesizer import RATE, SAMPLES_PER_CHARACTER, FakeSynthesizer, speech_pcm
from tests.support.realtime_server import RealtimeClient
from wyoming_tts.encoders import EncoderOptions, libopus
from wyoming_tts.encoders.packet_encoder import opus_pre_skip
from wyoming_tts.speech import Utterance
from wyoming_tts.transports.realtime.session import OpusFormat

pytestmark = pytest.mark.skipif(not libopus.is_installed(), reason="libopus is not installed")
FRAME = RATE // 50
AUDIO = {"format": "opus", "sample_rate": RATE}
TEXT = "The weather is nice"


@pytest.fixture
def synthesizer() -> FakeSynthesizer:
    synthesizer = FakeSynthesizer()
    synthesizer.tells_words = True
    return synthesizer


@pytest.fixture
async def client(synthesizer: FakeSynthesizer) -> AsyncIterator[RealtimeClient]:
    opus = OpusFormat(opus_pre_skip(EncoderOptions()) or 0)
    async with conversation(synthesizer, opus=opus, audio=AUDIO) as connected:
        yield connected


async def packets_of(client: RealtimeClient, count: int) -> list[bytes]:
    """Read until so many packets have come."""
    while len(packets := received_packets(client)) < count:
        await client.next()
    return packets


def received_packets(client: RealtimeClient) -> list[bytes]:
    return [base64.b64decode(event["delta"]) for event in client.events if "delta" in event]


def decoded(packets: list[bytes], created: dict[str, Any], samples: int) -> npt.NDArray[np.float32]:
    """What FFmpeg decodes, without what the server says is none of the audio; at the session's rate."""
    decoder = av.CodecContext.create("opus", "r")
    assert isinstance(decoder, av.AudioCodecContext)
    frames = [frame for packet in packets for frame in decoder.decode(av.Packet(packet))]
    audio = np.concatenate([frame.to_ndarray()[0] for frame in frames])[created["pre_skip"] :: 48_000 // RATE]
    assert len(audio) - samples < FRAME
    return audio[:samples].astype(np.float32)


async def test_the_packets_decode_to_the_audio_sample_by_sample(client: RealtimeClient) -> None:
    await client.send("response.create", response_id="r", input=TEXT)
    created = (await client.until("response.created"))["audio"]
    assert created == {**AUDIO, "binary": False, "frame_ms": 20, "pre_skip": 312}
    samples = (await client.until("response.output_audio.done"))["samples"]
    original = np.frombuffer(speech_pcm(TEXT), "<i2") / 32_768

    assert samples == len(original)
    audio = decoded(received_packets(client), created, samples)
    assert np.corrcoef(audio, original)[0, 1] > 0.95


async def test_a_packet_is_sent_once_it_is_full_and_its_words_before_it(
    client: RealtimeClient, synthesizer: FakeSynthesizer
) -> None:
    told = asyncio.Semaphore(0)

    async def wait(_utterance: Utterance, _chunk: int) -> None:
        await told.acquire()

    synthesizer.on_chunk = wait
    for spoken, character in enumerate(TEXT, start=1):
        await client.send("input.append", text=character, response_id="r")
        told.release()
        full = spoken * SAMPLES_PER_CHARACTER // FRAME
        assert len(await packets_of(client, full)) == full
    words = [number for number, event in enumerate(client.events) if "words" in event]
    first = next(number for number, event in enumerate(client.events) if "delta" in event)
    assert words[0] < first


async def test_what_was_heard_of_an_interrupted_response_counts_what_its_packets_hold(
    client: RealtimeClient, synthesizer: FakeSynthesizer
) -> None:
    chunks, never = 8, asyncio.Event()

    async def stop(_utterance: Utterance, chunk: int) -> None:
        if chunk == chunks:
            await never.wait()

    synthesizer.on_chunk = stop
    for character in TEXT:
        await client.send("input.append", text=character, response_id="r")
    count = len(await packets_of(client, chunks * SAMPLES_PER_CHARACTER // FRAME))
    await client.send("barge")
    heard = (await client.until("response.canceled"))["heard"]
    assert heard["played_ms"] == count * 20 - 7  # 6.5 ms of delay are not heard yet
    assert len(received_packets(client)) == count


async def test_packets_are_binary_messages_if_the_client_wants_them_so_and_in_the_short_dialect(
    client: RealtimeClient,
) -> None:
    await client.send("session.update", session={"audio": {"binary": True}})
    await client.send("response.create", response_id="full", input=TEXT)
    await client.until("response.completed")
    await client.say(segment_id="short", input=TEXT)
    assert (await client.until("start"))["pre_skip"] == 312
    assert (await client.until("end"))["samples"] == len(speech_pcm(TEXT)) // 2
    assert client.audio["full"] == client.audio["short"]
    await client.say(segment_id="pcm", input=TEXT, format="pcm")
    await client.until("end")
    assert client.audio["pcm"] == speech_pcm(TEXT)


async def test_a_text_of_which_nothing_is_spoken_has_no_packet(client: RealtimeClient) -> None:
    await client.send("response.create", response_id="r", input="")
    assert (await client.until("response.output_audio.done"))["samples"] == 0
    assert received_packets(client) == []
