"""Sample rate conversion of a stream: a listener gets the rate it asked for, whichever voice speaks.

Each segment is resampled on its own, once and as the last stage: the cache keeps what a voice said at the
voice's own rate, for listeners of any rate.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from functools import partial

from wyoming_tts import audio
from wyoming_tts.blocking import RunBlocking

_PIECE_BYTES = 16_384
"""Bytes resampled between two turns of the event loop: well below a millisecond of work."""


class StreamResampler:
    """Brings the segments of one stream to its rate, one after the other."""

    def __init__(self, rate: int, run_blocking: RunBlocking) -> None:
        """Convert to `rate`, in Hz; `run_blocking` imports the library, if two rates meet at all."""
        self.rate = rate
        self._run_blocking = run_blocking
        self._resamplers: dict[int, audio.Resampler] = {}

    async def resample(self, pieces: AsyncIterator[bytes], rate: int) -> AsyncGenerator[bytes, None]:
        """Yield a segment's 16-bit mono PCM, which arrives at `rate` Hz, at the rate of the stream."""
        if rate == self.rate:
            async for pcm in pieces:
                yield pcm
            return
        resampler = await self._resampler_from(rate)
        resampler.reset()
        async for pcm in pieces:
            for start in range(0, len(pcm), _PIECE_BYTES):
                if converted := resampler.feed(pcm[start : start + _PIECE_BYTES]):
                    yield converted
        if rest := resampler.finish():
            yield rest

    async def _resampler_from(self, rate: int) -> audio.Resampler:
        if rate not in self._resamplers:
            self._resamplers[rate] = await self._run_blocking(partial(audio.Resampler, rate, self.rate))
        return self._resamplers[rate]
