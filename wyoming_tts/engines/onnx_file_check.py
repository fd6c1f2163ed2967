"""Whether an ONNX file is all there, told from a few bytes of it.

A model that is still being copied, or whose copying broke off, is found as soon as its voice is listed
and not by whoever wants to hear it. Reading a whole one would take seconds on a memory card.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

# Of ModelProto in onnx.proto: without these there is no model. Writers keep the order of the fields, so the
# second lies behind the weights, and also a file of full length with nothing but zeros at its end lacks it.
_GRAPH, _OPSET_IMPORT = 7, 8
_NEEDED = {_GRAPH: "graph", _OPSET_IMPORT: "opset_import"}

# Protocol Buffers' wire types: a number, or how many bytes follow.
_NUMBER, _BYTES = 0, 2
_FIXED = {1: 8, 5: 4}
_NUMBER_BYTES = 10


def check_complete(path: Path) -> None:
    """Follow the top-level fields, skipping what they hold, to the file's end.

    Raises:
        ValueError: the file ends within a field, or a field is missing or none that there is.
        OSError: it cannot be read.
    """
    size = path.stat().st_size
    if not size:
        raise ValueError("the model is empty: it is still being copied, or copying broke off")
    with path.open("rb") as file:
        found = set()
        while file.tell() < size:
            found.add(_skipped_field(file, size))
    if missing := _NEEDED.keys() - found:
        raise ValueError(f"the model is not complete: it has no {_NEEDED[min(missing)]}")


def _skipped_field(file: BinaryIO, size: int) -> int:
    start = file.tell()
    field, wire_type = divmod(_number(file), 8)
    if not field or wire_type not in {_NUMBER, _BYTES, *_FIXED}:
        raise ValueError(f"the model is no ONNX file, or not complete: byte {start} begins no field")
    if wire_type == _NUMBER:
        _number(file)
        return field
    length = _FIXED.get(wire_type)
    end = (_number(file) if length is None else length) + file.tell()
    if end > size:
        raise ValueError(
            f"the model is not complete: it has {size} bytes of at least {end}; it is still being copied, "
            "or copying broke off"
        )
    file.seek(end)
    return field


def _number(file: BinaryIO) -> int:
    """A number in groups of seven bits, the lowest first (a varint)."""
    value = 0
    for place in range(_NUMBER_BYTES):
        byte = file.read(1)
        if not byte:
            raise ValueError("the model is not complete: it ends within a number")
        value |= (byte[0] & 0x7F) << (7 * place)
        if byte[0] < 0x80:  # noqa: PLR2004  # the mark that more follows
            return value
    raise ValueError("the model is no ONNX file: a number is longer than numbers are")
