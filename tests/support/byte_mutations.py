"""Byte mutations: valid inputs turned into nearly valid ones, the same ones for the same seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import TypeAlias

_MOST_CHANGES = 4
_MOST_REPEATS = 300
_MOST_BYTES = 64 * 1024
"""Of a mutated input: several repeats would multiply."""
_SPECIAL = (
    *(b"\x00", b"\xff", b"\xed\xa0\x80", b"\xf0\x9f\x91\x8d", b"\r\n\r\n", b"\xe2\x80\xae", b"\xef\xbb\xbf"),
    *(b"{", b"[", b'"', b"<", b"&", b"]]", b"%", b"*", b"`", b": ", b"- ", b"\\u0000", b"\\ud800", b"NaN"),
    *(b"-1", b"1e999", b"99999999999999999999", b"0", b"null", b"true", b"\xd9\xa3", b"/../", b"&a *a"),
)

_Mutator: TypeAlias = Callable[[bytes, Random, Sequence[bytes]], bytes]


def read_corpus(directory: Path) -> list[bytes]:
    """Read the valid inputs in a directory, in the order of their names."""
    return [path.read_bytes() for path in sorted(directory.iterdir())]


def mutations(corpus: Sequence[bytes], *, count: int, seed: str) -> Iterator[bytes]:
    """Yield each input of a corpus unchanged, then this many that are changed in one to four places."""
    yield from corpus
    random = Random(seed)
    for _ in range(count):
        data = random.choice(corpus)
        for _ in range(random.randint(1, _MOST_CHANGES)):
            data = random.choice(_MUTATORS)(data, random, corpus)[:_MOST_BYTES]
        yield data


def _flip(data: bytes, random: Random, _: Sequence[bytes]) -> bytes:
    at = random.randrange(len(data) + 1)
    return data[:at] + bytes(byte ^ 1 << random.randrange(8) for byte in data[at : at + 1]) + data[at + 1 :]


def _cut(data: bytes, random: Random, _: Sequence[bytes]) -> bytes:
    start, end = _slice(data, random)
    return data[:start] + data[end:]


def _splice(data: bytes, random: Random, corpus: Sequence[bytes]) -> bytes:
    other = random.choice(corpus)
    return data[: random.randrange(len(data) + 1)] + other[random.randrange(len(other) + 1) :]


def _repeat(data: bytes, random: Random, _: Sequence[bytes]) -> bytes:
    start, end = _slice(data, random)
    return data[:end] + data[start:end] * random.randint(1, _MOST_REPEATS) + data[end:]


def _insert(data: bytes, random: Random, _: Sequence[bytes]) -> bytes:
    at = random.randrange(len(data) + 1)
    return data[:at] + random.choice(_SPECIAL) + data[at:]


def _replace(data: bytes, random: Random, _: Sequence[bytes]) -> bytes:
    start, end = _slice(data, random)
    return data[:start] + random.choice(_SPECIAL) + data[end:]


def _slice(data: bytes, random: Random) -> tuple[int, int]:
    """A short stretch, since long ones leave little of an input."""
    start = random.randrange(len(data) + 1)
    return start, min(len(data), start + random.randint(1, 16))


_MUTATORS: Sequence[_Mutator] = (_flip, _cut, _splice, _repeat, _insert, _replace)
