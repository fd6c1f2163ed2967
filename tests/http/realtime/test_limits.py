"""Limits and rates of the realtime WebSocket, refused handshakes, and how connections end."""

from __future__ import annotations

import asyncio
import json
import logging

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.http.realtime.conftest import NATIVE, Gate, conversation
from tests.support.fake_synthesizer import RATE, FakeSynthesizer, speech_pcm
from tests.support.realtime_server import (
    RealtimeClient,
    RunningRealtimeServer,
    realtime_client,
    realtime_server,
)
from wyoming_tts.speech import SpeakingVoice, VoiceReason
from wyoming_tts.transports.connection_limits import ConnectionLimits
from wyoming_tts.transports.http.access_rules import GuardOptions
from wyoming_tts.transports.http.guard import Guard
from wyoming_tts.transports.input_pace import LoopBudget
from wyoming_tts.transports.realtime.session import RealtimeLimits


class TestLimits:
    async def test_a_response_over_the_queue_limit_is_refused_as_busy(
        self, synthesizer: FakeSynthesizer
    ) -> None:
        gate = Gate(synthesizer)
        async with conversation(synthesizer, queued=2) as client:
            await client.send("response.create", response_id="r0", input="a")
            await gate.reached.wait()
            for number in (1, 2, 3):
                await client.send("response.create", response_id=f"r{number}", input="a")
            assert (await client.until("response.error"))["response"] == "r3"
            assert client.events[-1]["code"] == "busy"
            gate.opened.set()
            await client.until("response.completed", response="r2")

    async def test_queued_text_over_the_limit_is_refused_as_busy(self, synthesizer: FakeSynthesizer) -> None:
        gate = Gate(synthesizer)
        async with conversation(synthesizer, queued_chars=100) as client:
            await client.send("response.create", input="a")
            await gate.reached.wait()
            await client.send("response.create", response_id="b", input="a" * 60)
            await client.send("response.create", response_id="c", input="a" * 60)
            assert (await client.until("response.error", response="c"))["code"] == "busy"

    async def test_texts_and_messages_over_the_limit_are_errors(self, synthesizer: FakeSynthesizer) -> None:
        limits = RealtimeLimits(message_bytes=50_000, text_chars=100)
        async with conversation(synthesizer, limits=limits) as client:
            await client.send("response.create", response_id="a", input="a" * 101)
            assert (await client.until("response.error", response="a"))["code"] == "too_long"
            await client.send("response.create", input="a" * 60_000)
            assert (await client.until("response.error"))["code"] == "too_long"
            await client.send("input.append", text="a" * 60, response_id="b")
            await client.send("input.append", text=" " + "b" * 60)
            assert "response" not in await client.until("response.error", code="too_long")
            await client.send("input.append", text="behind a gap")
            await client.send("input.commit")
            await client.until("response.completed", response="b")
            assert client.audio["b"] == speech_pcm("a" * 60) + speech_pcm(" ")

    async def test_words_over_the_limit_are_errors_and_those_before_it_are_spoken(
        self, synthesizer: FakeSynthesizer
    ) -> None:
        async with conversation(synthesizer, limits=RealtimeLimits(text_words=2)) as client:
            await client.send("response.create", response_id="a", input="one two three")
            assert (await client.until("response.error", response="a"))["code"] == "too_long"
            await client.send("input.append", text="one tw", response_id="b")
            await client.send("input.append", text="o")
            await client.send("input.append", text=" three")
            await client.until("response.error", code="too_long")
            await client.send("input.commit")
            await client.until("response.completed", response="b")
            assert client.audio["b"] == speech_pcm("one tw") + speech_pcm("o")
            await client.send("input.append", text="one two three", response_id="c")
            await client.until("response.error", code="too_long")
            await client.send("input.append", text="four")
            await client.send("input.commit")
            await client.until("response.completed", response="c")
            assert client.audio["c"] == speech_pcm("one two")

    async def test_another_voice_than_the_one_asked_for_is_told_before_it_speaks(
        self, synthesizer: FakeSynthesizer
    ) -> None:
        async with conversation(synthesizer) as client:
            await client.send("response.create", response_id="a", input="one")
            assert (await client.until("response.completed", response="a"))["voice"] == "tone"
            assert "response.voice" not in client.kinds()
            synthesizer.voice = SpeakingVoice("espeak-de", VoiceReason.FALLBACK, "de_DE-far")
            await client.send("response.create", response_id="b", input="one", voice="de_DE-far")
            told = await client.until("response.voice", response="b")
            assert (told["voice"], told["reason"]) == ("espeak-de", "fallback")
            assert told["requested"] == "de_DE-far"
            assert (await client.next())["type"] == "response.output_audio.delta"

    async def test_silence_is_sent_before_the_first_audio_and_words_come_later_by_as_much(
        self, synthesizer: FakeSynthesizer
    ) -> None:
        synthesizer.tells_words = True
        async with conversation(synthesizer, prime_bytes=2 * RATE) as client:
            for name in ("a", "b"):
                await client.send("response.create", response_id=name, input="hello there")
                await client.until("response.completed", response=name)
                assert client.audio[name] == bytes(2 * RATE) + speech_pcm("hello there")
            first, *_ = (event["words"] for event in client.events if event["type"].endswith(".words"))
            assert first[0]["start_ms"] == 1000
            await client.send("response.truncate", response="a", played_ms=1000)
            assert (await client.until("response.truncated"))["heard"]["text"] == ""

    async def test_an_idle_connection_is_closed_with_a_reason(self, synthesizer: FakeSynthesizer) -> None:
        async with conversation(synthesizer, idle_timeout=0.05) as client:
            code, reason = await client.closed()
        assert code == 1000
        assert "No message" in str(reason)

    async def test_a_client_that_does_not_read_is_disconnected_after_the_send_timeout(
        self, synthesizer: FakeSynthesizer
    ) -> None:
        async with (
            realtime_server(synthesizer, send_timeout=0.2) as server,
            connect(server.url, max_queue=1, ping_interval=None, close_timeout=0.1) as sock,
        ):
            sock.transport.pause_reading()
            await sock.send(json.dumps({"type": "response.create", "input": "a" * 50_000}))
            async with asyncio.timeout(10):
                await synthesizer.until(lambda: synthesizer.left == 1)
                await server.until(lambda: not server.requests)
            sock.transport.abort()

    async def test_a_client_that_does_not_read_stops_synthesis_by_backpressure(
        self, synthesizer: FakeSynthesizer
    ) -> None:
        async with (
            realtime_server(synthesizer) as server,
            connect(server.url, max_queue=1, ping_interval=None, close_timeout=0.1) as sock,
        ):
            for _ in range(400):
                await sock.send(json.dumps({"type": "input.append", "text": "a" * 40}))
            await server.until(server.is_stalled)
            assert 0 < synthesizer.pulled < 390
            sock.transport.abort()

    async def test_a_connection_over_the_per_peer_limit_is_refused_with_503(
        self, synthesizer: FakeSynthesizer
    ) -> None:
        async with (
            realtime_server(synthesizer, connections=ConnectionLimits(per_peer=1)) as server,
            realtime_client(server.url),
        ):
            with pytest.raises(InvalidStatus) as refused:
                await connect(server.url)
            assert refused.value.response.status_code == 503


