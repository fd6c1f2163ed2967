from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.steps import growth
from wyoming_tts.engines.phoneme_blocks import PhonemeTextPart, has_phonemes, parts


def test_blocks_of_ipa_are_told_from_the_text_around_them() -> None:
    assert list(parts("Ask [[ ʃɪˈvɔːn ]]. [[biː]][[b]]")) == [
        PhonemeTextPart("Ask "),
        PhonemeTextPart(" ʃɪˈvɔːn ", is_ipa=True),
        PhonemeTextPart(". "),
        PhonemeTextPart("biː", is_ipa=True),
        PhonemeTextPart("b", is_ipa=True),
    ]


@pytest.mark.parametrize(
    "text", ["", "[[Main Page]]", "[[12]]", "[[ biː", "biː ]]", "[[]]", "[[ ]]", "[[b\ni]]"]
)
def test_what_is_no_block_of_ipa_is_text(text: str) -> None:
    assert list(parts(text)) == ([PhonemeTextPart(text)] if text else [])
    assert not has_phonemes(text)


@given(st.text(alphabet="[]aʃA \n", max_size=40))
def test_no_text_is_lost(text: str) -> None:
    assert "".join(f"[[{part.text}]]" if part.is_ipa else part.text for part in parts(text)) == text


@pytest.mark.parametrize("unit", ["[[", "[[b]]", "[[b", "]]", "[[b ", "[", "[[B]]"])
def test_hostile_brackets_take_linear_time(unit: str) -> None:
    assert growth(lambda length: list(parts((unit * length)[:length])), size=5_000) < 2.1
