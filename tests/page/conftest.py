"""A data directory with voices, for the tests of what changes one."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.parts import running_parts
from tests.support.tones import LETTERS, LOW, VOICES
from wyoming_tts.assembly.parts import Parts


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A data directory of our own, with two voices."""
    home = tmp_path / "data"
    home.mkdir()
    for name in (LETTERS.name, LOW.name):
        for end in (".onnx", ".onnx.json"):
            shutil.copy(VOICES / f"{name}{end}", home)
    return home


@pytest.fixture
async def parts(home: Path) -> AsyncIterator[Parts]:
    async with running_parts(data_dir=[home], download_dir=home) as parts:
        yield parts
