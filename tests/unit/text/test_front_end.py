"""The whole text front end: clean-up, normalization and segmentation together."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.hypothesis_examples import scaled_examples
from tests.support.tables import check_rows, load_pairs
from wyoming_tts.speech import Segment
from wyoming_tts.text.cleaning import CleanupOptions
from wyoming_tts.text.first_segment import FirstSegmentOptions
from wyoming_tts.text.normalization import NormalizerRegistry
from wyoming_tts.text.pause_marks import mark_pauses
from wyoming_tts.text.segments import Segmenter, SegmentOptions

LANGUAGES = ["en", "de", "fr", "es", "it", "nl"]
AS_WRITTEN = SegmentOptions(auto_punctuation="", first_segment=FirstSegmentOptions(boundaries=""))
IN_USE = SegmentOptions(
    sentence_silence=0.2, paragraph_silence=0.5, first_segment=FirstSegmentOptions(max_words=8)
)
SPOKEN = NormalizerRegistry()


def load_table(language: str) -> tuple[tuple[str, str], ...]:
    return load_pairs(Path(__file__).parent / "normalization" / f"spoken_{language}.yaml")


def segment_text(pieces: Iterable[str], language: str, options: SegmentOptions = AS_WRITTEN) -> list[Segment]:
    segmenter = Segmenter(options, language=language, normalizers=SPOKEN.normalizer)
    return [segment for piece in pieces for segment in segmenter.feed(piece)] + segmenter.finish()


def split_at(text: str, positions: Iterable[int]) -> list[str]:
    ends = [0, *sorted({position % (len(text) + 1) for position in positions}), len(text)]
    return [text[start:end] for start, end in pairwise(ends)]


def joined_text(segments: Iterable[Segment]) -> str:
    return " ".join(segment.text for segment in segments)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_is_segmented_and_normalized_to_its_spoken_form(language: str) -> None:
    def check(text: str, spoken_form: str) -> None:
        assert joined_text(segment_text([text], language)) == mark_pauses(spoken_form)

    check_rows(check, load_table(language))


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_default_settings_add_only_a_full_stop(language: str) -> None:
    def check(text: str, spoken_form: str) -> None:
        marked = mark_pauses(spoken_form)
        ending = "" if marked.rstrip('"')[-1] in ".!?" else "."
        spoken = joined_text(segment_text([text], language, IN_USE))
        # a cut before a bracket has no comma
        assert spoken.replace(",", "") == (marked + ending).replace(",", "")

    check_rows(check, load_table(language))


@pytest.mark.slow  # hundreds of cases
@pytest.mark.parametrize("options", [AS_WRITTEN, IN_USE], ids=["as written", "in use"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_segments_of_a_sentence_do_not_depend_on_its_chunks(
    language: str, options: SegmentOptions
) -> None:
    def check(text: str, _spoken_form: str) -> None:
        whole = segment_text([text], language, options)
        chance = random.Random(text)

        assert segment_text(text, language, options) == whole
        for _ in range(2):
            positions = [chance.randrange(len(text)) for _ in range(chance.randrange(1, 6))]
            assert segment_text(split_at(text, positions), language, options) == whole

    check_rows(check, load_table(language))


@pytest.mark.parametrize("language", LANGUAGES)
def test_consecutive_sentences_are_processed_like_each_alone(language: str) -> None:
    # Rows that continue a sentence, or end in an abbreviation that may, are not complete texts.
    rows = [row for row in load_table(language) if row[0][0].isupper() and row[0].endswith((".", "!", "?"))]
    rows = [(text, spoken_form) for text, spoken_form in rows if not text.endswith(("etc.", "usw.", "ecc."))]
    assert len(rows) >= 12
    text = "\n\n".join(text for text, _ in rows)
    assert joined_text(segment_text([text], language)) == " ".join(
        mark_pauses(spoken_form) for _, spoken_form in rows
    )


MARKUP = [
    *[
        "**",
        "*",
        "_",
        "__",
        "~~",
        "`",
        "```\n",
        "```py\nx = 1\n```\n",
        "# ",
        "## ",
        "> ",
        "- ",
        "1. ",
        "* [ ] ",
    ],
    *[
        "| a | b |\n|---|---|\n| 1 | 2 |\n",
        "|",
        "---\n",
        "[text](http://a.b/c)",
        "![x](y)",
        "[",
        "]",
        "(",
        ")",
    ],
    *["<b>", "</b>", "<br>", "<think>", "</think>", "<", ">", "&amp;", "&", "&nbsp;", "<!--", "-->", "<p>"],
    *["[[ ə. ]]", "[[Page|label]]", "[word](/ˈwɜːd/)", "[1]", "[2, 3]", "(a)", "(the man)", "...", "…"],
    *[
        "$x^2$",
        "$",
        "$$",
        "\\(a \\leq b\\)",
        "\\frac{1}{2}",
        "\\[",
        "\\]",
        ":)",
        ":",
        "<3",
        "I ",
        "\x1b[0m",
        "✓",
        "☐ ",
    ],
    *["[[ həˈloʊ ]]", "[[", "]]", "[[ a. B ]]", "\\", "\\*", "==", "【1】", "[^1]", "\n", "\n\n"],
]
TAGS = ["[voice:amy]", "[voice:]", "[lang:de]", "[lang:]", "[pause:1s]", "[pause:", "[voice:", "[[voice:x]]"]
ABBREVIATIONS = [
    *["Dr.", "Mr.", "e.g.", "i.e.", "etc.", "a.m.", "No.", "St.", "z. B.", "d. h.", "usw.", "Nr.", "v. Chr."],
    *["U.S.", "Nov.", "Mon", "Sun.", "in.", "ca.", "I", "II", "IV", "x", "vs."],
]
FIGURES = [
    *[
        "5",
        "0",
        "12",
        "1,234",
        "1.234,5",
        "3.5",
        "-7",
        "1/2",
        "½",
        "7:05",
        "19:30",
        "2026-11-21",
        "21.11.",
        "5.",
    ],
    *[
        "°C",
        "°",
        "C",
        "km/h",
        "km",
        "/h",
        "%",
        "€",
        "$",
        "m²",
        "µg/m³",
        "5–7",
        "–",
        "±",
        "#",
        "@",
        "v2.5",
        "1st",
    ],
    *["http://a.b/c", "a@b.de", "192.168.1.1", "12 ", "Uhr", "million", "Mio."],
]
WORDS = [
    *["the", "Door", "is", "Open.", "Why?", "Ja!", "und", "Äpfel", "well-known", "don't", "…", "...", "!?"],
    *[
        "你好。",
        "كيف؟",
        "é",
        "e\u0301",
        "👍",
        "❤\ufe0f",
        "1\ufe0f\u20e3",
        "\u200d",
        "\x00",
        "\ud800",
        "“",
        "”",
        '"',
    ],
]
FRAGMENTS = st.sampled_from(MARKUP + TAGS + ABBREVIATIONS + FIGURES + WORDS)
GAPS = st.sampled_from(["", "", " ", " ", " ", "  ", "\n", "\n\n", "\u00a0"])
TEXTS = st.lists(st.tuples(FRAGMENTS, GAPS).map("".join), max_size=40).map("".join)
CHOSEN = st.builds(
    SegmentOptions,
    sentence_silence=st.just(0.2),
    line_silence=st.just(0.3),
    paragraph_silence=st.sampled_from([0.0, 0.5]),
    max_segment_chars=st.sampled_from([20, 60, 500]),
    first_segment=st.sampled_from([FirstSegmentOptions(), FirstSegmentOptions(max_words=4)]),
    voice_tags=st.booleans(),
)


@pytest.mark.parametrize("language", ["en", "de", ""])
@settings(max_examples=scaled_examples(150), deadline=None)
@given(text=TEXTS, options=CHOSEN, positions=st.lists(st.integers(0, 400), max_size=10))
def test_the_segments_of_any_text_do_not_depend_on_its_chunks(
    language: str, text: str, options: SegmentOptions, positions: list[int]
) -> None:
    whole = segment_text([text], language, options)

    assert segment_text(split_at(text, positions), language, options) == whole
    assert segment_text(text, language, options) == whole


@pytest.mark.parametrize(
    ("language", "text"),
    [
        pytest.param("fr", "M> : e\n\nm."),
        pytest.param("en", "05 I: [[]]\n\ns]"),
        pytest.param("fr", "d h g: [[]]\n\ne."),
    ],
)
def test_a_partial_word_after_a_blank_line_splits_no_more_than_the_whole_text(
    language: str, text: str
) -> None:
    assert segment_text(text, language, IN_USE) == segment_text([text], language, IN_USE)


def test_escaped_asterisks_are_no_emphasis_and_kept_where_nothing_is_normalized() -> None:
    assert joined_text(segment_text(["It is \\*here\\*. Then go."], "")) == "It is *here*. Then go."


@pytest.mark.parametrize("text", ["\\*u\\*=\n\nNext.", "It is \\*here\\*. Then go."])
def test_literal_asterisks_at_words_are_not_said(text: str) -> None:
    plain = text.replace("\\*", "")
    assert joined_text(segment_text([text], "en")) == joined_text(segment_text([plain], "en"))


def test_asterisks_are_text_when_markdown_is_off() -> None:
    options = replace(AS_WRITTEN, cleanup=CleanupOptions(markdown=False))
    assert joined_text(segment_text(["It is *here*. Then go."], "", options)) == "It is *here*. Then go."


@pytest.mark.parametrize("address", ["http://a.b/c²", "http://a.b/①x", "http://a.b/c٣"])
def test_unicode_digits_in_an_address_are_handled(address: str) -> None:
    assert joined_text(segment_text([f"See {address} now."], "en")).startswith("See a dot b slash")


PLAIN_WORDS = st.lists(
    st.sampled_from(
        ["the", "door", "Garden", "is", "open,", "Why?", "Apples.", "Nobody", "knows;", "she", "Läuft!"]
    ),
    min_size=1,
    max_size=80,
)


@pytest.mark.parametrize("language", ["en", "de", ""])
@settings(max_examples=scaled_examples(80), deadline=None)
@given(words=PLAIN_WORDS, options=CHOSEN, size=st.integers(1, 30))
def test_no_word_is_lost_or_duplicated(
    language: str, words: list[str], options: SegmentOptions, size: int
) -> None:
    text = " ".join(words)
    pieces = [text[start : start + size] for start in range(0, len(text), size)]
    segments = segment_text(pieces, language, options)

    expected_words = [word.strip(",.;?!") for word in words]
    assert [word.strip(",.;?!") for word in joined_text(segments).split()] == expected_words


def test_a_code_fence_starting_mid_line_does_not_swallow_the_following_text() -> None:
    text = "Here you are: ```py\nprint(1)\n```\nThat was all."
    assert joined_text(segment_text([text], "en")).endswith("That was all.")


SENTENCES = {
    "en": [
        "The light in the kitchen is on.",
        "Nobody is at home now.",
        "It is warm outside!",
        "Do you want to know more?",
        "Then ask me.",
    ],
    "de": [
        "Das Licht in der Küche brennt.",
        "Niemand ist zu Hause.",
        "Draußen scheint die Sonne!",
        "Möchtest du mehr wissen?",
        "Dann frage mich.",
    ],
}


def emission_times(pieces: Iterable[str], language: str) -> tuple[list[str], list[str]]:
    """Emitted segments, and for each the index of the piece after which it was emitted."""
    segmenter = Segmenter(AS_WRITTEN, language=language, normalizers=SPOKEN.normalizer)
    emitted, brought_by = [], []
    for piece in pieces:
        for segment in segmenter.feed(piece):
            emitted.append(segment.text)
            brought_by.append(piece.strip())
    return emitted, brought_by


@pytest.mark.parametrize("lead", [True, False], ids=["space before", "space behind"])
@pytest.mark.parametrize("language", ["en", "de", "fr", ""])
def test_a_sentence_is_emitted_at_the_start_of_the_next_word(language: str, lead: bool) -> None:  # noqa: FBT001
    sentences = SENTENCES["de" if language == "de" else "en"]
    words = " ".join(sentences).split()
    emitted, brought_by = emission_times((f" {word}" if lead else f"{word} " for word in words), language)

    assert emitted == sentences[:-1]
    assert brought_by == [sentence.split()[0] for sentence in sentences[1:]]


@pytest.mark.parametrize("language", ["en", "de", ""])
def test_a_sentence_is_emitted_at_the_first_letter_of_the_next_one(language: str) -> None:
    sentences = SENTENCES["de" if language == "de" else "en"]
    emitted, brought_by = emission_times(" ".join(sentences), language)

    assert emitted == sentences[:-1]
    assert brought_by == [sentence[0] for sentence in sentences[1:]]


def test_a_sentence_ending_in_a_number_is_emitted_after_the_next_complete_word() -> None:
    sentences = ["It is 25 °C outside.", "The battery is at 80 %.", "Dinner is at 7:30."]
    words = " ".join([*sentences, "Enjoy your evening everyone."]).split()
    emitted, brought_by = emission_times((f"{word} " for word in words), "en")

    assert emitted == [
        "It is twenty-five degrees Celsius outside.",
        "The battery is at eighty percent.",
        "Dinner is at seven thirty.",
    ]
    assert brought_by == ["The", "is", "your"]
