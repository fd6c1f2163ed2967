"""The realtime WebSocket over real sockets."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.support.fake_synthesizer import RATE, SAMPLES_PER_CHARACTER, FakeSynthesizer, speech_pcm
from tests.support.parts import running_parts
from tests.support.realtime_examples import PYTHON_EXAMPLES
from tests.support.realtime_server import (
    RealtimeClient,
    RunningRealtimeServer,
    realtime_client,
    realtime_server,
)
from tests.support.tones import LETTERS
from wyoming_tts.errors import UnknownVoice, VoiceUnavailable
from wyoming_tts.speech import SpeakingVoice, Utterance, VoiceReason
from wyoming_tts.transports.connection_limits import ConnectionLimits
from wyoming_tts.transports.http.access_rules import GuardOptions
from wyoming_tts.transports.http.guard import Guard
from wyoming_tts.transports.input_pace import LoopBudget
from wyoming_tts.transports.realtime.session import RealtimeLimits

NATIVE = {"sample_rate": RATE}
"""No resampling, so that audio can be compared."""


@pytest.fixture
def synthesizer() -> FakeSynthesizer:
    return FakeSynthesizer()


@pytest.fixture
async def server(synthesizer: FakeSynthesizer) -> AsyncIterator[RunningRealtimeServer]:
    async with realtime_server(synthesizer) as running:
        yield running


@pytest.fixture
async def client(server: RunningRealtimeServer) -> AsyncIterator[RealtimeClient]:
    async with realtime_client(server.url, audio=NATIVE) as connected:
        yield connected


class Gate:
    """Blocks the synthesizer before each chunk from `hold_from` on, until `opened` is set."""

    def __init__(self, synthesizer: FakeSynthesizer, *, hold_from: int = 0) -> None:
        self.opened = asyncio.Event()
        self.reached = asyncio.Event()
        self._hold_from = hold_from
        synthesizer.on_chunk = self._wait

    async def _wait(self, _: Utterance, number: int) -> None:
        if number >= self._hold_from:
            self.reached.set()
            await self.opened.wait()


def after(client: RealtimeClient, kind: str, **fields: Any) -> list[dict[str, Any]]:
    """The events received after the first one of this kind and with these fields."""
    position = next(
        place
        for place, event in enumerate(client.events)
        if event["type"] == kind and fields.items() <= event.items()
    )
    return client.events[position + 1 :]


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


class TestBargeIn:
    """Event sequences of a barge-in mid-sentence: audio already sent arrives, then nothing more."""

    async def test_cancels_playing_and_queued_responses_in_the_full_dialect(
        self, client: RealtimeClient, synthesizer: FakeSynthesizer
    ) -> None:
        gate = Gate(synthesizer, hold_from=1)
        await client.send("input.append", text="The weather ", response_id="first")
        await client.send("input.append", text="is nice.")
        await client.send("response.create", response_id="second", input="never said")
        await gate.reached.wait()
        await client.send("barge")
        await client.until("response.canceled", response="first")
        assert synthesizer.left == synthesizer.entered == 1
        gate.opened.set()
        await client.send("response.create", response_id="third", input="What is it?")
        await client.until("response.completed", response="third")
        assert client.audio == {"first": speech_pcm("The weather "), "third": speech_pcm("What is it?")}
        canceled = next(event for event in client.events if event.get("response") == "second")
        assert canceled["type"] == "response.canceled"
        assert canceled["heard"] == {"played_ms": 0, "text": "", "end": 0, "utf16_end": 0, "words": []}
        assert client.kinds()[2:4] == ["response.created", "response.output_audio.delta"]
        assert client.kinds()[-4:] == [
            "response.created",
            "response.output_audio.delta",
            "response.output_audio.done",
            "response.completed",
        ]
        assert "second" not in [
            event["response"] for event in client.events if event["type"] == "response.created"
        ]

    async def test_cancels_playing_and_queued_segments_in_the_short_dialect(
        self, client: RealtimeClient, synthesizer: FakeSynthesizer
    ) -> None:
        gate = Gate(synthesizer)
        await client.say(**{"continue": True}, segment_id="a", input="one")
        await client.say(**{"continue": True}, segment_id="b", input="two")
        await gate.reached.wait()
        await client.send("barge")
        await client.until("end", segment_id="a", canceled=True)
        gate.opened.set()
        await client.say(**{"continue": True}, segment_id="c", input="three")
        await client.until("end", segment_id="c")
        assert client.audio == {"c": speech_pcm("three")}
        assert {"type": "end", "segment_id": "b", "canceled": True} in client.events

    async def test_text_appended_after_a_barge_in_starts_a_new_response(
        self, client: RealtimeClient, synthesizer: FakeSynthesizer
    ) -> None:
        gate = Gate(synthesizer)
        await client.send("input.append", text="old", response_id="old")
        await gate.reached.wait()
        await client.send("barge")
        await client.send("input.append", text="new", response_id="new")
        await client.until("response.canceled", response="old")
        gate.opened.set()
        await client.send("input.commit")
        await client.until("response.completed", response="new")
        assert client.audio == {"new": speech_pcm("new")}

    async def test_without_a_response_sends_no_event(self, client: RealtimeClient) -> None:
        await client.send("barge")
        await client.send("response.create", response_id="r", input="a")
        await client.until("response.completed")
        assert "response.canceled" not in client.kinds()

    async def test_stops_a_real_voice_within_one_synthesis_step(self) -> None:
        async with running_parts() as parts, realtime_server(parts.synthesizer) as server:
            async with realtime_client(server.url) as client:
                await client.send("response.create", response_id="long", input="abc def. " * 5_000)
                await client.until("response.output_audio.delta")
                await client.send("barge")
                async with asyncio.timeout(5):
                    await client.until("response.canceled", response="long")
                assert repr(parts.admission) == "<Admission held=0 queued=0>"
                await client.send("response.create", response_id="next", input="ghi.")
                await client.until("response.completed", response="next")
            assert not [
                event for event in after(client, "response.canceled") if event.get("response") == "long"
            ]


def ms_of(characters: int) -> int:
    """When the character at this place of the fake synthesizer's text begins."""
    return round(characters * SAMPLES_PER_CHARACTER * 1000 / RATE)


