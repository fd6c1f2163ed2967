"""Offsets through the lexicon and the default pronunciations."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.hypothesis_examples import scaled_examples
from tests.support.offsets import character_spans, check_offsets, word_spans
from tests.support.tables import check_rows
from tests.unit.text.lexicon.test_rules import ANY_VOICE, DEFAULTS, pattern, word
from tests.unit.text.pronunciation.test_pronunciations import load_heteronyms, load_letters
from wyoming_tts.offset_text import OffsetText
from wyoming_tts.text.lexicon.places import Scope
from wyoming_tts.text.lexicon.rules import EMPTY_LEXICON, Lexicon, phoneme_block
from wyoming_tts.text.pronunciation import load_pronunciations

LEXICON = Lexicon(
    [
        word("Siobhan", phoneme_block("ʃɪˈvɔːn"), scope=Scope()),
        word("kWh", "kilowatt hours"),
        word("living room lamp", "lamp of the living room"),
        word("Home Assistant", "Home Assistent"),
        word("東京", "とうきょう", scope=Scope()),
        pattern(r"v(\d+)\.(\d+)", r"version \1 point \2"),
        pattern(r"(\w+) St\b", r"\1 Street"),
    ]
)


def written_for(text: str, lexicon: Lexicon = LEXICON, *, language: str = "en") -> list[tuple[str, str]]:
    """The words that differ from what is written, with that."""
    result = lexicon.apply(
        OffsetText.written(text), language=language, voice=ANY_VOICE, defaults=load_pronunciations(language)
    )
    found = [(said, text[span.begin : span.end]) for said, span in word_spans(result.text) if span]
    return [(said, written) for said, written in found if said != written]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ask Siobhan.", [("[[ʃɪˈvɔːn]]", "Siobhan")]),
        ("Siobhan's cat", [("[[ʃɪˈvɔːnz]]", "Siobhan's")]),
        ("It took 5 kWh, it did.", [("kilowatt", "kWh"), ("hours", "kWh")]),
        ("The home assistant is up.", [("Home", "home assistant"), ("Assistent", "home assistant")]),
        ("The Home Assistant is up.", [("Assistent", "Assistant")]),
        ("Install v1.23, now", [(said, "v1.23") for said in ("version", "1", "point", "23")]),
        ("In Main St now", [("Street", "St")]),
        ("去東京吧", [(kana, "東京") for kana in ("と", "う", "きょ", "う")]),
        ("I read option A, hmm.", [("reed", "read"), ("eigh", "A"), ("[[hmː]]", "hmm")]),
    ],
)
def test_a_replacement_stands_for_the_words_that_were_matched(
    text: str, expected: list[tuple[str, str]]
) -> None:
    assert written_for(text) == expected


def test_what_was_replaced_before_stands_for_what_was_written() -> None:
    text = OffsetText.written("5 kWh") + " " + OffsetText.written("Siobhan", 20)
    result = LEXICON.apply(text[2:], language="en", voice=ANY_VOICE)
    assert [span for _, span in word_spans(result.text)] == [(2, 5), (2, 5), (20, 27)]


def test_hits_and_text_without_hits_stay_as_they_are() -> None:
    text = OffsetText.written("nothing here")
    assert LEXICON.apply(text, language="en", voice="").text is text
    assert EMPTY_LEXICON.apply(text, language="en", voice="").text is text
    [hit] = LEXICON.apply(OffsetText.written("kWh"), language="en", voice="").hits
    assert type(hit.written) is str


_TEXTS = st.lists(
    st.sampled_from(
        ["Siobhan", "'s", " ", " ", "kWh", "living room lamp", "v1.2", "Main St", "A", "[[x]]", ", ", "tear"]
    )
    | st.text(max_size=4),
    max_size=12,
).map("".join)


@settings(max_examples=scaled_examples(200), deadline=None)
@given(_TEXTS)
def test_offsets_of_any_text_lead_to_it(text: str) -> None:
    plain = LEXICON.apply(text, language="en", voice=ANY_VOICE, defaults=DEFAULTS)
    result = LEXICON.apply(OffsetText.written(text), language="en", voice=ANY_VOICE, defaults=DEFAULTS)
    assert result == plain
    check_offsets([result.text], text)
    assert all(span is not None for _, span in character_spans(result.text))


def test_offsets_of_the_examples_of_pronunciations_lead_to_them() -> None:
    def check(language: str, text: str) -> None:
        result = EMPTY_LEXICON.apply(
            OffsetText.written(text), language=language, voice="", defaults=load_pronunciations(language)
        )
        check_offsets([result.text], text)
        assert all(span is not None for _, span in character_spans(result.text))

    letters = [(language, text) for language, text, _ in load_letters()]
    check_rows(check, [*letters, *(("en", text) for text, _ in load_heteronyms())])
