"""AAC-LC in ADTS frames, encoded by FFmpeg through PyAV."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from wyoming_tts.encoders.frame_buffer import FrameBuffer
from wyoming_tts.errors import Unsupported
from wyoming_tts.messages import Message

_Samples: TypeAlias = npt.NDArray[np.int16]
AAC_RATES = (44_100, 48_000)
"""An AAC frame is 1024 samples, and ADTS cannot say that the first of them are the encoder's own: at low
rates a listener would wait long for the first frame, and then hear 64 ms of silence."""
_BITRATE = 64_000
_FRAME = 1024
_FULL_SCALE = 32_768.0


class AacCodec:
    """AAC-LC, each frame after an ADTS header."""

    def __init__(self, rate: int) -> None:
        try:
            import av  # noqa: PLC0415 - an optional dependency of 100 MB
        except ImportError:
            raise Unsupported(
                Message("no_aac", "This server cannot encode AAC: PyAV is not installed."),
                hint=Message(
                    "install_aac",
                    "Install it with `pip install wyoming-tts[aac]`, or ask for mp3, opus, flac or wav.",
                ),
            ) from None
        self._av = av
        self._context = av.CodecContext.create("aac", "w")
        self._context.sample_rate = rate
        self._context.layout = "mono"
        self._context.format = "fltp"
        self._context.bit_rate = _BITRATE
        self._context.open()
        self._rate = rate
        self._frames = FrameBuffer(_FRAME)
        self._position = 0
        self._written = bytearray()

    def write(self, samples: _Samples) -> None:
        """Encode full frames; buffer the rest."""
        for frame in self._frames.cut(samples):
            self._encode(frame)

    def end(self) -> None:
        """Encode what is still buffered; called once."""
        if len(self._frames):
            self._encode(self._frames.take_rest())
        self._keep(self._context.encode(None))

    def take(self) -> bytes:
        """Return what was encoded since the last call."""
        taken = bytes(self._written)
        self._written.clear()
        return taken

    def head(self) -> bytes:
        """Return nothing: ADTS has no header that tells the length."""
        return b""

    def close(self) -> None:
        """Drop what was not taken."""
        self._written.clear()

    def _encode(self, samples: _Samples) -> None:
        planar = (samples.astype(np.float32) / _FULL_SCALE)[np.newaxis]
        frame = self._av.AudioFrame.from_ndarray(planar, format="fltp", layout="mono")
        frame.sample_rate = self._rate
        frame.pts = self._position
        self._position += len(samples)
        self._keep(self._context.encode(frame))

    def _keep(self, packets: list[Any]) -> None:
        for packet in packets:
            data = bytes(packet)
            self._written += _adts_header(len(data), self._rate) + data


def _adts_header(data_bytes: int, rate: int) -> bytes:
    """Return the seven bytes before an AAC-LC mono frame, without checksum (ISO/IEC 14496-3, 1.A.2.2)."""
    rate_index = {48_000: 3, 44_100: 4}[rate]
    fields = (
        (12, 0xFFF),  # sync word
        (4, 0b0001),  # MPEG-4, layer 0, no checksum
        (2, 1),  # AAC-LC
        (4, rate_index),
        (1, 0),  # private
        (3, 1),  # one channel
        (4, 0),  # original, home, copyright bit and start
        (13, data_bytes + 7),
        (11, 0x7FF),  # buffer fullness: variable rate
        (2, 0),  # one block
    )
    bits = 0
    for width, value in fields:
        bits = bits << width | value
    return bits.to_bytes(7, "big")
