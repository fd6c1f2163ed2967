"""Who holds a place among the streams, with real voices on real workers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack

import pytest

from tests.support.parts import join_chunks, running_parts
from tests.support.tones import LETTERS
from wyoming_tts.admission import Admission, AdmissionOptions
from wyoming_tts.assembly.parts import Parts
from wyoming_tts.errors import Busy
from wyoming_tts.scheduler import Scheduler, StreamClock
from wyoming_tts.speech import Utterance
from wyoming_tts.synthesis import job
from wyoming_tts.synthesis.admission_queue import AdmissionQueue
from wyoming_tts.synthesis.utterance_voices import UtteranceVoices
from wyoming_tts.text.feed import TextFeed


@pytest.fixture
async def parts() -> AsyncIterator[Parts]:
    """A server that speaks one utterance at a time, and lets others wait as long as they like."""
    async with running_parts(max_streams=1, max_queue=5, max_wait=600) as parts:
        yield parts


async def hear(parts: Parts, text: str, *, peer: str = "") -> list[str]:
    """Speak a text and return the sentences that were heard."""
    async with parts.synthesizer.speak(Utterance(Utterance.of(text).text, peer=peer)) as stream:
        return LETTERS.said(join_chunks([chunk async for chunk in stream]))


async def until_drained(feed: TextFeed) -> None:
    """Let other tasks run until everything in the feed has been read."""
    while "held=0" not in repr(feed):  # noqa: ASYNC110 - a feed tells nobody that it is empty
        await asyncio.sleep(0)


async def test_a_stream_without_text_to_compute_holds_no_place(parts: Parts) -> None:
    feed = TextFeed()
    async with parts.synthesizer.speak(Utterance(feed)) as stream:
        first = asyncio.ensure_future(anext(stream))
        await feed.put("Not a")
        await until_drained(feed)
        assert repr(parts.admission) == "<Admission held=0 queued=0>"
        assert await hear(parts, "Number one.") == ["Number one."]
        await feed.put(" sentence.")
        feed.close()
        chunks = [await first, *[chunk async for chunk in stream]]
    assert LETTERS.said(join_chunks(chunks)) == ["Not a sentence."]


async def test_a_stream_that_waits_for_more_text_gives_its_place_away_and_goes_on_later(parts: Parts) -> None:
    feed = TextFeed()
    async with parts.synthesizer.speak(Utterance(feed)) as stream:
        await feed.put("The first one. And")
        chunks = [await anext(stream)]
        coming = asyncio.ensure_future(anext(stream))
        assert await hear(parts, "Number one.") == ["Number one."]
        await feed.put(" then.")
        feed.close()
        chunks += [await coming, *[chunk async for chunk in stream]]
    assert LETTERS.said(join_chunks(chunks)) == ["The first one.", "And then."]
    assert repr(parts.admission) == "<Admission held=0 queued=0>"


async def test_a_stream_that_is_not_read_gives_its_place_away_and_goes_on_later(parts: Parts) -> None:
    text = "The first one. The second one. The third one."
    async with parts.synthesizer.speak(Utterance.of(text)) as stream:
        chunks = [await anext(stream)]
        assert await hear(parts, "Number one.") == ["Number one."]
        chunks += [chunk async for chunk in stream]
    assert LETTERS.said(join_chunks(chunks)) == ["The first one.", "The second one.", "The third one."]


async def test_a_stream_that_reads_only_pauses_gives_its_place_away(parts: Parts) -> None:
    text = "One.\n\nTwo.\n\nThree."
    async with parts.synthesizer.speak(Utterance.of(text)) as stream:
        async for chunk in stream:
            if not any(chunk.pcm):
                break
        assert await hear(parts, "Number one.") == ["Number one."]


async def test_a_stream_that_waits_long_for_text_keeps_no_model_in_use(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = asyncio.Event()
    release = UtteranceVoices.release

    async def note_release(voices: UtteranceVoices) -> None:
        await release(voices)
        released.set()

    monkeypatch.setattr(UtteranceVoices, "release", note_release)
    monkeypatch.setattr(job, "LONG_WAIT", 0.01)
    feed = TextFeed()
    async with parts.synthesizer.speak(Utterance(feed)) as stream:
        await feed.put("The first one. And")
        chunks = [await anext(stream)]
        coming = asyncio.ensure_future(anext(stream))
        await released.wait()
        parts.loaded.close()
        assert parts.loaded.models == ()
        await feed.put(" then.")
        feed.close()
        chunks += [await coming, *[chunk async for chunk in stream]]
    assert LETTERS.said(join_chunks(chunks)) == ["The first one.", "And then."]


async def test_a_listener_of_another_address_is_served_at_once_beside_a_crowd() -> None:
    async with running_parts(max_streams=2, max_queue=0) as parts, AsyncExitStack() as stack:
        for _ in range(2):
            crowd = Utterance(Utterance.of("The first one. The second one.").text, peer="crowd")
            await anext(await stack.enter_async_context(parts.synthesizer.speak(crowd)))
        assert await hear(parts, "Number one.", peer="other") == ["Number one."]


async def test_a_cancelled_stream_leaves_the_queue(parts: Parts) -> None:
    async with parts.synthesizer.speak(Utterance.of("The first one. The second one.")) as stream:
        await anext(stream)
        waiting = asyncio.create_task(hear(parts, "Number one."))
        while not parts.admission.queued:  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert repr(parts.admission) == "<Admission held=1 queued=0>"
    assert repr(parts.admission) == "<Admission held=0 queued=0>"


async def test_a_stream_that_loses_its_place_before_it_wakes_goes_on() -> None:
    admission = Admission(AdmissionOptions(max_streams=1), Scheduler(slots=1))
    queue = AdmissionQueue(admission, time.monotonic)
    with ExitStack() as stack:
        speaking, waiting, other = (
            stack.enter_context(queue.place(StreamClock(0.0), peer)) for peer in ("one", "one", "other")
        )
        await queue.wait(speaking)
        task = asyncio.create_task(queue.wait(waiting))
        await asyncio.sleep(0)
        admission.release(speaking, time.monotonic())
        assert waiting.is_held
        waiting.stream.delivered(100.0, time.monotonic())
        await queue.wait(other)
        assert not waiting.is_held
        await task


async def test_a_newcomer_is_told_busy_once_it_has_waited_as_long_as_it_may() -> None:
    admission = Admission(AdmissionOptions(max_streams=1, max_wait=0.02), Scheduler(slots=1))
    queue = AdmissionQueue(admission, time.monotonic)
    with ExitStack() as stack:
        speaking, newcomer = (stack.enter_context(queue.place(StreamClock(0.0), "")) for _ in range(2))
        await queue.wait(speaking)
        with pytest.raises(Busy, match=r"none ended within 0\.02 s"):
            await queue.wait(newcomer)
        assert repr(admission) == "<Admission held=1 queued=0>"
