"""File formats of style tables: `.npy`, `.bin` and torch's `.pt`, read without executing anything in them.

`.npy` is a table in numpy's format, `.bin` its raw float32 values, `.pt` a tensor saved by torch, the format
of Kokoro-FastAPI's voices: a zip with a pickle that describes the tensor, and the values beside it. That
pickle is read by a restricted unpickler, which allows only the four names that a tensor needs.
"""

from __future__ import annotations

import io
import math
import os
import pickle
import pickletools
import secrets
import zipfile
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wyoming_tts.errors import BadRequest, VoiceUnavailable
from wyoming_tts.messages import Message
from wyoming_tts.regular_files import read_regular_file
from wyoming_tts.style_tables import STYLE_VALUES, StyleTable, check_style_table, parse_npy
from wyoming_tts.system_reasons import system_reason

MAX_BYTES = 16_000_000
"""Most bytes of a file, and of the values in it; Kokoro's tables have 522,240."""
_MAX_PICKLE = 10_000
# What torch writes for a tensor: nothing that changes an object, and no arbitrary memo indexes.
_OPCODES = frozenset(
    [
        "PROTO",
        "GLOBAL",
        "BINPUT",
        "BINGET",
        "MARK",
        "BINUNICODE",
        "BINPERSID",
        "BININT",
        "BININT1",
        "BININT2",
        "EMPTY_TUPLE",
        "TUPLE",
        "TUPLE1",
        "TUPLE2",
        "TUPLE3",
        "NEWFALSE",
        "NEWTRUE",
        "REDUCE",
        "STOP",
    ]
)
_ZIP = b"PK\x03\x04"
_HINT = Message(
    "style_expected", "Expected a .npy style table, or a voice file (.pt or .bin) of Kokoro-FastAPI."
)


def read_style_file(path: Path) -> StyleTable:
    """Read a style table by the file's suffix `.npy`, `.pt` or `.bin`; shape (n, 1, 256), float32. Blocks.

    Raises:
        BadRequest: it holds something else; the message says what.
        VoiceUnavailable: it cannot be read from the disk.
    """
    readers = {".npy": parse_npy, ".pt": _from_torch, ".bin": _from_values}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise BadRequest(
            Message("style_suffix", "{name} has an unsupported suffix.", name=path.name), hint=_HINT
        )
    try:
        size = path.stat().st_size
        content = read_regular_file(path, MAX_BYTES) if size <= MAX_BYTES else b""
    except OSError as error:
        reason = system_reason(error)
        raise VoiceUnavailable(
            Message("not_read", "{path} cannot be read: {reason}.", path=path, reason=reason)
        ) from error
    if size > MAX_BYTES:
        raise BadRequest(
            Message(
                "style_size",
                "{name} has {size} bytes, expected at most {most}.",
                name=path.name,
                size=size,
                most=MAX_BYTES,
            ),
            hint=_HINT,
        )
    try:
        return check_style_table(reader(content), path.name)
    except BadRequest:
        raise
    except Exception as error:  # pickle and zipfile raise all kinds of errors for malformed files
        reason = str(error)
        if not isinstance(reason, Message):
            reason = Message("file_damaged", "it is damaged, or of another kind ({detail})", detail=reason)
        raise BadRequest(
            Message("not_a_style", "{name} is not a style table: {reason}.", name=path.name, reason=reason),
            hint=_HINT,
        ) from error


def write_style_file(path: Path, table: StyleTable) -> None:
    """Write a style table as `.npy` or raw as `.bin`, atomically and synced. Blocks.

    Raises:
        BadRequest: the suffix is neither.
        VoiceUnavailable: it cannot be written.
    """
    if path.suffix.lower() not in {".npy", ".bin"}:
        raise BadRequest(
            Message("style_not_written", "{name} cannot be written.", name=path.name),
            hint=Message("style_names", "Expected a name that ends in .npy or .bin."),
        )
    content = _as_npy(table) if path.suffix.lower() == ".npy" else table.astype("<f4").tobytes()
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        reason = system_reason(error)
        raise VoiceUnavailable(
            Message("not_written", "{path} cannot be written: {reason}.", path=path, reason=reason)
        ) from error


def _as_npy(table: StyleTable) -> bytes:
    file = io.BytesIO()
    np.save(file, table, allow_pickle=False)
    return file.getvalue()


def _from_values(content: bytes) -> StyleTable:
    if content.startswith(_ZIP):
        raise BadRequest(
            Message("style_is_pack", "The file is a pack of voices, expected one voice."),
            hint=Message("pack_beside_model", "Put it into a data directory beside the Kokoro model."),
        )
    if not content or len(content) % (4 * STYLE_VALUES):
        raise ValueError(
            Message(
                "style_rows",
                "it has {size} bytes, expected rows of {row}",
                size=len(content),
                row=4 * STYLE_VALUES,
            )
        )
    return np.frombuffer(content, "<f4").reshape(-1, 1, STYLE_VALUES)


