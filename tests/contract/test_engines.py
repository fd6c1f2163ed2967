"""The contract that every engine fulfils, however it synthesizes: one suite over all of them."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.support.tones import VOICES
from wyoming_tts.engines.base import Engine, EngineOptions, LoadedVoice, RemoteVoice, samples_of
from wyoming_tts.engines.espeak.engine import EspeakEngine
from wyoming_tts.engines.kokoro.engine import KokoroEngine
from wyoming_tts.engines.piper.engine import PiperEngine
from wyoming_tts.errors import UnknownVoice, VoiceUnavailable
from wyoming_tts.speech import Prosody, Samples, Segment, Voice, VoiceSpec

OPTIONS = EngineOptions(data_dirs=(VOICES,), intra_op_threads=1)
TEXT = "The front door is open, and the lights are on."
MAKERS: dict[str, Callable[[EngineOptions], Engine]] = {
    "piper": PiperEngine,
    "kokoro": KokoroEngine,
    "espeak": EspeakEngine,
}
SPEAKS_WITH = {
    "piper": ["en_US-tone-low", "de_DE-tones-low", "en_US-letters-low"],
    "kokoro": ["af_test"],
    "espeak": ["espeak-en-us"],
}


@dataclass(frozen=True, slots=True)
class Speaker:
    """A loaded voice with its engine and spec."""

    engine: Engine
    loaded: LoadedVoice
    spec: VoiceSpec

    def steps(self, text: str, prosody: Prosody | None = None) -> list[Samples]:
        return list(map(samples_of, self.loaded.render(Segment(text), self.spec, prosody or Prosody())))

    def phonemes(self, text: str) -> str:
        return self.loaded.phonemes(Segment(text), self.spec)

    def speak(self, text: str, prosody: Prosody | None = None) -> Samples:
        return np.concatenate([np.zeros(0, np.float32), *self.steps(text, prosody)])


@pytest.fixture(scope="module")
def engines() -> dict[str, Engine]:
    return {name: make(OPTIONS) for name, make in MAKERS.items()}


@pytest.fixture(scope="module", params=[*MAKERS])
def engine(request: pytest.FixtureRequest, engines: dict[str, Engine]) -> Engine:
    return engines[request.param]


@pytest.fixture(scope="module", params=[(name, voice) for name in MAKERS for voice in SPEAKS_WITH[name]])
def speaker(request: pytest.FixtureRequest, engines: dict[str, Engine]) -> Iterator[Speaker]:
    name, voice_name = request.param
    voice = next(voice for voice in engines[name].installed() if voice.name == voice_name)
    loaded = engines[name].load(voice)
    assert not isinstance(loaded, RemoteVoice)
    yield Speaker(engines[name], loaded, VoiceSpec(voice, voice.default_speaker))
    loaded.close()


def _is_sound(samples: Samples) -> bool:
    return samples.dtype == np.float32 and samples.ndim == 1 and bool(np.isfinite(samples).all())


class TestInstalled:
    def test_every_installed_voice_names_its_engine(self, engine: Engine) -> None:
        voices = engine.installed()
        assert voices
        assert {voice.engine for voice in voices} == {engine.name}

    def test_every_installed_voice_has_the_metadata_that_clients_need(self, engine: Engine) -> None:
        for voice in engine.installed():
            assert re.fullmatch(r"[a-z]{2,3}(_[A-Za-z0-9]+)*", voice.language), voice
            # Clients sort by description and take the first, so the embedded voices must sort last.
            assert voice.description[:1].isupper() == (engine.name != "espeak"), voice
            assert voice.description == voice.description.strip() != "", voice
            assert voice.attribution.name, voice
            assert voice.sample_rate in range(8000, 48001), voice
            assert voice.model, voice

    def test_voice_names_are_unique_across_engines(self, engines: dict[str, Engine]) -> None:
        names = [voice.name for engine in engines.values() for voice in engine.installed()]
        assert len(names) == len(set(names))

    def test_listing_the_installed_voices_twice_gives_the_same_list(self, engine: Engine) -> None:
        assert list(engine.installed()) == list(engine.installed())

    def test_the_files_of_every_installed_voice_exist(self, engine: Engine) -> None:
        for voice in engine.installed():
            assert all(path.is_file() for path in voice.files), voice

    def test_missing_data_directories_are_ignored(self, engine: Engine, tmp_path: Path) -> None:
        options = EngineOptions(data_dirs=(tmp_path / "missing", tmp_path))
        assert all(not voice.files for voice in MAKERS[engine.name](options).installed())

    def test_a_voice_whose_files_are_gone_is_unavailable(self, engine: Engine, tmp_path: Path) -> None:
        voice = engine.installed()[0]
        if not voice.files:
            return  # built in
        files = tuple(tmp_path / path.name for path in voice.files)
        with pytest.raises(VoiceUnavailable, match=re.escape(str(tmp_path))):
            engine.load(replace(voice, model=str(files[0]), files=files))


class TestRender:
    def test_every_render_step_is_finite_mono_float32_audio(self, speaker: Speaker) -> None:
        steps = speaker.steps(TEXT)
        assert all(map(_is_sound, steps))
        samples = np.concatenate(steps)
        seconds = len(samples) / speaker.spec.voice.sample_rate
        assert 1.0 < seconds < 10.0
        assert np.sqrt(np.mean(samples**2)) > 0.01

    def test_double_speed_halves_the_duration(self, speaker: Speaker) -> None:
        slow, fast = len(speaker.speak(TEXT)), len(speaker.speak(TEXT, Prosody(speed=2.0)))
        assert fast / slow == pytest.approx(0.5, abs=0.1)

    def test_engines_ignore_volume(self, speaker: Speaker) -> None:
        np.testing.assert_array_equal(speaker.speak(TEXT), speaker.speak(TEXT, Prosody(volume=0.1)))

    @pytest.mark.parametrize("text", ["", " ", "\n\t", "...", "?!", "—", "\0"])
    def test_text_without_anything_to_pronounce_renders_no_samples(self, speaker: Speaker, text: str) -> None:
        assert len(speaker.speak(text)) == 0

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @example("[[ unclosed")
    @example("]] [[")
    @example("<speak>no mark-up</speak")
    @example("a\ud800b \x1b[0m \x07")
    @example("x" * 300)
    @example("5 €, 3 % & 😀 日本語 नमस्ते مرحبا")
    @given(text=st.text(max_size=40))
    def test_any_text_can_be_spoken(self, speaker: Speaker, text: str) -> None:
        assert all(map(_is_sound, speaker.steps(text)))

    def test_closing_a_render_early_does_not_change_later_renders(self, speaker: Speaker) -> None:
        before = speaker.speak(TEXT)
        for steps_taken in range(3):
            render = speaker.loaded.render(Segment(TEXT), speaker.spec, Prosody())
            for _ in range(steps_taken):
                next(render, None)
            render.close()
        np.testing.assert_array_equal(speaker.speak(TEXT), before)

    def test_interleaved_renders_do_not_mix(self, speaker: Speaker) -> None:
        texts = [TEXT, "Good morning. It is seven o'clock. The bus leaves soon."]
        alone = [speaker.speak(text) for text in texts]
        renders = [speaker.loaded.render(Segment(text), speaker.spec, Prosody()) for text in texts]
        parts: list[list[Samples]] = [[], []]
        is_open = [True, True]
        while any(is_open):
            for which, render in enumerate(renders):
                chunk = next(render, None)
                is_open[which] = chunk is not None
                if chunk is not None:
                    parts[which].append(samples_of(chunk))
        for which in range(2):
            np.testing.assert_array_equal(np.concatenate(parts[which]), alone[which])

    def test_concurrent_renders_in_two_threads_do_not_mix(self, speaker: Speaker) -> None:
        texts = [TEXT, "Good morning. It is seven o'clock. The bus leaves soon."]
        alone = [speaker.speak(text) for text in texts]
        rendered: dict[int, list[Samples]] = {0: [], 1: []}
        start = threading.Barrier(2)

        def work(which: int) -> None:
            start.wait()
            rendered[which].extend(speaker.speak(texts[which]) for _ in range(5))

        threads = [threading.Thread(target=work, args=(which,)) for which in rendered]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for which, renders in rendered.items():
            assert len(renders) == 5
            for samples in renders:
                np.testing.assert_array_equal(samples, alone[which])

    def test_phonemes_of_a_word_are_deterministic(self, speaker: Speaker) -> None:
        expected_phonemes = speaker.phonemes("Hello")
        assert expected_phonemes == expected_phonemes.strip() != ""
        assert "\n" not in expected_phonemes
        assert speaker.phonemes("Hello") == expected_phonemes

    def test_text_without_anything_to_pronounce_has_no_phonemes(self, speaker: Speaker) -> None:
        assert [speaker.phonemes(text) for text in ("", " ", "...", "\0")] == [""] * 4

    def test_phonemizing_during_a_render_does_not_change_its_samples(self, speaker: Speaker) -> None:
        alone, expected_phonemes = speaker.speak(TEXT), speaker.phonemes("Good night. It is eleven o'clock.")
        rendered: list[Samples] = []
        for chunk in speaker.loaded.render(Segment(TEXT), speaker.spec, Prosody()):
            assert speaker.phonemes("Good night. It is eleven o'clock.") == expected_phonemes
            rendered.append(samples_of(chunk))
        np.testing.assert_array_equal(np.concatenate(rendered), alone)

    def test_the_calibration_segment_renders_enough_sound_to_measure_loudness(self, speaker: Speaker) -> None:
        segment = speaker.loaded.calibration_segment(speaker.spec)
        samples = speaker.speak(segment.text)
        assert len(samples) > speaker.spec.voice.sample_rate * 0.2
        assert np.abs(samples).max() > 0.01

    def test_rendering_an_unknown_speaker_raises_unknown_voice(self, speaker: Speaker) -> None:
        spec = replace(speaker.spec, speaker=1000)
        with pytest.raises(UnknownVoice):
            list(speaker.loaded.render(Segment(TEXT), spec, Prosody()))


class TestClose:
    def test_a_closed_voice_can_be_loaded_again(self, engine: Engine) -> None:
        voice = engine.installed()[0]
        spec = VoiceSpec(voice, voice.default_speaker)
        for _ in range(2):
            loaded = engine.load(voice)
            assert not isinstance(loaded, RemoteVoice)
            segment = loaded.calibration_segment(spec)
            assert sum(len(samples_of(step)) for step in loaded.render(segment, spec, Prosody()))
            loaded.close()


def _loaded(engine: Engine, voice: Voice) -> LoadedVoice:
    loaded = engine.load(voice)
    assert not isinstance(loaded, RemoteVoice)
    return loaded


def test_all_engines_render_concurrently_without_interference(engines: dict[str, Engine]) -> None:
    """Each engine has its own espeak-ng, whose process-wide state must not leak into another engine."""
    speakers = [
        (_loaded(engine, voice), VoiceSpec(voice, voice.default_speaker))
        for name, engine in engines.items()
        for voice in engine.installed()
        if voice.name in (*SPEAKS_WITH[name], "ff_test")
    ]
    alone = [_render(loaded, spec) for loaded, spec in speakers]
    right: list[str] = []

    def work(which: int) -> None:
        loaded, spec = speakers[which]
        said = (_render(loaded, spec) for _ in range(5))
        right.extend(spec.voice.name for samples in said if np.array_equal(samples, alone[which]))

    threads = [threading.Thread(target=work, args=(which,)) for which in range(len(speakers))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for loaded, _ in speakers:
        loaded.close()
    assert sorted(right) == sorted(spec.voice.name for _, spec in speakers for _ in range(5))


def _render(loaded: LoadedVoice, spec: VoiceSpec) -> Samples:
    return np.concatenate(list(map(samples_of, loaded.render(Segment(TEXT), spec, Prosody()))))
