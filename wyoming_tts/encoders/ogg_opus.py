"""Opus in Ogg (RFC 7845).

Libsndfile, which writes it as well, holds the first page back until it is full.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from wyoming_tts.encoders.libopus import OpusOptions, OpusPacket, OpusPackets
from wyoming_tts.encoders.ogg import OggStream

_Samples: TypeAlias = npt.NDArray[np.int16]
GRANULE_RATE = 48_000
"""Hz of all positions in a stream, whatever its audio was sampled at."""
_PACKETS_ON_PAGES = (1, 2)
"""Of the first pages with audio, so that a listener hears the beginning at once."""
_PACKETS_ON_LATER_PAGES = 5


class OggOpusCodec:
    """A codec for Opus in Ogg, at 8, 12, 16, 24 or 48 kHz."""

    def __init__(self, rate: int, options: OpusOptions) -> None:
        self._opus = OpusPackets(rate, options)
        self._ogg = OggStream()
        self._granules_per_sample = GRANULE_RATE // rate
        self._packets: list[bytes] = []
        self._packets_before = 0
        self._page_sizes = list(_PACKETS_ON_PAGES)
        self._written = bytearray()
        self._write_headers(rate)

    def write(self, samples: _Samples) -> None:
        """Encode full frames of mono samples; buffer the rest."""
        self._add(self._opus.encode(samples))
        self._flush_full_page()

    def end(self) -> None:
        """Encode what is still buffered and what the encoder's delay holds back; called once."""
        self._add(self._opus.end())
        # The end of the audio, inside the last packet: players drop the padding after it.
        end = (self._opus.lookahead + self._opus.samples) * self._granules_per_sample
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
        self._opus.close()

    def _write_headers(self, rate: int) -> None:
        pre_skip = self._opus.lookahead * self._granules_per_sample
        head = struct.pack("<8sBBHIhB", b"OpusHead", 1, 1, pre_skip, rate, 0, 0)
        vendor = self._opus.version
        tags = struct.pack("<8sI", b"OpusTags", len(vendor)) + vendor + bytes(4)
        self._written += self._ogg.page([head], 0) + self._ogg.page([tags], 0)

    def _add(self, packets: Iterable[OpusPacket]) -> None:
        for packet in packets:
            self._flush_full_page()
            self._packets.append(packet.data)

    def _flush_full_page(self) -> None:
        size = self._page_sizes[0] if self._page_sizes else _PACKETS_ON_LATER_PAGES
        if len(self._packets) < size:
            return
        self._packets_before += len(self._packets)
        granule = self._packets_before * self._opus.frame * self._granules_per_sample
        self._written += self._ogg.page(self._packets, granule)
        self._packets = []
        self._page_sizes = self._page_sizes[1:]
