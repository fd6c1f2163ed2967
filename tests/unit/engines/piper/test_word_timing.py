"""A Piper voice tells when each word sounds: what is heard within that time is the word."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Lock
from types import SimpleNamespace
from typing import Any, NoReturn

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from piper.phonemize_chinese import PHONEME_TO_ID, phonemes_to_ids

from tests.support.hypothesis_examples import scaled_examples
from tests.support.tones import LETTERS, LOW, TONES, VOICES, ToneVoice
from tests.voices.make_vits import SPEAKERS, VITS
from wyoming_tts.engines.base import EngineOptions, samples_of
from wyoming_tts.engines.phonemizer.client import PiperPhonemizerProcess
from wyoming_tts.engines.piper import phrases
from wyoming_tts.engines.piper.engine import LoadedPiper, PiperEngine
from wyoming_tts.engines.piper.phonemizer import VoicePhonemizer
from wyoming_tts.engines.piper.phrases import Phrase
from wyoming_tts.engines.piper.word_timing import WordTimer
from wyoming_tts.errors import EngineFailed
from wyoming_tts.speech import (
    Prosody,
    Samples,
    Segment,
    TimedSamples,
    Voice,
    VoiceSpec,
    WordTiming,
    WordTimings,
)
from wyoming_tts.spoken_words import words_of

NATURAL = Prosody()


@dataclass(frozen=True)
class Spoken:
    """What a voice made of a text."""

    text: str
    audio: Samples
    words: Sequence[WordTiming]

    def heard(self, voice: ToneVoice) -> list[str]:
        """Each word, and the phonemes that sound in its time."""
        names = {number: symbol for symbol, number in voice.symbols.items()}
        return [
            f"{self.text[word.begin : word.end]} "
            + "".join(
                names[tone.id]
                for stretch in voice.spoken(self.audio[word.first_sample : word.end_sample])
                for tone in stretch
            ).replace("_", "")
            for word in self.words
        ]


@cache
def _loaded(name: str, directory: Path = VOICES) -> tuple[LoadedPiper, Voice]:
    engine = PiperEngine(EngineOptions(data_dirs=(directory,), intra_op_threads=1))
    voice = next(voice for voice in engine.installed() if voice.name == name)
    return engine.load(voice), voice


def _speak(
    text: str,
    name: str = LOW.name,
    *,
    directory: Path = VOICES,
    speaker: int | None = None,
    prosody: Prosody = NATURAL,
) -> Spoken:
    loaded, voice = _loaded(name, directory)
    words: list[WordTiming] = []
    pieces: list[Samples] = []
    for step in loaded.render(Segment(text), VoiceSpec(voice, speaker), prosody):
        timings = step.timings if isinstance(step, TimedSamples) else step
        if isinstance(timings, WordTimings):
            assert not timings.estimated
            # They are told before the audio of their words.
            assert timings.words[0].first_sample >= sum(map(len, pieces))
            words += timings.words
        pieces.append(samples_of(step))
    return Spoken(text, np.concatenate(pieces), words)


def _check(spoken: Spoken) -> None:
    edges = [0, *(edge for word in spoken.words for edge in (word.first_sample, word.end_sample))]
    assert [*edges, len(spoken.audio)] == sorted([*edges, len(spoken.audio)])
    assert all(word.end_sample > word.first_sample for word in spoken.words)
    told = [(word.begin, word.end) for word in spoken.words]
    assert told == [span for span in words_of(spoken.text) if tuple(span) in told]


@pytest.mark.parametrize(
    ("text", "heard"),
    [
        ("Hello, big world!", ["Hello həlˈoʊ", "big bˈɪɡ", "world wˈɜːld"]),
        (
            "It is one of the kings — in the dark.",
            [
                "It ɪɾ",
                "is ɪz",
                "one wˈʌn",
                "of ʌv",
                "the ðə",
                "kings kˈɪŋz",
                "in ɪn",
                "the ðə",
                "dark dˈɑːɹk",
            ],
        ),
        ("No. 25 (cats)?", ["No nˈoʊ", "25 twˈɛnti fˈaɪv", "cats kˈæts"]),
        ("say [[ həlˈoʊ ]], now.", ["say sˈeɪ", "[[ həlˈoʊ ]] həlˈoʊ", "now nˈaʊ"]),
        ("One. Two! Three?", ["One wˌʌn", "Two tˈuː", "Three θɹˈiː"]),
        ("Wait… what?", ["Wait wˈeɪt", "what wˌʌt"]),
    ],
)
def test_in_the_time_of_a_word_its_phonemes_are_heard_to_the_frame(text: str, heard: list[str]) -> None:
    spoken = _speak(text)
    _check(spoken)
    assert spoken.heard(LOW) == heard


def test_each_phoneme_lasts_with_the_blank_after_it_and_pauses_belong_to_no_word() -> None:
    (hello, world) = _speak("Hi, you.").words
    # ^_ h_aɪ_ ,_ _ j_uː_ ._$ with a slot for each.
    slot = LOW.slot
    assert hello == WordTiming(0, 2, 2 * slot, (2 + 2 * len("hˈaɪ")) * slot)
    assert world.first_sample == hello.end_sample + 2 * len(", ") * slot


def test_speakers_and_letters_are_timed_alike() -> None:
    spoken = _speak("Guten Morgen.", TONES.name, speaker=2)
    assert spoken.heard(TONES) == ["Guten ɡˈuːtən", "Morgen mˈɔɾɡən"]
    spoken = _speak("Over 9,000 of [them]!", LETTERS.name)
    assert spoken.heard(LETTERS) == ["Over Over", "9,000 9,000", "of of", "them them"]


@pytest.mark.parametrize("speed", [0.5, 0.8, 1.28, 1.5])
def test_speed_moves_words_to_the_frame(speed: float) -> None:
    natural, other = (_speak("Hello, big world.", prosody=Prosody(speed=each)) for each in (1.0, speed))
    _check(other)

    def moved(sample: int) -> int:
        return LOW.slot_begin(sample // LOW.slot, speed)

    assert other.words == [
        WordTiming(word.begin, word.end, moved(word.first_sample), moved(word.end_sample))
        for word in natural.words
    ]


@pytest.mark.parametrize("speed", [0.25, 2.0, 3.0, 4.0])
def test_beyond_what_models_speak_well_words_are_stretched_with_the_audio(speed: float) -> None:
    natural, other = (_speak("Hello, big world.", prosody=Prosody(speed=each)) for each in (1.0, speed))
    _check(other)
    for word, slow in zip(other.words, natural.words, strict=True):
        assert word.first_sample == pytest.approx(slow.first_sample / speed, abs=LOW.hop)
        assert word.end_sample == pytest.approx(slow.end_sample / speed, abs=LOW.hop)
    assert len(other.audio) - other.words[-1].end_sample == pytest.approx(3 * LOW.slot / speed, abs=LOW.hop)


def test_silences_between_phrases_belong_to_no_word(tmp_path: Path) -> None:
    _copy(tmp_path, lambda document: document["inference"].update(phoneme_silence={",": 0.5, ".": 0.25}))
    spoken = _speak("One, two. Three, four.", "silences", directory=tmp_path)
    _check(spoken)
    assert spoken.heard(LOW) == ["One wˌʌn", "two tˈuː", "Three θɹˈiː", "four fˈɔːɹ"]


def _copy(directory: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    shutil.copy(VOICES / f"{LOW.name}.onnx", directory / "silences.onnx")
    document = json.loads((VOICES / f"{LOW.name}.onnx.json").read_text("utf-8"))
    edit(document)
    (directory / "silences.onnx.json").write_text(json.dumps(document), "utf-8")


def test_a_sentence_that_is_cut_goes_on_and_a_word_that_is_cut_ends_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(phrases, "MAX_PHONEMES", 12)
    spoken = _speak("Many words are in unbelievable trouble.", LETTERS.name)
    _check(spoken)
    assert spoken.heard(LETTERS) == [
        *("Many Many", "words words", "are are", "in in"),
        *("unbelievable unbelievable", "trouble trouble"),
    ]
    (word,) = _speak("unbelievableness", LETTERS.name).words
    assert (word.begin, word.end) == (0, 16)
    assert Spoken("unbelievableness", _speak("unbelievableness", LETTERS.name).audio, [word]).heard(
        LETTERS
    ) == ["unbelievableness unbelievable"]


def test_timings_take_the_place_of_the_step_without_samples() -> None:
    loaded, voice = _loaded(SPEAKERS.name, VITS)
    text = "A sentence that is long enough for more than one chunk of sound."
    first, told, *chunks = loaded.render(Segment(text), VoiceSpec(voice), Prosody())
    assert len(samples_of(first)) == 0
    assert isinstance(told, WordTimings)
    assert [(word.begin, word.end) for word in told.words] == words_of(text)
    assert all(isinstance(chunk, np.ndarray) and len(chunk) for chunk in chunks)
    assert told.words[-1].end_sample <= sum(len(samples_of(chunk)) for chunk in chunks)


def test_a_model_that_runs_whole_tells_them_with_its_audio() -> None:
    loaded, voice = _loaded(LOW.name)
    first, told = loaded.render(Segment("Hello."), VoiceSpec(voice), Prosody())
    assert len(samples_of(first)) == 0
    assert isinstance(told, TimedSamples)


def test_nothing_is_told_of_a_text_that_is_not_heard() -> None:
    assert not _speak("...").words
    assert not _speak("[[]]").words


def test_a_word_that_kills_the_phonemizer_by_itself_leaves_the_others_estimated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> NoReturn:
        raise EngineFailed("espeak-ng ended")

    monkeypatch.setattr(PiperPhonemizerProcess, "phonemize_each", fail)
    engine = PiperEngine(EngineOptions(data_dirs=(VOICES,), intra_op_threads=1))
    voice = next(voice for voice in engine.installed() if voice.name == LOW.name)
    steps = list(engine.load(voice).render(Segment("One of the kings."), VoiceSpec(voice), Prosody()))
    (told,) = (step.timings.words for step in steps if isinstance(step, TimedSamples))
    assert [(word.begin, word.end) for word in told] == words_of("One of the kings.")


def test_a_chinese_character_has_the_phonemes_of_its_syllable() -> None:
    package = SimpleNamespace(
        config=SimpleNamespace(
            phoneme_type=SimpleNamespace(value="pinyin"),
            phoneme_id_map={symbol: [number] for symbol, number in PHONEME_TO_ID.items()},
        ),
        phonemes_to_ids=phonemes_to_ids,
    )
    phonemizer = VoicePhonemizer("zh", package, Lock(), None, silences={})
    phonemes = ["n", "i", "3", "h", "ao", "3", "，", "Ø", "uo", "3", "。"]
    phrase = Phrase(phonemes, phonemes_to_ids(phonemes))
    timings = WordTimer("你好，我。", [phrase], phonemizer).timings(0, np.full(len(phrase.ids), 10), 0)
    assert timings is not None
    # ^ n i 3 _ h ao 3 _ ， _ Ø uo 3 _ 。 _ $
    assert timings.words == (
        WordTiming(0, 1, 10, 50),
        WordTiming(1, 2, 50, 90),
        WordTiming(3, 4, 110, 150),
    )


def test_ids_that_are_not_those_of_the_phonemes_are_not_timed() -> None:
    loaded, _ = _loaded(LOW.name)
    phrase = Phrase(["h", "a"], [1, 0, 20, 0])
    assert WordTimer("ha", [phrase], loaded._phonemizer).timings(0, np.full(4, 10), 0) is None


@settings(max_examples=scaled_examples(50), deadline=None)
@given(text=st.text("ab .,—'25[]\n…漢字°🙂", max_size=40), speed=st.sampled_from([0.5, 1.0, 1.4, 3.0]))
def test_whatever_the_text_words_are_in_order_and_within_the_audio(text: str, speed: float) -> None:
    _check(_speak(text, prosody=Prosody(speed=speed)))
    _check(_speak(text, LETTERS.name, prosody=Prosody(speed=speed)))
