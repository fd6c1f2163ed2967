from __future__ import annotations

import numpy as np
import pytest

from bench.kokoro_fidelity.recognition import Words
from bench.word_timings.__main__ import sentences
from bench.word_timings.comparison import SoundOnsets, TimedWord, match_words, missing_seconds
from wyoming_tts.speech import Samples

RATE = 1_000
OF = Words("en").of


def sound(*milliseconds: int) -> Samples:
    """Silence and sound by turns."""
    parts = [np.full(length, number % 2, np.float32) for number, length in enumerate(milliseconds)]
    return np.concatenate(parts)


def test_there_are_thirty_texts() -> None:
    assert len(sentences()) == len(set(sentences())) == 30


def test_words_are_matched_by_what_is_said_for_them() -> None:
    told = [TimedWord("It’s", 0.1, 0.3), TimedWord("25 °C", 0.3, 1.2), TimedWord("now", 1.2, 1.5)]
    heard = [
        TimedWord(" It's", 0.1, 0.2),
        TimedWord(" twenty-five", 0.35, 0.6),
        TimedWord(" degrees", 0.6, 0.9),
        TimedWord(" Celsius", 0.9, 1.2),
        TimedWord(" know", 1.2, 1.5),
    ]
    starts = match_words(told, heard, OF, sound(100, 1400), RATE)
    assert [(start.text, start.told, start.heard) for start in starts] == [
        ("It’s", 0.1, 0.1),
        ("25 °C", 0.3, 0.35),
    ]
    assert [start.onset for start in starts] == [0.1, None]


def test_onsets_are_where_sound_begins_after_a_pause() -> None:
    onsets = SoundOnsets(sound(100, 300, 20, 280, 200, 100), RATE)
    assert onsets.near(0.12) == pytest.approx(0.1)
    assert onsets.near(0.42) is None  # the silence before it was as short as a stop's
    assert onsets.near(0.85) == pytest.approx(0.9)
    assert onsets.last_end == pytest.approx(1.0)


def test_silence_that_a_recognizer_counts_to_a_word_is_left_out() -> None:
    onsets = SoundOnsets(sound(0, 400, 200, 400), RATE)
    assert onsets.after_silence(TimedWord("late", 0.35, 0.9)) == pytest.approx(0.6)
    assert onsets.after_silence(TimedWord("right", 0.65, 0.9)) == pytest.approx(0.65)


def test_words_that_overlap_or_end_after_the_audio_do_not_add_up() -> None:
    told = [TimedWord("a", 0.1, 0.3), TimedWord("b", 0.3, 0.6)]
    assert missing_seconds(told, 0.7) == 0.0
    assert missing_seconds(told, 0.5) == pytest.approx(0.1)
    assert missing_seconds([told[0], TimedWord("b", 0.2, 0.6)], 0.7) == pytest.approx(0.1)
