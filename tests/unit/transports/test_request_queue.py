"""The queue of unanswered requests of a connection: order, backpressure and cancellation."""

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


def make_request(characters: int = 0) -> PendingRequest:
    feed = TextFeed()
    return PendingRequest(Utterance(feed), feed, characters=characters)


async def is_waiting(task: asyncio.Task[None]) -> bool:
    """Let a task run as far as it can; returns whether it waits there."""
    await asyncio.sleep(0)
    return not task.done()


class TestOrder:
    async def test_requests_come_out_in_order_until_the_queue_is_closed(self) -> None:
        queue, requests = RequestQueue[PendingRequest](8), [make_request() for _ in range(3)]
        for request in requests:
            await queue.put(request)
        queue.close()
        assert [request async for request in queue] == requests

    async def test_a_waiting_consumer_gets_a_request_when_it_arrives(self) -> None:
        queue, request = RequestQueue[PendingRequest](8), make_request()
        taking = asyncio.ensure_future(anext(queue))
        await asyncio.sleep(0)
        await queue.put(request)
        assert await taking is request

    async def test_closing_ends_the_wait_of_the_consumer(self) -> None:
        queue = RequestQueue[PendingRequest](8)

        async def drain() -> None:
            async for _ in queue:
                raise AssertionError("Nothing was put.")

        draining = asyncio.create_task(drain())
        assert await is_waiting(draining)
        queue.close()
        await draining
        assert repr(queue) == "<RequestQueue waiting=0 current=False closed=True>"

    async def test_the_current_request_counts_as_unanswered_until_it_is_finished(self) -> None:
        queue, (first, second) = RequestQueue[PendingRequest](8), (make_request(), make_request())
        await queue.put(first)
        await queue.put(second)
        assert await anext(queue) is queue.current is first
        assert queue.unanswered() == [first, second]
        assert len(queue) == 1
        queue.finish_current()
        assert queue.unanswered() == [second]

    async def test_waiting_requests_can_be_removed(self) -> None:
        queue, (first, second, third) = (
            RequestQueue[PendingRequest](8),
            (make_request(), make_request(), make_request()),
        )
        for request in (first, second, third):
            await queue.put(request)
        assert queue.remove(second)
        assert not queue.remove(second)
        assert queue.clear() == [first, third]
        assert queue.unanswered() == []


class TestBackpressure:
    async def test_put_waits_while_the_queue_is_full(self) -> None:
        queue, late = RequestQueue[PendingRequest](1), make_request()
        await queue.put(make_request())
        putting = asyncio.create_task(queue.put(late))
        assert await is_waiting(putting)
        await anext(queue)
        await putting
        assert await anext(queue) is late

    @pytest.mark.parametrize("method", ["remove", "clear"])
    async def test_removing_a_request_makes_room(self, method: str) -> None:
        queue, first = RequestQueue[PendingRequest](1), make_request()
        await queue.put(first)
        putting = asyncio.create_task(queue.put(make_request()))
        assert await is_waiting(putting)
        if method == "remove":
            queue.remove(first)
        else:
            queue.clear()
        await putting

    async def test_characters_count_against_the_bound_except_for_a_single_request(self) -> None:
        queue = RequestQueue[PendingRequest](8, max_characters=10)
        assert queue.has_room_for(make_request(50))
        await queue.put(make_request(4))
        assert queue.has_room_for(make_request(6))
        assert not queue.has_room_for(make_request(7))

    async def test_text_added_to_a_waiting_request_counts(self) -> None:
        queue, growing = RequestQueue[PendingRequest](8, max_characters=10), make_request()
        await queue.put(growing)
        await growing.add("12345")
        assert queue.has_room_for(make_request(5))
        assert not queue.has_room_for(make_request(6))

    @given(st.lists(st.sampled_from(["put", "take", "remove", "clear"]), max_size=60), st.integers(1, 4))
    async def test_the_queue_never_exceeds_its_bound(self, steps: list[str], most: int) -> None:
        queue, expected = RequestQueue[PendingRequest](most), deque[PendingRequest]()
        for step in steps:
            request = make_request()
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


class TestCancellation:
    async def test_the_first_stop_reason_counts(self) -> None:
        request, reason = make_request(), Busy("No room.")
        request.stop(reason)
        request.stop(RequestCanceled())
        assert request.error is request.stopped_by is reason

    async def test_a_cancelled_request_has_no_error(self) -> None:
        request = make_request()
        request.stop(RequestCanceled())
        assert request.is_stopped
        assert request.error is None

    async def test_stopping_ends_the_text_of_the_request(self) -> None:
        request = make_request()
        await request.add("One.")
        request.stop(RequestCanceled())
        await request.add("Two.")
        assert [piece async for piece in request.feed] == ["One."]

    @pytest.mark.parametrize("reason", [Busy("No room."), RequestCanceled()], ids=["failed", "cancelled"])
    async def test_a_request_stopped_before_its_turn_does_not_begin(
        self, reason: SpeechError | RequestCanceled
    ) -> None:
        request = make_request()
        request.stop(reason)
        with pytest.raises(type(reason)):
            async with request.until_stopped():
                raise AssertionError("It has begun.")

    @pytest.mark.parametrize("reason", [Busy("No room."), RequestCanceled()], ids=["failed", "cancelled"])
    async def test_stopping_a_playing_request_ends_it_at_once(
        self, reason: SpeechError | RequestCanceled
    ) -> None:
        request, begun, ended = make_request(), asyncio.Event(), False

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

    async def test_an_error_during_cleanup_does_not_hide_the_stop_reason(self) -> None:
        request = make_request()

        async def speak() -> None:
            async with request.until_stopped():
                request.stop(RequestCanceled())
                raise OSError("It broke.")

        with pytest.raises(RequestCanceled):
            await speak()

    async def test_an_engine_that_cancels_itself_is_an_error(self) -> None:
        with pytest.raises(EngineFailed):
            async with make_request().until_stopped():
                raise asyncio.CancelledError

    async def test_external_cancellation_is_propagated(self) -> None:
        begun = asyncio.Event()

        async def speak() -> None:
            async with make_request().until_stopped():
                begun.set()
                await asyncio.Event().wait()

        speaking = asyncio.create_task(speak())
        await begun.wait()
        speaking.cancel()
        await asyncio.wait({speaking})
        assert speaking.cancelled()
