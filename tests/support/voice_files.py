"""Files of a voice as they are uploaded or downloaded: a Piper model large enough to be truncated."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

from tests.support.tones import LETTERS, VOICES

_NOTE = bytes(200_000)
# The doc_string of an ONNX model (field 6), which is ignored: it makes the file long enough.
MODEL = (
    (VOICES / f"{LETTERS.name}.onnx").read_bytes()
    + b"\x32"
    + bytes([len(_NOTE) & 0x7F | 0x80, len(_NOTE) >> 7 & 0x7F | 0x80, len(_NOTE) >> 14])
    + _NOTE
)
CONFIG = (VOICES / f"{LETTERS.name}.onnx.json").read_bytes()


def names(directory: Path, pattern: str = "*") -> list[str]:
    return sorted(path.name for path in directory.glob(pattern))


async def pieces(content: bytes, size: int = 10_000) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]
