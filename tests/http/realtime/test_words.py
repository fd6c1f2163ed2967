"""Words and their times over the realtime WebSocket, and a real voice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.http.realtime.conftest import Gate, conversation
from tests.support.fake_synthesizer import RATE, SAMPLES_PER_CHARACTER, FakeSynthesizer
from tests.support.parts import running_parts
from tests.support.realtime_server import RealtimeClient
from tests.support.tones import LETTERS


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


@asynccontextmanager
async def conversation_with(
    voice: str = LETTERS.name, *, sample_rate: int | None = None, **options: Any
) -> AsyncIterator[RealtimeClient]:
    """A client of a server that speaks with a real voice."""
    async with (
        running_parts(voice=voice) as parts,
        conversation(parts.synthesizer, audio={"sample_rate": sample_rate}, **options) as client,
    ):
        yield client


class TestRealVoice:
    @pytest.mark.parametrize("voice", ["espeak-en-us", LETTERS.name, "af_test"])
    async def test_what_was_heard_is_the_words_that_ended_before_the_position(self, voice: str) -> None:
        async with conversation_with(voice) as client:
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
        async with conversation_with(sample_rate=LETTERS.rate) as client:
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
        async with conversation_with("espeak-en-us") as client:
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
        async with conversation_with(flush_idle=0.02) as client:
            await client.send("input.append", text="abc ", response_id="r")
            await client.until("response.output_audio.delta", response="r")
            await client.send("input.append", text="def")
            await client.send("input.commit")
            await client.until("response.completed", response="r")

    async def test_without_flush_idle_an_incomplete_sentence_waits_for_the_commit(self) -> None:
        async with conversation_with(flush_idle=0) as client:
            await client.send("input.append", text="abc ", response_id="r")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await client.until("response.output_audio.delta")
            await client.send("input.commit")
            await client.until("response.completed", response="r")
