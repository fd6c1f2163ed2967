"""The small VITS voices: what is committed is what the script makes, and they are what they are for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from tests.support.tones import VOICES
from tests.voices.make_vits import SPEAKERS, VITS, VITS_VOICES, VitsVoice, letters_of, write_vits

MADE = [f"{voice.name}.onnx{ending}" for voice in VITS_VOICES for ending in ("", ".json")]


@pytest.fixture(scope="module")
def remade(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("vits")
    write_vits(directory)
    return directory


def test_the_script_makes_all_the_committed_voices_and_no_others(remade: Path) -> None:
    assert sorted(path.name for path in remade.iterdir()) == sorted(MADE)
    assert sorted(path.name for path in VITS.iterdir()) == sorted(MADE)


@pytest.mark.parametrize("name", MADE)
def test_what_is_committed_is_what_the_script_makes(name: str, remade: Path) -> None:
    assert (remade / name).read_bytes() == (VITS / name).read_bytes()


def test_all_the_voices_of_the_tests_together_are_small() -> None:
    assert sum(path.stat().st_size for path in VOICES.rglob("*.onnx*")) < 800_000


@pytest.mark.parametrize("voice", VITS_VOICES, ids=lambda voice: voice.name)
def test_the_sound_is_neither_silent_nor_overdriven_and_follows_the_text(voice: VitsVoice) -> None:
    session = onnxruntime.InferenceSession(VITS / f"{voice.name}.onnx", providers=["CPUExecutionProvider"])
    assert letters_of(voice).rate == voice.rate

    def spoken(*ids: int) -> np.ndarray:
        feeds = {
            "input": np.array([ids]),
            "input_lengths": np.array([len(ids)]),
            "scales": np.array([0, 1, 0], np.float32),
        }
        if voice is SPEAKERS:
            feeds["sid"] = np.array([0])
        return np.asarray(session.run(None, feeds)[0])

    short, long = spoken(1, 20, 2), spoken(1, *range(3, 97), 2)
    assert short.shape[:3] == long.shape[:3] == (1, 1, 1)
    assert short.shape[-1] % voice.hop == long.shape[-1] % voice.hop == 0
    assert long.shape[-1] > 10 * short.shape[-1]
    assert 0.05 < long.std() < 0.3
    assert np.abs(long).max() < 0.99
