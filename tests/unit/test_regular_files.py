"""Bounded reads of regular files."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from wyoming_tts.regular_files import read_regular_file

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


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_directory_is_refused_and_leaves_no_descriptor_open(tmp_path: Path) -> None:
    before = len([*OPEN_DESCRIPTORS.iterdir()])
    with pytest.raises(OSError, match=NOT_REGULAR):
        read_regular_file(tmp_path, 10)
    assert len([*OPEN_DESCRIPTORS.iterdir()]) == before


def test_an_absent_file_is_absent(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_regular_file(tmp_path / "absent", 10)
