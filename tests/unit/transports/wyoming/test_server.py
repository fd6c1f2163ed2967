"""What the Wyoming server answers over real sockets."""

from __future__ import annotations

import asyncio
import logging

import pytest
from wyoming.audio import AudioStart
from wyoming.client import AsyncTcpClient
from wyoming.info import Describe, Info
from wyoming.ping import Ping
from wyoming.tts import Synthesize, SynthesizeVoice

from tests.support.fake_synthesizer import RATE, FakeSynthesizer, speech_pcm, spoken_words
from tests.support.wyoming_client import event_types, pcm_of
from tests.unit.transports.wyoming.conftest import (
    PLAIN_ANSWER,
    START,
    STOP,
    STREAM_ANSWER,
    Gate,
    connected,
    running_server,
    synthesize,
    text_chunk,
)
from wyoming_tts.speech import TextFormat, VoiceRequest
from wyoming_tts.transports.wyoming.server import WyomingOptions
from wyoming_tts.wyoming_words import WORDS, parse_words


class TestResponses:
    async def test_a_plain_request_gets_one_start_its_audio_and_one_stop(self, fake: FakeSynthesizer) -> None:
        async with connected(fake) as (_, client):
            await client.send(synthesize("hello there"))
            events = await client.until("audio-stop")

        assert event_types(events) == PLAIN_ANSWER
        assert pcm_of(events) == speech_pcm("hello there")
        assert AudioStart.from_event(events[0]).rate == RATE
        assert fake.utterances[0].peer == "127.0.0.1"

    async def test_the_client_of_the_wyoming_package_is_served(self, fake: FakeSynthesizer) -> None:
        async with running_server(fake) as server, AsyncTcpClient(*server.bound[0]) as client:
            await client.write_event(Describe().event())
            event = await client.read_event()

        assert event is not None
        assert Info.from_event(event).tts[0].name == "wyoming-tts"

    async def test_chunks_have_the_configured_size_and_timestamps_in_milliseconds(
        self, fake: FakeSynthesizer
    ) -> None:
        async with connected(fake, WyomingOptions(samples_per_chunk=160)) as (_, client):
            await client.send(synthesize("abc"))
            events = await client.until("audio-stop")

        chunks = events[1:-1]
        assert [len(event.payload or b"") for event in chunks] == [320] * 5 + [200]
        assert [event.data["timestamp"] for event in chunks] == [0, 10, 20, 30, 40, 50]
        assert events[-1].data["timestamp"] == 900 * 1000 // RATE

    async def test_words_come_with_the_audio_in_which_they_begin(self, fake: FakeSynthesizer) -> None:
        fake.tells_words = True
        async with connected(fake, WyomingOptions(samples_per_chunk=1_000)) as (_, client):
            await client.send(synthesize("good morning"))
            chunks = [event for event in await client.until("audio-stop") if event.type == "audio-chunk"]

        good, morning = spoken_words("good morning")
        assert [parse_words(event.data) for event in chunks] == [(good,), (morning,), (), ()]

    async def test_words_can_be_switched_off(self, fake: FakeSynthesizer) -> None:
        fake.tells_words = True
        async with connected(fake, WyomingOptions(words=False)) as (_, client):
            await client.send(synthesize("good morning"))
            events = await client.until("audio-stop")

        assert pcm_of(events) == speech_pcm("good morning")
        assert not any(WORDS in event.data for event in events)

    async def test_a_streaming_request_gets_audio_while_its_text_still_arrives(
        self, fake: FakeSynthesizer
    ) -> None:
        async with connected(fake) as (_, client):
            await client.send(START, text_chunk("first "))
            early = [await client.receive(), await client.receive()]
            await client.send(text_chunk("second"), synthesize("first second"), STOP)
            events = early + await client.until("synthesize-stopped")

        assert event_types(events) == STREAM_ANSWER
        assert pcm_of(events) == speech_pcm("first second")

    @pytest.mark.parametrize("pieces", [[], [""]])
    async def test_an_empty_stream_still_gets_all_closing_events(
        self, fake: FakeSynthesizer, pieces: list[str]
    ) -> None:
        async with connected(fake) as (_, client):
            await client.send(START, *map(text_chunk, pieces), STOP)
            events = await client.until("synthesize-stopped")

        assert event_types(events) == ["audio-start", "audio-stop", "synthesize-stopped"]
        assert events[0].data["rate"] == RATE

    async def test_pipelined_requests_are_answered_in_order(self, fake: FakeSynthesizer) -> None:
        async with connected(fake) as (_, client):
            await client.send(
                synthesize("one"),
                START,
                text_chunk("two"),
                START,
                text_chunk("three"),
                STOP,
                synthesize("four"),
            )
            one = await client.until("audio-stop")
            two = await client.until("synthesize-stopped")
            three = await client.until("synthesize-stopped")
            four = await client.until("audio-stop")

        assert [pcm_of(events) for events in (one, two, three, four)] == [
            speech_pcm(text) for text in ("one", "two", "three", "four")
        ]
        assert event_types(one) == event_types(four) == PLAIN_ANSWER
        assert event_types(two) == event_types(three) == STREAM_ANSWER

    async def test_describe_and_ping_are_answered_during_playback_and_open_text(
        self, fake: FakeSynthesizer
    ) -> None:
        fake.on_chunk = gate = Gate()
        async with connected(fake) as (_, client):
            await client.send(synthesize("one"), START, text_chunk("x" * 1000))
            await client.send_bytes(b'{ "type": "describe" }\n')
            await client.send(Ping("still there?").event())
            answers = [await client.receive(), await client.receive()]
            gate.opened.set()

        assert [event.type for event in answers] == ["info", "pong"]
        assert answers[1].data == {"text": "still there?"}

    async def test_a_fast_engine_yields_to_the_event_loop_after_each_event(
        self, fake: FakeSynthesizer
    ) -> None:
        turns, turns_before = 0, 0

        async def count_turns() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        async def record_turns(*_: object) -> None:
            nonlocal turns_before
            turns_before = turns

        fake.on_chunk = record_turns
        async with connected(fake) as (_, client):
            counting = asyncio.create_task(count_turns())
            await client.send(synthesize("x" * 100))
            await fake.until(lambda: fake.left == 1)
            turns_between = turns - turns_before
            counting.cancel()
            await asyncio.gather(counting, return_exceptions=True)
            events = await client.until("audio-stop")

        assert turns_between >= len(events) - 1

    async def test_a_ping_is_answered_before_a_long_plain_text_is_spoken(self, fake: FakeSynthesizer) -> None:
        fake.on_chunk = gate = Gate()
        async with connected(fake) as (_, client):
            await client.send(synthesize("x" * 200_000), Ping("now").event())
            assert (await client.receive()).type == "pong"
            gate.opened.set()

    async def test_only_the_text_of_a_plain_request_is_known_from_the_start(
        self, fake: FakeSynthesizer
    ) -> None:
        async with connected(fake) as (_, client):
            await client.send(synthesize("whole"), START, text_chunk("piece"), STOP)
            await client.until("synthesize-stopped")
        assert [utterance.is_complete for utterance in fake.utterances] == [True, False]

    async def test_voice_speaker_and_format_of_the_request_reach_the_synthesizer(
        self, fake: FakeSynthesizer
    ) -> None:
        voice = SynthesizeVoice(name="amy#low", speaker="3")
        async with connected(fake) as (_, client):
            await client.send(Synthesize("<speak/>", voice=voice, text_format="ssml").event())
            await client.until("audio-stop")

        (utterance,) = fake.utterances
        assert utterance.voice == VoiceRequest(name="amy#low", speaker="3")
        assert utterance.text_format is TextFormat.SSML
        assert utterance.transport == "wyoming"

    async def test_a_streaming_client_gets_a_plain_response_when_streaming_is_disabled(
        self, fake: FakeSynthesizer
    ) -> None:
        async with connected(fake, WyomingOptions(streaming=False)) as (_, client):
            await client.send(START, text_chunk("hello"), synthesize("hello"), STOP, Ping().event())
            events = await client.until("audio-stop")

        assert event_types([event for event in events if event.type != "pong"]) == PLAIN_ANSWER
        assert pcm_of(events) == speech_pcm("hello")

    async def test_a_half_closed_client_gets_the_complete_response(self, fake: FakeSynthesizer) -> None:
        text = "a long answer " * 200
        async with connected(fake) as (_, client):
            await client.send(synthesize("one"), START, text_chunk(text))
            client.writer.write_eof()
            events = await client.rest()

        assert pcm_of(events) == speech_pcm("one" + text)
        assert event_types(events) == PLAIN_ANSWER + STREAM_ANSWER

    async def test_a_describe_without_a_final_line_break_is_answered(self, fake: FakeSynthesizer) -> None:
        async with connected(fake) as (_, client):
            await client.send_bytes(b'{ "type": "describe" }')
            client.writer.write_eof()

            assert event_types(await client.rest()) == ["info"]


async def test_each_request_is_a_line_of_the_access_log(
    fake: FakeSynthesizer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="wyoming_tts.transports.access_log")
    async with connected(fake, WyomingOptions(log_requests=True)) as (_, client):
        await client.send(Describe().event(), synthesize("secret"), START, text_chunk("more"), STOP)
        await client.until("synthesize-stopped")
    described, spoken, streamed = (message for message in caplog.messages if "transport=wyoming" in message)
    assert "client=127.0.0.1 transport=wyoming method=describe path=- status=ok" in described
    assert "method=synthesize path=- status=ok" in spoken
    assert "method=synthesize-start path=- status=ok" in streamed
    assert streamed.endswith("complete=yes")
    assert "secret" not in caplog.text
