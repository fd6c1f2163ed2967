"""Ogg pages of one logical stream (RFC 3533)."""

from __future__ import annotations

import secrets
import struct
import zlib
from collections.abc import Sequence

_FIRST_PAGE = 2
_LAST_PAGE = 4
_CHECKSUM = slice(22, 26)
_LACING = 255
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
"""Every byte with its bits in reverse order."""


class OggStream:
    """Numbers and seals the pages of a stream; every packet ends on the page that it begins on."""

    def __init__(self) -> None:
        self._serial = secrets.randbits(32)
        self._pages = 0

    def page(self, packets: Sequence[bytes], granule: int, *, last: bool = False) -> bytes:
        """Return a page of whole packets, 255 lacing values of them at most.

        Args:
            packets: What the page carries.
            granule: Position of the stream after these packets, in the codec's units.
            last: Whether the stream ends here.
        """
        lacing = b"".join(_lacing(len(packet)) for packet in packets)
        flags = (0 if self._pages else _FIRST_PAGE) | (_LAST_PAGE if last else 0)
        fields = (b"OggS", 0, flags, granule, self._serial, self._pages, 0, len(lacing))
        page = bytearray(struct.pack("<4sBBqIIIB", *fields) + lacing + b"".join(packets))
        page[_CHECKSUM] = _checksum(page).to_bytes(4, "little")
        self._pages += 1
        return bytes(page)


def _lacing(size: int) -> bytes:
    return bytes([_LACING]) * (size // _LACING) + bytes([size % _LACING])


def _checksum(data: bytes | bytearray) -> int:
    """Return Ogg's CRC-32: zlib's polynomial, but highest bit first, and without inversions."""
    reflected = zlib.crc32(data.translate(_REVERSED), 0xFFFF_FFFF) ^ 0xFFFF_FFFF
    return int(f"{reflected:032b}"[::-1], 2)
