"""A cache of segments in a directory, and segments to put into it."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import strategies as st

from wyoming_tts.blocking import RunBlocking
from wyoming_tts.cache import CachedSegment, CacheKey, SegmentCache
from wyoming_tts.speech import Prosody, WordTiming, WordTimings

T = TypeVar("T")

RATE = 22050
NOW = 1_750_000_000.0
KEY = CacheKey(
    voice="en_US-tone-medium",
    model_version="/voices/en_US-tone-medium.onnx 1 2",
    speaker=None,
    prosody=Prosody(),
    text="The door is open.",
    level=-20.0,
)
WORD_BYTES = 16
TWO_WORDS = WordTimings((WordTiming(0, 5, 10, 200), WordTiming(6, 11, 250, 490)))
ONE_WORD = WordTimings(TWO_WORDS.words[:1])
MEMORY_ENTRY_BYTES = 512

samples = st.integers(0, 1300)


def key_of(text: object) -> CacheKey:
    return replace(KEY, text=str(text))


def audio(seed: object, size: int = 1000) -> bytes:
    return random.Random(str(seed)).randbytes(size)


async def in_executor(work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(None, work)


class HeldExecutor:
    """Runs blocking work; one call (counted from 1) is held until it is released."""

    def __init__(self, call: int = 1) -> None:
        self.calls = 0
        self.holding = asyncio.Event()
        self._held_call = call
        self._go = asyncio.Event()

    async def __call__(self, work: Callable[[], T]) -> T:
        self.calls += 1
        if self.calls == self._held_call:
            self.holding.set()
            await self._go.wait()
        return await in_executor(work)

    def release(self) -> None:
        self._go.set()


def make_cache(
    directory: Path | None = None,
    *,
    memory: int = 0,
    on_disk: int = 1_000_000,
    run_blocking: RunBlocking = in_executor,
    clock: Callable[[], float] = time.time,
) -> SegmentCache:
    return SegmentCache(
        memory_bytes=memory,
        directory=directory,
        disk_bytes=on_disk,
        run_blocking=run_blocking,
        clock=clock,
    )


@asynccontextmanager
async def scanned_cache(directory: Path, **options: Any) -> AsyncIterator[SegmentCache]:
    async with make_cache(directory, **options) as cache:
        await cache.flush()
        yield cache


async def are_cached(cache: SegmentCache, *texts: object) -> list[bool]:
    return [await cache.get(key_of(text)) is not None for text in texts]


def file_names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def get_without_waiting(cache: SegmentCache, text: object = KEY.text) -> CachedSegment | None:
    """Get what the cache returns without waiting for the disk or for another task."""
    getting = cache.get(key_of(text))
    with pytest.raises(StopIteration) as returned:
        getting.send(None)
    found: CachedSegment | None = returned.value.value
    return found


def path_of(directory: Path, text: object) -> Path:
    return directory / f"{key_of(text).digest()}.segment"


def logged_warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.levelno >= logging.WARNING]


# Memory


class LruModel:
    """Reference model of an LRU cache, kept as simple as possible."""

    def __init__(self, bound: int, entry_bytes: int) -> None:
        self.bound = bound
        self.entry_bytes = entry_bytes
        self.content: list[tuple[int, bytes]] = []

    @property
    def size(self) -> int:
        return sum(len(pcm) + self.entry_bytes for _, pcm in self.content)

    def put(self, number: int, pcm: bytes) -> None:
        if len(pcm) + self.entry_bytes > self.bound // 4:
            return
        self.content = [pair for pair in self.content if pair[0] != number]
        self.content.append((number, pcm))
        while self.size > self.bound:
            del self.content[0]

    def get(self, number: int) -> bytes | None:
        found = [pair for pair in self.content if pair[0] == number]
        self.content = [pair for pair in self.content if pair[0] != number] + found
        return found[0][1] if found else None
