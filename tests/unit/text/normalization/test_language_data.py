"""Normalization of real sentences in five languages; `spoken_<language>.yaml` has the expected forms."""

from __future__ import annotations

import random
from collections.abc import Iterable
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.tables import check_rows, load_pairs
from wyoming_tts.text.normalization.normalizer import TextNormalizer
from wyoming_tts.text.normalization.stream import StreamingNormalizer
from wyoming_tts.text.plain_text import TextPiece

LANGUAGES = ["de", "fr", "es", "it", "nl"]


def load_table(language: str) -> tuple[tuple[str, str], ...]:
    return load_pairs(Path(__file__).parent / f"spoken_{language}.yaml")


# The same sentences written out independently, without digits or symbols.
BY_HAND = {
    "de": {
        "Draußen sind es 25 °C.": "Draußen sind es fünfundzwanzig Grad Celsius.",
        "Es ist 19:30 Uhr.": "Es ist neunzehn Uhr dreißig.",
        "Das kostet 3,50 €.": "Das kostet drei Euro fünfzig.",
        "Der Wind weht mit 30 km/h.": "Der Wind weht mit dreißig Kilometer pro Stunde.",
        "Am 3. Oktober ist Feiertag.": "Am dritten Oktober ist Feiertag.",
        "Der Timer läuft noch 1 Minute.": "Der Timer läuft noch eine Minute.",
    },
    "fr": {
        "Il fait 25 °C dehors.": "Il fait vingt-cinq degrés Celsius dehors.",
        "Il est 19h30.": "Il est dix-neuf heures trente.",
        "Ça coûte 3,50 €.": "Ça coûte trois euros cinquante.",
        "L'humidité est de 65 %.": "L'humidité est de soixante-cinq pour cent.",
        "M. Dupont est à la porte.": "Monsieur Dupont est à la porte.",
        "Il reste 21 minutes.": "Il reste vingt et une minutes.",
    },
    "es": {
        "Hace 25 °C en la calle.": "Hace veinticinco grados Celsius en la calle.",
        "Son las 19:30.": "Son las diecinueve treinta.",
        "Cuesta 3,50 €.": "Cuesta tres euros con cincuenta.",
        "La Sra. García llama.": "La señora García llama.",
        "Quedan 21 minutos.": "Quedan veintiún minutos.",
    },
    "it": {
        "Fuori ci sono 25 °C.": "Fuori ci sono venticinque gradi Celsius.",
        "Sono le 19:30.": "Sono le diciannove e trenta.",
        "Costa 3,50 €.": "Costa tre euro e cinquanta.",
        "Il 1° maggio è festa.": "Il primo maggio è festa.",
        "Il vento soffia a 30 km/h.": "Il vento soffia a trenta chilometri orari.",
    },
    "nl": {
        "Buiten is het 25 °C.": "Buiten is het vijfentwintig graden Celsius.",
        "Het is 19:30 uur.": "Het is negentien uur dertig.",
        "Vandaag is het 21 november 2026.": "Vandaag is het eenentwintig november tweeduizend zesentwintig.",
        "De luchtvochtigheid is 65%.": "De luchtvochtigheid is vijfenzestig procent.",
        "Willem III was koning.": "Willem de derde was koning.",
    },
}


@cache
def normalizer(language: str) -> TextNormalizer:
    return TextNormalizer(language)


def normalize_stream(language: str, pieces: Iterable[str]) -> str:
    stream = StreamingNormalizer(normalizer(language))
    spoken_pieces = [
        each for piece in pieces if piece for each in stream.feed(TextPiece(piece))
    ] + stream.finish()
    return "".join(each.text for each in spoken_pieces)


def split_at(text: str, positions: Iterable[int]) -> list[str]:
    ends = [0, *sorted({position % (len(text) + 1) for position in positions}), len(text)]
    return [text[start:end] for start, end in pairwise(ends)]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_its_share_of_sentences(language: str) -> None:
    assert len({text for text, _ in load_table(language)}) >= 12


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_normalizes_to_its_expected_spoken_form(language: str) -> None:
    def check(text: str, spoken_form: str) -> None:
        assert normalize_stream(language, [text]) == spoken_form

    check_rows(check, load_table(language))


@pytest.mark.parametrize("language", LANGUAGES)
def test_text_already_written_out_is_unchanged(language: str) -> None:
    def check(_text: str, spoken_form: str) -> None:
        assert normalize_stream(language, [spoken_form]) == spoken_form

    check_rows(check, load_table(language))


@pytest.mark.parametrize("language", LANGUAGES)
def test_text_may_arrive_one_character_at_a_time(language: str) -> None:
    for text, spoken_form in load_table(language):
        assert normalize_stream(language, text) == spoken_form


@pytest.mark.parametrize("language", LANGUAGES)
@given(positions=st.lists(st.integers(0, 10_000), max_size=30), seed=st.integers(0, 1000))
def test_the_result_for_a_longer_text_does_not_depend_on_chunk_boundaries(
    language: str, positions: list[int], seed: int
) -> None:
    rows = list(load_table(language))
    random.Random(seed).shuffle(rows)
    text = " ".join(text for text, _ in rows[:6])
    assert normalize_stream(language, split_at(text, positions)) == normalize_stream(language, [text])


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_engine_speaks_a_sentence_like_its_written_out_form(language: str) -> None:
    from piper.phonemize_espeak import EspeakPhonemizer  # noqa: PLC0415 heavy, and foreign

    phonemizer = EspeakPhonemizer()
    for text, by_hand in BY_HAND[language].items():
        phonemes = phonemizer.phonemize(language, normalize_stream(language, [text]))
        assert phonemes == phonemizer.phonemize(language, by_hand)
        assert phonemes != phonemizer.phonemize(language, text)
