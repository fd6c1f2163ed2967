from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.hypothesis_examples import scaled_examples
from wyoming_tts.engines.base import Rendered, samples_of
from wyoming_tts.engines.remote.word_estimate import VoiceManner, VoicePaces, WordEstimate
from wyoming_tts.speech import Samples, TimedSamples, WordTiming, WordTimings

RATE = 16_000
LETTER = 960
"""Samples: whole frames."""
MANNER = VoiceManner("v", None, 1.0)
TOLD = TimedSamples(np.zeros(9, np.float32), WordTimings((WordTiming(0, 3, 0, 9),)))


def speech(*parts: float) -> Samples:
    """Sound of as many letters for each number, silence for a negative one."""
    tone = 0.3 * np.sin(np.arange(LETTER))
    return np.concatenate([np.tile(tone * (part > 0), round(abs(part))) for part in parts]).astype(np.float32)


def known_pace(letter: float = LETTER) -> VoicePaces:
    paces = VoicePaces()
    paces.learn(MANNER, letter / RATE)
    return paces


def estimate(
    text: str,
    paces: VoicePaces | None = None,
    *,
    reads_phonemes: bool = True,
    tells_words: bool | None = False,
) -> WordEstimate:
    return WordEstimate(
        text,
        RATE,
        paces=paces or known_pace(),
        manner=MANNER,
        reads_phonemes=reads_phonemes,
        tells_words=tells_words,
    )


def timings_of(rendered: Rendered) -> tuple[WordTiming, ...]:
    return rendered.timings.words if isinstance(rendered, TimedSamples) else ()


def told(words: WordEstimate, audio: Samples, size: int = 640) -> list[list[WordTiming]]:
    """The words that are told with each piece of the audio, and at its end."""
    pieces = [audio[start : start + size] for start in range(0, len(audio), size)]
    return [*(list(timings_of(words.add(piece))) for piece in pieces), list(timings_of(words.finish()))]


def flat(told_words: list[list[WordTiming]]) -> list[WordTiming]:
    return [timing for piece in told_words for timing in piece]


def test_words_take_as_long_as_their_letters() -> None:
    assert flat(told(estimate("one three five"), speech(3, 5, 4))) == [
        WordTiming(0, 3, 0, 3 * LETTER),
        WordTiming(4, 9, 3 * LETTER, 8 * LETTER),
        WordTiming(10, 14, 8 * LETTER, 12 * LETTER),
    ]


def test_silence_before_and_between_the_words_belongs_to_none() -> None:
    words = flat(told(estimate("one, three"), speech(-4, 3, -2, 5)))
    assert [(word.first_sample, word.end_sample) for word in words] == [
        (4 * LETTER, 7 * LETTER),
        (9 * LETTER, 14 * LETTER),
    ]


@pytest.mark.parametrize("sound", [11, 13])
def test_a_word_behind_a_mark_begins_after_the_pause_that_comes_about_then(sound: int) -> None:
    *_, last = flat(told(estimate("one, three five, nine"), speech(3, -3, sound - 3, -2, 4)))
    assert (last.first_sample, last.end_sample) == ((sound + 5) * LETTER, (sound + 9) * LETTER)


def test_a_word_behind_a_mark_waits_for_no_pause() -> None:
    *_, last = flat(told(estimate("three, nine"), speech(9)))
    assert last.first_sample == 6 * LETTER


def test_a_pause_where_no_mark_is_expected_moves_no_word() -> None:
    first, _, _ = flat(told(estimate("three five nine"), speech(4, -3, 9)))
    assert (first.first_sample, first.end_sample) == (0, 5 * LETTER)


@pytest.mark.parametrize("size", [1, 160, 640, 100_000])
def test_a_word_is_told_with_the_piece_in_which_it_begins(size: int) -> None:
    words, audio, before = estimate("one three five"), speech(-1, 3, 5, 4), 0
    pieces = [audio[start : start + size] for start in range(0, len(audio), size)]
    told_words: list[WordTiming] = []
    for rendered in map(words.add, pieces):
        after = before + len(samples_of(rendered))
        assert all(before <= word.first_sample < after for word in timings_of(rendered))
        told_words += timings_of(rendered)
        before = after
    assert [word.begin for word in told_words] == [0, 4, 10]


def test_nothing_is_told_before_there_is_sound() -> None:
    assert flat(told(estimate("one three"), speech(-9))) == []


def test_words_of_a_voice_faster_than_expected_are_told_at_its_end() -> None:
    words = flat(told(estimate("one three five"), speech(3)))
    assert [(word.begin, word.end) for word in words] == [(0, 3), (4, 9), (10, 14)]
    assert words[-1].end_sample == 3 * LETTER


def test_the_last_word_of_a_slower_voice_is_told_again_with_its_end() -> None:
    *words, last = flat(told(estimate("one three five"), speech(20, -3)))
    assert words[-1].end_sample == 12 * LETTER
    assert last == WordTiming(10, 14, 8 * LETTER, 20 * LETTER)


