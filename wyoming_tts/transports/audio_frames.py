"""Audio frames: splits a stream's chunks into frames of the size that one protocol message carries."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from wyoming_tts.speech import AudioChunk, SpokenWord


def split_into_frames(chunk: AudioChunk, max_samples: int) -> Iterator[AudioChunk]:
    """Split a chunk into frames of `max_samples`; the last may be shorter, so that no audio is held back.

    Each frame has the words that begin in it.
    """
    step = max_samples * chunk.format.frame_bytes
    words = deque(chunk.words)
    for start in range(0, len(chunk.pcm), step):
        first_sample = chunk.first_sample + start // chunk.format.frame_bytes
        is_last = start + step >= len(chunk.pcm)
        told = (
            tuple(words) if is_last else _take_words(words, (first_sample + max_samples) / chunk.format.rate)
        )
        yield AudioChunk(chunk.format, chunk.pcm[start : start + step], first_sample, told)


def _take_words(words: deque[SpokenWord], until: float) -> tuple[SpokenWord, ...]:
    """Take from the front the words that begin before a time of the stream."""
    taken = []
    while words and words[0].start_time < until:
        taken.append(words.popleft())
    return tuple(taken)
