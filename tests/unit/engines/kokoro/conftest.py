"""Files of the small Kokoro models, each written once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tests.voices.make_kokoro import KokoroVariant, kokoro_like_model

KokoroFile = Callable[[KokoroVariant], Path]


@pytest.fixture(scope="session")
def kokoro_file(tmp_path_factory: pytest.TempPathFactory) -> KokoroFile:
    """The file of a variant."""
    directory = tmp_path_factory.mktemp("kokoro")

    @cache
    def written(variant: KokoroVariant) -> Path:
        path = directory / f"kokoro-{variant}.onnx"
        path.write_bytes(kokoro_like_model(variant).SerializeToString())
        return path

    return written
