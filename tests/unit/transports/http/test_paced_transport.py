"""Slices of received bytes, and what happens between them."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from wyoming_tts.transports.http.paced_transport import BODY_SLICE_BYTES, SLICE_BYTES, PacedTransport
from wyoming_tts.transports.input_pace import InputPace, LoopBudget

DATA = bytes(range(256)) * (SLICE_BYTES // 64)


class FakeTransport:
    def __init__(self) -> None:
        self.is_reading = True
        self.is_aborted = False

    def pause_reading(self) -> None:
        self.is_reading = False

    def resume_reading(self) -> None:
        self.is_reading = True

    def is_closing(self) -> bool:
        return self.is_aborted

    def abort(self) -> None:
        self.is_aborted = True

    def get_extra_info(self, name: str) -> str:
        return f"the {name}"


class Received:
    """What the protocol was given; `paced` is its transport."""

    def __init__(self, *, share: float = 1.0) -> None:
        self.slices: list[bytes] = []
        self.fake = FakeTransport()
        pace = InputPace(LoopBudget(share, burst=1000.0), clock=lambda: 0.0)
        self.paced = PacedTransport(cast(Any, self.fake), self.slices.append, pace=pace)

    async def all(self, size: int) -> bytes:
        while sum(map(len, self.slices)) < size:  # noqa: ASYNC110  # nothing tells
            await asyncio.sleep(0)
        return b"".join(self.slices)


async def test_a_short_message_is_handled_at_once() -> None:
    received = Received()
    received.paced.receive(b"GET / HTTP/1.1\r\n\r\n")
    assert received.slices == [b"GET / HTTP/1.1\r\n\r\n"]
    assert received.fake.is_reading


async def test_much_is_handled_in_slices_with_others_running_in_between() -> None:
    received = Received()
    received.paced.receive(DATA)
    assert len(received.slices) == 1
    for _ in range(100):
        handled = len(received.slices)
        await asyncio.sleep(0)
        assert len(received.slices) <= handled + 1
    assert b"".join(received.slices) == DATA
    assert max(map(len, received.slices)) == SLICE_BYTES


async def test_nothing_is_received_between_slices() -> None:
    received = Received()
    received.paced.receive(DATA)
    assert not received.fake.is_reading
    await received.all(len(DATA))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert received.fake.is_reading


async def test_a_paused_protocol_is_given_nothing_until_it_resumes() -> None:
    received = Received()
    received.paced.pause_reading()
    received.paced.receive(b"abc")
    for _ in range(5):
        await asyncio.sleep(0)
    assert received.slices == []
    assert not received.fake.is_reading

    received.paced.resume_reading()
    assert await received.all(3) == b"abc"


async def test_a_protocol_that_pauses_after_a_slice_gets_no_other_one() -> None:
    received = Received()

    def pause_after(taken: bytes) -> None:
        received.slices.append(taken)
        received.paced.pause_reading()

    received.paced.handle = pause_after
    received.paced.receive(DATA)
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(received.slices) == 1


async def test_a_protocol_that_pauses_and_resumes_rests_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    received = Received()
    monkeypatch.setattr(InputPace, "end", lambda *_, **__: 3_600.0)

    def pause_and_resume(taken: bytes) -> None:
        received.slices.append(taken)
        received.paced.pause_reading()
        received.paced.resume_reading()

    received.paced.handle = pause_and_resume
    received.paced.receive(DATA)
    received.paced.pause_reading()
    received.paced.resume_reading()
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(received.slices) == 1
    assert not received.fake.is_reading


async def test_a_body_is_handled_in_larger_slices() -> None:
    received = Received()
    received.paced.is_body = True
    received.paced.receive(DATA * 8)
    assert await received.all(len(DATA * 8)) == DATA * 8
    assert max(map(len, received.slices)) == BODY_SLICE_BYTES


async def test_a_lost_connection_hands_nothing_over_any_more() -> None:
    received = Received()
    received.paced.receive(DATA)
    received.paced.discard_input()
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(received.slices) == 1


async def test_a_connection_whose_protocol_fails_is_aborted() -> None:
    received = Received()

    def fail(_: bytes) -> None:
        raise LookupError("a bug")

    received.paced.handle = fail
    with pytest.raises(LookupError):
        received.paced.receive(b"a")
    assert received.fake.is_aborted


async def test_what_is_not_about_reading_goes_to_the_transport() -> None:
    assert Received().paced.get_extra_info("socket") == "the socket"
