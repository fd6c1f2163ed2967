from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wyoming_tts.bench.texts import LOAD_TEXTS, TEXTS, VARIANTS, vary_text

CLAUSE_END = re.compile(r"[,.;:?!]")


def clauses(text: str) -> set[str]:
    return {clause.strip() for clause in CLAUSE_END.split(text) if clause.strip()}


@pytest.mark.parametrize(("name", "words"), [("short", 5), ("sentence", 29), ("paragraph", 79), ("llm", 400)])
def test_texts_have_the_documented_number_of_words(name: str, words: int) -> None:
    assert len(TEXTS[name].split()) == words


def test_the_first_clause_of_a_text_for_measuring_has_fourteen_of_its_words() -> None:
    text = LOAD_TEXTS["clause"]
    assert len(text.split()) == 29
    assert len(text.split(",")[0].split()) == 14


def test_short_and_sentence_are_one_sentence_and_paragraph_is_five() -> None:
    assert [TEXTS[name].count(".") for name in ("short", "sentence", "paragraph")] == [1, 1, 5]


@given(st.sampled_from(sorted(LOAD_TEXTS)), st.integers(0, 10**9), st.integers(1, VARIANTS - 1))
def test_two_variants_share_no_clause(name: str, number: int, distance: int) -> None:
    one, other = vary_text(LOAD_TEXTS[name], number), vary_text(LOAD_TEXTS[name], number + distance)
    assert not clauses(one) & clauses(other)


@given(st.sampled_from(sorted(LOAD_TEXTS)), st.integers(0, 10**9))
def test_a_variant_keeps_word_count_and_punctuation(name: str, number: int) -> None:
    text = LOAD_TEXTS[name]
    variant = vary_text(text, number)
    assert len(variant.split()) == len(text.split())
    assert CLAUSE_END.findall(variant) == CLAUSE_END.findall(text)
    assert abs(len(variant) - len(text)) <= 5 * len(clauses(text))
    assert vary_text(text, number) == variant
