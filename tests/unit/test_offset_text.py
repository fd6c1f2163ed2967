"""Text with offsets: where the characters of a processed text were written."""

from __future__ import annotations

import regex  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from wyoming_tts.offset_text import OffsetBuffer, OffsetText, Span, group, replace_words, substitute

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
