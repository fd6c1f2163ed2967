"""The Wyoming server, met through real sockets and pipes by a small client."""

from __future__ import annotations

import asyncio
import logging
import socket
import stat
import subprocess
import sys
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

from tests.support.fake_synthesizer import RATE, FakeSynthesizer, run_in_thread, speech_pcm
from tests.support.wyoming_client import WyomingTestClient, event_types, pcm_of, reset_connection
from wyoming_tts.errors import EngineFailed, UnknownVoice
from wyoming_tts.speech import AudioFormat, TextFormat, Utterance, VoiceRequest
from wyoming_tts.transports.wyoming.protocol import info_event
from wyoming_tts.transports.wyoming.server import ListenAddress, WyomingOptions, WyomingServer
from wyoming_tts.wyoming_framing import EventLimits, encode_event

LOOPBACK = "tcp://127.0.0.1:0"
PLAIN_ANSWER = ["audio-start", "audio-chunk", "audio-stop"]
STREAM_ANSWER = [*PLAIN_ANSWER, "synthesize-stopped"]
LOGGER = "wyoming_tts.transports.wyoming.connection"

START = SynthesizeStart().event()
STOP = SynthesizeStop().event()


def say(text: str) -> Event:
    return Synthesize(text).event()


def chunk(text: str) -> Event:
    return SynthesizeChunk(text).event()


def describe() -> bytes:
    return encode_event(info_event([], version="1", supports_streaming=True))


@pytest.fixture
def fake() -> FakeSynthesizer:
    return FakeSynthesizer()


