"""Opus through libopus, and Ogg's pages as RFC 3533 and RFC 7845 want them."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import Literal

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.hypothesis_examples import scaled_examples
from wyoming_tts.encoders import EncoderOptions, Encoding, libopus, make_encoder
from wyoming_tts.encoders.libopus import OpusPacket
from wyoming_tts.encoders.ogg import OggStream
from wyoming_tts.encoders.packet_encoder import PacketEncoder, opus_pre_skip

pytestmark = pytest.mark.skipif(not libopus.is_installed(), reason="libopus is not installed")
RATES = (8000, 12_000, 16_000, 24_000, 48_000)
FIRST, LAST = 2, 4
APPLICATIONS: tuple[Literal["audio", "voip"], ...] = ("audio", "voip")


@dataclass(frozen=True)
class Page:
    flags: int
    granule: int
    serial: int
    number: int
    size: int


def pages(data: bytes) -> list[Page]:
    found = []
    while data:
        mark, _, flags, granule, serial, number, _, count = struct.unpack_from("<4sBBqIIIB", data)
        assert mark == b"OggS"
        size = 27 + count + sum(data[27 : 27 + count])
        found.append(Page(flags, granule, serial, number, size))
        data = data[size:]
    return found


def bitwise_checksum(page: bytes) -> int:
    value = 0
    for byte in page[:22] + bytes(4) + page[26:]:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ (0x04C11DB7 if value >> 31 else 0)) & 0xFFFF_FFFF
    return value


def speech_like(samples: int, rate: int) -> bytes:
    time = np.arange(samples) / rate
    wave = 8000 * np.sin(2 * np.pi * 220 * time) * (1.2 + np.sin(2 * np.pi * 4 * time)) / 2.2
    return wave.astype("<i2").tobytes()


def encode(pcm: bytes, rate: int, options: EncoderOptions | None = None, *, step: int = 4000) -> list[bytes]:
    encoder = make_encoder(Encoding.OPUS, rate, options)
    parts = [encoder.encode(pcm[start : start + step]) for start in range(0, len(pcm), step)]
    parts.append(encoder.finish())
    encoder.close()
    return parts


def decoded(data: bytes) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """Return what FFmpeg decodes, at Opus's own 48 kHz."""
    with av.open(io.BytesIO(data)) as container:
        frames = [frame.to_ndarray()[0] for frame in container.decode(audio=0)]
    return np.concatenate(frames)


@given(samples=st.integers(1, 5000), step=st.integers(1, 12_000), rate=st.sampled_from(RATES))
@settings(max_examples=scaled_examples(30), deadline=None)
def test_the_decoded_audio_is_as_long_as_the_pcm(samples: int, step: int, rate: int) -> None:
    data = b"".join(encode(speech_like(samples, rate), rate, step=step))
    assert len(decoded(data)) == samples * 48_000 // rate


@pytest.mark.parametrize("rate", RATES)
def test_the_decoded_audio_is_in_step_with_the_pcm(rate: int) -> None:
    pcm = speech_like(rate, rate)
    audio = decoded(b"".join(encode(pcm, rate)))[:: 48_000 // rate]
    original = np.frombuffer(pcm, "<i2") / 32_768
    difference = audio - original
    assert np.sqrt(np.mean(difference**2)) < 0.1 * np.sqrt(np.mean(original**2))


def test_the_pages_are_numbered_and_only_the_last_ends_the_stream() -> None:
    found = pages(b"".join(encode(speech_like(24_000, 24_000), 24_000)))
    assert [page.number for page in found] == list(range(len(found)))
    assert len({page.serial for page in found}) == 1
    assert [page.flags for page in found] == [FIRST, *[0] * (len(found) - 2), LAST]
    granules = [page.granule for page in found]
    assert granules[:2] == [0, 0]
    assert granules == sorted(granules)


def test_the_first_audio_is_returned_after_20_ms_and_later_pages_have_100_ms() -> None:
    parts = encode(speech_like(24_000, 24_000), 24_000, step=2 * 480)
    assert [page.granule for page in pages(parts[0])] == [0, 0, 960]
    granules = [page.granule // 960 for page in pages(b"".join(parts))]
    assert granules[:6] == [0, 0, 1, 3, 8, 13]


@given(samples=st.integers(0, 5000), step=st.integers(1, 3000), rate=st.sampled_from(RATES))
@settings(max_examples=scaled_examples(20), deadline=None)
def test_packets_tell_which_of_them_makes_how_much_audible(samples: int, step: int, rate: int) -> None:
    encoder, pcm = PacketEncoder(rate, EncoderOptions()), speech_like(samples, rate)
    packets: list[OpusPacket] = []
    for start in range(0, 2 * samples, 2 * step):
        packets += encoder.encode(pcm[start : start + 2 * step])
        delay = (len(packets) + 1) * rate // 50 - min(start + 2 * step, 2 * samples) // 2
        assert 0 < delay <= rate // 50, "a full frame is never kept"
    packets += encoder.finish()
    encoder.close()
    pre_skip = opus_pre_skip(EncoderOptions())
    assert pre_skip is not None
    skipped = pre_skip * rate // 48_000
    heard = [min(max(number * rate // 50 - skipped, 0), samples) for number in range(len(packets) + 1)]
    assert [packet.samples for packet in packets] == list(np.diff(heard))
    assert heard[-1] == samples
    assert len(packets) == -(-(samples + skipped) // (rate // 50)) * bool(samples), "none is padding alone"


@given(st.lists(st.binary(max_size=700), min_size=1, max_size=8))
@settings(max_examples=scaled_examples(15), deadline=None)
def test_the_checksum_of_a_page_is_that_of_the_specification(packets: list[bytes]) -> None:
    page = OggStream().page(packets, 960)
    assert int.from_bytes(page[22:26], "little") == bitwise_checksum(page)
    assert pages(page)[0].size == len(page)


def test_complexity_and_application_change_what_is_encoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wyoming_tts.encoders.ogg.secrets.randbits", lambda _: 7)
    pcm = speech_like(12_000, 24_000)
    files = {
        b"".join(
            encode(pcm, 24_000, EncoderOptions(opus_complexity=complexity, opus_application=application))
        )
        for complexity in (0, 5, 10)
        for application in APPLICATIONS
    }
    assert len(files) == 6
    assert {len(decoded(file)) for file in files} == {24_000}


def test_a_closed_encoder_refuses_audio() -> None:
    encoder = make_encoder(Encoding.OPUS, 24_000)
    encoder.close()
    with pytest.raises(ValueError, match="closed"):
        encoder.encode(bytes(2 * 480))


def test_libopus_errors_are_told() -> None:
    with pytest.raises(RuntimeError, match="libopus: invalid argument"):
        libopus.OpusPackets(11_025, libopus.OpusOptions(48, 5, "audio"))


def test_without_libopus_libsndfile_encodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libopus, "is_installed", lambda: False)
    assert len(decoded(b"".join(encode(speech_like(24_000, 24_000), 24_000)))) == 48_000
