from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.hypothesis_examples import scaled_examples
from wyoming_tts.engines.phonemizer.cleaning import clean_text
from wyoming_tts.speech import Segment


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  The front\n\tdoor. ", "The front door."),
        ("5 %", "5 %"),
        ("%", "%"),
        ("😀", "😀"),
        ("a\0b", "a b"),
        ("a\ud800b", "ab"),
        ("நன்றி", "நன்றி"),
        ("", ""),
        (" \n ", ""),
        ("...", ""),
        ("?!", ""),
        ("«—»", ""),
        ("\0\ud800", ""),
        ("\u200b\ufe0f", ""),
    ],
)
def test_whitespace_is_collapsed_and_unspeakable_text_is_empty(text: str, expected: str) -> None:
    assert clean_text(Segment(text)) == expected


@settings(max_examples=scaled_examples(60))
@given(st.text())
def test_any_text_becomes_one_encodable_line(text: str) -> None:
    line = clean_text(Segment(text))
    assert "\0" not in line
    assert len(line.encode().decode().splitlines()) <= 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s'" * 20, "s's's's's's's's' s's's's's's's's' s's's's'"),
        ("x" * 70, "x" * 60 + " " + "x" * 10),
        ("See www.example.org/a for more.", "See www.example.org/a for more."),
        ("[[həloʊ.həloʊ.həloʊ.həloʊ]]", "[[həloʊ.həloʊ.həloʊ.həloʊ]]"),
        ("今天天气很好" * 20, "今天天气很好" * 20),
    ],
)
def test_overlong_words_are_split(text: str, expected: str) -> None:
    assert clean_text(Segment(text)) == expected
