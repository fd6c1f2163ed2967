"""PCM as other servers send it, bare or as WAV, however it was cut into pieces."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from wyoming_tts import audio
from wyoming_tts.speech import Samples

RATES = range(4_000, 192_001)
"""Hz that are taken for a sample rate."""

_PIECE_BYTES = 8_192
"""What is converted in one go: well under a millisecond of work on the event loop."""
_FULL_SCALE = np.float32(32_767.0)

_MOST_HEADER = 65_536
_RIFF = struct.Struct("<4sI4s")
_CHUNK = struct.Struct("<4sI")
_FORMAT = struct.Struct("<HHIIHH")
_INTEGERS = (1, 0xFFFE)
"""Codes of plain PCM, and of a header that says more of it behind."""
_SAMPLE_BITS = 16
_LEAST_UNKNOWN = 0x7FFF_0000
"""Streams write a length as great as this, or none, where they do not know it yet."""


class NotPcm(Exception):
    """What came is not 16-bit mono PCM, or ends before it should."""


class SampleReader:
    """Bytes of 16-bit little-endian mono PCM to samples at the rate that is wanted."""

    def __init__(self, rate: int, wanted: int) -> None:
        """Both rates in Hz.

        Raises:
            NotPcm: the first is no sample rate.
        """
        if rate not in RATES:
            raise NotPcm(f"a sample rate of {rate} Hz")
        self.rate = rate
        """Hz of what comes."""
        self._resampler = None if rate == wanted else audio.Resampler(rate, wanted)
        self._odd = b""

    def feed(self, data: bytes) -> Iterator[Samples]:
        """Give what can be said by now, in small pieces, none of them empty."""
        data = self._odd + data
        whole = len(data) - len(data) % 2
        self._odd = data[whole:]
        for start in range(0, whole, _PIECE_BYTES):
            piece = data[start : min(start + _PIECE_BYTES, whole)]
            yield from _samples(self._resampler.feed(piece) if self._resampler else piece)

    def finish(self) -> Iterator[Samples]:
        """Give the rest."""
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
    """Bytes of samples; None where the header does not know."""


class AnswerReader:
    """The body of an answer to samples: bare PCM, or WAV, which tells its own rate."""

    def __init__(self, bare_rate: int, wanted: int) -> None:
        """Rates in Hz: what PCM without a header has, and what is to come out."""
        self._bare_rate = bare_rate
        self._wanted = wanted
        self._head = b""
        self._missing: int | None = None
        self._reader: SampleReader | None = None

    def feed(self, data: bytes) -> Iterator[Samples]:
        """Give what can be said by now, in small pieces, none of them empty.

        Raises:
            NotPcm: it is WAV of another kind.
        """
        if self._reader is None:
            self._head += data
            data = self._after_head()
        if self._reader is None:
            return
        if self._missing is not None:
            data = data[: self._missing]
            self._missing -= len(data)
        yield from self._reader.feed(data)

    def finish(self) -> Iterator[Samples]:
        """Give the rest.

        Raises:
            NotPcm: there is less of it than its header said.
        """
        if self._missing or (self._reader is None and self._begins_as_wav()):
            raise NotPcm("WAV that ends too early")
        if self._reader is None:
            self._reader = SampleReader(self._bare_rate, self._wanted)
            yield from self._reader.feed(self._head)
        yield from self._reader.finish()

    def _begins_as_wav(self) -> bool:
        return self._head.startswith(b"RIFF") and self._head[8:12] == b"WAVE"

    def _after_head(self) -> bytes:
        """Take the header off; nothing comes while it is not there as a whole."""
        if len(self._head) < _RIFF.size:
            return b""
        if not self._begins_as_wav():
            return self._begin(self._bare_rate, 0)
        wav = _wav(self._head)
        if wav is None:
            return b""
        self._missing = wav.length
        return self._begin(wav.rate, wav.start)

    def _begin(self, rate: int, start: int) -> bytes:
        self._reader = SampleReader(rate, self._wanted)
        data, self._head = self._head[start:], b""
        return data


def _wav(head: bytes) -> _Wav | None:
    """The header, None while more of it is needed."""
    at, rate = _RIFF.size, None
    while len(head) >= at + _CHUNK.size:
        name, size = _CHUNK.unpack_from(head, at)
        at += _CHUNK.size
        if name == b"data" and rate is not None:
            return _Wav(rate, at, size if 0 < size < _LEAST_UNKNOWN else None)
        if name == b"fmt ":
            if len(head) < at + _FORMAT.size:
                return None
            rate = _rate_of(head, at)
        at += size + size % 2
    if max(at, len(head)) > _MOST_HEADER:
        raise NotPcm("WAV whose samples do not begin")
    return None


def _rate_of(head: bytes, at: int) -> int:
    code, channels, rate, _, _, bits = _FORMAT.unpack_from(head, at)
    if code not in _INTEGERS or channels != 1 or bits != _SAMPLE_BITS:
        raise NotPcm(f"WAV of {bits}-bit samples, {channels} channel(s), coded as {code}")
    return int(rate)
