"""SSML, numbers and symbols over a Wyoming connection, as a voice assistant sends them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import numpy as np
import pytest
from wyoming.event import Event
from wyoming.tts import (
    Synthesize,
    SynthesizeChunk,
    SynthesizeStart,
    SynthesizeStop,
    SynthesizeTextFormat,
    SynthesizeVoice,
)

from tests.support.parts import running_parts
from tests.support.tones import LETTERS, TONES, silences
from tests.support.wyoming_client import WyomingTestClient, event_types, pcm_of
from wyoming_tts.assembly.parts import Parts
from wyoming_tts.transports.wyoming.protocol import info_event
from wyoming_tts.transports.wyoming.server import WyomingServer
from wyoming_tts.wyoming_framing import encode_event

ANSWER = ["audio-start", "audio-chunk", "audio-stop"]
REFUSED = ["audio-start", "audio-chunk", "error", "audio-stop"]
STREAMED = [*ANSWER, "synthesize-stopped"]
STREAMED_REFUSED = [*REFUSED, "synthesize-stopped"]
SSML = SynthesizeTextFormat.SSML
ESPEAK = "espeak-en-us"

DOCUMENT = (
    "<speak>The door is <emphasis>open</emphasis>. <break time='500ms'/>"
    "Dial <say-as interpret-as='digits'>42</say-as>, <sub alias='please'>pls</sub>.</speak>"
)
SAID = ["The door is open.", "Dial four two, please."]
BROKEN = "<speak><s>The door is open.</s>\n <s>Close it.</p></speak>"


@asynccontextmanager
async def connected(parts: Parts) -> AsyncIterator[WyomingTestClient]:
    def describe() -> bytes:
        return encode_event(info_event(parts.library.voices, version="1", supports_streaming=True))

    server = WyomingServer(parts.synthesizer, describe=describe, run_blocking=parts.workers.run_blocking)
    async with server:
        await server.start("tcp://127.0.0.1:0")
        async with WyomingTestClient.connect(*server.bound[0][:2]) as client:
            yield client


@pytest.fixture
async def client() -> AsyncIterator[WyomingTestClient]:
    async with running_parts() as parts, connected(parts) as client:
        yield client


async def synthesize(
    client: WyomingTestClient, text: str, *, voice: str | None = None, ssml: bool = False
) -> list[Event]:
    requested_voice = SynthesizeVoice(name=voice) if voice else None
    text_format = SSML if ssml else None
    await client.send(Synthesize(text, voice=requested_voice, text_format=text_format).event())
    return await client.until("audio-stop")


async def synthesize_streamed(
    client: WyomingTestClient, pieces: Sequence[str], *, voice: str | None = None, ssml: bool = False
) -> list[Event]:
    requested_voice = SynthesizeVoice(name=voice) if voice else None
    text_format = SSML if ssml else None
    await client.send(SynthesizeStart(voice=requested_voice, text_format=text_format).event())
    await client.send(*(SynthesizeChunk(piece).event() for piece in pieces), SynthesizeStop().event())
    return await client.until("synthesize-stopped")


def samples(events: Sequence[Event]) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    return np.frombuffer(pcm_of(events), dtype="<i2")


def error_of(events: Sequence[Event]) -> Event:
    (error,) = [event for event in events if event.type == "error"]
    return error


def in_pieces(text: str, size: int) -> list[str]:
    return [text[start : start + size] for start in range(0, len(text), size)]


async def test_ssml_is_spoken_by_its_meaning(client: WyomingTestClient) -> None:
    events = await synthesize(client, DOCUMENT, ssml=True)
    assert event_types(events) == ANSWER
    assert LETTERS.said(samples(events)) == SAID
    assert silences(samples(events))[1] == pytest.approx(LETTERS.rate / 2, abs=2)


@pytest.mark.parametrize("size", [1, 7, 40, 1000])
async def test_streamed_ssml_is_spoken_like_the_whole_document(client: WyomingTestClient, size: int) -> None:
    whole = await synthesize(client, DOCUMENT, ssml=True)
    events = await synthesize_streamed(client, in_pieces(DOCUMENT, size), ssml=True)
    assert event_types(events) == STREAMED
    assert pcm_of(events) == pcm_of(whole)


async def test_the_first_sentence_of_streamed_ssml_is_spoken_before_the_rest_arrives(
    client: WyomingTestClient,
) -> None:
    await client.send(SynthesizeStart(text_format=SSML).event())
    await client.send(SynthesizeChunk("<speak><s>The door is open.</s> <s>Every").event())
    begun = await client.until("audio-chunk")
    await client.send(SynthesizeChunk("one is here.</s></speak>").event(), SynthesizeStop().event())
    rest = await client.until("synthesize-stopped")
    assert event_types(begun) == ["audio-start", "audio-chunk"]
    assert LETTERS.said(samples(begun + rest)) == ["The door is open.", "Everyone is here."]


async def test_every_chunk_has_the_announced_sample_rate_across_voice_changes(
    client: WyomingTestClient,
) -> None:
    text = f"<speak>The door. <voice name='{TONES.name}'>Ja.</voice></speak>"
    events = await synthesize(client, text, ssml=True)
    rates = {event.data["rate"] for event in events if event.type in {"audio-start", "audio-chunk"}}
    assert rates == {LETTERS.rate}


async def test_malformed_ssml_is_reported_with_its_position_after_the_text_before_it(
    client: WyomingTestClient,
) -> None:
    events = await synthesize(client, BROKEN, ssml=True)
    assert event_types(events) == REFUSED
    assert LETTERS.said(samples(events))[0] == "The door is open."
    assert error_of(events).data["code"] == "bad_markup"
    assert "line 2, column 14" in error_of(events).data["text"]


@pytest.mark.parametrize("size", [1, 9, 1000])
async def test_streamed_malformed_ssml_is_reported_the_same_way(client: WyomingTestClient, size: int) -> None:
    whole = await synthesize(client, BROKEN, ssml=True)
    events = await synthesize_streamed(client, in_pieces(BROKEN, size), ssml=True)
    assert event_types(events) == STREAMED_REFUSED
    assert error_of(events).data == error_of(whole).data
    assert pcm_of(events) == pcm_of(whole)


async def test_an_unclosed_ssml_document_is_reported_at_its_end(client: WyomingTestClient) -> None:
    events = await synthesize_streamed(client, ["<speak><p>The door", " is open."], ssml=True)
    assert event_types(events) == STREAMED_REFUSED
    assert "line 1, column 8" in error_of(events).data["text"]
    assert LETTERS.said(samples(events)) == ["The door is open."]


@pytest.mark.parametrize(
    "bomb", ["<!DOCTYPE x [<!ENTITY a 'b'>]><speak>&a;</speak>", "<a>" * 100, "</speak>"]
)
async def test_hostile_ssml_is_refused_without_audio(client: WyomingTestClient, bomb: str) -> None:
    events = await synthesize(client, bomb, ssml=True)
    assert error_of(events).data["code"] == "bad_markup"
    assert pcm_of(events) == b""


@pytest.mark.parametrize("streamed", [True, False])
async def test_the_connection_stays_usable_after_malformed_ssml(
    client: WyomingTestClient, *, streamed: bool
) -> None:
    if streamed:
        await synthesize_streamed(client, in_pieces(BROKEN, 5), ssml=True)
    else:
        await synthesize(client, BROKEN, ssml=True)
    again = await synthesize(client, DOCUMENT, ssml=True)
    assert LETTERS.said(samples(again)) == SAID
    assert event_types(await synthesize_streamed(client, ["It is ", "open."])) == STREAMED


async def test_ssml_without_its_text_format_is_treated_as_plain_text_with_html(
    client: WyomingTestClient,
) -> None:
    events = await synthesize(client, "<speak>The door <break time='9s'/> is open.")
    assert event_types(events) == ANSWER
    assert LETTERS.said(samples(events)) == ["The door is open."]


WRITTEN_OUT = [
    ("It is **25 °C** outside.", "It is twenty-five degrees Celsius outside."),
    (
        "Gusts up to *20 km/h*, `45%` humid.",
        "Gusts up to twenty kilometers per hour, forty-five percent humid.",
    ),
    ("# Today\n\n- Dinner at 7:05\n- 1/2 cup", "Today.\n\nDinner at seven oh five.\nOne half cup."),
    ("See [the news](http://example.com/?a=1) 🎉!", "See the news!"),
    ("<think>secret</think>It costs $3.50.", "It costs three dollars and fifty cents."),
    ("Dr. Smith &amp; Mr. Jones", "Doctor Smith and Mister Jones"),
]


@pytest.mark.parametrize(("written", "spoken"), WRITTEN_OUT)
async def test_the_embedded_voice_normalizes_numbers_and_symbols_into_words(
    written: str, spoken: str
) -> None:
    # Without a cache the second is rendered as well.
    async with running_parts(cache_memory=0, auto_punctuation=".?!") as parts, connected(parts) as client:
        as_written = await synthesize(client, written, voice=ESPEAK)
        by_hand = await synthesize(client, spoken, voice=ESPEAK)
        in_chunks = await synthesize_streamed(client, in_pieces(written, 3), voice=ESPEAK)
    assert event_types(as_written) == ANSWER
    assert len(pcm_of(as_written)) > LETTERS.rate // 2
    assert pcm_of(as_written) == pcm_of(by_hand)
    assert pcm_of(in_chunks) == pcm_of(by_hand)


async def test_a_german_voice_normalizes_numbers_into_german_words() -> None:
    async with running_parts(cache_memory=0) as parts, connected(parts) as client:
        as_written = await synthesize(client, "Es sind 25 °C, z. B. hier.", voice="espeak-de")
        by_hand = await synthesize(
            client, "Es sind fünfundzwanzig Grad Celsius, zum Beispiel hier.", voice="espeak-de"
        )
    assert pcm_of(as_written) == pcm_of(by_hand) != b""
