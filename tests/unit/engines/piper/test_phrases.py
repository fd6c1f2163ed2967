"""Phonemes are parted into what is spoken in one go, and none is lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wyoming_tts.engines.piper.phrases import MAX_PHONEMES, cut_phonemes, split_at_silences


@given(
    st.lists(st.sampled_from("ab, ."), max_size=20),
    st.dictionaries(st.sampled_from(", .x"), st.just(0.5)),
)
def test_no_phoneme_is_lost_between_silences(phonemes: list[str], silences: dict[str, float]) -> None:
    parts = list(split_at_silences(phonemes, silences))
    assert [phoneme for part, _ in parts for phoneme in part] == phonemes
    assert all(part and not {*part[:-1]} & silences.keys() for part, _ in parts)


@pytest.mark.parametrize(
    ("phonemes", "lengths"),
    [
        ("", [0]),
        ("a" * MAX_PHONEMES, [MAX_PHONEMES]),
        ("a" * (MAX_PHONEMES + 1), [MAX_PHONEMES, 1]),
        ("a" * 500 + " " + "b" * 500, [501, 500]),
        (("a" * 9 + " ") * 200, [600, 600, 600, 200]),
    ],
)
def test_a_sentence_of_too_many_phonemes_is_cut_at_a_space(phonemes: str, lengths: list[int]) -> None:
    parts = list(cut_phonemes(list(phonemes)))
    assert [len(part) for part in parts] == lengths
    assert "".join(map("".join, parts)) == phonemes
