"""Text with offsets: where the characters of a processed text were written."""

from __future__ import annotations

import copy
import pickle
import re
from itertools import pairwise
from typing import cast

import pytest
import regex  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from wyoming_tts.offset_text import (
    OffsetBuffer,
    OffsetText,
    Span,
    group,
    join_texts,
    replace_words,
    split_text,
    standing_for,
    substitute,
    with_offsets_of,
)

TEXT = "It is 25 °C in Ulm."
WRITTEN = OffsetText.written(TEXT)


def offsets_of(text: str) -> list[Span | None]:
    """What each character stands for."""
    return [OffsetText.of(text[at : at + 1]).span for at in range(len(text))]


def copies(begin: int, end: int) -> list[Span | None]:
    return [Span(at, at + 1) for at in range(begin, end)]


def test_a_written_text_is_a_string_whose_characters_know_their_offsets() -> None:
    text = OffsetText.written("abc", 7)

    assert text == "abc"
    assert hash(text) == hash("abc")
    assert offsets_of(text) == [(7, 8), (8, 9), (9, 10)]
    assert text.span == (7, 10)


def test_inserted_text_stands_for_nothing() -> None:
    assert OffsetText.of("abc").span is None
    assert OffsetText.of(WRITTEN) is WRITTEN
    assert OffsetText.written("").span is None


bounds = st.none() | st.integers(-25, 25)


@given(bounds, bounds, st.none() | st.integers(1, 3) | st.integers(-3, -1))
def test_a_slice_keeps_offsets(start: int | None, stop: int | None, step: int | None) -> None:
    key = slice(start, stop, step)

    assert WRITTEN[key] == TEXT[key]
    assert offsets_of(WRITTEN[key]) == copies(0, len(TEXT))[key]


def test_a_single_character_is_plain() -> None:
    assert WRITTEN[6] == "2"
    assert type(WRITTEN[6]) is str


pieces = st.lists(
    st.text("ab ", max_size=3)
    | st.builds(OffsetText.written, st.text("cd ", max_size=4), st.integers(0, 50)),
    max_size=6,
)


@given(pieces)
def test_joined_texts_keep_the_offsets_of_each(parts: list[str]) -> None:
    added: str = ""
    for part in parts:
        added += part

    assert join_texts(parts) == added == "".join(parts)
    assert (
        offsets_of(join_texts(parts))
        == offsets_of(added)
        == [at for part in parts for at in offsets_of(part)]
    )


@given(pieces)
def test_texts_are_joined_by_a_separator_that_was_inserted(parts: list[str]) -> None:
    joined = join_texts(parts, ", ")

    assert joined == ", ".join(parts)
    assert [at for at in offsets_of(joined) if at] == [at for part in parts for at in offsets_of(part) if at]


@given(st.text("a, ", max_size=8), st.sampled_from([",", ", *", " +"]))
def test_a_split_text_keeps_offsets(text: str, pattern: str) -> None:
    expression = re.compile(pattern)
    parts = split_text(expression, OffsetText.written(text))
    said = [at for part in parts for at in offsets_of(part)]

    assert said == [at for at in copies(0, len(text)) if at in said]
    assert parts == split_text(expression, text) == expression.split(text)


def test_joined_plain_texts_are_plain() -> None:
    assert type(join_texts(["a", "b"])) is str
    assert join_texts([]) == ""


@given(st.text(" .a", max_size=8), st.none() | st.sampled_from([".", " .", "a"]))
def test_stripped_text_keeps_offsets(text: str, chars: str | None) -> None:
    written = OffsetText.written(text)
    begin = len(text) - len(text.lstrip(chars))
    end = len(text.rstrip(chars))

    assert written.lstrip(chars) == text.lstrip(chars)
    assert written.rstrip(chars) == text.rstrip(chars)
    assert written.strip(chars) == text.strip(chars)
    assert offsets_of(written.lstrip(chars)) == copies(begin, len(text))
    assert offsets_of(written.rstrip(chars)) == copies(0, end)
    assert offsets_of(written.strip(chars)) == copies(begin, end)


@given(st.text("ab", max_size=4), st.text("ab", max_size=3))
def test_text_without_a_prefix_keeps_offsets(text: str, prefix: str) -> None:
    shortened = OffsetText.written(text).removeprefix(prefix)

    assert shortened == text.removeprefix(prefix)
    assert offsets_of(shortened) == copies(len(text) - len(shortened), len(text))


def test_a_replacement_stands_for_all_that_it_replaces() -> None:
    said = standing_for("degrees Celsius", WRITTEN[9:11])

    assert said == "degrees Celsius"
    assert set(offsets_of(said)) == {(9, 11)}


def test_a_replacement_of_inserted_text_is_inserted() -> None:
    assert type(standing_for("two", "2")) is str
    assert type(standing_for("two", OffsetText.of("2"))) is str


def test_a_replacement_of_a_replacement_stands_for_what_was_written() -> None:
    said = standing_for("kelvin", cast("OffsetText", standing_for("degrees", WRITTEN[9:11]))[:3])

    assert set(offsets_of(said)) == {(9, 11)}


def test_characters_that_are_replaced_one_by_one_keep_their_offsets() -> None:
    assert offsets_of(with_offsets_of("ULM", WRITTEN[15:18])) == copies(15, 18)
    assert type(with_offsets_of("ULM", "Ulm")) is str
    with pytest.raises(ValueError, match="expected as many"):
        with_offsets_of("ULM.", WRITTEN[15:18])


