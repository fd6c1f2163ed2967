"""Offsets through normalization: spoken words lead back to what was written."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.hypothesis_examples import scaled_examples
from tests.support.offsets import character_spans, check_offsets, word_spans, written_pieces
from tests.support.tables import check_rows, load_pairs
from tests.unit.text.normalization.test_normalizer import TABLE as ENGLISH_TABLE
from wyoming_tts.offset_text import OffsetText, join_texts
from wyoming_tts.text.markup import InterpretAs, SayAs
from wyoming_tts.text.normalization import NormalizerRegistry, StreamingNormalizer
from wyoming_tts.text.normalization.say_as import normalize_say_as
from wyoming_tts.text.plain_text import TextPiece

SPOKEN = NormalizerRegistry()


def normalize(pieces: Iterable[str], language: str) -> str:
    stream = StreamingNormalizer(SPOKEN.normalizer(language))
    found = [piece for text in written_pieces(pieces) for piece in stream.feed(TextPiece(text))]
    return join_texts(piece.text for piece in [*found, *stream.finish()])


def written_for(text: str, language: str) -> list[tuple[str, str]]:
    """The spoken words, joined where they stand for the same, with what they stand for."""
    found: list[tuple[str, str]] = []
    last = None
    for word, span in word_spans(normalize([text], language)):
        assert span is not None, f"{word!r} is written nowhere"
        if span == last:
            found[-1] = (f"{found[-1][0]} {word}", found[-1][1])
        else:
            found.append((word, text[span.begin : span.end]))
        last = span
    return found


def changed(text: str, language: str) -> list[tuple[str, str]]:
    return [(spoken, written) for spoken, written in written_for(text, language) if spoken != written]


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("en", "It is 25 °C outside.", [("twenty-five degrees Celsius", "25 °C")]),
        (
            "en",
            "It costs $12.50 or 7%.",
            [("twelve dollars and fifty cents", "$12.50"), ("seven percent", "7%")],
        ),
        ("en", "About 3-5 kg of it.", [("three to five kilograms", "3-5 kg")]),
        ("en", "Dr. Smith met Mr. Lee.", [("Doctor", "Dr."), ("Mister", "Mr.")]),
        ("en", "Read chapter IV today.", [("four", "IV")]),
        ("en", "It opens in 10 minutes.", [("ten", "10")]),
        ("en", "A 25-year-old tree.", [("twenty-five-year-old", "25-year-old")]),
        ("en", "See you at 3:30 p.m. today.", [("three thirty PM", "3:30 p.m.")]),
        ("de", "Es sind -5 °C in Ulm.", [("minus fünf Grad Celsius", "-5 °C")]),
        ("de", "Das kostet z. B. 3,50 €.", [("zum Beispiel", "z. B."), ("drei Euro fünfzig", "3,50 €")]),
        ("fr", "Il fait 25 °C ici.", [("vingt-cinq degrés Celsius", "25 °C")]),
        ("fr", "Rendez-vous à 14h30.", [("quatorze heures trente", "14h30")]),
        ("ja", "気温は25℃です。", [("二 十 五 度", "25℃")]),
        ("zh", "今天25℃。", [("二 十 五 摄 氏 度", "25℃")]),
        ("hi", "आज २५ °C है।", [("पच्चीस डिग्री सेल्सियस", "२५ °C")]),
    ],
)
def test_words_stand_for_what_they_are_read_from(
    language: str, text: str, expected: list[tuple[str, str]]
) -> None:
    assert changed(text, language) == expected


def test_every_spoken_word_of_the_english_examples_is_written_somewhere() -> None:
    def check(text: str, _spoken: str) -> None:
        assert written_for(text, "en")
        check_offsets([normalize([text], "en")], text)

    check_rows(check, load_pairs(ENGLISH_TABLE))


_LANGUAGES = st.sampled_from(["en", "de", "fr", "ja", "zh", "ko", "hi", "ar", "ru", "th", "tr"])
_TOKENS = (
    "5 1/2 7:05 3.5 -3 6'2\" °C ° C km /h € $ % – - . , the Nov 21 2026 I II Mr. St. Chapter x a.m. am no. "
    "# @ & http://a.b e.g. z. B. 3. 5日 3月 25℃ ５０％ ٢٥ २५ ㎞ \u200f 第 年 Uhr 14h30 ¥5元 3日-5日 '"
)
_TEXTS = st.lists(st.sampled_from([*_TOKENS.split(), " ", "\n\n"]), max_size=20).map("".join) | st.text(
    max_size=100
)


@settings(max_examples=scaled_examples(200), deadline=None)
@given(_TEXTS, _LANGUAGES, st.integers(1, 9))
def test_offsets_of_any_text_lead_to_it_and_do_not_depend_on_its_chunks(
    text: str, language: str, size: int
) -> None:
    whole = normalize([text], language)
    check_offsets([whole], text)
    divided = normalize((text[at : at + size] for at in range(0, len(text), size)), language)
    assert character_spans(divided) == character_spans(whole)


# SSML


@pytest.mark.parametrize("kind", InterpretAs)
@pytest.mark.parametrize(
    "text", [" 12 ", "2:30pm", "1/2", "2024-05-03", "+49 (30) 1", "ab\n c", "", "१२", "5 €"]
)
def test_what_say_as_makes_stands_for_its_content(kind: InterpretAs, text: str) -> None:
    for language in ("en", "tlh"):
        said = normalize_say_as(
            OffsetText.written(text), SayAs(kind), SPOKEN.normalizer(language), OffsetText.written("on ")
        )
        check_offsets([said], text)
        assert all(span is not None for _, span in word_spans(said))


def test_characters_and_groups_of_digits_each_stand_for_themselves() -> None:
    def written(text: str, kind: InterpretAs) -> list[tuple[str, str]]:
        said = normalize_say_as(OffsetText.written(text), SayAs(kind), SPOKEN.normalizer("en"))
        return [(word, text[span.begin : span.end]) for word, span in word_spans(said) if span]

    assert written("a2 -b", InterpretAs.CHARACTERS) == [("A", "a"), ("two", "2"), ("dash", "-"), ("B", "b")]
    assert written("12-3", InterpretAs.DIGITS) == [("one", "12"), ("two", "12"), ("three", "3")]
