"""A source that runs ahead of its consumer, in a task of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from math import inf

import pytest

from wyoming_tts.synthesis.prefetch import Prefetch


class Source:
    """Yields numbers, and notes how far it got."""

    def __init__(self, count: int = 100) -> None:
        self.count = count
        self.made = 0
        self.is_closed = False

    async def items(self) -> AsyncGenerator[int, None]:
        try:
            for number in range(self.count):
                self.made += 1
                yield number
        finally:
            self.is_closed = True


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_without_room_nothing_is_made_before_it_is_wanted() -> None:
    source = Source()
    async with Prefetch(source.items(), room_in=lambda: inf) as prefetch:
        await settle()
        assert source.made == 0
        await prefetch.wait()
        assert prefetch.take() == 0
        await settle()
        assert source.made == 1


async def test_with_room_it_runs_ahead_as_far_as_there_is() -> None:
    source = Source()
    async with Prefetch(source.items(), room_in=lambda: 0.0 if len(prefetch) < 5 else inf) as prefetch:
        await settle()
        assert source.made == 5
        assert [prefetch.take() for _ in range(2)] == [0, 1]
        await settle()
        assert source.made == 7


async def test_room_that_comes_with_time_is_used_without_being_asked() -> None:
    source = Source()
    rooms = iter([0.001, 0.0, inf, inf])
    async with Prefetch(source.items(), room_in=lambda: next(rooms)) as prefetch:
        while not prefetch:  # noqa: ASYNC110 - nobody waits for it, which is the point
            await asyncio.sleep(0)
        await settle()
        assert source.made == 1


async def test_a_wait_returns_after_its_timeout_if_nothing_was_made() -> None:
    async def nothing() -> AsyncGenerator[int, None]:
        await asyncio.Event().wait()
        yield 0

    async with Prefetch(nothing(), room_in=lambda: 0.0) as prefetch:
        assert not await prefetch.wait(0.0)


async def test_an_error_is_raised_after_the_items_before_it() -> None:
    async def failing() -> AsyncGenerator[int, None]:
        yield 1
        raise ValueError("broken")

    async with Prefetch(failing(), room_in=lambda: 0.0) as prefetch:
        await settle()
        assert prefetch.is_exhausted
        assert prefetch.take() == 1
        with pytest.raises(ValueError, match="broken"):
            prefetch.raise_error()


async def test_leaving_closes_the_source() -> None:
    source = Source()
    async with Prefetch(source.items(), room_in=lambda: inf) as prefetch:
        await prefetch.wait()
    assert source.is_closed


async def test_an_error_of_closing_the_source_is_raised() -> None:
    async def failing() -> AsyncGenerator[int, None]:
        try:
            yield 1
            await asyncio.Event().wait()
        finally:
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        async with Prefetch(failing(), room_in=lambda: 0.0):
            await settle()


async def test_a_consumer_that_is_cancelled_leaves_only_when_the_source_is_closed() -> None:
    may_close, closing = asyncio.Event(), asyncio.Event()

    async def slow_to_close() -> AsyncGenerator[int, None]:
        try:
            yield 1
        finally:
            closing.set()
            await may_close.wait()

    async def consume() -> None:
        async with Prefetch(slow_to_close(), room_in=lambda: inf) as prefetch:
            await prefetch.wait()

    consumer = asyncio.create_task(consume())
    await closing.wait()
    consumer.cancel()
    await settle()
    assert not consumer.done()
    may_close.set()
    with pytest.raises(asyncio.CancelledError):
        await consumer
