"""What loaded voices say."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.parser
import pytest

from tests.support.tones import LETTERS, LOW, TONES
from tests.unit.engines.piper.copied_voices import (
    FRONT_DOOR,
    Edit,
    copy_voice,
    found_by,
    only_voice,
    speak_edited,
    speak_text,
    steps_of,
)
from tests.voices.make_vits import SPEAKERS, VITS
from wyoming_tts.engines.base import EngineOptions
from wyoming_tts.engines.onnx import OnnxModel
from wyoming_tts.engines.piper.engine import LoadedPiper, PiperEngine
from wyoming_tts.engines.piper.phrases import MAX_PHONEMES
from wyoming_tts.errors import EngineFailed, UnknownVoice
from wyoming_tts.speech import Prosody, Samples, Segment, VoiceSpec


def _with_silences(silences: dict[str, Any]) -> Edit:
    return lambda document: document["inference"].update(phoneme_silence=silences)


class TestPhonemeSilence:
    def test_each_part_is_spoken_by_itself_and_followed_by_its_silence(self, tmp_path: Path) -> None:
        copy_voice(tmp_path, "a", edit=_with_silences({",": 0.5, ".": 0.25}))
        voice = only_voice(tmp_path)
        loaded = PiperEngine(EngineOptions()).load(voice)
        _, one, pause, two, end = steps_of(loaded, "One, two.", VoiceSpec(voice))
        assert [*LOW.said(one), *LOW.said(two)] == ["wˌʌn,", " tˈuː."]
        assert (len(pause), len(end)) == (voice.sample_rate // 2, round(voice.sample_rate / 4))
        assert not pause.any()
        assert pause.dtype == np.float32

    def test_a_mark_by_itself_is_not_spoken(self, tmp_path: Path) -> None:
        copy_voice(tmp_path, "a", edit=_with_silences({" ": 0.1, ",": 0.1}))
        voice = only_voice(tmp_path)
        steps = steps_of(PiperEngine(EngineOptions()).load(voice), "One, two", VoiceSpec(voice))
        spoken = [LOW.said(step) for step in steps if step.any()]
        assert spoken == [["wˌʌn,"], ["tˈuː"]]

    def test_the_phonemes_are_those_of_the_whole_sentence(self, tmp_path: Path) -> None:
        copy_voice(tmp_path, "a", edit=_with_silences({" ": 0.1}))
        voice = only_voice(tmp_path)
        loaded = PiperEngine(EngineOptions()).load(voice)
        assert loaded.phonemes(Segment("One, two."), VoiceSpec(voice)) == "wˌʌn, tˈuː."


class TestRender:
    def test_the_first_render_step_phonemizes_and_each_further_one_speaks_a_sentence(
        self, engine: PiperEngine, loaded: dict[str, LoadedPiper]
    ) -> None:
        spec = VoiceSpec(found_by(engine)[LOW.name])
        steps = steps_of(loaded[LOW.name], "Hello there. Who is it?", spec)
        assert len(steps[0]) == 0
        assert [LOW.said(step) for step in steps[1:]] == [["həlˈoʊ ðˈɛɹ."], ["hˈuː ɪz ɪt?"]]
        assert {step.dtype for step in steps} == {np.dtype(np.float32)}
        assert {step.ndim for step in steps} == {1}

    def test_a_splittable_voice_yields_audio_before_the_whole_sentence_is_computed(self) -> None:
        engine = PiperEngine(EngineOptions(data_dirs=(VITS,), intra_op_threads=1))
        voice = found_by(engine)[SPEAKERS.name]
        text = "A sentence that is long enough for more than one chunk of sound."
        # Phonemes, then the text part of the model, then one chunk of audio after the other.
        chunk = 22 * SPEAKERS.hop
        loaded = engine.load(voice)
        spoken = []
        for speaker in range(3):
            steps = [len(step) for step in steps_of(loaded, text, VoiceSpec(voice, speaker))]
            assert steps[:4] == [0, 0, chunk, 2 * chunk]
            assert steps.count(0) == 2
            spoken.append(sum(steps))
        assert len(set(spoken)) == 1
        assert "in 4 parts" in repr(loaded)

    def test_the_loudness_is_that_of_the_model(
        self, engine: PiperEngine, loaded: dict[str, LoadedPiper]
    ) -> None:
        audio = speak_text(loaded[LOW.name], found_by(engine)[LOW.name], "The front door is open.")
        assert LOW.said(audio) == [FRONT_DOOR]
        assert np.abs(audio).max() == pytest.approx(LOW.level)

    @pytest.mark.parametrize(("speaker", "name"), [(None, "anna"), (0, "anna"), (1, "bert"), (2, "clara")])
    def test_the_requested_speaker_is_used(
        self, engine: PiperEngine, loaded: dict[str, LoadedPiper], speaker: int | None, name: str
    ) -> None:
        audio = speak_text(loaded[TONES.name], found_by(engine)[TONES.name], "Guten Morgen.", speaker=speaker)
        assert TONES.said(audio) == ["ɡˈuːtən mˈɔɾɡən."]
        assert TONES.speakers_of(audio) == {name}

    @pytest.mark.parametrize(("voice", "speaker"), [(TONES, 3), (TONES, -1), (LOW, 1)])
    def test_an_unknown_speaker_is_an_error(
        self, engine: PiperEngine, loaded: dict[str, LoadedPiper], voice: Any, speaker: int
    ) -> None:
        with pytest.raises(UnknownVoice, match=f"{voice.name} has no speaker {speaker}"):
            speak_text(loaded[voice.name], found_by(engine)[voice.name], "Hallo.", speaker=speaker)

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
        audio = speak_text(loaded[TONES.name], found_by(engine)[TONES.name], "Guten Morgen.", prosody=prosody)
        assert TONES.said(audio, speed=pace) == ["ɡˈuːtən mˈɔɾɡən."]

    @pytest.mark.parametrize("speed", [0.25, 2.0, 4.0])
    def test_beyond_what_models_speak_well_the_time_is_as_exact(
        self, engine: PiperEngine, loaded: dict[str, LoadedPiper], speed: float
    ) -> None:
        voice = found_by(engine)[TONES.name]
        natural, other = (
            speak_text(loaded[TONES.name], voice, "Guten Morgen.", prosody=Prosody(speed=each))
            for each in (1.0, speed)
        )
        assert len(other) == pytest.approx(len(natural) / speed, rel=0.01)

    def test_without_noise_rendering_is_deterministic(
        self, engine: PiperEngine, loaded: dict[str, LoadedPiper]
    ) -> None:
        voice = found_by(engine)[LOW.name]
        first, second = (speak_text(loaded[LOW.name], voice, "Hello.") for _ in range(2))
        np.testing.assert_array_equal(first, second)

    def test_noise_scale_comes_from_the_request_else_from_the_voice_json(self, tmp_path: Path) -> None:
        def noisy(document: dict[str, Any]) -> None:
            document["inference"]["noise_scale"] = 1.0

        own = speak_edited(tmp_path, "Hello.", noisy)
        none = speak_edited(tmp_path, "Hello.", noisy, prosody=Prosody(noise_scale=0.0))
        less = speak_edited(tmp_path, "Hello.", noisy, prosody=Prosody(noise_scale=0.5))
        assert np.std(own - none) == pytest.approx(0.05, rel=0.1)
        assert np.std(less - none) == pytest.approx(0.025, rel=0.1)

    def test_noise_w_comes_from_the_request_else_from_the_voice_json(self, tmp_path: Path) -> None:
        def uneven(document: dict[str, Any]) -> None:
            document["inference"]["noise_w"] = 1.0

        plain = speak_edited(tmp_path, "Hello.", uneven, prosody=Prosody(noise_w_scale=0.0))
        assert LOW.said(plain) == ["həlˈoʊ."]
        longer = [len(speak_edited(tmp_path, "Hello.", uneven)) for _ in range(3)]
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
        assert LOW.said(speak_text(loaded[LOW.name], found_by(engine)[LOW.name], text)) == said

    @pytest.mark.parametrize("text", ["", " ", "...", "?!", "—", "\0", "[[ ]]", "[[.]]"])
    @pytest.mark.parametrize("name", [LOW.name, LETTERS.name])
    def test_text_without_anything_to_pronounce_renders_no_samples(
        self, engine: PiperEngine, loaded: dict[str, LoadedPiper], name: str, text: str
    ) -> None:
        assert len(speak_text(loaded[name], found_by(engine)[name], text)) == 0

    def test_a_grapheme_voice_speaks_letters_without_phonemizing(
        self, engine: PiperEngine, loaded: dict[str, LoadedPiper]
    ) -> None:
        audio = speak_text(loaded[LETTERS.name], found_by(engine)[LETTERS.name], "Over 9,000 of [them]!")
        assert LETTERS.said(audio) == ["Over 9,000 of [them]!"]

    def test_a_symbol_unknown_to_the_voice_is_skipped_and_logged_once(
        self, engine: PiperEngine, caplog: pytest.LogCaptureFixture
    ) -> None:
        voice = found_by(engine)[LETTERS.name]
        loaded = engine.load(voice)
        with caplog.at_level(logging.DEBUG):
            said = [LETTERS.said(speak_text(loaded, voice, text)) for text in ("naïve ß", "ßa ß", "ß")]
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

        assert LOW.said(speak_edited(tmp_path, text, language)) == said

    @pytest.mark.parametrize("text", ["Hello…", "Hello...", "Hello…”", "“Hello..."])
    def test_an_ellipsis_at_the_end_is_a_pause_that_the_voice_knows(
        self, engine: PiperEngine, loaded: dict[str, LoadedPiper], text: str
    ) -> None:
        spec = VoiceSpec(found_by(engine)[LOW.name])
        assert loaded[LOW.name].phonemes(Segment(text), spec) == "həlˈoʊ."

    def test_the_returned_phonemes_cover_all_sentences_and_raw_blocks(
        self, engine: PiperEngine, loaded: dict[str, LoadedPiper]
    ) -> None:
        spec = VoiceSpec(found_by(engine)[LOW.name])
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
        copy_voice(tmp_path, "a").write_bytes(onnx.parser.parse_model(broken).SerializeToString())
        voice = only_voice(tmp_path)
        with pytest.raises(EngineFailed, match=r"a\.onnx produced values that are not finite"):
            speak_text(PiperEngine(EngineOptions()).load(voice), voice, "Hello.")

    def test_a_phonemizer_error_is_an_engine_failure(
        self, engine: PiperEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        voice = found_by(engine)[LOW.name]
        loaded = engine.load(voice)

        def broken(text: str) -> list[list[str]]:
            raise RuntimeError("no dictionary")

        monkeypatch.setattr(loaded._phonemizer._package, "phonemize", broken)
        with pytest.raises(EngineFailed, match="could not turn a text into phonemes: no dictionary"):
            speak_text(loaded, voice, "Hello.")

    def test_closing_a_render_stops_running_the_model(
        self, engine: PiperEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        voice = found_by(engine)[LOW.name]
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
        voice = found_by(engine)[LOW.name]
        segment = loaded[LOW.name].calibration_segment(VoiceSpec(voice))
        said = LOW.said(speak_text(loaded[LOW.name], voice, segment.text))
        assert said == ["wˈʌn, tˈuː, θɹˈiː, fˈɔːɹ, fˈaɪv"]

    def test_the_calibration_text_of_a_grapheme_voice_uses_its_own_letters(self, tmp_path: Path) -> None:
        def cyrillic(document: dict[str, Any]) -> None:
            symbols = ["_", "^", "$", " ", "б", "а", "й", "о", "в"]
            document["phoneme_id_map"] = {symbol: [number] for number, symbol in enumerate(symbols)}
            document["phoneme_type"] = "text"

        copy_voice(tmp_path, "a", edit=cyrillic)
        voice = only_voice(tmp_path)
        loaded = PiperEngine(EngineOptions()).load(voice)
        segment = loaded.calibration_segment(VoiceSpec(voice))
        assert segment.text == "аобв"
        assert len(speak_text(loaded, voice, segment.text)) == (2 * 4 + 3) * LOW.slot


def test_signs_that_are_spelled_out_are_spoken_in_parts_and_nothing_is_lost(
    engine: PiperEngine, loaded: dict[str, LoadedPiper], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = VoiceSpec(found_by(engine)[LOW.name])
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