class TestWords:
    @pytest.fixture
    def synthesizer(self) -> FakeSynthesizer:
        synthesizer = FakeSynthesizer()
        synthesizer.tells_words = True
        return synthesizer

    async def test_words_are_told_before_their_audio_with_offsets_in_all_inputs_together(
        self, client: RealtimeClient
    ) -> None:
        await client.send("input.append", text="The weather ", response_id="r")
        await client.send("input.append", text="is")
        await client.send("input.commit")
        await client.until("response.completed", response="r")

        told = [event for event in client.events if event["type"] == "response.output_audio.words"]
        assert [[word["word"] for word in event["words"]] for event in told] == [["The", "weather"], ["is"]]
        assert told[1] == {
            "type": "response.output_audio.words",
            "response": "r",
            "words": [
                {
                    "word": "is",
                    "start_ms": ms_of(12),
                    "end_ms": ms_of(14),
                    "begin": 12,
                    "end": 14,
                    "utf16_begin": 12,
                    "utf16_end": 14,
                    "estimated": False,
                }
            ],
        }
        assert client.kinds()[2:] == [
            "response.created",
            *["response.output_audio.words", "response.output_audio.delta"] * 2,
            "response.output_audio.done",
            "response.completed",
        ]

    async def test_words_can_be_switched_off_and_what_was_heard_is_still_known(
        self, client: RealtimeClient
    ) -> None:
        await client.send("session.update", session={"words": False})
        assert (await client.until("session.updated"))["session"]["words"] is False
        await client.send("response.create", response_id="r", input="one two")
        await client.until("response.completed", response="r")
        await client.send("response.truncate", response="r", played_ms=ms_of(3))

        assert (await client.until("response.truncated"))["heard"]["text"] == "one"
        assert "response.output_audio.words" not in client.kinds()

    async def test_segments_of_the_short_dialect_have_none(self, client: RealtimeClient) -> None:
        await client.say(input="one two", segment_id="s")
        await client.until("end", segment_id="s")

        assert client.kinds()[2:] == ["start", "binary delta", "end"]

    @pytest.mark.parametrize(
        ("played", "heard"),
        [
            ({}, "The weather"),
            ({"played_ms": ms_of(11)}, "The weather"),
            ({"played_ms": ms_of(11) - 1}, "The"),
            ({"played_ms": 0}, ""),
            ({"played_ms": 1_000_000}, "The weather"),
        ],
    )
    @pytest.mark.parametrize("kind", ["barge", "response.cancel", "response.truncate"])
    async def test_an_interrupted_response_tells_what_was_heard_of_it(
        self,
        client: RealtimeClient,
        synthesizer: FakeSynthesizer,
        kind: str,
        played: dict[str, int],
        heard: str,
    ) -> None:
        gate = Gate(synthesizer, hold_from=1)
        await client.send("input.append", text="The weather ", response_id="r")
        await client.send("input.append", text="is nice.")
        await gate.reached.wait()
        await client.send(kind, **played)
        canceled = await client.until("response.canceled", response="r")

        assert canceled["heard"]["text"] == heard
        assert canceled["heard"]["played_ms"] == min(played.get("played_ms", ms_of(12)), ms_of(12))
        assert [word["word"] for word in canceled["heard"]["words"]] == heard.split()
        if kind == "response.truncate":
            truncated = next(event for event in client.events if event["type"] == "response.truncated")
            assert truncated["heard"] == canceled["heard"]

    async def test_a_response_that_is_complete_is_truncated_and_the_next_was_not_heard(
        self, client: RealtimeClient, synthesizer: FakeSynthesizer
    ) -> None:
        await client.send("response.create", response_id="first", input="one two three.")
        await client.until("response.completed", response="first")
        gate = Gate(synthesizer, hold_from=1)
        await client.send("input.append", text="four ", response_id="second")
        await client.send("input.append", text="five")
        await client.send("response.create", response_id="third", input="six")
        await gate.reached.wait()
        await client.send("barge", response="first", played_ms=ms_of(8))
        await client.until("response.canceled", response="second")

        texts = {event["response"]: event["heard"]["text"] for event in client.events if "heard" in event}
        assert texts == {"first": "one two", "second": "", "third": ""}
        assert "response.truncated" in client.kinds()

    async def test_responses_before_the_one_that_plays_were_heard(
        self, client: RealtimeClient, synthesizer: FakeSynthesizer
    ) -> None:
        gate = Gate(synthesizer, hold_from=1)
        await client.send("input.append", text="one two ", response_id="first")
        await client.send("input.append", text="three")
        await client.send("response.create", response_id="second", input="four")
        await gate.reached.wait()
        await client.send("barge", response="second", played_ms=5)
        await client.until("response.canceled", response="first")

        texts = {event["response"]: event["heard"]["text"] for event in client.events if "heard" in event}
        assert texts == {"first": "one two", "second": ""}

    async def test_a_position_without_a_response_is_that_of_the_last_one(
        self, client: RealtimeClient
    ) -> None:
        for name, text in (("first", "one two"), ("second", "three four.")):
            await client.send("response.create", response_id=name, input=text)
            await client.until("response.completed", response=name)
        await client.send("barge", played_ms=ms_of(5))
        assert (await client.until("response.truncated", response="second"))["heard"]["text"] == "three"
        await client.send("response.truncate", response="first")
        assert (await client.until("response.truncated", response="first"))["heard"]["text"] == "one two"
        await client.send("response.truncate")
        assert (await client.until("response.truncated"))["heard"]["text"] == "three four."

    async def test_openais_truncate_is_answered_by_its_name(self, client: RealtimeClient) -> None:
        await client.send("response.create", response_id="item_1", input="one two.")
        await client.until("response.completed")
        await client.send(
            "conversation.item.truncate", item_id="item_1", content_index=0, audio_end_ms=ms_of(3)
        )

        truncated = await client.until("conversation.item.truncated")
        assert (truncated["item_id"], truncated["content_index"]) == ("item_1", 0)
        assert (truncated["audio_end_ms"], truncated["heard"]["text"]) == (ms_of(3), "one")

    @pytest.mark.parametrize("kind", ["response.truncate", "barge"])
    async def test_a_response_that_nobody_remembers_is_an_error(
        self, client: RealtimeClient, synthesizer: FakeSynthesizer, kind: str
    ) -> None:
        gate = Gate(synthesizer)
        await client.send("response.create", response_id="r", input="one")
        await gate.reached.wait()
        await client.send(kind, response="other", played_ms=5)
        refused = await client.until("response.error")
        assert refused["code"] == "bad_request"
        assert refused["message"].startswith("Got response 'other', which is none of the last, expected one ")
        if kind == "barge":  # stops everything all the same
            await client.until("response.canceled", response="r")

    async def test_a_session_remembers_its_last_responses(self, client: RealtimeClient) -> None:
        for number in range(20):
            await client.send("response.create", response_id=f"r{number}", input="one two.")
            await client.until("response.completed")
        await client.send("response.truncate", response="r3", played_ms=0)
        await client.send("response.truncate", response="r4", played_ms=0)

        assert "'r3'" in (await client.until("response.error"))["message"]
        await client.until("response.truncated", response="r4")


