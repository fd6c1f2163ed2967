"""Files that torch.save writes for a tensor, made without torch."""

from __future__ import annotations

import io
import struct
import zipfile

import numpy as np

from wyoming_tts.style_tables import StyleTable

TABLE: StyleTable = np.random.default_rng(7).normal(size=(510, 1, 256)).astype(np.float32)
"""Values in the shape of a Kokoro voice."""


def make_pickle(
    shape: tuple[int, ...] = (510, 1, 256),
    *,
    storage: bytes = b"FloatStorage",
    strides: tuple[int, ...] = (256, 256, 1),
    offset: int = 0,
) -> bytes:
    """Pickle that torch.save writes for a tensor, opcode by opcode."""

    def text(value: bytes) -> bytes:
        return b"X" + struct.pack("<I", len(value)) + value

    def numbers(values: tuple[int, ...]) -> bytes:
        return b"(" + b"".join(b"J" + struct.pack("<i", value) for value in values) + b"tq\x06"

    size = b"J" + struct.pack("<i", 130_560)
    return b"".join(
        [
            b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\nq\x00((",
            text(b"storage") + b"q\x01ctorch\n" + storage + b"\nq\x02",
            text(b"0") + b"q\x03" + text(b"cpu") + b"q\x04" + size + b"tq\x05Q",
            b"J" + struct.pack("<i", offset) + numbers(shape) + numbers(strides),
            b"\x89ccollections\nOrderedDict\nq\x08)Rq\ttq\nRq\x0b.",
        ]
    )


def make_zip(members: dict[str, bytes]) -> bytes:
    """Make a zip, uncompressed as torch's."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def make_torch_file(
    pickle_bytes: bytes | None = None, values: bytes = TABLE.tobytes(), byteorder: bytes = b"little"
) -> bytes:
    """Make a .pt file of a tensor: its pickle, and the values beside it."""
    pickle_bytes = make_pickle() if pickle_bytes is None else pickle_bytes
    return make_zip(
        {
            "af_mine/data.pkl": pickle_bytes,
            "af_mine/byteorder": byteorder,
            "af_mine/data/0": values,
            "af_mine/version": b"3\n",
        }
    )
