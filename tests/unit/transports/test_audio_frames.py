"""Framing of a stream's chunks into messages."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wyoming_tts.speech import AudioChunk, AudioFormat
from wyoming_tts.transports.audio_frames import split_into_frames

formats = st.builds(AudioFormat, st.integers(8_000, 48_000), channels=st.integers(1, 2))
chunks = st.builds(
    lambda form, frames, first: AudioChunk(form, frames * form.frame_bytes, first),
    formats,
    st.binary(max_size=300),
    st.integers(0, 1 << 40),
)


def test_the_last_frame_may_be_shorter() -> None:
    frames = list(split_into_frames(AudioChunk(AudioFormat(16_000), b"\x01\x02" * 250, 40), 100))
    assert [frame.samples for frame in frames] == [100, 100, 50]
    assert [frame.first_sample for frame in frames] == [40, 140, 240]


def test_a_chunk_without_audio_produces_no_frame() -> None:
    assert list(split_into_frames(AudioChunk(AudioFormat(16_000), b"", 7), 100)) == []


@given(chunks, st.integers(1, 400))
def test_frames_preserve_all_bytes_and_are_never_too_long(chunk: AudioChunk, most: int) -> None:
    frames = list(split_into_frames(chunk, most))
    assert b"".join(frame.pcm for frame in frames) == chunk.pcm
    position = chunk.first_sample
    for number, frame in enumerate(frames, 1):
        assert frame.format == chunk.format
        assert frame.first_sample == position
        assert frame.samples == most or (number == len(frames) and 0 < frame.samples < most)
        position += frame.samples
