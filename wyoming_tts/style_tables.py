"""Kokoro's style tables: their shape, numpy's `.npy` format, and voice packs, a zip of `.npy` files.

numpy takes the memory that a header declares before it reads a value, and a zip may hold a thousand times
its size. So here sizes are compared with bounds, and with each other, before anything is unpacked, and
nothing is ever unpickled. Blocks.
"""

from __future__ import annotations

import io
import math
import os
import struct
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from wyoming_tts.errors import BadRequest
from wyoming_tts.messages import Message
from wyoming_tts.regular_files import open_regular_file

StyleTable: TypeAlias = npt.NDArray[np.float32]
"""Style vectors, a row for each number of phonemes: shape (n, 1, 256), of Kokoro n = 510."""

STYLE_VALUES: Final = 256

MAX_ROWS: Final = 1024
"""Twice what Kokoro's tables have: it takes no more than 510 phonemes."""

MAX_TABLE_BYTES: Final = 4_000_000
"""A `.npy` file within a pack: MAX_ROWS in double precision have 2.1 MB."""

MAX_PACK_VOICES: Final = 1_000
"""Kokoro's packs have up to 103."""

_MAX_DIRECTORY_BYTES = 1_000_000
_NPY = ".npy"
_END, _END_SIZE, _MAX_COMMENT = b"PK\x05\x06", 22, 65_535
_END_OF_64, _END_OF_64_SIZE = b"PK\x06\x07", 20
_DIRECTORY_SIZE_AT = 12
_ENCRYPTED = 1


def check_style_table(values: npt.NDArray[np.float32], name: str) -> StyleTable:
    """Validate a style table and return it in its canonical shape, (n, 1, 256), float32.

    Raises:
        BadRequest: it has another shape, too many rows, or values that are not finite.
    """
    flat = (values.ndim == 2 or (values.ndim == 3 and values.shape[1] == 1)) and len(values)  # noqa: PLR2004
    if not flat or values.shape[-1] != STYLE_VALUES or len(values) > MAX_ROWS:
        raise BadRequest(
            Message(
                "table_shape",
                "The style of {name} has shape {shape}, expected {expected}.",
                name=name,
                shape=str(values.shape),
                expected=f"(510, 1, {STYLE_VALUES})",
            )
        )
    if values.dtype.kind != "f" or not np.isfinite(values).all():
        raise BadRequest(
            Message(
                "table_values",
                "The style of {name} holds values that are no finite floating-point numbers.",
                name=name,
            )
        )
    return np.ascontiguousarray(values, dtype=np.float32).reshape(-1, 1, STYLE_VALUES)


def parse_npy(content: bytes) -> npt.NDArray[np.float32]:
    """Parse a `.npy` file of floating-point values, in format 1.0.

    Raises:
        ValueError: it is another kind of file, or declares more or fewer values than it holds.
    """
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    if version != (1, 0):
        raise ValueError(
            Message(
                "npy_version",
                "its format is {version}, expected {expected}",
                version=str(version),
                expected="(1, 0)",
            )
        )
    shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(file)
    is_positive = all(size > 0 for size in shape)
    if (
        dtype.kind != "f"
        or not is_positive
        or math.prod(shape) * dtype.itemsize != len(content) - file.tell()
    ):
        raise ValueError(
            Message(
                "npy_values",
                "its {size} bytes do not hold {shape} values of type {kind}",
                size=len(content),
                shape=str(shape),
                kind=str(dtype),
            )
        )
    values = np.frombuffer(content, dtype, offset=file.tell())
    with np.errstate(over="ignore"):  # what overflows is not finite, and refused as such
        return values.reshape(shape, order="F" if fortran_order else "C").astype(np.float32)


def pack_names(pack: Path) -> frozenset[str]:
    """Return the names of a pack's voices, from the zip's directory, which lies at its end.

    Raises:
        ValueError: it is another kind of file, incomplete, or declares more than a pack can hold.
        OSError: it cannot be read.
    """
    try:
        with open_regular_file(pack) as file:
            _check_directory(file)
            with zipfile.ZipFile(file) as archive:
                members = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise ValueError(_incomplete(str(error))) from error
    return _checked_names(member for member in members if member.filename.endswith(_NPY))


def read_packed_table(archive: zipfile.ZipFile, name: str) -> StyleTable:
    """Read the style table of a voice from an open pack.

    Raises:
        KeyError: the pack has no such voice.
        ValueError: its table is malformed.
        OSError: it cannot be read.
    """
    member = archive.getinfo(f"{name}{_NPY}")
    _check_member(member)
    try:
        with archive.open(member) as file:
            content = file.read(MAX_TABLE_BYTES + 1)  # what is declared may be wrong
        return check_style_table(parse_npy(content), name)
    except OSError:
        raise
    except Exception as error:  # zlib, zipfile and numpy raise all kinds of errors for malformed files
        raise ValueError(
            Message(
                "table_malformed", "the table of {name} is malformed: {reason}", name=name, reason=str(error)
            )
        ) from error


def read_pack(pack: Path) -> dict[str, StyleTable]:
    """Read the style tables of all voices of a pack, by name: half a megabyte each.

    Raises:
        ValueError: it is another kind of file, or incomplete.
        OSError: it cannot be read.
    """
    names = sorted(pack_names(pack))
    with zipfile.ZipFile(pack) as archive:
        return {name: read_packed_table(archive, name) for name in names}


def _checked_names(members: Iterable[zipfile.ZipInfo]) -> frozenset[str]:
    names = set()
    for member in members:
        _check_member(member)
        names.add(member.filename.removesuffix(_NPY))
        if len(names) > MAX_PACK_VOICES:
            raise ValueError(Message("pack_crowded", "it has over {most} voices", most=MAX_PACK_VOICES))
    if not names:
        raise ValueError(Message("pack_empty", "it is not a voice pack: it contains no voice"))
    return frozenset(names)


def _incomplete(reason: str) -> Message:
    return Message("pack_incomplete", "it is not a voice pack, or is incomplete: {reason}", reason=reason)


def _check_member(member: zipfile.ZipInfo) -> None:
    # Other methods of compression take memory for a dictionary that the file declares.
    if (
        member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
        or member.flag_bits & _ENCRYPTED
    ):
        raise ValueError(
            Message(
                "pack_packed",
                "{name} in it is compressed or encrypted in a way that packs are not",
                name=member.filename,
            )
        )
    if member.file_size > MAX_TABLE_BYTES:
        raise ValueError(
            Message(
                "pack_member",
                "{name} in it has {size} bytes, expected at most {most}",
                name=member.filename,
                size=member.file_size,
                most=MAX_TABLE_BYTES,
            )
        )


def _check_directory(file: BinaryIO) -> None:
    """Check the size of the zip's directory, of which zipfile makes an object for every entry."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _END_SIZE - _MAX_COMMENT - _END_OF_64_SIZE))
    tail = file.read()
    at = tail.rfind(_END)
    if at < 0 or len(tail) - at < _END_SIZE:
        raise ValueError(_incomplete(Message("pack_no_directory", "it has no directory")))
    (directory,) = struct.unpack_from("<I", tail, at + _DIRECTORY_SIZE_AT)
    is_64 = tail[:at].endswith(_END_OF_64, 0, max(0, at - _END_OF_64_SIZE + len(_END_OF_64)))
    if is_64 or directory > _MAX_DIRECTORY_BYTES:
        raise ValueError(
            Message("pack_directory", "its directory has more than {most} bytes", most=_MAX_DIRECTORY_BYTES)
        )
    file.seek(0)
