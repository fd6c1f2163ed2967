"""What a batch would last is bounded before it is spoken, from the same batch at a multiple of the speed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from wyoming_tts.engines.kokoro.duration_probe import MAX_SECONDS, check_duration
from wyoming_tts.engines.kokoro.trimming import SAMPLE_RATE
from wyoming_tts.errors import TooLong

SPEEDS = [0.5, 1.0, 2.0]
LONGEST = 50
"""Frames of a phoneme at speed 1: the model's limit."""


def samples_of(lengths: list[float], asked: list[float]) -> Callable[[float], int]:
    """Kokoro's rule: a length is divided by the speed, rounded, and at least one frame."""

    def samples_at(speed: float) -> int:
        asked.append(speed)
        return 600 * sum(max(1, round(length / speed)) for length in lengths)

    return samples_at


@pytest.mark.parametrize("speed", SPEEDS)
@pytest.mark.parametrize("count", [3, 20, 60, 132])
def test_speech_with_pauses_passes_at_every_length_and_speed(speed: float, count: int) -> None:
    lengths = [30.0 if place % 12 == 0 else 5.0 for place in range(count)]
    check_duration(samples_of(lengths, []), count, speed, voice="af_own")


@pytest.mark.parametrize("speed", SPEEDS)
@pytest.mark.parametrize("count", [60, 132])
def test_phonemes_as_long_as_the_model_can_make_them_are_refused(speed: float, count: int) -> None:
    asked: list[float] = []
    with pytest.raises(TooLong, match="in the style of af_own would last"):
        check_duration(samples_of([LONGEST] * count, asked), count, speed, voice="af_own")
    assert min(asked) == 8 * speed


@pytest.mark.parametrize("speed", SPEEDS)
@pytest.mark.parametrize("length", range(1, LONGEST + 1))
def test_what_passes_lasts_a_minute_at_most(length: int, speed: float) -> None:
    samples_at = samples_of([length] * 132, [])
    try:
        check_duration(samples_at, 132, speed, voice="af_own")
    except TooLong:
        return
    assert samples_at(speed) <= MAX_SECONDS * SAMPLE_RATE
