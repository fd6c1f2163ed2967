"""The Wyoming server over real sockets and pipes, with a small client."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import stat
import subprocess
import sys
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from wyoming.audio import AudioStart
from wyoming.client import AsyncTcpClient
from wyoming.event import Event
from wyoming.info import Describe, Info
from wyoming.ping import Ping
from wyoming.tts import Synthesize, SynthesizeChunk, SynthesizeStart, SynthesizeStop, SynthesizeVoice

from tests.support.fake_synthesizer import RATE, FakeSynthesizer, run_in_thread, speech_pcm, spoken_words
from tests.support.wyoming_client import WyomingTestClient, event_types, pcm_of, reset_connection
from wyoming_tts.errors import EngineFailed, UnknownVoice
from wyoming_tts.speech import AudioFormat, TextFormat, Utterance, VoiceRequest
from wyoming_tts.transports.connection_limits import ConnectionLimits
from wyoming_tts.transports.input_pace import InputPace, LoopBudget
from wyoming_tts.transports.wyoming.protocol import info_event
from wyoming_tts.transports.wyoming.server import ListenAddress, WyomingOptions, WyomingServer
from wyoming_tts.wyoming_framing import EventLimits, encode_event
from wyoming_tts.wyoming_words import WORDS, parse_words

LOOPBACK = "tcp://127.0.0.1:0"
PLAIN_ANSWER = ["audio-start", "audio-chunk", "audio-stop"]
STREAM_ANSWER = [*PLAIN_ANSWER, "synthesize-stopped"]
BROKEN_STREAM_ANSWER = ["audio-start", "audio-chunk", "error", "audio-stop", "synthesize-stopped"]
LOGGER = "wyoming_tts.transports.wyoming.connection"

START = SynthesizeStart().event()
STOP = SynthesizeStop().event()


def synthesize(text: str) -> Event:
    return Synthesize(text).event()


def text_chunk(text: str) -> Event:
    return SynthesizeChunk(text).event()


def describe() -> bytes:
    return encode_event(info_event([], version="1", supports_streaming=True))


@pytest.fixture
def fake() -> FakeSynthesizer:
    return FakeSynthesizer()


@asynccontextmanager
async def running_server(
    fake: FakeSynthesizer, options: WyomingOptions | None = None, uri: str = LOOPBACK
) -> AsyncIterator[WyomingServer]:
    before = asyncio.all_tasks()
    async with WyomingServer(fake, describe=describe, run_blocking=run_in_thread, options=options) as server:
        await server.start(uri)
        yield server
    assert server.connections == 0
    assert fake.entered == fake.left
    assert asyncio.all_tasks() == before


@asynccontextmanager
async def connected(
    fake: FakeSynthesizer, options: WyomingOptions | None = None
) -> AsyncIterator[tuple[WyomingServer, WyomingTestClient]]:
    async with running_server(fake, options) as server, WyomingTestClient.connect(*server.bound[0]) as client:
        yield server, client


async def wait_for_client_count(server: WyomingServer, count: int) -> None:
    """Wait until the server has this many clients; the test's time limit bounds the wait."""
    while server.connections != count:  # noqa: ASYNC110  # the server has no event for it
        await asyncio.sleep(0.001)


