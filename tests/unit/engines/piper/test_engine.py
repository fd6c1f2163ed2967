from __future__ import annotations

import json
import logging
import shutil
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.parser
import pytest

from tests.support.tones import LETTERS, LOW, TONES, VOICES
from tests.voices.make_vits import SPEAKERS, VITS
from wyoming_tts.engines.base import EngineOptions, samples_of
from wyoming_tts.engines.onnx import OnnxModel
from wyoming_tts.engines.piper.engine import LoadedPiper, PiperEngine
from wyoming_tts.engines.piper.phrases import MAX_PHONEMES
from wyoming_tts.errors import EngineFailed, UnknownVoice, VoiceUnavailable
from wyoming_tts.speech import Prosody, Samples, Segment, Voice, VoiceSpec

Edit = Callable[[dict[str, Any]], None]

FRONT_DOOR = "ðə fɹˈʌnt dˈɔːɹ ɪz ˈoʊpən."


@pytest.fixture(scope="module")
def engine() -> PiperEngine:
    return PiperEngine(EngineOptions(data_dirs=(VOICES,), intra_op_threads=1))


@pytest.fixture(scope="module")
def loaded(engine: PiperEngine) -> dict[str, LoadedPiper]:
    return {voice.name: engine.load(voice) for voice in engine.installed()}


def _found(engine: PiperEngine) -> dict[str, Voice]:
    return {voice.name: voice for voice in engine.installed()}


def _copy(directory: Path, name: str, *, of: str = LOW.name, edit: Edit | None = None) -> Path:
    """Copy a test voice under another name, with an edited json."""
    directory.mkdir(parents=True, exist_ok=True)
    shutil.copy(VOICES / f"{of}.onnx", directory / f"{name}.onnx")
    document = json.loads((VOICES / f"{of}.onnx.json").read_text(encoding="utf-8"))
    if edit:
        edit(document)
    (directory / f"{name}.onnx.json").write_text(json.dumps(document), encoding="utf-8")
    return directory / f"{name}.onnx"


def _set_rate(rate: int, document: dict[str, Any]) -> None:
    document["audio"]["sample_rate"] = rate


def _with_silences(silences: dict[str, Any]) -> Edit:
    return lambda document: document["inference"].update(phoneme_silence=silences)


def _one(directory: Path) -> Voice:
    (voice,) = PiperEngine(EngineOptions(data_dirs=(directory,))).installed()
    return voice


def _speak(
    loaded: LoadedPiper,
    voice: Voice,
    text: str,
    *,
    speaker: int | None = None,
    prosody: Prosody | None = None,
) -> Samples:
    return np.concatenate(_steps(loaded, text, VoiceSpec(voice, speaker), prosody))


def _steps(loaded: LoadedPiper, text: str, spec: VoiceSpec, prosody: Prosody | None = None) -> list[Samples]:
    """The samples of each step."""
    return [samples_of(step) for step in loaded.render(Segment(text), spec, prosody or Prosody())]


def _speak_edited(directory: Path, text: str, edit: Edit, *, prosody: Prosody | None = None) -> Samples:
    _copy(directory, "en_US-edited-low", edit=edit)
    voice = _one(directory)
    loaded = PiperEngine(EngineOptions(data_dirs=(directory,))).load(voice)
    return _speak(loaded, voice, text, prosody=prosody)


