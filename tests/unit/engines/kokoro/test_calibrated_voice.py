"""The engine with a small model that can be cut: voices before and after their calibration."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from string import ascii_lowercase

import numpy as np
import pytest

from tests.voices.make_kokoro import KokoroVariant, write_kokoro
from wyoming_tts.engines.base import EngineOptions, samples_of
from wyoming_tts.engines.kokoro import loaded as loaded_module
from wyoming_tts.engines.kokoro.engine import KokoroEngine
from wyoming_tts.engines.kokoro.loaded import LoadedKokoro
from wyoming_tts.engines.kokoro.model import SHORT_SECONDS
from wyoming_tts.engines.kokoro.statistics import CALIBRATED
from wyoming_tts.speech import Prosody, Samples, Segment, TimedSamples, Voice, VoiceSpec, WordTiming

# As many as a calibration has, but short: what matters is that they are decoded.
SHORT_SENTENCES = tuple(f"{letter}." for letter in ascii_lowercase[:CALIBRATED])
LONG = "The front door is open, and somebody waits outside."


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("voices")
    write_kokoro(directory, KokoroVariant())
    return directory


pytestmark = pytest.mark.usefixtures("decoders_are_shared")


@pytest.fixture(autouse=True)
def _short_sentences(monkeypatch: pytest.MonkeyPatch) -> None:
    def sentences(language: str) -> Sequence[str]:
        assert language == "en_US"
        return SHORT_SENTENCES

    monkeypatch.setattr(loaded_module, "calibration_sentences", sentences)


def _engine(files: Path, statistics: Path | None, *, chunked: bool = True) -> KokoroEngine:
    options = EngineOptions(
        data_dirs=(files,), intra_op_threads=1, statistics_dir=statistics, kokoro_chunked=chunked
    )
    return KokoroEngine(options)


def _load(files: Path, statistics: Path | None, *, chunked: bool = True) -> tuple[LoadedKokoro, Voice, Voice]:
    engine = _engine(files, statistics, chunked=chunked)
    one, other = engine.installed()
    return engine.load(one), one, other


def _steps(loaded: LoadedKokoro, voice: Voice, text: str = LONG, *, speed: float = 1.0) -> list[Samples]:
    """The audible ones."""
    steps = map(samples_of, loaded.render(Segment(text), VoiceSpec(voice), Prosody(speed=speed)))
    return [samples for samples in steps if samples.size]


def _calibrate(loaded: LoadedKokoro, voice: Voice) -> list[int]:
    return list(loaded.calibrate(VoiceSpec(voice)))


def test_a_voice_is_calibrated_in_steps_that_tell_how_far_it_is(files: Path) -> None:
    loaded, voice, other = _load(files, None)
    assert not loaded.is_calibrated(VoiceSpec(voice))
    done = _calibrate(loaded, voice)
    assert done == sorted(done)
    assert {*done} == {*range(CALIBRATED + 1)}
    assert loaded.is_calibrated(VoiceSpec(voice))
    assert not loaded.is_calibrated(VoiceSpec(other))
    assert _calibrate(loaded, voice) == []  # there is nothing left to do


def test_a_calibration_that_is_stopped_goes_on_where_it_was(files: Path) -> None:
    loaded, voice, _ = _load(files, None)
    steps = loaded.calibrate(VoiceSpec(voice))
    assert next(done for done in steps if done == 5) == 5
    steps.close()
    assert not loaded.is_calibrated(VoiceSpec(voice))
    assert _calibrate(loaded, voice)[0] == 5
    assert loaded.is_calibrated(VoiceSpec(voice))


def test_what_was_learned_is_there_after_a_restart(files: Path, tmp_path: Path) -> None:
    loaded, voice, other = _load(files, tmp_path)
    _calibrate(loaded, voice)
    again, voice, other = _load(files, tmp_path)
    assert again.is_calibrated(VoiceSpec(voice))
    assert not again.is_calibrated(VoiceSpec(other))


def test_nothing_is_kept_of_a_calibration_that_was_killed(files: Path, tmp_path: Path) -> None:
    loaded, voice, _ = _load(files, tmp_path)
    next(done for done in loaded.calibrate(VoiceSpec(voice)) if done == 9)
    again, voice, _ = _load(files, tmp_path)
    assert _calibrate(again, voice)[0] == 0


def test_a_calibrated_voice_speaks_a_sentence_in_chunks(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded, voice, other = _load(files, None)
    uncalibrated = _steps(loaded, voice)
    _calibrate(loaded, voice)
    # Sentences of one letter tell nothing of this one, but that is not what is asked here.
    monkeypatch.setattr("wyoming_tts.engines.kokoro.statistics._MOST_DOUBT", np.inf)
    in_chunks = _steps(loaded, voice)
    assert len(in_chunks) > len(uncalibrated)
    assert sum(map(len, in_chunks)) > SHORT_SECONDS * 24000
    assert len(in_chunks[0]) < 0.35 * 24000
    assert len(_steps(loaded, other)) == len(uncalibrated)


def _words(loaded: LoadedKokoro, voice: Voice) -> tuple[list[WordTiming], int]:
    """The words of a sentence that is one batch, and the samples of its audio."""
    steps = [*loaded.render(Segment(LONG), VoiceSpec(voice), Prosody())]
    (told,) = (step for step in steps if isinstance(step, TimedSamples))
    assert next(step for step in steps if samples_of(step).size) is told
    return [*told.timings.words], sum(len(samples_of(step)) for step in steps)


def test_words_are_as_long_in_chunks_as_in_a_batch(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded, voice, _ = _load(files, None)
    whole, _ = _words(loaded, voice)
    _calibrate(loaded, voice)
    monkeypatch.setattr("wyoming_tts.engines.kokoro.statistics._MOST_DOUBT", np.inf)
    in_chunks, samples = _words(loaded, voice)
    assert [LONG[word.begin : word.end] for word in whole] == LONG.replace(",", "").strip(".").split()
    moved = {one.first_sample - two.first_sample for one, two in zip(whole[1:], in_chunks[1:], strict=True)}
    assert len(moved) == 1
    assert [one.end_sample - one.first_sample for one in whole[:-1]] == [
        one.end_sample - one.first_sample for one in in_chunks[:-1]
    ]
    assert in_chunks[-1].end_sample <= samples


@pytest.mark.parametrize("speed", [0.5, 1.5, 3.0])
def test_at_any_speed_it_speaks_in_chunks(files: Path, monkeypatch: pytest.MonkeyPatch, speed: float) -> None:
    loaded, voice, _ = _load(files, None)
    before = _steps(loaded, voice, speed=speed)
    _calibrate(loaded, voice)
    monkeypatch.setattr("wyoming_tts.engines.kokoro.statistics._MOST_DOUBT", np.inf)
    assert len(_steps(loaded, voice, speed=speed)) > len(before)


def test_without_chunks_there_is_nothing_to_calibrate(
    files: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        loaded, voice, _ = _load(files, tmp_path, chunked=False)
    assert loaded.is_calibrated(VoiceSpec(voice))
    assert _calibrate(loaded, voice) == []
    assert "runs whole" not in caplog.text
    assert not [*tmp_path.iterdir()]
    assert len(_steps(loaded, voice)) >= 1
