from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from piper.phonemize_espeak import EspeakPhonemizer

from tests.support.hypothesis_examples import scaled_examples
from tests.support.line_counting import count_lines, measure_growth
from tests.support.tables import check_rows, load_pairs
from wyoming_tts.text.normalization import StreamingNormalizer, TextNormalizer, protect_nothing
from wyoming_tts.text.plain_text import TextPiece

TABLE = Path(__file__).parent / "spoken_en.yaml"
ENGLISH = TextNormalizer("en")

WRITTEN_OUT = [
    ("It is 25 °C.", "It is twenty five degrees Celsius."),
    ("-5 °C", "minus five degrees Celsius"),
    ("5–7 °C", "five to seven degrees Celsius"),
    ("1 °F", "one degree Fahrenheit"),
    ("45%", "forty five percent"),
    ("35.5 mph", "thirty five point five miles per hour"),
    ("20 km/h", "twenty kilometers per hour"),
    ("85 m²", "eighty five square meters"),
    ("2 m³", "two cubic meters"),
    ("12.4 kWh", "twelve point four kilowatt hours"),
    ("12 µg/m³", "twelve micrograms per cubic meter"),
    ("800 ppm", "eight hundred parts per million"),
    ("3.2 GB", "three point two gigabytes"),
    ("250 Mbit/s", "two hundred fifty megabits per second"),
    ("$3.50", "three dollars and fifty cents"),
    ("$0.01", "one cent"),
    ("€1", "one euro"),
    ("5 €", "five euros"),
    ("$1.2 million", "one point two million dollars"),
    ("1,234,567", "one million two hundred thirty four thousand five hundred sixty seven"),
    ("at 7:05", "at seven oh five"),
    ("at 7:00", "at seven o'clock"),
    ("at 19:30", "at nineteen thirty"),
    ("at 7:30pm", "at seven thirty p m"),
    ("at 7 am", "at seven A. M."),
    ("2026-11-21", "November twenty first, twenty twenty six"),
    ("21 Nov 2026", "the twenty first of November, twenty twenty six"),
    ("in 1999", "in nineteen ninety nine"),
    ("the 1990s", "the nineteen nineties"),
    ("the 22nd", "the twenty second"),
    ("2 1/2 cups", "two and a half cups"),
    ("v2.5.2", "version two point five point two"),
    ("Henry VIII", "Henry the eighth"),
    ("World War II", "World War two"),
    ("Mr. Smith", "Mister Smith"),
    ("24/7", "twenty four seven"),
    ("#5", "number five"),
    ("https://www.home-assistant.io/docs", "home-assistant dot io slash docs"),
]


def _normalize(pieces: list[str], normalizer: TextNormalizer = ENGLISH) -> str:
    stream = StreamingNormalizer(normalizer)
    emitted = [piece for text in pieces for piece in stream.feed(TextPiece(text))]
    return "".join(piece.text for piece in [*emitted, *stream.finish()])


def _split_at(text: str, cuts: list[int]) -> list[str]:
    positions = sorted({cut % (len(text) + 1) for cut in cuts})
    return [text[start:end] for start, end in zip([0, *positions], [*positions, len(text)], strict=True)]


def _phonemes(text: str) -> str:
    """Phonemes without stress and pauses, which differ between spellings of the same words."""
    sounds = "".join("".join(sentence) for sentence in EspeakPhonemizer().phonemize("en-us", text)).replace(
        "ʲ", ""
    )
    return "".join(sound for sound in sounds if sound not in "ˈˌ ,.-")


def test_typical_input_normalizes_to_its_expected_spoken_form() -> None:
    def check(text: str, expected: str) -> None:
        assert _normalize([text]) == expected

    check_rows(check, load_pairs(TABLE))


def test_chunk_boundaries_do_not_change_the_normalized_text() -> None:
    def check(text: str, expected: str) -> None:
        chance = random.Random(text)
        assert _normalize(list(text)) == expected
        for _ in range(5):
            assert _normalize(_split_at(text, [chance.randrange(1000) for _ in range(4)])) == expected

    check_rows(check, load_pairs(TABLE))


def test_the_example_table_is_large_enough() -> None:
    assert len(load_pairs(TABLE)) >= 90


@pytest.mark.parametrize(("text", "written_out"), WRITTEN_OUT)
def test_normalized_text_sounds_like_the_words_written_out(text: str, written_out: str) -> None:
    assert _phonemes(_normalize([text])) == _phonemes(written_out)


_TOKENS = (
    "5 1/2 7:05 3.5 -3 6'2\" °C ° C km /h € $ % – - . , the Nov 21 2026 I II Mr. St. Chapter x a.m. am "
    "no. in. # @ & run http://a.b e.g."
)
_LIKELY = st.lists(st.sampled_from([*_TOKENS.split(), " ", "\n\n"]), max_size=20)


@given(words=_LIKELY, glue=st.sampled_from(["", " "]), cuts=st.lists(st.integers(0, 500), max_size=6))
@settings(max_examples=scaled_examples(150), deadline=None)
def test_any_text_normalizes_alike_whatever_its_chunks(words: list[str], glue: str, cuts: list[int]) -> None:
    text = glue.join(words)
    assert _normalize(_split_at(text, cuts)) == _normalize([text])


@given(text=st.text(max_size=700), cuts=st.lists(st.integers(0, 700), max_size=6))
@settings(max_examples=scaled_examples(80), deadline=None)
def test_random_text_normalizes_alike_whatever_its_chunks(text: str, cuts: list[int]) -> None:
    assert _normalize(_split_at(text, cuts)) == _normalize([text])


