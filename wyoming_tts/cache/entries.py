"""What a cached segment is known by, and what is kept of it."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import astuple, dataclass
from hashlib import blake2b

from wyoming_tts.speech import Prosody

_FORMAT_VERSION = 2
"""Part of every name: a new format never meets files of an old one, which age out."""


@dataclass(frozen=True, slots=True)
class CacheKey:
    """All that decides how a segment sounds."""

    voice: str
    model_version: str
    """Tells one content of the voice's files, and one way to render them, from the next."""
    speaker: int | None
    prosody: Prosody
    text: str
    level: float
    """What the gain is derived from. The target in LUFS will do, and is known before a model is loaded."""

    def digest(self) -> str:
        """Return 64 hexadecimal digits: the same for equal keys, in every process, and only for these."""
        fields = (
            *(str(_FORMAT_VERSION), self.voice, self.model_version),
            None if self.speaker is None else str(self.speaker),
            *(self.text, float(self.level)),
            *(None if value is None else float(value) for value in astuple(self.prosody)),
        )
        return blake2b(b"".join(map(_encoded, fields)), digest_size=32).hexdigest()


def _encoded(value: str | float | None) -> bytes:
    """Type, length and content, so that no two rows of fields give the same bytes."""
    match value:
        case None:
            return b"-"
        case str():
            content = value.encode(errors="surrogatepass")
            return b"s" + len(content).to_bytes(8, "little") + content
        case _:
            return b"f" + struct.pack("<d", value + 0.0)  # -0.0 equals 0.0


@dataclass(frozen=True, slots=True)
class CachedSegment:
    """A segment's finished audio: 16-bit little-endian mono PCM at `rate` Hz."""

    rate: int
    pcm: bytes

    def __post_init__(self) -> None:
        if not 0 < self.rate < 1 << 32 or len(self.pcm) % 2:
            raise ValueError(
                f"Got {len(self.pcm)} bytes at {self.rate} Hz, expected whole 16-bit samples at some rate."
            )


class SegmentRecording:
    """The PCM of a segment under way. Kept only if it is committed: one that was cancelled is not whole."""

    def __init__(self, keep: Callable[[bytes], None], largest: int) -> None:
        self._keep = keep
        self._largest = largest
        self._size = 0
        self._pieces: list[bytes] | None = []

    def add(self, pcm: bytes) -> None:
        """Take the next piece; once there is more than any tier keeps, nothing is collected."""
        if self._pieces is None:
            return
        self._size += len(pcm)
        if self._size > self._largest:
            self._pieces = None
        else:
            self._pieces.append(pcm)

    def commit(self) -> None:
        """Put it into the cache: the segment is whole. It happens once, however often it is asked for."""
        pieces, self._pieces = self._pieces, None
        if pieces is not None:
            self._keep(b"".join(pieces))
