"""Default pronunciations: what engines are given for letters, capitals, sounds and heteronyms."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from piper.phonemize_espeak import EspeakPhonemizer

from tests.support.hypothesis_examples import scaled_examples
from tests.support.line_counting import measure_growth
from tests.support.tables import check_rows, load_yaml
from wyoming_tts.ipa import has_phoneme_blocks
from wyoming_tts.text.pronunciation import LANGUAGES, DefaultPronunciations, load_pronunciations

HERE = Path(__file__).parent
STRESS = str.maketrans("", "", "ˈˌ")


@cache
def load_letters() -> list[tuple[str, str, str]]:
    """Load examples of letters, capitals and sounds: language, text, and what is given to the engine."""
    tables = load_yaml(HERE / "letters.yaml").items()
    return [(language, text, respelled) for language, rows in tables for text, respelled in rows]


@cache
def load_heteronyms() -> list[tuple[str, str]]:
    """Load sentences, each with the reading of the heteronym in it."""
    return [
        (sentence, reading)
        for readings in load_yaml(HERE / "heteronyms.yaml").values()
        for reading, sentences in readings.items()
        for sentence in sentences
    ]


@cache
def _phonemizer() -> EspeakPhonemizer:
    return EspeakPhonemizer()


def _pronunciations(language: str) -> DefaultPronunciations:
    found = load_pronunciations(language)
    assert found is not None
    return found


def _respell(text: str, language: str = "en") -> str:
    parts, at = [], 0
    for each in _pronunciations(language).find(text):
        parts += [text[at : each.start], each.said]
        at = each.end
    return "".join([*parts, text[at:]])


def _phonemes(text: str, voice: str = "en-us") -> list[str]:
    """The phonemes of each word."""
    sentences = _phonemizer().phonemize(voice, text)
    return re.findall(r"[^\s.,;:!?]+", " ".join("".join(sentence) for sentence in sentences).replace("ʲ", ""))


def _is_heard(reading: str, words: list[str]) -> bool:
    """Whether a word ends in one of the readings; stress counts where the reading has a mark of it."""
    return any(
        (word if "ˈ" in either else word.translate(STRESS)).endswith(either)
        for word in words
        for either in reading.split("|")
    )


def test_letters_capitals_and_sounds_are_respelled_where_they_are_meant() -> None:
    def check(language: str, text: str, expected: str) -> None:
        assert _respell(text, language) == expected

    check_rows(check, load_letters())


def test_a_heteronym_is_heard_as_its_sentence_means_it() -> None:
    def check(sentence: str, reading: str) -> None:
        assert _is_heard(reading, _phonemes(_respell(sentence)))

    check_rows(check, load_heteronyms())


def test_there_are_many_sentences_for_heteronyms() -> None:
    assert len(load_heteronyms()) >= 450


@pytest.mark.parametrize("voice", ["en-us", "en-gb-x-rp"])
@pytest.mark.parametrize(
    "text",
    [
        "Option A is best.",
        "Vitamin A and D.",
        "The A C is on.",
        "Repeat: a b c.",
        "AT and T called.",
    ],
)
def test_the_letter_a_is_heard_by_its_name(voice: str, text: str) -> None:
    assert "eɪ" in [word.translate(STRESS) for word in _phonemes(_respell(text), voice)]


def test_capitals_sound_like_the_same_words_in_small_letters() -> None:
    assert _phonemes(_respell("CLOSE IT NOW. CALL US.")) == _phonemes("Cloze it now. Call us.")


def test_no_letter_of_six_is_lost() -> None:
    assert len(_phonemes(_respell("W W W W W W"))) == 6


@pytest.mark.parametrize(
    ("language", "voice", "text", "heard"),
    [
        ("fr", "fr", "La variante Y est bonne.", "ɡʁɛk"),
        ("pl", "pl", "Opcja W jest dobra.", "vu"),
        ("cs", "cs", "Vitamín K je dobrý.", "kaː"),
        ("ru", "ru", "Вариант В лучше.", "vɛ"),
        ("nl", "nl", "Maat S is op.", "ɛs"),
        ("pt", "pt", "A opção O é boa.", "ɔ"),
    ],
)
def test_a_letter_is_heard_by_its_name_in_other_languages(
    language: str, voice: str, text: str, heard: str
) -> None:
    assert heard in [word.translate(STRESS) for word in _phonemes(_respell(text, language), voice)]


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_every_sound_is_a_block_of_phonemes(language: str) -> None:
    assert has_phoneme_blocks(_respell("Mmm! Psst!", language))


def test_every_language_with_data_is_listed() -> None:
    data = resources.files("wyoming_tts.text.pronunciation") / "data"
    sounds: dict[str, Any] = yaml.safe_load((data / "sounds.yaml").read_text(encoding="utf-8"))
    letters: dict[str, Any] = yaml.safe_load((data / "letters.yaml").read_text(encoding="utf-8"))
    assert set(sounds["languages"]) == LANGUAGES
    assert set(letters) <= LANGUAGES


def test_every_heteronym_compiles_and_has_a_spelling_for_the_readings_that_its_rules_name() -> None:
    data = resources.files("wyoming_tts.text.pronunciation") / "data"
    words = yaml.safe_load((data / "en.yaml").read_text(encoding="utf-8"))["heteronyms"]["words"]
    for word in words:
        assert isinstance(_respell(f"The {word} is here."), str)


def test_a_language_without_data_has_none() -> None:
    assert load_pronunciations("xx") is None


def test_a_language_that_is_part_of_a_wider_one_has_its_pronunciations() -> None:
    assert load_pronunciations("nb_NO") is load_pronunciations("no") is not None


_WORDS = (
    "a A b I or and option vitamin the to live read record close lead US IT NOW shh mmm W W W [[aː]] "
    "- \" ' ( ) . , !"
)


@given(words=st.lists(st.sampled_from(_WORDS.split(" ")), max_size=25), glue=st.sampled_from(["", " "]))
@settings(max_examples=scaled_examples(200), deadline=None)
def test_respellings_are_in_order_and_do_not_overlap(words: list[str], glue: str) -> None:
    text = glue.join(words)
    found = _pronunciations("en").find(text)
    ends = [0, *(each.end for each in found)]
    assert all(end <= each.start < each.end <= len(text) for end, each in zip(ends, found, strict=False))


@given(text=st.text(max_size=300))
@settings(max_examples=scaled_examples(100), deadline=None)
def test_any_text_can_be_respelled(text: str) -> None:
    for each in _pronunciations("en").find(text):
        assert each.said.strip()


@pytest.mark.parametrize("word", ["read ", "W ", "a or ", "live, ", "US ", "m", "'", "[[", "to read it "])
def test_a_text_is_respelled_in_linear_time(word: str) -> None:
    pronunciations = _pronunciations("en")
    assert measure_growth(lambda times: pronunciations.find(word * times), size=100) < 2.1
