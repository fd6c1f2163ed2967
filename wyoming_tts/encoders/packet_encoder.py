"""Opus packets without a container, for transports whose own messages frame them."""

from __future__ import annotations

import numpy as np

from wyoming_tts.encoders import libopus
from wyoming_tts.encoders.encoder import EncoderOptions
from wyoming_tts.encoders.libopus import OPUS_RATES, OpusPacket, OpusPackets
from wyoming_tts.encoders.ogg_opus import GRANULE_RATE

__all__ = ["OPUS_RATES", "OpusPacket", "PacketEncoder", "opus_pre_skip"]


def opus_pre_skip(options: EncoderOptions) -> int | None:
    """Return how many samples decoders skip first, at 48 kHz as in an OpusHead; None without libopus.

    Not for an event loop: it may load the library.
    """
    if not libopus.is_installed():
        return None
    packets = OpusPackets(GRANULE_RATE, libopus.opus_options(options))
    packets.close()
    return packets.lookahead


class PacketEncoder:
    """Encodes one response as packets of 20 ms; used by one caller at a time, from any thread."""

    def __init__(self, rate: int, options: EncoderOptions) -> None:
        """Take PCM at one of OPUS_RATES; the encoder itself is made when there is something to encode."""
        self._rate = rate
        self._options = options
        self._packets: OpusPackets | None = None
        self._is_closed = False

    def encode(self, pcm: bytes) -> list[OpusPacket]:
        """Take whole samples of 16-bit mono little-endian PCM; return the packets that are full."""
        if self._is_closed:
            raise ValueError("the encoder is closed")
        if self._packets is None:
            self._packets = OpusPackets(self._rate, libopus.opus_options(self._options))
        return self._packets.encode(np.frombuffer(pcm, "<i2").astype(np.int16, copy=False))

    def finish(self) -> list[OpusPacket]:
        """Return the rest, the last packet padded; nothing if nothing was encoded."""
        return [] if self._packets is None else self._packets.end()

    def close(self) -> None:
        """Free the encoder, finished or not; may be called twice."""
        self._is_closed = True
        if self._packets is not None:
            self._packets.close()