@given(st.text("ab ", max_size=8), st.sampled_from(["a", "b*", " +", "ab|b"]), st.sampled_from(["", "xy"]))
def test_a_substitution_makes_the_text_that_the_pattern_makes(
    text: str, pattern: str, replacement: str
) -> None:
    expression = re.compile(pattern)
    expected = expression.sub(replacement, text)

    assert substitute(expression, lambda _: replacement, text) == expected
    assert substitute(expression, replacement, OffsetText.written(text)) == expected


def test_a_group_of_a_match_keeps_offsets() -> None:
    found = re.search(r"(?P<number>\d+)(?P<unit> °C)?(?P<missing>!)?", WRITTEN)
    assert found is not None

    assert group(found) == "25 °C"
    assert offsets_of(group(found, "number")) == copies(6, 8)
    assert group(found, "missing") == ""


def test_a_copy_is_a_plain_string() -> None:
    for made in (copy.copy(WRITTEN), pickle.loads(pickle.dumps(WRITTEN))):
        assert made == TEXT
        assert type(made) is str


_WRITTEN = OffsetText.written("read chapter IV now")


def _spans(text: str) -> list[tuple[str, Span | None]]:
    """Each word of a text with the span that it stands for."""
    assert isinstance(text, OffsetText)
    words = []
    for match in regex.finditer(r"\S+", text):
        word = group(match)
        assert isinstance(word, OffsetText)
        words.append((str(word), word.span))
    return words


def test_what_a_pattern_replaces_is_what_its_replacement_stands_for() -> None:
    found = substitute(regex.compile(r"IV|(?P<first>r)e"), lambda match: match["first"] or "four", _WRITTEN)
    assert _spans(found) == [
        ("rad", Span(0, 4)),
        ("chapter", Span(5, 12)),
        ("four", Span(13, 15)),
        ("now", Span(16, 19)),
    ]


def test_a_template_of_groups_works_as_in_sub() -> None:
    pattern = regex.compile(r"(\w+) (\w+)")
    found = substitute(pattern, r"\2 \1", _WRITTEN)
    assert found == pattern.sub(r"\2 \1", str(_WRITTEN))
    assert _spans(found)[:2] == [("chapter", Span(0, 12)), ("read", Span(0, 12))]


def test_a_replacement_with_offsets_keeps_them() -> None:
    found = substitute(regex.compile(r"(\w+) (\w+)"), lambda match: group(match, 2), _WRITTEN)
    assert _spans(found) == [("chapter", Span(5, 12)), ("now", Span(16, 19))]


def test_text_in_which_nothing_is_replaced_stays_the_same() -> None:
    assert substitute(regex.compile("x"), "y", _WRITTEN) is _WRITTEN
    assert substitute(regex.compile("r"), "y", "for") == "foy"


def test_words_before_and_after_what_a_replacement_changes_stand_for_themselves() -> None:
    assert _spans(replace_words("read chapter four now", _WRITTEN)) == [
        ("read", Span(0, 4)),
        ("chapter", Span(5, 12)),
        ("four", Span(13, 15)),
        ("now", Span(16, 19)),
    ]


def test_a_replacement_of_a_whole_stands_for_all_of_it() -> None:
    written = OffsetText.written("25 °C")
    assert _spans(replace_words("twenty-five degrees Celsius", written)) == [
        ("twenty-five", Span(0, 5)),
        ("degrees", Span(0, 5)),
        ("Celsius", Span(0, 5)),
    ]


def test_a_word_that_only_begins_alike_is_no_common_word() -> None:
    assert _spans(replace_words("tenths km", OffsetText.written("ten km"))) == [
        ("tenths", Span(0, 3)),
        ("km", Span(4, 6)),
    ]


def test_what_is_said_besides_the_words_that_stay_stands_for_all_of_them() -> None:
    assert _spans(replace_words("¥ five", OffsetText.written("five"))) == [
        ("¥", Span(0, 4)),
        ("five", Span(0, 4)),
    ]


def test_text_without_offsets_is_replaced_as_it_is() -> None:
    assert type(replace_words("four", "IV")) is str


@given(st.lists(st.text(max_size=5), max_size=8), st.lists(st.integers(0, 9), max_size=12))
def test_a_buffer_gives_back_what_it_was_given(pieces: list[str], counts: list[int]) -> None:
    buffer, at = OffsetBuffer(), 0
    for piece in pieces:
        buffer.append(OffsetText.written(piece, at))
        at += len(piece)
    text = OffsetText.written("".join(pieces))
    for count in [*counts, len(text)]:
        taken = buffer.take(count)
        assert taken == text[:count]
        assert OffsetText.of(taken).span == OffsetText.of(text[:count]).span
        text = OffsetText.of(text[count:])


@given(st.lists(st.integers(1, 19), max_size=6), st.lists(st.integers(1, 9), max_size=12))
def test_a_buffer_takes_a_text_part_by_part(ends: list[int], counts: list[int]) -> None:
    buffer = OffsetBuffer()
    bounds = [0, *sorted(set(ends) - {len(_WRITTEN)}), len(_WRITTEN)]
    for begin, end in pairwise(bounds):
        buffer.append(_WRITTEN, begin, end)
    taken = [buffer.take(count) for count in [*counts, len(_WRITTEN)]]

    assert join_texts(taken) == _WRITTEN
    assert offsets_of(join_texts(taken)) == offsets_of(_WRITTEN)
