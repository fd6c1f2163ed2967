from __future__ import annotations

import logging
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.parser
import pytest

from tests.support.tones import KOKORO, KOKORO_ROWS, LOW, ROW_LEVEL, VOICES, silences
from tests.voices.make_voices import kokoro_model
from wyoming_tts.engines.base import EngineOptions, samples_of
from wyoming_tts.engines.kokoro.engine import KokoroEngine
from wyoming_tts.engines.kokoro.loaded import TYPICAL_SENTENCE, LoadedKokoro
from wyoming_tts.errors import EngineFailed, UnknownVoice, VoiceUnavailable
from wyoming_tts.speech import Prosody, Samples, Segment, Voice, VoiceSpec

MODEL = VOICES / "kokoro-tones.onnx"
PACK = VOICES / "voices-tones.bin"
FRONT_DOOR = "ðə fɹˈʌnt dˈɔːɹ ɪz ˈoʊpən."
TWO_CLAUSES = (
    "The heating in the bathroom is still running, "
    "and the window above the stairs has been standing open since the morning."
)
EDGE = 240
"""Samples of silence kept around the sound of a batch."""
_ALWAYS_LOUD = """
<ir_version: 8, opset_import: ["": 17]> loud
(int64[1, n] tokens, float[1, 256] style, float[1] speed) => (float[samples] audio)
{
  flat = Constant<value = int64[1] {-1}> ()
  tenth = Constant<value = int64[2] {1, 2400}> ()
  ids = Cast<to = 1>(tokens)
  nothing = Sub(ids, ids)
  half = Constant<value = float {0.5}> ()
  level = Add(nothing, half)
  many = Tile(level, tenth)
  audio = Reshape(many, flat)
}
"""


@pytest.fixture(scope="module")
def engine() -> KokoroEngine:
    return KokoroEngine(EngineOptions(kokoro_model=MODEL, kokoro_voices=PACK, intra_op_threads=1))


@pytest.fixture(scope="module")
def voices(engine: KokoroEngine) -> dict[str, Voice]:
    return {voice.name: voice for voice in engine.installed()}


@pytest.fixture(scope="module")
def loaded(engine: KokoroEngine, voices: dict[str, Voice]) -> LoadedKokoro:
    return engine.load(voices["af_test"])


def _speak(loaded: LoadedKokoro, voice: Voice, text: str, prosody: Prosody | None = None) -> Samples:
    steps = loaded.render(Segment(text), VoiceSpec(voice), prosody or Prosody())
    return np.concatenate([samples_of(step) for step in steps])


def _sound(loaded: LoadedKokoro, voice: Voice, segment: Segment) -> list[Samples]:
    """Samples of each audible render step."""
    steps = loaded.render(segment, VoiceSpec(voice), Prosody())
    return [samples_of(step) for step in steps][1:]


def _row(audio: Samples) -> int:
    """Number of tokens for which the style row of this audio was selected."""
    return round((float(np.abs(audio).max()) - KOKORO.level) / ROW_LEVEL) + 1


def _load(model: Path, pack: Path = PACK, name: str = "af_test") -> tuple[LoadedKokoro, Voice]:
    engine = KokoroEngine(EngineOptions(kokoro_model=model, kokoro_voices=pack))
    voice = next(voice for voice in engine.installed() if voice.name == name)
    return engine.load(voice), voice


def _write(path: Path, model: onnx.ModelProto) -> Path:
    path.write_bytes(model.SerializeToString())
    return path


