"""What the Wyoming server answers when a request, a voice or a peer fails."""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref

import pytest
from wyoming.event import Event
from wyoming.info import Describe
from wyoming.ping import Ping
from wyoming.tts import Synthesize

from tests.support.fake_synthesizer import RATE, FakeSynthesizer, run_in_thread, speech_pcm
from tests.support.wyoming_client import WyomingTestClient, event_types, pcm_of
from tests.unit.transports.wyoming.conftest import (
    BROKEN_STREAM_ANSWER,
    LOOPBACK,
    PLAIN_ANSWER,
    START,
    STOP,
    Gate,
    connected,
    raise_at,
    synthesize,
    text_chunk,
    wait_for_client_count,
)
from wyoming_tts.errors import EngineFailed, UnknownVoice
from wyoming_tts.speech import AudioFormat, Utterance
from wyoming_tts.transports.input_pace import InputPace, LoopBudget
from wyoming_tts.transports.wyoming.server import WyomingOptions, WyomingServer
from wyoming_tts.wyoming_framing import EventLimits


async def internal_error_before_the_next_answer(fake: FakeSynthesizer) -> Event:
    """The error that answers a request whose speech fails; the next request is answered as ever."""
    async with connected(fake) as (_, client):
        await client.send(synthesize("hello"))
        events = await client.until("audio-stop")
        fake.on_chunk = raise_at(EngineFailed("never"), at=-1)
        await client.send(synthesize("again"))
        assert pcm_of(await client.until("audio-stop")) == speech_pcm("again")
    assert event_types(events) == ["error", "audio-start", "audio-stop"]
    assert events[0].data["code"] == "internal"
    return events[0]


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
        error = await internal_error_before_the_next_answer(fake)
        assert "secret" not in error.data["text"]
        (record,) = caplog.records
        assert record.exc_info is not None

    async def test_an_engine_that_cancels_itself_is_an_error_and_the_next_request_is_answered(
        self, fake: FakeSynthesizer
    ) -> None:
        async def cancel(*_: object) -> None:
            raise asyncio.CancelledError

        fake.on_chunk = cancel
        await internal_error_before_the_next_answer(fake)

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
