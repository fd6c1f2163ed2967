"""Offsets from end to end: the words that an engine speaks lead back to the text as it was written."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.hypothesis_examples import scaled_examples
from tests.support.offsets import check_offsets, word_spans
from tests.support.tables import check_rows
from tests.unit.text.test_front_end import LANGUAGES, SPOKEN, load_table
from tests.unit.text.test_front_end_attacks import PROSE
from wyoming_tts.errors import MalformedMarkup
from wyoming_tts.offset_text import Span, join_texts
from wyoming_tts.speech import Segment, TextFormat
from wyoming_tts.text.cleaning import CleanupOptions
from wyoming_tts.text.first_segment import FirstSegmentOptions
from wyoming_tts.text.lexicon.patterns import PatternRule
from wyoming_tts.text.lexicon.rules import Lexicon, WordRule
from wyoming_tts.text.pronunciation import load_pronunciations
from wyoming_tts.text.scripts import ScriptMode
from wyoming_tts.text.segments import Segmenter, SegmentOptions

LEXICON = Lexicon(
    [
        WordRule("Siobhan", "[[ʃɪˈvɔːn]]", exact=False),
        WordRule("Home Assistant", "the house", exact=False),
        PatternRule(r"room (\w)\b", r"chamber \1", exact=True),
    ]
)
EARLY = SegmentOptions(first_segment=FirstSegmentOptions(max_words=4), voice_tags=True, pause_tags=True)
SHORT = SegmentOptions(max_segment_chars=30, scripts=ScriptMode.SPELL)
NAMED = SegmentOptions(cleanup=CleanupOptions(emoji="name"), scripts=None)
OPTIONS = [SegmentOptions(), EARLY, SHORT, NAMED]


def spoken_texts(
    pieces: Iterable[str], options: SegmentOptions, language: str, text_format: TextFormat
) -> list[str]:
    """What engines are given for a text; of malformed SSML what is before the error."""
    segmenter = Segmenter(options, language=language, normalizers=SPOKEN.normalizer, text_format=text_format)
    segments: list[Segment] = []
    try:
        for piece in pieces:
            segments += segmenter.feed(piece)
        segments += segmenter.finish()
    except MalformedMarkup:
        pass
    return [_apply_lexicon(segment, language) for segment in segments]


def _apply_lexicon(segment: Segment, language: str) -> str:
    language = (segment.voice and segment.voice.language) or language
    defaults = load_pronunciations(language)
    return LEXICON.apply(segment.text, language=language, voice="", defaults=defaults).text


def written_words(
    text: str,
    *,
    pieces: Iterable[str] | None = None,
    options: SegmentOptions = EARLY,
    language: str = "en",
    ssml: bool = False,
) -> list[tuple[str, Span]]:
    """The words with their spans; those that are spoken for one that was written are one."""
    text_format = TextFormat.SSML if ssml else TextFormat.PLAIN
    spoken = spoken_texts([text] if pieces is None else pieces, options, language, text_format)
    found: list[Span] = []
    for _, span in (word for each in spoken for word in word_spans(each)):
        if span and found and span.begin < found[-1].end:
            found[-1] = Span(found[-1].begin, max(found[-1].end, span.end))
        elif span:
            found.append(span)
    assert all(before.end <= after.begin for before, after in pairwise(found))
    return [(text[span.begin : span.end], span) for span in found]


def divisions(text: str) -> list[list[str]]:
    """A text letter by letter, and by words."""
    words = text.split(" ")
    return [list(text), [f"{word} " for word in words[:-1]] + words[-1:]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It is 25 °C, really.", "It|is|25 °C|really"),
        ("**Bold** and _so on_, `x = 1`.", "Bold|and|so|on|x|=|1"),
        ("# Title\n\n- one\n- two 👍\n", "Title|one|two"),
        ("See [the map](https://example.com/a?b=c) now.", "See|the|map|now"),
        ("A <b>very</b> fine &amp; old day.", "A|very|fine|&amp;|old|day"),
        ("<think>What to say?</think>Yes, 3 km.", "Yes|3 km"),
        ("Call Siobhan's Home Assistant, room B.", "Call|Siobhan's|Home Assistant|room|B"),
        ("Say [[ həˈloʊ ]] twice… (or more).", "Say|[[ həˈloʊ ]]|twice|or|more"),
        ("He said Привет, друг, and left.", "He|said|Привет|друг|and|left"),
        ("今天25℃。", "今|天|25℃"),
        ("[voice:joe]Hello 2 you[voice:] and [pause:1s] me.", "Hello|2|you|and|me"),
        (
            "See <https://a.org>, (www.b.org/c?d). Or https://e.org.",
            "See|https://a.org|www.b.org/c?d|Or|https://e.org",
        ),
        ("Dr. Smith, 5 May 2024 at 3:30 p.m.", "Dr.|Smith|5 May 2024|at|3:30 p.m."),
    ],
)
def test_words_are_those_that_were_written(text: str, words: str) -> None:
    assert "|".join(word for word, _ in written_words(text)) == words
    for pieces in divisions(text):
        assert written_words(text, pieces=pieces) == written_words(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<speak>Hi <emphasis>you</emphasis>, &lt;3 km.</speak>", "Hi|you|&lt;3 km"),
        (
            "<speak>On <say-as interpret-as='date' format='mdy'>5/3/2024</say-as> too</speak>",
            "On|5/3/2024|too",
        ),
        (
            "<speak><say-as interpret-as='characters'>ab</say-as> <s>So</s><s>it is</s></speak>",
            "a|b|So|it|is",
        ),
        ("<speak>A <sub alias='World Wide Web'>WWW</sub> page<break time='1s'/>!</speak>", "A|WWW|page"),
        ("<speak>At <phoneme ph='həˈloʊ'>hello</phoneme> <voice name='x'>me</voice></speak>", "At|hello|me"),
        ("<speak><lang xml:lang='de'>z. B. 5 €</lang></speak>", "z. B.|5 €"),
    ],
)
def test_words_of_ssml_are_those_that_were_written(text: str, words: str) -> None:
    assert "|".join(word for word, _ in written_words(text, ssml=True)) == words
    for pieces in divisions(text):
        assert written_words(text, pieces=pieces, ssml=True) == written_words(text, ssml=True)


@pytest.mark.parametrize("language", LANGUAGES)
def test_words_of_every_example_do_not_depend_on_its_chunks(language: str) -> None:
    def check(text: str, _spoken: str) -> None:
        words = written_words(text, language=language)
        assert words
        for pieces in divisions(text):
            assert written_words(text, pieces=pieces, language=language) == words

    check_rows(check, load_table(language))


_TOKENS = [
    *PROSE.split(" "),
    *(
        "**",
        "_x_",
        "`",
        "[a](b)",
        "5",
        "°C",
        "$3",
        "Dr.",
        "1/2",
        "[voice:x]",
        "[voice:]",
        "[pause:1s]",
        "</b>",
    ),
    *(
        "Siobhan",
        "room B",
        "Привет",
        "你好",
        "25℃",
        "👍",
        "[[ a ]]",
        "<think>",
        "</think>",
        "&amp;",
        "…",
        "(",
        ")",
    ),
]
_TEXTS = st.lists(
    st.sampled_from([*_TOKENS, " ", " ", ". ", ", ", "\n", "\n\n"]) | st.text(max_size=3), max_size=25
).map("".join)


@settings(max_examples=scaled_examples(80), deadline=None)
@given(_TEXTS, st.sampled_from(OPTIONS), st.sampled_from(["en", "de", "zh", "ru"]), st.integers(1, 12))
def test_offsets_of_any_text_lead_to_it_and_do_not_depend_on_its_chunks(
    text: str, options: SegmentOptions, language: str, size: int
) -> None:
    words = written_words(text, options=options, language=language)
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    assert written_words(text, pieces=pieces, options=options, language=language) == words
    check_offsets(spoken_texts([text], options, language, TextFormat.PLAIN), text, are_apart=False)


_MARKUP = [
    *("<p>", "</p>", "<s>", "</s>", "<break/>", "<sub alias='x y'>", "</sub>", "<!-- -->", "&amp;"),
    *("<say-as interpret-as='ordinal'>", "</say-as>", "<lang xml:lang='de'>", "</lang>"),
    *("3", "km", "a word", " ", ". ", "Привет"),
]
_SSML = st.lists(
    st.sampled_from(_MARKUP),
    max_size=14,
).map(lambda parts: f"<speak>{''.join(parts)}")


@settings(max_examples=scaled_examples(80), deadline=None)
@given(_SSML, st.integers(1, 12))
def test_offsets_of_any_ssml_lead_to_it_and_do_not_depend_on_its_chunks(text: str, size: int) -> None:
    words = written_words(text, ssml=True)
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    assert written_words(text, pieces=pieces, ssml=True) == words
    check_offsets(spoken_texts([text], EARLY, "en", TextFormat.SSML), text, are_apart=False)


def test_a_text_of_many_kinds_is_written_where_its_words_are() -> None:
    words = written_words(PROSE * 2)
    assert len(words) == 2 * (len(words) // 2)
    for (word, span), (again, later) in zip(words, words[len(words) // 2 :], strict=False):
        assert (word, span.begin + len(PROSE)) == (again, later.begin)


def test_joined_segments_hold_no_character_twice() -> None:
    spoken = spoken_texts([PROSE], EARLY, "en", TextFormat.PLAIN)
    check_offsets([join_texts(spoken)], PROSE)