def samples_until(milliseconds: int) -> int:
    """The end of the slot of the letters' voice that lies nearest to a time."""
    return round(milliseconds * LETTERS.rate / 1000 / LETTERS.slot) * LETTERS.slot


def letters(audio: npt.NDArray[np.int16]) -> str:
    """The letters that are heard, without spaces."""
    names = {number: symbol for symbol, number in LETTERS.symbols.items()}
    tones = [tone for stretch in LETTERS.spoken(audio) for tone in stretch]
    return "".join(names[tone.id] for tone in tones if names[tone.id] not in "_^$ ")


class TestRealVoice:
    @pytest.mark.parametrize("voice", ["espeak-en-us", LETTERS.name, "af_test"])
    async def test_what_was_heard_is_the_words_that_ended_before_the_position(self, voice: str) -> None:
        async with (
            running_parts(voice=voice) as parts,
            realtime_server(parts.synthesizer) as server,
            realtime_client(server.url) as client,
        ):
            for piece in ("It is **25", " °C**. 😀 Good", " morning", " to you."):
                await client.send("input.append", text=piece, response_id="r")
            await client.send("input.commit")
            await client.until("response.completed", response="r")
            words = [word for event in client.events for word in event.get("words", [])]
            text = "It is **25 °C**. 😀 Good morning to you."
            assert [word["word"] for word in words] == ["It", "is", "25 °C", "Good", "morning", "to", "you"]
            assert [text[word["begin"] : word["end"]] for word in words] == [word["word"] for word in words]
            for number, word in enumerate(words, 1):
                await client.send("response.truncate", played_ms=word["end_ms"])
                heard = (await client.until("response.truncated"))["heard"]
                assert (heard["text"], heard["words"]) == (text[: word["end"]], words[:number])
                await client.send("response.truncate", played_ms=word["end_ms"] - 1)
                assert (await client.until("response.truncated"))["heard"]["words"] == words[: number - 1]

    async def test_the_audio_up_to_a_position_says_the_text_that_was_heard(self) -> None:
        """The tones of what was played are decoded."""
        async with (
            running_parts() as parts,
            realtime_server(parts.synthesizer) as server,
            realtime_client(server.url, audio={"sample_rate": LETTERS.rate}) as client,
        ):
            await client.send("input.append", text="The door is", response_id="r")
            await client.send("input.append", text=" open. Come in, do!")
            await client.send("input.commit")
            await client.until("response.completed", response="r")
            audio = np.frombuffer(client.audio["r"], dtype="<i2")
            words = [word for event in client.events for word in event.get("words", [])]
            assert [word["word"] for word in words] == ["The", "door", "is", "open", "Come", "in", "do"]
            for word in words:
                await client.send("response.truncate", response="r", played_ms=word["end_ms"])
                heard = (await client.until("response.truncated"))["heard"]["text"]
                assert letters(audio[: samples_until(word["end_ms"])]) == heard.replace(" ", "")

    async def test_a_barge_in_tells_what_was_heard_of_what_was_sent(self) -> None:
        text = "Good morning to you. " * 500
        async with (
            running_parts(voice="espeak-en-us") as parts,
            realtime_server(parts.synthesizer) as server,
            realtime_client(server.url) as client,
        ):
            await client.send("response.create", response_id="long", input=text)
            good, morning = (await client.until("response.output_audio.words"))["words"][:2]
            await client.until("response.output_audio.delta")
            await client.send("barge", played_ms=good["end_ms"])
            heard = (await client.until("response.canceled", response="long"))["heard"]
            assert (heard["text"], heard["words"]) == ("Good", [good])
            assert morning["start_ms"] >= good["end_ms"]

            await client.send("input.append", text="Good ", response_id="next")
            await client.send("input.append", text="night.")
            await client.send("input.commit")
            await client.until("response.completed", response="next")
            await client.send("barge", response="next")
            assert (await client.until("response.truncated"))["heard"]["text"] == "Good night."
            await client.send("response.truncate", response="long", played_ms=morning["end_ms"])
            assert (await client.until("response.truncated"))["heard"]["text"] == "Good morning"

    async def test_an_incomplete_sentence_is_spoken_after_flush_idle(self) -> None:
        async with (
            running_parts() as parts,
            realtime_server(parts.synthesizer, flush_idle=0.02) as server,
            realtime_client(server.url) as client,
        ):
            await client.send("input.append", text="abc ", response_id="r")
            await client.until("response.output_audio.delta", response="r")
            await client.send("input.append", text="def")
            await client.send("input.commit")
            await client.until("response.completed", response="r")

    async def test_without_flush_idle_an_incomplete_sentence_waits_for_the_commit(self) -> None:
        async with (
            running_parts() as parts,
            realtime_server(parts.synthesizer, flush_idle=0) as server,
            realtime_client(server.url) as client,
        ):
            await client.send("input.append", text="abc ", response_id="r")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await client.until("response.output_audio.delta")
            await client.send("input.commit")
            await client.until("response.completed", response="r")


