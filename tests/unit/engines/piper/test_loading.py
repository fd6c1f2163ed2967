"""What the engine says about a voice that cannot be loaded."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support.tones import LETTERS, LOW, VOICES
from tests.unit.engines.piper.copied_voices import copy_voice, found_by, only_voice, speak_text
from wyoming_tts.engines.base import EngineOptions, samples_of
from wyoming_tts.engines.piper.engine import PiperEngine
from wyoming_tts.errors import VoiceUnavailable
from wyoming_tts.speech import Prosody, Segment, VoiceSpec


class TestLoad:
    def test_the_error_names_a_deleted_model(self, tmp_path: Path) -> None:
        path = copy_voice(tmp_path, "a")
        voice = only_voice(tmp_path)
        path.unlink()
        with pytest.raises(VoiceUnavailable, match=r"a\.onnx cannot be loaded"):
            PiperEngine(EngineOptions()).load(voice)

    def test_a_loaded_voice_keeps_speaking_when_its_files_are_deleted(self, tmp_path: Path) -> None:
        path = copy_voice(tmp_path, "a", of=LETTERS.name)
        voice = only_voice(tmp_path)
        loaded = PiperEngine(EngineOptions()).load(voice)
        steps = loaded.render(Segment("One two."), VoiceSpec(voice), Prosody())
        next(steps)
        path.unlink()
        path.with_name("a.onnx.json").unlink()
        assert LETTERS.said(np.concatenate([samples_of(step) for step in steps])) == ["One two."]
        assert LETTERS.said(speak_text(loaded, voice, "Three.")) == ["Three."]
        loaded.close()

    def test_the_error_names_a_deleted_json(self, tmp_path: Path) -> None:
        path = copy_voice(tmp_path, "a")
        voice = only_voice(tmp_path)
        path.with_name("a.onnx.json").unlink()
        with pytest.raises(VoiceUnavailable, match=r"a\.onnx\.json"):
            PiperEngine(EngineOptions()).load(voice)

    def test_the_error_names_a_truncated_model(self, tmp_path: Path) -> None:
        path = copy_voice(tmp_path, "a")
        voice = only_voice(tmp_path)
        path.write_bytes(path.read_bytes()[:1000])
        with pytest.raises(VoiceUnavailable, match=r"a\.onnx cannot be loaded"):
            PiperEngine(EngineOptions()).load(voice)

    def test_another_kind_of_model_is_not_mistaken_for_a_voice(self, tmp_path: Path) -> None:
        shutil.copy(VOICES / "kokoro-tones.onnx", copy_voice(tmp_path, "a"))
        with pytest.raises(VoiceUnavailable, match="not a Piper model: it has no input 'input'"):
            PiperEngine(EngineOptions()).load(only_voice(tmp_path))

    def test_the_error_names_a_missing_phonemizer_and_the_package_to_install(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "pyopenjtalk", None)
        copy_voice(tmp_path, "a", edit=lambda json_: json_.update(phoneme_type="japanese"))
        with pytest.raises(VoiceUnavailable, match=r"pip install 'piper-tts\[ja\]'"):
            PiperEngine(EngineOptions()).load(only_voice(tmp_path))

    def test_loading_fails_for_a_language_unknown_to_espeak(self, tmp_path: Path) -> None:
        copy_voice(tmp_path, "a")
        voice = only_voice(tmp_path)
        copy_voice(tmp_path, "a", edit=lambda json_: json_.update(espeak={"voice": "elvish"}))
        with pytest.raises(VoiceUnavailable, match="elvish"):
            PiperEngine(EngineOptions()).load(voice)

    def test_resources_are_stored_in_the_download_directory_else_in_the_first_data_directory(
        self, tmp_path: Path, engine: PiperEngine
    ) -> None:
        voice = found_by(engine)[LOW.name]
        options = EngineOptions(data_dirs=(VOICES, tmp_path), download_dir=tmp_path)
        assert PiperEngine(options).load(voice)._phonemizer._package.download_dir == tmp_path
        assert engine.load(voice)._phonemizer._package.download_dir == VOICES
