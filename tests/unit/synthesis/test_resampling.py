"""Resampling of a stream's segments to the one rate that its listener gets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wyoming_tts.synthesis.resampling import StreamResampler


class Worker:
    """Runs what would block, and counts it."""

    def __init__(self) -> None:
        self.count = 0

    async def run(self, work: Callable[[], Any]) -> Any:
        self.count += 1
        return work()


async def cut(pcm: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(pcm), size):
        yield pcm[start : start + size]


async def segment(resampler: StreamResampler, pcm: bytes, rate: int, size: int = 50_000) -> bytes:
    async with aclosing(resampler.resample(cut(pcm, size), rate)) as pieces:
        return b"".join([piece async for piece in pieces])


def tone(rate: int, seconds: float = 1.0) -> bytes:
    times = np.arange(round(rate * seconds)) / rate
    return (8_000 * np.sin(2 * np.pi * 440 * times)).astype("<i2").tobytes()


async def test_audio_at_the_rate_of_the_stream_passes_as_it_is() -> None:
    worker = Worker()
    assert await segment(StreamResampler(16_000, worker.run), tone(16_000), 16_000) == tone(16_000)
    assert worker.count == 0


@pytest.mark.parametrize("rate", [16_000, 22_050, 24_000, 44_100])
async def test_seconds_stay_what_they_were(rate: int) -> None:
    heard = await segment(StreamResampler(24_000, Worker().run), tone(rate), rate)
    assert len(heard) // 2 == pytest.approx(24_000, abs=1)


@given(st.integers(1, 20_000).map(lambda samples: 2 * samples))
async def test_however_it_is_cut_it_sounds_the_same(size: int) -> None:
    whole, pieces = StreamResampler(16_000, Worker().run), StreamResampler(16_000, Worker().run)
    expected = np.frombuffer(await segment(whole, tone(22_050), 22_050), "<i2")
    heard = np.frombuffer(await segment(pieces, tone(22_050), 22_050, size), "<i2")
    assert len(heard) == len(expected)
    assert np.allclose(heard, expected, atol=2)  # samples are rounded, with dither


async def test_nothing_of_a_segment_is_in_the_next_one() -> None:
    worker = Worker()
    resampler = StreamResampler(16_000, worker.run)
    first = await segment(resampler, tone(22_050), 22_050)
    pieces = resampler.resample(cut(tone(22_050), 1_000), 22_050)
    await anext(pieces)
    await pieces.aclose()  # as where a voice falls silent and another one takes its place
    assert np.allclose(
        np.frombuffer(await segment(resampler, tone(22_050), 22_050), "<i2"),
        np.frombuffer(first, "<i2"),
        atol=2,
    )
    assert worker.count == 1
