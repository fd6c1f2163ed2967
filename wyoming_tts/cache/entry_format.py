"""The format of an entry outside of memory: one for files and for a shared cache, checked when it is read.

A header, when the words sound, then the PCM. The header holds a digest of the entry's name and content, so
that nothing of a bad disk, a crash or another program is taken for an entry.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from enum import IntEnum
from hashlib import blake2b
from itertools import starmap
from typing import NamedTuple

from wyoming_tts.cache.entries import CachedSegment
from wyoming_tts.speech import WordTiming, WordTimings

_HEADER = struct.Struct("<4sHBxIIQ32s")
"""Magic, version, kind of timings, rate in Hz, words, bytes of PCM, digest of all else and of the entry's
name; the words and the PCM follow."""
HEADER_BYTES = _HEADER.size
_WORD = struct.Struct("<4I")
"""The fields of a WordTiming, in order."""
_MAGIC = b"WTSC"
_VERSION = 2


class _Timings(IntEnum):
    """What is told of an entry's words."""

    NONE = 0
    EXACT = 1
    ESTIMATED = 2

    @classmethod
    def of(cls, timings: WordTimings | None) -> _Timings:
        if timings is None:
            return cls.NONE
        return cls.ESTIMATED if timings.estimated else cls.EXACT

    def read(self, words: bytes) -> WordTimings | None:
        if self is _Timings.NONE:
            return None
        each = tuple(starmap(WordTiming, _WORD.iter_unpack(words)))
        return WordTimings(each, estimated=self is _Timings.ESTIMATED)


class BrokenEntry(Exception):
    """It is not what was written; the message says in which respect."""


class EntryHeader(NamedTuple):
    """What an entry's header says."""

    timings: int
    rate: int
    words: int
    pcm_bytes: int
    digest: bytes = b""

    @property
    def entry_bytes(self) -> int:
        """Bytes of the whole entry."""
        return HEADER_BYTES + self.body_bytes

    @property
    def body_bytes(self) -> int:
        """Bytes of what follows."""
        return self.words * _WORD.size + self.pcm_bytes

    @classmethod
    def of(cls, segment: CachedSegment) -> EntryHeader:
        """Return that of a segment, without its digest."""
        return cls(_Timings.of(segment.timings), segment.rate, len(segment.words), len(segment.pcm))


def entry_bytes(segment: CachedSegment) -> int:
    """Return how many bytes the entry of a segment has."""
    return EntryHeader.of(segment).entry_bytes


def encode(name: str, segment: CachedSegment) -> Iterable[bytes]:
    """Return the pieces of the entry of this name."""
    header = EntryHeader.of(segment)
    words = b"".join(
        _WORD.pack(word.begin, word.end, word.first_sample, word.end_sample) for word in segment.words
    )
    digest = _digest(name, header, words, segment.pcm)
    return _HEADER.pack(_MAGIC, _VERSION, *header[:-1], digest), words, segment.pcm


def decode(name: str, content: bytes) -> CachedSegment:
    """Return the entry, checked to be what was written under this name.

    Raises:
        BrokenEntry: it is not.
    """
    header = read_header(content[:HEADER_BYTES], len(content))
    return decode_body(name, header, content[HEADER_BYTES:])


def read_header(content: bytes, size: int) -> EntryHeader:
    """Return the header of an entry of this size.

    Raises:
        BrokenEntry: it is none, or that of an entry of another size.
    """
    if len(content) < HEADER_BYTES:
        raise BrokenEntry(f"it has {size} bytes, expected a header of {HEADER_BYTES}")
    magic, version, *fields = _HEADER.unpack(content)
    if (magic, version) != (_MAGIC, _VERSION):
        raise BrokenEntry(f"it begins with {content[:6]!r}, expected {_MAGIC!r} and version {_VERSION}")
    header = EntryHeader(*fields)
    if size != header.entry_bytes:
        raise BrokenEntry(f"it has {size} bytes, expected {header.entry_bytes}")
    return header


def decode_body(name: str, header: EntryHeader, body: bytes) -> CachedSegment:
    """Return the entry of this header and what follows it.

    Raises:
        BrokenEntry: it is not what was written under this name.
    """
    end_of_words = header.words * _WORD.size
    words, pcm = body[:end_of_words], body[end_of_words:]
    if _digest(name, header, words, pcm) != header.digest:
        raise BrokenEntry("its digest does not match its content")
    try:
        return CachedSegment(header.rate, pcm, _Timings(header.timings).read(words))
    except ValueError as error:  # whoever wrote that knew how to make the digest
        raise BrokenEntry(str(error)) from error


def _digest(name: str, header: EntryHeader, words: bytes, pcm: bytes) -> bytes:
    fields = struct.pack("<64sHBIIQ", name.encode(), _VERSION, *header[:-1])
    digest = blake2b(fields, digest_size=32)
    digest.update(words)
    digest.update(pcm)
    return digest.digest()
