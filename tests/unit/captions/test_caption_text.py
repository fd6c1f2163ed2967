from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.line_counting import measure_growth
from tests.support.timed_words import timed_words
from wyoming_tts.captions import BreakStrength, CaptionText, CaptionWord
from wyoming_tts.speech import SpokenWord


def shown(text: str, words: list[SpokenWord] | None = None) -> str:
    caption = CaptionText(text)
    told = [*caption.add_words(timed_words(text) if words is None else words), *caption.finish()]
    return "".join(word.space + word.text for word in told)


def strengths(text: str, **timing: bool) -> list[str]:
    caption = CaptionText(text)
    told = [*caption.add_words(timed_words(text, **timing)), *caption.finish()]
    return [word.strength.name for word in told]


def words_at(text: str, *spoken: str) -> list[SpokenWord]:
    """These words of a text, in order; what is between them is not spoken."""
    words, position = [], 0
    for number, word in enumerate(spoken):
        position = text.index(word, position)
        end = position + len(word)
        words.append(SpokenWord(word, position, end, position, end, number, number + 0.9))
        position = end
    return words


@pytest.mark.parametrize(
    "text",
    [
        "Hello, world!",
        "She said: “Come (at once).” Then she left…",
        "« Bonjour » dit-il !",
        "„Guten Tag“, sagte er – und ging.",
        "¿Qué? ¡No!",
        "今日は、いい「天気」ですね。",
        "well-known facts; e.g. this",
        '"Quoted," he said.',
        "Wait—what?",
        "4 °C",
    ],
)
def test_punctuation_is_shown_where_it_was_written(text: str) -> None:
    assert shown(text) == text


@pytest.mark.parametrize(
    ("text", "spoken", "expected"),
    [
        ("# Title\n\n**world**, *you*", ("Title", "world", "you"), "Title world, you"),
        ("- one\n- two\n\n---\n* three", ("one", "two", "three"), "one two three"),
        ("Hello\r\n\tworld", ("Hello", "world"), "Hello world"),
        ("> quoted `code` ~~gone~~", ("quoted", "code", "gone"), "quoted code gone"),
        ("<speak>Hi <emphasis>there</emphasis>.</speak>", ("Hi", "there"), "Hi there."),
        ("Go [pause:1s] on. [voice:af_sky] Now", ("Go", "on", "Now"), "Go on. Now"),
        (
            "See [the docs](https://x.org/a), please.",
            ("See", "the", "docs", "please"),
            "See the docs, please.",
        ),
        ("![a cat](a.png) and ![a dog](b.png)", ("a", "cat", "and", "a", "dog"), "a cat and a dog"),
        ("Wow![1] Yes", ("Wow", "Yes"), "Wow! Yes"),
        ("Hi. <think>let me see, hm</think> There.", ("Hi", "There"), "Hi. There."),
        ("Use this:\n```\nx = [1, 2]\n```\n(Done.)", ("Use", "this", "Done"), "Use this: (Done.)"),
        ('Use:\n```\nx = 1\n```\n> "Done," he', ("Use", "Done", "he"), 'Use: "Done," he'),
        ("So 😀, yes 🎉!", ("So", "yes"), "So, yes!"),
        ("A&nbsp;&amp; B", ("A", "&amp;", "B"), "A & B"),
        ("un**believ**able", ("un**believ**able",), "unbelievable"),
        ("fan*tas*tic, *a*b, 3*4", ("fan*tas*tic", "a*b", "3*4"), "fantastic, ab, 3*4"),
        ("a [link](http://x.y) b", ("a", "[link](http://x.y)", "b"), "a link b"),
        ("x\0y z", ("x\0y", "z"), "x y z"),
        ("\ud800 is odd", ("\ud800", "is", "odd"), "\ufffd is odd"),
    ],
)
def test_what_is_not_spoken_is_not_shown(text: str, spoken: tuple[str, ...], expected: str) -> None:
    assert shown(text, words_at(text, *spoken)) == expected


