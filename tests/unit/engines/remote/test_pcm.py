"""Streaming decoders for PCM and WAV from remote servers, whatever the chunk boundaries."""

from __future__ import annotations

import itertools
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.scripted_http_server import as_pcm, wav
from wyoming_tts.engines.remote.pcm import AudioBodyDecoder, NotPcm, PcmDecoder, PcmFormat, SampleFormat
from wyoming_tts.speech import Samples

PCM = np.arange(-3000, 3000, dtype="<i2").tobytes()
LIST = b"LIST" + struct.pack("<I", 5) + b"hello\0"


def read(
    data: bytes, cuts: list[int] | None = None, *, rate: int = 24_000, sample: SampleFormat = "s16le"
) -> list[Samples]:
    reader = AudioBodyDecoder(PcmFormat(24_000, sample), rate)
    edges = sorted({0, *(cut % (len(data) + 1) for cut in cuts or []), len(data)})
    pieces = [data[start:end] for start, end in itertools.pairwise(edges)]
    read = [samples for piece in pieces for samples in reader.feed(piece)]
    return [*read, *reader.finish()]


@given(cuts=st.lists(st.integers(0, 20_000), max_size=20))
def test_samples_do_not_depend_on_chunk_boundaries(cuts: list[int]) -> None:
    assert as_pcm(read(PCM, cuts)) == PCM
    assert as_pcm(read(wav(PCM, extra=LIST), cuts)) == PCM


FLOATS = (np.frombuffer(PCM, "<i2") / np.float32(32_767)).astype("<f4").tobytes()


@given(cuts=st.lists(st.integers(0, 30_000), max_size=20))
def test_floating_point_samples_do_not_depend_on_chunk_boundaries(cuts: list[int]) -> None:
    assert as_pcm(read(FLOATS, cuts, sample="f32le")) == PCM
    assert as_pcm(read(wav(FLOATS, floats=True), cuts)) == PCM


def test_floating_point_samples_beyond_full_scale_are_limited() -> None:
    samples = np.array([2.0, -3.0, np.nan, np.inf, -np.inf, 0.5], "<f4").tobytes()
    assert np.concatenate(read(samples, sample="f32le")).tolist() == pytest.approx(
        [1, -1, 0, 1, -1, 0.5], abs=1e-4
    )


@given(data=st.binary(max_size=300))
def test_any_bytes_decode_to_samples_or_are_rejected(data: bytes) -> None:
    for start in (b"", b"RIFF\0\0\0\0WAVE", wav(b"")[:30]):
        try:
            pieces = read(start + data)
        except NotPcm:
            continue
        assert all(piece.size for piece in pieces)


@pytest.mark.parametrize("length", [0, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_wav_length_that_means_unknown_is_ignored(length: int) -> None:
    assert as_pcm(read(wav(PCM, length=length))) == PCM


def test_chunks_after_the_wav_data_are_not_audio() -> None:
    assert as_pcm(read(wav(PCM) + LIST)) == PCM


def test_truncated_wav_is_rejected() -> None:
    with pytest.raises(NotPcm, match="too early"):
        read(wav(PCM, length=len(PCM) + 2))
    with pytest.raises(NotPcm, match="too early"):
        read(wav(PCM)[:40])


def test_unsupported_wav_formats_are_rejected() -> None:
    with pytest.raises(NotPcm, match="2 channel"):
        read(wav(PCM, channels=2))
    with pytest.raises(NotPcm, match="10 Hz"):
        read(wav(PCM, rate=10))


def test_an_endless_wav_header_is_rejected_without_buffering_it() -> None:
    reader = AudioBodyDecoder(PcmFormat(24_000), 24_000)
    with pytest.raises(NotPcm, match="without audio data"):
        list(reader.feed(b"RIFF\0\0\0\0WAVEjunk\xff\xff\xff\x7f"))


def test_resampling_keeps_the_duration() -> None:
    tone = (8000 * np.sin(np.arange(22_050) / 10)).astype("<i2").tobytes()
    samples = np.concatenate(read(wav(tone, rate=22_050), rate=24_000))
    assert len(samples) == pytest.approx(24_000, abs=50)


def test_decoded_pieces_are_small_and_short_audio_is_not_lost() -> None:
    assert max(map(len, PcmDecoder(PcmFormat(24_000), 24_000).feed(bytes(1_000_000)))) <= 4_096
    assert as_pcm(read(b"ab")) == b"ab"
    assert read(b"") == []
