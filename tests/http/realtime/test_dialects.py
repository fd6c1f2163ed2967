"""The realtime WebSocket's two dialects, its documented examples and its errors, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from tests.http.realtime.conftest import Gate
from tests.support.fake_synthesizer import RATE, FakeSynthesizer, speech_pcm
from tests.support.realtime_examples import PYTHON_EXAMPLES
from tests.support.realtime_server import (
    RealtimeClient,
    RunningRealtimeServer,
    realtime_client,
)
from wyoming_tts.errors import UnknownVoice, VoiceUnavailable
from wyoming_tts.speech import Utterance


class TestFullDialect:
    async def test_a_text_of_which_nothing_is_spoken_is_completed_without_audio(
        self, client: RealtimeClient
    ) -> None:
        await client.send("response.create", response_id="r1", input="")
        await client.until("response.completed", response="r1")
        assert client.kinds()[2:] == [
            "response.created",
            "response.output_audio.done",
            "response.completed",
        ]

    async def test_a_response_is_created_streamed_and_completed(self, client: RealtimeClient) -> None:
        await client.send("response.create", response_id="r1", input="hello")
        await client.until("response.completed", response="r1")
        assert client.kinds()[2:] == [
            "response.created",
            "response.output_audio.delta",
            "response.output_audio.done",
            "response.completed",
        ]
        assert client.audio["r1"] == speech_pcm("hello")

    async def test_session_events_carry_the_whole_session(self, server: RunningRealtimeServer) -> None:
        async with realtime_client(server.url) as client:
            session = client.events[0]["session"]
            assert session["audio"] == {"format": "pcm", "sample_rate": 24000, "binary": False}
            await client.send("session.update", session={"voice": "amy", "speed": 1.5, "language": "de"})
            updated = (await client.until("session.updated"))["session"]
            assert updated == session | {"voice": "amy", "speed": 1.5, "language": "de"}

    async def test_voice_language_and_speed_reach_the_synthesizer(
        self, client: RealtimeClient, synthesizer: FakeSynthesizer
    ) -> None:
        await client.send("session.update", session={"voice": "amy", "language": "en", "speed": 2})
        await client.send("response.create", input="a")
        await client.send("response.create", input="b", voice="bob", speed=0.5)
        await client.until("response.completed")
        await client.until("response.completed")
        first, second = synthesizer.utterances
        assert (first.voice.name, first.voice.language) == ("amy", "en")
        assert first.prosody is not None
        assert first.prosody.speed == 2.0
        assert second.voice.name == "bob"
        assert second.prosody is not None
        assert second.prosody.speed == 0.5
        assert {first.transport, second.transport} == {"realtime"}
        assert first.is_complete
        assert second.is_complete

    async def test_binary_audio_follows_its_announcement(self, client: RealtimeClient) -> None:
        await client.send("session.update", session={"audio": {"binary": True}})
        await client.until("session.updated")
        for name in ("one", "two"):
            await client.send("response.create", response_id=name, input=name)
        await client.until("response.completed", response="two")
        assert client.audio == {"one": speech_pcm("one"), "two": speech_pcm("two")}

    async def test_audio_is_resampled_to_the_sessions_sample_rate(
        self, server: RunningRealtimeServer
    ) -> None:
        async with realtime_client(server.url) as client:
            await client.send("response.create", response_id="r", input="a" * 40)
            await client.until("response.completed")
        samples = np.frombuffer(client.audio["r"], "<i2")
        assert len(samples) == len(speech_pcm("a" * 40)) // 2 * 24_000 // RATE
        spectrum = np.abs(np.fft.rfft(samples))
        heard = np.argmax(spectrum) * 24_000 / len(samples)
        assert heard == pytest.approx(200 + ord("a") * 20, abs=60)

    async def test_appended_text_is_spoken_before_the_commit(
        self, client: RealtimeClient, synthesizer: FakeSynthesizer
    ) -> None:
        await client.send("input.append", text="one ")
        created = await client.until("response.created")
        await client.until("response.output_audio.delta")
        await client.send("input.append", text="two")
        await client.send("input.commit")
        await client.until("response.completed", response=created["response"])
        assert client.audio[created["response"]] == speech_pcm("one two")
        assert synthesizer.utterances[0].flush_idle == 0.16
        assert synthesizer.utterances[0].peer == "127.0.0.1"
        assert not synthesizer.utterances[0].is_complete

    async def test_text_after_a_commit_starts_the_next_response(self, client: RealtimeClient) -> None:
        await client.send("input.append", text="one", response_id="a")
        await client.send("input.commit")
        await client.send("input.append", text="two", response_id="b")
        await client.send("input.commit")
        await client.until("response.completed", response="b")
        assert client.audio == {"a": speech_pcm("one"), "b": speech_pcm("two")}

    async def test_responses_play_in_order(self, client: RealtimeClient) -> None:
        names = [f"r{number}" for number in range(10)]
        for name in names:
            await client.send("response.create", response_id=name, input=name)
        await client.until("response.completed", response="r9")
        completed = [event["response"] for event in client.events if event["type"] == "response.completed"]
        assert completed == names
        played = [event["response"] for event in client.events if "delta" in event]
        assert played == sorted(played)

    async def test_session_end_closes_the_connection_after_all_responses(
        self, client: RealtimeClient
    ) -> None:
        await client.send("response.create", response_id="a", input="one")
        await client.send("input.append", text="two", response_id="b")
        await client.send("session.end")
        assert await client.closed() == (1000, "")
        assert client.audio == {"a": speech_pcm("one"), "b": speech_pcm("two")}
        assert client.kinds()[-1] == "response.completed"


class TestShortDialect:
    async def test_segments_are_answered_with_start_binary_audio_and_end(
        self, client: RealtimeClient
    ) -> None:
        for name in ("s1", "s2"):
            await client.say(**{"continue": True}, segment_id=name, input=name, voice="amy", format="pcm")
        await client.until("end", segment_id="s2")
        assert client.kinds()[2:] == ["start", "binary delta", "end"] * 2
        assert client.audio == {"s1": speech_pcm("s1"), "s2": speech_pcm("s2")}

    async def test_continue_false_ends_the_connection_after_its_input(self, client: RealtimeClient) -> None:
        await client.say(**{"continue": True}, segment_id="a", input="one")
        await client.say(**{"continue": False}, segment_id="b", input="two")
        assert await client.closed() == (1000, "")
        assert client.audio == {"a": speech_pcm("one"), "b": speech_pcm("two")}

    async def test_an_error_names_its_segment(self, client: RealtimeClient) -> None:
        await client.say(**{"continue": True}, segment_id="a", input="one", format="mp3")
        error = await client.until("error")
        assert (error["segment_id"], error["code"]) == ("a", "bad_request")


class TestErrors:
    @pytest.mark.parametrize(
        "garbage", ["", "{", "[]", "null", '"a"', '{"type": 7}', "[" * 100_000, b"\xff\xfe"]
    )
    async def test_a_malformed_message_is_an_error_and_the_connection_stays_open(
        self, client: RealtimeClient, garbage: str | bytes
    ) -> None:
        await client.socket.send(garbage)
        code = "too_long" if len(garbage) > 1_000 else "bad_request"
        assert (await client.until("response.error"))["code"] == code
        await client.send("response.create", response_id="r", input="a")
        await client.until("response.completed", response="r")

    @pytest.mark.parametrize(
        ("error", "code"),
        [
            (UnknownVoice("No voice is called so."), "unknown_voice"),
            (VoiceUnavailable("Its files are broken."), "unknown_voice"),
            (RuntimeError("/secret/path"), "internal"),
        ],
    )
    async def test_a_failed_response_ends_with_an_error_and_the_next_one_plays(
        self, client: RealtimeClient, synthesizer: FakeSynthesizer, error: Exception, code: str
    ) -> None:
        async def fail(utterance: Utterance) -> None:
            if utterance.voice.name == "bad":
                raise error

        synthesizer.on_enter = fail
        await client.send("response.create", response_id="a", input="one", voice="bad")
        await client.send("response.create", response_id="b", input="two")
        error_event = await client.until("response.error", response="a")
        assert error_event["code"] == code
        assert "secret" not in error_event["message"]
        await client.until("response.completed", response="b")

    async def test_text_for_a_failed_response_is_discarded_until_the_commit(
        self, client: RealtimeClient, synthesizer: FakeSynthesizer
    ) -> None:
        async def fail(utterance: Utterance) -> None:
            if utterance is synthesizer.utterances[0]:
                raise UnknownVoice("No voice is called so.")

        synthesizer.on_enter = fail
        await client.send("input.append", text="one", response_id="a")
        await client.until("response.error", response="a")
        await client.send("input.append", text="two")
        await client.send("input.commit")
        await client.send("input.append", text="three", response_id="b")
        await client.send("input.commit")
        await client.until("response.completed", response="b")
        assert client.audio == {"b": speech_pcm("three")}
        assert client.kinds().count("response.error") == 1

    async def test_a_duplicate_response_id_is_an_error_and_the_first_response_continues(
        self, client: RealtimeClient, synthesizer: FakeSynthesizer
    ) -> None:
        gate = Gate(synthesizer)
        await client.send("response.create", response_id="a", input="one")
        await gate.reached.wait()
        await client.send("response.create", response_id="a", input="two")
        assert "response" not in await client.until("response.error", code="bad_request")
        gate.opened.set()
        await client.until("response.completed", response="a")
        assert client.audio == {"a": speech_pcm("one")}

    async def test_a_commit_without_text_is_an_error(self, client: RealtimeClient) -> None:
        await client.send("input.commit")
        assert (await client.until("response.error"))["code"] == "bad_request"

    async def test_an_engine_that_raises_cancelled_error_is_reported_as_internal(
        self, client: RealtimeClient, synthesizer: FakeSynthesizer
    ) -> None:
        async def raise_cancelled(*_: object) -> None:
            raise asyncio.CancelledError

        synthesizer.on_chunk = raise_cancelled
        await client.send("response.create", response_id="a", input="one")
        assert (await client.until("response.error", response="a"))["code"] == "internal"


class TestDocumentedExample:
    async def test_the_python_client_of_the_docs_streams_words(self, server: RunningRealtimeServer) -> None:
        async def words() -> AsyncIterator[str]:
            for word in ("Good ", "morn", "ing."):
                yield word

        program: dict[str, Any] = {}
        exec(next(example for example in PYTHON_EXAMPLES if "def speak" in example), program)
        heard = bytearray()
        await program["speak"](server.url, words(), heard.extend)
        assert len(heard) == len(speech_pcm("Good morning.")) * 24_000 // RATE