class TestCancel:
    async def test_cancelling_the_playing_response_starts_the_next(
        self, client: RealtimeClient, synthesizer: FakeSynthesizer
    ) -> None:
        gate = Gate(synthesizer)
        await client.send("response.create", response_id="a", input="one")
        await client.send("response.create", response_id="b", input="two")
        await gate.reached.wait()
        await client.send("response.cancel", response="a")
        await client.until("response.canceled", response="a")
        gate.opened.set()
        await client.until("response.completed", response="b")
        assert client.audio == {"b": speech_pcm("two")}

    async def test_a_cancel_without_a_response_id_cancels_the_playing_one(
        self, client: RealtimeClient, synthesizer: FakeSynthesizer
    ) -> None:
        gate = Gate(synthesizer)
        await client.send("response.create", response_id="a", input="one")
        await gate.reached.wait()
        await client.send("response.cancel")
        await client.until("response.canceled", response="a")

    async def test_cancelling_a_queued_response_is_acknowledged_at_once(
        self, client: RealtimeClient, synthesizer: FakeSynthesizer
    ) -> None:
        gate = Gate(synthesizer)
        await client.send("response.create", response_id="a", input="one")
        await client.send("response.create", response_id="b", input="two")
        await client.send("response.cancel", response="b")
        await client.until("response.canceled", response="b")
        gate.opened.set()
        await client.until("response.completed", response="a")
        await client.send("session.end")
        await client.closed()
        assert client.audio == {"a": speech_pcm("one")}

    async def test_cancelling_an_unknown_response_is_an_error_without_a_response_id(
        self, client: RealtimeClient
    ) -> None:
        await client.send("response.cancel", response="who", event_id="e7")
        error = await client.until("response.error")
        assert (error["code"], error["event_id"]) == ("bad_request", "e7")
        assert "response" not in error

    async def test_a_response_is_cancelled_while_its_voice_is_resolved(
        self, client: RealtimeClient, synthesizer: FakeSynthesizer
    ) -> None:
        entered = asyncio.Event()

        async def wait_for_ever(_: Utterance) -> None:
            entered.set()
            await asyncio.Event().wait()

        synthesizer.on_enter = wait_for_ever
        await client.send("response.create", response_id="a", input="one")
        await entered.wait()
        await client.send("response.cancel", response="a")
        await client.until("response.canceled", response="a")
        assert synthesizer.left == 1


