from __future__ import annotations

import pytest

from bench.kokoro_fidelity.__main__ import sentences
from bench.kokoro_fidelity.recognition import Words, count_errors
from wyoming_tts.engines.kokoro.calibration import calibration_sentences


@pytest.mark.parametrize(
    ("got", "errors"),
    [("a b c", 0), ("a x c", 1), ("a c", 1), ("a b b c", 1), ("", 3), ("x y z w", 4)],
)
def test_errors_are_words_replaced_left_out_and_added(got: str, errors: int) -> None:
    assert count_errors(["a", "b", "c"], got.split()) == errors


def test_numbers_and_marks_are_compared_as_words() -> None:
    words = Words("en")
    assert words.of("It's 21 degrees!") == words.of("its twenty-one degrees")


def test_japanese_is_compared_by_characters() -> None:
    assert Words("ja").of("雪、です。") == ["雪", "で", "す"]


@pytest.mark.parametrize("voice", ["af_alpha", "jf_alpha"])
def test_no_voice_is_calibrated_with_a_sentence_that_it_is_measured_by(voice: str) -> None:
    measured = sentences(voice)
    assert measured
    assert not {*measured} & {*calibration_sentences({"a": "en_US", "j": "ja_JP"}[voice[0]])}


def test_english_sentences_have_one_to_forty_words() -> None:
    lengths = [len(text.split()) for text in sentences("af_alpha")]
    assert len(lengths) == 60
    assert min(lengths) == 1
    assert max(lengths) >= 40
