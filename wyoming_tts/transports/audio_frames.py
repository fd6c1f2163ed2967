"""Audio frames: splits a stream's chunks into frames of the size that one protocol message carries."""

from __future__ import annotations

from collections.abc import Iterator

from wyoming_tts.speech import AudioChunk


def split_into_frames(chunk: AudioChunk, max_samples: int) -> Iterator[AudioChunk]:
    """Split a chunk into frames of `max_samples`; the last may be shorter, so that no audio is held back."""
    step = max_samples * chunk.format.frame_bytes
    for start in range(0, len(chunk.pcm), step):
        first_sample = chunk.first_sample + start // chunk.format.frame_bytes
        yield AudioChunk(chunk.format, chunk.pcm[start : start + step], first_sample)
