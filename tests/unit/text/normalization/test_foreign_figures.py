from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wyoming_tts.text.normalization import StreamingNormalizer, TextNormalizer
from wyoming_tts.text.normalization.foreign_figures import to_ascii_figures, to_ascii_marks
from wyoming_tts.text.plain_text import TextPiece


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("٢٥ ۲۵ २५ ২৫ ౨౫ ൨൫ ๒๕ ２５", "25 25 25 25 25 25 25 25"),
        ("５０％ ５٪ ￥９９ ＋１", "50% 5% ¥99 +1"),
        ("80㎞ 5㎡ 3㍑ ｋｍ ＵＳＢ", "80km 5m2 3リットル km USB"),
        ("\u200e-5 \u061c%\u200f", "-5 %"),
        ("²½Ⅷ十五，。あア漢字 مرحبا क", "²½Ⅷ十五，。あア漢字 مرحبا क"),
        ("می\u200cشود", "می\u200cشود"),
    ],
)
def test_figures_of_other_scripts_become_ascii(text: str, expected: str) -> None:
    assert to_ascii_figures(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("25٫5 و 1٬234", "25,5 و 1.234"),
        ("19：30 2026／11／29 3．5", "19:30 2026/11/29 3.5"),
        ("时间：5点", "时间：5点"),
        ("－5度 －¥3 ア－", "-5度 -¥3 ア－"),
    ],
)
def test_marks_become_ascii_inside_numbers_alone(text: str, expected: str) -> None:
    assert to_ascii_marks(text, decimal=",", group=".") == expected


@given(text=st.text())
def test_marks_are_replaced_one_by_one(text: str) -> None:
    assert len(to_ascii_marks(text, decimal=",", group=".")) == len(text)


@given(text=st.text(), cut=st.integers(0, 50))
def test_figures_are_replaced_alike_whatever_the_chunks(text: str, cut: int) -> None:
    assert to_ascii_figures(text[:cut]) + to_ascii_figures(text[cut:]) == to_ascii_figures(text)


def test_native_digits_are_numbers_in_every_language() -> None:

    stream = StreamingNormalizer(TextNormalizer("en"))
    assert stream.feed(TextPiece("It is ２５ °C now ")) == [
        TextPiece("It is twenty-five degrees Celsius now")
    ]
