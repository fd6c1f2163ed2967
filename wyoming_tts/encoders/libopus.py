"""Opus in Ogg (RFC 7845), encoded by libopus through ctypes.

Libsndfile always encodes with complexity 10, which costs several times the CPU time of 5, and it holds
the first page back until it is full.
"""

from __future__ import annotations

import ctypes
import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from wyoming_tts.encoders.ogg import OggStream

_Samples: TypeAlias = npt.NDArray[np.int16]
_LIBRARIES = ("libopus.so.0", "libopus.0.dylib")
_APPLICATIONS = {"voip": 2048, "audio": 2049}
_SET_BITRATE, _SET_COMPLEXITY, _GET_LOOKAHEAD, _SET_LSB_DEPTH = 4002, 4010, 4027, 4036
_BITRATES = (6, 256)
_GRANULE_RATE = 48_000
_FRAMES_PER_SECOND = 50
_MAX_PACKET = 1275
_PACKETS_ON_PAGES = (1, 2)
"""Of the first pages with audio, so that a listener hears the beginning at once."""
_PACKETS_ON_LATER_PAGES = 5


@dataclass(frozen=True, slots=True)
class OpusOptions:
    """How libopus encodes."""

    kbits: int
    complexity: int
    """0 is the cheapest, 10 the dearest."""
    application: str
    """`audio` or `voip`."""


def is_installed() -> bool:
    """Return whether the system has libopus."""
    return _library() is not None


class LibopusCodec:
    """A codec for Opus in Ogg, at 8, 12, 16, 24 or 48 kHz."""

    def __init__(self, rate: int, options: OpusOptions) -> None:
        self._encoder = _Encoder(rate, options)
        self._ogg = OggStream()
        self._granules_per_sample = _GRANULE_RATE // rate
        self._frame = rate // _FRAMES_PER_SECOND
        self._rest = np.zeros(0, np.int16)
        self._samples = 0
        self._packets: list[bytes] = []
        self._packets_before = 0
        self._page_sizes = list(_PACKETS_ON_PAGES)
        self._written = bytearray()
        self._write_headers(rate)

    def write(self, samples: _Samples) -> None:
        """Encode full frames of mono samples; buffer the rest."""
        self._samples += len(samples)
        self._encode(np.concatenate([self._rest, samples]))

    def end(self) -> None:
        """Encode what is still buffered and what the encoder's delay holds back; called once."""
        missing = len(self._rest) + self._encoder.lookahead
        padding = -missing % self._frame + self._encoder.lookahead
        self._encode(np.concatenate([self._rest, np.zeros(padding, np.int16)]), last=True)
        # The end of the audio, inside the last packet: players drop the padding after it.
        end = (self._encoder.lookahead + self._samples) * self._granules_per_sample
        self._written += self._ogg.page(self._packets, end, last=True)
        self._packets = []

    def take(self) -> bytes:
        """Return what was encoded since the last call."""
        taken = bytes(self._written)
        self._written.clear()
        return taken

    def head(self) -> bytes:
        """Return nothing: an Ogg file's length is the position of its last page."""
        return b""

    def close(self) -> None:
        """Free the encoder; may be called twice."""
        self._encoder.close()

    def _write_headers(self, rate: int) -> None:
        pre_skip = self._encoder.lookahead * self._granules_per_sample
        head = struct.pack("<8sBBHIhB", b"OpusHead", 1, 1, pre_skip, rate, 0, 0)
        vendor = self._encoder.version
        tags = struct.pack("<8sI", b"OpusTags", len(vendor)) + vendor + bytes(4)
        self._written += self._ogg.page([head], 0) + self._ogg.page([tags], 0)

    def _encode(self, samples: _Samples, *, last: bool = False) -> None:
        full = len(samples) // self._frame * self._frame
        for start in range(0, full, self._frame):
            self._flush_full_page()
            self._packets.append(self._encoder.encode(samples[start : start + self._frame]))
        self._rest = samples[full:]
        if not last:
            self._flush_full_page()

    def _flush_full_page(self) -> None:
        size = self._page_sizes[0] if self._page_sizes else _PACKETS_ON_LATER_PAGES
        if len(self._packets) < size:
            return
        self._packets_before += len(self._packets)
        granule = self._packets_before * self._frame * self._granules_per_sample
        self._written += self._ogg.page(self._packets, granule)
        self._packets = []
        self._page_sizes = self._page_sizes[1:]


class _Encoder:
    """Libopus's encoder of mono samples."""

    def __init__(self, rate: int, options: OpusOptions) -> None:
        library = _library()
        if library is None:
            raise OSError("libopus is not installed")
        self._library = library
        self.version: bytes = library.opus_get_version_string()
        error = ctypes.c_int()
        application = _APPLICATIONS[options.application]
        self._state: int | None = library.opus_encoder_create(rate, 1, application, ctypes.byref(error))
        self._check(error.value)
        self._set(_SET_BITRATE, 1000 * min(max(options.kbits, _BITRATES[0]), _BITRATES[1]))
        self._set(_SET_COMPLEXITY, options.complexity)
        self._set(_SET_LSB_DEPTH, 16)
        self.lookahead = self._lookahead()
        self._packet = ctypes.create_string_buffer(_MAX_PACKET)

    def __del__(self) -> None:
        if getattr(self, "_state", None) is not None:
            self.close()

    def encode(self, samples: _Samples) -> bytes:
        """Return the packet of one frame."""
        if self._state is None:
            raise ValueError("the encoder is closed")
        frame = np.ascontiguousarray(samples, np.int16)
        size: int = self._library.opus_encode(
            self._state, frame.ctypes.data, len(frame), self._packet, _MAX_PACKET
        )
        self._check(min(size, 0))
        return ctypes.string_at(self._packet, size)

    def close(self) -> None:
        """Free the state; may be called twice."""
        state, self._state = self._state, None
        if state is not None:
            self._library.opus_encoder_destroy(state)

    def _set(self, request: int, value: int) -> None:
        self._check(self._library.opus_encoder_ctl(self._state, request, ctypes.c_int(value)))

    def _lookahead(self) -> int:
        """Return the samples by which decoded audio is late."""
        value = ctypes.c_int()
        self._check(self._library.opus_encoder_ctl(self._state, _GET_LOOKAHEAD, ctypes.byref(value)))
        return value.value

    def _check(self, error: int) -> None:
        if error:
            raise RuntimeError(f"libopus: {self._library.opus_strerror(error).decode()}")


@lru_cache(maxsize=1)
def _library() -> ctypes.CDLL | None:
    for name in _LIBRARIES:
        try:
            return _declared(ctypes.CDLL(name))
        except (OSError, AttributeError):  # not there, or another library of that name
            continue
    return None


def _declared(library: ctypes.CDLL) -> ctypes.CDLL:
    """Declare the types of what is called; ctypes takes every pointer for a 32-bit number otherwise."""
    pointer, number = ctypes.c_void_p, ctypes.c_int
    library.opus_get_version_string.restype = ctypes.c_char_p
    library.opus_strerror.restype = ctypes.c_char_p
    library.opus_encoder_create.restype = pointer
    library.opus_encoder_create.argtypes = [number, number, number, pointer]
    library.opus_encoder_ctl.argtypes = [pointer, number]  # and one more, of the request's type
    library.opus_encoder_destroy.argtypes = [pointer]
    library.opus_encode.argtypes = [pointer, pointer, number, pointer, ctypes.c_int32]
    return library
