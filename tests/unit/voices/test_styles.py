"""Imported voices by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from wyoming_tts.errors import BadRequest
from wyoming_tts.voices.style_files import read_style_file, write_style_file
from wyoming_tts.voices.styles import ImportedStyles

if TYPE_CHECKING:
    from pathlib import Path

TABLE = np.arange(2 * 256, dtype=np.float32).reshape(2, 1, 256)


def test_an_imported_voice_is_stored_under_its_name(tmp_path: Path) -> None:
    source = tmp_path / "af_mine.bin"
    write_style_file(source, TABLE)
    styles = ImportedStyles(tmp_path / "styles")
    assert styles.names() == ()
    styles.add("af_mine", source)
    assert styles.names() == ("af_mine",)
    assert read_style_file(styles.path("af_mine")).tobytes() == TABLE.tobytes()
    with pytest.raises(BadRequest, match="already"):
        styles.add("af_mine", source)
    with pytest.raises(BadRequest, match="not a valid name"):
        styles.add("../af_mine", source)
