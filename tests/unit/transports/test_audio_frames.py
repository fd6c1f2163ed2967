"""Framing of a stream's chunks into messages."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from wyoming_tts.speech import AudioChunk, AudioFormat, SpokenWord
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


def _word(begin: int, at: float) -> SpokenWord:
    return SpokenWord("word", begin, begin + 4, begin, begin + 4, at, at + 0.01)


def test_each_frame_has_the_words_that_begin_in_it() -> None:
    first, second, third = (_word(5 * number, at / 1_000) for number, at in enumerate((40, 139, 140)))
    chunk = AudioChunk(AudioFormat(1_000), b"\x01\x02" * 250, 40, (first, second, third))

    frames = list(split_into_frames(chunk, 100))

    assert [frame.words for frame in frames] == [(first, second), (third,), ()]


@given(chunks, st.integers(1, 400), st.lists(st.floats(0, 1e6)))
def test_every_word_is_told_once_and_in_order(chunk: AudioChunk, most: int, times: list[float]) -> None:
    words = tuple(_word(5 * number, at) for number, at in enumerate(sorted(times)))

    frames = split_into_frames(replace(chunk, words=words), most)

    assert tuple(word for frame in frames for word in frame.words) == (words if chunk.pcm else ())


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
