"""Fixtures for tests that change a data directory: a temporary one with voices, and parts that use it."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.parts import running_parts
from tests.support.tones import LETTERS, LOW, VOICES
from wyoming_tts.assembly.parts import Parts


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A temporary data directory with two Piper voices."""
    directory = tmp_path / "data"
    directory.mkdir()
    for name in (LETTERS.name, LOW.name):
        for end in (".onnx", ".onnx.json"):
            shutil.copy(VOICES / f"{name}{end}", directory)
    return directory


@pytest.fixture
async def parts(data_dir: Path) -> AsyncIterator[Parts]:
    async with running_parts(data_dir=[data_dir], download_dir=data_dir) as parts:
        yield parts
