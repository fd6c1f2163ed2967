from __future__ import annotations

import logging
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.hypothesis_examples import scaled_examples
from wyoming_tts.engines.base import EngineOptions, samples_of
from wyoming_tts.engines.espeak import engine as espeak
from wyoming_tts.engines.espeak import process as espeak_process
from wyoming_tts.engines.espeak.engine import EspeakEngine, EspeakVoices
from wyoming_tts.engines.espeak.text import EspeakPiece
from wyoming_tts.errors import EngineFailed, VoiceUnavailable
from wyoming_tts.speech import Prosody, Samples, Segment, Voice, VoiceSpec

RATE = 22_050
SENTENCE = "The front door is open."


@pytest.fixture(scope="module")
def installed() -> dict[str, Voice]:
    return {voice.name: voice for voice in EspeakEngine(EngineOptions()).installed()}


@pytest.fixture(scope="module")
def loaded(installed: dict[str, Voice]) -> Iterator[EspeakVoices]:
    voices = EspeakEngine(EngineOptions()).load(installed["espeak-en-us"])
    yield voices
    voices.close()


Say = Callable[..., Samples]


@pytest.fixture(scope="module")
def say(installed: dict[str, Voice], loaded: EspeakVoices) -> Say:
    """`say(text, voice, **prosody)`: all samples of a render."""

    def samples(text: str, voice: str = "espeak-en-us", **prosody: float) -> Samples:
        render = loaded.render(Segment(text), VoiceSpec(installed[voice]), Prosody(**prosody))
        return np.concatenate([np.zeros(0, np.float32), *map(samples_of, render)])

    return samples


def seconds(samples: Samples) -> float:
    return len(samples) / RATE


def loudness(samples: Samples) -> float:
    return float(np.sqrt(np.mean(np.square(samples))))


