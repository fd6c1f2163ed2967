from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.line_counting import measure_growth
from tests.support.timed_words import timed_words
from wyoming_tts.captions import Cue, CueMaker
from wyoming_tts.captions.cues import MAX_COLUMNS, MAX_LINES, MAX_SECONDS, MIN_SECONDS
from wyoming_tts.speech import SpokenWord

WORD = st.text(alphabet="abcdefgh", min_size=1, max_size=14)
MARK = st.sampled_from(["", "", "", "", ",", ".", ";", "!"])
TEXT = st.lists(st.tuples(WORD, MARK), min_size=1, max_size=80).map(
    lambda words: " ".join(word + mark for word, mark in words)
)


def cues_of(text: str, words: list[SpokenWord] | None = None, *, silence: float = 2.0) -> list[Cue]:
    words = timed_words(text) if words is None else words
    maker = CueMaker(text)
    return [*maker.add_words(words), *maker.finish(words[-1].end_time + silence if words else 0.0)]


def texts(text: str) -> list[str]:
    return [cue.text for cue in cues_of(text)]


def test_each_sentence_is_a_cue_of_one_or_two_lines() -> None:
    assert texts("The front door is open. The windows upstairs, however, are all closed by now.") == [
        "The front door is open.",
        "The windows upstairs,\nhowever, are all closed by now.",
    ]


def test_a_long_sentence_is_divided_at_clauses() -> None:
    sentence = (
        "When the rain had stopped and the sun came out again over the hills behind the town, "
        "we went down to the harbour, where the boats had been waiting since early morning."
    )
    assert texts(sentence) == [
        "When the rain had stopped and the sun came\nout again over the hills behind the town,",
        "we went down to the harbour,",
        "where the boats had been\nwaiting since early morning.",
    ]


def test_a_sentence_that_would_flash_past_is_shown_with_the_next_one() -> None:
    assert texts("Yes. No. The front door is open.")[0] == "Yes. No."


def test_the_number_of_an_item_is_shown_with_it() -> None:
    text = "2. Second, call the number +1 555-123-4567 before 5:30 in the afternoon, please."
    assert texts(text)[0].startswith("2. Second,")


def test_lines_are_of_about_the_same_length_and_no_article_ends_one() -> None:
    (cue,) = cues_of("We have been walking along the narrow path for hours.")
    assert cue.text == "We have been walking along\nthe narrow path for hours."


def test_words_without_spaces_between_them_are_divided_by_width() -> None:
    cues = cues_of("とても長い文章を書いて字幕の分割を確かめます。" * 2)
    assert [cue.text for cue in cues] == ["とても長い文章を書いて\n字幕の分割を確かめます。"] * 2


def test_a_word_is_never_split() -> None:
    long_word = "Donaudampfschifffahrtselektrizitaetenhauptbetriebswerkbauunterbeamtengesellschaft"
    assert texts(f"Die {long_word} tagt.") == ["Die", long_word, "tagt."]


def test_a_cue_stays_until_it_is_read_if_a_pause_allows_it() -> None:
    text = "Stop. Go on."
    stop, go, on = timed_words(text)
    words = [stop, replace(go, start_time=5.0, end_time=5.2), replace(on, start_time=5.2, end_time=5.4)]
    first, second = cues_of(text, words, silence=0.1)
    assert first.end_time == pytest.approx(MIN_SECONDS)
    assert second.end_time == pytest.approx(5.5)


def test_no_words_make_no_cues() -> None:
    assert cues_of("") == cues_of("***") == []


def test_cues_come_while_words_are_still_told() -> None:
    text = "The front door is open. " * 40
    maker = CueMaker(text)
    behind = 0
    for told, word in enumerate(timed_words(text), 1):
        behind -= sum(len(cue.words) for cue in maker.add_words([word]))
        behind += 1
        assert behind <= 6, told


def test_an_endless_sentence_is_divided_while_it_goes_on() -> None:
    text = "word " * 2000
    maker = CueMaker(text)
    waiting = 0
    for word in timed_words(text):
        waiting += 1 - sum(len(cue.words) for cue in maker.add_words([word]))
        assert waiting <= 105


@given(TEXT)
def test_every_word_is_shown_once_in_order(text: str) -> None:
    words = timed_words(text)
    cues = cues_of(text)
    assert [word for cue in cues for word in cue.words] == words
    assert " ".join(cue.text.replace("\n", " ") for cue in cues) == text


@given(TEXT)
def test_cues_keep_to_their_size_and_times(text: str) -> None:
    cues = cues_of(text)
    for cue in cues:
        assert len(cue.lines) <= MAX_LINES
        assert all(len(line) <= MAX_COLUMNS for line in cue.text.split("\n"))
        assert cue.start_time == cue.words[0].start_time
        assert cue.words[-1].end_time <= cue.end_time <= cue.start_time + MAX_SECONDS + 1e-9
    for cue, following in pairwise(cues):
        assert cue.end_time <= following.start_time


@given(TEXT)
def test_a_cue_that_flashes_past_is_one_that_cannot_be_joined(text: str) -> None:
    """Only a rest between long sentences may be short."""
    cues = cues_of(text)
    for cue in cues[:-1]:
        assert cue.end_time - cue.start_time > MIN_SECONDS / 2 or len(cue.words) == 1


@given(TEXT, st.integers(1, 7))
def test_words_told_in_any_groups_make_the_same_cues(text: str, together: int) -> None:
    words = timed_words(text)
    maker = CueMaker(text)
    cues: list[Cue] = []
    for first in range(0, len(words), together):
        cues += maker.add_words(words[first : first + together])
    assert [*cues, *maker.finish(words[-1].end_time + 2.0)] == cues_of(text, words)


@given(st.text(max_size=120), st.floats(0, 3))
def test_any_text_makes_cues_in_order(text: str, silence: float) -> None:
    cues = cues_of(text, silence=silence)
    times = [time for cue in cues for time in (cue.start_time, cue.end_time)]
    assert times == sorted(times)


@pytest.mark.parametrize("text", ["word ", "Yes. ", "word, ", "天", "a" * 100 + " "])
def test_time_is_linear_in_the_words(text: str) -> None:
    assert measure_growth(lambda size: cues_of(text * size), size=300) < 2.5
