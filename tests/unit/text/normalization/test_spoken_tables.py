"""Spoken forms of every language: the tables in `spoken`, judged by the phonemes of the words written out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest
from piper.phonemize_espeak import EspeakPhonemizer

from tests.support.offsets import character_spans, check_offsets, written_pieces
from tests.support.tables import check_rows, load_pairs
from wyoming_tts.offset_text import join_texts
from wyoming_tts.text.normalization import NormalizerRegistry, StreamingNormalizer
from wyoming_tts.text.plain_text import TextPiece

TABLES = sorted((Path(__file__).parent / "spoken").glob("*.yaml"))
# With their scope the tests of a table follow each other, so that few workers compile its language.
EACH_TABLE = pytest.mark.parametrize("table", TABLES, ids=[table.stem for table in TABLES], scope="module")
SPOKEN = NormalizerRegistry()

ESPEAK_VOICES = {
    "en": "en-us",
    "en_GB": "en-gb-x-rp",
    "es_MX": "es-419",
    "es_AR": "es-419",
    "fr_CH": "fr-ch",
    "no": "nb",
    "pt": "pt-br",
    "pt_PT": "pt",
    "zh": "cmn",
}
"""The voices of espeak-ng for languages that it does not know by their code."""


@cache
def phonemizer() -> EspeakPhonemizer:
    return EspeakPhonemizer()


def phonemes(language: str, text: str) -> str:
    """The phonemes without stress and pauses, which differ between spellings of the same words."""
    voice = ESPEAK_VOICES.get(language, language.partition("_")[0])
    sounds = "".join("".join(sentence) for sentence in phonemizer().phonemize(voice, text))
    return "".join(sound for sound in sounds if sound not in "ˈˌ ,.!?:;-—")


def normalize(language: str, pieces: Iterable[str]) -> str:
    """The text as it is spoken, with its offsets."""
    SPOKEN.load(language)
    stream = StreamingNormalizer(SPOKEN.normalizer(language))
    spoken = [each for text in written_pieces(pieces) for each in stream.feed(TextPiece(text))]
    return join_texts(each.text for each in [*spoken, *stream.finish()])


@EACH_TABLE
def test_text_sounds_like_its_words_written_out(table: Path) -> None:
    language = table.stem

    def check(text: str, words: str) -> None:
        spoken = normalize(language, [text])
        assert phonemes(language, spoken) == phonemes(language, words), spoken

    check_rows(check, load_pairs(table))


@EACH_TABLE
def test_offsets_lead_to_the_text_which_may_arrive_letter_by_letter_or_in_words(table: Path) -> None:
    def check(text: str, _words: str) -> None:
        whole = normalize(table.stem, [text])
        check_offsets([whole], text)
        for pieces in (list(text), re.findall(r"[^ ]+ ?| ", text)):
            assert character_spans(normalize(table.stem, pieces)) == character_spans(whole)

    check_rows(check, load_pairs(table))


@EACH_TABLE
def test_words_written_out_are_left_as_they_are(table: Path) -> None:
    for _, words in load_pairs(table):
        assert normalize(table.stem, [words]) == words


@pytest.mark.parametrize(
    ("language", "text", "words"),
    [
        ("sv", "Det kostar 10 kr. Vi går.", "Det kostar tio kronor. Vi går."),
        ("ru", "Добавьте 500 г. Вымойте.", "Добавьте пятьсот грамм. Вымойте."),
        ("fi", "Lisää 5 ml. Sekoita.", "Lisää viisi millilitraa. Sekoita."),
    ],
)
def test_a_sentence_may_end_at_the_stop_of_a_unit(language: str, text: str, words: str) -> None:
    assert normalize(language, [text]) == words
