from __future__ import annotations

import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.tones import LOW, TONES, VOICES
from tests.voices.make_vits import VITS
from wyoming_tts.engines.model_files import FileComplaints, check_complete

OPSET_BYTES = 6
"""Of the last field, the version of the operators, whose numbers are numbers without their last bytes too."""
WHOLE = (VOICES / f"{LOW.name}.onnx").read_bytes()


@pytest.mark.parametrize(
    "path",
    [*VOICES.glob("*.onnx"), *VITS.glob("*.onnx")],
    ids=lambda path: path.stem,
)
def test_an_intact_model_is_complete(path: Path) -> None:
    check_complete(path)


def test_a_model_truncated_anywhere_is_incomplete(tmp_path: Path) -> None:
    path = tmp_path / "cut.onnx"
    ends = range(len(WHOLE) - 2 * OPSET_BYTES, len(WHOLE))
    for length in sorted({*range(0, len(WHOLE), 11), *ends}):  # coprime to the sizes of fields
        path.write_bytes(WHOLE[:length])
        with pytest.raises(ValueError, match="the model is"):
            check_complete(path)


def test_a_preallocated_file_is_incomplete(tmp_path: Path) -> None:
    path = tmp_path / "reserved.onnx"
    for length in range(0, len(WHOLE) - OPSET_BYTES, 7):
        path.write_bytes(WHOLE[:length].ljust(len(WHOLE), b"\0"))
        with pytest.raises(ValueError, match="the model is"):
            check_complete(path)


def test_checking_a_model_does_not_read_its_weights(tmp_path: Path) -> None:
    """The file has a sparse gigabyte of weights, which would take seconds to read."""
    path = tmp_path / "large.onnx"
    with path.open("wb") as file:
        file.write(b"\x08\x08\x3a\x80\x80\x80\x80\x04")  # ir_version 8, and a graph of 2**30 bytes
        file.seek(2**30, 1)
        file.write(b"\x42\x02\x10\x11")  # opset_import
    check_complete(path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><html><body>Sign in to this network</body></html>", "model is no"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 63201294\n", "the model is no"),
        (b"\x08" + b"\xff" * 20, "longer than 10 bytes"),
        (b"\x08\x08", "no graph"),
    ],
)
def test_a_file_that_is_no_model_is_reported(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "x.onnx"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=reason):
        check_complete(path)


@given(st.binary(max_size=200))
def test_the_check_handles_any_content(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.onnx"
    path.write_bytes(content)
    try:
        check_complete(path)
    except ValueError as error:
        assert str(error).startswith("the model")  # noqa: PT017


def test_a_deleted_file_is_reported_as_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        check_complete(tmp_path / f"{TONES.name}.onnx")


def test_a_warning_is_logged_once_while_the_file_is_unchanged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "voice.onnx"
    complaints = FileComplaints()
    with caplog.at_level(logging.WARNING):
        complaints.report(path, "it is gone")
        complaints.report(path, "it is gone")
        path.write_bytes(b"half")
        complaints.report(path, "it is cut off")
        complaints.report(path, "it is cut off")
        path.write_bytes(b"half and more")
        complaints.report(path, "it is cut off")
    assert [record.message.rpartition(": ")[2] for record in caplog.records] == [
        "it is gone",
        "it is cut off",
        "it is cut off",
    ]