def guarded(now: float = 0.0, *, per_minute: int) -> Guard:
    """A guard with a rate limit, whose clock stands still."""
    return Guard(None, GuardOptions(requests_per_minute=per_minute), clock=lambda: now)


class TestRateLimit:
    async def test_responses_over_the_limit_are_refused_and_the_connection_goes_on(
        self, synthesizer: FakeSynthesizer
    ) -> None:
        async with conversation(synthesizer, guard=guarded(per_minute=2)) as client:
            for number in range(12):
                await client.send("response.create", response_id=f"r{number}", input="a")
            await client.send("session.end")
            await client.closed()
        completed = [event for event in client.events if event["type"] == "response.completed"]
        refused = [event for event in client.events if event["type"] == "response.error"]
        assert [event["response"] for event in completed] == ["r0", "r1"]
        assert [event["response"] for event in refused] == [f"r{number}" for number in range(2, 12)]
        assert {event["code"] for event in refused} == {"rate_limit_exceeded"}
        assert refused[0]["message"] == "Over the limit of 2 speech requests a minute. Try again in 30 s."

    async def test_the_short_dialect_is_told_too(self, synthesizer: FakeSynthesizer) -> None:
        async with conversation(synthesizer, guard=guarded(per_minute=1)) as client:
            await client.say(segment_id="s0", input="a")
            await client.say(segment_id="s1", input="a")
            assert (await client.until("error", segment_id="s1"))["code"] == "rate_limit_exceeded"
            await client.until("end", segment_id="s0")

    async def test_text_appended_to_a_refused_response_is_dropped_and_answered_once(
        self, synthesizer: FakeSynthesizer
    ) -> None:
        async with conversation(synthesizer, guard=guarded(per_minute=1)) as client:
            for text in ("a", "b"):
                for letter in text * 3:
                    await client.send("input.append", text=letter)
                await client.send("input.commit")
            await client.send("session.end")
            await client.closed()
        kinds = [event["type"] for event in client.events]
        assert (kinds.count("response.completed"), kinds.count("response.error")) == (1, 1)

    async def test_all_connections_and_http_requests_of_a_client_share_one_limit(
        self, synthesizer: FakeSynthesizer
    ) -> None:
        guard = guarded(per_minute=3)
        async with realtime_server(synthesizer, guard=guard) as server:
            for _ in range(2):
                async with realtime_client(server.url, audio=NATIVE) as client:
                    await client.send("response.create", input="a")
                    await client.until("response.completed")
            speech = f"http://127.0.0.1:{server.port}/v1/audio/speech"
            async with httpx.AsyncClient() as http:
                statuses = [(await http.post(speech)).status_code for _ in range(2)]
            assert statuses == [404, 429]  # there is no such route here, but a limit
            async with realtime_client(server.url, audio=NATIVE) as client:
                await client.send("response.create", input="a")
                await client.until("response.error", code="rate_limit_exceeded")

    async def test_a_limit_that_is_reloaded_holds_for_open_connections(
        self, synthesizer: FakeSynthesizer
    ) -> None:
        guard = guarded(per_minute=1)
        async with conversation(synthesizer, guard=guard) as client:
            await client.send("response.create", input="a")
            await client.send("response.create", input="a")
            await client.until("response.error")
            guard.reconfigure(GuardOptions(requests_per_minute=0))
            await client.send("response.create", response_id="again", input="a")
            await client.until("response.completed", response="again")


