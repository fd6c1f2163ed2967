"""Two renderings of a segment joined, at any place and in pieces of any size."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wyoming_tts.engines.base import Rendered, Seam, samples_of
from wyoming_tts.engines.remote.splice import SentAudio, Splice
from wyoming_tts.speech import Samples, TimedSamples, WordTiming, WordTimings

RATE = 8_000


def speech(*parts: float, pitch: float = 150.0, rate: int = RATE) -> Samples:
    """Sound and silence in turn, for so many seconds each."""
    pieces = []
    for number, seconds in enumerate(parts):
        count = round(seconds * rate)
        wave = 0.3 * np.sin(2 * np.pi * pitch * np.arange(count) / rate)
        pieces.append((wave if number % 2 == 0 else np.zeros(count)).astype(np.float32))
    return np.concatenate(pieces)


def sent_of(samples: Samples, *words: WordTiming, rate: int = RATE, estimated: bool = False) -> SentAudio:
    sent = SentAudio(rate)
    timings = WordTimings(words, estimated=estimated)
    sent.add(TimedSamples(samples, timings) if words else samples)
    return sent


def splice(
    sent: SentAudio, audio: Samples, *words: WordTiming, size: int = 100, estimated: bool = False
) -> list[Rendered | Seam]:
    """What is sent of another rendering, which tells all its words with its first audio."""
    joined, pieces = Splice(sent), [audio[at : at + size] for at in range(0, len(audio), size)]
    timings = WordTimings(words, estimated=estimated)
    rendered: list[Rendered] = [*pieces]
    if words:
        rendered[0] = TimedSamples(pieces[0], timings)
    return [*(one for piece in rendered for one in joined.add(piece)), *joined.finish()]


def sound(rendered: Iterable[Rendered | Seam]) -> Samples:
    return np.concatenate([np.zeros(0, np.float32), *map(samples_of, rendered)])


def told(rendered: Iterable[Rendered | Seam]) -> list[WordTiming]:
    timings = [one.timings if isinstance(one, TimedSamples) else one for one in rendered]
    return [word for one in timings if isinstance(one, WordTimings) for word in one.words]


@given(
    at=st.integers(0, 7_000),
    size=st.sampled_from([1_000, 37, 4_096, 9_000]),
    error=st.sampled_from([0.0, 1e-3]),
)
def test_the_same_audio_goes_on_at_the_same_sample(at: int, size: int, error: float) -> None:
    audio = speech(0.3, 0.1, 0.2, 0.15, 0.15)
    other = audio * np.float32(1 + error)
    after = splice(sent_of(audio[:at]), other, size=size)
    assert not any(isinstance(one, Seam) for one in after)
    assert np.array_equal(sound(after), other[at:])


@given(at=st.integers(200, 7_000), size=st.sampled_from([1_000, 37, 4_096, 9_000]))
def test_no_more_is_said_twice_or_lost_than_half_a_syllable_and_nothing_clicks(at: int, size: int) -> None:
    audio = speech(0.3, 0.1, 0.2, 0.15, 0.15)
    other = speech(0.28, 0.12, 0.21, 0.1, 0.19, pitch=163.0)
    rest = sound(splice(sent_of(audio[:at]), other, size=size))
    assert abs(at + len(rest) - len(other)) <= 0.15 * RATE
    assert rest[0] == pytest.approx(audio[at - 1], abs=1e-6)
    assert np.array_equal(rest[40:], other[len(other) - len(rest) + 40 :])


def test_another_rendering_goes_on_at_the_nearest_quiet_place() -> None:
    other = speech(0.5, 0.06, 0.5, pitch=163.0)
    for seconds, expected in ((0.4, 0.5), (0.52, 0.52), (0.65, 0.56)):
        after = splice(sent_of(speech(seconds)), other)
        assert isinstance(after[0], Seam)
        assert len(other) - len(sound(after)) == pytest.approx(expected * RATE, abs=0.01 * RATE)


def test_where_nothing_near_is_quiet_the_quietest_place_is_taken() -> None:
    other = speech(1.0, pitch=163.0)
    other[3_600:3_700] *= 0.2
    after = splice(sent_of(speech(0.5)), other)
    assert len(other) - len(sound(after)) == pytest.approx(3_650, abs=60)


def test_another_rendering_that_is_shorter_than_what_was_sent_adds_nothing() -> None:
    sent = sent_of(speech(1.0), WordTiming(0, 3, 0, 8_000))
    assert not splice(sent, speech(0.5, pitch=163.0))
    assert told(splice(sent, speech(0.5, pitch=163.0), WordTiming(4, 7, 3_000, 3_900))) == [
        WordTiming(4, 7, 8_000, 8_001)
    ]
    assert not splice(sent, np.zeros(0, np.float32))


ONE, TWO, THREE = (
    WordTiming(0, 3, 800, 2_400),
    WordTiming(4, 7, 4_000, 5_600),
    WordTiming(8, 13, 6_400, 8_000),
)
SLOW = [WordTiming(0, 3, 1_200, 3_600), WordTiming(4, 7, 6_000, 8_400), WordTiming(8, 13, 9_600, 12_000)]


@pytest.mark.parametrize(
    ("sent_seconds", "place"),
    [(0.2, 0.3), (0.4, 0.55), (0.6, 0.9)],
    ids=["in a word", "in a pause", "in the second word"],
)
def test_a_server_that_speaks_more_slowly_goes_on_within_the_same_word(
    sent_seconds: float, place: float
) -> None:
    words = [word for word in (ONE, TWO) if word.first_sample < sent_seconds * RATE]
    other = speech(0.15, 0.0, 0.3, 0.3, 0.3, 0.15, 0.3, pitch=163.0)
    after = splice(sent_of(speech(sent_seconds), *words), other, *SLOW)
    assert len(other) - len(sound(after)) == pytest.approx(place * RATE, abs=0.15 * RATE)


def test_words_told_before_are_not_told_again_and_later_ones_move_with_the_audio() -> None:
    audio, sent_seconds = speech(1.2, 0.3, pitch=163.0), 0.55
    after = splice(sent_of(speech(sent_seconds), ONE, TWO), audio, *SLOW)
    later = round(sent_seconds * RATE) + len(sound(after)) - len(audio)
    assert told(after) == [WordTiming(8, 13, 9_600 + later, 12_000 + later)]


@pytest.mark.parametrize(("estimates_first", "estimates_then"), [(True, True), (True, False), (False, True)])
def test_estimated_words_count_samples_only(*, estimates_first: bool, estimates_then: bool) -> None:
    other = speech(0.5, 0.02, 0.7, pitch=163.0)
    sent = sent_of(speech(0.51), ONE, TWO, estimated=estimates_first)
    after = splice(sent, other, *SLOW, estimated=estimates_then)
    assert len(sound(after)) == pytest.approx(len(other) - 0.51 * RATE, abs=1)
    assert [word.begin for word in told(after)] == [THREE.begin]


def test_a_word_that_the_other_server_leaves_out_is_no_place() -> None:
    other = speech(0.5, 0.02, 0.7, pitch=163.0)
    after = splice(sent_of(speech(0.51), ONE, TWO), other, SLOW[0], SLOW[2])
    assert len(sound(after)) == pytest.approx(len(other) - 0.51 * RATE, abs=1)


@given(
    at=st.integers(0, 9_000),
    size=st.sampled_from([700, 50, 9_000]),
    then=st.lists(st.integers(0, 9_000), min_size=6, max_size=6, unique=True).map(sorted),
    told_before=st.integers(0, 3),
)
def test_words_of_any_two_servers_come_once_and_in_order(
    at: int, size: int, then: Sequence[int], told_before: int
) -> None:
    texts = [(0, 3), (4, 7), (8, 13)]
    others = [WordTiming(*text, *then[2 * i : 2 * i + 2]) for i, text in enumerate(texts)]
    before = [ONE, TWO, THREE][:told_before] if at else []
    after = splice(
        sent_of(speech(9_000 / RATE)[:at], *before), speech(0.4, 0.2, 0.6, pitch=163.0), *others, size=size
    )
    words = [*before, *told(after)]
    assert [(word.begin, word.end) for word in words] == texts
    for one, next_one in pairwise(words[max(0, len(before) - 1) :]):
        assert one.first_sample <= next_one.first_sample < next_one.end_sample
