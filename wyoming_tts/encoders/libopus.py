"""Opus packets, encoded by libopus through ctypes.

Libsndfile always encodes with complexity 10, which costs several times the CPU time of 5, and hands out no
packets.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from wyoming_tts.encoders.encoder import EncoderOptions
from wyoming_tts.encoders.frame_buffer import FrameBuffer

_Samples: TypeAlias = npt.NDArray[np.int16]
OPUS_RATES = (8000, 12_000, 16_000, 24_000, 48_000)
_LIBRARIES = ("libopus.so.0", "libopus.0.dylib")
_APPLICATIONS = {"voip": 2048, "audio": 2049}
_SET_BITRATE, _SET_COMPLEXITY, _GET_LOOKAHEAD, _SET_LSB_DEPTH = 4002, 4010, 4027, 4036
_BITRATES = (6, 256)
_FRAMES_PER_SECOND = 50
_MAX_PACKET = 1275


@dataclass(frozen=True, slots=True)
class OpusOptions:
    """How libopus encodes."""

    kbits: int
    complexity: int
    """0 is the cheapest, 10 the dearest."""
    application: str
    """`audio` or `voip`."""


def opus_options(options: EncoderOptions) -> OpusOptions:
    """Return what concerns Opus of the options of all encoders."""
    return OpusOptions(options.opus_bitrate, options.opus_complexity, options.opus_application)


def is_installed() -> bool:
    """Return whether the system has libopus."""
    return _library() is not None


class OpusPacket(NamedTuple):
    """A packet, and how much audio can be heard once it is decoded."""

    data: bytes
    samples: int
    """Samples of the source that it adds: less than a frame where the encoder's delay or padding is in it."""


class OpusPackets:
    """Mono samples as packets of 20 ms, at 8, 12, 16, 24 or 48 kHz; for one caller at a time.

    Who decodes them skips the first `lookahead` samples; as many as were encoded follow, and then padding.
    """

    def __init__(self, rate: int, options: OpusOptions) -> None:
        self._encoder = _Encoder(rate, options)
        self.version = self._encoder.version
        self.lookahead = self._encoder.lookahead
        """Samples that come before the audio."""
        self.frame = rate // _FRAMES_PER_SECOND
        """Samples of a packet."""
        self.samples = 0
        """Samples that were given to be encoded."""
        self._frames = FrameBuffer(self.frame)
        self._decodable = -self.lookahead

    def encode(self, samples: _Samples) -> list[OpusPacket]:
        """Return the packets that are full; the rest is kept."""
        self.samples += len(samples)
        return [self._packet(frame) for frame in self._frames.cut(samples)]

    def end(self) -> list[OpusPacket]:
        """Return the rest, padded with silence, and what the encoder's delay holds back; called once."""
        missing = len(self._frames) + self.lookahead
        silence = np.zeros(self.lookahead + -missing % self.frame, np.int16)
        return [self._packet(frame) for frame in self._frames.cut(silence)]

    def close(self) -> None:
        """Free the encoder; may be called twice."""
        self._encoder.close()

    def _packet(self, frame: _Samples) -> OpusPacket:
        before = min(max(self._decodable, 0), self.samples)
        self._decodable += self.frame
        return OpusPacket(self._encoder.encode(frame), min(max(self._decodable, 0), self.samples) - before)


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