@given(
    words=st.lists(
        st.sampled_from(["we", "have", "been", "in", "town,", "saw", "Paris'", "lights.", "Didn't", "they?"])
    )
)
def test_plain_words_are_not_normalized(words: list[str]) -> None:
    text = " ".join(words)
    assert _normalize([text]) == text


def test_a_plain_word_is_emitted_at_once() -> None:
    stream = StreamingNormalizer(ENGLISH)
    assert stream.feed(TextPiece("Hello there ")) == [TextPiece("Hello there")]


def test_a_number_waits_for_the_following_text() -> None:
    stream = StreamingNormalizer(ENGLISH)
    assert stream.feed(TextPiece("It is 5 ")) == [TextPiece("It is")]
    assert stream.feed(TextPiece("°")) == []
    assert stream.feed(TextPiece("C outside ")) == [TextPiece(" five degrees Celsius outside")]


def test_a_flush_emits_the_buffered_text() -> None:
    stream = StreamingNormalizer(ENGLISH)
    assert stream.feed(TextPiece("5 km")) == []
    assert stream.flush() == [TextPiece("Five kilometers")]
    assert stream.finish() == []


def test_a_raw_block_passes_between_normalized_text() -> None:
    stream = StreamingNormalizer(ENGLISH)
    block = TextPiece("[[ 5 km ]]", raw=True)
    emitted = [
        *stream.feed(TextPiece("5 km ")),
        *stream.feed(block),
        *stream.feed(TextPiece(" 1 km")),
        *stream.finish(),
    ]
    assert "".join(piece.text for piece in emitted) == "Five kilometers [[ 5 km ]] One kilometer"
    assert [piece for piece in emitted if piece.raw] == [block]


def test_a_protected_token_is_not_normalized() -> None:
    normalizer = TextNormalizer("en", protected=lambda token: token == "5G")
    other = TextNormalizer("en", protected=lambda token: token in {"25%", "Mr."})
    assert normalizer.normalize("5G or 5 g") == "5G or five grams"
    assert other.normalize("Mr. Smith has 25%, not 30%.") == "Mr. Smith has 25%, not thirty percent."


def test_text_in_an_unknown_language_is_not_normalized() -> None:
    assert _normalize(["5 °C", " Mr. X"], TextNormalizer("tlh")) == "5 °C Mr. X"
    assert StreamingNormalizer(TextNormalizer("tlh")).feed(TextPiece("5 °C")) == [TextPiece("5 °C")]


def test_the_region_of_a_language_does_not_matter() -> None:
    assert (
        TextNormalizer("en_GB").normalize("5 km")
        == TextNormalizer("en-us").normalize("5 km")
        == "Five kilometers"
    )


def test_user_data_extends_the_shipped_data() -> None:
    extra = {"units": {"smoot": {"one": "smoot", "many": "smoots"}}, "phrases": {"HA": "Home Assistant"}}
    normalizer = TextNormalizer("en", extra=extra)
    assert _normalize(["The HA bridge is 364 smoot or 5 km long."], normalizer) == (
        "The Home Assistant bridge is three hundred sixty-four smoots or five kilometers long."
    )


def test_malformed_data_is_rejected() -> None:
    with pytest.raises(ValueError, match=r"do not follow the format of en\.yaml"):
        TextNormalizer("en", extra={"units": {"smoot": {"many": "smoots"}}})


HOSTILE = [
    "5" * 100_000,
    "5 " * 500,
    "$" * 100_000,
    "1,000" * 20_000,
    "[" * 100_000,
    "-" * 100_000,
    "a.b." * 20_000,
    "http://" + "a/" * 50_000,
    "@" * 50_000,
    "1/2/" * 20_000,
    "IVX" * 20_000,
    "a@a." * 20_000,
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_normalized_cheaply(text: str) -> None:
    assert count_lines(lambda: _normalize([text])) < 100 * len(text)


def test_a_long_token_is_neither_lost_nor_buffered() -> None:
    stream = StreamingNormalizer(ENGLISH)
    emitted = "".join(piece.text for _ in range(50) for piece in stream.feed(TextPiece("x" * 100)))
    assert len(emitted) >= 4_700
    assert "".join(piece.text for piece in [*stream.feed(TextPiece(" 5 km")), *stream.finish()]).endswith(
        " five kilometers"
    )


def test_a_megabyte_of_plain_words_is_unchanged() -> None:
    text = "The weather is going to be nice today, and we will walk along the river. " * 14_000
    assert _normalize([text[start : start + 4096] for start in range(0, len(text), 4096)]) == text


def test_words_are_normalized_in_linear_time() -> None:
    words = "The weather is going to be nice today, and we will walk along the river. "
    assert measure_growth(lambda times: _normalize([words] * times), size=50) < 2.1


def test_rules_skipped_for_lack_of_a_digit_would_not_match() -> None:
    thorough = TextNormalizer("en").protecting(protect_nothing)
    assert thorough.language_rules is not None
    rules = tuple(replace(each, needs_digit=False) for each in thorough.language_rules.rules)
    thorough.language_rules = replace(thorough.language_rules, rules=rules)

    def check(text: str, expected: str) -> None:
        for digitless in (expected, "".join(char for char in text if not char.isdigit())):
            assert ENGLISH.normalize(digitless) == thorough.normalize(digitless)

    check_rows(check, load_pairs(TABLE))
