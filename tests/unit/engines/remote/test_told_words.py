from __future__ import annotations

import numpy as np
import pytest

from wyoming_tts.engines.base import samples_of
from wyoming_tts.engines.remote.told_words import ToldWords
from wyoming_tts.speech import SpokenWord, TimedSamples, WordTiming
from wyoming_tts.wyoming_words import words_data

RATE = 1_000
TEXT = "One two three"
ONE = SpokenWord("One", 0, 3, 0, 3, 0.1, 0.3)
TWO = SpokenWord("two", 4, 7, 4, 7, 0.3, 0.5, estimated=True)
SOUND = np.ones(100, np.float32)


def told(*words: SpokenWord) -> list[WordTiming]:
    taken = ToldWords(TEXT, RATE)
    taken.take(words_data(words))
    rendered = taken.add(SOUND)
    assert samples_of(rendered) is SOUND
    return list(rendered.timings.words) if isinstance(rendered, TimedSamples) else []


def test_words_become_timings_at_the_rate_of_the_audio() -> None:
    assert told(ONE, TWO) == [WordTiming(0, 3, 100, 300), WordTiming(4, 7, 300, 500)]


def test_words_wait_for_audio_and_come_once() -> None:
    taken = ToldWords(TEXT, RATE)
    taken.take(words_data([ONE]))
    taken.take({})
    assert isinstance(taken.add(SOUND), TimedSamples)
    assert taken.add(SOUND) is SOUND


def test_words_are_estimated_if_the_server_estimated_them() -> None:
    taken = ToldWords(TEXT, RATE)
    taken.take(words_data([TWO]))
    rendered = taken.add(SOUND)
    assert isinstance(rendered, TimedSamples)
    assert rendered.timings.estimated


@pytest.mark.parametrize(
    "wrong",
    [
        SpokenWord("two", 2, 7, 2, 7, 0.3, 0.5),
        SpokenWord("", 5, 5, 5, 5, 0.3, 0.5),
        SpokenWord("beyond", 8, 14, 8, 14, 0.3, 0.5),
        SpokenWord("two", 4, 7, 4, 7, 0.1, 0.3),
        SpokenWord("two", 4, 7, 4, 7, 0.3, 0.3),
    ],
    ids=["overlapping text", "no text", "beyond the text", "overlapping time", "no time"],
)
def test_words_that_cannot_be_true_are_left_out(wrong: SpokenWord) -> None:
    three = SpokenWord("three", 8, 13, 8, 13, 0.6, 0.9)
    assert told(ONE, wrong, three) == told(ONE, three)