class Gate:
    """A hook that blocks the synthesizer until the gate is opened."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()

    async def __call__(self, *_: object) -> None:
        await self.opened.wait()


def raise_at(error: Exception, *, at: int = 0) -> Callable[[Utterance, int], Awaitable[None]]:
    async def fail(_: Utterance, number: int) -> None:
        if number == at:
            raise error

    return fail


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


class TestErrors:
    @pytest.mark.parametrize("lone", [text_chunk("a"), STOP])
    async def test_a_chunk_or_stop_without_a_start_is_an_error_and_the_connection_stays_open(
        self, fake: FakeSynthesizer, lone: Event
    ) -> None:
        async with connected(fake) as (_, client):
            await client.send(lone, synthesize("hello"))
            events = await client.until("audio-stop")

        assert event_types(events) == ["error", *PLAIN_ANSWER]
        assert events[0].data["code"] == "bad_request"

    async def test_an_unknown_voice_is_an_error_followed_by_the_closing_events(
        self, fake: FakeSynthesizer, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def raise_unknown_voice(_: Utterance) -> None:
            raise UnknownVoice("No voice is named 'amy'.", hint="See describe.")

        fake.on_enter = raise_unknown_voice
        async with connected(fake) as (_, client):
            await client.send(synthesize("hello"), START, text_chunk("hello"), STOP)
            plain = await client.until("audio-stop")
            stream = await client.until("synthesize-stopped")

        assert event_types(plain) == ["error", "audio-start", "audio-stop"]
        assert event_types(stream) == ["error", "audio-start", "audio-stop", "synthesize-stopped"]
        assert plain[0].data == {"text": "No voice is named 'amy'. See describe.", "code": "unknown_voice"}
        assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
        assert not any(record.exc_info for record in caplog.records)

    async def test_an_error_within_a_stream_discards_its_remaining_text(self, fake: FakeSynthesizer) -> None:
        fake.on_chunk = raise_at(EngineFailed("The engine broke."), at=1)
        async with connected(fake) as (_, client):
            await client.send(START, text_chunk("good"), text_chunk("bad"))
            events = await client.until("synthesize-stopped")
            fake.on_chunk = raise_at(EngineFailed("never"), at=-1)
            await client.send(text_chunk("more"), text_chunk("more"), STOP, synthesize("next"))
            after = await client.until("audio-stop")

        assert event_types(events) == BROKEN_STREAM_ANSWER
        assert pcm_of(events) == speech_pcm("good")
        assert event_types(after) == PLAIN_ANSWER
        assert pcm_of(after) == speech_pcm("next")

    async def test_an_unexpected_exception_is_logged_once_and_reported_without_details(
        self, fake: FakeSynthesizer, caplog: pytest.LogCaptureFixture
    ) -> None:
        fake.on_chunk = raise_at(FileNotFoundError("/secret/path"))
        async with connected(fake) as (_, client):
            await client.send(synthesize("hello"))
            events = await client.until("audio-stop")
            fake.on_chunk = raise_at(EngineFailed("never"), at=-1)
            await client.send(synthesize("again"))
            assert pcm_of(await client.until("audio-stop")) == speech_pcm("again")

        assert event_types(events) == ["error", "audio-start", "audio-stop"]
        assert events[0].data["code"] == "internal"
        assert "secret" not in events[0].data["text"]
        (record,) = caplog.records
        assert record.exc_info is not None

    async def test_an_engine_that_cancels_itself_is_an_error_and_the_next_request_is_answered(
        self, fake: FakeSynthesizer
    ) -> None:
        async def cancel(*_: object) -> None:
            raise asyncio.CancelledError

        fake.on_chunk = cancel
        async with connected(fake) as (_, client):
            await client.send(synthesize("hello"))
            events = await client.until("audio-stop")
            fake.on_chunk = raise_at(EngineFailed("never"), at=-1)
            await client.send(synthesize("again"))
            assert pcm_of(await client.until("audio-stop")) == speech_pcm("again")

        assert event_types(events) == ["error", "audio-start", "audio-stop"]
        assert events[0].data["code"] == "internal"

    async def test_a_sample_rate_change_is_an_internal_error_and_that_audio_is_not_sent(
        self, fake: FakeSynthesizer
    ) -> None:
        async def change_rate(_: Utterance, number: int) -> None:
            if number == 1:
                fake.format = AudioFormat(8_000)

        fake.on_chunk = change_rate
        async with connected(fake) as (_, client):
            await client.send(START, text_chunk("good"), text_chunk("bad"), STOP)
            events = await client.until("synthesize-stopped")

        assert event_types(events) == BROKEN_STREAM_ANSWER
        assert pcm_of(events) == speech_pcm("good")
        assert {event.data["rate"] for event in events if "rate" in event.data} == {RATE}

    async def test_a_malformed_start_is_an_error_and_its_text_is_not_spoken(
        self, fake: FakeSynthesizer
    ) -> None:
        async with connected(fake) as (_, client):
            await client.send(
                Event("synthesize-start", {"voice": 5}),
                text_chunk("a"),
                synthesize("a"),
                STOP,
                synthesize("next"),
            )
            events = await client.until("synthesize-stopped")
            after = await client.until("audio-stop")

        assert event_types(events) == ["error", "audio-start", "audio-stop", "synthesize-stopped"]
        assert pcm_of(after) == speech_pcm("next")

    async def test_a_malformed_chunk_ends_the_response_that_already_plays(
        self, fake: FakeSynthesizer
    ) -> None:
        async with connected(fake) as (_, client):
            await client.send(START, text_chunk("good"))
            early = await client.until("audio-chunk")
            await client.send(Event("synthesize-chunk", {"text": 5}), text_chunk("a"), STOP)
            events = early + await client.until("synthesize-stopped")

        assert event_types(events) == BROKEN_STREAM_ANSWER
        assert fake.left == 1

    async def test_errors_keep_the_order_of_the_requests(self, fake: FakeSynthesizer) -> None:
        async with connected(fake) as (_, client):
            await client.send(
                synthesize("one"), Synthesize("two", text_format="x").event(), synthesize("three")
            )
            answers = [await client.until("audio-stop") for _ in range(3)]

        assert list(map(event_types, answers)) == [
            PLAIN_ANSWER,
            ["error", "audio-start", "audio-stop"],
            PLAIN_ANSWER,
        ]
        assert answers[1][0].data["code"] == "unsupported"

    @pytest.mark.parametrize("head", [b"POST / HTTP/1.1\r\nHost: nas.local:10200\r\n\r\n", b"\x16\x03\x01\n"])
    async def test_an_event_in_what_a_web_page_sends_has_no_effect(
        self, fake: FakeSynthesizer, head: bytes
    ) -> None:
        async with connected(fake) as (_, client):
            await client.send_bytes(head + b'{"type": "synthesize", "data": {"text": "hello"}}\n')
            assert event_types(await client.rest()) == ["error"]
        assert fake.utterances == []

    async def test_garbage_closes_only_that_connection_with_an_error_and_one_log_line(
        self, fake: FakeSynthesizer, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with connected(fake) as (server, client), WyomingTestClient.connect(*server.bound[0]) as other:
            await client.send_bytes(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + b"x" * 3_000_000)
            events = await client.rest()
            await other.send(synthesize("hello"))
            assert pcm_of(await other.until("audio-stop")) == speech_pcm("hello")

        assert event_types(events) == ["error"]
        assert events[0].data["code"] == "bad_request"
        (record,) = caplog.records
        assert record.levelno == logging.WARNING
        assert "127.0.0.1" in record.getMessage()
        assert record.exc_info is None

    @pytest.mark.parametrize("sent", [b"garbage", b'{"type"'])
    async def test_a_flood_of_garbage_or_of_halves_of_events_is_one_log_line(
        self, fake: FakeSynthesizer, caplog: pytest.LogCaptureFixture, sent: bytes
    ) -> None:
        async with connected(fake) as (server, _):
            for _ in range(20):
                async with WyomingTestClient.connect(*server.bound[0]) as client:
                    await client.send_bytes(sent)
                    client.writer.write_eof()
                    assert event_types(await client.rest()) == ["error"]
        assert len(caplog.records) == 1

    @pytest.mark.parametrize(
        "sent",
        [
            b'{"type": "synthesize", "data": {"text": ["SECRET"]}}\n',
            b'{"type": "synthesize", "data": {"text": {"SECRET": "SECRET"}}}\n',
            b'{"type": "synthesize", "data": {"text": "a", "voice": "SECRET"}}\n',
            b'{"type": "synthesize", "data": {"text": "a", "voice": {"name": ["SECRET"]}}}\n',
            b'{"type": "synthesize", "data": {"text": "a", "text_format": "SECRET"}}\n',
            b'{"type": "ping", "data": {"text": ["SECRET"]}}\n',
            b'{"type": ["SECRET"]}\n',
            b'{"type": "synthesize", "data": "SECRET"}\n',
            b'{"type": "synthesize", "data_length": "SECRET"}\n',
            b'{"type": "synthesize", "data_length": 8}\n"SECRET"',
            b'{"type": "synthesize", "data_length": 10}\n["SECRET"]',
            b'{"SECRET": 1, "SECRET": 1}\n',
            b"SECRET\n",
            b"{SECRET}\n",
        ],
    )
    async def test_no_text_of_a_client_reaches_the_log_however_malformed(
        self, fake: FakeSynthesizer, caplog: pytest.LogCaptureFixture, sent: bytes
    ) -> None:
        async with connected(fake) as (_, client):
            await client.send_bytes(sent)
            client.writer.write_eof()
            events = await client.rest()

        assert "error" in event_types(events)
        assert "SECRET" not in caplog.text

    async def test_a_flood_of_events_lets_others_run_between_any_two(
        self, fake: FakeSynthesizer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rests = 0

        async def rest(pace: InputPace) -> None:
            nonlocal rests
            rests += 1
            await asyncio.sleep(0)
            pace.begin()

        monkeypatch.setattr("wyoming_tts.transports.input_pace.SLICE", -1.0)
        monkeypatch.setattr(InputPace, "rest", rest)
        async with connected(fake) as (_, client):
            await client.send_bytes(b'{"type": "x"}\n' * 1_000)
            await client.send(Ping().event())
            await client.until("pong")

        assert rests > 1_000

    async def test_a_book_sent_letter_by_letter_is_slowed_down_and_spoken(
        self, fake: FakeSynthesizer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rests: list[float] = []

        async def rest(pace: InputPace) -> None:
            rests.append(pace.end())
            await asyncio.sleep(0)
            pace.begin()

        monkeypatch.setattr(InputPace, "rest", rest)
        monkeypatch.setattr(LoopBudget, "spend", lambda *_, **__: 1.0)
        monkeypatch.setattr("wyoming_tts.transports.input_pace.SLICE", -1.0)
        book = "a bc. " * 500
        async with connected(fake) as (_, client):
            await client.send(START, *map(text_chunk, book), STOP)
            events = await client.until("synthesize-stopped")

        assert pcm_of(events) == speech_pcm(book)
        assert sum(rests) > len(book)

    async def test_what_a_refused_client_sent_is_freed_with_its_connection(
        self, fake: FakeSynthesizer
    ) -> None:
        async with connected(fake) as (server, client):
            (connection,) = map(weakref.ref, server._connections.values())
            gc.collect()
            gc.disable()
            try:
                await client.send_bytes(b'{"type": "x", "data_length": 3000}\n' + b"[]," * 1_000)
                await client.rest()
                client.writer.close()
                await wait_for_client_count(server, 0)
                await asyncio.sleep(0)
                assert connection() is None
            finally:
                gc.enable()

    async def test_garbage_during_playback_still_gets_the_closing_events(self, fake: FakeSynthesizer) -> None:
        fake.on_chunk = Gate()
        async with connected(fake) as (_, client):
            await client.send(START, text_chunk("hello"), Ping().event())
            await client.until("pong")
            await client.send_bytes(b"\xff\n")
            events = await client.rest()

        assert event_types(events) == ["error", "audio-start", "audio-stop", "synthesize-stopped"]

    async def test_a_message_over_a_limit_is_refused_as_too_long(self, fake: FakeSynthesizer) -> None:
        async with connected(fake, WyomingOptions(limits=EventLimits(data=1_000))) as (_, client):
            await client.send(synthesize("x" * 2_000))
            (event,) = await client.rest()

        assert event.data["code"] == "too_long"

    async def test_a_failing_describe_is_logged_and_reported(
        self, fake: FakeSynthesizer, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fail() -> bytes:
            raise KeyError("voices")

        async with WyomingServer(fake, describe=fail, run_blocking=run_in_thread) as server:
            await server.start(LOOPBACK)
            async with WyomingTestClient.connect(*server.bound[0]) as client:
                await client.send(Describe().event())
                (event,) = await client.rest()

        assert event.data["code"] == "internal"
        (record,) = caplog.records
        assert record.exc_info is not None


class TestTimeouts:
    async def test_an_event_that_is_not_completed_in_time_is_an_error(self, fake: FakeSynthesizer) -> None:
        async with connected(fake, WyomingOptions(event_timeout=0.05)) as (_, client):
            await client.send_bytes(b'{"type": "desc')
            (event,) = await client.rest()

        assert event.data["code"] == "bad_request"

    async def test_slow_trickling_bytes_do_not_extend_the_event_timeout(self, fake: FakeSynthesizer) -> None:
        async with connected(fake, WyomingOptions(event_timeout=0.2)) as (_, client):
            ended = asyncio.ensure_future(client.rest())
            await client.send_bytes(b"{")
            while not ended.done():
                await client.send_bytes(b" ")
                await asyncio.sleep(0.02)
            assert event_types(ended.result()) == ["error"]

    async def test_an_idle_client_is_closed_without_an_error(
        self, fake: FakeSynthesizer, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with connected(fake, WyomingOptions(idle_timeout=0.05)) as (_, client):
            assert await client.rest() == []

        assert caplog.records == []

    async def test_a_client_that_receives_audio_is_not_idle(self, fake: FakeSynthesizer) -> None:
        async def delay(_: Utterance, number: int) -> None:
            await asyncio.sleep(0.2)

        fake.on_chunk = delay
        async with connected(fake, WyomingOptions(idle_timeout=0.05)) as (_, client):
            await client.send(synthesize("hello"))
            events = await client.rest()

        assert event_types(events) == PLAIN_ANSWER

    async def test_a_stream_whose_text_stalls_is_ended_by_the_idle_timeout(
        self, fake: FakeSynthesizer
    ) -> None:
        async with connected(fake, WyomingOptions(idle_timeout=0.1)) as (_, client):
            await client.send(START, text_chunk("hello"))
            events = await client.rest()

        assert event_types(events) == BROKEN_STREAM_ANSWER

    async def test_a_client_that_does_not_read_is_disconnected(self, fake: FakeSynthesizer) -> None:
        async with running_server(fake, WyomingOptions(send_timeout=0.1, write_buffer=4_096)) as server:
            async with stalled_client(server) as client:
                await client.send(START)
                for _ in range(2_000):
                    client.writer.write(encode_event(text_chunk("x" * 20)))
                await wait_for_client_count(server, 0)

            assert fake.left == 1


@asynccontextmanager
async def stalled_client(server: WyomingServer) -> AsyncIterator[WyomingTestClient]:
    """A client with a tiny receive buffer, so that the server soon notices that nobody reads."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, server.bound[0])
    reader, writer = await asyncio.open_connection(sock=sock, limit=1_024)
    try:
        yield WyomingTestClient(reader, writer)
    finally:
        writer.transport.abort()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)


