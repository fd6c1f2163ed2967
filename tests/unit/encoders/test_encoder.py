"""Every format, read back by another library than those that write it."""

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


def tone(seconds: float, rate: int) -> bytes:
    time = np.arange(round(seconds * rate)) / rate
    return (8000 * np.sin(2 * np.pi * TONE * time)).astype("<i2").tobytes()


def noise(seconds: float, rate: int) -> bytes:
    values = np.random.default_rng(7).integers(-3000, 3000, round(seconds * rate))
    return values.astype("<i2").tobytes()


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def streamed(encoder: Encoder, parts: Sequence[bytes]) -> bytes:
    coded = b"".join([encoder.encode(part) for part in parts]) + encoder.finish()
    encoder.close()
    return coded


def decoded(data: bytes) -> tuple[np.ndarray[tuple[int], np.dtype[np.float32]], int]:
    """Samples and their rate, by FFmpeg."""
    with av.open(io.BytesIO(data)) as container:
        resampler = av.AudioResampler(format="flt", layout="mono")
        frames = [part for frame in container.decode(audio=0) for part in resampler.resample(frame)]
        rate = container.streams.audio[0].rate
    samples = [frame.to_ndarray()[0] for frame in frames]
    return np.concatenate([np.zeros(0, np.float32), *samples]), rate


def seconds(data: bytes) -> float:
    samples, rate = decoded(data)
    return len(samples) / rate


