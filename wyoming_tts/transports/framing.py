"""Framing: a stream's chunks of audio, cut to what one message of a protocol carries."""

from __future__ import annotations

from collections.abc import Iterator

from wyoming_tts.speech import AudioChunk


def split_into_frames(chunk: AudioChunk, most_samples: int) -> Iterator[AudioChunk]:
    """Cut a chunk into frames of so many samples; the rest is a shorter one, so that nothing is held back."""
    step = most_samples * chunk.format.frame_bytes
    for start in range(0, len(chunk.pcm), step):
        first_sample = chunk.first_sample + start // chunk.format.frame_bytes
        yield AudioChunk(chunk.format, chunk.pcm[start : start + step], first_sample)
