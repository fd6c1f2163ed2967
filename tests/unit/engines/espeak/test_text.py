from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.line_counting import count_lines, measure_growth
from wyoming_tts.engines.espeak.text import cut_text, cut_text_with_phonemes


def texts(text: str) -> list[str]:
    return [piece.text for piece in cut_text(text)]


def test_a_sentence_is_one_piece_and_unchanged() -> None:
    sentence = "Don't forget: the U.S. office (3.5 km) opens at 10:30, for $5 or 50% off."
    assert texts(sentence) == [sentence]


def test_long_text_is_split_after_punctuation_and_keeps_the_pause() -> None:
    pieces = list(cut_text("The door is open, and the tea is ready. " * 20))
    assert len(pieces) > 2
    assert all(piece.text.rstrip()[-1] in ",." for piece in pieces)
    assert [piece.pause_after for piece in pieces] == [True] * (len(pieces) - 1) + [False]


def test_text_without_punctuation_is_split_between_words() -> None:
    pieces = list(cut_text("word " * 200))
    assert len(pieces) > 2
    assert all(set(piece.text.split()) == {"word"} for piece in pieces)
    assert not any(piece.pause_after for piece in pieces)


def test_text_that_expands_when_spoken_is_split_into_shorter_pieces() -> None:
    assert len(max(texts("*" * 1000), key=len)) < len(max(texts("9" * 1000), key=len))
    assert len(max(texts("9" * 1000), key=len)) < len(max(texts("x" * 1000), key=len))


@pytest.mark.parametrize(
    ("word", "spaced"),
    [
        ("---लच्छेद", "--- लच्छेद"),
        ("<-I", "<- I"),
        ("HelloПривет", "Hello Привет"),
        ("東京タワーへ行く", "東京タワーへ行く"),
        ("はい、行く", "はい、 行く"),
        ("नमस्ते", "नमस्ते"),
        ("cafe\u0301s", "cafe\u0301s"),
    ],
)
def test_words_are_split_only_where_the_library_would_fail(word: str, spaced: str) -> None:
    assert texts(word) == [spaced]


def test_library_commands_and_lone_surrogates_are_removed() -> None:
    assert texts("a\x01b\x00c\ue03cd\ud800e") == ["a b c de"]


@given(st.text())
def test_no_plain_text_is_lost_or_duplicated(text: str) -> None:
    readable = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")
    whole = "".join(texts(text))
    whole.encode()  # fails on lone surrogates
    if text.isascii():
        assert readable.sub("", whole) == readable.sub("", text)


@pytest.mark.parametrize("unit", ["x", "word ", "Yes. ", "中", "*"])
def test_the_first_piece_is_split_off_without_reading_the_rest_of_the_text(unit: str) -> None:
    next(cut_text(unit * 1_000))  # fills the per-character caches, whose work is not counted
    short, long = (
        count_lines(lambda text=unit * times: next(cut_text(text)))  # type: ignore[misc]
        for times in (1_000, 100_000)
    )
    assert long == short


@pytest.mark.parametrize("unit", ["x", "word ", "Yes. ", "中", "*"])
def test_text_is_split_in_linear_time(unit: str) -> None:
    assert measure_growth(lambda times: list(cut_text(unit * times)), size=5_000) < 2.1


ENGLISH = frozenset({"S", "I", "v", "O:", "n", "b", "i:"})


def phonemic(text: str) -> list[str]:
    return [piece.text for piece in cut_text_with_phonemes(text, ENGLISH)]


def test_ipa_becomes_mnemonics_and_other_double_brackets_are_separated() -> None:
    (piece,) = phonemic("Ask [[ʃɪˈvɔːn biː]]. [[Main Page]] [[ x")
    assert piece.split() == ["Ask", "[[SI'vO:n]]", "[[bi:]].", "Main", "Page", "x"]


def test_an_overlong_phoneme_block_is_split_into_bounded_pieces() -> None:
    pieces = phonemic(f"[[{'biː ' * 100}]]" * 5)
    assert sum(piece.count("[[bi:]]") for piece in pieces) == 500
    assert max(map(len, pieces)) < 1500


@pytest.mark.parametrize("unit", ["[[", "[[b]]", "[[b", "]]", "[[b "])
def test_hostile_brackets_take_linear_time(unit: str) -> None:
    assert measure_growth(lambda length: phonemic((unit * length)[:length]), size=5_000) < 2.1