STEPS: dict[str, dict[str, Any]] = {
    "append": {"type": "input.append", "text": "more of it. "},
    "commit": {"type": "input.commit"},
    "cancel": {"type": "response.cancel"},
    "cancel first": {"type": "response.cancel", "response": "c1"},
    "truncate": {"type": "response.truncate", "played_ms": 100},
    "truncate first": {"type": "response.truncate", "response": "c1"},
    "barge": {"type": "barge"},
    "barge first": {"type": "barge", "response": "c1", "played_ms": 100},
}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.sampled_from(["create", "read", "turn", *STEPS]), max_size=25), data=st.data())
def test_every_response_ends_exactly_once_for_any_sequence_of_messages(
    steps: list[str], data: st.DataObject
) -> None:
    """No event follows a response's final one, and every synthesis stream is closed."""

    async def play() -> None:
        synthesizer = FakeSynthesizer()
        pauses = data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=8))

        async def pause(utterance: Utterance, number: int) -> None:
            for _ in range(pauses[(len(synthesizer.utterances) + number) % len(pauses)]):
                await asyncio.sleep(0)

        synthesizer.on_chunk = pause
        async with (
            realtime_server(synthesizer) as server,
            realtime_client(server.url, audio=NATIVE) as client,
        ):
            await _perform(steps, client)
            await client.send("session.end")
            assert (await client.closed())[0] == 1000
            _check_each_response_ends_once(client.events)
            assert synthesizer.left == synthesizer.entered

    asyncio.run(play())


