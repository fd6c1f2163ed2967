"""Bounded reads of regular files."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from wyoming_tts.errors import SpeechError
from wyoming_tts.regular_files import read_regular_file
from wyoming_tts.style_tables import pack_names
from wyoming_tts.voices.bucket.record import SyncRecord, digest_of
from wyoming_tts.voices.catalogue import CatalogueError, read_piper_index
from wyoming_tts.voices.style_files import read_style_file
from wyoming_tts.voices.verification import check_form

OPEN_DESCRIPTORS = Path("/proc/self/fd")
NOT_REGULAR = "^it is not a regular file$"


@pytest.mark.parametrize(("size", "read"), [(0, 0), (9, 9), (10, 10), (11, 11), (1 << 40, 11)])
def test_a_file_is_read_whole_or_to_one_byte_beyond_the_limit(tmp_path: Path, size: int, read: int) -> None:
    path = tmp_path / "file"
    path.touch()
    os.truncate(path, size)
    assert read_regular_file(path, 10) == bytes(read)


def test_a_pipe_that_nobody_writes_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match=NOT_REGULAR):
        read_regular_file(tmp_path / "pipe", 10)


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("style.npy", read_style_file),
        ("pack.bin", lambda path: check_form(path, {})),
        ("pack.bin", pack_names),
        ("sync.json", lambda path: SyncRecord.load(path, "url")),
        ("model.onnx", digest_of),
        ("index.json", read_piper_index),
    ],
)
def test_a_pipe_in_place_of_a_file_holds_no_thread(
    tmp_path: Path, name: str, read: Callable[[Path], object]
) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises((OSError, SpeechError, CatalogueError), match="not a regular file"):
        read(tmp_path / name)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_directory_is_refused_and_leaves_no_descriptor_open(tmp_path: Path) -> None:
    before = len([*OPEN_DESCRIPTORS.iterdir()])
    with pytest.raises(OSError, match=NOT_REGULAR):
        read_regular_file(tmp_path, 10)
    assert len([*OPEN_DESCRIPTORS.iterdir()]) == before


def test_an_absent_file_is_absent(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_regular_file(tmp_path / "absent", 10)
