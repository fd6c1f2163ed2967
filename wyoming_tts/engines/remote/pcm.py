"""Decoding of PCM that other servers stream, bare or as WAV, in pieces of any size."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from wyoming_tts import audio
from wyoming_tts.messages import Message
from wyoming_tts.speech import Samples

RATES = range(4_000, 192_001)
"""Sample rates that are accepted, in Hz."""

SampleFormat: TypeAlias = Literal["s16le", "f32le"]
"""Whole numbers of 16 bits, or floating-point numbers of 32 bits from -1 to 1; little-endian."""

_PIECE_BYTES = 8_192
"""Converted in one go: well under a millisecond of work on the event loop."""
_FULL_SCALE = np.float32(32_767.0)

_MAX_HEADER_BYTES = 65_536
_RIFF = struct.Struct("<4sI4s")
_CHUNK = struct.Struct("<4sI")
_FORMAT = struct.Struct("<HHIIHH")
_INTEGERS = (1, 0xFFFE)
"""Format codes of plain PCM, and of the extensible format."""
_FLOATS = 3
_SAMPLE_BITS, _FLOAT_BITS = 16, 32
_UNKNOWN_LENGTH = 0x7FFF_0000
"""Streams whose length is not yet known state 0, or at least this."""


class NotPcm(Exception):
    """The audio is not mono PCM of 16 bits or of floating-point numbers, or ends too early."""


@dataclass(frozen=True, slots=True)
class PcmFormat:
    """What a stream of mono PCM is, which says nothing of itself."""

    rate: int
    """Hz."""
    sample: SampleFormat = "s16le"

    @property
    def sample_bytes(self) -> int:
        """Bytes of a sample."""
        return 2 if self.sample == "s16le" else 4


class PcmDecoder:
    """Decoder of little-endian mono PCM, resampled to the output rate."""

    def __init__(self, pcm: PcmFormat, output_rate: int) -> None:
        """Make it for audio of a format; the rate of what it returns is in Hz.

        Raises:
            NotPcm: its rate is no sample rate.
        """
        if pcm.rate not in RATES:
            raise NotPcm(Message("a_rate_of", "a sample rate of {rate} Hz", rate=pcm.rate))
        self.rate = pcm.rate
        """Hz of the audio that is fed."""
        self._sample = pcm
        self._resampler = None if pcm.rate == output_rate else audio.Resampler(pcm.rate, output_rate)
        self._odd = b""

    def feed(self, data: bytes) -> Iterator[Samples]:
        """Yield the samples decoded by now, in small pieces that are never empty."""
        data = self._odd + data
        whole = len(data) - len(data) % self._sample.sample_bytes
        self._odd = data[whole:]
        for start in range(0, whole, _PIECE_BYTES):
            piece = data[start : min(start + _PIECE_BYTES, whole)]
            if self._sample.sample == "f32le":
                piece = _to_integers(piece)
            yield from _samples(self._resampler.feed(piece) if self._resampler else piece)

    def finish(self) -> Iterator[Samples]:
        """Yield the rest."""
        if self._resampler:
            yield from _samples(self._resampler.finish())


def _to_integers(pcm: bytes) -> bytes:
    """Return the samples of floating-point numbers, from -1 to 1, as 16 bits."""
    samples = np.nan_to_num(np.frombuffer(pcm, "<f4"), nan=0.0, posinf=1.0, neginf=-1.0)
    return bytes(np.rint(np.clip(samples, -1.0, 1.0) * _FULL_SCALE).astype("<i2").tobytes())


def _samples(pcm: bytes) -> Iterator[Samples]:
    if pcm:
        yield np.frombuffer(pcm, "<i2").astype(np.float32) / _FULL_SCALE


@dataclass(frozen=True, slots=True)
class _Wav:
    pcm: PcmFormat
    start: int
    """Bytes before the samples."""
    length: int | None
    """Bytes of samples; None if the header does not state it."""


class AudioBodyDecoder:
    """Decoder of a response body: bare PCM, or WAV, whose header states the rate."""

    def __init__(self, bare: PcmFormat, output_rate: int) -> None:
        """Take what PCM without a header is, and the rate to return, in Hz."""
        self._bare = bare
        self._output_rate = output_rate
        self._head = b""
        self._missing: int | None = None
        self._decoder: PcmDecoder | None = None

    def feed(self, data: bytes) -> Iterator[Samples]:
        """Yield the samples decoded by now, in small pieces that are never empty.

        Raises:
            NotPcm: it is WAV of another format.
        """
        if self._decoder is None:
            self._head += data
            data = self._after_head()
        if self._decoder is None:
            return
        if self._missing is not None:
            data = data[: self._missing]
            self._missing -= len(data)
        yield from self._decoder.feed(data)

    def finish(self) -> Iterator[Samples]:
        """Yield the rest.

        Raises:
            NotPcm: it is shorter than its header said.
        """
        if self._missing or (self._decoder is None and self._begins_as_wav()):
            raise NotPcm(Message("wav_cut_off", "WAV that ends too early"))
        if self._decoder is None:
            self._decoder = PcmDecoder(self._bare, self._output_rate)
            yield from self._decoder.feed(self._head)
        yield from self._decoder.finish()

    def _begins_as_wav(self) -> bool:
        return self._head.startswith(b"RIFF") and self._head[8:12] == b"WAVE"

    def _after_head(self) -> bytes:
        """The audio after the header; nothing until the header is complete."""
        if len(self._head) < _RIFF.size:
            return b""
        if not self._begins_as_wav():
            return self._begin(self._bare, 0)
        wav = _parse_wav(self._head)
        if wav is None:
            return b""
        self._missing = wav.length
        return self._begin(wav.pcm, wav.start)

    def _begin(self, pcm: PcmFormat, start: int) -> bytes:
        self._decoder = PcmDecoder(pcm, self._output_rate)
        data, self._head = self._head[start:], b""
        return data


def _parse_wav(head: bytes) -> _Wav | None:
    """Parse the header; None while it is incomplete."""
    at, pcm = _RIFF.size, None
    while len(head) >= at + _CHUNK.size:
        name, size = _CHUNK.unpack_from(head, at)
        at += _CHUNK.size
        if name == b"data" and pcm is not None:
            return _Wav(pcm, at, size if 0 < size < _UNKNOWN_LENGTH else None)
        if name == b"fmt ":
            if len(head) < at + _FORMAT.size:
                return None
            pcm = _parse_format(head, at)
        at += size + size % 2
    if max(at, len(head)) > _MAX_HEADER_BYTES:
        raise NotPcm(Message("wav_empty", "WAV without audio data"))
    return None


def _parse_format(head: bytes, at: int) -> PcmFormat:
    code, channels, rate, _, _, bits = _FORMAT.unpack_from(head, at)
    if channels == 1 and code == _FLOATS and bits == _FLOAT_BITS:
        return PcmFormat(int(rate), "f32le")
    if code not in _INTEGERS or channels != 1 or bits != _SAMPLE_BITS:
        raise NotPcm(
            Message(
                "wav_of",
                "WAV of {bits}-bit samples, {channels} channel(s), coded as {code}",
                bits=bits,
                channels=channels,
                code=code,
            )
        )
    return PcmFormat(int(rate))
