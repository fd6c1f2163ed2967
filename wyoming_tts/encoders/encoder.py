"""The encoder interface, the choice of an encoder by format, and PCM and WAV themselves."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

_Samples: TypeAlias = npt.NDArray[np.int16]


class Encoding(StrEnum):
    """The formats, by their names in OpenAI's API."""

    MP3 = "mp3"
    OPUS = "opus"
    """In Ogg."""
    AAC = "aac"
    """AAC-LC in ADTS; needs PyAV."""
    FLAC = "flac"
    WAV = "wav"
    PCM = "pcm"
    """Samples without a header."""

    @classmethod
    def _missing_(cls, value: object) -> Encoding | None:
        name = str(value).lower()
        return next((encoding for encoding in cls if encoding == name), None)


_MEDIA_TYPES = MappingProxyType(
    {
        Encoding.MP3: "audio/mpeg",
        Encoding.OPUS: "audio/ogg; codecs=opus",
        Encoding.AAC: "audio/aac",
        Encoding.FLAC: "audio/flac",
        Encoding.WAV: "audio/wav",
        Encoding.PCM: "audio/pcm",
    }
)
_UNKNOWN_LENGTH = 0xFFFF_FFFF
_EMPTY_SECONDS = 0.02
"""Silence encoded for an utterance without audio: decoders refuse an empty file."""


@dataclass(frozen=True, slots=True)
class EncoderOptions:
    """Bit rates in kbit/s. MP3 rounds to its next step; Opus varies around its value."""

    mp3_bitrate: int = 96
    opus_bitrate: int = 48
    opus_complexity: int = 5
    """0 to 10; as `opus_application`, only where the system has libopus."""
    opus_application: Literal["audio", "voip"] = "audio"


class Encoder(Protocol):
    """Encodes one utterance; used by one caller at a time, from any thread."""

    @property
    def rate(self) -> int:
        """Sample rate in Hz of the PCM it takes; it resamples if the format needs another one."""
        ...

    @property
    def is_cpu_bound(self) -> bool:
        """Whether `encode` and `finish` take too long for an event loop."""
        ...

    def encode(self, pcm: bytes) -> bytes:
        """Take 16-bit mono little-endian PCM, cut anywhere; return what is ready, possibly nothing."""
        ...

    def finish(self) -> bytes:
        """Return the rest; nothing can be encoded after that."""
        ...

    def head(self) -> bytes:
        """Return the first bytes of the finished file, which tell its length; empty where no bytes do.

        A stream begins before its length is known: who has kept it can put these in place of its first ones.
        """
        ...

    def close(self) -> None:
        """Free everything, finished or not; may be called twice."""
        ...


def media_type(encoding: Encoding) -> str:
    """Return the content type of a format."""
    return _MEDIA_TYPES[encoding]


def make_encoder(encoding: Encoding, rate: int, options: EncoderOptions | None = None) -> Encoder:
    """Make an encoder of PCM at `rate` Hz.

    Not for an event loop, except for PCM and WAV: the first of a kind takes up to 120 ms, for its imports. A
    format with a choice of rates gets a multiple of `rate`, else the next higher one, by soxr.

    Raises:
        Unsupported: this installation cannot write the format.
    """
    if encoding is Encoding.PCM:
        return _PcmEncoder(rate, b"")
    if encoding is Encoding.WAV:
        return _PcmEncoder(rate, wav_header(rate))
    return _make_codec_encoder(encoding, rate, options or EncoderOptions())


def wav_header(rate: int, data_bytes: int | None = None) -> bytes:
    """Return the 44 bytes before 16-bit mono PCM; without a length, those of an endless stream."""
    data = riff = _UNKNOWN_LENGTH
    if data_bytes is not None and data_bytes + 36 < _UNKNOWN_LENGTH:
        data, riff = data_bytes, data_bytes + 36
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16)
    return struct.pack("<4sI4s", b"RIFF", riff, b"WAVE") + form + struct.pack("<4sI", b"data", data)


