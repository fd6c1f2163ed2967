from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unicode_rbnf import RbnfEngine

from wyoming_tts.engines.espeak.han_numerals import numerals_to_digits


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("気温は二十五度です。", "気温は25度です。"),
        ("二千二十六年十一月", "2026年11月"),
        ("二〇二六年", "2026年"),
        ("千九百八十円", "1980円"),
        ("一万二千", "12000"),
        ("三億五十", "300000050"),
        ("今日は", "今日は"),
        ("一" * 41, "一" * 41),
    ],
)
def test_numerals_become_the_digits_that_they_stand_for(text: str, digits: str) -> None:
    assert numerals_to_digits(text) == digits


@given(st.integers(0, 10**15 - 1))
def test_every_number_that_is_spelled_out_is_found_again(number: int) -> None:
    spelled = RbnfEngine.for_language("ja").format_number(number, ruleset_names=["spellout-cardinal"]).text
    assert numerals_to_digits(spelled) == str(number)
