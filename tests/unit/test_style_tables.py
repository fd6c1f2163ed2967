"""Style tables and voice packs: what they declare is compared with bounds before memory is taken."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.tones import VOICES
from wyoming_tts.engines.base import EngineOptions
from wyoming_tts.engines.kokoro.engine import KokoroEngine
from wyoming_tts.errors import BadRequest
from wyoming_tts.style_tables import (
    MAX_PACK_VOICES,
    MAX_ROWS,
    MAX_TABLE_BYTES,
    check_style_table,
    pack_names,
    parse_npy,
    read_packed_table,
)

MIB = 1024**2
ROWS = np.linspace(-1, 1, 3 * 256, dtype=np.float32).reshape(3, 1, 256)


def npy(values: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


def npy_declaring(shape: str, descr: str = "'<f4'", values: bytes = b"", order: str = "False") -> bytes:
    header = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}".encode()
    header = header.ljust(-len(header) % 64 + len(header) - 10 + 64, b" ")[:-1] + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + values


def write_pack(path: Path, method: int = zipfile.ZIP_STORED, **tables: bytes) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in tables.items():
            archive.writestr(f"{name}.npy", content)
    return path


def read(pack: Path, name: str) -> np.ndarray[Any, Any]:
    with zipfile.ZipFile(pack) as archive:
        return read_packed_table(archive, name)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_table_is_read_from_a_pack(tmp_path: Path, method: int) -> None:
    pack = write_pack(tmp_path / "voices.bin", method, af_one=npy(ROWS), af_two=npy(-ROWS))
    assert pack_names(pack) == {"af_one", "af_two"}
    assert np.array_equal(read(pack, "af_two"), -ROWS)
    with pytest.raises(KeyError):
        read(pack, "af_three")


@pytest.mark.parametrize("values", [np.asfortranarray(ROWS[:, 0]), ROWS.astype(">f4"), ROWS.astype("<f8")])
def test_any_order_and_precision_of_floating_point_values_is_read(tmp_path: Path, values: Any) -> None:
    assert np.array_equal(read(write_pack(tmp_path / "voices.bin", af_one=npy(values)), "af_one"), ROWS)


@pytest.mark.parametrize(
    "content",
    [
        npy_declaring("(1000000000000,)"),
        npy_declaring("(4000000, 1, 256)", values=ROWS.tobytes()),
        npy_declaring("(-3, 1, -256)", values=ROWS.tobytes()),
        npy_declaring("(-1, 1, 256)", values=ROWS.tobytes()),
        npy_declaring("(3, 1, 256)", "'<i4'", ROWS.tobytes()),
        npy_declaring("(3, 1, 256)", "'|O'", ROWS.tobytes()),
        npy_declaring("(768,)", "[('a', '<f4')]", ROWS.tobytes()),
        npy_declaring("(0, 1, 256)"),
        npy_declaring("(" + "(" * 4000, values=ROWS.tobytes()),
        npy_declaring("(3, 1, 256)", values=ROWS.tobytes()[:-4]),
        npy(np.full((3, 1, 256), np.nan, dtype=np.float32)),
        npy(np.full((3, 1, 256), 1e300)),
        npy(np.zeros((MAX_ROWS + 1, 1, 256), dtype=np.float32)),
        npy(np.array([{"an": "object"}], dtype=object)),
        b"",
    ],
    ids=["10^12 values", "4 GB", "negative twice", "negative", "integers", "objects", "records", "no rows",
         "nested", "short", "NaN", "overflow", "rows", "pickle", "empty"],
)  # fmt: skip
def test_a_table_that_declares_what_it_is_not_takes_no_memory(tmp_path: Path, content: bytes) -> None:
    pack = write_pack(tmp_path / "voices.bin", af_one=content)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="the table of af_one is malformed"):
            read(pack, "af_one")
        assert tracemalloc.get_traced_memory()[1] < 20 * MIB
    finally:
        tracemalloc.stop()


def test_a_pack_that_unpacks_to_more_than_a_table_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    pack = write_pack(tmp_path / "voices.bin", zipfile.ZIP_DEFLATED, af_one=bytes(100 * MIB))
    assert pack.stat().st_size < MIB
    for attempt in (lambda: pack_names(pack), lambda: read(pack, "af_one")):
        with pytest.raises(ValueError, match=r"af_one\.npy in it has 104857600 bytes, expected at most"):
            attempt()


def test_a_member_that_holds_more_than_its_directory_declares_is_refused(tmp_path: Path) -> None:
    pack = write_pack(tmp_path / "voices.bin", zipfile.ZIP_DEFLATED, af_one=bytes(100 * MIB))
    small = struct.pack("<I", MAX_TABLE_BYTES)
    pack.write_bytes(pack.read_bytes().replace(struct.pack("<I", 100 * MIB), small))
    assert pack_names(pack) == {"af_one"}
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="malformed"):
            read(pack, "af_one")
        assert tracemalloc.get_traced_memory()[1] < 20 * MIB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_compression_that_takes_a_declared_dictionary_is_refused(tmp_path: Path, method: int) -> None:
    pack = write_pack(tmp_path / "voices.bin", method, af_one=npy(ROWS))
    with pytest.raises(ValueError, match="compressed or encrypted"):
        pack_names(pack)


def test_a_pack_of_too_many_voices_is_refused(tmp_path: Path) -> None:
    pack = tmp_path / "voices.bin"
    with zipfile.ZipFile(pack, "w") as archive:
        for number in range(MAX_PACK_VOICES + 1):
            archive.writestr(f"v{number}.npy", b"")
    with pytest.raises(ValueError, match="over 1000 voices"):
        pack_names(pack)


def test_a_directory_of_millions_of_entries_is_not_read(tmp_path: Path) -> None:
    pack = write_pack(tmp_path / "voices.bin", af_one=npy(ROWS))
    content = bytearray(pack.read_bytes())
    content[-10:-6] = struct.pack("<I", 500 * MIB)
    pack.write_bytes(content)
    with pytest.raises(ValueError, match="its directory has more than"):
        pack_names(pack)


def test_a_hostile_pack_is_listed_as_broken_with_the_reason(tmp_path: Path) -> None:
    bomb = write_pack(tmp_path / "voices-bomb.bin", zipfile.ZIP_DEFLATED, af_one=bytes(10 * MIB))
    engine = KokoroEngine(EngineOptions(kokoro_model=VOICES / "kokoro-tones.onnx", kokoro_voices=bomb))
    assert engine.installed() == []
    assert "af_one.npy in it has 10485760 bytes" in engine.broken[0].reason


def test_a_table_of_more_rows_than_any_text_has_phonemes_is_refused() -> None:
    check_style_table(np.zeros((MAX_ROWS, 1, 256), dtype=np.float32), "a")
    with pytest.raises(BadRequest, match="expected \\(510, 1, 256\\)"):
        check_style_table(np.zeros((MAX_ROWS + 1, 256), dtype=np.float32), "a")


def test_a_table_round_trips() -> None:
    assert np.array_equal(parse_npy(npy(ROWS)), ROWS)
