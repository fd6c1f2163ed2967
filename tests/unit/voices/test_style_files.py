"""Import of foreign style tables: read as values, never executed."""

from __future__ import annotations

import io
import pickle
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.torch_files import TABLE, make_pickle, make_torch_file, make_zip
from wyoming_tts.errors import BadRequest, VoiceUnavailable
from wyoming_tts.style_tables import StyleTable
from wyoming_tts.voices.style_files import read_style_file, write_style_file


def npy(values: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> bytes:
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


def read(tmp_path: Path, name: str, content: bytes) -> StyleTable:
    path = tmp_path / name
    path.write_bytes(content)
    return read_style_file(path)


@pytest.mark.parametrize("suffix", [".npy", ".bin"])
def test_an_exported_style_table_imports_bit_for_bit(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "new" / f"x{suffix}"
    write_style_file(path, TABLE)
    assert read_style_file(path).tobytes() == TABLE.tobytes()
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("shape", "strides"),
    [((510, 1, 256), (256, 256, 1)), ((510, 1, 256), (256, 7, 1)), ((510, 256), (256, 1))],
)
def test_a_kokoro_fastapi_voice_is_read_without_torch(
    tmp_path: Path, shape: tuple[int, ...], strides: tuple[int, ...]
) -> None:
    table = read(tmp_path, "af_mine.pt", make_torch_file(make_pickle(shape, strides=strides)))
    assert table.tobytes() == TABLE.tobytes()
    assert table.shape == (510, 1, 256)


def test_half_precision_tensors_and_views_of_larger_tensors_are_read(tmp_path: Path) -> None:
    half_precision = TABLE.astype(np.float16)
    pickle_bytes = make_pickle(storage=b"HalfStorage")
    assert (
        read(tmp_path, "a.pt", make_torch_file(pickle_bytes, half_precision.tobytes())) == half_precision
    ).all()
    within = make_pickle((509, 1, 256), offset=256)
    assert (read(tmp_path, "b.pt", make_torch_file(within)) == TABLE[1:]).all()


class _RunsCode:
    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self._path,))


def test_a_pickle_that_would_execute_code_is_rejected_unexecuted(tmp_path: Path) -> None:
    harm = tmp_path / "harm"
    with pytest.raises(BadRequest, match=r"no tensor needs|refers to"):
        read(tmp_path, "x.pt", make_torch_file(pickle.dumps(_RunsCode(harm), protocol=2)))
    system = b"\x80\x02cos\nsystem\nq\x00X\x04\x00\x00\x00trueq\x01\x85q\x02R."
    with pytest.raises(BadRequest, match=r"refers to os\.system"):
        read(tmp_path, "x.pt", make_torch_file(system))
    assert not harm.exists()


@pytest.mark.parametrize(
    ("pickle_bytes", "expected_message"),
    [
        (b"\x80\x02Nr\xff\xff\xff\x7f.", "no tensor needs"),  # a memo of 2 billion cells
        (make_pickle(strides=(1, 1, 510)), "not in order"),
        (make_pickle((511, 1, 256)), "do not hold"),
        (make_pickle(offset=1), "do not hold"),
        (make_pickle(offset=-1), "do not hold"),
        (make_pickle((510, -1, 256)), "has the shape"),
        (make_pickle((510, 1, 255), strides=(255, 255, 1)), "has shape"),
        (make_pickle(storage=b"IntStorage"), "refers to torch.IntStorage"),
        (make_pickle()[:-5], "is not a style table"),
        (b"\x80\x02).", "expected one tensor"),
        (b"", "is not a style table"),
        (b"\x80\x02" + b"0" * 20_000, "more than 10000 bytes"),
    ],
    ids=range(12),
)
def test_a_torch_file_of_other_content_is_rejected(
    tmp_path: Path, pickle_bytes: bytes, expected_message: str
) -> None:
    with pytest.raises(BadRequest, match=expected_message):
        read(tmp_path, "x.pt", make_torch_file(pickle_bytes))


def test_a_zip_bomb_is_rejected(tmp_path: Path) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", make_pickle())
        archive.writestr("x/data/0", bytes(40_000_000))
    with pytest.raises(BadRequest, match="more than 16000000 bytes"):
        read(tmp_path, "x.pt", file.getvalue())


@pytest.mark.parametrize(
    ("name", "content", "expected_message"),
    [
        ("x.pt", make_torch_file(byteorder=b"big"), "big-endian"),
        ("x.pt", make_zip({"x": b""}), "no data.pkl"),
        ("x.pt", b"\x80\x02l\n.", "since 1.6"),
        ("x.bin", make_zip({"af_bella.npy": b""}), "a pack of voices"),
        ("x.bin", b"", "0 bytes, expected rows of 1024"),
        ("x.bin", bytes(1023), "1023 bytes"),
        ("x.bin", b"\xff" * 1024, "no finite"),
        ("x.bin", bytes(16_000_001), "at most 16000000"),
        ("x.npy", npy(np.zeros((510, 1, 256), np.int32)), "do not hold"),
        ("x.npy", npy(np.array([{}], dtype=object)), "do not hold"),
        ("x.npy", npy(TABLE)[:-1], "do not hold"),
        ("x.npy", b"", "is not a style table"),
        ("x.npy", npy(np.zeros((2, 3), np.float32)), "has shape"),
        ("x.wav", b"RIFF", "unsupported suffix"),
    ],
    ids=range(14),
)
def test_a_file_in_another_format_is_rejected(
    tmp_path: Path, name: str, content: bytes, expected_message: str
) -> None:
    with pytest.raises(BadRequest, match=expected_message):
        read(tmp_path, name, content)


@given(st.data())
def test_a_damaged_torch_file_is_read_or_rejected_as_a_bad_request(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    pickle_bytes = bytearray(make_pickle((2, 1, 256)))
    for _ in range(data.draw(st.integers(1, 3))):
        pickle_bytes[data.draw(st.integers(0, len(pickle_bytes) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / "x.pt"
    path.write_bytes(make_torch_file(bytes(pickle_bytes), TABLE[:2].tobytes()))
    with suppress(BadRequest):
        assert read_style_file(path).shape[1:] == (1, 256)


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(VoiceUnavailable, match="No such file"):
        read_style_file(tmp_path / "x.npy")
    with pytest.raises(BadRequest, match=r"ends in \.npy or \.bin"):
        write_style_file(tmp_path / "x.pt", TABLE)