def _from_torch(content: bytes) -> StyleTable:
    if not content.startswith(_ZIP):
        raise ValueError(
            Message(
                "torch_format",
                "it is not in the format torch has used since 1.6; load it there and save it again",
            )
        )
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = [name for name in archive.namelist() if name.count("/") == 1]
        described = next((name for name in names if name.endswith("/data.pkl")), None)
        if described is None:
            raise ValueError(_lacks("data.pkl"))
        root = described.removesuffix("data.pkl")
        if f"{root}byteorder" in names and _member(archive, f"{root}byteorder", _MAX_PICKLE) != b"little":
            raise ValueError(Message("torch_big_endian", "its values are big-endian"))
        description = _member(archive, described, _MAX_PICKLE)
        _check_opcodes(description)
        tensor = _TensorUnpickler(io.BytesIO(description)).load()
        if not isinstance(tensor, _Tensor):
            raise TypeError(
                Message("torch_kind", "it holds a {kind}, expected one tensor", kind=type(tensor).__name__)
            )
        return tensor.values(_member(archive, f"{root}data/{tensor.storage.key}", MAX_BYTES))


def _member(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    try:
        info = archive.getinfo(name)
    except KeyError:
        raise ValueError(_lacks(name.rpartition("/")[2])) from None
    with archive.open(info) as file:
        # The stated size may be wrong, and the compression ratio may be extreme.
        content = file.read(limit + 1)
    if len(content) > limit:
        raise ValueError(
            Message("torch_member", "{name} in it has more than {most} bytes", name=name, most=limit)
        )
    return content


def _lacks(name: str) -> Message:
    return Message("torch_lacks", "it holds no {name}", name=name)


def _malformed() -> Message:
    return Message("torch_malformed", "its tensor is malformed")


def _check_opcodes(description: bytes) -> None:
    """Refuse opcodes that no tensor needs: they could allocate any amount of memory while loading."""
    for opcode, _, at in pickletools.genops(description):
        if opcode.name not in _OPCODES:
            raise ValueError(
                Message(
                    "torch_needless",
                    "its description has {what} at {offset}, which no tensor needs",
                    what=opcode.name,
                    offset=at,
                )
            )


@dataclass(frozen=True, slots=True)
class _Storage:
    dtype: str
    key: str


@dataclass(frozen=True, slots=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]

    def values(self, content: bytes) -> StyleTable:
        values = np.frombuffer(content, self.storage.dtype)
        count = math.prod(self.shape)
        if self.offset < 0 or self.offset + count > len(values):
            raise ValueError(
                Message(
                    "torch_values",
                    "its {count} values do not hold {shape} from {offset} on",
                    count=len(values),
                    shape=str(self.shape),
                    offset=self.offset,
                )
            )
        return values[self.offset : self.offset + count].reshape(self.shape).astype(np.float32)


@dataclass(frozen=True, slots=True)
class _StorageType:
    dtype: str


def _rebuilt(storage: object, offset: object, shape: object, stride: object, *_: object) -> _Tensor:
    """Replacement for torch's function of that name; only contiguous tensors are supported."""
    if not isinstance(storage, _Storage) or type(offset) is not int:
        raise TypeError(_malformed())
    if not isinstance(shape, tuple) or not all(type(size) is int and size > 0 for size in shape):
        raise TypeError(Message("torch_shape", "its tensor has the shape {shape}", shape=repr(shape)))
    expected = tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))
    strides = stride if isinstance(stride, tuple) and len(stride) == len(shape) else ()
    # The stride of an axis of length one is meaningless.
    if [s for s, n in zip(strides, shape, strict=False) if n > 1] != [
        s for s, n in zip(expected, shape, strict=True) if n > 1
    ]:
        raise ValueError(
            Message(
                "torch_order",
                "its values are not in order (strides {strides} of shape {shape})",
                strides=repr(stride),
                shape=str(shape),
            )
        )
    return _Tensor(storage, offset, shape)


class _TensorUnpickler(pickle.Unpickler):
    """Restricted unpickler that can create nothing but the description of a tensor."""

    _NAMES = {  # noqa: RUF012  # never changed
        ("torch._utils", "_rebuild_tensor_v2"): _rebuilt,
        ("torch", "FloatStorage"): _StorageType("<f4"),
        ("torch", "HalfStorage"): _StorageType("<f2"),
        ("collections", "OrderedDict"): OrderedDict,
    }

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self._NAMES[module, name]
        except KeyError:
            raise pickle.UnpicklingError(
                Message("torch_refers", "it refers to {name}, which no tensor needs", name=f"{module}.{name}")
            ) from None

    def persistent_load(self, pid: Any) -> _Storage:
        match pid:
            case ("storage", _StorageType(dtype=dtype), str(key), str(), int()) if key.isalnum():
                return _Storage(dtype, key)
        raise pickle.UnpicklingError(_malformed())
