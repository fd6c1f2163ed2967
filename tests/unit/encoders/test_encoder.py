"""Every audio format, decoded by another library than the encoders use."""

from __future__ import annotations

import io
import sys
import tracemalloc
import wave
from collections.abc import Sequence

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.hypothesis_examples import scaled_examples
from wyoming_tts.encoders import (
    Encoder,
    EncoderOptions,
    Encoding,
    make_encoder,
    wav_header,
)
from wyoming_tts.errors import Unsupported

TONE = 440.0
CODED = (Encoding.MP3, Encoding.OPUS, Encoding.AAC, Encoding.FLAC)
FILES = (*CODED, Encoding.WAV)
RATES = (16_000, 22_050, 24_000, 48_000)


def tone(duration: float, rate: int) -> bytes:
    time = np.arange(round(duration * rate)) / rate
    return (8000 * np.sin(2 * np.pi * TONE * time)).astype("<i2").tobytes()


def noise(duration: float, rate: int) -> bytes:
    values = np.random.default_rng(7).integers(-3000, 3000, round(duration * rate))
    return values.astype("<i2").tobytes()


def split(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def encode_all(encoder: Encoder, pieces: Sequence[bytes]) -> bytes:
    coded = b"".join([encoder.encode(part) for part in pieces]) + encoder.finish()
    encoder.close()
    return coded


def decode(data: bytes) -> tuple[np.ndarray[tuple[int], np.dtype[np.float32]], int]:
    """Decode with FFmpeg; returns samples and their rate."""
    with av.open(io.BytesIO(data)) as container:
        resampler = av.AudioResampler(format="flt", layout="mono")
        frames = [part for frame in container.decode(audio=0) for part in resampler.resample(frame)]
        rate = container.streams.audio[0].rate
    samples = [frame.to_ndarray()[0] for frame in frames]
    return np.concatenate([np.zeros(0, np.float32), *samples]), rate


def duration(data: bytes) -> float:
    samples, rate = decode(data)
    return len(samples) / rate


def dominant_frequency(data: bytes) -> float:
    samples, rate = decode(data)
    middle = samples[len(samples) // 4 : 3 * len(samples) // 4]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    return float(np.argmax(spectrum)) * rate / len(middle)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("encoding", FILES)
def test_a_stream_decodes_to_its_duration_and_its_tone(encoding: Encoding, rate: int) -> None:
    coded = encode_all(make_encoder(encoding, rate), split(tone(1.03, rate), 4410))
    assert duration(coded) == pytest.approx(1.03, abs=0.06)
    assert dominant_frequency(coded) == pytest.approx(TONE, abs=3.0)


@pytest.mark.parametrize("rate", [8000, 10_000, 11_025, 32_000, 44_100, 96_000])
@pytest.mark.parametrize("encoding", FILES)
def test_unusual_sample_rates_are_encoded(encoding: Encoding, rate: int) -> None:
    coded = encode_all(make_encoder(encoding, rate), split(tone(0.5, rate), 4000))
    # At 8 kHz a frame of MP3 is 72 ms.
    assert duration(coded) == pytest.approx(0.5, abs=0.12)
    assert dominant_frequency(coded) == pytest.approx(TONE, abs=5.0)


@pytest.mark.parametrize("encoding", [Encoding.FLAC, Encoding.WAV])
def test_lossless_formats_preserve_every_sample(encoding: Encoding) -> None:
    pcm = noise(0.5, 22_050)
    samples, rate = decode(encode_all(make_encoder(encoding, 22_050), split(pcm, 999)))
    assert rate == 22_050
    assert np.rint(samples * 32_768).astype("<i2").tobytes() == pcm


def test_pcm_is_passed_through() -> None:
    pcm = noise(0.1, 24_000)
    assert encode_all(make_encoder(Encoding.PCM, 24_000), split(pcm, 333)) == pcm


split_points = st.lists(st.integers(0, 2 * 4800), max_size=6).map(sorted)


@given(split_points)
@settings(max_examples=scaled_examples(25), deadline=None)
@pytest.mark.parametrize("encoding", [Encoding.PCM, Encoding.WAV, Encoding.FLAC])
def test_encoded_bytes_do_not_depend_on_chunking(encoding: Encoding, at: list[int]) -> None:
    pcm = noise(0.3, 16_000)
    pieces = [pcm[start:end] for start, end in zip([0, *at], [*at, len(pcm)], strict=True)]
    assert encode_all(make_encoder(encoding, 16_000), pieces) == encode_all(
        make_encoder(encoding, 16_000), [pcm]
    )


@given(split_points)
@settings(max_examples=scaled_examples(8), deadline=None)
@pytest.mark.parametrize("encoding", [Encoding.MP3, Encoding.OPUS, Encoding.AAC])
def test_the_duration_does_not_depend_on_chunking(encoding: Encoding, at: list[int]) -> None:
    pcm = tone(0.3, 22_050)
    pieces = [pcm[start:end] for start, end in zip([0, *at], [*at, len(pcm)], strict=True)]
    expected = duration(encode_all(make_encoder(encoding, 22_050), [pcm]))
    assert duration(encode_all(make_encoder(encoding, 22_050), pieces)) == pytest.approx(expected, abs=0.001)


def seconds_until_output(encoder: Encoder, least: int, rate: int) -> float:
    """Seconds of audio fed until more than `least` bytes were returned."""
    out = 0
    for number, part in enumerate(split(tone(2.0, rate), rate // 50 * 2), start=1):
        out += len(encoder.encode(part))
        if out > least:
            encoder.close()
            return number * 0.02
    raise AssertionError(f"only {out} bytes after 2 s")


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(
    ("encoding", "headers"),
    # Bytes before the first audio: an empty frame; two Ogg pages; the stream's properties.
    [(Encoding.MP3, 450), (Encoding.OPUS, 900), (Encoding.AAC, 0), (Encoding.WAV, 44), (Encoding.PCM, 0)],
)
def test_the_first_audio_is_returned_within_a_fifth_of_a_second(
    encoding: Encoding, headers: int, rate: int
) -> None:
    assert seconds_until_output(make_encoder(encoding, rate), headers, rate) <= 0.2


@pytest.mark.parametrize("encoding", [Encoding.MP3, Encoding.OPUS, Encoding.FLAC, Encoding.WAV])
def test_the_first_bytes_are_returned_within_a_tenth_of_a_second(encoding: Encoding) -> None:
    assert seconds_until_output(make_encoder(encoding, 16_000), 0, 16_000) <= 0.1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("encoding", "minutes"),
    [(Encoding.FLAC, 10.0), (Encoding.MP3, 1.0), (Encoding.OPUS, 0.5), (Encoding.AAC, 0.5)],
)
def test_memory_does_not_grow_with_the_audio(encoding: Encoding, minutes: float) -> None:
    encoder = make_encoder(encoding, 16_000)
    part = noise(0.5, 16_000)
    encoder.encode(part)
    tracemalloc.start()
    try:
        out = sum(len(encoder.encode(part)) for _ in range(int(minutes * 120)))
        out += len(encoder.finish())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        encoder.close()
    assert out > minutes * 60 * 4000
    assert peak < 1_000_000


@pytest.mark.parametrize("rate", [16_000, 22_050])
@pytest.mark.parametrize("encoding", CODED)
def test_an_utterance_without_audio_is_a_valid_file(encoding: Encoding, rate: int) -> None:
    for coded in (
        encode_all(make_encoder(encoding, rate), []),
        encode_all(make_encoder(encoding, rate), [b"", b"\0"]),
    ):
        assert 0.0 < duration(coded) <= 0.15


def test_a_wav_file_without_audio_is_its_header() -> None:
    coded = encode_all(make_encoder(Encoding.WAV, 16_000), [])
    with wave.open(io.BytesIO(coded)) as file:
        assert (file.getframerate(), file.readframes(10**9)) == (16_000, b"")


@pytest.mark.parametrize("kbits", [32, 64, 128])
def test_mp3_has_the_requested_bit_rate(kbits: int) -> None:
    encoder = make_encoder(Encoding.MP3, 24_000, EncoderOptions(mp3_bitrate=kbits))
    coded = encode_all(encoder, [noise(4.0, 24_000)])
    assert len(coded) * 8 / 4000 == pytest.approx(kbits, rel=0.05)


@pytest.mark.parametrize("kbits", [16, 48, 96])
def test_opus_has_about_the_requested_bit_rate(kbits: int) -> None:
    encoder = make_encoder(Encoding.OPUS, 24_000, EncoderOptions(opus_bitrate=kbits))
    coded = encode_all(encoder, [noise(4.0, 24_000)])
    assert len(coded) * 8 / 4000 == pytest.approx(kbits, rel=0.2)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("kbits", [1, 8, 32, 320, 10_000])
def test_an_unsupported_bit_rate_is_replaced_by_a_supported_one(kbits: int, rate: int) -> None:
    options = EncoderOptions(mp3_bitrate=kbits, opus_bitrate=kbits)
    for encoding in (Encoding.MP3, Encoding.OPUS):
        coded = encode_all(make_encoder(encoding, rate, options), [tone(0.2, rate)])
        assert duration(coded) == pytest.approx(0.2, abs=0.2)


@pytest.mark.parametrize("seconds", [0.0, 0.3, 7.0])
@pytest.mark.parametrize("encoding", [Encoding.FLAC, Encoding.WAV])
def test_the_head_of_a_finished_file_tells_its_length(encoding: Encoding, seconds: float) -> None:
    encoder, pcm = make_encoder(encoding, 16_000), tone(seconds, 16_000)
    streamed = encode_all(encoder, split(pcm, 5000))
    whole = encoder.head() + streamed[len(encoder.head()) :]

    with av.open(io.BytesIO(whole)) as container:
        stream = container.streams.audio[0]
        told = float(stream.duration * stream.time_base) if stream.duration else 0.0
    assert told == duration(whole) == duration(streamed)


@pytest.mark.parametrize("encoding", [Encoding.MP3, Encoding.OPUS, Encoding.AAC, Encoding.PCM])
def test_other_formats_have_no_head_to_replace(encoding: Encoding) -> None:
    encoder = make_encoder(encoding, 16_000)
    encode_all(encoder, [tone(0.3, 16_000)])
    assert encoder.head() == b""


def test_a_wav_header_contains_a_known_length() -> None:
    pcm = tone(0.1, 16_000)
    with wave.open(io.BytesIO(wav_header(16_000, len(pcm)) + pcm)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
        assert file.readframes(10**9) == pcm


@pytest.mark.parametrize("length", [None, 2**32 - 37, 2**40])
def test_a_wav_header_of_unknown_length_marks_a_stream(length: int | None) -> None:
    header = wav_header(22_050, length)
    assert len(header) == 44
    assert header[4:8] == header[40:44] == b"\xff\xff\xff\xff"


def test_every_encoder_reports_its_rate_and_whether_it_is_cpu_bound() -> None:
    for encoding in Encoding:
        encoder = make_encoder(encoding, 22_050)
        assert encoder.rate == 22_050
        assert encoder.is_cpu_bound == (encoding not in {Encoding.PCM, Encoding.WAV})
        encoder.close()


@pytest.mark.parametrize("encoding", list(Encoding))
def test_an_encoder_can_be_closed_early_and_twice(encoding: Encoding) -> None:
    encoder = make_encoder(encoding, 24_000)
    encoder.encode(tone(0.3, 24_000))
    encoder.close()
    encoder.close()


def test_without_pyav_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(Unsupported, match=r"pip install wyoming-tts\[aac\]"):
        make_encoder(Encoding.AAC, 24_000)
    assert make_encoder(Encoding.MP3, 24_000).is_cpu_bound
