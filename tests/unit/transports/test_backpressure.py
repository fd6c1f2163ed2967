from __future__ import annotations

import asyncio

import pytest

from wyoming_tts.transports.backpressure import ClientStalled, send_under_backpressure


async def test_sending_waits_until_the_client_has_room() -> None:
    has_room = asyncio.Event()
    sending = asyncio.create_task(send_under_backpressure(has_room.wait(), send_timeout=60))
    await asyncio.sleep(0)
    assert not sending.done()
    has_room.set()
    await sending


async def test_a_client_that_never_reads_is_stalled() -> None:
    with pytest.raises(ClientStalled, match=r"^The client read nothing for 0\.01 s\.$"):
        await send_under_backpressure(asyncio.Event().wait(), send_timeout=0.01)


async def test_a_broken_connection_is_not_reported_as_a_stall() -> None:
    async def broken() -> None:
        raise OSError("reset")

    with pytest.raises(OSError, match="reset"):
        await send_under_backpressure(broken(), send_timeout=60)


async def test_sending_yields_to_other_tasks_even_while_there_is_room() -> None:
    async def sent_at_once() -> None:
        pass

    turns: list[str] = []

    async def sender() -> None:
        for _ in range(3):
            await send_under_backpressure(sent_at_once(), send_timeout=60)
            turns.append("sender")

    async def other() -> None:
        for _ in range(3):
            await asyncio.sleep(0)
            turns.append("other")

    await asyncio.gather(sender(), other())
    assert turns != ["sender"] * 3 + ["other"] * 3
