"""What a connection has not answered yet: order, room, and stopping at any time."""

from __future__ import annotations

import asyncio
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wyoming_tts.errors import Busy, EngineFailed, SpeechError
from wyoming_tts.speech import Utterance
from wyoming_tts.text.feed import TextFeed
from wyoming_tts.transports.request_queue import PendingRequest, RequestCanceled, RequestQueue


def pending(characters: int = 0) -> PendingRequest:
    feed = TextFeed()
    return PendingRequest(Utterance(feed), feed, characters=characters)


async def has_begun(task: asyncio.Task[None]) -> bool:
    """Let a task run as far as it can; whether it still waits there."""
    await asyncio.sleep(0)
    return not task.done()


class TestOrder:
    async def test_requests_come_out_in_order_until_it_is_closed(self) -> None:
        queue, requests = RequestQueue[PendingRequest](8), [pending() for _ in range(3)]
        for request in requests:
            await queue.put(request)
        queue.close()
        assert [request async for request in queue] == requests

    async def test_a_waiting_consumer_gets_a_request_when_it_arrives(self) -> None:
        queue, request = RequestQueue[PendingRequest](8), pending()
        taking = asyncio.ensure_future(anext(queue))
        await asyncio.sleep(0)
        await queue.put(request)
        assert await taking is request

    async def test_closing_ends_the_wait_for_more(self) -> None:
        queue = RequestQueue[PendingRequest](8)

        async def drain() -> None:
            async for _ in queue:
                raise AssertionError("Nothing was put.")

        draining = asyncio.create_task(drain())
        assert await has_begun(draining)
        queue.close()
        await draining
        assert repr(queue) == "<RequestQueue waiting=0 current=False closed=True>"

    async def test_the_one_that_is_being_answered_is_still_unanswered(self) -> None:
        queue, (first, second) = RequestQueue[PendingRequest](8), (pending(), pending())
        await queue.put(first)
        await queue.put(second)
        assert await anext(queue) is queue.current is first
        assert queue.unanswered() == [first, second]
        assert len(queue) == 1
        queue.finish_current()
        assert queue.unanswered() == [second]

    async def test_what_waits_can_be_taken_back(self) -> None:
        queue, (first, second, third) = RequestQueue[PendingRequest](8), (pending(), pending(), pending())
        for request in (first, second, third):
            await queue.put(request)
        assert queue.remove(second)
        assert not queue.remove(second)
        assert queue.clear() == [first, third]
        assert queue.unanswered() == []


class TestBackpressure:
    async def test_putting_waits_while_it_is_full(self) -> None:
        queue, late = RequestQueue[PendingRequest](1), pending()
        await queue.put(pending())
        putting = asyncio.create_task(queue.put(late))
        assert await has_begun(putting)
        await anext(queue)
        await putting
        assert await anext(queue) is late

    @pytest.mark.parametrize("how", ["remove", "clear"])
    async def test_what_is_taken_back_makes_room(self, how: str) -> None:
        queue, first = RequestQueue[PendingRequest](1), pending()
        await queue.put(first)
        putting = asyncio.create_task(queue.put(pending()))
        assert await has_begun(putting)
        if how == "remove":
            queue.remove(first)
        else:
            queue.clear()
        await putting

    async def test_text_counts_too_unless_it_is_only_one_that_waits(self) -> None:
        queue = RequestQueue[PendingRequest](8, max_characters=10)
        assert queue.has_room_for(pending(50))
        await queue.put(pending(4))
        assert queue.has_room_for(pending(6))
        assert not queue.has_room_for(pending(7))

    async def test_text_that_was_added_to_one_that_waits_counts(self) -> None:
        queue, growing = RequestQueue[PendingRequest](8, max_characters=10), pending()
        await queue.put(growing)
        await growing.add("12345")
        assert queue.has_room_for(pending(5))
        assert not queue.has_room_for(pending(6))

    @given(st.lists(st.sampled_from(["put", "take", "remove", "clear"]), max_size=60), st.integers(1, 4))
    async def test_it_is_a_queue_that_never_exceeds_its_bound(self, steps: list[str], most: int) -> None:
        queue, expected = RequestQueue[PendingRequest](most), deque[PendingRequest]()
        for step in steps:
            request = pending()
            assert queue.has_room_for(request) == (len(expected) < most)
            if step == "put" and len(expected) < most:
                await queue.put(request)
                expected.append(request)
            elif step == "take" and expected:
                assert await anext(queue) is expected.popleft()
            elif step == "remove" and expected:
                assert queue.remove(expected.pop())
            elif step == "clear":
                assert queue.clear() == list(expected)
                expected.clear()
            assert len(queue) == len(expected) <= most


class TestStopping:
    async def test_the_first_reason_counts(self) -> None:
        request, reason = pending(), Busy("No room.")
        request.stop(reason)
        request.stop(RequestCanceled())
        assert request.error is request.stopped_by is reason

    async def test_a_cancelled_one_has_not_failed(self) -> None:
        request = pending()
        request.stop(RequestCanceled())
        assert request.is_stopped
        assert request.error is None

    async def test_its_text_ends(self) -> None:
        request = pending()
        await request.add("One.")
        request.stop(RequestCanceled())
        await request.add("Two.")
        assert [piece async for piece in request.feed] == ["One."]

    @pytest.mark.parametrize("reason", [Busy("No room."), RequestCanceled()], ids=["failed", "cancelled"])
    async def test_one_that_is_stopped_before_its_turn_does_not_begin(
        self, reason: SpeechError | RequestCanceled
    ) -> None:
        request = pending()
        request.stop(reason)
        with pytest.raises(type(reason)):
            async with request.until_stopped():
                raise AssertionError("It has begun.")

    @pytest.mark.parametrize("reason", [Busy("No room."), RequestCanceled()], ids=["failed", "cancelled"])
    async def test_a_request_stopped_while_it_plays_ends_at_once(
        self, reason: SpeechError | RequestCanceled
    ) -> None:
        request, begun, ended = pending(), asyncio.Event(), False

        async def speak() -> None:
            nonlocal ended
            async with request.until_stopped():
                try:
                    begun.set()
                    await asyncio.Event().wait()
                finally:
                    ended = True

        speaking = asyncio.create_task(speak())
        await begun.wait()
        request.stop(reason)
        await asyncio.wait({speaking})
        assert speaking.exception() is reason
        assert ended

    async def test_a_failure_on_the_way_out_does_not_hide_the_reason(self) -> None:
        request = pending()

        async def speak() -> None:
            async with request.until_stopped():
                request.stop(RequestCanceled())
                raise OSError("It broke.")

        with pytest.raises(RequestCanceled):
            await speak()

    async def test_an_engine_that_cancels_itself_has_failed(self) -> None:
        with pytest.raises(EngineFailed):
            async with pending().until_stopped():
                raise asyncio.CancelledError

    async def test_who_is_cancelled_from_outside_stays_cancelled(self) -> None:
        begun = asyncio.Event()

        async def speak() -> None:
            async with pending().until_stopped():
                begun.set()
                await asyncio.Event().wait()

        speaking = asyncio.create_task(speak())
        await begun.wait()
        speaking.cancel()
        await asyncio.wait({speaking})
        assert speaking.cancelled()
