from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wyoming_tts.engines.espeak_text import (
    PIECE_WEIGHT,
    pieces_with_phonemes,
    plain_pieces,
    ssml_pieces,
)


def texts(text: str) -> list[str]:
    return [piece.text for piece in plain_pieces(text)]


def marked(markup: str) -> list[str]:
    return [piece.text for piece in ssml_pieces(markup)]


def test_a_sentence_is_one_piece_and_unchanged() -> None:
    sentence = "Don't forget: the U.S. office (3.5 km) opens at 10:30, for $5 or 50% off."
    assert texts(sentence) == [sentence]


def test_long_text_is_cut_after_punctuation_and_the_pause_there_is_kept() -> None:
    pieces = list(plain_pieces("The door is open, and the tea is ready. " * 20))
    assert len(pieces) > 2
    assert all(piece.text.rstrip()[-1] in ",." for piece in pieces)
    assert [piece.pause_after for piece in pieces] == [True] * (len(pieces) - 1) + [False]


def test_text_without_punctuation_is_cut_between_words() -> None:
    pieces = list(plain_pieces("word " * 200))
    assert len(pieces) > 2
    assert all(set(piece.text.split()) == {"word"} for piece in pieces)
    assert not any(piece.pause_after for piece in pieces)


def test_what_takes_long_to_say_is_cut_shorter() -> None:
    assert len(max(texts("*" * 1000), key=len)) < len(max(texts("9" * 1000), key=len))
    assert len(max(texts("9" * 1000), key=len)) < len(max(texts("x" * 1000), key=len))


@pytest.mark.parametrize(
    ("word", "spaced"),
    [
        ("---लच्छेद", "--- लच्छेद"),
        ("<-I", "<- I"),
        ("HelloПривет", "Hello Привет"),
        ("東京タワーへ行く", "東京タワーへ行く"),
        ("はい、行く", "はい、 行く"),
        ("नमस्ते", "नमस्ते"),
        ("cafe\u0301s", "cafe\u0301s"),
    ],
)
def test_words_are_broken_only_where_the_library_stumbles(word: str, spaced: str) -> None:
    assert texts(word) == [spaced]


def test_commands_to_the_library_and_half_characters_are_taken_out() -> None:
    assert texts("a\x01b\x00c\ue03cd\ud800e") == ["a b c de"]


@given(st.text())
def test_no_plain_text_is_lost_or_doubled(text: str) -> None:
    readable = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")
    whole = "".join(texts(text))
    whole.encode()  # would fail on half characters
    if text.isascii():
        assert readable.sub("", whole) == readable.sub("", text)


@given(st.text(alphabet=st.sampled_from("<>/&;'\"= abps1.-!")) | st.text())
def test_any_markup_gives_bounded_pieces(markup: str) -> None:
    for piece in ssml_pieces(markup * 20):
        assert len(piece.text) < 20 * PIECE_WEIGHT


def test_text_is_worked_through_as_it_is_asked_for() -> None:
    started = time.perf_counter()
    next(plain_pieces("x" * 3_000_000))
    next(ssml_pieces("word " * 600_000))
    assert time.perf_counter() - started < 0.5


@pytest.mark.parametrize(
    "unit", ["<", "<a ", "<!--", "<![CDATA[", "</s>", "<s>", "&", "<break/>", "<sub alias='x'>"]
)
def test_hostile_markup_takes_linear_time(unit: str) -> None:
    started = time.perf_counter()
    list(ssml_pieces(unit * (50_000 // len(unit))))
    assert time.perf_counter() - started < 3


def test_markup_is_never_cut_and_open_elements_are_opened_again() -> None:
    pieces = marked("<speak><prosody rate='fast'>" + "The tea is ready. " * 40 + "</prosody> Done.</speak>")
    assert len(pieces) > 2
    assert all(piece.startswith('<speak><prosody rate="fast">') for piece in pieces)
    assert pieces[-1].endswith("</prosody> Done.</speak>")


def test_what_is_no_markup_is_text() -> None:
    assert marked("a < b & c &lt;d&gt;") == ["a &lt; b &amp; c &lt;d&gt;"]


def test_entities_cannot_bring_back_commands() -> None:
    assert marked("a&#1;b&#0;c") == ["ab\ufffdc"]


def test_unknown_elements_lose_their_tags_and_keep_their_text() -> None:
    assert marked("<b>bo</b>ld <audio src='/etc/passwd'>text</audio>") == ["bold text"]
    assert marked("<!-- no --><?xml version='1.0'?><![CDATA[a<b]]>") == ["a&lt;b"]


def test_what_is_not_for_speaking_is_left_out() -> None:
    assert marked("one <metadata>two <s>three</s></metadata>four") == ["one four"]
    assert marked("<sub alias='World Wide Web'>WWW</sub>") == ["World Wide Web"]


def test_breaks_are_bounded() -> None:
    assert marked("<break time='99h'/>") == ["<break/>"]
    assert marked("<break time='1.5s'/>") == ['<break time="1500ms"/>']
    assert marked("<break time='999999s' strength='weak'/>") == ['<break strength="weak" time="10000ms"/>']


def test_a_quote_in_an_attribute_cannot_end_it() -> None:
    assert marked("<voice name='a\"b\\'>x</voice>") == ['<voice name="ab">x</voice>']


def test_elements_nest_only_so_deep() -> None:
    (piece,) = marked("<s>" * 14 + "x")
    assert piece.count("<s>") == 12


ENGLISH = frozenset({"S", "I", "v", "O:", "n", "b", "i:"})


def phonemic(text: str) -> list[str]:
    return [piece.text for piece in pieces_with_phonemes(text, ENGLISH)]


def test_ipa_becomes_mnemonics_and_other_brackets_are_taken_apart() -> None:
    (piece,) = phonemic("Ask [[ʃɪˈvɔːn biː]]. [[Main Page]] [[ x")
    assert piece.split() == ["Ask", "[[SI'vO:n]]", "[[bi:]].", "Main", "Page", "x"]


def test_phonemes_that_never_end_are_given_in_bounded_pieces() -> None:
    pieces = phonemic(f"[[{'biː ' * 100}]]" * 5)
    assert sum(piece.count("[[bi:]]") for piece in pieces) == 500
    assert max(map(len, pieces)) < 1500


@pytest.mark.parametrize("unit", ["[[", "[[b]]", "[[b", "]]", "[[b "])
def test_hostile_brackets_take_linear_time(unit: str) -> None:
    begun = time.process_time()
    text = unit * (20_000 // len(unit))
    phonemic(text)
    assert time.process_time() - begun < 1