def test_sentences_clauses_and_lines_are_where_a_caption_can_end() -> None:
    assert strengths("One, two three. Four!\nFive") == ["CLAUSE", "WORD", "SENTENCE", "SENTENCE", "SENTENCE"]
    assert strengths("one\ntwo\n\nthree") == ["CLAUSE", "SENTENCE", "SENTENCE"]


def test_no_caption_ends_behind_the_number_of_an_item() -> None:
    assert strengths("To buy:\n1. Milk\n2. Bread") == [
        *("WORD", "CLAUSE"),
        *("WORD", "CLAUSE"),
        *("WORD", "SENTENCE"),
    ]
    assert strengths("Take 2. Then go")[1] == "SENTENCE"
    assert strengths("2024. What a year")[0] == "SENTENCE"
    assert strengths("1.\nMilk")[0] == "SENTENCE"


@pytest.mark.parametrize("text", ["Dr. Smith", "e.g. Berlin", "approx. half"])
def test_a_full_stop_without_a_pause_behind_it_may_be_an_abbreviations(text: str) -> None:
    assert strengths(text, pauses=False)[0] == "WORD"
    assert strengths(text)[0] == "SENTENCE"


def test_a_sentence_goes_on_behind_one_that_it_quotes() -> None:
    assert strengths("“Come!” he said.") == ["CLAUSE", "WORD", "SENTENCE"]
    assert strengths("“Come!”\nhe left")[0] == "SENTENCE"
    assert strengths("“Come!” He left.") == ["SENTENCE", "WORD", "SENTENCE"]


def test_a_voice_that_makes_no_pauses_ends_sentences_too() -> None:
    assert strengths("Open! so", pauses=False) == ["SENTENCE", "SENTENCE"]
    assert strengths("It opened. So be it.", pauses=False)[:2] == ["WORD", "SENTENCE"]


def test_spread_times_tell_nothing_of_pauses() -> None:
    words = [replace(word, estimated=True) for word in timed_words("Dr. Smith")]
    (told,) = CaptionText("Dr. Smith").add_words(words)
    assert told.strength is BreakStrength.WORD


def test_a_long_pause_ends_a_sentence_whatever_is_written() -> None:
    text = "one two"
    one, two = timed_words(text)
    caption = CaptionText(text)
    (told,) = caption.add_words([one, replace(two, start_time=3.0, end_time=4.0)])
    assert told.strength is BreakStrength.SENTENCE


@given(st.text(alphabet="ab .,!?\n*“”([<&", max_size=60), st.integers(1, 5), st.integers(1, 3))
def test_text_and_words_in_any_pieces_give_the_same(text: str, characters: int, told_together: int) -> None:
    words = timed_words(text)
    caption = CaptionText()
    shown_words: list[CaptionWord] = []
    written = 0
    for first in range(0, len(words), told_together):
        group = words[first : first + told_together]
        while written < group[-1].end:
            caption.add_text(text[written : written + characters])
            written += characters
        shown_words += caption.add_words(group)
    caption.add_text(text[written:])
    shown_words += caption.finish()
    whole = CaptionText(text)
    assert shown_words == [*whole.add_words(words), *whole.finish()]


@given(st.text(max_size=80))
def test_every_word_is_shown_in_order_without_line_breaks(text: str) -> None:
    words = timed_words(text)
    caption = CaptionText(text)
    told = [*caption.add_words(words), *caption.finish()]
    assert [word.spoken for word in told] == words
    assert all(word.text and len(word.text.splitlines()) == 1 for word in told)


@pytest.mark.parametrize("hostile", ["<", "](", "[a:", "**", "&", "&#", ".", "“", "x", "\n", " "])
def test_time_is_linear_in_what_is_not_spoken(hostile: str) -> None:
    def show(size: int) -> None:
        text = f"a {hostile * size} b"
        shown(text, words_at(text, "a", "b"))

    assert measure_growth(show, size=3000) < 2.5
