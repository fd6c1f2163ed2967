"""Cache keys and entries: what makes two segments the same, and what is kept of one."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import astuple, dataclass, replace
from hashlib import blake2b

from wyoming_tts.speech import Prosody, WordTiming, WordTimings

_FORMAT_VERSION = 3
"""Part of every digest: a new format never reads files of an old one, which age out."""


@dataclass(frozen=True, slots=True)
class CacheKey:
    """Everything that decides how a segment sounds."""

    voice: str
    model_version: str
    """Changes with the content of the voice's files, and with the way of rendering them."""
    speaker: int | None
    prosody: Prosody
    text: str
    level: float
    """Target loudness in LUFS. It decides the gain, and unlike that is known before a model is loaded."""
    content: str | None = None
    """As `model_version`, but the same on every machine that has the same files; None while not known."""

    def digest(self) -> str:
        """Return 64 hexadecimal digits, the same in every process, and different for different keys."""
        fields = (
            *(str(_FORMAT_VERSION), self.voice, self.model_version),
            None if self.speaker is None else str(self.speaker),
            *(self.text, float(self.level)),
            *(None if value is None else float(value) for value in astuple(self.prosody)),
        )
        return blake2b(b"".join(map(_encode, fields)), digest_size=32).hexdigest()

    def shared_digest(self) -> str | None:
        """Return the digest by which other machines know the segment, too; None while there is none."""
        return None if self.content is None else replace(self, model_version=self.content).digest()


def _encode(value: str | float | None) -> bytes:
    """Encode type, length and content, so that no two lists of fields give the same bytes."""
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
    """A segment's finished audio: 16-bit little-endian mono PCM at `rate` Hz, and when its words sound."""

    rate: int
    pcm: bytes
    timings: WordTimings | None = None
    """None where the voice does not tell."""

    def __post_init__(self) -> None:
        if not 0 < self.rate < 1 << 32 or len(self.pcm) % 2:
            raise ValueError(
                f"Got {len(self.pcm)} bytes at {self.rate} Hz, expected whole 16-bit samples at some rate."
            )

    @property
    def words(self) -> tuple[WordTiming, ...]:
        """The words whose timings are known."""
        return self.timings.words if self.timings else ()


class SegmentRecording:
    """Collects the PCM of a segment that is being rendered; it is cached only if committed.

    A cancelled segment is incomplete, and is never committed.
    """

    def __init__(self, put: Callable[[bytes, WordTimings | None], None], largest: int) -> None:
        self._put = put
        self._words: list[WordTiming] | None = None
        self._estimated = False
        self._largest = largest
        self._size = 0
        self._pieces: list[bytes] | None = []

    def add(self, pcm: bytes) -> None:
        """Add the next piece; a segment larger than any tier keeps is no longer collected."""
        if self._pieces is None:
            return
        self._size += len(pcm)
        if self._size > self._largest:
            self._pieces = None
        else:
            self._pieces.append(pcm)

    def add_timings(self, timings: WordTimings) -> None:
        """Add the timings of the next words."""
        self._words = self._words or []
        self._words += timings.words
        self._estimated |= timings.estimated

    def discard(self) -> None:
        """Collect no more; the segment will not be cached."""
        self._pieces = None

    def commit(self) -> None:
        """Cache the segment, which is complete; further calls do nothing."""
        pieces, self._pieces = self._pieces, None
        if pieces is not None:
            words = self._words
            timings = None if words is None else WordTimings(tuple(words), estimated=self._estimated)
            self._put(b"".join(pieces), timings)
