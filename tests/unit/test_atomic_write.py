"""Atomic replacement of files where symbolic links lead elsewhere."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wyoming_tts.atomic_write import replace_file


def test_the_file_that_a_link_leads_to_is_replaced_and_the_link_stays(tmp_path: Path) -> None:
    link, target = tmp_path / "link", tmp_path / "elsewhere" / "target"
    link.symlink_to(target)
    replace_file(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


def test_links_in_a_circle_are_an_error_of_the_file_system(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(link)
    with pytest.raises(OSError, match="symbolic links"):
        replace_file(link, b"new")


def test_a_link_to_a_pipe_or_a_device_never_has_it_replaced(tmp_path: Path) -> None:
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    with pytest.raises(OSError, match="not a regular file"):
        replace_file(link, b"new")
    assert pipe.is_fifo()
