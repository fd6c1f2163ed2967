from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.line_counting import measure_growth
from wyoming_tts.ipa import PhonemeTextPart, has_phoneme_blocks, is_ipa, split_phoneme_blocks


def test_ipa_blocks_are_split_from_the_surrounding_text() -> None:
    assert list(split_phoneme_blocks("Ask [[ ʃɪˈvɔːn ]]. [[biː]][[b]]")) == [
        PhonemeTextPart("Ask "),
        PhonemeTextPart(" ʃɪˈvɔːn ", is_ipa=True),
        PhonemeTextPart(". "),
        PhonemeTextPart("biː", is_ipa=True),
        PhonemeTextPart("b", is_ipa=True),
    ]


@pytest.mark.parametrize(
    "text", ["", "[[Main Page]]", "[[12]]", "[[ biː", "biː ]]", "[[]]", "[[ ]]", "[[b\ni]]"]
)
def test_brackets_without_ipa_are_text(text: str) -> None:
    assert list(split_phoneme_blocks(text)) == ([PhonemeTextPart(text)] if text else [])
    assert not has_phoneme_blocks(text)


@pytest.mark.parametrize("text", ["ʃɪˈvɔːn", "a", "kitchen", "ɑ̃.tɑ̃", "ˈtuː ˈwɜːdz", "'go:", "çɛ"])
def test_ipa_is_recognized(text: str) -> None:
    assert is_ipa(text)


@pytest.mark.parametrize("text", ["", " ", "ˈ", "Main Page", "h@l'oU", "12", "a|b?", "дом", "a_b", "a]"])
def test_text_that_is_not_ipa_is_not_recognized_as_ipa(text: str) -> None:
    assert not is_ipa(text)


@given(st.text(alphabet="[]aʃA \n", max_size=40))
def test_no_text_is_lost(text: str) -> None:
    parts = split_phoneme_blocks(text)
    assert "".join(f"[[{part.text}]]" if part.is_ipa else part.text for part in parts) == text


@pytest.mark.parametrize("unit", ["[[", "[[b]]", "[[b", "]]", "[[b ", "[", "[[B]]"])
def test_hostile_brackets_take_linear_time(unit: str) -> None:
    assert (
        measure_growth(lambda length: list(split_phoneme_blocks((unit * length)[:length])), size=5_000) < 2.1
    )
