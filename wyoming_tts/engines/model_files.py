"""Validation of voice files before they are listed: is an ONNX file complete, and what is wrong with it.

A model that is still being copied, or whose copying broke off, is found as soon as voices are listed, and
not by the first listener. Its top-level fields tell, in a few reads: reading all of it would take seconds
on a memory card.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import BinaryIO, NamedTuple

from wyoming_tts.known_files import FileStamp, stamp_of
from wyoming_tts.messages import Message
from wyoming_tts.system_reasons import system_reason

_LOGGER = logging.getLogger(__name__)

# Of ModelProto in onnx.proto: without these there is no model. Writers keep the order of the fields, so the
# second lies behind the weights, and also a file of full length with nothing but zeros at its end lacks it.
_GRAPH, _OPSET_IMPORT = 7, 8
_REQUIRED_FIELDS = {_GRAPH: "graph", _OPSET_IMPORT: "opset_import"}

# Wire types of Protocol Buffers: a varint, a number of bytes that follow, and lengths of their own.
_VARINT, _BYTES = 0, 2
_FIXED = {1: 8, 5: 4}
_MAX_VARINT_BYTES = 10


class BrokenVoice(NamedTuple):
    """A voice that was left out because its files are broken or incomplete."""

    path: Path
    """Of the model, or of the directory if that cannot be searched."""
    reason: str
    """What is wrong, beginning in lower case and without a full stop."""


def not_read(error: OSError) -> Message:
    """Return that a file cannot be read, and why."""
    return Message("cannot_be_read", "it cannot be read: {reason}", reason=system_reason(error))


def not_searched(reason: str) -> Message:
    """What is wrong with a directory that cannot be searched."""
    return Message("not_searched", "it cannot be searched: {reason}", reason=reason)


class FileComplaints:
    """Warnings about broken files: each is logged once, and again only when the file has changed."""

    def __init__(self) -> None:
        self._logged: dict[Path, tuple[FileStamp | None, str]] = {}

    def report(self, path: Path, reason: str) -> BrokenVoice:
        """Warn that the file was left out, unless that was logged already."""
        state = (_stamp(path), reason)
        if self._logged.get(path) != state:
            self._logged[path] = state
            _LOGGER.warning("The voice file %s is ignored: %s", path, reason)
        return BrokenVoice(path, reason)


def _stamp(path: Path) -> FileStamp | None:
    try:
        return stamp_of(path)
    except OSError:
        return None


def check_complete(path: Path) -> None:
    """Check that an ONNX file ends where its last top-level field does, and has the fields of a model.

    Raises:
        ValueError: the file ends within a field, a field is missing, or something is no field.
        OSError: it cannot be read.
    """
    size = path.stat().st_size
    if not size:
        raise ValueError(
            Message("model_empty", "the model is empty: it is still being copied, or copying broke off")
        )
    with path.open("rb") as file:
        found = set()
        while file.tell() < size:
            found.add(_skip_field(file, size))
    if missing := _REQUIRED_FIELDS.keys() - found:
        raise ValueError(
            Message(
                "model_lacks",
                "the model is not complete: it has no {field}",
                field=_REQUIRED_FIELDS[min(missing)],
            )
        )


def _skip_field(file: BinaryIO, size: int) -> int:
    """Skip a field with what it holds, and return its number."""
    start = file.tell()
    field, wire_type = divmod(_read_varint(file), 8)
    if not field or wire_type not in {_VARINT, _BYTES, *_FIXED}:
        raise ValueError(
            Message(
                "model_no_field",
                "the model is not an ONNX file, or is incomplete: no field begins at byte {start}",
                start=start,
            )
        )
    if wire_type == _VARINT:
        _read_varint(file)
        return field
    length = _FIXED.get(wire_type)
    end = (_read_varint(file) if length is None else length) + file.tell()
    if end > size:
        raise ValueError(
            Message(
                "model_cut_off",
                "the model is not complete: it has {size} bytes of at least {end}; it is still being copied, "
                "or copying broke off",
                size=size,
                end=end,
            )
        )
    file.seek(end)
    return field


def _read_varint(file: BinaryIO) -> int:
    """A number in groups of seven bits, the lowest first."""
    value = 0
    for place in range(_MAX_VARINT_BYTES):
        byte = file.read(1)
        if not byte:
            raise ValueError(Message("model_ends", "the model is not complete: it ends within a number"))
        value |= (byte[0] & 0x7F) << (7 * place)
        if byte[0] < 0x80:  # noqa: PLR2004  # the mark that more follows
            return value
    raise ValueError(
        Message(
            "model_varint",
            "the model is not an ONNX file: a varint is longer than {most} bytes",
            most=_MAX_VARINT_BYTES,
        )
    )
