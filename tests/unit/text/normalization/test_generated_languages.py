"""What holds for the rules of any language, on some whose rules come from CLDR: chunks and hostile text."""

from __future__ import annotations

from functools import cache, partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.hypothesis_examples import scaled_examples
from tests.support.line_counting import count_lines
from wyoming_tts.text.normalization import NormalizerRegistry, StreamingNormalizer
from wyoming_tts.text.normalization.language_data import LanguageData
from wyoming_tts.text.plain_text import TextPiece

LANGUAGES = ["ar", "hi", "pl", "tr", "zh"]
SPOKEN = NormalizerRegistry()
FIGURES = (
    "5 2 1.5 1,5 -3 −20.35 12 345 7:05 19.30 21.11.2026 2026-11-21 11/12/2026 +48 22 123 %25 ٣٫٥ ½ 1st 3."
)
MARKS = [" ", "-", "–", ".", ",", "%", "°", "°C", "€", "$", "/", "(", ")", "\n\n"]


def language_data(language: str) -> LanguageData:
    data = SPOKEN.normalizer(language).language
    assert data is not None
    return data


@cache
def likely_tokens(language: str) -> list[str]:
    """Figures, and the words and signs that the rules of the language know."""
    data = language_data(language)
    names = [name for names in (*data.months[:3], *data.weekdays[:3]) for name in names]
    return [
        *FIGURES.split(),
        *MARKS,
        *list(data.units)[::7],
        *list(data.unit_words)[::7],
        *data.currencies,
        *names,
    ]


def normalize(language: str, pieces: list[str]) -> str:
    stream = StreamingNormalizer(SPOKEN.normalizer(language))
    spoken = [each for piece in pieces for each in stream.feed(TextPiece(piece))]
    return "".join(each.text for each in [*spoken, *stream.finish()])


@pytest.mark.parametrize("language", LANGUAGES)
@settings(max_examples=scaled_examples(60), deadline=None)
@given(data=st.data(), glue=st.sampled_from(["", " "]))
def test_the_normalized_text_does_not_depend_on_its_chunks(
    language: str, data: st.DataObject, glue: str
) -> None:
    text = glue.join(data.draw(st.lists(st.sampled_from(likely_tokens(language)), max_size=16)))
    whole = normalize(language, [text])
    cut = data.draw(st.integers(0, len(text)))
    assert normalize(language, [text[:cut], text[cut:]]) == whole
    assert normalize(language, list(text)) == whole


LINES = 200
"""Limit of Python lines executed per character: twice what a number in every second character takes."""
HOSTILE = [
    "5" * 5_000,
    "5 " * 500,
    "-" * 5_000,
    "1,000" * 1_000,
    "1.5" * 2_000,
    "%5" * 2_500,
    "1/2/" * 1_000,
    "٣٫" * 2_500,
    "5天" * 2_500,
    "天" * 5_000,
    "+48 22 " * 500,
    "2026.11." * 500,
]


@pytest.mark.parametrize("language", LANGUAGES)
def test_hostile_text_is_normalized_cheaply(language: str) -> None:
    SPOKEN.load(language)
    for text in HOSTILE:
        assert count_lines(partial(normalize, language, [text])) < LINES * len(text), text[:10]


@pytest.mark.parametrize("language", LANGUAGES)
def test_plain_words_are_not_held_back(language: str) -> None:
    word = {"ar": "مرحبا", "hi": "नमस्ते", "pl": "dobrze", "tr": "merhaba", "zh": "你好你好你好你好你好你好"}[
        language
    ]
    stream = StreamingNormalizer(SPOKEN.normalizer(language))
    emitted = "".join(piece.text for piece in stream.feed(TextPiece(f"{word} {word} ")))
    assert emitted.strip() == f"{word} {word}"
