"""Incomplete models and voice packs are skipped, logged once, and used as soon as they are complete."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.support.tones import VOICES
from wyoming_tts.engines.base import EngineOptions
from wyoming_tts.engines.kokoro.engine import KokoroEngine

MODEL = VOICES / "kokoro-tones.onnx"
PACK = VOICES / "voices-tones.bin"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    for path in (MODEL, PACK):
        shutil.copy(path, tmp_path)
    return tmp_path


def engine_on(directory: Path) -> KokoroEngine:
    return KokoroEngine(EngineOptions(data_dirs=(directory,)))


def half(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def zeros_at_the_end(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2].ljust(len(content), b"\0"))


def a_page(path: Path) -> None:
    path.write_text("<html>Please sign in</html>")


def an_empty_archive(path: Path) -> None:
    zipfile.ZipFile(path, "w").close()


@pytest.mark.parametrize(
    ("name", "broken", "reason"),
    [
        (MODEL.name, half, "the model is not complete"),
        (MODEL.name, zeros_at_the_end, "the model is not an ONNX file"),
        (MODEL.name, a_page, "the model is not an ONNX file"),
        (PACK.name, half, "it is not a voice pack, or is incomplete"),
        (PACK.name, zeros_at_the_end, "it is not a voice pack, or is incomplete"),
        (PACK.name, a_page, "it is not a voice pack, or is incomplete"),
        (PACK.name, an_empty_archive, "it contains no voice"),
    ],
)
def test_an_incomplete_file_is_skipped_and_logged_once(
    directory: Path,
    caplog: pytest.LogCaptureFixture,
    name: str,
    broken: Callable[[Path], None],
    reason: str,
) -> None:
    whole = (directory / name).read_bytes()
    engine = engine_on(directory)
    assert engine.installed()
    broken(directory / name)
    assert [engine.installed(), engine.installed()] == [[], []]
    (found,) = engine.broken
    assert found.path == directory / name
    assert reason in found.reason
    (record,) = caplog.records
    assert reason in record.getMessage()
    (directory / name).write_bytes(whole)
    assert engine.installed()
    assert engine.broken == ()


def test_a_complete_model_is_used_instead_of_a_broken_one(directory: Path) -> None:
    half(Path(shutil.copy(MODEL, directory / "kokoro-v1.0.onnx")))
    half(Path(shutil.copy(PACK, directory / "voices-v1.0.bin")))
    engine = engine_on(directory)
    assert {voice.files for voice in engine.installed()} == {(directory / MODEL.name, directory / PACK.name)}
    assert [path.name for path, _ in engine.broken] == ["kokoro-v1.0.onnx", "voices-v1.0.bin"]


def test_a_model_without_a_pack_or_a_pack_without_a_model_is_listed_as_broken(tmp_path: Path) -> None:
    shutil.copy(MODEL, tmp_path)
    engine = engine_on(tmp_path)
    assert engine.installed() == []
    assert [(path.name, reason) for path, reason in engine.broken] == [
        (MODEL.name, "there is no voice pack (voices-v1.0.bin) to go with it")
    ]


def test_a_configured_file_that_does_not_exist_is_listed_as_broken(tmp_path: Path) -> None:
    engine = KokoroEngine(EngineOptions(kokoro_model=MODEL, kokoro_voices=tmp_path / "gone.bin"))
    assert engine.installed() == []
    assert engine.broken == ((tmp_path / "gone.bin", "there is no such file"),)


def test_a_directory_in_place_of_a_file_is_reported(tmp_path: Path) -> None:
    (tmp_path / "voices.bin").mkdir()
    engine = KokoroEngine(EngineOptions(kokoro_model=MODEL, kokoro_voices=tmp_path / "voices.bin"))
    assert engine.installed() == []
    assert engine.broken[0].reason == "it cannot be read: it is not a regular file"


def test_voices_are_listed_by_name(tmp_path: Path) -> None:
    tables = {name: np.zeros((1, 1, 256), np.float32) for name in ("bf_b", "af_a", "ef_c")}
    np.savez(tmp_path / "voices.npz", allow_pickle=False, **tables)
    options = EngineOptions(kokoro_model=MODEL, kokoro_voices=tmp_path / "voices.npz")
    assert [voice.name for voice in KokoroEngine(options).installed()] == ["af_a", "bf_b", "ef_c"]
