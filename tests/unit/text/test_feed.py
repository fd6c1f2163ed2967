from __future__ import annotations

import asyncio
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wyoming_tts.text.feed import TextFeed


async def settle() -> None:
    """Let every task run until it blocks on another one."""
    for _ in range(10):
        await asyncio.sleep(0)


async def rest_of(feed: TextFeed) -> list[str]:
    return [piece async for piece in feed]


async def test_pieces_come_out_as_they_went_in() -> None:
    feed = TextFeed()
    for piece in ("one ", "", "two"):
        await feed.put(piece)
    feed.close()

    assert await rest_of(feed) == ["one ", "two"]


async def test_a_reader_waits_for_text_and_receives_it_at_once() -> None:
    feed = TextFeed()
    async with asyncio.TaskGroup() as tasks:
        reader = tasks.create_task(anext(feed))
        await settle()
        assert not reader.done()
        await feed.put("late")

    assert reader.result() == "late"


async def test_put_blocks_above_the_high_water_mark_until_the_low_water_mark() -> None:
    feed = TextFeed(high_mark=10, low_mark=4)
    await feed.put("12345")
    await feed.put("67890")
    async with asyncio.TaskGroup() as tasks:
        writer = tasks.create_task(feed.put("abcde"))
        await settle()
        assert not writer.done()

        assert [await anext(feed), await anext(feed)] == ["12345", "67890"]
        await settle()
        assert not writer.done(), "5 characters are held, the low mark is 4"

        assert await anext(feed) == "abcde"

    assert writer.done()


async def test_a_piece_larger_than_the_feed_is_accepted_whole() -> None:
    feed = TextFeed(high_mark=10, low_mark=4)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(feed.put("x" * 100))
        assert await anext(feed) == "x" * 100


async def test_close_releases_a_waiting_writer_and_a_waiting_reader() -> None:
    full, empty = TextFeed(high_mark=1, low_mark=0), TextFeed()
    async with asyncio.TaskGroup() as tasks:
        writer = tasks.create_task(full.put("too much"))
        reader = tasks.create_task(rest_of(empty))
        await settle()
        assert not writer.done()
        assert not reader.done()
        full.close()
        empty.close()

    assert await rest_of(full) == ["too much"]
    assert reader.result() == []


async def test_text_after_close_is_dropped() -> None:
    feed = TextFeed(high_mark=1, low_mark=0)
    feed.close()
    await feed.put("nobody reads this")

    assert await rest_of(feed) == []


async def test_a_closed_and_drained_feed_stays_at_its_end() -> None:
    feed = TextFeed()
    feed.close()

    for _ in range(2):
        with pytest.raises(StopAsyncIteration):
            await anext(feed)


async def test_a_cancelled_writer_leaves_the_feed_consistent() -> None:
    feed = TextFeed(high_mark=4, low_mark=2)
    writer = asyncio.create_task(feed.put("12345"))
    await settle()
    writer.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await writer
    feed.close()

    assert await rest_of(feed) == ["12345"]


async def test_a_cancelled_reader_loses_no_text() -> None:
    feed = TextFeed()
    reader = asyncio.create_task(anext(feed))
    await settle()
    reader.cancel()
    await feed.put("kept")
    with contextlib.suppress(asyncio.CancelledError):
        await reader
    feed.close()

    assert await rest_of(feed) == ["kept"]


async def test_the_repr_shows_the_buffered_text() -> None:
    feed = TextFeed()
    await feed.put("12345")

    assert repr(feed) == "<TextFeed held=5 closed=False>"


@given(
    pieces=st.lists(st.text(max_size=12), max_size=30),
    high=st.integers(0, 20),
    low=st.integers(0, 20),
    read_first=st.booleans(),
)
def test_all_pieces_arrive_in_order_and_the_feed_stays_small(
    pieces: list[str], high: int, low: int, *, read_first: bool
) -> None:
    async def exchange() -> None:
        feed = TextFeed(high_mark=high, low_mark=min(low, high))
        read: list[str] = []

        async def write() -> None:
            for piece in pieces:
                await feed.put(piece)
            feed.close()

        async def listen() -> None:
            async for piece in feed:
                assert feed._held + len(piece) <= high + 12
                read.append(piece)
                await asyncio.sleep(0)

        async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
            for work in (listen, write) if read_first else (write, listen):
                tasks.create_task(work())
        assert read == [piece for piece in pieces if piece]
        assert feed._held == 0

    asyncio.run(exchange())
