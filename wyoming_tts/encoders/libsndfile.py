"""FLAC, MP3 and Opus, encoded by libsndfile through soundfile.

libsndfile writes to files. Here the file is a sink that hands out what was written, and tolerates that the
writer seeks back at the end to headers, which a stream does not need; FLAC's is kept for who has the whole.
"""

from __future__ import annotations

from io import SEEK_CUR, SEEK_END, SEEK_SET
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import soundfile

_Samples: TypeAlias = npt.NDArray[np.int16]
MP3_RATES = (8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
OPUS_RATES = (8000, 12_000, 16_000, 24_000, 48_000)
_MP3_RANGES = ((32_000, 32, 320), (16_000, 8, 160), (0, 8, 64))
"""Lowest sample rate, and the lowest and highest bit rate in kbit/s from there on (MPEG 1, 2 and 2.5)."""
_OPUS_RANGE = (6.0, 256.0)
_MAX_COMPRESSION = 0.9999
"""At 1.0 LAME refuses its own lowest bit rate."""
_STREAMINFO_END = 42
"""Bytes of a FLAC file's mark and its first block."""
_OGG_PAGE_MS = 100.0
_SFC_SET_OGG_PAGE_LATENCY_MS = 0x1302
_LAME_DELAY = 576
_MP3_TAG = b"Info" + bytes(4) + b"LAME3.100" + bytes(12) + (_LAME_DELAY << 12).to_bytes(3, "big")
"""Without optional fields; the last three bytes are the samples to skip at both ends."""


def flac(rate: int) -> LibsndfileCodec:
    """Make a codec for 16-bit FLAC at any rate."""
    return LibsndfileCodec(_FlacSink(), rate, "FLAC", "PCM_16")


def mp3(rate: int, kbits: int) -> LibsndfileCodec:
    """Make a codec for MP3 of a constant bit rate, at one of MP3_RATES."""
    low, high = next((low, high) for least, low, high in _MP3_RANGES if rate >= least)
    compression = _compression(kbits, low, high)
    return LibsndfileCodec(
        _Mp3Sink(rate), rate, "MP3", "MPEG_LAYER_III", compression=compression, mode="CONSTANT"
    )


def opus(rate: int, kbits: int) -> LibsndfileCodec:
    """Make a codec for Opus in Ogg, at one of OPUS_RATES."""
    codec = LibsndfileCodec(_Sink(), rate, "OGG", "OPUS", compression=_compression(kbits, *_OPUS_RANGE))
    codec.set_page_latency(_OGG_PAGE_MS)
    return codec


def _compression(kbits: float, low: float, high: float) -> float:
    """Return libsndfile's compression level for a bit rate: 0 is the highest rate, 1 the lowest."""
    return min(max((high - kbits) / (high - low), 0.0), _MAX_COMPRESSION)


class _Sink:
    """A write-only file that holds only what was not taken yet.

    The writer may seek back: what it writes over bytes that were taken is dropped.
    """

    def __init__(self) -> None:
        self._held = bytearray()
        self._taken = 0
        self._position = 0

    def take(self) -> bytes:
        taken = bytes(self._held)
        self._held.clear()
        self._taken += len(taken)
        return taken

    def head(self) -> bytes:
        """Return the beginning of the finished file if it tells the length, else nothing."""
        return b""

    def write(self, data: bytes) -> int:
        start = self._position - self._taken
        fresh = data[-start:] if start < 0 else data
        start = max(start, 0)
        self._held[start : start + len(fresh)] = fresh
        self._position += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        bases = {SEEK_SET: 0, SEEK_CUR: self._position, SEEK_END: self._taken + len(self._held)}
        self._position = bases[whence] + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def read(self, _size: int = -1) -> bytes:
        """Required by soundfile of a file object; a writer does not call it."""
        return b""


class _FlacSink(_Sink):
    """Remembers the beginning as the writer leaves it: the STREAMINFO with length and checksum."""

    def __init__(self) -> None:
        super().__init__()
        self._head = bytearray(_STREAMINFO_END)

    def write(self, data: bytes) -> int:
        start = self._position
        if start < _STREAMINFO_END:
            beginning = data[: _STREAMINFO_END - start]
            self._head[start : start + len(beginning)] = beginning
        return super().write(data)

    def head(self) -> bytes:
        return bytes(self._head)


class _Mp3Sink(_Sink):
    """Writes a LAME tag into the empty first frame, which LAME itself would only fill in at the end.

    The tag only has the encoder delay: players then skip these samples and the empty frame, together some 100
    ms of silence. Layout: the LAME tag's specification, revision 1. Below 64 kbit/s a frame has no room for
    it, and LAME writes none.
    """

    def __init__(self, rate: int) -> None:
        super().__init__()
        mpeg1_rate = 32_000
        self._at = 4 + (17 if rate >= mpeg1_rate else 9)

    def take(self) -> bytes:
        if self._taken == 0 and not any(self._held[4 : self._at + len(_MP3_TAG)]):
            self._tag()
        return super().take()

    def _tag(self) -> None:
        if len(self._held) >= self._at + len(_MP3_TAG):
            self._held[self._at : self._at + len(_MP3_TAG)] = _MP3_TAG


class LibsndfileCodec:
    """A codec for a format of libsndfile."""

    def __init__(
        self,
        sink: _Sink,
        rate: int,
        container: str,
        codec: str,
        *,
        compression: float | None = None,
        mode: str | None = None,
    ) -> None:
        self._sink = sink
        self._file = soundfile.SoundFile(
            sink,
            "w",
            samplerate=rate,
            channels=1,
            format=container,
            subtype=codec,
            compression_level=compression,
            bitrate_mode=mode,
        )

    def set_page_latency(self, milliseconds: float) -> None:
        """Close an Ogg page after this much audio; libsndfile's own choice is a second.

        Soundfile has no public API for that.
        """
        library, ffi = soundfile._snd, soundfile._ffi  # noqa: SLF001
        value = ffi.new("double *", milliseconds)
        library.sf_command(self._file._file, _SFC_SET_OGG_PAGE_LATENCY_MS, value, 8)  # noqa: SLF001

    def write(self, samples: _Samples) -> None:
        """Encode mono int16 samples."""
        self._file.write(samples)

    def end(self) -> None:
        """Encode what is still buffered; called once."""
        self._file.close()

    def take(self) -> bytes:
        """Return what was encoded since the last call."""
        return self._sink.take()

    def head(self) -> bytes:
        """As `Encoder.head`, after `end`."""
        return self._sink.head()

    def close(self) -> None:
        """Close the encoder; may be called twice."""
        self._file.close()
