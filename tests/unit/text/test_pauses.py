from __future__ import annotations

import logging

import pytest

from wyoming_tts.text.markup import MAX_BREAKS_SECONDS
from wyoming_tts.text.pauses import Pauses


def pauses_after_start() -> Pauses:
    pauses = Pauses(sentence=0.2, paragraph=0.5)
    pauses.take()
    return pauses


def test_nothing_precedes_the_first_segment() -> None:
    pauses = Pauses(sentence=0.2, paragraph=0.5)
    pauses.end_sentence()
    assert pauses.take() == 0.0


def test_a_break_precedes_even_the_first_segment() -> None:
    pauses = Pauses(sentence=0.2, paragraph=0.5)
    pauses.add_break(1.5)
    assert pauses.has_break
    assert pauses.take() == 1.5


def test_the_end_of_a_sentence_adds_one_pause() -> None:
    pauses = pauses_after_start()
    pauses.end_sentence()
    pauses.end_sentence()
    assert (pauses.take(), pauses.take()) == (0.2, 0.0)


def test_the_longer_of_sentence_and_paragraph_silence_applies() -> None:
    pauses = pauses_after_start()
    pauses.end_sentence()
    pauses.end_paragraph()
    assert pauses.take() == 0.5


def test_a_paragraph_never_shortens_the_silence_of_a_sentence() -> None:
    pauses = Pauses(sentence=0.5, paragraph=0.2)
    pauses.take()
    pauses.end_sentence()
    pauses.end_paragraph()
    assert pauses.take() == 0.5


def test_breaks_add_up_and_are_added_to_the_silence_of_a_sentence() -> None:
    pauses = pauses_after_start()
    pauses.end_sentence()
    pauses.add_break(1.0)
    pauses.add_break(0.25)
    assert pauses.take() == 1.45
    assert not pauses.has_break


def test_all_breaks_of_a_text_together_are_bounded_and_the_log_says_so_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    pauses = pauses_after_start()
    taken = []
    for _ in range(1_000):
        pauses.add_break(4.0)
        pauses.add_break(6.0)
        taken.append(pauses.take())
    assert sum(taken) == MAX_BREAKS_SECONDS
    assert taken[0] == 10.0
    assert not pauses.has_break
    assert len(caplog.messages) == 1


def test_the_silence_of_sentences_is_left_when_no_more_breaks_are() -> None:
    pauses = pauses_after_start()
    pauses.add_break(MAX_BREAKS_SECONDS)
    pauses.take()
    pauses.end_sentence()
    pauses.add_break(10.0)
    assert pauses.take() == 0.2