class _PcmEncoder:
    """PCM as it is, after a header that may be empty."""

    is_cpu_bound = False

    def __init__(self, rate: int, header: bytes) -> None:
        self.rate = rate
        self._header = header
        self._has_header = bool(header)
        self._bytes = 0

    def encode(self, pcm: bytes) -> bytes:
        self._bytes += len(pcm)
        if not self._header:
            return pcm
        header, self._header = self._header, b""
        return header + pcm

    def finish(self) -> bytes:
        return self.encode(b"")

    def head(self) -> bytes:
        return wav_header(self.rate, self._bytes) if self._has_header else b""

    def close(self) -> None:
        pass


class _Codec(Protocol):
    """A codec of one format."""

    def write(self, samples: _Samples) -> None: ...

    def end(self) -> None:
        """Encode what is still buffered; called once."""
        ...

    def take(self) -> bytes:
        """Return what was encoded since the last call."""
        ...

    def head(self) -> bytes:
        """As `Encoder.head`, after `end`."""
        ...

    def close(self) -> None: ...


class _CodecEncoder:
    """Feeds a codec with whole samples at its rate, from PCM that is cut anywhere."""

    is_cpu_bound = True

    def __init__(self, rates: tuple[int, int], codec: _Codec) -> None:
        self.rate, codec_rate = rates
        self._codec = codec
        self._resampler = _resampler(*rates)
        self._odd_byte = b""
        self._is_empty = True
        self._min_samples = round(_EMPTY_SECONDS * codec_rate)

    def encode(self, pcm: bytes) -> bytes:
        pcm = self._odd_byte + pcm
        even = len(pcm) & ~1
        self._odd_byte = pcm[even:]
        self._convert(np.frombuffer(pcm[:even], "<i2").astype(np.int16, copy=False), last=False)
        return self._codec.take()

    def finish(self) -> bytes:
        self._convert(np.zeros(0, np.int16), last=True)
        if self._is_empty:
            self._codec.write(np.zeros(self._min_samples, np.int16))
        self._codec.end()
        return self._codec.take()

    def head(self) -> bytes:
        return self._codec.head()

    def close(self) -> None:
        self._codec.close()

    def _convert(self, samples: _Samples, *, last: bool) -> None:
        if self._resampler is not None:
            samples = self._resampler.resample_chunk(samples, last=last)
        if samples.size:
            self._is_empty = False
            self._codec.write(samples)


def _resampler(rate: int, target_rate: int) -> Any:
    if rate == target_rate:
        return None
    import soxr  # noqa: PLC0415 - imported only where two rates meet

    return soxr.ResampleStream(rate, target_rate, 1, dtype="int16")


def _make_codec_encoder(encoding: Encoding, rate: int, options: EncoderOptions) -> _CodecEncoder:
    # Each imports a library that not every server needs.
    if encoding is Encoding.AAC:
        from wyoming_tts.encoders.aac import AAC_RATES, AacCodec  # noqa: PLC0415

        codec_rate = _nearest(rate, AAC_RATES)
        return _CodecEncoder((rate, codec_rate), AacCodec(codec_rate))
    from wyoming_tts.encoders import libsndfile as files  # noqa: PLC0415

    if encoding is Encoding.FLAC:
        return _CodecEncoder((rate, rate), files.flac(rate))
    if encoding is Encoding.OPUS:
        codec_rate = _nearest(rate, files.OPUS_RATES)
        return _CodecEncoder((rate, codec_rate), _opus(codec_rate, options))
    codec_rate = _nearest(rate, files.MP3_RATES)
    return _CodecEncoder((rate, codec_rate), files.mp3(codec_rate, options.mp3_bitrate))


def _opus(rate: int, options: EncoderOptions) -> _Codec:
    """Make a codec through libopus, or, where the system has none, through the one inside libsndfile."""
    from wyoming_tts.encoders import libopus, ogg_opus  # noqa: PLC0415 - as above

    if libopus.is_installed():
        return ogg_opus.OggOpusCodec(rate, libopus.opus_options(options))
    from wyoming_tts.encoders import libsndfile  # noqa: PLC0415

    return libsndfile.opus(rate, options.opus_bitrate)


def _nearest(rate: int, rates: tuple[int, ...]) -> int:
    """Choose a multiple of the rate, else the next higher one, else the highest."""
    multiples = (each for each in rates if each % rate == 0)
    above = (each for each in rates if each > rate)
    return next(multiples, next(above, rates[-1]))
