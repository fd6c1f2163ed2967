"""Words get their phonemes: real ones of espeak-ng in many languages, and whatever else comes."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher
from functools import cache
from importlib.resources import files
from random import Random

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from piper.phonemize_espeak import EspeakPhonemizer

from wyoming_tts.engines.word_alignment import PhonemesOf, WordPhonemes, align_words
from wyoming_tts.offset_text import Span
from wyoming_tts.spoken_words import words_of


def phonemize(language: str, text: str) -> list[str]:
    """Phonemes of a text, its sentences with a space between."""
    return [
        symbol for sentence in EspeakPhonemizer().phonemize(language, text) for symbol in (*sentence, " ")
    ]


@cache
def phonemes_of(language: str) -> PhonemesOf:
    return WordPhonemes(lambda words: ["".join(phonemize(language, word)).strip() for word in words])


def aligned(language: str, text: str) -> str:
    phonemes = phonemize(language, text)
    words = [text[begin:end] for begin, end in words_of(text)]
    spans = align_words(words, phonemes, phonemes_of(language))
    return " | ".join("".join(phonemes[begin:end]) for begin, end in spans)


def never(words: Sequence[str]) -> Sequence[str]:
    raise AssertionError(f"asked for {words}")


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        (
            "en-us",
            "Hello, big world!",
            "həlˈoʊ | bˈɪɡ | wˈɜːld",
        ),
        (
            "en-us",
            "It is one of the kings.",
            "ɪɾ | ɪz | wˈʌn | ʌv | ðə | kˈɪŋz",
        ),
        (
            "en-us",
            "It was on the bed, in the dark, at a fair.",
            "ɪt | wʌz | ɔn | ðə | bˈɛd | ɪn | ðə | dˈɑːɹk | æɾ | ə | fˈɛɹ",
        ),
        (
            "en-us",
            "NASA has 25 well-known cats, e.g. 100.",
            "nˈæsɐ | hɐz | twˈɛnti fˈaɪv | wˈɛlnˈoʊn | kˈæts | ˌiːdʒˈiː | wˈʌnhˈʌndɹɪd",
        ),
        (
            "en-us",
            "Dr. Smith met St. John.",
            "dˈɑːktɚ | smˈɪθ | mˈɛt | sənt | dʒˈɑːn",
        ),
        (
            "de",
            "Das ist z.B. ein US-Dollar, d.h. 25 Cent.",
            "das | ɪst | tsˌɛtbˈeː | aɪn | ˌuːˈɛsdɔlˈɑːɾ | dˌeːhˈɑː | fˈʏnf ʊnttsvˈantsɪç | sˈɛnt",
        ),
        (
            "fr",
            "Est-ce que c'est l'homme, aujourd'hui ?",
            "ɛs | kə | sɛ | lˈɔm | oʒuʁdyˈi",
        ),
        (
            "pl",
            "Czy mówi o tym w domu?",
            "tʃɨ | mˈuviʲ | ˈɔ | tɨm | w | dˈɔmu",
        ),
        (
            "ru",
            "Привет, как дела?",
            "prʲivʲˈet | kˈɑk | dʲˈeɭa",
        ),
        (
            "cmn",
            "我的名字是李华。",
            "wˈo2 | tˈə1 | miɜŋ | tsˈi̪1 | s.ˈi.5 | lˈi2 | χwˈɑɜ",
        ),
        (
            "hi",
            "नमस्ते, आप कैसे हैं?",
            "nəmˈʌsteː | ˌaːp | kˈɛːseː | hɛ̃",
        ),
        (
            "tr",
            "Saat 5'te gel.",
            "saˈat | bˈɛʃ tˈɛ | ɟˈæl",
        ),
        (
            "it",
            "È l'ora dell'uomo.",
            "e | lˈora | dellwˈɔmo",
        ),
        (
            "es",
            "Son las 3 de la tarde.",
            "sˈon | las | tɾˈes | ðe | la | tˈaɾðe",
        ),
        (
            "ar",
            "مرحبا بالعالم، كيف حالك؟",
            "mrħbˈaː | bilʕˈaːlam | kˈajfa | ħˈaːlik",
        ),
        (
            "ko",
            "안녕하세요, 제 이름은 철수입니다.",
            "ˈɐnnjʌŋhˌɐsejˌo | tɕˈe | ˈiɾɯmˌɯn | tʃhˈʌɫsuˌipnidˌɐ",
        ),
        (
            "vi",
            "Xin chào, tôi tên là Lan.",
            "sˈin | tʃˈaː2w | t̪ˈoj | t̪ˈen | lˌaː2 | lˈaːn",
        ),
        (
            "fa",
            "سلام، حال شما چطور است؟",
            "salˈɑm | hˈɑl | ʃˈomɑ | tʃˈetoːr | ˈast",
        ),
        (
            "el",
            "Γεια σου, τι κάνεις;",
            "jˈa | su | tˈi | kˈanis",
        ),
        (
            "nl",
            "Het is 's avonds om 8 uur.",
            "hət | ɪs | s | ˈaːvɔnts | ɔm | ˈɑxt | ˈyr",
        ),
    ],
)
def test_each_word_gets_the_phonemes_that_espeak_has_for_it(language: str, text: str, expected: str) -> None:
    assert aligned(language, text) == expected


def test_the_same_phonemes_are_found_for_calibration_sentences_as_for_their_words_alone() -> None:
    for language, sentences in calibration_sentences().items():
        for text in sentences:
            phonemes = phonemize(language, text)
            words = [text[begin:end] for begin, end in words_of(text)]
            spans = align_words(words, phonemes, phonemes_of(language))
            for word, span, alone in zip(words, spans, phonemes_of(language)(words), strict=True):
                heard = "".join(phonemes[slice(*span)])
                likeness = SequenceMatcher(None, consonants(heard), consonants(alone)).ratio()
                named = word.isascii() and len(word) == 1  # as a letter, where it stands alone
                assert likeness >= 0.5 or named or len(consonants(alone)) < 2, (text, word, heard, alone)


def calibration_sentences() -> dict[str, list[str]]:
    """Sixteen sentences of each language of Kokoro but Japanese, by espeak-ng's name of it."""
    found = yaml.safe_load(
        files("wyoming_tts.engines.kokoro").joinpath("calibration.yaml").read_text("utf-8")
    )
    names = {"en": "en-us", "zh": "cmn", "pt": "pt-br"}
    return {names.get(code, code): sentences for code, sentences in found.items() if code != "ja"}


