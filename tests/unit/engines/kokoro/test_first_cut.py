"""Where first sentences of Kokoro's voices are cut: after some words until a voice is calibrated."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.voices.make_kokoro import write_kokoro
from wyoming_tts.engines.base import EngineOptions, FirstCut
from wyoming_tts.engines.kokoro import loaded as loaded_kokoro
from wyoming_tts.engines.kokoro.engine import KokoroEngine
from wyoming_tts.engines.kokoro.statistics import CALIBRATED
from wyoming_tts.speech import Prosody, Segment, VoiceSpec


@pytest.fixture(scope="module")
def voices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("kokoro")
    write_kokoro(directory)
    return directory


@pytest.fixture
def few_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        loaded_kokoro, "calibration_sentences", lambda _: [f"{number}." for number in range(CALIBRATED)]
    )


@pytest.mark.usefixtures("few_words")
def test_a_voice_needs_no_early_cut_once_it_is_calibrated_also_after_a_restart(
    voices: Path, tmp_path: Path
) -> None:
    options = EngineOptions(data_dirs=(voices,), intra_op_threads=1, statistics_dir=tmp_path)
    usual, hasty = Prosody(), Prosody(length_scale=0.5)

    engine = KokoroEngine(options)
    voice, other = engine.installed()
    assert engine.first_cut(voice, usual) is FirstCut.AFTER_WORDS
    loaded = engine.load(voice)
    spec = VoiceSpec(voice)
    assert not loaded.is_calibrated(spec)
    assert engine.first_cut(voice, usual) is FirstCut.AFTER_WORDS
    assert [*loaded.calibrate(spec)][-1] == CALIBRATED
    assert loaded.is_calibrated(spec)
    assert engine.first_cut(voice, usual) is FirstCut.WHILE_ARRIVING
    assert engine.first_cut(voice, hasty) is FirstCut.AFTER_WORDS
    assert engine.first_cut(other, usual) is FirstCut.AFTER_WORDS
    loaded.close()
    assert engine.first_cut(voice, usual) is FirstCut.AFTER_WORDS

    engine = KokoroEngine(options)
    loaded = engine.load(voice)
    assert engine.first_cut(voice, usual) is FirstCut.AFTER_WORDS  # nothing was read of it yet
    for _ in loaded.render(Segment("One."), spec, usual):
        pass
    assert engine.first_cut(voice, usual) is FirstCut.WHILE_ARRIVING
    assert loaded.is_calibrated(spec)
    loaded.close()


def test_a_model_that_runs_whole_is_always_cut_early(voices: Path) -> None:
    engine = KokoroEngine(EngineOptions(data_dirs=(voices,), intra_op_threads=1, kokoro_chunked=False))
    voice, _ = engine.installed()
    loaded = engine.load(voice)
    for _ in loaded.render(Segment("One."), VoiceSpec(voice), Prosody()):
        pass
    assert engine.first_cut(voice, Prosody()) is FirstCut.AFTER_WORDS
    assert loaded.is_calibrated(VoiceSpec(voice))  # there is nothing to learn
    loaded.close()
