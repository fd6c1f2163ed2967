from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.hypothesis_examples import scaled_examples
from wyoming_tts.engines.base import EngineOptions, samples_of
from wyoming_tts.engines.espeak.engine import EspeakEngine
from wyoming_tts.engines.espeak.process import PAUSE, SOUND
from wyoming_tts.engines.espeak.timings import SegmentWords
from wyoming_tts.offset_text import OffsetText
from wyoming_tts.speech import Prosody, Samples, Segment, TimedSamples, VoiceSpec, WordTiming
from wyoming_tts.spoken_words import words_of

RELEASE = 100
"""Samples in which a sound fades behind its end: 4.5 ms."""


class Heard(NamedTuple):
    """A rendered segment."""

    text: str
    timings: list[WordTiming]
    samples: Samples

    @property
    def words(self) -> list[str]:
        return [self.text[timing.begin : timing.end] for timing in self.timings]

    def peak(self, begin: int, end: int) -> float:
        return float(np.abs(self.samples[begin:end]).max(initial=0.0))


Speak = Callable[..., Heard]


@pytest.fixture(scope="module")
def speak() -> Iterator[Speak]:
    """`speak(text, voice, **prosody)`: what is rendered, and when its words sound."""
    engine = EspeakEngine(EngineOptions())
    installed = {voice.name: voice for voice in engine.installed()}
    loaded = engine.load(installed["espeak-en-us"])

    def heard(text: str, voice: str = "en-us", **prosody: float) -> Heard:
        timings: list[WordTiming] = []
        samples = [np.zeros(0, np.float32)]
        spec = VoiceSpec(installed[f"espeak-{voice}"])
        for rendered in loaded.render(Segment(text), spec, Prosody(**prosody)):
            if isinstance(rendered, TimedSamples):
                assert not rendered.timings.estimated
                assert rendered.timings.words[0].first_sample >= sum(map(len, samples))
                timings.extend(rendered.timings.words)
            samples.append(samples_of(rendered))
        return Heard(text, timings, np.concatenate(samples))

    yield heard
    loaded.close()


@pytest.mark.parametrize(
    ("voice", "text", "words"),
    [
        ("en-us", "Hello, wide world.", "Hello|wide|world"),
        ("en-us", "25 degrees, 1,000.5 more - 1984!", "25|degrees|1,000.5|more|1984"),
        ("en-us", "Some of the time, in the end.", "Some|of|the|time|in|the|end"),
        ("en-us", "I'd say it's don't.", "I'd|say|it's|don't"),
        ("en-us", "Ask [[ʃɪˈvɔːn]] now, and [[həˈloʊ wɜːld]].", "Ask|[[ʃɪˈvɔːn]]|now|and|[[həˈloʊ wɜːld]]"),
        ("en-us", "Ask ([[ʃɪˈvɔːn]]) now.", "Ask|[[ʃɪˈvɔːn]]|now"),
        ("en-us", "See [[Main Page]] here.", "See|[[Main Page]]|here"),
        ("en-us", "One — two … “three” a+b", "One|two|three|a+b"),
        ("de", "Der Zug um 12:30 Uhr, z. B. am 3. Mai.", "Der|Zug|um|12:30|Uhr|z|B|am|3|Mai"),
        ("fr-fr", "« L'homme » a dit : « oui » !", "L'homme|a|dit|oui"),
        ("ru", "Дверь открыта, 5 минут.", "Дверь|открыта|5|минут"),
        ("ar", "مرحبا بالعالم", "مرحبا|بالعالم"),
        ("cmn", "你好，世界。", "你|好|世|界"),
        ("ko", "안녕하세요 여러분 二〇二六", "안녕하세요|여러분|二|〇|二|六"),
        ("ja", "こんにちは、日本。", "こ|ん|に|ち|は"),  # the library reads no characters in Japanese
    ],
)
def test_every_word_that_is_said_is_told(speak: Speak, voice: str, text: str, words: str) -> None:
    assert speak(text, voice).words == words.split("|")


@pytest.mark.parametrize("speed", [0.5, 1.0, 2.0, 4.0])
def test_words_sound_and_pauses_between_clauses_are_silent(speak: Speak, speed: float) -> None:
    heard = speak("Hello, wide, world: again. And once more!", speed=speed)
    assert heard.words == ["Hello", "wide", "world", "again", "And", "once", "more"]
    for timing in heard.timings:
        assert heard.peak(timing.first_sample, timing.end_sample) > 0.05
    for before, after in pairwise(heard.timings[:5]):
        assert after.first_sample - before.end_sample > 2 * RELEASE
        assert heard.peak(before.end_sample + RELEASE, after.first_sample) < 0.01
    assert heard.peak(heard.timings[-1].end_sample + RELEASE, len(heard.samples)) < 0.01


def test_a_word_sounds_as_it_does_alone(speak: Speak) -> None:
    alone, among = speak("wide"), speak("Hello: wide: hello")
    (one,), (_, other, _) = alone.timings, among.timings
    length = one.end_sample - one.first_sample
    assert abs(length - (other.end_sample - other.first_sample)) < 0.1 * length


@pytest.mark.parametrize("sentences", [1, 40])
def test_words_of_a_text_in_many_pieces_are_complete_and_exact(speak: Speak, sentences: int) -> None:
    heard = speak("The front door, number 12, is open. " * sentences)
    assert heard.words == ["The", "front", "door", "number", "12", "is", "open"] * sentences
    opens = [timing for timing, word in zip(heard.timings, heard.words, strict=True) if word == "open"]
    for timing in opens:
        assert heard.peak(timing.first_sample, timing.end_sample) > 0.05
        assert heard.peak(timing.end_sample + RELEASE, timing.end_sample + 1500) < 0.01


def test_a_word_that_is_said_in_several_pieces_is_told_once(speak: Speak) -> None:
    word = "a" * 500
    assert speak(f"One {word} two.").words == ["One", word, "two"]


def test_words_that_are_not_said_are_not_told(speak: Speak) -> None:
    assert speak("...").timings == []
    assert speak("").timings == []


SCRAPS = st.sampled_from(
    [*"<>&-'\"[]*#I u1.,\x01\ud800ल中ሪ😀", "of the", "'s", "---", "[[", "]]", "[[ʃɪ]]", "二千", "1,000", "\n"]
)


@settings(
    max_examples=scaled_examples(60),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    text=st.lists(SCRAPS, max_size=40).map("".join),
    voice=st.sampled_from(["en-us", "de", "ja", "cmn", "hi", "ar"]),
)
def test_words_of_any_text_lie_in_order_within_the_audio(speak: Speak, text: str, voice: str) -> None:
    heard = speak(text, voice)
    spans = words_of(text)
    assert all((timing.begin, timing.end) in spans for timing in heard.timings)
    for before, after in pairwise(heard.timings):
        assert before.end <= after.begin
        assert before.end_sample <= after.first_sample
    assert all(0 <= timing.first_sample < timing.end_sample <= len(heard.samples) for timing in heard.timings)


def test_marks_beyond_the_audio_or_out_of_order_are_survived() -> None:
    text = OffsetText.written("one two")
    marks = [(5, 0), (SOUND, 0), (0, 50), (SOUND, 60), (9999, 80), (SOUND, 90), (PAUSE, 500)]
    assert SegmentWords(text).timings(text, marks, 1000, 100) == [WordTiming(4, 7, 1000, 1100)]