def test_nothing_is_asked_where_there_is_a_group_for_each_word() -> None:
    assert align_words(["Hello", "world"], list("həlˈoʊ, wˈɜːld."), never) == [Span(0, 6), Span(8, 14)]


def test_only_short_words_are_asked_for_where_some_are_joined() -> None:
    asked: list[str] = []

    def ask(words: Sequence[str]) -> Sequence[str]:
        asked.extend(words)
        return [{"of": "ʌv", "the": "ðə"}[word] for word in words]

    spans = align_words(["because", "of", "the", "animals"], list("bɪkˈʌz ʌvðɪ ˈænɪməlz"), ask)
    assert [*spans] == [Span(0, 6), Span(7, 9), Span(9, 11), Span(12, 20)]
    assert asked == ["of", "the"]


@pytest.mark.parametrize("text", ["He leaves at a quarter.", "Ask them for an offer.", "One of the kings."])
def test_joined_words_are_found_whose_sounds_change_between_vowels(text: str) -> None:
    asked: list[str] = []

    def ask(words: Sequence[str]) -> Sequence[str]:
        asked.extend(words)
        return phonemes_of("en-us")(words)

    words = [text[begin:end] for begin, end in words_of(text)]
    assert all(end > begin for begin, end in align_words(words, phonemize("en-us", text), ask))
    assert len(asked) < len(words)