class TestInstalled:
    def test_voices_are_described_by_their_names(self, voices: dict[str, Voice]) -> None:
        assert {name: (voice.language, voice.description) for name, voice in voices.items()} == {
            "af_test": ("en_US", "Test (Kokoro, female)"),
            "am_test": ("en_US", "Test (Kokoro, male)"),
            "bf_test": ("en_GB", "Test (Kokoro, female)"),
            "ef_test": ("es_ES", "Test (Kokoro, female)"),
            "ff_test": ("fr_FR", "Test (Kokoro, female)"),
        }

    def test_all_voices_share_one_model_and_sample_rate(self, voices: dict[str, Voice]) -> None:
        assert {voice.model for voice in voices.values()} == {str(MODEL)}
        assert {voice.files for voice in voices.values()} == {(MODEL, PACK)}
        assert {voice.sample_rate for voice in voices.values()} == {24000}
        assert {voice.engine for voice in voices.values()} == {"kokoro"}

    @pytest.mark.parametrize(
        ("name", "language", "description"),
        [
            ("hf_alpha", "hi_IN", "Alpha (Kokoro, female)"),
            ("im_nicola", "it_IT", "Nicola (Kokoro, male)"),
            ("jm_kumo", "ja_JP", "Kumo (Kokoro, male)"),
            ("pm_santa", "pt_BR", "Santa (Kokoro, male)"),
            ("zf_001", "zh_CN", "001 (Kokoro, female)"),
            ("af", "en_US", "Af (Kokoro, female)"),
            ("blend_of_two", "en_US", "Blend of two (Kokoro)"),
        ],
    )
    def test_a_name_gives_language_and_gender(
        self, tmp_path: Path, name: str, language: str, description: str
    ) -> None:
        np.savez(tmp_path / "pack.npz", allow_pickle=False, **{name: np.zeros((1, 1, 256), np.float32)})
        options = EngineOptions(kokoro_model=MODEL, kokoro_voices=tmp_path / "pack.npz")
        engine = KokoroEngine(options)
        (voice,) = engine.installed() or [each.voice for each in engine.unusable]
        assert (voice.name, voice.language, voice.description) == (name, language, description)

    def test_model_files_are_found_in_the_data_directories(self, tmp_path: Path) -> None:
        options = EngineOptions(data_dirs=(tmp_path / "missing", tmp_path, VOICES))
        assert {voice.files for voice in KokoroEngine(options).installed()} == {(MODEL, PACK)}

    def test_exact_release_file_names_are_preferred(self, tmp_path: Path) -> None:
        for name in ("kokoro-a.onnx", "kokoro-v1.0.onnx"):
            shutil.copy(MODEL, tmp_path / name)
        for name in ("voices-a.bin", "voices-v1.0.bin"):
            shutil.copy(PACK, tmp_path / name)
        voices = KokoroEngine(EngineOptions(data_dirs=(VOICES, tmp_path))).installed()
        assert voices[0].files == (tmp_path / "kokoro-v1.0.onnx", tmp_path / "voices-v1.0.bin")

    def test_a_piper_voice_with_that_name_is_not_mistaken_for_the_model(self, tmp_path: Path) -> None:
        shutil.copy(VOICES / f"{LOW.name}.onnx", tmp_path / "kokoro-like.onnx")
        shutil.copy(VOICES / f"{LOW.name}.onnx.json", tmp_path / "kokoro-like.onnx.json")
        shutil.copy(PACK, tmp_path)
        assert KokoroEngine(EngineOptions(data_dirs=(tmp_path,))).installed() == []

    def test_without_any_files_there_are_no_voices_and_no_log_lines(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert KokoroEngine(EngineOptions(data_dirs=(tmp_path,))).installed() == []
        assert not caplog.records

    @pytest.mark.parametrize(("present", "missing"), [(MODEL, "voice pack"), (PACK, "model")])
    def test_one_file_without_the_other_is_logged_once(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, present: Path, missing: str
    ) -> None:
        shutil.copy(present, tmp_path)
        engine = KokoroEngine(EngineOptions(data_dirs=(tmp_path,)))
        assert engine.installed() == []
        assert engine.installed() == []
        (record,) = caplog.records
        assert f"there is no {missing}" in record.message

    def test_a_file_that_was_named_but_is_not_there_is_reported(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        options = EngineOptions(kokoro_model=tmp_path / "gone.onnx", kokoro_voices=PACK)
        assert KokoroEngine(options).installed() == []
        assert "gone.onnx is ignored: there is no such file" in caplog.text

    def test_an_invalid_voice_pack_is_logged_once(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        pack = tmp_path / "voices.bin"
        pack.write_bytes(PACK.read_bytes()[:5000])
        engine = KokoroEngine(EngineOptions(kokoro_model=MODEL, kokoro_voices=pack))
        assert engine.installed() == []
        assert engine.installed() == []
        (record,) = caplog.records
        assert "it is not a voice pack" in record.message


class TestLoad:
    def test_the_error_names_deleted_files(self, tmp_path: Path) -> None:
        model, pack = (Path(shutil.copy(path, tmp_path)) for path in (MODEL, PACK))
        engine = KokoroEngine(EngineOptions(data_dirs=(tmp_path,)))
        voice = engine.installed()[0]
        pack.unlink()
        with pytest.raises(VoiceUnavailable, match=r"voices-tones\.bin cannot be loaded"):
            engine.load(voice)
        model.unlink()
        with pytest.raises(VoiceUnavailable, match=r"kokoro-tones\.onnx cannot be loaded"):
            engine.load(voice)

    def test_another_kind_of_model_is_not_mistaken_for_kokoro(self) -> None:
        with pytest.raises(VoiceUnavailable, match="is not a Kokoro model: its inputs are"):
            _load(VOICES / f"{LOW.name}.onnx")

    def test_a_pickle_in_a_pack_is_never_loaded(self, tmp_path: Path) -> None:
        pack = tmp_path / "voices.npz"
        np.savez(pack, af_test=np.array([{"not": "numbers"}], dtype=object))
        loaded, voice = _load(MODEL, pack)
        with pytest.raises(VoiceUnavailable, match="type object"):
            _speak(loaded, voice, "Hello.")

    def test_a_style_table_of_the_wrong_shape_is_rejected(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "voices.npz", af_test=np.zeros(256, np.float32))
        loaded, voice = _load(MODEL, tmp_path / "voices.npz")
        with pytest.raises(VoiceUnavailable, match=r"has shape \(256,\), expected \(510, 1, 256\)"):
            _speak(loaded, voice, "Hello.")

    def test_the_log_handler_of_kokoro_is_removed(self, loaded: LoadedKokoro) -> None:
        assert logging.getLogger("kokoro_onnx").handlers == []


class TestRender:
    @pytest.mark.parametrize(
        ("name", "phonemes"),
        [
            ("af_test", FRONT_DOOR),
            ("am_test", FRONT_DOOR),
            ("bf_test", "ðə fɹˈʌnt dˈɔːɹ ɪz ˈəʊpən."),
            ("ef_test", "tˈe fɾˈont ðoˈoɾ ˈis ˈopen."),
        ],
    )
    def test_each_voice_speaks_its_language_with_its_own_style(
        self, loaded: LoadedKokoro, voices: dict[str, Voice], name: str, phonemes: str
    ) -> None:
        audio = _speak(loaded, voices[name], "The front door is open.")
        assert KOKORO.said(audio) == [phonemes]
        assert KOKORO.speakers_of(audio) == {name}

    def test_the_returned_phonemes_are_those_given_to_the_model(
        self, loaded: LoadedKokoro, voices: dict[str, Voice]
    ) -> None:
        text = 'The front "door" is open, 你 said.'
        returned_phonemes = loaded.phonemes(Segment(text), VoiceSpec(voices["af_test"]))
        assert KOKORO.said(_speak(loaded, voices["af_test"], text)) == [returned_phonemes]

    def test_phoneme_blocks_in_the_text_are_spoken_unchanged(
        self, loaded: LoadedKokoro, voices: dict[str, Voice]
    ) -> None:
        audio = _speak(loaded, voices["af_test"], "Is [[ʃɪˈvɔːn]], the one?")
        assert KOKORO.said(audio) == ["ɪz ʃɪˈvɔːn, ðə wˌʌn?"]

    def test_the_first_render_step_phonemizes_and_yields_no_samples(
        self, loaded: LoadedKokoro, voices: dict[str, Voice]
    ) -> None:
        render = loaded.render(Segment("Hello."), VoiceSpec(voices["af_test"]), Prosody())
        steps = [samples_of(step) for step in render]
        assert [len(step) > 0 for step in steps] == [False, True]
        assert {(step.dtype, step.ndim) for step in steps} == {(np.dtype(np.float32), 1)}

    def test_the_style_row_is_selected_by_the_number_of_tokens(
        self, loaded: LoadedKokoro, voices: dict[str, Voice]
    ) -> None:
        audio = _speak(loaded, voices["af_test"], "The front door is open.")
        assert _row(audio) == len(FRONT_DOOR)

    def test_all_batches_of_a_sentence_use_the_style_row_of_the_whole_sentence(
        self, loaded: LoadedKokoro, voices: dict[str, Voice]
    ) -> None:
        steps = _sound(loaded, voices["af_test"], Segment(TWO_CLAUSES))
        assert len(steps) == 2
        assert [_row(step) for step in steps] == [
            len(" ".join(KOKORO.said(steps[0]) + KOKORO.said(steps[1])))
        ] * 2

    @pytest.mark.parametrize("text", ["The front door,", "The front door", "The front door:"])
    def test_the_opening_part_of_a_sentence_uses_the_style_row_of_a_typical_sentence(
        self, loaded: LoadedKokoro, voices: dict[str, Voice], text: str
    ) -> None:
        assert _row(_speak(loaded, voices["af_test"], text)) == TYPICAL_SENTENCE

    @pytest.mark.parametrize("text", ["The front door.", "The front door!", 'The "front door?"'])
    def test_a_short_sentence_uses_its_own_style_row(
        self, loaded: LoadedKokoro, voices: dict[str, Voice], text: str
    ) -> None:
        audio = _speak(loaded, voices["af_test"], text)
        assert _row(audio) == len(KOKORO.said(audio)[0]) < TYPICAL_SENTENCE

    def test_a_sentence_longer_than_the_style_table_uses_the_last_row(
        self, loaded: LoadedKokoro, voices: dict[str, Voice]
    ) -> None:
        assert _row(_speak(loaded, voices["af_test"], "The front door is open. " * 40)) == KOKORO_ROWS

    @pytest.mark.parametrize(
        ("prosody", "speed"),
        [
            (Prosody(speed=0.8), 0.8),
            (Prosody(length_scale=2.0), 0.5),
            (Prosody(speed=0.8, length_scale=0.8), 1.0),
            (Prosody(length_scale=4.0), 0.5),
            (Prosody(length_scale=0.25), 2.0),
        ],
    )
    def test_the_model_speaks_at_its_own_speeds(
        self, loaded: LoadedKokoro, voices: dict[str, Voice], prosody: Prosody, speed: float
    ) -> None:
        audio = _speak(loaded, voices["af_test"], "The front door is open.", prosody)
        assert KOKORO.said(audio, speed=speed) == [FRONT_DOOR]

    @pytest.mark.parametrize("speed", [0.25, 0.5, 1.5, 2.0, 4.0])
    def test_beyond_what_the_model_speaks_well_the_time_is_as_exact(
        self, loaded: LoadedKokoro, voices: dict[str, Voice], speed: float
    ) -> None:
        natural, other = (
            _speak(loaded, voices["af_test"], "The front door is open.", Prosody(speed=each))
            for each in (1.0, speed)
        )
        assert len(other) == pytest.approx(len(natural) / speed, rel=0.03)

    def test_long_text_is_spoken_completely_in_batches_with_a_pause_after_each(
        self, loaded: LoadedKokoro, voices: dict[str, Voice]
    ) -> None:
        steps = _sound(loaded, voices["af_test"], Segment("The front door is open. " * 40))
        assert len(steps) == 10
        assert " ".join(phonemes for step in steps for phonemes in KOKORO.said(step)) == " ".join(
            [FRONT_DOOR] * 40
        )
        # A quarter of a second after a full stop, following the remaining silence of the model.
        assert [silences(step)[-1] for step in steps] == pytest.approx([6000 + EDGE] * 10, abs=48)

    @pytest.mark.parametrize(
        ("text", "seconds"),
        [
            ("The door.", 0.25),
            ('"The door?"', 0.25),
            ("The door,", 0.1),
            ("The door —", 0.1),
            ("The door", 0.0),
        ],
    )
    def test_the_pause_after_a_segment_depends_on_its_final_mark(
        self, loaded: LoadedKokoro, voices: dict[str, Voice], text: str, seconds: float
    ) -> None:
        for speed in (1.0, 0.8):
            audio = _speak(loaded, voices["af_test"], text, Prosody(speed=speed))
            silence = silences(audio)[-1] - seconds / speed * 24000
            assert EDGE <= silence <= EDGE + 170

    def test_the_first_audible_step_of_a_long_sentence_is_its_first_clause(
        self, loaded: LoadedKokoro, voices: dict[str, Voice]
    ) -> None:
        first, second = _sound(loaded, voices["af_test"], Segment(TWO_CLAUSES))
        assert KOKORO.said(first)[0].endswith(",")
        assert KOKORO.said(second)[0].endswith(".")
        assert silences(first)[-1] == pytest.approx(2400 + EDGE, abs=48)

    def test_no_batch_begins_or_ends_with_a_click(self, tmp_path: Path) -> None:
        loaded, voice = _load(_write(tmp_path / "kokoro.onnx", onnx.parser.parse_model(_ALWAYS_LOUD)))
        for step in _sound(loaded, voice, Segment(TWO_CLAUSES)):
            assert np.abs(step).max() == pytest.approx(0.5)
            assert np.abs(np.diff(step, prepend=0.0, append=0.0)).max() < 0.02

    @pytest.mark.parametrize(
        ("name", "text", "phonemes"),
        [
            ("ff_test", "Bon，oui！", "bˈɔ̃, wˈi!"),
            ("af_test", "The door - open.", "ðə dˈɔːɹ — ˈoʊpən."),
        ],
    )
    def test_punctuation_unknown_to_the_model_is_replaced_by_known_punctuation(
        self, loaded: LoadedKokoro, voices: dict[str, Voice], name: str, text: str, phonemes: str
    ) -> None:
        assert KOKORO.said(_speak(loaded, voices[name], text)) == [phonemes]

    def test_language_switch_marks_are_removed(self, loaded: LoadedKokoro, voices: dict[str, Voice]) -> None:
        audio = _speak(loaded, voices["ff_test"], "Bon weekend (really).")
        assert KOKORO.said(audio) == ["bˈɔ̃ wiːkˈɛnd (ɹˈiəlɪ)."]

    @pytest.mark.parametrize("text", ["", "  ", "...", "?!", "( )", "\0"])
    def test_silent_text_gives_no_samples(
        self, loaded: LoadedKokoro, voices: dict[str, Voice], text: str
    ) -> None:
        assert len(_speak(loaded, voices["af_test"], text)) == 0

    def test_words_on_separate_lines_are_not_joined(
        self, loaded: LoadedKokoro, voices: dict[str, Voice]
    ) -> None:
        assert KOKORO.said(_speak(loaded, voices["af_test"], "a\nb")) == ["ɐ bˈiː"]

    def test_a_voice_missing_from_the_pack_is_an_error(
        self, loaded: LoadedKokoro, voices: dict[str, Voice]
    ) -> None:
        other = replace(voices["af_test"], name="af_other")
        with pytest.raises(UnknownVoice, match="has no voice af_other"):
            _speak(loaded, other, "Hello.")

    def test_requesting_a_speaker_is_an_error(self, loaded: LoadedKokoro, voices: dict[str, Voice]) -> None:
        spec = VoiceSpec(voices["af_test"], speaker=3)
        with pytest.raises(UnknownVoice, match="af_test has no speaker 3"):
            next(loaded.render(Segment("Hello."), spec, Prosody()))

    @pytest.mark.parametrize("name", ["af_test", "bf_test", "ef_test", "ff_test"])
    def test_the_calibration_text_counts_in_every_language(
        self, loaded: LoadedKokoro, voices: dict[str, Voice], name: str
    ) -> None:
        segment = loaded.calibration_segment(VoiceSpec(voices[name]))
        (phonemes,) = KOKORO.said(_speak(loaded, voices[name], segment.text))
        assert phonemes.count(",") == 4
        assert phonemes.endswith(".")


class TestDialects:
    @pytest.mark.parametrize(
        "dialect",
        [
            {"tokens": "input_ids"},
            {"tokens": "input_ids", "tokens_type": "int32"},
            {"half": True},
        ],
        ids=["input_ids", "int32 tokens", "half precision"],
    )
    def test_every_export_of_the_model_speaks(self, tmp_path: Path, dialect: dict[str, Any]) -> None:
        loaded, voice = _load(_write(tmp_path / "kokoro.onnx", kokoro_model(**dialect)))
        audio = _speak(loaded, voice, "The front door is open.", Prosody(speed=0.8))
        assert audio.dtype == np.float32
        assert KOKORO.said(audio, speed=0.8) == [FRONT_DOOR]

    @pytest.mark.parametrize("speed", [0.5, 0.9, 1.4, 3.0])
    def test_a_model_with_integer_speed_keeps_any_speed(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, speed: float
    ) -> None:
        loaded, voice = _load(_write(tmp_path / "kokoro.onnx", kokoro_model(speed_type="int32")))
        natural, other = (
            _speak(loaded, voice, "The front door is open.", Prosody(speed=each)) for each in (1.0, speed)
        )
        assert KOKORO.said(natural) == [FRONT_DOOR]
        assert len(other) == pytest.approx(len(natural) / speed, rel=0.01)
        assert not [record for record in caplog.records if record.levelno >= logging.WARNING]

    @pytest.mark.parametrize(
        ("body", "reason"),
        [
            ("zero = Sub(speed, speed) audio = Div(speed, zero)", "not finite"),
            ("two = Constant<value = float[2] {1.0, 2.0}>() audio = MatMul(style, two)", "failed"),
        ],
    )
    def test_a_model_error_during_rendering_is_an_engine_failure(
        self, tmp_path: Path, body: str, reason: str
    ) -> None:
        broken = (
            '<ir_version: 8, opset_import: ["": 17]> broken '
            "(int64[1, n] tokens, float[one, m] style, float[1] speed) => (float[samples] audio) "
            f"{{ {body} }}"
        )
        loaded, voice = _load(_write(tmp_path / "kokoro.onnx", onnx.parser.parse_model(broken)))
        with pytest.raises(EngineFailed, match=reason):
            _speak(loaded, voice, "Hello.")
