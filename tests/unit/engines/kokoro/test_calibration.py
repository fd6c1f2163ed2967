from __future__ import annotations

import pytest

from wyoming_tts.engines.kokoro.calibration import calibration_sentences
from wyoming_tts.engines.kokoro.names import BY_TAG
from wyoming_tts.engines.kokoro.statistics import CALIBRATED

each_language = pytest.mark.parametrize("tag", sorted(BY_TAG))


@each_language
def test_each_language_has_as_many_sentences_as_a_calibration_takes(tag: str) -> None:
    sentences = calibration_sentences(tag)
    assert len(sentences) == CALIBRATED
    assert len({*sentences}) == CALIBRATED


@each_language
def test_sentences_are_of_different_lengths_and_kinds(tag: str) -> None:
    sentences = calibration_sentences(tag)
    lengths = sorted(map(len, sentences))
    assert lengths[-1] > 3 * lengths[0]
    for marks in ("?？", "!！", ",،，、"):
        assert any(mark in sentence for sentence in sentences for mark in marks)


@each_language
def test_no_sentence_has_digits_or_spaces_at_its_ends(tag: str) -> None:
    for sentence in calibration_sentences(tag):
        assert not any(each.isdigit() for each in sentence)
        assert sentence == " ".join(sentence.split())


def test_languages_share_no_sentence_but_the_two_kinds_of_english() -> None:
    assert calibration_sentences("en_US") == calibration_sentences("en_GB")
    others = {tag: calibration_sentences(tag) for tag in BY_TAG if tag != "en_GB"}
    every = [sentence for sentences in others.values() for sentence in sentences]
    assert len({*every}) == len(every)


def test_a_language_without_sentences_gets_the_english_ones() -> None:
    assert calibration_sentences("xx") == calibration_sentences("en_US")
