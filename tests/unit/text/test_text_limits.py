"""Limits of a text in characters and words, for any pieces that it arrives in."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wyoming_tts.errors import TooLong
from wyoming_tts.text.text_limits import TextLimits, TextMeter

TEXTS = st.text(alphabet="ab \n", max_size=30)


def taken(limits: TextLimits, *pieces: str) -> tuple[str, TooLong | None]:
    meter = TextMeter(limits)
    return "".join(map(meter.take, pieces)), meter.error


@pytest.mark.parametrize(
    ("limits", "text", "message"),
    [
        (TextLimits(10), "one two three", "Got a text of 13 characters, expected at most 10."),
        (TextLimits(100, 2), "one two three", "Got a text of 3 words, expected at most 2."),
    ],
)
def test_a_text_over_a_limit_is_refused_with_its_length(limits: TextLimits, text: str, message: str) -> None:
    with pytest.raises(TooLong) as refused:
        limits.check(text)
    assert refused.value.message == message
    assert refused.value.hint.startswith("Send it in parts, or raise max_")


def test_a_text_within_the_limits_is_not_refused() -> None:
    TextLimits(7, 2).check("one two")
    TextLimits(1000).check("one two " * 100)


@pytest.mark.parametrize(
    ("limits", "within"),
    [
        (TextLimits(100, 2), "one two"),
        (TextLimits(100, 3), "one two three"),
        (TextLimits(7), "one two"),
        (TextLimits(9), "one two "),
        (TextLimits(2), "on"),
    ],
)
def test_of_a_text_over_a_limit_the_whole_words_within_it_are_taken(limits: TextLimits, within: str) -> None:
    assert taken(limits, "one two three four")[0] == within


def test_a_script_without_spaces_is_cut_at_the_limit() -> None:
    assert taken(TextLimits(3), "你好你好")[0] == "你好你"


def test_a_word_in_two_pieces_is_one() -> None:
    assert taken(TextLimits(100, 3), "one tw", "o thr", "ee", " ", "four", "five")[0] == "one two three "
    assert taken(TextLimits(100, 3), "one tw", "o thr", "ee")[1] is None


@given(text=TEXTS, words=st.integers(1, 6), cuts=st.lists(st.integers(0, 30)))
def test_the_same_words_are_taken_whatever_the_pieces(text: str, words: int, cuts: list[int]) -> None:
    limits = TextLimits(100, words)
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    pieces = [text[start:end] for start, end in pairwise(places)]
    got, error = taken(limits, *pieces)
    assert got.split() == text.split()[:words]
    assert text.startswith(got)
    assert (error is not None) == (len(text.split()) > words)
