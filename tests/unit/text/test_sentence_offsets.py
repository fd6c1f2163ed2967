"""Offsets through the splitting into sentences and the marking of pauses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.hypothesis_examples import scaled_examples
from tests.support.offsets import character_spans, check_offsets, word_spans, written_pieces
from wyoming_tts.offset_text import OffsetText, Span
from wyoming_tts.text.first_segment import NEVER_CUT, FirstSegmentOptions
from wyoming_tts.text.pause_marks import mark_pauses
from wyoming_tts.text.plain_text import TextPiece
from wyoming_tts.text.sentences import SentenceSplitter

BLOCK = "[[ a ]]"


def parts_of(texts: Iterable[str], *, max_chars: int, first: FirstSegmentOptions) -> Iterator[str]:
    """The parts that a splitter makes of pieces; those that are blocks are raw."""
    splitter = SentenceSplitter(max_chars, first)
    for text in texts:
        yield from (part.render(".") for part in splitter.add(_piece(text)) if part.is_speakable)
    yield from (part.render(".") for part in splitter.finish() if part.is_speakable)


def _piece(text: str) -> TextPiece:
    return TextPiece(text, raw=text == BLOCK)


_PIECES = st.lists(
    st.sampled_from(
        ["It is. ", "So… no", "(and) ", "here, there", "z. B. ", "\n\n", BLOCK, "「あ。」", "... ", "a"]
    )
    | st.text("ab .,!?…()\n", max_size=8),
    max_size=12,
)
_FIRST = st.sampled_from([NEVER_CUT, FirstSegmentOptions(min_words=1), FirstSegmentOptions(max_words=2)])


@settings(max_examples=scaled_examples(200), deadline=None)
@given(_PIECES, _FIRST, st.integers(len(BLOCK), 60))
@example(["It is. ", BLOCK, "so it is. ", BLOCK, "!"], NEVER_CUT, 12)
def test_every_character_of_a_sentence_is_where_it_was_written(
    pieces: list[str], first: FirstSegmentOptions, max_chars: int
) -> None:
    source = "".join(pieces)
    whole = list(parts_of(written_pieces(pieces), max_chars=max_chars, first=first))
    check_offsets(whole, source)
    letters = [(char, span) for part in whole for char, span in character_spans(part) if char.isalpha()]
    assert letters == [(char, Span(at, at + 1)) for at, char in enumerate(source) if char.isalpha()]


def test_a_block_of_phonemes_is_where_it_was_written() -> None:
    pieces = written_pieces(["Say ", BLOCK, " twice. Now ", BLOCK, " ", "again"])
    [first, second] = parts_of(pieces, max_chars=100, first=NEVER_CUT)
    assert word_spans(first) == [("Say", Span(0, 3)), (BLOCK, Span(4, 11)), ("twice", Span(12, 17))]
    assert word_spans(second) == [
        ("Now", Span(19, 22)),
        (BLOCK, Span(23, 30)),
        ("again", Span(31, 36)),
    ]
    assert character_spans(second)[-1] == (".", None)


def test_words_around_a_mark_of_a_pause_are_where_they_were_written() -> None:
    marked = mark_pauses(OffsetText.written("Go... now (or later) to [...] them"))
    assert marked == "Go, now, or later, to, them"
    assert word_spans(marked) == [
        ("Go", Span(0, 2)),
        ("now", Span(6, 9)),
        ("or", Span(11, 13)),
        ("later", Span(14, 19)),
        ("to", Span(21, 23)),
        ("them", Span(30, 34)),
    ]