def pitch(data: bytes) -> float:
    samples, rate = decoded(data)
    middle = samples[len(samples) // 4 : 3 * len(samples) // 4]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    return float(np.argmax(spectrum)) * rate / len(middle)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("encoding", FILES)
def test_a_stream_decodes_to_its_duration_and_its_tone(encoding: Encoding, rate: int) -> None:
    coded = streamed(make_encoder(encoding, rate), pieces(tone(1.03, rate), 4410))
    assert seconds(coded) == pytest.approx(1.03, abs=0.06)
    assert pitch(coded) == pytest.approx(TONE, abs=3.0)


@pytest.mark.parametrize("rate", [8000, 10_000, 11_025, 32_000, 44_100, 96_000])
@pytest.mark.parametrize("encoding", FILES)
def test_rates_that_no_voice_has_are_encoded_as_well(encoding: Encoding, rate: int) -> None:
    coded = streamed(make_encoder(encoding, rate), pieces(tone(0.5, rate), 4000))
    # At 8 kHz a frame of MP3 is 72 ms.
    assert seconds(coded) == pytest.approx(0.5, abs=0.12)
    assert pitch(coded) == pytest.approx(TONE, abs=5.0)


@pytest.mark.parametrize("encoding", [Encoding.FLAC, Encoding.WAV])
def test_what_loses_nothing_gives_back_every_sample(encoding: Encoding) -> None:
    pcm = noise(0.5, 22_050)
    samples, rate = decoded(streamed(make_encoder(encoding, 22_050), pieces(pcm, 999)))
    assert rate == 22_050
    assert np.rint(samples * 32_768).astype("<i2").tobytes() == pcm


def test_pcm_is_passed_on_as_it_is() -> None:
    pcm = noise(0.1, 24_000)
    assert streamed(make_encoder(Encoding.PCM, 24_000), pieces(pcm, 333)) == pcm


cuts = st.lists(st.integers(0, 2 * 4800), max_size=6).map(sorted)


@given(cuts)
@settings(max_examples=scaled_examples(25), deadline=None)
@pytest.mark.parametrize("encoding", [Encoding.PCM, Encoding.WAV, Encoding.FLAC])
def test_the_bytes_do_not_depend_on_how_the_audio_was_cut(encoding: Encoding, at: list[int]) -> None:
    pcm = noise(0.3, 16_000)
    parts = [pcm[start:end] for start, end in zip([0, *at], [*at, len(pcm)], strict=True)]
    assert streamed(make_encoder(encoding, 16_000), parts) == streamed(make_encoder(encoding, 16_000), [pcm])


@given(cuts)
@settings(max_examples=scaled_examples(8), deadline=None)
@pytest.mark.parametrize("encoding", [Encoding.MP3, Encoding.OPUS, Encoding.AAC])
def test_the_duration_does_not_depend_on_how_the_audio_was_cut(encoding: Encoding, at: list[int]) -> None:
    pcm = tone(0.3, 22_050)
    parts = [pcm[start:end] for start, end in zip([0, *at], [*at, len(pcm)], strict=True)]
    expected = seconds(streamed(make_encoder(encoding, 22_050), [pcm]))
    assert seconds(streamed(make_encoder(encoding, 22_050), parts)) == pytest.approx(expected, abs=0.001)


def fed_until(encoder: Encoder, least: int, rate: int) -> float:
    """Seconds of audio after which more than `least` bytes were out."""
    out = 0
    for number, part in enumerate(pieces(tone(2.0, rate), rate // 50 * 2), start=1):
        out += len(encoder.encode(part))
        if out > least:
            encoder.close()
            return number * 0.02
    raise AssertionError(f"only {out} bytes after 2 s")


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(
    ("encoding", "headers"),
    # What comes before the first sound: an empty frame; two Ogg pages; the stream's properties.
    [(Encoding.MP3, 450), (Encoding.OPUS, 900), (Encoding.AAC, 0), (Encoding.WAV, 44), (Encoding.PCM, 0)],
)
def test_the_first_sound_is_out_after_a_fifth_of_a_second(
    encoding: Encoding, headers: int, rate: int
) -> None:
    assert fed_until(make_encoder(encoding, rate), headers, rate) <= 0.2


@pytest.mark.parametrize("encoding", [Encoding.MP3, Encoding.OPUS, Encoding.FLAC, Encoding.WAV])
def test_something_is_out_after_a_tenth_of_a_second(encoding: Encoding) -> None:
    assert fed_until(make_encoder(encoding, 16_000), 0, 16_000) <= 0.1


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
def test_an_utterance_without_sound_is_a_valid_file(encoding: Encoding, rate: int) -> None:
    for coded in (
        streamed(make_encoder(encoding, rate), []),
        streamed(make_encoder(encoding, rate), [b"", b"\0"]),
    ):
        assert 0.0 < seconds(coded) <= 0.15


def test_a_wav_file_without_sound_is_its_header() -> None:
    coded = streamed(make_encoder(Encoding.WAV, 16_000), [])
    with wave.open(io.BytesIO(coded)) as file:
        assert (file.getframerate(), file.readframes(10**9)) == (16_000, b"")


@pytest.mark.parametrize("kbits", [32, 64, 128])
def test_mp3_has_the_bit_rate_that_was_asked_for(kbits: int) -> None:
    encoder = make_encoder(Encoding.MP3, 24_000, EncoderOptions(mp3_bitrate=kbits))
    coded = streamed(encoder, [noise(4.0, 24_000)])
    assert len(coded) * 8 / 4000 == pytest.approx(kbits, rel=0.05)


@pytest.mark.parametrize("kbits", [16, 48, 96])
def test_opus_has_about_the_bit_rate_that_was_asked_for(kbits: int) -> None:
    encoder = make_encoder(Encoding.OPUS, 24_000, EncoderOptions(opus_bitrate=kbits))
    coded = streamed(encoder, [noise(4.0, 24_000)])
    assert len(coded) * 8 / 4000 == pytest.approx(kbits, rel=0.2)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("kbits", [1, 8, 32, 320, 10_000])
def test_a_bit_rate_that_the_format_has_not_becomes_one_that_it_has(kbits: int, rate: int) -> None:
    options = EncoderOptions(mp3_bitrate=kbits, opus_bitrate=kbits)
    for encoding in (Encoding.MP3, Encoding.OPUS):
        coded = streamed(make_encoder(encoding, rate, options), [tone(0.2, rate)])
        assert seconds(coded) == pytest.approx(0.2, abs=0.2)


def test_a_wav_header_tells_the_length_where_it_is_known() -> None:
    pcm = tone(0.1, 16_000)
    with wave.open(io.BytesIO(wav_header(16_000, len(pcm)) + pcm)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
        assert file.readframes(10**9) == pcm


@pytest.mark.parametrize("length", [None, 2**32 - 37, 2**40])
def test_a_wav_header_without_a_length_says_that_it_is_a_stream(length: int | None) -> None:
    header = wav_header(22_050, length)
    assert len(header) == 44
    assert header[4:8] == header[40:44] == b"\xff\xff\xff\xff"


def test_every_format_tells_its_rate_and_what_it_costs() -> None:
    for encoding in Encoding:
        encoder = make_encoder(encoding, 22_050)
        assert encoder.rate == 22_050
        assert encoder.is_cpu_bound == (encoding not in {Encoding.PCM, Encoding.WAV})
        encoder.close()


@pytest.mark.parametrize("encoding", list(Encoding))
def test_an_encoder_may_be_closed_in_the_middle_and_twice(encoding: Encoding) -> None:
    encoder = make_encoder(encoding, 24_000)
    encoder.encode(tone(0.3, 24_000))
    encoder.close()
    encoder.close()


def test_without_pyav_the_client_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(Unsupported, match=r"pip install wyoming-tts\[aac\]"):
        make_encoder(Encoding.AAC, 24_000)
    assert make_encoder(Encoding.MP3, 24_000).is_cpu_bound
