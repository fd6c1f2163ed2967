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
from wyoming_tts.transports.backpressure import PendingRequest, RequestCanceled, RequestQueue


def pending(characters: int = 0) -> PendingRequest:
    feed = TextFeed()
    return PendingRequest(Utterance(feed), feed, characters=characters)


async def has_begun(task: asyncio.Task[None]) -> bool:
    """Let a task run as far as it can; whether it still waits there."""
    await asyncio.sleep(0)
    return not task.done()


class TestOrder:
    async def test_requests_come_out_as_they_went_in_until_it_is_closed(self) -> None:
        backlog, requests = RequestQueue[PendingRequest](8), [pending() for _ in range(3)]
        for request in requests:
            await backlog.put(request)
        backlog.close()
        assert [request async for request in backlog] == requests

    async def test_whoever_waits_for_a_request_gets_it_when_it_comes(self) -> None:
        backlog, request = RequestQueue[PendingRequest](8), pending()
        taking = asyncio.ensure_future(anext(backlog))
        await asyncio.sleep(0)
        await backlog.put(request)
        assert await taking is request

    async def test_closing_ends_the_wait_for_more(self) -> None:
        backlog = RequestQueue[PendingRequest](8)

        async def drain() -> None:
            async for _ in backlog:
                raise AssertionError("Nothing was put.")

        draining = asyncio.create_task(drain())
        assert await has_begun(draining)
        backlog.close()
        await draining
        assert repr(backlog) == "<RequestQueue waiting=0 current=False closed=True>"

    async def test_the_one_that_is_being_answered_is_still_unanswered(self) -> None:
        backlog, (first, second) = RequestQueue[PendingRequest](8), (pending(), pending())
        await backlog.put(first)
        await backlog.put(second)
        assert await anext(backlog) is backlog.current is first
        assert backlog.unanswered() == [first, second]
        assert len(backlog) == 1
        backlog.answered()
        assert backlog.unanswered() == [second]

    async def test_what_waits_can_be_taken_back(self) -> None:
        backlog, (first, second, third) = RequestQueue[PendingRequest](8), (pending(), pending(), pending())
        for request in (first, second, third):
            await backlog.put(request)
        assert backlog.remove(second)
        assert not backlog.remove(second)
        assert backlog.clear() == [first, third]
        assert backlog.unanswered() == []


class TestBackpressure:
    async def test_putting_waits_while_it_is_full(self) -> None:
        backlog, late = RequestQueue[PendingRequest](1), pending()
        await backlog.put(pending())
        putting = asyncio.create_task(backlog.put(late))
        assert await has_begun(putting)
        await anext(backlog)
        await putting
        assert await anext(backlog) is late

    @pytest.mark.parametrize("how", ["remove", "clear"])
    async def test_what_is_taken_back_makes_room(self, how: str) -> None:
        backlog, first = RequestQueue[PendingRequest](1), pending()
        await backlog.put(first)
        putting = asyncio.create_task(backlog.put(pending()))
        assert await has_begun(putting)
        if how == "remove":
            backlog.remove(first)
        else:
            backlog.clear()
        await putting

    async def test_text_counts_too_unless_it_is_only_one_that_waits(self) -> None:
        backlog = RequestQueue[PendingRequest](8, most_characters=10)
        assert backlog.has_room_for(pending(50))
        await backlog.put(pending(4))
        assert backlog.has_room_for(pending(6))
        assert not backlog.has_room_for(pending(7))

    async def test_text_that_was_added_to_one_that_waits_counts(self) -> None:
        backlog, growing = RequestQueue[PendingRequest](8, most_characters=10), pending()
        await backlog.put(growing)
        await growing.add("12345")
        assert backlog.has_room_for(pending(5))
        assert not backlog.has_room_for(pending(6))

    @given(st.lists(st.sampled_from(["put", "take", "remove", "clear"]), max_size=60), st.integers(1, 4))
    async def test_it_is_a_queue_that_never_holds_more_than_it_may(self, steps: list[str], most: int) -> None:
        backlog, expected = RequestQueue[PendingRequest](most), deque[PendingRequest]()
        for step in steps:
            request = pending()
            assert backlog.has_room_for(request) == (len(expected) < most)
            if step == "put" and len(expected) < most:
                await backlog.put(request)
                expected.append(request)
            elif step == "take" and expected:
                assert await anext(backlog) is expected.popleft()
            elif step == "remove" and expected:
                assert backlog.remove(expected.pop())
            elif step == "clear":
                assert backlog.clear() == list(expected)
                expected.clear()
            assert len(backlog) == len(expected) <= most


class TestStopping:
    async def test_the_first_reason_counts(self) -> None:
        request, reason = pending(), Busy("No room.")
        request.stop(reason)
        request.stop(RequestCanceled())
        assert request.failure is request.stopped_by is reason

    async def test_a_cancelled_one_has_not_failed(self) -> None:
        request = pending()
        request.stop(RequestCanceled())
        assert request.is_stopped
        assert request.failure is None

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
            async with request.unless_stopped():
                raise AssertionError("It has begun.")

    @pytest.mark.parametrize("reason", [Busy("No room."), RequestCanceled()], ids=["failed", "cancelled"])
    async def test_one_that_is_stopped_while_it_is_spoken_ends_there(
        self, reason: SpeechError | RequestCanceled
    ) -> None:
        request, begun, ended = pending(), asyncio.Event(), False

        async def speak() -> None:
            nonlocal ended
            async with request.unless_stopped():
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
            async with request.unless_stopped():
                request.stop(RequestCanceled())
                raise OSError("It broke.")

        with pytest.raises(RequestCanceled):
            await speak()

    async def test_an_engine_that_cancels_itself_has_failed(self) -> None:
        with pytest.raises(EngineFailed):
            async with pending().unless_stopped():
                raise asyncio.CancelledError

    async def test_who_is_cancelled_from_outside_stays_cancelled(self) -> None:
        begun = asyncio.Event()

        async def speak() -> None:
            async with pending().unless_stopped():
                begun.set()
                await asyncio.Event().wait()

        speaking = asyncio.create_task(speak())
        await begun.wait()
        speaking.cancel()
        await asyncio.wait({speaking})
        assert speaking.cancelled()