@asynccontextmanager
async def serving(
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
async def talking(
    fake: FakeSynthesizer, options: WyomingOptions | None = None
) -> AsyncIterator[tuple[WyomingServer, WyomingTestClient]]:
    async with serving(fake, options) as server, WyomingTestClient.connect(*server.bound[0]) as client:
        yield server, client


async def client_count(server: WyomingServer, count: int) -> None:
    """Wait until the server has so many clients; the test's time limit ends a wait in vain."""
    while server.connections != count:  # noqa: ASYNC110  # only the server could tell, and no user needs it to
        await asyncio.sleep(0.001)


class Gate:
    """A hook that keeps the synthesizer waiting until it is opened."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()

    async def __call__(self, *_: object) -> None:
        await self.opened.wait()


def raising(error: Exception, *, at: int = 0) -> Callable[[Utterance, int], Awaitable[None]]:
    async def fail(_: Utterance, number: int) -> None:
        if number == at:
            raise error

    return fail


class TestAnswers:
    async def test_a_plain_request_gets_one_start_its_sound_and_one_stop(self, fake: FakeSynthesizer) -> None:
        async with talking(fake) as (_, client):
            await client.send(say("hello there"))
            events = await client.until("audio-stop")

        assert event_types(events) == PLAIN_ANSWER
        assert pcm_of(events) == speech_pcm("hello there")
        assert AudioStart.from_event(events[0]).rate == RATE

    async def test_the_wyoming_packages_own_client_is_answered(self, fake: FakeSynthesizer) -> None:
        async with serving(fake) as server, AsyncTcpClient(*server.bound[0]) as client:
            await client.write_event(Describe().event())
            event = await client.read_event()

        assert event is not None
        assert Info.from_event(event).tts[0].name == "wyoming-tts"

    async def test_chunks_have_the_set_size_and_timestamps_in_milliseconds(
        self, fake: FakeSynthesizer
    ) -> None:
        async with talking(fake, WyomingOptions(samples_per_chunk=160)) as (_, client):
            await client.send(say("abc"))
            events = await client.until("audio-stop")

        chunks = events[1:-1]
        assert [len(event.payload or b"") for event in chunks] == [320] * 5 + [200]
        assert [event.data["timestamp"] for event in chunks] == [0, 10, 20, 30, 40, 50]
        assert events[-1].data["timestamp"] == 900 * 1000 // RATE

    async def test_a_stream_gets_sound_while_its_text_still_arrives(self, fake: FakeSynthesizer) -> None:
        async with talking(fake) as (_, client):
            await client.send(START, chunk("first "))
            early = [await client.receive(), await client.receive()]
            await client.send(chunk("second"), say("first second"), STOP)
            events = early + await client.until("synthesize-stopped")

        assert event_types(events) == STREAM_ANSWER
        assert pcm_of(events) == speech_pcm("first second")

    @pytest.mark.parametrize("pieces", [[], [""]])
    async def test_a_stream_without_text_still_gets_all_closing_events(
        self, fake: FakeSynthesizer, pieces: list[str]
    ) -> None:
        async with talking(fake) as (_, client):
            await client.send(START, *map(chunk, pieces), STOP)
            events = await client.until("synthesize-stopped")

        assert event_types(events) == ["audio-start", "audio-stop", "synthesize-stopped"]
        assert events[0].data["rate"] == RATE

    async def test_requests_are_answered_in_order_even_if_they_arrive_while_one_plays(
        self, fake: FakeSynthesizer
    ) -> None:
        async with talking(fake) as (_, client):
            await client.send(say("one"), START, chunk("two"), START, chunk("three"), STOP, say("four"))
            one = await client.until("audio-stop")
            two = await client.until("synthesize-stopped")
            three = await client.until("synthesize-stopped")
            four = await client.until("audio-stop")

        assert [pcm_of(events) for events in (one, two, three, four)] == [
            speech_pcm(text) for text in ("one", "two", "three", "four")
        ]
        assert event_types(one) == event_types(four) == PLAIN_ANSWER
        assert event_types(two) == event_types(three) == STREAM_ANSWER

    async def test_describe_and_ping_are_answered_while_audio_plays_and_text_is_open(
        self, fake: FakeSynthesizer
    ) -> None:
        fake.on_chunk = gate = Gate()
        async with talking(fake) as (_, client):
            await client.send(say("one"), START, chunk("x" * 1000))
            await client.send_bytes(b'{ "type": "describe" }\n')
            await client.send(Ping("still there?").event())
            answers = [await client.receive(), await client.receive()]
            gate.opened.set()

        assert [event.type for event in answers] == ["info", "pong"]
        assert answers[1].data == {"text": "still there?"}

    async def test_each_event_of_a_fast_engine_leaves_the_loop_a_turn_for_others(
        self, fake: FakeSynthesizer
    ) -> None:
        turns, turns_before = 0, 0

        async def count_turns() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        async def remember(*_: object) -> None:
            nonlocal turns_before
            turns_before = turns

        fake.on_chunk = remember
        async with talking(fake) as (_, client):
            counting = asyncio.create_task(count_turns())
            await client.send(say("x" * 100))
            await fake.until(lambda: fake.left == 1)
            turns_between = turns - turns_before
            counting.cancel()
            await asyncio.gather(counting, return_exceptions=True)
            events = await client.until("audio-stop")

        assert turns_between >= len(events) - 1

    async def test_a_long_plain_text_does_not_keep_a_ping_behind_it_waiting(
        self, fake: FakeSynthesizer
    ) -> None:
        fake.on_chunk = gate = Gate()
        async with talking(fake) as (_, client):
            await client.send(say("x" * 200_000), Ping("now").event())
            assert (await client.receive()).type == "pong"
            gate.opened.set()

    async def test_what_the_client_said_reaches_the_synthesizer(self, fake: FakeSynthesizer) -> None:
        voice = SynthesizeVoice(name="amy#low", speaker="3")
        async with talking(fake) as (_, client):
            await client.send(Synthesize("<speak/>", voice=voice, text_format="ssml").event())
            await client.until("audio-stop")

        (utterance,) = fake.utterances
        assert utterance.voice == VoiceRequest(name="amy#low", speaker="3")
        assert utterance.text_format is TextFormat.SSML
        assert utterance.transport == "wyoming"

    async def test_without_streaming_a_streaming_client_gets_the_plain_answer(
        self, fake: FakeSynthesizer
    ) -> None:
        async with talking(fake, WyomingOptions(streaming=False)) as (_, client):
            await client.send(START, chunk("hello"), say("hello"), STOP, Ping().event())
            events = await client.until("audio-stop")

        assert event_types([event for event in events if event.type != "pong"]) == PLAIN_ANSWER
        assert pcm_of(events) == speech_pcm("hello")

    async def test_a_client_that_stops_sending_after_its_request_gets_all_of_the_answer(
        self, fake: FakeSynthesizer
    ) -> None:
        text = "a long answer " * 200
        async with talking(fake) as (_, client):
            await client.send(say("one"), START, chunk(text))
            client.writer.write_eof()
            events = await client.rest()

        assert pcm_of(events) == speech_pcm("one" + text)
        assert event_types(events) == PLAIN_ANSWER + STREAM_ANSWER

    async def test_a_describe_without_a_line_break_before_the_end_is_answered(
        self, fake: FakeSynthesizer
    ) -> None:
        async with talking(fake) as (_, client):
            await client.send_bytes(b'{ "type": "describe" }')
            client.writer.write_eof()

            assert event_types(await client.rest()) == ["info"]


class TestFailures:
    @pytest.mark.parametrize("lone", [chunk("a"), STOP])
    async def test_a_lone_chunk_or_stop_is_an_error_event_and_the_connection_goes_on(
        self, fake: FakeSynthesizer, lone: Event
    ) -> None:
        async with talking(fake) as (_, client):
            await client.send(lone, say("hello"))
            events = await client.until("audio-stop")

        assert event_types(events) == ["error", *PLAIN_ANSWER]
        assert events[0].data["code"] == "bad_request"

    async def test_an_unknown_voice_is_an_error_then_the_closing_events(
        self, fake: FakeSynthesizer, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def no_such_voice(_: Utterance) -> None:
            raise UnknownVoice("No voice is named 'amy'.", hint="See describe.")

        fake.on_enter = no_such_voice
        async with talking(fake) as (_, client):
            await client.send(say("hello"), START, chunk("hello"), STOP)
            plain = await client.until("audio-stop")
            stream = await client.until("synthesize-stopped")

        assert event_types(plain) == ["error", "audio-start", "audio-stop"]
        assert event_types(stream) == ["error", "audio-start", "audio-stop", "synthesize-stopped"]
        assert plain[0].data == {"text": "No voice is named 'amy'. See describe.", "code": "unknown_voice"}
        assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
        assert not any(record.exc_info for record in caplog.records)

    async def test_a_failure_within_a_stream_discards_the_rest_of_its_text(
        self, fake: FakeSynthesizer
    ) -> None:
        fake.on_chunk = raising(EngineFailed("The engine broke."), at=1)
        async with talking(fake) as (_, client):
            await client.send(START, chunk("good"), chunk("bad"))
            events = await client.until("synthesize-stopped")
            fake.on_chunk = raising(EngineFailed("never"), at=-1)
            await client.send(chunk("more"), chunk("more"), STOP, say("next"))
            after = await client.until("audio-stop")

        assert event_types(events) == [
            "audio-start",
            "audio-chunk",
            "error",
            "audio-stop",
            "synthesize-stopped",
        ]
        assert pcm_of(events) == speech_pcm("good")
        assert event_types(after) == PLAIN_ANSWER
        assert pcm_of(after) == speech_pcm("next")

    async def test_an_unexpected_exception_is_logged_once_and_reported_without_its_text(
        self, fake: FakeSynthesizer, caplog: pytest.LogCaptureFixture
    ) -> None:
        fake.on_chunk = raising(FileNotFoundError("/secret/path"))
        async with talking(fake) as (_, client):
            await client.send(say("hello"))
            events = await client.until("audio-stop")
            fake.on_chunk = raising(EngineFailed("never"), at=-1)
            await client.send(say("again"))
            assert pcm_of(await client.until("audio-stop")) == speech_pcm("again")

        assert event_types(events) == ["error", "audio-start", "audio-stop"]
        assert events[0].data["code"] == "internal"
        assert "secret" not in events[0].data["text"]
        (record,) = caplog.records
        assert record.exc_info is not None

    async def test_an_engine_that_cancels_itself_is_an_error_and_the_next_request_is_answered(
        self, fake: FakeSynthesizer
    ) -> None:
        async def give_up(*_: object) -> None:
            raise asyncio.CancelledError

        fake.on_chunk = give_up
        async with talking(fake) as (_, client):
            await client.send(say("hello"))
            events = await client.until("audio-stop")
            fake.on_chunk = raising(EngineFailed("never"), at=-1)
            await client.send(say("again"))
            assert pcm_of(await client.until("audio-stop")) == speech_pcm("again")

        assert event_types(events) == ["error", "audio-start", "audio-stop"]
        assert events[0].data["code"] == "internal"

    async def test_audio_of_another_rate_is_an_internal_error_and_never_sent(
        self, fake: FakeSynthesizer
    ) -> None:
        async def change_rate(_: Utterance, number: int) -> None:
            if number == 1:
                fake.format = AudioFormat(8_000)

        fake.on_chunk = change_rate
        async with talking(fake) as (_, client):
            await client.send(START, chunk("good"), chunk("bad"), STOP)
            events = await client.until("synthesize-stopped")

        assert event_types(events) == [
            "audio-start",
            "audio-chunk",
            "error",
            "audio-stop",
            "synthesize-stopped",
        ]
        assert pcm_of(events) == speech_pcm("good")
        assert {event.data["rate"] for event in events if "rate" in event.data} == {RATE}

    async def test_a_malformed_start_is_an_error_and_its_text_is_not_spoken(
        self, fake: FakeSynthesizer
    ) -> None:
        async with talking(fake) as (_, client):
            await client.send(
                Event("synthesize-start", {"voice": 5}), chunk("a"), say("a"), STOP, say("next")
            )
            events = await client.until("synthesize-stopped")
            after = await client.until("audio-stop")

        assert event_types(events) == ["error", "audio-start", "audio-stop", "synthesize-stopped"]
        assert pcm_of(after) == speech_pcm("next")

    async def test_a_malformed_chunk_ends_what_already_plays(self, fake: FakeSynthesizer) -> None:
        async with talking(fake) as (_, client):
            await client.send(START, chunk("good"))
            early = await client.until("audio-chunk")
            await client.send(Event("synthesize-chunk", {"text": 5}), chunk("a"), STOP)
            events = early + await client.until("synthesize-stopped")

        assert event_types(events) == [
            "audio-start",
            "audio-chunk",
            "error",
            "audio-stop",
            "synthesize-stopped",
        ]
        assert fake.left == 1

    async def test_errors_come_in_the_order_of_the_requests(self, fake: FakeSynthesizer) -> None:
        async with talking(fake) as (_, client):
            await client.send(say("one"), Synthesize("two", text_format="x").event(), say("three"))
            answers = [await client.until("audio-stop") for _ in range(3)]

        assert list(map(event_types, answers)) == [
            PLAIN_ANSWER,
            ["error", "audio-start", "audio-stop"],
            PLAIN_ANSWER,
        ]
        assert answers[1][0].data["code"] == "unsupported"

    async def test_garbage_is_an_error_and_the_close_of_that_connection_with_one_log_line(
        self, fake: FakeSynthesizer, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with talking(fake) as (server, client), WyomingTestClient.connect(*server.bound[0]) as other:
            await client.send_bytes(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + b"x" * 3_000_000)
            events = await client.rest()
            await other.send(say("hello"))
            assert pcm_of(await other.until("audio-stop")) == speech_pcm("hello")

        assert event_types(events) == ["error"]
        assert events[0].data["code"] == "bad_request"
        (record,) = caplog.records
        assert record.levelno == logging.WARNING
        assert "127.0.0.1" in record.getMessage()
        assert record.exc_info is None

    async def test_garbage_while_audio_plays_ends_it_well_formed(self, fake: FakeSynthesizer) -> None:
        fake.on_chunk = Gate()
        async with talking(fake) as (_, client):
            await client.send(START, chunk("hello"), Ping().event())
            await client.until("pong")
            await client.send_bytes(b"\xff\n")
            events = await client.rest()

        assert event_types(events) == ["error", "audio-start", "audio-stop", "synthesize-stopped"]

    async def test_a_message_over_a_limit_is_refused_as_too_long(self, fake: FakeSynthesizer) -> None:
        async with talking(fake, WyomingOptions(limits=EventLimits(data=1_000))) as (_, client):
            await client.send(say("x" * 2_000))
            (event,) = await client.rest()

        assert event.data["code"] == "too_long"

    async def test_a_failing_describe_is_logged_and_reported(
        self, fake: FakeSynthesizer, caplog: pytest.LogCaptureFixture
    ) -> None:
        def broken() -> bytes:
            raise KeyError("voices")

        async with WyomingServer(fake, describe=broken, run_blocking=run_in_thread) as server:
            await server.start(LOOPBACK)
            async with WyomingTestClient.connect(*server.bound[0]) as client:
                await client.send(Describe().event())
                (event,) = await client.rest()

        assert event.data["code"] == "internal"
        (record,) = caplog.records
        assert record.exc_info is not None


class TestPatience:
    async def test_an_event_that_is_not_completed_in_time_is_an_error(self, fake: FakeSynthesizer) -> None:
        async with talking(fake, WyomingOptions(event_timeout=0.05)) as (_, client):
            await client.send_bytes(b'{"type": "desc')
            (event,) = await client.rest()

        assert event.data["code"] == "bad_request"

    async def test_a_drip_of_bytes_does_not_prolong_the_time_for_an_event(
        self, fake: FakeSynthesizer
    ) -> None:
        async with talking(fake, WyomingOptions(event_timeout=0.2)) as (_, client):
            ended = asyncio.ensure_future(client.rest())
            await client.send_bytes(b"{")
            while not ended.done():
                await client.send_bytes(b" ")
                await asyncio.sleep(0.02)
            assert event_types(ended.result()) == ["error"]

    async def test_a_client_that_asks_for_nothing_is_closed_without_a_word(
        self, fake: FakeSynthesizer, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with talking(fake, WyomingOptions(idle_timeout=0.05)) as (_, client):
            assert await client.rest() == []

        assert caplog.records == []

    async def test_a_client_that_listens_is_not_idle(self, fake: FakeSynthesizer) -> None:
        async def slowly(_: Utterance, number: int) -> None:
            await asyncio.sleep(0.2)

        fake.on_chunk = slowly
        async with talking(fake, WyomingOptions(idle_timeout=0.05)) as (_, client):
            await client.send(say("hello"))
            events = await client.rest()

        assert event_types(events) == PLAIN_ANSWER

    async def test_a_stream_whose_text_never_ends_is_ended(self, fake: FakeSynthesizer) -> None:
        async with talking(fake, WyomingOptions(idle_timeout=0.1)) as (_, client):
            await client.send(START, chunk("hello"))
            events = await client.rest()

        assert event_types(events) == [
            "audio-start",
            "audio-chunk",
            "error",
            "audio-stop",
            "synthesize-stopped",
        ]

    async def test_a_client_that_does_not_read_is_dropped(self, fake: FakeSynthesizer) -> None:
        async with serving(fake, WyomingOptions(send_timeout=0.1, write_buffer=4_096)) as server:
            async with not_reading(server) as client:
                await client.send(START)
                for _ in range(2_000):
                    client.writer.write(encode_event(chunk("x" * 20)))
                await client_count(server, 0)

            assert fake.left == 1


@asynccontextmanager
async def not_reading(server: WyomingServer) -> AsyncIterator[WyomingTestClient]:
    """A client with a tiny receive buffer, so that the server notices soon that nobody reads."""
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
    async def test_a_client_that_does_not_read_pulls_no_more_than_the_buffers_hold(
        self, fake: FakeSynthesizer
    ) -> None:
        chunks, piece = 3_000, "x" * 10
        total = chunks * len(speech_pcm(piece))
        async with serving(fake) as server, not_reading(server) as client:
            await client.send(START)
            sending = asyncio.create_task(client.send(*[chunk(piece)] * chunks, STOP))
            pulled = -1
            while pulled != fake.pulled:  # it stands still once every buffer is full
                pulled = fake.pulled
                await asyncio.sleep(0.1)
            held = pulled * len(speech_pcm(piece))
            events = await client.until("synthesize-stopped")
            await sending

        assert 0 < held < 2_000_000 < total
        assert pcm_of(events) == speech_pcm(piece * chunks)

    async def test_a_full_backlog_pauses_reading_and_nothing_is_lost(self, fake: FakeSynthesizer) -> None:
        fake.on_chunk = gate = Gate()
        async with talking(fake, WyomingOptions(backlog=2)) as (_, client):
            await client.send(*(say(f"{number}") for number in range(6)), Ping().event())
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await client.receive()
            gate.opened.set()
            events = [await client.until("audio-stop") for _ in range(6)]

        assert pcm_of([event for answer in events for event in answer]) == speech_pcm("012345")

    async def test_text_that_arrives_faster_than_it_is_spoken_pauses_the_client(
        self, fake: FakeSynthesizer
    ) -> None:
        fake.on_enter = gate = Gate()
        async with talking(fake) as (_, client):
            await client.send(START, chunk("x" * 40_000), Ping().event())
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await client.receive()
            gate.opened.set()
            events = await client.until("pong")
            assert event_types(events)[-1] == "pong"


class TestLeaving:
    async def test_the_work_for_a_client_that_resets_the_connection_stops_at_once(
        self, fake: FakeSynthesizer
    ) -> None:
        fake.on_chunk = Gate()
        async with talking(fake) as (server, client):
            await client.send(say("hello"))
            await fake.until(lambda: fake.entered == 1)
            reset_connection(client)
            await fake.until(lambda: fake.left == 1)
            await client_count(server, 0)

    async def test_a_reset_is_noticed_even_while_nothing_is_read(self, fake: FakeSynthesizer) -> None:
        fake.on_chunk = Gate()
        async with talking(fake, WyomingOptions(backlog=1)) as (server, client):
            await client.send(Ping().event(), *[say("hello")] * 5)
            await client.receive()
            await fake.until(lambda: fake.entered == 1)
            reset_connection(client)
            await fake.until(lambda: fake.left == 1)
            await client_count(server, 0)

    async def test_the_work_for_a_client_that_leaves_while_it_listens_stops(
        self, fake: FakeSynthesizer, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with serving(fake) as server:
            async with WyomingTestClient.connect(*server.bound[0]) as client:
                await client.send(START, *[chunk("x" * 1000)] * 30)
                await client.until("audio-chunk")
            await fake.until(lambda: fake.left == 1)
            await client_count(server, 0)

        assert fake.pulled < 30
        assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []

    async def test_other_clients_are_undisturbed_by_one_that_leaves(self, fake: FakeSynthesizer) -> None:
        async with talking(fake) as (server, client):
            await client.send(START, chunk("one "))
            early = await client.until("audio-chunk")
            async with WyomingTestClient.connect(*server.bound[0]) as other:
                await other.send(START, chunk("x" * 1000))
                other.writer.transport.abort()
            await client_count(server, 1)
            await client.send(chunk("two"), STOP)

            assert pcm_of(early + await client.until("synthesize-stopped")) == speech_pcm("one two")


class TestCrowds:
    async def test_connections_over_the_limit_of_one_peer_are_refused_as_busy(
        self, fake: FakeSynthesizer
    ) -> None:
        async with talking(fake, WyomingOptions(connections_per_peer=1)) as (server, client):
            await client.send(Ping().event())
            await client.receive()
            async with WyomingTestClient.connect(*server.bound[0]) as second:
                await second.send(Describe().event())
                (event,) = await second.rest()
            assert event.data["code"] == "busy"
            await client.send(say("hello"))
            assert event_types(await client.until("audio-stop")) == PLAIN_ANSWER

    async def test_a_place_that_became_free_is_given_again(self, fake: FakeSynthesizer) -> None:
        async with serving(fake, WyomingOptions(connections=1)) as server:
            for _ in range(3):
                async with WyomingTestClient.connect(*server.bound[0]) as client:
                    await client.send(Ping().event())
                    assert (await client.receive()).type == "pong"
                await client_count(server, 0)

    async def test_connections_over_the_servers_limit_are_refused_as_busy(
        self, fake: FakeSynthesizer
    ) -> None:
        async with talking(fake, WyomingOptions(connections=1)) as (server, client):
            await client.send(Ping().event())
            await client.receive()
            async with WyomingTestClient.connect(*server.bound[0]) as second:
                (event,) = await second.rest()

        assert event.data["code"] == "busy"


class TestStop:
    async def test_what_plays_may_finish_within_the_grace(self, fake: FakeSynthesizer) -> None:
        fake.on_chunk = gate = Gate()
        async with talking(fake) as (server, client):
            await client.send(say("hello"))
            await fake.until(lambda: fake.entered == 1)
            stopping = asyncio.create_task(server.stop(grace=30))
            await asyncio.sleep(0)
            gate.opened.set()
            events = await client.rest()
            await stopping

        assert event_types(events) == PLAIN_ANSWER
        assert pcm_of(events) == speech_pcm("hello")

    async def test_what_still_plays_after_the_grace_ends_with_an_error_and_its_closing_events(
        self, fake: FakeSynthesizer
    ) -> None:
        fake.on_chunk = Gate()
        async with talking(fake) as (server, client):
            await client.send(START, chunk("hello"), STOP, say("queued"))
            await fake.until(lambda: fake.entered == 1)
            stopping = asyncio.create_task(server.stop(grace=0.05))
            events = await client.rest()
            await stopping

        ended = ["error", "audio-start", "audio-stop"]
        assert event_types(events) == [*ended, "synthesize-stopped", *ended]
        assert {event.data["code"] for event in events if event.type == "error"} == {"shutting_down"}

    async def test_a_request_that_comes_during_the_grace_is_refused(self, fake: FakeSynthesizer) -> None:
        async with talking(fake) as (server, client):
            await client.send(START, chunk("hello"))
            early = await client.until("audio-chunk")
            stopping = asyncio.create_task(server.stop(grace=30))
            await asyncio.sleep(0)
            await client.send(START, chunk("x"), STOP)
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

    async def test_at_shutdown_idle_clients_are_closed_and_new_ones_refused(
        self, fake: FakeSynthesizer
    ) -> None:
        async with talking(fake) as (server, client):
            await client.send(Ping().event())
            await client.receive()
            host, port = server.bound[0]
            await server.stop(grace=30)
            assert await client.rest() == []
            with pytest.raises(OSError):
                await asyncio.open_connection(host, port)

    async def test_stopping_ends_though_a_client_does_not_read(self, fake: FakeSynthesizer) -> None:
        async with serving(fake) as server, not_reading(server) as client:
            await client.send(say("x" * 20_000))
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
    def test_each_kind_of_address_is_understood(self, uri: str, address: ListenAddress) -> None:
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
    def test_what_is_no_address_is_named_in_the_error(self, uri: str) -> None:
        with pytest.raises(ValueError, match="Cannot listen on"):
            ListenAddress.parse(uri)

    async def test_a_port_in_use_is_an_os_error(self, fake: FakeSynthesizer) -> None:
        async with serving(fake) as server:
            port = server.bound[0][1]
            with pytest.raises(OSError, match=f"{port}"):
                await server.start(f"tcp://127.0.0.1:{port}")

    @pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
    async def test_the_ipv6_wildcard_takes_ipv4_clients_as_well(self, fake: FakeSynthesizer) -> None:
        async with serving(fake, uri="tcp://[::]:0") as server:
            port = server.bound[0][1]
            for host in ("127.0.0.1", "::1"):
                async with WyomingTestClient.connect(host, port) as client:
                    await client.send(Describe().event())
                    assert (await client.receive()).type == "info"

    async def test_a_unix_socket_serves_its_group_and_is_gone_after_the_stop(
        self, fake: FakeSynthesizer, tmp_path: Path
    ) -> None:
        path = tmp_path / "tts.sock"
        async with serving(fake, uri=f"unix://{path}") as server:
            assert server.bound == []
            assert stat.S_IMODE(path.stat().st_mode) == 0o660
            reader, writer = await asyncio.open_unix_connection(path)
            client = WyomingTestClient(reader, writer)
            await client.send(say("hello"))
            assert pcm_of(await client.until("audio-stop")) == speech_pcm("hello")
            writer.close()
            await writer.wait_closed()

        assert not path.exists()

    async def test_a_socket_file_that_nobody_listens_on_is_replaced(
        self, fake: FakeSynthesizer, tmp_path: Path
    ) -> None:
        path = tmp_path / "tts.sock"
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(str(path))
        async with serving(fake, uri=f"unix://{path}"):
            _, writer = await asyncio.open_unix_connection(path)
            writer.close()
            await writer.wait_closed()

    async def test_a_socket_file_that_another_process_listens_on_is_left_alone(
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

    async def test_a_plain_file_is_not_replaced_by_a_socket(
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


async def events_in(data: bytes) -> list[Event]:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    return await WyomingTestClient(reader, None).rest()  # type: ignore[arg-type]


class TestStdio:
    REQUEST = (
        b'{"type": "describe"}\n'
        + encode_event(say("hello"))
        + encode_event(START)
        + encode_event(chunk("you"))
    )

    async def test_one_client_is_served_through_pipes_and_then_the_server_is_done(self) -> None:
        ran = run_stdio(input=self.REQUEST, stdout=subprocess.PIPE)

        events = await events_in(ran.stdout)
        assert (ran.returncode, ran.stderr) == (0, b"done True\n")
        assert event_types(events) == ["info", *PLAIN_ANSWER, *STREAM_ANSWER]
        assert pcm_of(events) == speech_pcm("helloyou")

    async def test_both_ends_may_be_files(self, tmp_path: Path) -> None:
        (tmp_path / "in").write_bytes(self.REQUEST)
        with (tmp_path / "in").open("rb") as stdin, (tmp_path / "out").open("wb") as stdout:
            ran = run_stdio(stdin=stdin, stdout=stdout)

        written = (tmp_path / "out").read_bytes()
        assert (ran.returncode, ran.stderr) == (0, b"done True\n")
        assert pcm_of(await events_in(written)) == speech_pcm("helloyou")

    def test_both_ends_may_be_the_null_device(self) -> None:
        ran = run_stdio(stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

        assert (ran.returncode, ran.stderr) == (0, b"done True\n")

    def test_a_reader_that_leaves_ends_the_server_though_the_writer_stays(self) -> None:
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
