"""Barge-in and cancellation over the realtime WebSocket: each response ends once, with what was heard."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.http.realtime.conftest import Gate, after, conversation
from tests.support.fake_synthesizer import FakeSynthesizer, speech_pcm
from tests.support.parts import running_parts
from tests.support.realtime_server import (
    RealtimeClient,
    realtime_client,
    realtime_server,
)
from wyoming_tts.speech import Utterance


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
        async with conversation(synthesizer) as client:
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
