"""Resampling of a stream's segments to the sample rate of the stream."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wyoming_tts.synthesis.resampling import StreamResampler


class CountingWorker:
    """Runs blocking work in place and counts the calls."""

    def __init__(self) -> None:
        self.count = 0

    async def run(self, work: Callable[[], Any]) -> Any:
        self.count += 1
        return work()


async def split(pcm: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(pcm), size):
        yield pcm[start : start + size]


async def resample(resampler: StreamResampler, pcm: bytes, rate: int, size: int = 50_000) -> bytes:
    async with aclosing(resampler.resample(split(pcm, size), rate)) as pieces:
        return b"".join([piece async for piece in pieces])


def tone(rate: int, seconds: float = 1.0) -> bytes:
    times = np.arange(round(rate * seconds)) / rate
    return (8_000 * np.sin(2 * np.pi * 440 * times)).astype("<i2").tobytes()


async def test_audio_at_the_rate_of_the_stream_is_passed_through() -> None:
    worker = CountingWorker()
    assert await resample(StreamResampler(16_000, worker.run), tone(16_000), 16_000) == tone(16_000)
    assert worker.count == 0


@pytest.mark.parametrize("rate", [16_000, 22_050, 24_000, 44_100])
async def test_resampling_preserves_the_duration(rate: int) -> None:
    resampled = await resample(StreamResampler(24_000, CountingWorker().run), tone(rate), rate)
    assert len(resampled) // 2 == pytest.approx(24_000, abs=1)


@given(st.integers(1, 20_000).map(lambda samples: 2 * samples))
async def test_resampling_does_not_depend_on_chunking(size: int) -> None:
    whole, pieces = (
        StreamResampler(16_000, CountingWorker().run),
        StreamResampler(16_000, CountingWorker().run),
    )
    expected = np.frombuffer(await resample(whole, tone(22_050), 22_050), "<i2")
    resampled = np.frombuffer(await resample(pieces, tone(22_050), 22_050, size), "<i2")
    assert len(resampled) == len(expected)
    assert np.allclose(resampled, expected, atol=2)  # rounding with dither


async def test_an_abandoned_segment_does_not_leak_into_the_next() -> None:
    worker = CountingWorker()
    resampler = StreamResampler(16_000, worker.run)
    first = await resample(resampler, tone(22_050), 22_050)
    pieces = resampler.resample(split(tone(22_050), 1_000), 22_050)
    await anext(pieces)
    await pieces.aclose()  # as when a fallback voice replaces one that failed
    assert np.allclose(
        np.frombuffer(await resample(resampler, tone(22_050), 22_050), "<i2"),
        np.frombuffer(first, "<i2"),
        atol=2,
    )
    assert worker.count == 1