def test_the_pace_of_a_voice_is_learned() -> None:
    paces = known_pace()
    for _ in range(12):
        told(estimate("one three fives", paces), speech(26))
    assert paces.pace(MANNER) == pytest.approx(2 * LETTER / RATE, rel=0.01)
    assert paces.pace(VoiceManner("v", None, 2.0)) == VoicePaces().pace(MANNER) / 2


def test_only_so_many_paces_are_kept() -> None:
    paces = VoicePaces()
    for number in range(2_000):
        paces.learn(VoiceManner(str(number), None, 1.0), 0.5)
    assert paces.pace(VoiceManner("1999", None, 1.0)) == 0.5
    assert paces.pace(VoiceManner("0", None, 1.0)) < 0.1


def test_an_interrupted_segment_teaches_nothing() -> None:
    paces = known_pace()
    estimate("one three five", paces).add(speech(1))
    assert paces.pace(MANNER) == LETTER / RATE


def test_numbers_take_as_long_as_they_are_said() -> None:
    first, second = flat(told(estimate("123 one"), speech(15)))
    assert first.end_sample - first.first_sample == 12 * LETTER
    assert second.first_sample == 12 * LETTER


def test_phonemes_that_are_left_out_for_the_server_take_no_time() -> None:
    text = "Ask [[ʃɪˈvɔːn]] now"
    assert len(flat(told(estimate(text), speech(13)))) == 3
    silent = flat(told(estimate(text, reads_phonemes=False), speech(6)))
    assert [text[word.begin : word.end] for word in silent] == ["Ask", "now"]


def test_a_server_that_tells_its_words_is_believed() -> None:
    words = estimate("one three")
    sound = speech(8)
    heard = [words.add(TOLD), words.add(sound), words.finish()]
    assert [timings_of(rendered) for rendered in heard] == [TOLD.timings.words, (), ()]
    np.testing.assert_array_equal(np.concatenate(list(map(samples_of, heard))), [*TOLD.samples, *sound])


def test_a_server_that_may_tell_its_words_has_time_to_do_so() -> None:
    words = estimate("one three", tells_words=None)
    heard = [timings_of(words.add(piece)) for piece in np.split(speech(-9, 10), 19)]
    told_at = [number for number, timings in enumerate(heard) if timings]
    assert told_at == [9 + RATE // 2 // LETTER]
    assert [word.begin for word in heard[told_at[0]]] == [0, 4]
    assert not timings_of(estimate("one three", tells_words=True).add(speech(10)))


def test_words_of_a_server_that_no_longer_tells_them_are_estimated_at_the_end() -> None:
    assert [word.begin for word in flat(told(estimate("one three", tells_words=True), speech(8)))] == [0, 4]


def test_words_that_waited_are_dropped_when_the_server_tells_its_own() -> None:
    words = estimate("one three", tells_words=None)
    heard = [words.add(speech(4)), words.add(TOLD), words.finish()]
    assert [timings_of(rendered) for rendered in heard] == [(), TOLD.timings.words, ()]


def test_words_that_were_estimated_before_the_server_told_them_are_not_told_again() -> None:
    words = estimate("one three")
    late = TimedSamples(speech(9), WordTimings((WordTiming(0, 3, 0, 5), WordTiming(4, 9, 9000, 9500))))
    heard = [words.add(speech(2)), words.add(late)]
    assert [[word.begin for word in timings_of(rendered)] for rendered in heard] == [[0], [4]]


@pytest.mark.parametrize("size", [1, 2, 300, 5_000])
def test_audio_is_passed_on_at_once_and_as_a_whole(size: int) -> None:
    words, audio = estimate("one three"), speech(8)
    pieces = [audio[start : start + size] for start in range(0, len(audio), size)]
    heard = [samples_of(words.add(piece)) for piece in pieces]
    assert all(map(len, heard))
    assert len(np.concatenate(heard)) >= len(audio) - RATE // 100
    np.testing.assert_array_equal(np.concatenate([*heard, samples_of(words.finish())]), audio)


@settings(max_examples=scaled_examples(40), deadline=None)
@given(
    text=st.text(alphabet="ab 1,.好[]é+", max_size=60),
    parts=st.lists(st.integers(-5, 8), max_size=12),
    size=st.integers(1, 5000),
    letter=st.integers(50, 5000),
)
def test_words_of_any_audio_lie_in_order_and_are_all_told(
    text: str, parts: list[int], size: int, letter: int
) -> None:
    words = estimate(text, known_pace(letter))
    audio = speech(*parts, 1)
    heard = flat(told(words, audio, size))
    begins = [word.begin for word in heard]
    assert begins == sorted(begins)
    for before, after in pairwise(heard):
        assert before.first_sample <= after.first_sample
    if words._words:
        assert heard[-1].end == words._words[-1].end
        assert heard[-1].end_sample >= len(audio) - RATE // 100  # its last frame may not sound