class TestInstalled:
    def test_a_voice_is_described_from_its_files(self, engine: PiperEngine) -> None:
        voice = _found(engine)[LOW.name]
        model = VOICES / "en_US-tone-low.onnx"
        assert (voice.engine, voice.language, voice.sample_rate) == ("piper", "en_US", 22050)
        assert voice.description == "Tone low (Piper)"
        assert (voice.speakers, voice.default_speaker, voice.version) == ({}, None, "1.0.0")
        assert voice.model == str(model)
        assert voice.files == (model, VOICES / "en_US-tone-low.onnx.json")

    def test_speakers_have_their_names(self, engine: PiperEngine) -> None:
        voice = _found(engine)[TONES.name]
        assert dict(voice.speakers) == {"anna": 0, "bert": 1, "clara": 2}
        assert voice.default_speaker == 0
        assert (voice.sample_rate, voice.language) == (16000, "de_DE")

    def test_speakers_without_names_are_numbered(self, tmp_path: Path) -> None:
        _copy(tmp_path, "x", of=TONES.name, edit=lambda json_: json_.pop("speaker_id_map"))
        assert dict(_one(tmp_path).speakers) == {"0": 0, "1": 1, "2": 2}

    def test_the_default_speaker_is_read_and_an_unknown_one_ignored(self, tmp_path: Path) -> None:
        _copy(tmp_path / "a", "x", of=TONES.name, edit=lambda json_: json_.update(default_speaker_id=2))
        _copy(tmp_path / "b", "x", of=TONES.name, edit=lambda json_: json_.update(default_speaker_id=9))
        assert _one(tmp_path / "a").default_speaker == 2
        assert _one(tmp_path / "b").default_speaker == 0

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

        _copy(tmp_path, name, edit=quality)
        voice = _one(tmp_path)
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
        _copy(tmp_path, name, edit=lambda json_: json_.update(language=language, espeak={"voice": espeak}))
        assert _one(tmp_path).language == expected

    def test_a_voice_in_an_earlier_directory_takes_precedence(self, tmp_path: Path) -> None:
        for number, rate in enumerate((16000, 22050)):
            _copy(tmp_path / str(number), "a", edit=partial(_set_rate, rate))
        directories = (tmp_path / "missing", tmp_path / "0", tmp_path / "1")
        (voice,) = PiperEngine(EngineOptions(data_dirs=directories)).installed()
        assert (voice.sample_rate, voice.files[0]) == (16000, tmp_path / "0" / "a.onnx")

    def test_a_broken_voice_does_not_hide_a_valid_one_with_the_same_name(self, tmp_path: Path) -> None:
        _copy(tmp_path / "0", "a").write_bytes(b"")
        _copy(tmp_path / "1", "a")
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
        _copy(tmp_path, "bare").with_name("bare.onnx.json").unlink()
        _copy(tmp_path, "cut").write_bytes((VOICES / f"{LOW.name}.onnx").read_bytes()[:-30])
        _copy(tmp_path, "odd").with_name("odd.onnx.json").write_text("[]", encoding="utf-8")
        _copy(tmp_path, "whole")
        engine = PiperEngine(EngineOptions(data_dirs=(tmp_path,)))
        assert not engine.broken
        assert [voice.name for voice in engine.installed()] == ["whole"]
        reasons = {path.stem: reason for path, reason in engine.broken}
        assert set(reasons) == {"bare", "cut", "odd"}
        assert "bare.onnx.json is missing" in reasons["bare"]
        assert "not complete" in reasons["cut"]
        for name in reasons:
            _copy(tmp_path, name)
        assert len(engine.installed()) == 4
        assert not engine.broken

    def test_a_voice_of_a_phonemizer_that_does_not_exist_is_left_out_with_the_reason(
        self, tmp_path: Path
    ) -> None:
        _copy(tmp_path, "a", edit=lambda json_: json_.update(espeak={"voice": "elvish"}))
        _copy(tmp_path, "b", edit=lambda json_: json_.update(espeak={"voice": "Elvish"}, phoneme_type="text"))
        engine = PiperEngine(EngineOptions(data_dirs=(tmp_path,)))
        assert [voice.name for voice in engine.installed()] == ["b"]
        ((path, reason),) = engine.broken
        assert path == tmp_path / "a.onnx"
        assert reason == "its json has espeak.voice 'elvish', a voice that espeak-ng lacks"

    def test_a_voice_with_the_name_of_a_phoneme_type_in_place_of_its_value_speaks(
        self, tmp_path: Path
    ) -> None:
        audio = _speak_edited(
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
        model = _copy(tmp_path, "broken")
        model.with_name("broken.onnx.json").write_bytes(content)
        _copy(tmp_path, "good")
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
        _copy(tmp_path, "broken", edit=edit)
        assert PiperEngine(EngineOptions(data_dirs=(tmp_path,))).installed() == []
        assert reason in caplog.text

    def test_an_empty_model_is_reported_and_listed_once_it_is_complete(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        _copy(tmp_path, "half").write_bytes(b"")
        engine = PiperEngine(EngineOptions(data_dirs=(tmp_path,)))
        assert engine.installed() == []
        assert "the model is empty" in caplog.text
        _copy(tmp_path, "half")
        assert [voice.name for voice in engine.installed()] == ["half"]


class TestLoad:
    def test_the_error_names_a_deleted_model(self, tmp_path: Path) -> None:
        path = _copy(tmp_path, "a")
        voice = _one(tmp_path)
        path.unlink()
        with pytest.raises(VoiceUnavailable, match=r"a\.onnx cannot be loaded"):
            PiperEngine(EngineOptions()).load(voice)

    def test_a_loaded_voice_keeps_speaking_when_its_files_are_deleted(self, tmp_path: Path) -> None:
        path = _copy(tmp_path, "a", of=LETTERS.name)
        voice = _one(tmp_path)
        loaded = PiperEngine(EngineOptions()).load(voice)
        steps = loaded.render(Segment("One two."), VoiceSpec(voice), Prosody())
        next(steps)
        path.unlink()
        path.with_name("a.onnx.json").unlink()
        assert LETTERS.said(np.concatenate([samples_of(step) for step in steps])) == ["One two."]
        assert LETTERS.said(_speak(loaded, voice, "Three.")) == ["Three."]
        loaded.close()

    def test_the_error_names_a_deleted_json(self, tmp_path: Path) -> None:
        path = _copy(tmp_path, "a")
        voice = _one(tmp_path)
        path.with_name("a.onnx.json").unlink()
        with pytest.raises(VoiceUnavailable, match=r"a\.onnx\.json"):
            PiperEngine(EngineOptions()).load(voice)

    def test_the_error_names_a_truncated_model(self, tmp_path: Path) -> None:
        path = _copy(tmp_path, "a")
        voice = _one(tmp_path)
        path.write_bytes(path.read_bytes()[:1000])
        with pytest.raises(VoiceUnavailable, match=r"a\.onnx cannot be loaded"):
            PiperEngine(EngineOptions()).load(voice)

    def test_another_kind_of_model_is_not_mistaken_for_a_voice(self, tmp_path: Path) -> None:
        shutil.copy(VOICES / "kokoro-tones.onnx", _copy(tmp_path, "a"))
        with pytest.raises(VoiceUnavailable, match="not a Piper model: it has no input 'input'"):
            PiperEngine(EngineOptions()).load(_one(tmp_path))

    def test_the_error_names_a_missing_phonemizer_and_the_package_to_install(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "pyopenjtalk", None)
        _copy(tmp_path, "a", edit=lambda json_: json_.update(phoneme_type="japanese"))
        with pytest.raises(VoiceUnavailable, match=r"pip install 'piper-tts\[ja\]'"):
            PiperEngine(EngineOptions()).load(_one(tmp_path))

    def test_loading_fails_for_a_language_unknown_to_espeak(self, tmp_path: Path) -> None:
        _copy(tmp_path, "a")
        voice = _one(tmp_path)
        _copy(tmp_path, "a", edit=lambda json_: json_.update(espeak={"voice": "elvish"}))
        with pytest.raises(VoiceUnavailable, match="elvish"):
            PiperEngine(EngineOptions()).load(voice)

    def test_resources_are_stored_in_the_download_directory_else_in_the_first_data_directory(
        self, tmp_path: Path, engine: PiperEngine
    ) -> None:
        voice = _found(engine)[LOW.name]
        options = EngineOptions(data_dirs=(VOICES, tmp_path), download_dir=tmp_path)
        assert PiperEngine(options).load(voice)._phonemizer._package.download_dir == tmp_path
        assert engine.load(voice)._phonemizer._package.download_dir == VOICES


class TestPhonemeSilence:
    def test_each_part_is_spoken_by_itself_and_followed_by_its_silence(self, tmp_path: Path) -> None:
        _copy(tmp_path, "a", edit=_with_silences({",": 0.5, ".": 0.25}))
        voice = _one(tmp_path)
        loaded = PiperEngine(EngineOptions()).load(voice)
        _, one, pause, two, end = _steps(loaded, "One, two.", VoiceSpec(voice))
        assert [*LOW.said(one), *LOW.said(two)] == ["wˌʌn,", " tˈuː."]
        assert (len(pause), len(end)) == (voice.sample_rate // 2, round(voice.sample_rate / 4))
        assert not pause.any()
        assert pause.dtype == np.float32

    def test_a_mark_by_itself_is_not_spoken(self, tmp_path: Path) -> None:
        _copy(tmp_path, "a", edit=_with_silences({" ": 0.1, ",": 0.1}))
        voice = _one(tmp_path)
        steps = _steps(PiperEngine(EngineOptions()).load(voice), "One, two", VoiceSpec(voice))
        spoken = [LOW.said(step) for step in steps if step.any()]
        assert spoken == [["wˌʌn,"], ["tˈuː"]]

    def test_the_phonemes_are_those_of_the_whole_sentence(self, tmp_path: Path) -> None:
        _copy(tmp_path, "a", edit=_with_silences({" ": 0.1}))
        voice = _one(tmp_path)
        loaded = PiperEngine(EngineOptions()).load(voice)
        assert loaded.phonemes(Segment("One, two."), VoiceSpec(voice)) == "wˌʌn, tˈuː."


class TestRender:
    def test_the_first_render_step_phonemizes_and_each_further_one_speaks_a_sentence(
        self, engine: PiperEngine, loaded: dict[str, LoadedPiper]
    ) -> None:
        spec = VoiceSpec(_found(engine)[LOW.name])
        steps = _steps(loaded[LOW.name], "Hello there. Who is it?", spec)
        assert len(steps[0]) == 0
        assert [LOW.said(step) for step in steps[1:]] == [["həlˈoʊ ðˈɛɹ."], ["hˈuː ɪz ɪt?"]]
        assert {step.dtype for step in steps} == {np.dtype(np.float32)}
        assert {step.ndim for step in steps} == {1}

    def test_a_splittable_voice_yields_audio_before_the_whole_sentence_is_computed(self) -> None:
        engine = PiperEngine(EngineOptions(data_dirs=(VITS,), intra_op_threads=1))
        voice = _found(engine)[SPEAKERS.name]
        text = "A sentence that is long enough for more than one chunk of sound."
        # Phonemes, then the text part of the model, then one chunk of audio after the other.
        chunk = 22 * SPEAKERS.hop
        loaded = engine.load(voice)
        spoken = []
        for speaker in range(3):
            steps = [len(step) for step in _steps(loaded, text, VoiceSpec(voice, speaker))]
            assert steps[:4] == [0, 0, chunk, 2 * chunk]
            assert steps.count(0) == 2
            spoken.append(sum(steps))
        assert len(set(spoken)) == 1
        assert "in 4 parts" in repr(loaded)

    def test_the_loudness_is_that_of_the_model(
        self, engine: PiperEngine, loaded: dict[str, LoadedPiper]
    ) -> None:
        audio = _speak(loaded[LOW.name], _found(engine)[LOW.name], "The front door is open.")
        assert LOW.said(audio) == [FRONT_DOOR]
        assert np.abs(audio).max() == pytest.approx(LOW.level)

    @pytest.mark.parametrize(("speaker", "name"), [(None, "anna"), (0, "anna"), (1, "bert"), (2, "clara")])
    def test_the_requested_speaker_is_used(
        self, engine: PiperEngine, loaded: dict[str, LoadedPiper], speaker: int | None, name: str
    ) -> None:
        audio = _speak(loaded[TONES.name], _found(engine)[TONES.name], "Guten Morgen.", speaker=speaker)
        assert TONES.said(audio) == ["ɡˈuːtən mˈɔɾɡən."]
        assert TONES.speakers_of(audio) == {name}

    @pytest.mark.parametrize(("voice", "speaker"), [(TONES, 3), (TONES, -1), (LOW, 1)])
    def test_an_unknown_speaker_is_an_error(
        self, engine: PiperEngine, loaded: dict[str, LoadedPiper], voice: Any, speaker: int
    ) -> None:
        with pytest.raises(UnknownVoice, match=f"{voice.name} has no speaker {speaker}"):
            _speak(loaded[voice.name], _found(engine)[voice.name], "Hallo.", speaker=speaker)

    @pytest.mark.parametrize(
        ("prosody", "pace"),
        [
            (Prosody(), 1.0),
            (Prosody(speed=1.25), 1.25),
            (Prosody(speed=0.5), 0.5),
            (Prosody(length_scale=2.5), 0.5),  # the voice has 1.25
            (Prosody(length_scale=1.875, speed=1.5), 1.0),
        ],
    )
    def test_speed_and_length_scale_set_the_duration(
        self, engine: PiperEngine, loaded: dict[str, LoadedPiper], prosody: Prosody, pace: float
    ) -> None:
        audio = _speak(loaded[TONES.name], _found(engine)[TONES.name], "Guten Morgen.", prosody=prosody)
        assert TONES.said(audio, speed=pace) == ["ɡˈuːtən mˈɔɾɡən."]

    @pytest.mark.parametrize("speed", [0.25, 2.0, 4.0])
    def test_beyond_what_models_speak_well_the_time_is_as_exact(
        self, engine: PiperEngine, loaded: dict[str, LoadedPiper], speed: float
    ) -> None:
        voice = _found(engine)[TONES.name]
        natural, other = (
            _speak(loaded[TONES.name], voice, "Guten Morgen.", prosody=Prosody(speed=each))
            for each in (1.0, speed)
        )
        assert len(other) == pytest.approx(len(natural) / speed, rel=0.01)

    def test_without_noise_rendering_is_deterministic(
        self, engine: PiperEngine, loaded: dict[str, LoadedPiper]
    ) -> None:
        voice = _found(engine)[LOW.name]
        first, second = (_speak(loaded[LOW.name], voice, "Hello.") for _ in range(2))
        np.testing.assert_array_equal(first, second)

    def test_noise_scale_comes_from_the_request_else_from_the_voice_json(self, tmp_path: Path) -> None:
        def noisy(document: dict[str, Any]) -> None:
            document["inference"]["noise_scale"] = 1.0

        own = _speak_edited(tmp_path, "Hello.", noisy)
        none = _speak_edited(tmp_path, "Hello.", noisy, prosody=Prosody(noise_scale=0.0))
        less = _speak_edited(tmp_path, "Hello.", noisy, prosody=Prosody(noise_scale=0.5))
        assert np.std(own - none) == pytest.approx(0.05, rel=0.1)
        assert np.std(less - none) == pytest.approx(0.025, rel=0.1)

    def test_noise_w_comes_from_the_request_else_from_the_voice_json(self, tmp_path: Path) -> None:
        def uneven(document: dict[str, Any]) -> None:
            document["inference"]["noise_w"] = 1.0

        plain = _speak_edited(tmp_path, "Hello.", uneven, prosody=Prosody(noise_w_scale=0.0))
        assert LOW.said(plain) == ["həlˈoʊ."]
        longer = [len(_speak_edited(tmp_path, "Hello.", uneven)) for _ in range(3)]
        assert max(longer) > len(plain)

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("[[ həlˈoʊ ]]", ["həlˈoʊ"]),
            ("say [[ həlˈoʊ ]] now.", ["sˈeɪ həlˈoʊ nˈaʊ."]),
            ("say [[ həlˈoʊ ]], now.", ["sˈeɪ həlˈoʊ, nˈaʊ."]),
            ("[[ hello there", ["həlˈoʊ ðˈɛɹ"]),
            ("hello ]] there", ["həlˈoʊ ðˈɛɹ"]),
            ("[[]]", []),
            ("a [[\nhə\n]] b", ["ˈeɪ hə bˈiː"]),
        ],
    )
    def test_phonemes_in_double_brackets_are_spoken_unchanged(
        self, engine: PiperEngine, loaded: dict[str, LoadedPiper], text: str, said: list[str]
    ) -> None:
        assert LOW.said(_speak(loaded[LOW.name], _found(engine)[LOW.name], text)) == said

    @pytest.mark.parametrize("text", ["", " ", "...", "?!", "—", "\0", "[[ ]]", "[[.]]"])
    @pytest.mark.parametrize("name", [LOW.name, LETTERS.name])
    def test_text_without_anything_to_pronounce_renders_no_samples(
        self, engine: PiperEngine, loaded: dict[str, LoadedPiper], name: str, text: str
    ) -> None:
        assert len(_speak(loaded[name], _found(engine)[name], text)) == 0

    def test_a_grapheme_voice_speaks_letters_without_phonemizing(
        self, engine: PiperEngine, loaded: dict[str, LoadedPiper]
    ) -> None:
        audio = _speak(loaded[LETTERS.name], _found(engine)[LETTERS.name], "Over 9,000 of [them]!")
        assert LETTERS.said(audio) == ["Over 9,000 of [them]!"]

    def test_a_symbol_unknown_to_the_voice_is_skipped_and_logged_once(
        self, engine: PiperEngine, caplog: pytest.LogCaptureFixture
    ) -> None:
        voice = _found(engine)[LETTERS.name]
        loaded = engine.load(voice)
        with caplog.at_level(logging.DEBUG):
            said = [LETTERS.said(_speak(loaded, voice, text)) for text in ("naïve ß", "ßa ß", "ß")]
        # The diaeresis is separated from its letter, as in the training of piper.
        assert said == [["naive "], ["a "], []]
        warnings = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
        assert warnings == [
            f"The voice {LETTERS.name} has no sound for 'ß': left out",
            f"The voice {LETTERS.name} has no sound for '\u0308': left out",
        ]

    @pytest.mark.parametrize(
        ("kind", "espeak", "text", "said"),
        [
            ("hebrew", "he", "שלום", ["ʃˈelom"]),
            ("espeak", "ar", "قَلَمٌ", ["qˈalam"]),
            ("espeak", "de", "Tür", ["tˈyːɾ"]),
        ],
    )
    def test_languages_with_a_phonemizer_bundled_in_piper_can_be_spoken(
        self, tmp_path: Path, kind: str, espeak: str, text: str, said: list[str]
    ) -> None:
        def language(document: dict[str, Any]) -> None:
            document.update(phoneme_type=kind, espeak={"voice": espeak})

        assert LOW.said(_speak_edited(tmp_path, text, language)) == said

    @pytest.mark.parametrize("text", ["Hello…", "Hello...", "Hello…”", "“Hello..."])
    def test_an_ellipsis_at_the_end_is_a_pause_that_the_voice_knows(
        self, engine: PiperEngine, loaded: dict[str, LoadedPiper], text: str
    ) -> None:
        spec = VoiceSpec(_found(engine)[LOW.name])
        assert loaded[LOW.name].phonemes(Segment(text), spec) == "həlˈoʊ."

    def test_the_returned_phonemes_cover_all_sentences_and_raw_blocks(
        self, engine: PiperEngine, loaded: dict[str, LoadedPiper]
    ) -> None:
        spec = VoiceSpec(_found(engine)[LOW.name])
        returned_phonemes = loaded[LOW.name].phonemes(
            Segment("The front door is open. Hello [[ ˈaɪ ]] open, [[ open"), spec
        )
        assert returned_phonemes == f"{FRONT_DOOR} həlˈoʊ ˈaɪ ˈoʊpən, ˈoʊpən"

    def test_a_model_error_during_rendering_is_an_engine_failure(self, tmp_path: Path) -> None:
        broken = (
            '<ir_version: 8, opset_import: ["": 17]> broken '
            "(int64[batch, n] input, int64[batch] input_lengths, float[3] scales) => (float[m] output) "
            "{ zero = Constant<value = float {0.0}>() output = Div(scales, zero) }"
        )
        _copy(tmp_path, "a").write_bytes(onnx.parser.parse_model(broken).SerializeToString())
        voice = _one(tmp_path)
        with pytest.raises(EngineFailed, match=r"a\.onnx produced values that are not finite"):
            _speak(PiperEngine(EngineOptions()).load(voice), voice, "Hello.")

    def test_a_phonemizer_error_is_an_engine_failure(
        self, engine: PiperEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        voice = _found(engine)[LOW.name]
        loaded = engine.load(voice)

        def broken(text: str) -> list[list[str]]:
            raise RuntimeError("no dictionary")

        monkeypatch.setattr(loaded._phonemizer._package, "phonemize", broken)
        with pytest.raises(EngineFailed, match="could not turn a text into phonemes: no dictionary"):
            _speak(loaded, voice, "Hello.")

    def test_closing_a_render_stops_running_the_model(
        self, engine: PiperEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        voice = _found(engine)[LOW.name]
        loaded = engine.load(voice)
        runs: list[object] = []
        run = OnnxModel.run

        def counted(model: OnnxModel, outputs: None, feeds: dict[str, Any]) -> list[Any]:
            runs.append(feeds)
            return run(model, outputs, feeds)

        monkeypatch.setattr(OnnxModel, "run", counted)
        render = loaded.render(Segment("One. Two. Three."), VoiceSpec(voice), Prosody())
        next(render)
        assert not runs
        next(render)
        render.close()
        assert len(runs) == 1


class TestCalibration:
    def test_the_calibration_text_of_an_espeak_voice_counts(
        self, engine: PiperEngine, loaded: dict[str, LoadedPiper]
    ) -> None:
        voice = _found(engine)[LOW.name]
        segment = loaded[LOW.name].calibration_segment(VoiceSpec(voice))
        said = LOW.said(_speak(loaded[LOW.name], voice, segment.text))
        assert said == ["wˈʌn, tˈuː, θɹˈiː, fˈɔːɹ, fˈaɪv"]

    def test_the_calibration_text_of_a_grapheme_voice_uses_its_own_letters(self, tmp_path: Path) -> None:
        def cyrillic(document: dict[str, Any]) -> None:
            symbols = ["_", "^", "$", " ", "б", "а", "й", "о", "в"]
            document["phoneme_id_map"] = {symbol: [number] for number, symbol in enumerate(symbols)}
            document["phoneme_type"] = "text"

        _copy(tmp_path, "a", edit=cyrillic)
        voice = _one(tmp_path)
        loaded = PiperEngine(EngineOptions()).load(voice)
        segment = loaded.calibration_segment(VoiceSpec(voice))
        assert segment.text == "аобв"
        assert len(_speak(loaded, voice, segment.text)) == (2 * 4 + 3) * LOW.slot


def test_signs_that_are_spelled_out_are_spoken_in_parts_and_nothing_is_lost(
    engine: PiperEngine, loaded: dict[str, LoadedPiper], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = VoiceSpec(_found(engine)[LOW.name])
    voice, segment = loaded[LOW.name], Segment("漢" * 100)
    expected = voice.phonemes(segment, spec).replace(" ", "")
    sizes: list[int] = []

    def speak(feeds: dict[str, Any], **options: Any) -> Iterator[Samples]:
        del options
        sizes.append(feeds["input"].shape[-1])
        yield np.zeros(1, np.float32)

    monkeypatch.setattr(voice._model, "speak", speak)
    list(voice.render(segment, spec, Prosody()))
    assert len(sizes) > 1
    assert max(sizes) <= 2 * MAX_PHONEMES + 3
    assert sum(sizes) >= 2 * len(expected)
