"""Decoding of PCM that other servers stream, bare or as WAV, in pieces of any size."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from wyoming_tts import audio
from wyoming_tts.speech import Samples

RATES = range(4_000, 192_001)
"""Sample rates that are accepted, in Hz."""

_PIECE_BYTES = 8_192
"""Converted in one go: well under a millisecond of work on the event loop."""
_FULL_SCALE = np.float32(32_767.0)

_MAX_HEADER_BYTES = 65_536
_RIFF = struct.Struct("<4sI4s")
_CHUNK = struct.Struct("<4sI")
_FORMAT = struct.Struct("<HHIIHH")
_INTEGERS = (1, 0xFFFE)
"""Format codes of plain PCM, and of the extensible format."""
_SAMPLE_BITS = 16
_UNKNOWN_LENGTH = 0x7FFF_0000
"""Streams whose length is not yet known state 0, or at least this."""


class NotPcm(Exception):
    """The audio is not 16-bit mono PCM, or ends too early."""


class PcmDecoder:
    """Decoder of 16-bit little-endian mono PCM, resampled to the output rate."""

    def __init__(self, rate: int, output_rate: int) -> None:
        """Make it for audio of `rate`; both rates in Hz.

        Raises:
            NotPcm: `rate` is no sample rate.
        """
        if rate not in RATES:
            raise NotPcm(f"a sample rate of {rate} Hz")
        self.rate = rate
        """Hz of the audio that is fed."""
        self._resampler = None if rate == output_rate else audio.Resampler(rate, output_rate)
        self._odd = b""

    def feed(self, data: bytes) -> Iterator[Samples]:
        """Yield the samples decoded by now, in small pieces that are never empty."""
        data = self._odd + data
        whole = len(data) - len(data) % 2
        self._odd = data[whole:]
        for start in range(0, whole, _PIECE_BYTES):
            piece = data[start : min(start + _PIECE_BYTES, whole)]
            yield from _samples(self._resampler.feed(piece) if self._resampler else piece)

    def finish(self) -> Iterator[Samples]:
        """Yield the rest."""
        if self._resampler:
            yield from _samples(self._resampler.finish())


def _samples(pcm: bytes) -> Iterator[Samples]:
    if pcm:
        yield np.frombuffer(pcm, "<i2").astype(np.float32) / _FULL_SCALE


@dataclass(frozen=True, slots=True)
class _Wav:
    rate: int
    start: int
    """Bytes before the samples."""
    length: int | None
    """Bytes of samples; None if the header does not state it."""


class AudioBodyDecoder:
    """Decoder of a response body: bare PCM, or WAV, whose header states the rate."""

    def __init__(self, bare_rate: int, output_rate: int) -> None:
        """Take the rate of PCM without a header, and the rate to return; both in Hz."""
        self._bare_rate = bare_rate
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
            raise NotPcm("WAV that ends too early")
        if self._decoder is None:
            self._decoder = PcmDecoder(self._bare_rate, self._output_rate)
            yield from self._decoder.feed(self._head)
        yield from self._decoder.finish()

    def _begins_as_wav(self) -> bool:
        return self._head.startswith(b"RIFF") and self._head[8:12] == b"WAVE"

    def _after_head(self) -> bytes:
        """The audio after the header; nothing until the header is complete."""
        if len(self._head) < _RIFF.size:
            return b""
        if not self._begins_as_wav():
            return self._begin(self._bare_rate, 0)
        wav = _parse_wav(self._head)
        if wav is None:
            return b""
        self._missing = wav.length
        return self._begin(wav.rate, wav.start)

    def _begin(self, rate: int, start: int) -> bytes:
        self._decoder = PcmDecoder(rate, self._output_rate)
        data, self._head = self._head[start:], b""
        return data


def _parse_wav(head: bytes) -> _Wav | None:
    """Parse the header; None while it is incomplete."""
    at, rate = _RIFF.size, None
    while len(head) >= at + _CHUNK.size:
        name, size = _CHUNK.unpack_from(head, at)
        at += _CHUNK.size
        if name == b"data" and rate is not None:
            return _Wav(rate, at, size if 0 < size < _UNKNOWN_LENGTH else None)
        if name == b"fmt ":
            if len(head) < at + _FORMAT.size:
                return None
            rate = _parse_format(head, at)
        at += size + size % 2
    if max(at, len(head)) > _MAX_HEADER_BYTES:
        raise NotPcm("WAV without audio data")
    return None


def _parse_format(head: bytes, at: int) -> int:
    code, channels, rate, _, _, bits = _FORMAT.unpack_from(head, at)
    if code not in _INTEGERS or channels != 1 or bits != _SAMPLE_BITS:
        raise NotPcm(f"WAV of {bits}-bit samples, {channels} channel(s), coded as {code}")
    return int(rate)
