"""Results of the check of a model in parts: what is found again, and what is checked anew."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wyoming_tts.engines.kokoro import check_results
from wyoming_tts.engines.kokoro.check_results import CheckResults


def files(directory: Path) -> list[Path]:
    return sorted(directory.iterdir())


def test_a_scale_is_read_as_it_was_saved(tmp_path: Path) -> None:
    directory = tmp_path / "made when it is needed"
    assert CheckResults(directory, "model").read() is None
    CheckResults(directory, "model").save(1 / 3)
    assert CheckResults(directory, "model").read() == 1 / 3


def test_another_model_is_checked(tmp_path: Path) -> None:
    CheckResults(tmp_path, "model").save(1.0)
    assert CheckResults(tmp_path, "another").read() is None


@pytest.mark.parametrize("name", ["_processor", "_code"])
def test_the_model_is_checked_again_after_an_update_and_on_another_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    CheckResults(tmp_path, "model").save(1.0)
    monkeypatch.setattr(check_results, name, lambda: "another")
    assert CheckResults(tmp_path, "model").read() is None


@pytest.mark.parametrize("content", [b"", b"2.0", b"2.0 0000", b"nan 0", b"\xff\xfe \x00", b"1.0 " * 10_000])
def test_a_damaged_file_is_none(tmp_path: Path, content: bytes) -> None:
    CheckResults(tmp_path, "model").save(1.0)
    (file,) = files(tmp_path)
    file.write_bytes(content)
    assert CheckResults(tmp_path, "model").read() is None


def test_a_file_with_another_scale_than_was_saved_is_none(tmp_path: Path) -> None:
    CheckResults(tmp_path, "model").save(1.0)
    (file,) = files(tmp_path)
    file.write_bytes(file.read_bytes().replace(b"1.0", b"9.0"))
    assert CheckResults(tmp_path, "model").read() is None


def test_where_nothing_can_be_written_it_is_checked_at_each_load(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for directory in (None, tmp_path / "file"):
        CheckResults(directory, "model").save(1.0)
        assert CheckResults(directory, "model").read() is None


def test_the_oldest_are_removed_and_only_those(tmp_path: Path) -> None:
    (tmp_path / "statistics.npz").touch()
    for number in range(check_results._MAX_FILES + 2):
        CheckResults(tmp_path, f"model {number}").save(1.0)
        os.utime(CheckResults(tmp_path, f"model {number}")._path(tmp_path), (number, number))
    assert len(files(tmp_path)) == check_results._MAX_FILES + 1
    assert (tmp_path / "statistics.npz").exists()
    assert CheckResults(tmp_path, "model 0").read() is None
    assert CheckResults(tmp_path, f"model {check_results._MAX_FILES + 1}").read() == 1.0