class TestBackpressure:
    @pytest.mark.slow
    async def test_a_stalled_client_buffers_a_bounded_amount_of_audio(self, fake: FakeSynthesizer) -> None:
        chunks, piece = 3_000, "x" * 10
        total = chunks * len(speech_pcm(piece))
        async with running_server(fake) as server, stalled_client(server) as client:
            await client.send(START)
            sending = asyncio.create_task(client.send(*[text_chunk(piece)] * chunks, STOP))
            pulled = -1
            while pulled != fake.pulled:  # it stops growing once every buffer is full
                pulled = fake.pulled
                await asyncio.sleep(0.1)
            held = pulled * len(speech_pcm(piece))
            events = await client.until("synthesize-stopped")
            await sending

        assert 0 < held < 2_000_000 < total
        assert pcm_of(events) == speech_pcm(piece * chunks)

    async def test_a_full_backlog_pauses_reading_without_losing_requests(self, fake: FakeSynthesizer) -> None:
        fake.on_chunk = gate = Gate()
        async with connected(fake, WyomingOptions(backlog=2)) as (_, client):
            await client.send(*(synthesize(f"{number}") for number in range(6)), Ping().event())
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await client.receive()
            gate.opened.set()
            events = [await client.until("audio-stop") for _ in range(6)]

        assert pcm_of([event for answer in events for event in answer]) == speech_pcm("012345")

    async def test_text_that_arrives_faster_than_it_is_spoken_pauses_reading(
        self, fake: FakeSynthesizer
    ) -> None:
        fake.on_enter = gate = Gate()
        async with connected(fake) as (_, client):
            await client.send(START, text_chunk("x" * 40_000), Ping().event())
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await client.receive()
            gate.opened.set()
            events = await client.until("pong")
            assert event_types(events)[-1] == "pong"


