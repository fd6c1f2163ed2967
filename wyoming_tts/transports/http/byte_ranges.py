"""Byte ranges (RFC 9110, section 14): which part of a file a request asks for.

Safari plays audio only with them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ByteRange:
    """The part of a file that a response has."""

    first: int
    last: int
    size: int
    """Bytes of the file."""
    is_part: bool = True
    """Whether a range was asked for."""

    @property
    def is_empty(self) -> bool:
        """Whether the range lies behind the end of the file."""
        return self.is_part and self.first > self.last

    @property
    def status(self) -> int:
        """The status of the response."""
        return 416 if self.is_empty else 206 if self.is_part else 200

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the response that are about ranges."""
        headers = {"Accept-Ranges": "bytes"}
        if self.is_part:
            part = "*" if self.is_empty else f"{self.first}-{self.last}"
            headers["Content-Range"] = f"bytes {part}/{self.size}"
        return headers


def requested_range(header: str, size: int) -> ByteRange:
    """Return the range that a `Range` header asks for; the whole file for none, several or an invalid one."""
    match = _RANGE.fullmatch(header)
    if match is None or not any(match.groups()):
        return ByteRange(0, size - 1, size, is_part=False)
    first, last = match.groups()
    if not first:  # `-N` means the last N bytes
        return ByteRange(max(0, size - int(last)), size - 1, size)
    return ByteRange(int(first), min(int(last), size - 1) if last else size - 1, size)