def voiced_seconds(samples: Samples) -> float:
    """Total duration of the 20 ms frames that are not silent, in seconds."""
    frames = samples[: len(samples) // 441 * 441].reshape(-1, 441)
    return float(np.sum(np.abs(frames).max(axis=1) > 0.01)) * 441 / RATE


def fundamental(samples: Samples) -> float:
    """Fundamental frequency in Hz: the strongest period between 60 and 400 Hz in the loudest part."""
    width = RATE // 10
    start = max(range(0, len(samples) - width, width // 2), key=lambda at: loudness(samples[at : at + width]))
    frame = samples[start : start + width].astype(np.float64)
    correlation = np.correlate(frame, frame, "full")[width - 1 :]
    shortest, longest = RATE // 400, RATE // 60
    return RATE / (shortest + int(np.argmax(correlation[shortest:longest])))


# Installed voices


def test_every_espeak_language_is_a_voice(installed: dict[str, Voice]) -> None:
    assert len(installed) > 100
    for name in ("en-us", "en-gb", "de", "cmn", "yue", "yue-latn-jyutping", "fr-be", "es-419", "pt-br"):
        assert f"espeak-{name}" in installed


def test_every_language_tag_is_accepted_by_home_assistant(installed: dict[str, Voice]) -> None:
    for voice in installed.values():
        assert re.fullmatch(r"[a-z]{2,3}(_[A-Z]{2}|_[0-9]{3})?", voice.language), voice


@pytest.mark.parametrize(
    ("name", "tag"),
    [
        ("en-us", "en_US"),
        ("en-us-nyc", "en_US"),
        ("en-gb-x-rp", "en_GB"),
        ("en-029", "en_029"),
        ("en-shaw", "en_GB"),
        ("de", "de_DE"),
        ("fr-fr", "fr_FR"),
        ("fr-be", "fr_BE"),
        ("es", "es_ES"),
        ("es-419", "es_419"),
        ("pt", "pt_PT"),
        ("pt-br", "pt_BR"),
        ("cmn", "zh_CN"),
        ("cmn-latn-pinyin", "zh_CN"),
        ("yue", "zh_HK"),
        ("nb", "no_NO"),
        ("ca-ba", "ca_ES"),
        ("ru-cl", "ru_RU"),
        ("vi-vn-x-south", "vi_VN"),
        ("piqd", "tlh"),
        ("ar", "ar"),
        ("haw", "haw"),
    ],
)
def test_published_language_tags_do_not_change(installed: dict[str, Voice], name: str, tag: str) -> None:
    assert installed[f"espeak-{name}"].language == tag


def test_voices_share_one_model_and_carry_their_attribution(installed: dict[str, Voice]) -> None:
    assert len({voice.model for voice in installed.values()}) == 1
    english = installed["espeak-en-us"]
    assert english.engine == EspeakEngine.name == "espeak"
    assert english.sample_rate == RATE
    assert english.version is not None
    assert re.fullmatch(r"\d+\.\d+.*", english.version)
    assert english.attribution.url == "https://github.com/espeak-ng/espeak-ng"
    assert english.files == ()


def test_descriptions_are_unique_and_sort_after_language_names(installed: dict[str, Voice]) -> None:
    descriptions = [voice.description for voice in installed.values()]
    assert installed["espeak-en-us"].description == "espeak-ng English (America)"
    assert len(set(descriptions)) == len(descriptions)
    assert all(description > "Zulu (South Africa)" for description in descriptions)


def test_a_voice_without_its_dictionary_is_not_listed(installed: dict[str, Voice], say: Say) -> None:
    # The wheel has the files of these voices, but not their dictionaries.
    assert not {"espeak-fo", "espeak-kaa", "espeak-xex"} & set(installed)
    # And these use the dictionary of another language.
    assert loudness(say("1, 2, 3", "espeak-nb")) > 0.03
    assert loudness(say("1, 2, 3", "espeak-ltg")) > 0.03


def test_importing_loads_neither_the_library_nor_the_wheel() -> None:
    code = (
        "import sys, wyoming_tts.engines.espeak.engine\n"
        "assert 'espeakng_loader' not in sys.modules\n"
        "assert 'espeak' not in open('/proc/self/maps').read()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# Sound


def test_espeak_renders_audible_speech(say: Say) -> None:
    samples = say(SENTENCE)
    assert samples.dtype == np.float32
    assert samples.ndim == 1
    assert 1 < seconds(samples) < 3
    assert loudness(samples) > 0.03
    assert np.abs(samples).max() <= 1


def test_the_first_render_step_of_a_long_text_is_bounded(
    installed: dict[str, Voice], loaded: EspeakVoices
) -> None:
    def first_step(sentences: int) -> Samples:
        text = f"{SENTENCE} " * sentences
        render = loaded.render(Segment(text), VoiceSpec(installed["espeak-en-us"]), Prosody())
        samples = next(filter(len, map(samples_of, render)))
        render.close()
        return samples

    assert len(first_step(1)) > RATE
    assert seconds(first_step(20)) < 20
    np.testing.assert_array_equal(first_step(2000), first_step(20))


def test_languages_sound_different(say: Say) -> None:
    spoken = [say("1, 2, 3", f"espeak-{name}").tobytes() for name in ("en-us", "de", "fr-fr", "cmn", "ru")]
    assert len(set(spoken)) == len(spoken)


@pytest.mark.slow
def test_every_voice_speaks_its_calibration_text(
    installed: dict[str, Voice], loaded: EspeakVoices, say: Say
) -> None:
    for name, voice in installed.items():
        segment = loaded.calibration_segment(VoiceSpec(voice))
        samples = say(segment.text, name)
        assert seconds(samples) > 0.4, name
        assert loudness(samples) > 0.03, name


def test_rendering_is_deterministic(say: Say) -> None:
    first = say(SENTENCE)
    say("Etwas anderes.", "espeak-de")
    np.testing.assert_array_equal(say(SENTENCE), first)


def test_double_speed_halves_the_duration(say: Say) -> None:
    natural = seconds(say(SENTENCE))
    assert seconds(say(SENTENCE, speed=2.0)) == pytest.approx(natural / 2, rel=0.1)
    assert seconds(say(SENTENCE, speed=0.5)) == pytest.approx(natural * 2, rel=0.1)


def test_length_scale_divides_speed(say: Say) -> None:
    np.testing.assert_array_equal(say(SENTENCE, length_scale=2.0), say(SENTENCE, speed=0.5))
    np.testing.assert_array_equal(say(SENTENCE, length_scale=2.0, speed=2.0), say(SENTENCE))


def test_speed_is_clamped_to_the_limits_of_espeak(say: Say) -> None:
    np.testing.assert_array_equal(say(SENTENCE, speed=100.0), say(SENTENCE, speed=450 / 175))
    np.testing.assert_array_equal(say(SENTENCE, speed=0.01), say(SENTENCE, speed=80 / 175))


@pytest.mark.parametrize("pitch", [0.7, 1.5])
def test_pitch_raises_the_fundamental(say: Say, pitch: float) -> None:
    vowel = "aaaah"
    assert fundamental(say(vowel, pitch=pitch)) == pytest.approx(fundamental(say(vowel)) * pitch, rel=0.12)


def test_volume_is_left_to_the_mixer(say: Say) -> None:
    np.testing.assert_array_equal(say(SENTENCE, volume=0.1), say(SENTENCE))


# Text


def test_markup_in_plain_text_is_spoken_as_text(say: Say) -> None:
    assert seconds(say("<b>hello</b>")) > 2 * seconds(say("hello"))
    assert seconds(say("a < b & c")) > 1.3 * seconds(say("a b c"))
    assert seconds(say("&amp;")) > 1.3 * seconds(say("&"))


def test_double_brackets_without_ipa_are_plain_text(say: Say) -> None:
    assert seconds(say("[[Main Page]]")) >= seconds(say("Main Page"))
    assert seconds(say("[[Main Page]] [[b]]")) > seconds(say("Main Page"))


def test_ipa_in_plain_text_sounds_like_the_word_it_transcribes(say: Say) -> None:
    spoken, word = say("Ask [[ʃɪˈvɔːn]] now."), say("Ask shivawn now.")
    assert abs(voiced_seconds(spoken) - voiced_seconds(word)) < 0.15
    assert voiced_seconds(spoken) > voiced_seconds(say("Ask now.")) + 0.2


@pytest.mark.parametrize("voice", ["espeak-de", "espeak-fr-fr", "espeak-cmn", "espeak-ar", "espeak-ru"])
def test_any_voice_speaks_ipa_of_another_language_completely(say: Say, voice: str) -> None:
    whole = voiced_seconds(say("[[θɜːˈðæwɑːnaː]]", voice))
    assert whole > voiced_seconds(say("[[θɜːˈðæ]]", voice)) + 0.1


@pytest.mark.parametrize("text", ["", " ", "\n", "...", "?!", "\u200b", "\x00", "\ud800"])
def test_unspeakable_text_gives_no_samples(say: Say, text: str) -> None:
    assert len(say(text)) == 0


def test_a_lone_symbol_is_spoken_by_name(say: Say) -> None:
    assert loudness(say("*")) > 0.03


def test_control_characters_are_not_interpreted_as_commands(say: Say) -> None:
    # Control-A, 0, A sets the amplitude of the library to zero.
    assert loudness(say("\x010A hello")) > 0.03
    assert seconds(say("one\x00two")) > 1.3 * seconds(say("one"))


@pytest.mark.parametrize("unit", ["word ", "x", "9", "*", "😀", "s'", "-", "\u0301"])
def test_very_long_text_is_spoken_in_bounded_steps(
    installed: dict[str, Voice], loaded: EspeakVoices, unit: str
) -> None:
    text = unit * (100_000 // len(unit))
    render = loaded.render(Segment(text), VoiceSpec(installed["espeak-en-us"]), Prosody())
    for _ in range(5):
        assert seconds(samples_of(next(render))) < 60
    render.close()


def test_long_text_loses_nothing_between_pieces(say: Say) -> None:
    apart = sum(seconds(say(f"This is sentence {number}. ")) for number in range(100, 140))
    together = seconds(say(" ".join(f"This is sentence {number}." for number in range(100, 140))))
    # In one piece there are additional pauses between the sentences, of up to half a second.
    assert apart < together < apart + 40 * 0.5


@pytest.mark.parametrize("deadly", ["s'" * 100, "---लच्छेद", "[[" + "h@l'oU" * 100 + "]]"])
def test_a_text_that_crashes_the_library_fails_only_its_own_render(
    say: Say, monkeypatch: pytest.MonkeyPatch, deadly: str
) -> None:
    before = say(SENTENCE)
    with monkeypatch.context() as patched:
        # Not split: in pieces the library survives these.
        patched.setattr(espeak, "_pieces", lambda *_: (iter([EspeakPiece(deadly)]), espeak_process.PHONEMES))
        with pytest.raises(EngineFailed, match="crashed on the text"):
            say(deadly)
    np.testing.assert_array_equal(say(SENTENCE), before)


SCRAPS = st.sampled_from(
    [*"<>&-'\"[]*#I u1.,\x01\x00ल中ሪ😀", "'s", "---", "च्छे", "[[", "]]", "[[ʃɪ", "<s>", "</s>"]
)


@settings(
    max_examples=scaled_examples(60),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(text=st.text() | st.lists(SCRAPS, max_size=40).map("".join), data=st.data())
def test_no_text_ends_the_process(
    installed: dict[str, Voice], say: Say, text: str, data: st.DataObject
) -> None:
    voice = data.draw(st.sampled_from(sorted(installed)))
    try:
        samples = say(text, voice)
    except EngineFailed:
        return
    assert np.isfinite(samples).all()


# Concurrent renders


def test_interleaved_renders_do_not_mix(installed: dict[str, Voice], loaded: EspeakVoices, say: Say) -> None:
    texts = {"espeak-en-us": f"{SENTENCE} " * 40, "espeak-de": "Die Haustür ist offen. " * 40}
    manners = {"espeak-en-us": {"speed": 1.5}, "espeak-de": {"pitch": 1.5}}
    renders = {
        name: loaded.render(Segment(text), VoiceSpec(installed[name]), Prosody(**manners[name]))
        for name, text in texts.items()
    }
    rendered: dict[str, list[Samples]] = {name: [] for name in texts}
    steps = zip(*renders.values(), strict=False)
    for english, german in steps:
        rendered["espeak-en-us"].append(samples_of(english))
        rendered["espeak-de"].append(samples_of(german))
    for name, chunks in rendered.items():
        assert len(chunks) > 2
        alone = say(texts[name], name, **manners[name])
        together = np.concatenate(chunks)
        np.testing.assert_array_equal(together, alone[: len(together)])


def test_a_render_closed_early_leaves_the_voice_usable(
    installed: dict[str, Voice], loaded: EspeakVoices, say: Say
) -> None:
    before = say(SENTENCE)
    render = loaded.render(Segment(f"{SENTENCE} " * 100), VoiceSpec(installed["espeak-en-us"]), Prosody())
    next(render)
    render.close()
    np.testing.assert_array_equal(say(SENTENCE), before)


def test_a_suspended_render_holds_no_lock(
    installed: dict[str, Voice], loaded: EspeakVoices, say: Say
) -> None:
    render = loaded.render(Segment(f"{SENTENCE} " * 100), VoiceSpec(installed["espeak-de"]), Prosody())
    next(render)
    other = threading.Thread(target=say, args=("hello",), daemon=True)
    other.start()
    other.join(timeout=20)
    assert not other.is_alive()
    render.close()


@pytest.mark.slow
def test_espeak_users_in_one_process_do_not_interfere(say: Say) -> None:
    from kokoro_onnx.tokenizer import Tokenizer  # noqa: PLC0415 - heavy
    from piper.phonemize_espeak import EspeakPhonemizer  # noqa: PLC0415

    piper, kokoro = EspeakPhonemizer(), Tokenizer()
    texts = {
        "en-us": SENTENCE,
        "de": "Die Tür ist offen.",
        "fr-fr": "La porte est ouverte.",
        "cmn": "门开着。",
    }
    texts |= {"ru": "Дверь открыта.", "es": "La puerta está abierta.", "ja": "ドア", "hi": "दरवाज़ा खुला है।"}

    def spoken(name: str) -> bytes:
        return say(texts[name], f"espeak-{name}").tobytes()

    jobs: dict[str, Callable[[], object]] = {name: partial(spoken, name) for name in texts}
    jobs["piper"] = lambda: [piper.phonemize(voice, SENTENCE) for voice in ("en-us", "de", "fr")]
    jobs["kokoro"] = lambda: [kokoro.phonemize(SENTENCE, language) for language in ("en-us", "en-gb")]
    alone = {name: job() for name, job in jobs.items()}

    together: dict[str, list[object]] = {name: [] for name in jobs}
    start = threading.Barrier(len(jobs))

    def repeat(name: str) -> None:
        start.wait(timeout=20)
        together[name].extend(jobs[name]() for _ in range(12))

    threads = [threading.Thread(target=repeat, args=(name,), daemon=True) for name in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=40)
    for name, results in together.items():
        assert results == [alone[name]] * 12, name


def test_several_engines_render_concurrently(installed: dict[str, Voice], say: Say) -> None:
    voice = installed["espeak-de"]
    first, second = (EspeakEngine(EngineOptions()).load(voice) for _ in range(2))
    try:
        renders = [
            voices.render(Segment(SENTENCE), VoiceSpec(voice), Prosody()) for voices in (first, second)
        ]
        for render in renders:
            samples = next(filter(len, map(samples_of, render)))
            np.testing.assert_array_equal(samples, say(SENTENCE, "espeak-de"))
    finally:
        first.close()
        second.close()


# Failures


def test_the_error_names_an_unknown_espeak_voice(installed: dict[str, Voice], loaded: EspeakVoices) -> None:
    spec = VoiceSpec(replace(installed["espeak-de"], name="espeak-nowhere"))
    with pytest.raises(EngineFailed, match="espeak-nowhere"):
        next(loaded.render(Segment(SENTENCE), spec, Prosody()))


def test_a_dead_espeak_process_is_restarted(installed: dict[str, Voice], say: Say) -> None:
    voice = installed["espeak-en-us"]
    voices = EspeakEngine(EngineOptions()).load(voice)
    try:
        process = voices._process._running
        process.kill()
        process.wait()
        chunks = map(samples_of, voices.render(Segment(SENTENCE), VoiceSpec(voice), Prosody()))
        np.testing.assert_array_equal(np.concatenate(list(chunks)), say(SENTENCE))
    finally:
        voices.close()


def test_closing_the_engine_ends_its_process(installed: dict[str, Voice]) -> None:
    voices = EspeakEngine(EngineOptions()).load(installed["espeak-en-us"])
    process = voices._process._running
    voices.close()
    assert process.returncode is not None


@pytest.fixture
def wheel(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path, Path], None]:
    """Replace the library and data of the wheel."""

    def replaced(library: Path, data: Path) -> None:
        fake = SimpleNamespace(get_library_path=lambda: str(library), get_data_path=lambda: str(data))
        monkeypatch.setitem(sys.modules, "espeakng_loader", fake)

    return replaced


Wheel = Callable[[Path, Path], None]


def real_library() -> Path:
    import espeakng_loader  # noqa: PLC0415

    return Path(espeakng_loader.get_library_path())


def test_a_missing_library_raises_voice_unavailable(
    wheel: Wheel, installed: dict[str, Voice], tmp_path: Path
) -> None:
    wheel(tmp_path / "libespeak-ng.so", tmp_path)
    with pytest.raises(VoiceUnavailable, match=r"libespeak-ng\.so is missing"):
        EspeakEngine(EngineOptions()).load(installed["espeak-de"])


def test_an_invalid_library_raises_voice_unavailable(
    wheel: Wheel, installed: dict[str, Voice], tmp_path: Path
) -> None:
    library = tmp_path / "libespeak-ng.so"
    library.write_bytes(b"not a library")
    wheel(library, tmp_path)
    with pytest.raises(VoiceUnavailable, match="did not start"):
        EspeakEngine(EngineOptions()).load(installed["espeak-de"])


def test_missing_data_raises_voice_unavailable_without_ending_the_process(
    wheel: Wheel, installed: dict[str, Voice], tmp_path: Path
) -> None:
    wheel(real_library(), tmp_path)
    with pytest.raises(VoiceUnavailable, match=re.escape(str(tmp_path))):
        EspeakEngine(EngineOptions()).load(installed["espeak-de"])


def test_a_missing_wheel_raises_voice_unavailable(
    monkeypatch: pytest.MonkeyPatch, installed: dict[str, Voice]
) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(VoiceUnavailable, match="not installed"):
        EspeakEngine(EngineOptions()).load(installed["espeak-de"])


def test_an_engine_that_does_not_start_has_no_voices_and_warns(
    wheel: Wheel, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wheel(tmp_path / "libespeak-ng.so", tmp_path)
    with caplog.at_level(logging.WARNING):
        assert EspeakEngine(EngineOptions()).installed() == ()
    assert [str(tmp_path) in record.message for record in caplog.records] == [True]


# Phonemes


@pytest.mark.parametrize(
    ("voice", "text", "expected_phonemes"),
    [
        ("en-us", "Hello world. How are you?", "həlˈoʊ wˈɜːld hˈaʊ ɑːɹ juː"),
        ("de", "Die Tür ist offen.", "diː tˈyːɾ ɪst ˈɔfən"),
        ("cmn", "hello 好", "hə5lˈəʊəʊ χˈɑu2"),  # spoken in English, but without the language switch mark
    ],
)
def test_phonemes_match_those_that_the_library_speaks(
    installed: dict[str, Voice], loaded: EspeakVoices, *, voice: str, text: str, expected_phonemes: str
) -> None:
    assert loaded.phonemes(Segment(text), VoiceSpec(installed[f"espeak-{voice}"])) == expected_phonemes


def test_phonemes_of_a_text_in_many_pieces_are_complete(
    installed: dict[str, Voice], loaded: EspeakVoices
) -> None:
    expected_phonemes = loaded.phonemes(Segment(f"{SENTENCE} " * 40), VoiceSpec(installed["espeak-en-us"]))
    assert expected_phonemes.split().count("dˈoːɹ") + expected_phonemes.split().count("dˈɔːɹ") == 40


def test_voices_that_were_listed_stay_when_no_process_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = EspeakEngine(EngineOptions(data_dirs=()))
    voices = engine.installed()

    def fail(*_: object, **__: object) -> None:
        raise VoiceUnavailable("Too many open files.")

    monkeypatch.setattr("wyoming_tts.engines.espeak.engine._EspeakProcess", fail)
    assert voices
    assert engine.installed() == voices
