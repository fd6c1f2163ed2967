"""Calibrated voices where something goes wrong: nothing that was learned of something else is ever spoken."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from string import ascii_lowercase

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from tests.voices.make_kokoro import VOICES, KokoroVariant, style_table, write_kokoro
from wyoming_tts.engines.base import EngineOptions, samples_of
from wyoming_tts.engines.kokoro import loaded as loaded_module
from wyoming_tts.engines.kokoro.engine import KokoroEngine
from wyoming_tts.engines.kokoro.loaded import LoadedKokoro
from wyoming_tts.engines.kokoro.statistics import CALIBRATED
from wyoming_tts.errors import SpeechError
from wyoming_tts.speech import Prosody, Segment, VoiceSpec
from wyoming_tts.voices.styles import ImportedStyles

NAME = VOICES[0]
IMPORTED = "af_imported"


class State:
    """A data directory and a state directory, for any number of servers."""

    def __init__(self, directory: Path) -> None:
        self.data, self.statistics = directory / "data", directory / "state"
        write_kokoro(self.data, KokoroVariant())

    def start(self, name: str = NAME) -> tuple[LoadedKokoro, VoiceSpec]:
        """A server's engine, with its voice."""
        options = EngineOptions(
            data_dirs=(self.data,),
            kokoro_styles=ImportedStyles(self.data / "styles"),
            statistics_dir=self.statistics,
            intra_op_threads=1,
        )
        engine = KokoroEngine(options)
        voice = next(voice for voice in engine.installed() if voice.name == name)
        return engine.load(voice), VoiceSpec(voice)

    def files(self) -> list[Path]:
        return sorted(self.statistics.glob("*.npz"))

    def import_style(self, values: np.ndarray) -> Path:
        path = self.data / "styles" / f"{IMPORTED}.npy"
        path.parent.mkdir()
        np.save(path, values)
        return path


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path)


pytestmark = pytest.mark.usefixtures("decoders_are_shared")


@pytest.fixture(autouse=True)
def _short_sentences(monkeypatch: pytest.MonkeyPatch) -> None:
    sentences = [f"{letter}." for letter in ascii_lowercase[:CALIBRATED]]
    monkeypatch.setattr(loaded_module, "calibration_sentences", lambda _: sentences)


def calibrate(loaded: LoadedKokoro, spec: VoiceSpec) -> None:
    for _ in loaded.calibrate(spec):
        pass


def knows(loaded: LoadedKokoro, spec: VoiceSpec) -> bool:
    """Whether a voice is spoken with statistics."""
    for _ in loaded.render(Segment("Yes."), spec, Prosody()):
        pass
    return loaded.speaks_in_chunks(spec.voice, Prosody())


def test_a_state_directory_that_cannot_be_written_leaves_it_in_memory(
    state: State, caplog: pytest.LogCaptureFixture
) -> None:
    state.statistics.write_text("a file")
    with caplog.at_level(logging.INFO):
        loaded, spec = state.start()
        calibrate(loaded, spec)
    assert knows(loaded, spec)
    assert "kept in memory only" in caplog.text
    assert not [record for record in caplog.records if record.exc_info]
    assert not knows(*state.start())


def test_a_damaged_file_is_ignored_and_replaced(state: State, caplog: pytest.LogCaptureFixture) -> None:
    loaded, spec = state.start()
    calibrate(loaded, spec)
    (file,) = state.files()
    content = file.read_bytes()
    for damaged in (b"", content[:1000], content[:3000] + bytes(100) + content[3100:]):
        file.write_bytes(damaged)
        again, spec = state.start()
        assert not again.is_calibrated(spec)
        assert not knows(again, spec)
    assert caplog.text.count("calibrated anew") == 3
    calibrate(again, spec)
    assert knows(*state.start())


def test_another_model_under_the_same_name_has_no_statistics(state: State) -> None:
    calibrate(*state.start())
    path = state.data / "kokoro-like.onnx"
    model = onnx.load(path)
    weight = next(each for each in model.graph.initializer if len(each.dims) == 3)
    values = numpy_helper.to_array(weight).copy()
    values.flat[0] *= 1.01
    weight.CopyFrom(numpy_helper.from_array(values, weight.name))
    path.write_bytes(model.SerializeToString())
    again, spec = state.start()
    assert not again.is_calibrated(spec)
    assert not knows(again, spec)


def test_another_voice_under_the_same_name_has_no_statistics(state: State) -> None:
    calibrate(*state.start())
    with (state.data / "voices-like.bin").open("wb") as file:
        np.savez(file, allow_pickle=False, **{NAME: style_table(7)})
    again, spec = state.start()
    assert not again.is_calibrated(spec)
    assert not knows(again, spec)


def test_two_servers_calibrate_beside_each_other(state: State) -> None:
    (one, spec), (other, _) = state.start(), state.start()
    steps: list[Iterator[int]] = [one.calibrate(spec), other.calibrate(spec)]
    while steps:
        steps = [each for each in steps if next(each, None) is not None]
    assert len(state.files()) == 1
    for each in (one, other, state.start()[0]):
        assert each.is_calibrated(spec)
        assert knows(each, spec)


@pytest.mark.parametrize("size", [1e6, 1e30])
def test_a_style_beyond_all_speech_is_given_up_once(state: State, size: float) -> None:
    state.import_style(style_table(1) * np.float32(size))
    loaded, spec = state.start(IMPORTED)
    try:
        calibrate(loaded, spec)
    except SpeechError:
        return
    assert loaded.is_calibrated(spec)  # nobody tries again
    if not loaded.speaks_in_chunks(spec.voice, Prosody()):
        return
    heard = np.concatenate([*map(samples_of, loaded.render(Segment("Yes, it is open."), spec, Prosody()))])
    assert np.isfinite(heard).all()


def test_a_voice_that_is_removed_while_it_is_calibrated_harms_no_other(state: State) -> None:
    path = state.import_style(style_table(5))
    loaded, spec = state.start(IMPORTED)
    steps = loaded.calibrate(spec)
    next(done for done in steps if done == 3)
    path.unlink()
    assert [*steps][-1] == CALIBRATED
    other, spec = state.start()
    assert not other.is_calibrated(spec)
    assert not knows(other, spec)