async def test_reading_from_a_websocket_is_paid_from_one_budget(
    server: RunningRealtimeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    payers: set[LoopBudget] = set()

    def spend(budget: LoopBudget, _: float, now: float) -> float:
        payers.add(budget)
        return 0.0 * now

    monkeypatch.setattr(LoopBudget, "spend", spend)
    async with realtime_client(server.url, audio=NATIVE) as client:
        await client.send("response.create", input="a")
        await client.until("response.completed")
    assert len(payers) == 2  # the connection's, and that of all connections


async def test_messages_that_take_long_to_send_are_one_line_in_the_log(
    synthesizer: FakeSynthesizer, caplog: pytest.LogCaptureFixture
) -> None:
    async with realtime_server(synthesizer, slow_send=1e-9) as server, realtime_client(server.url) as client:
        await client.send("response.create", response_id="r1", input="hello")
        await client.until("response.completed", response="r1")
    assert ["to send: the client reads slowly" in record.message for record in caplog.records] == [True]


class TestRefusedHandshakes:
    async def test_are_one_line_a_minute_in_the_log_and_no_error(
        self, synthesizer: FakeSynthesizer, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, "wyoming_tts")
        guard = Guard(None, GuardOptions(api_keys=("k",)))
        async with realtime_server(synthesizer, guard=guard) as server:
            key = {"Authorization": "Bearer k"}
            refused = [
                (server.url, {"Authorization": "Bearer wrong"}),
                (server.url, key | {"Origin": "https://evil.example"}),
                (f"{server.url}/nowhere", key),
            ]
            for url, headers in refused * 2:
                with pytest.raises(InvalidStatus):
                    await connect(url, additional_headers=headers)
        assert [record.levelname for record in caplog.records] == ["INFO"]
        assert "The API key is wrong." in caplog.text


class TestDisconnectAndShutdown:
    async def test_a_client_disconnect_closes_the_synthesis_stream(
        self, server: RunningRealtimeServer, synthesizer: FakeSynthesizer
    ) -> None:
        gate = Gate(synthesizer, hold_from=1)
        async with realtime_client(server.url, audio=NATIVE) as client:
            await client.send("input.append", text="one")
            await client.send("input.append", text="two")
            await gate.reached.wait()
            client.socket.transport.abort()
        async with asyncio.timeout(5):
            await synthesizer.until(lambda: synthesizer.left == 1)

    async def test_a_playing_response_finishes_but_new_ones_are_refused_during_shutdown(
        self, server: RunningRealtimeServer, client: RealtimeClient, synthesizer: FakeSynthesizer
    ) -> None:
        gate = Gate(synthesizer)
        await client.send("response.create", response_id="a", input="one")
        await gate.reached.wait()
        stopping = asyncio.create_task(server.server.stop(10))
        await server.requests.stopping.wait()
        await client.send("response.create", response_id="b", input="two")
        assert (await client.until("response.error", response="b"))["code"] == "shutting_down"
        gate.opened.set()
        assert (await client.closed())[0] == 1012
        await stopping
        assert client.audio == {"a": speech_pcm("one")}

    async def test_new_connections_are_refused_during_shutdown(self, server: RunningRealtimeServer) -> None:
        url = server.url
        server.requests.stopping.set()
        with pytest.raises(InvalidStatus) as refused:
            await connect(url)
        assert refused.value.response.status_code == 503

    async def test_unfinished_responses_end_with_an_error_after_the_grace_period(
        self, server: RunningRealtimeServer, client: RealtimeClient, synthesizer: FakeSynthesizer
    ) -> None:
        gate = Gate(synthesizer)
        await client.send("response.create", response_id="a", input="one")
        await client.send("response.create", response_id="b", input="two")
        await gate.reached.wait()
        await server.server.stop(0.01)
        code, reason = await client.closed()
        assert code == 1012
        assert reason
        errors = [(event["response"], event["code"]) for event in client.events if "code" in event]
        assert errors == [("a", "shutting_down"), ("b", "shutting_down")]
        assert synthesizer.left == 1

    async def test_a_client_that_does_not_read_does_not_delay_the_shutdown(
        self, synthesizer: FakeSynthesizer
    ) -> None:
        async with (
            realtime_server(synthesizer) as server,
            connect(server.url, max_queue=1, ping_interval=None, close_timeout=0.1) as sock,
        ):
            sock.transport.pause_reading()
            await sock.send(json.dumps({"type": "response.create", "input": "a" * 50_000}))
            await server.until(server.is_stalled)
            async with asyncio.timeout(5):
                await server.server.stop(0.01)
            assert len(server.requests) == 0
            sock.transport.abort()
