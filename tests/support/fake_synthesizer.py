"""A fake synthesizer without an engine: every character is its own tone, so audio identifies its text.

Tests inject delays and failures through its hooks.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import TypeVar

import numpy as np

from wyoming_tts.audio import Resampler
from wyoming_tts.speech import AudioChunk, AudioFormat, SpeakingVoice, SpokenWord, Utterance
from wyoming_tts.spoken_words import words_of

RATE = 16_000
SAMPLES_PER_CHARACTER = 300


T = TypeVar("T")


async def run_in_thread(work: Callable[[], T], /) -> T:
    """A `RunBlocking` without the workers."""
    return await asyncio.to_thread(work)


@lru_cache(maxsize=256)
def _tone(character: str) -> bytes:
    times = np.arange(SAMPLES_PER_CHARACTER) / RATE
    hertz = 200 + ord(character) % 200 * 20
    return (8_000 * np.sin(2 * np.pi * hertz * times)).astype("<i2").tobytes()


def speech_pcm(text: str) -> bytes:
    """The PCM of a text, at RATE."""
    return b"".join(map(_tone, text))


def _speech_pcm_at(rate: int, text: str) -> bytes:
    if rate == RATE:
        return speech_pcm(text)
    resampler = Resampler(RATE, rate)
    return resampler.feed(speech_pcm(text)) + resampler.finish()


def spoken_words(piece: str, begin: int = 0) -> tuple[SpokenWord, ...]:
    """The words of a piece of text, which has no characters above U+FFFF, from an offset on."""
    seconds = SAMPLES_PER_CHARACTER / RATE
    spans = [(begin + word.begin, begin + word.end) for word in words_of(piece)]
    return tuple(
        SpokenWord(
            piece[first - begin : last - begin], first, last, first, last, first * seconds, last * seconds
        )
        for first, last in spans
    )


async def _do_nothing(*_: object) -> None:
    return None


class FakeSynthesizer:
    """Speaks every piece of text as one chunk, as soon as it arrives."""

    def __init__(self) -> None:
        self.format = AudioFormat(RATE)
        """Used when the utterance requests no sample rate."""
        self.tells_words = False
        self.voice = SpeakingVoice("tone")
        self.on_enter: Callable[[Utterance], Awaitable[None]] = _do_nothing
        """Awaited on entering, where a real synthesizer resolves the voice."""
        self.on_chunk: Callable[[Utterance, int], Awaitable[None]] = _do_nothing
        """Awaited before each chunk, with its number."""
        self.on_end: Callable[[Utterance], Awaitable[None]] = _do_nothing
        """Awaited after the last chunk."""
        self.utterances: list[Utterance] = []
        self.pulled = 0
        """Chunks pulled so far."""
        self.entered = 0
        self.left = 0
        """Streams that were exited, whether they ended, failed or were cancelled."""
        self.changed = asyncio.Condition()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition that only this synthesizer changes."""
        async with self.changed:
            await self.changed.wait_for(condition)

    @asynccontextmanager
    async def speak(self, utterance: Utterance) -> AsyncIterator[FakeStream]:
        self.utterances.append(utterance)
        self.entered += 1
        try:
            await self._notify()
            await self.on_enter(utterance)
            yield FakeStream(self, utterance)
        finally:
            self.left += 1
            await self._notify()

    async def _notify(self) -> None:
        async with self.changed:
            self.changed.notify_all()


class FakeStream:
    """The audio stream of one utterance."""

    def __init__(self, synthesizer: FakeSynthesizer, utterance: Utterance) -> None:
        self.format = _format(synthesizer, utterance)
        self.voice = synthesizer.voice
        self._synthesizer = synthesizer
        self._utterance = utterance

    async def __aiter__(self) -> AsyncIterator[AudioChunk]:
        samples = number = characters = 0
        async for piece in self._utterance.text:
            await self._synthesizer.on_chunk(self._utterance, number)
            self._synthesizer.pulled += 1
            await self._synthesizer._notify()
            pcm = _speech_pcm_at(self.format.rate, piece)
            words = spoken_words(piece, characters) if self._synthesizer.tells_words else ()
            chunk = AudioChunk(_format(self._synthesizer, self._utterance), pcm, samples, words)
            samples += chunk.samples
            characters += len(piece)
            number += 1
            yield chunk
        await self._synthesizer.on_end(self._utterance)


def _format(synthesizer: FakeSynthesizer, utterance: Utterance) -> AudioFormat:
    rate = utterance.sample_rate
    return synthesizer.format if rate is None else AudioFormat(rate)