async def _perform(steps: list[str], client: RealtimeClient) -> None:
    created = 0
    for step in steps:
        match step:
            case "create":
                created += 1
                await client.send("response.create", response_id=f"c{created}", input="one two three " * 3)
            case "read":
                await client.send("session.update", session={})
                await client.until("session.updated")
            case "turn":
                await asyncio.sleep(0)
            case _:
                await client.say(**STEPS[step])


def _check_each_response_ends_once(events: list[dict[str, Any]]) -> None:
    over: set[str] = set()
    begun: set[str] = set()
    for event in events:
        name = event.get("response")
        if name is None or event["type"] == "response.truncated":
            continue
        assert name not in over, f"{event['type']} after the end of {name}"
        begun.add(name)
        if event["type"] in ("response.completed", "response.canceled", "response.error"):
            over.add(name)
    assert begun == over


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


class TestLimits:
    async def test_a_response_over_the_queue_limit_is_refused_as_busy(
        self, synthesizer: FakeSynthesizer
    ) -> None:
        gate = Gate(synthesizer)
        async with (
            realtime_server(synthesizer, queued=2) as server,
            realtime_client(server.url, audio=NATIVE) as client,
        ):
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
        async with (
            realtime_server(synthesizer, queued_chars=100) as server,
            realtime_client(server.url, audio=NATIVE) as client,
        ):
            await client.send("response.create", input="a")
            await gate.reached.wait()
            await client.send("response.create", response_id="b", input="a" * 60)
            await client.send("response.create", response_id="c", input="a" * 60)
            assert (await client.until("response.error", response="c"))["code"] == "busy"

    async def test_texts_and_messages_over_the_limit_are_errors(self, synthesizer: FakeSynthesizer) -> None:
        limits = RealtimeLimits(message_bytes=50_000, text_chars=100)
        async with (
            realtime_server(synthesizer, limits=limits) as server,
            realtime_client(server.url, audio=NATIVE) as client,
        ):
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
        async with (
            realtime_server(synthesizer, limits=RealtimeLimits(text_words=2)) as server,
            realtime_client(server.url, audio=NATIVE) as client,
        ):
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
        async with (
            realtime_server(synthesizer) as server,
            realtime_client(server.url, audio=NATIVE) as client,
        ):
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
        async with (
            realtime_server(synthesizer, prime_bytes=2 * RATE) as server,
            realtime_client(server.url, audio=NATIVE) as client,
        ):
            for name in ("a", "b"):
                await client.send("response.create", response_id=name, input="hello there")
                await client.until("response.completed", response=name)
                assert client.audio[name] == bytes(2 * RATE) + speech_pcm("hello there")
            first, *_ = (event["words"] for event in client.events if event["type"].endswith(".words"))
            assert first[0]["start_ms"] == 1000
            await client.send("response.truncate", response="a", played_ms=1000)
            assert (await client.until("response.truncated"))["heard"]["text"] == ""

    async def test_an_idle_connection_is_closed_with_a_reason(self, synthesizer: FakeSynthesizer) -> None:
        async with (
            realtime_server(synthesizer, idle_timeout=0.05) as server,
            realtime_client(server.url) as client,
        ):
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
        async with (
            realtime_server(synthesizer, guard=guarded(per_minute=2)) as server,
            realtime_client(server.url, audio=NATIVE) as client,
        ):
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
        async with (
            realtime_server(synthesizer, guard=guarded(per_minute=1)) as server,
            realtime_client(server.url, audio=NATIVE) as client,
        ):
            await client.say(segment_id="s0", input="a")
            await client.say(segment_id="s1", input="a")
            assert (await client.until("error", segment_id="s1"))["code"] == "rate_limit_exceeded"
            await client.until("end", segment_id="s0")

    async def test_text_appended_to_a_refused_response_is_dropped_and_answered_once(
        self, synthesizer: FakeSynthesizer
    ) -> None:
        guard = guarded(per_minute=1)
        async with (
            realtime_server(synthesizer, guard=guard) as server,
            realtime_client(server.url, audio=NATIVE) as client,
        ):
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
        async with (
            realtime_server(synthesizer, guard=guard) as server,
            realtime_client(server.url, audio=NATIVE) as client,
        ):
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
