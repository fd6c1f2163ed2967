"""A synthesizer that needs no engine: every character is a tone of its own, so audio proves text.

What a test wants to happen on the way (wait, fail) it puts into the two hooks.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import TypeVar

import numpy as np

from wyoming_tts.audio import Resampler
from wyoming_tts.speech import AudioChunk, AudioFormat, Utterance

RATE = 16_000
SAMPLES_PER_CHARACTER = 300


T = TypeVar("T")


async def run_in_thread(work: Callable[[], T], /) -> T:
    """Stands for the workers."""
    return await asyncio.to_thread(work)


@lru_cache(maxsize=256)
def _tone(character: str) -> bytes:
    times = np.arange(SAMPLES_PER_CHARACTER) / RATE
    hertz = 200 + ord(character) % 200 * 20
    return (8_000 * np.sin(2 * np.pi * hertz * times)).astype("<i2").tobytes()


def speech_pcm(text: str) -> bytes:
    """The PCM that says `text`, at RATE."""
    return b"".join(map(_tone, text))


def _spoken_at(rate: int, text: str) -> bytes:
    if rate == RATE:
        return speech_pcm(text)
    resampler = Resampler(RATE, rate)
    return resampler.feed(speech_pcm(text)) + resampler.finish()


async def _nothing(*_: object) -> None:
    return None


class FakeSynthesizer:
    """Speaks every piece of text as one chunk, as soon as it comes."""

    def __init__(self) -> None:
        self.format = AudioFormat(RATE)
        """Where no rate is asked for."""
        self.on_enter: Callable[[Utterance], Awaitable[None]] = _nothing
        """Awaited where the voice is resolved."""
        self.on_chunk: Callable[[Utterance, int], Awaitable[None]] = _nothing
        """Awaited before each chunk, with its number."""
        self.utterances: list[Utterance] = []
        self.pulled = 0
        """Chunks that were asked for and made."""
        self.entered = 0
        self.left = 0
        """Blocks that were left, in whatever way."""
        self.changed = asyncio.Condition()

    async def until(self, happened: Callable[[], bool]) -> None:
        """Wait until something is true that only this synthesizer changes."""
        async with self.changed:
            await self.changed.wait_for(happened)

    @asynccontextmanager
    async def speak(self, utterance: Utterance) -> AsyncIterator[FakeStream]:
        self.utterances.append(utterance)
        self.entered += 1
        try:
            await self._tell()
            await self.on_enter(utterance)
            yield FakeStream(self, utterance)
        finally:
            self.left += 1
            await self._tell()

    async def _tell(self) -> None:
        async with self.changed:
            self.changed.notify_all()


class FakeStream:
    """The utterance on its way."""

    def __init__(self, synthesizer: FakeSynthesizer, utterance: Utterance) -> None:
        self.format = _format(synthesizer, utterance)
        self._synthesizer = synthesizer
        self._utterance = utterance

    async def __aiter__(self) -> AsyncIterator[AudioChunk]:
        samples = number = 0
        async for piece in self._utterance.text:
            await self._synthesizer.on_chunk(self._utterance, number)
            self._synthesizer.pulled += 1
            await self._synthesizer._tell()
            pcm = _spoken_at(self.format.rate, piece)
            chunk = AudioChunk(_format(self._synthesizer, self._utterance), pcm, samples)
            samples += chunk.samples
            number += 1
            yield chunk


def _format(synthesizer: FakeSynthesizer, utterance: Utterance) -> AudioFormat:
    asked = utterance.sample_rate
    return synthesizer.format if asked is None else AudioFormat(asked)