def test_what_is_not_heard_has_no_phonemes() -> None:
    spans = align_words(["One", "→", "two"], list("wˈʌn tˈuː"), lambda words: ["" for _ in words])
    assert spans == [Span(0, 4), Span(5, 5), Span(5, 9)]


def test_a_word_has_the_space_within_it_but_no_punctuation_around_it() -> None:
    spans = align_words(["25"], list("(twˈɛnti fˈaɪv)."), lambda _: ["twˈɛnti fˈaɪv"])
    assert spans == [Span(1, 14)]


def test_a_vowel_cluster_belongs_to_one_word() -> None:
    phonemes = ["k", "iː", "aɪ", "z"]
    assert align_words(["ki", "aiz"], phonemes, lambda _: ["kiːa", "ɪz"]) == [Span(0, 3), Span(3, 4)]


def test_words_are_estimated_by_their_lengths_where_nothing_else_is_known() -> None:
    spans = align_words(["ab", "cdef"], list("一二 三四五六"))
    assert spans == [Span(0, 2), Span(3, 7)]
    assert align_words(["ab", "cdef"], list("一二三四五六")) == [Span(0, 2), Span(2, 6)]


def test_hostile_lengths_take_no_table_of_costs() -> None:
    words, phonemes = [f"w{number}" for number in range(250)], ["x"] * 50_000
    spans = align_words(words, phonemes, lambda words: ["y" * 1000 for _ in words])
    assert [spans[0].begin, spans[-1].end] == [0, 50_000]


def test_the_phonemes_of_words_are_remembered() -> None:
    asked: list[Sequence[str]] = []

    def phonemize_words(words: Sequence[str]) -> Sequence[str]:
        asked.append([*words])
        return [word.upper() for word in words]

    remembered = WordPhonemes(phonemize_words)
    assert remembered(["a", "b", "a"]) == ["A", "B", "A"]
    assert remembered(["c", "b"]) == ["C", "B"]
    assert asked == [["a", "b"], ["c"]]
    for number in range(3000):
        remembered([f"{number}", "x" * number])
    assert len(remembered._known) <= 2048
    assert max(map(len, remembered._known)) <= 40


def consonants(phonemes: str) -> str:
    return "".join(symbol for symbol in phonemes.replace("ɾ", "t") if symbol in CONSONANTS)


CONSONANTS = frozenset("pbtdkɡfvszhmnlwjθðʃʒŋɲʎɹrʁʀɻɽxχɣβɸʋɕʑɧʂʐʈɖɳɭɫɬɥɟqʔʕħɦ")


_SYMBOLS = st.sampled_from([*"abɛ ˈː.,-—'\u03032", "aɪ", "ə ɹ"])
_WORDS = st.lists(st.text("abɛ2'-.A", min_size=1, max_size=5), max_size=8)


@pytest.mark.parametrize("is_asked", [True, False])
@example(words=["a", "b"], phonemes=["aɪ", ".", "ː"], random=Random(0))
@given(words=_WORDS, phonemes=st.lists(_SYMBOLS, max_size=40), random=st.randoms())
def test_words_are_in_order_do_not_overlap_and_cover_all_that_is_heard(
    words: list[str],
    phonemes: list[str],
    random: Random,
    is_asked: bool,  # noqa: FBT001  # a parameter of the test
) -> None:
    def invent(words: Sequence[str]) -> Sequence[str]:
        return ["".join(random.choice(["a", "b", "ɛ", " ", "ˈ", ""]) for _ in word) for word in words]

    spans = align_words(words, phonemes, WordPhonemes(invent) if is_asked else None)
    assert len(spans) == len(words)
    ends = [0, *(end for span in spans for end in span), len(phonemes)]
    assert ends == sorted(ends)
    covered = {place for span in spans for place in range(*span)}
    heard = {place for place, symbol in enumerate(phonemes) if not {*symbol}.isdisjoint("abɛə")}
    assert not words or heard <= covered
    for begin, end in spans:
        assert begin == end or not {phonemes[begin], phonemes[end - 1]} & {" ", ".", ",", "—"}
