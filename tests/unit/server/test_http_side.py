from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

import pytest

from tests.support.fake_speech_service import FakeSpeechService
from wyoming_tts.engines.onnx import trim_heap
from wyoming_tts.server import http_side
from wyoming_tts.server.access_policy import AccessPolicy
from wyoming_tts.server.http_side import HttpSide
from wyoming_tts.settings import Settings

T = TypeVar("T")


async def test_memory_is_returned_after_bodies_were_given_up_and_not_while_there_are_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_side, "_TRIM_SECONDS", 0.0)
    calls: asyncio.Queue[object] = asyncio.Queue()

    async def note(call: Callable[[], T], /) -> T:
        calls.put_nowait(call)
        return call()

    access = AccessPolicy(Settings())
    side = HttpSide(Settings(), FakeSpeechService(), access, run_blocking=note)
    returning = asyncio.create_task(side._return_memory())
    for _ in range(2):
        assert calls.empty()
        access.guard.bodies.given_up.set()
        async with asyncio.timeout(10):
            assert await calls.get() is trim_heap
        assert not access.guard.bodies.given_up.is_set()
    returning.cancel()
