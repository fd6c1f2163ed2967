"""Files of the small Kokoro models, each written once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from hashlib import sha256
from pathlib import Path

import pytest

from tests.voices.make_kokoro import KokoroVariant, kokoro_like_model, style_table
from wyoming_tts.engines.base import EngineOptions
from wyoming_tts.engines.chunked_inference import Values
from wyoming_tts.engines.kokoro import engine as engine_module
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


class _OpenedOnce:
    """Opens each model once; a decoder learns nothing from what it speaks."""

    def __init__(self) -> None:
        self._opened: dict[str, OpenedDecoder | None] = {}

    def __call__(
        self, path: Path, options: EngineOptions, style: Callable[[], Values]
    ) -> OpenedDecoder | None:
        digest = sha256(path.read_bytes()).hexdigest()
        if digest not in self._opened:
            self._opened[digest] = open_decoder(path, replace(options, statistics_dir=None), style)
        return self._opened[digest]


@pytest.fixture(scope="session")
def _opened_once() -> _OpenedOnce:
    return _OpenedOnce()


@pytest.fixture
def decoders_are_shared(_opened_once: _OpenedOnce, monkeypatch: pytest.MonkeyPatch) -> None:
    """Engines that load the same model have the same decoder, as opening one takes a second."""
    monkeypatch.setattr(engine_module, "open_decoder", _opened_once)
