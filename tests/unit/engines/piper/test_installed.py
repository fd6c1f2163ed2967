"""Which voices the engine finds, how it describes them, and which it leaves out."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.tones import LOW, TONES, VOICES
from tests.unit.engines.piper.copied_voices import (
    FRONT_DOOR,
    Edit,
    copy_voice,
    found_by,
    only_voice,
    speak_edited,
)
from wyoming_tts.engines.base import EngineOptions
from wyoming_tts.engines.piper.engine import PiperEngine


def _set_rate(rate: int, document: dict[str, Any]) -> None:
    document["audio"]["sample_rate"] = rate


class TestInstalled:
    def test_a_voice_is_described_from_its_files(self, engine: PiperEngine) -> None:
        voice = found_by(engine)[LOW.name]
        model = VOICES / "en_US-tone-low.onnx"
        assert (voice.engine, voice.language, voice.sample_rate) == ("piper", "en_US", 22050)
        assert voice.description == "Tone low (Piper)"
        assert (voice.speakers, voice.default_speaker, voice.version) == ({}, None, "1.0.0")
        assert voice.model == str(model)
        assert voice.files == (model, VOICES / "en_US-tone-low.onnx.json")

    def test_speakers_have_their_names(self, engine: PiperEngine) -> None:
        voice = found_by(engine)[TONES.name]
        assert dict(voice.speakers) == {"anna": 0, "bert": 1, "clara": 2}
        assert voice.default_speaker == 0
        assert (voice.sample_rate, voice.language) == (16000, "de_DE")

    def test_speakers_without_names_are_numbered(self, tmp_path: Path) -> None:
        copy_voice(tmp_path, "x", of=TONES.name, edit=lambda json_: json_.pop("speaker_id_map"))
        assert dict(only_voice(tmp_path).speakers) == {"0": 0, "1": 1, "2": 2}

    def test_the_default_speaker_is_read_and_an_unknown_one_ignored(self, tmp_path: Path) -> None:
        copy_voice(tmp_path / "a", "x", of=TONES.name, edit=lambda json_: json_.update(default_speaker_id=2))
        copy_voice(tmp_path / "b", "x", of=TONES.name, edit=lambda json_: json_.update(default_speaker_id=9))
        assert only_voice(tmp_path / "a").default_speaker == 2
        assert only_voice(tmp_path / "b").default_speaker == 0

    @pytest.mark.parametrize(
        ("name", "description", "attribution"),
        [
            ("en_US-lessac-medium", "Lessac medium (Piper)", "rhasspy/piper-voices"),
            ("de_DE-thorsten_emotional-medium", "Thorsten emotional medium (Piper)", "rhasspy/piper-voices"),
            ("en_GB-alan-x_low", "Alan x low (Piper)", "rhasspy/piper-voices"),
            ("my-own_voice", "My own voice low (Piper)", "Custom voice"),
            ("en_US-glados", "Glados low (Piper)", "Custom voice"),
        ],
    )
    def test_the_voice_name_gives_description_and_attribution(
        self, tmp_path: Path, name: str, description: str, attribution: str
    ) -> None:
        def quality(document: dict[str, Any]) -> None:
            document["audio"]["quality"] = name.rpartition("-")[2] if "lessac" in name else "low"
            if "_" in name and attribution.startswith("rhasspy"):
                document["audio"]["quality"] = name.rpartition("-")[2]

        copy_voice(tmp_path, name, edit=quality)
        voice = only_voice(tmp_path)
        assert (voice.description, voice.attribution.name) == (description, attribution)

    @pytest.mark.parametrize(
        ("name", "language", "espeak", "expected"),
        [
            ("nl_NL-x-low", {"code": "nl_BE"}, "nl", "nl_BE"),
            ("nl_NL-x-low", None, "nl", "nl_NL"),
            ("nl_NL-x-low", "Dutch", "nl", "nl_NL"),
            ("custom", {}, "en-us", "en_US"),
            ("custom", None, "en-gb-x-rp", "en_GB"),
            ("custom", None, "de", "de"),
            ("custom", None, "cmn", "zh_CN"),
            ("custom", None, "cmn-latn-pinyin", "zh_CN"),
            ("custom", None, "fa-latn", "fa"),
            ("custom", None, "es-419", "es_419"),
            ("custom", {"code": "en"}, "de", "en"),
            ("custom", {"code": "en-us"}, "de", "en_US"),
            ("custom", {"code": "EN_us"}, "de", "en_US"),
            ("custom", {"code": "", "family": "de", "region": "AT"}, "en", "de_AT"),
            ("custom", {"family": "sv"}, "en", "sv"),
            ("custom", {"code": 7}, "fr-be", "fr_BE"),
            ("custom", "en-GB", "de", "en_GB"),
            ("custom", ["en"], "de", "de"),
            ("en_us-mine", None, "de", "en_US"),
            ("de-AT_mine", None, "en", "de_AT"),
            ("de_DE", None, "en", "de_DE"),
            ("my-own_voice", None, "nl", "nl"),
            ("nl_note", None, "en-us", "en_US"),
        ],
    )
    def test_the_language_comes_from_the_json_else_the_name_else_the_phonemizer(
        self, tmp_path: Path, name: str, language: object, espeak: str, expected: str
    ) -> None:
        copy_voice(
            tmp_path, name, edit=lambda json_: json_.update(language=language, espeak={"voice": espeak})
        )
        assert only_voice(tmp_path).language == expected

    def test_a_voice_in_an_earlier_directory_takes_precedence(self, tmp_path: Path) -> None:
        for number, rate in enumerate((16000, 22050)):
            copy_voice(tmp_path / str(number), "a", edit=partial(_set_rate, rate))
        directories = (tmp_path / "missing", tmp_path / "0", tmp_path / "1")
        (voice,) = PiperEngine(EngineOptions(data_dirs=directories)).installed()
        assert (voice.sample_rate, voice.files[0]) == (16000, tmp_path / "0" / "a.onnx")

    def test_a_broken_voice_does_not_hide_a_valid_one_with_the_same_name(self, tmp_path: Path) -> None:
        copy_voice(tmp_path / "0", "a").write_bytes(b"")
        copy_voice(tmp_path / "1", "a")
        (voice,) = PiperEngine(EngineOptions(data_dirs=(tmp_path / "0", tmp_path / "1"))).installed()
        assert voice.files[0] == tmp_path / "1" / "a.onnx"

    def test_a_model_without_a_json_is_no_voice_and_no_error(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        shutil.copy(VOICES / "kokoro-tones.onnx", tmp_path)
        assert PiperEngine(EngineOptions(data_dirs=(tmp_path,))).installed() == []
        assert not caplog.records

    def test_a_skipped_voice_is_listed_with_its_reason_until_it_is_repaired(self, tmp_path: Path) -> None:
        shutil.copy(VOICES / "kokoro-tones.onnx", tmp_path)
        copy_voice(tmp_path, "bare").with_name("bare.onnx.json").unlink()
        copy_voice(tmp_path, "cut").write_bytes((VOICES / f"{LOW.name}.onnx").read_bytes()[:-30])
        copy_voice(tmp_path, "odd").with_name("odd.onnx.json").write_text("[]", encoding="utf-8")
        copy_voice(tmp_path, "whole")
        engine = PiperEngine(EngineOptions(data_dirs=(tmp_path,)))
        assert not engine.broken
        assert [voice.name for voice in engine.installed()] == ["whole"]
        reasons = {path.stem: reason for path, reason in engine.broken}
        assert set(reasons) == {"bare", "cut", "odd"}
        assert "bare.onnx.json is missing" in reasons["bare"]
        assert "not complete" in reasons["cut"]
        for name in reasons:
            copy_voice(tmp_path, name)
        assert len(engine.installed()) == 4
        assert not engine.broken

    def test_a_voice_of_a_phonemizer_that_does_not_exist_is_left_out_with_the_reason(
        self, tmp_path: Path
    ) -> None:
        copy_voice(tmp_path, "a", edit=lambda json_: json_.update(espeak={"voice": "elvish"}))
        copy_voice(
            tmp_path, "b", edit=lambda json_: json_.update(espeak={"voice": "Elvish"}, phoneme_type="text")
        )
        engine = PiperEngine(EngineOptions(data_dirs=(tmp_path,)))
        assert [voice.name for voice in engine.installed()] == ["b"]
        ((path, reason),) = engine.broken
        assert path == tmp_path / "a.onnx"
        assert reason == "its json has espeak.voice 'elvish', a voice that espeak-ng lacks"

    def test_a_voice_with_the_name_of_a_phoneme_type_in_place_of_its_value_speaks(
        self, tmp_path: Path
    ) -> None:
        audio = speak_edited(
            tmp_path,
            "The front door is open.",
            lambda json_: json_.update(phoneme_type="PhonemeType.ESPEAK"),
        )
        assert LOW.said(audio) == [FRONT_DOOR]

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (b"", "its json is broken"),
            (b'{"audio": {', "its json is broken"),
            (b"[]", "its json has no fields: it should be an object"),
            (b"\xff\xfe", "its json is broken"),
            (b"[" * 100_000, "its json is broken: recursion limit"),
            (b"{}", "its json has no 'audio'"),
            (b" " * 1_000_001, "its json is larger than 1000000 bytes"),
        ],
    )
    def test_a_voice_with_a_malformed_json_is_skipped_and_logged_once(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes, reason: str
    ) -> None:
        model = copy_voice(tmp_path, "broken")
        model.with_name("broken.onnx.json").write_bytes(content)
        copy_voice(tmp_path, "good")
        engine = PiperEngine(EngineOptions(data_dirs=(tmp_path,)))
        assert [voice.name for voice in engine.installed()] == ["good"]
        assert [voice.name for voice in engine.installed()] == ["good"]
        (record,) = caplog.records
        assert str(model) in record.message
        assert reason in record.message

    @pytest.mark.parametrize(
        ("edit", "reason"),
        [
            (lambda json_: json_.pop("audio"), "its json has no 'audio'"),
            (lambda json_: json_.pop("espeak"), "its json has no 'espeak'"),
            (lambda json_: json_.update(phoneme_type="runes"), "phoneme_type 'runes': it should be 'espeak'"),
            (lambda json_: json_["audio"].update(sample_rate="fast"), "audio.sample_rate 'fast'"),
            (lambda json_: json_["audio"].update(sample_rate=1), "audio.sample_rate 1: it should be greater"),
            (lambda json_: json_.update(num_speakers=None), "num_speakers None"),
            (lambda json_: json_["phoneme_id_map"].pop("^"), "phoneme_id_map: it should have '^'"),
            (lambda json_: json_["inference"].update(noise_w="much"), "inference.noise_w 'much'"),
            (lambda json_: json_["inference"].update(noise_w=10), "inference.noise_w 10: it should be less"),
            (
                lambda json_: json_["inference"].update(length_scale=float("nan")),
                "inference.length_scale nan",
            ),
        ],
    )
    def test_a_json_without_a_required_value_is_reported(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, edit: Edit, reason: str
    ) -> None:
        copy_voice(tmp_path, "broken", edit=edit)
        assert PiperEngine(EngineOptions(data_dirs=(tmp_path,))).installed() == []
        assert reason in caplog.text

    def test_an_empty_model_is_reported_and_listed_once_it_is_complete(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        copy_voice(tmp_path, "half").write_bytes(b"")
        engine = PiperEngine(EngineOptions(data_dirs=(tmp_path,)))
        assert engine.installed() == []
        assert "the model is empty" in caplog.text
        copy_voice(tmp_path, "half")
        assert [voice.name for voice in engine.installed()] == ["half"]
