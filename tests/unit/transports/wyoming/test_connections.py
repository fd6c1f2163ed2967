"""Wyoming clients that are slow, go away or are too many, and the server's end."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from wyoming.info import Describe
from wyoming.ping import Ping

from tests.support.fake_synthesizer import FakeSynthesizer, speech_pcm
from tests.support.wyoming_client import WyomingTestClient, event_types, pcm_of, reset_connection
from tests.unit.transports.wyoming.conftest import (
    BROKEN_STREAM_ANSWER,
    PLAIN_ANSWER,
    START,
    STOP,
    STREAM_ANSWER,
    Gate,
    connected,
    running_server,
    synthesize,
    text_chunk,
    wait_for_client_count,
)
from wyoming_tts.speech import Utterance
from wyoming_tts.transports.connection_limits import ConnectionLimits
from wyoming_tts.transports.wyoming.server import WyomingOptions, WyomingServer
from wyoming_tts.wyoming_framing import encode_event


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
