"""Files of the small Kokoro models, each written once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tests.voices.make_kokoro import KokoroVariant, kokoro_like_model, style_table
from wyoming_tts.engines.base import EngineOptions
from wyoming_tts.engines.kokoro.opening import OpenedDecoder, open_decoder

KokoroFile = Callable[[KokoroVariant], Path]

OPTIONS = EngineOptions(intra_op_threads=1)
PLAIN = KokoroVariant()


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


@pytest.fixture(scope="session")
def opened(kokoro_file: KokoroFile) -> OpenedDecoder:
    """The decoder of the variant in plain floats, which is the fastest."""
    decoder = open_decoder(kokoro_file(PLAIN), OPTIONS, lambda: style_table(0)[24])
    assert decoder is not None
    return decoder