class TestDisconnects:
    async def test_a_connection_reset_stops_its_work_at_once(self, fake: FakeSynthesizer) -> None:
        fake.on_chunk = Gate()
        async with connected(fake) as (server, client):
            await client.send(synthesize("hello"))
            await fake.until(lambda: fake.entered == 1)
            reset_connection(client)
            await fake.until(lambda: fake.left == 1)
            await wait_for_client_count(server, 0)

    async def test_a_connection_reset_is_noticed_while_reading_is_paused(self, fake: FakeSynthesizer) -> None:
        fake.on_chunk = Gate()
        async with connected(fake, WyomingOptions(backlog=1)) as (server, client):
            await client.send(Ping().event(), *[synthesize("hello")] * 5)
            await client.receive()
            await fake.until(lambda: fake.entered == 1)
            reset_connection(client)
            await fake.until(lambda: fake.left == 1)
            await wait_for_client_count(server, 0)

    async def test_a_disconnect_during_playback_stops_the_work(
        self, fake: FakeSynthesizer, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with running_server(fake) as server:
            async with WyomingTestClient.connect(*server.bound[0]) as client:
                await client.send(START, *[text_chunk("x" * 1000)] * 30)
                await client.until("audio-chunk")
            await fake.until(lambda: fake.left == 1)
            await wait_for_client_count(server, 0)

        assert fake.pulled < 30
        assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []

    async def test_other_clients_are_not_affected_by_a_disconnect(self, fake: FakeSynthesizer) -> None:
        async with connected(fake) as (server, client):
            await client.send(START, text_chunk("one "))
            early = await client.until("audio-chunk")
            async with WyomingTestClient.connect(*server.bound[0]) as other:
                await other.send(START, text_chunk("x" * 1000))
                other.writer.transport.abort()
            await wait_for_client_count(server, 1)
            await client.send(text_chunk("two"), STOP)

            assert pcm_of(early + await client.until("synthesize-stopped")) == speech_pcm("one two")


class TestConnectionLimits:
    async def test_connections_over_the_limit_per_peer_are_refused_as_busy(
        self, fake: FakeSynthesizer
    ) -> None:
        options = WyomingOptions(connections=ConnectionLimits(per_peer=1))
        async with connected(fake, options) as (server, client):
            await client.send(Ping().event())
            await client.receive()
            async with WyomingTestClient.connect(*server.bound[0]) as second:
                await second.send(Describe().event())
                (event,) = await second.rest()
            assert event.data["code"] == "busy"
            await client.send(synthesize("hello"))
            assert event_types(await client.until("audio-stop")) == PLAIN_ANSWER

    async def test_a_closed_connection_frees_its_slot(self, fake: FakeSynthesizer) -> None:
        async with running_server(fake, WyomingOptions(connections=ConnectionLimits(1))) as server:
            for _ in range(3):
                async with WyomingTestClient.connect(*server.bound[0]) as client:
                    await client.send(Ping().event())
                    assert (await client.receive()).type == "pong"
                await wait_for_client_count(server, 0)

    async def test_connections_over_the_server_limit_are_refused_as_busy(self, fake: FakeSynthesizer) -> None:
        async with connected(fake, WyomingOptions(connections=ConnectionLimits(1))) as (server, client):
            await client.send(Ping().event())
            await client.receive()
            async with WyomingTestClient.connect(*server.bound[0]) as second:
                (event,) = await second.rest()

        assert event.data["code"] == "busy"


class TestShutdown:
    async def test_a_playing_response_finishes_within_the_grace_period(self, fake: FakeSynthesizer) -> None:
        fake.on_chunk = gate = Gate()
        async with connected(fake) as (server, client):
            await client.send(synthesize("hello"))
            await fake.until(lambda: fake.entered == 1)
            stopping = asyncio.create_task(server.stop(grace=30))
            await asyncio.sleep(0)
            gate.opened.set()
            events = await client.rest()
            await stopping

        assert event_types(events) == PLAIN_ANSWER
        assert pcm_of(events) == speech_pcm("hello")

    async def test_responses_unfinished_after_the_grace_period_end_with_errors_and_closing_events(
        self, fake: FakeSynthesizer
    ) -> None:
        fake.on_chunk = Gate()
        async with connected(fake) as (server, client):
            await client.send(START, text_chunk("hello"), STOP, synthesize("queued"))
            await fake.until(lambda: fake.entered == 1)
            stopping = asyncio.create_task(server.stop(grace=0.05))
            events = await client.rest()
            await stopping

        ended = ["error", "audio-start", "audio-stop"]
        assert event_types(events) == [*ended, "synthesize-stopped", *ended]
        assert {event.data["code"] for event in events if event.type == "error"} == {"shutting_down"}

    async def test_a_request_during_the_grace_period_is_refused(self, fake: FakeSynthesizer) -> None:
        async with connected(fake) as (server, client):
            await client.send(START, text_chunk("hello"))
            early = await client.until("audio-chunk")
            stopping = asyncio.create_task(server.stop(grace=30))
            await asyncio.sleep(0)
            await client.send(START, text_chunk("x"), STOP)
            events = early + await client.rest()
            await stopping

        assert event_types(events) == [
            *STREAM_ANSWER,
            "error",
            "audio-start",
            "audio-stop",
            "synthesize-stopped",
        ]
        error = next(event for event in events if event.type == "error")
        assert error.data["code"] == "shutting_down"

    async def test_shutdown_closes_idle_clients_and_refuses_new_connections(
        self, fake: FakeSynthesizer
    ) -> None:
        async with connected(fake) as (server, client):
            await client.send(Ping().event())
            await client.receive()
            host, port = server.bound[0]
            await server.stop(grace=30)
            assert await client.rest() == []
            with pytest.raises(OSError):
                await asyncio.open_connection(host, port)

    async def test_shutdown_completes_although_a_client_does_not_read(self, fake: FakeSynthesizer) -> None:
        async with running_server(fake) as server, stalled_client(server) as client:
            await client.send(synthesize("x" * 20_000))
            await fake.until(lambda: fake.pulled > 0)
            await server.stop(grace=0)
            assert server.connections == 0


class TestAddresses:
    @pytest.mark.parametrize(
        ("uri", "address"),
        [
            ("tcp://192.0.2.1:10200", ListenAddress("tcp", "192.0.2.1", 10200)),
            ("tcp://:10200", ListenAddress("tcp", "0.0.0.0", 10200)),
            ("tcp://[::1]:1", ListenAddress("tcp", "::1", 1)),
            ("unix:///run/tts.sock", ListenAddress("unix", path=Path("/run/tts.sock"))),
            ("stdio://", ListenAddress("stdio")),
        ],
    )
    def test_each_kind_of_listen_address_is_parsed(self, uri: str, address: ListenAddress) -> None:
        assert ListenAddress.parse(uri) == address

    @pytest.mark.parametrize(
        "uri",
        [
            "",
            "10200",
            "tcp://host",
            "tcp://host:port",
            "tcp://host:70000",
            "tcp://[::1:1",
            "tcp://h:1/x",
            "unix://",
            "unix://relative",
            "stdio://x",
            "udp://host:1",
            "host:10200",
        ],
    )
    def test_an_invalid_listen_address_is_named_in_the_error(self, uri: str) -> None:
        with pytest.raises(ValueError, match="Cannot listen on"):
            ListenAddress.parse(uri)

    async def test_a_port_in_use_raises_os_error(self, fake: FakeSynthesizer) -> None:
        async with running_server(fake) as server:
            port = server.bound[0][1]
            with pytest.raises(OSError, match=f"{port}"):
                await server.start(f"tcp://127.0.0.1:{port}")

    @pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
    async def test_the_ipv6_wildcard_also_accepts_ipv4_clients(self, fake: FakeSynthesizer) -> None:
        async with running_server(fake, uri="tcp://[::]:0") as server:
            port = server.bound[0][1]
            for host in ("127.0.0.1", "::1"):
                async with WyomingTestClient.connect(host, port) as client:
                    await client.send(Describe().event())
                    assert (await client.receive()).type == "info"

    async def test_a_unix_socket_is_accessible_to_its_group_and_removed_on_shutdown(
        self, fake: FakeSynthesizer, tmp_path: Path
    ) -> None:
        path = tmp_path / "tts.sock"
        async with running_server(fake, uri=f"unix://{path}") as server:
            assert server.bound == []
            assert stat.S_IMODE(path.stat().st_mode) == 0o660
            reader, writer = await asyncio.open_unix_connection(path)
            client = WyomingTestClient(reader, writer)
            await client.send(synthesize("hello"))
            assert pcm_of(await client.until("audio-stop")) == speech_pcm("hello")
            writer.close()
            await writer.wait_closed()

        assert not path.exists()

    async def test_a_stale_socket_file_is_replaced(self, fake: FakeSynthesizer, tmp_path: Path) -> None:
        path = tmp_path / "tts.sock"
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(str(path))
        async with running_server(fake, uri=f"unix://{path}"):
            _, writer = await asyncio.open_unix_connection(path)
            writer.close()
            await writer.wait_closed()

    async def test_a_socket_file_in_use_by_another_process_is_left_alone(
        self, fake: FakeSynthesizer, tmp_path: Path
    ) -> None:
        path = tmp_path / "tts.sock"
        with socket.socket(socket.AF_UNIX) as living:
            living.bind(str(path))
            living.listen()
            async with WyomingServer(fake, describe=describe, run_blocking=run_in_thread) as server:
                with pytest.raises(OSError, match="in use"):
                    await server.start(f"unix://{path}")
        assert path.exists()

    async def test_a_regular_file_is_not_replaced_by_a_socket(
        self, fake: FakeSynthesizer, tmp_path: Path
    ) -> None:
        path = tmp_path / "tts.sock"
        path.write_text("precious")
        async with WyomingServer(fake, describe=describe, run_blocking=run_in_thread) as server:
            with pytest.raises(OSError, match="in use"):
                await server.start(f"unix://{path}")
        assert path.read_text() == "precious"


STDIO_SERVER = """
import asyncio
import os
import sys
from tests.support.fake_synthesizer import FakeSynthesizer, run_in_thread
from tests.unit.transports.wyoming.test_server import describe
from wyoming_tts.transports.wyoming.server import WyomingServer

async def main():
    async with WyomingServer(FakeSynthesizer(), describe=describe, run_blocking=run_in_thread) as server:
        await server.start("stdio://")
        await server.wait_finished()
        assert server.connections == 0
    print("done", os.get_blocking(1), file=sys.stderr)

asyncio.run(main())
"""
STDIO_COMMAND = [sys.executable, "-W", "error", "-W", "ignore:'audioop'", "-c", STDIO_SERVER]
ROOT = Path(__file__).parents[4]


def run_stdio(**streams: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(  # type: ignore[call-overload,no-any-return]
        STDIO_COMMAND,
        cwd=ROOT,
        check=False,
        timeout=30,
        stderr=subprocess.PIPE,
        **streams,
    )


async def parse_events(data: bytes) -> list[Event]:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    return await WyomingTestClient(reader, None).rest()  # type: ignore[arg-type]


class TestStdio:
    REQUEST = (
        b'{"type": "describe"}\n'
        + encode_event(synthesize("hello"))
        + encode_event(START)
        + encode_event(text_chunk("you"))
    )

    async def test_one_client_is_served_through_pipes_and_then_the_server_exits(self) -> None:
        ran = run_stdio(input=self.REQUEST, stdout=subprocess.PIPE)

        events = await parse_events(ran.stdout)
        assert (ran.returncode, ran.stderr) == (0, b"done True\n")
        assert event_types(events) == ["info", *PLAIN_ANSWER, *STREAM_ANSWER]
        assert pcm_of(events) == speech_pcm("helloyou")

    async def test_stdin_and_stdout_may_be_files(self, tmp_path: Path) -> None:
        (tmp_path / "in").write_bytes(self.REQUEST)
        with (tmp_path / "in").open("rb") as stdin, (tmp_path / "out").open("wb") as stdout:
            ran = run_stdio(stdin=stdin, stdout=stdout)

        written = (tmp_path / "out").read_bytes()
        assert (ran.returncode, ran.stderr) == (0, b"done True\n")
        assert pcm_of(await parse_events(written)) == speech_pcm("helloyou")

    def test_stdin_and_stdout_may_be_the_null_device(self) -> None:
        ran = run_stdio(stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

        assert (ran.returncode, ran.stderr) == (0, b"done True\n")

    def test_the_server_exits_when_its_reader_closes_although_the_writer_stays_open(self) -> None:
        with subprocess.Popen(
            STDIO_COMMAND,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdin.write(encode_event(Ping().event()))
            process.stdin.flush()
            process.stdout.readline()
            process.stdout.close()
            assert process.wait(timeout=20) == 0
            assert process.stderr.read() == b"done True\n"


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
