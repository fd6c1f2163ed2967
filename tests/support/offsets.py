"""Properties of the offsets that processed text carries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from wyoming_tts.offset_text import OffsetText, Span, join_texts
from wyoming_tts.spoken_words import words_of


def written_pieces(pieces: Iterable[str]) -> Iterator[str]:
    """Give each piece of a text the offsets that it has in the whole."""
    at = 0
    for piece in pieces:
        yield OffsetText.written(piece, at)
        at += len(piece)


def character_spans(text: str) -> list[tuple[str, Span | None]]:
    """Each character, and the span that it stands for."""
    return [(text[at], OffsetText.of(text[at : at + 1]).span) for at in range(len(text))]


def word_spans(text: str) -> list[tuple[str, Span | None]]:
    """Each word that an engine speaks, and the span that it stands for."""
    return [
        (str(text[at.begin : at.end]), OffsetText.of(text[at.begin : at.end]).span) for at in words_of(text)
    ]


def check_offsets(texts: Iterable[str], source: str, *, are_apart: bool = True) -> None:
    """Assert that offsets lead into the source and never backwards, and that copies are what was written.

    Without `are_apart` two spans may overlap, as where a rule has read a part of what another one has made.
    """
    before = Span(0, 0)
    text = join_texts(texts)
    stood_for = [(span, [char for char, _ in same]) for span, same in groupby(character_spans(text), _span)]
    for span, chars in stood_for:
        if span is None:
            continue
        assert (before.end if are_apart else before.begin) <= span.begin < span.end, (text, before, span)
        assert before.end <= span.end <= len(source), (text, before, span)
        written = source[span.begin : span.end]
        if len(chars) == len(written) == 1 and written.isalpha() and (written + chars[0]).isascii():
            assert chars[0].lower() == written.lower(), (text, span)
        before = span


def _span(character: tuple[str, Span | None]) -> Span | None:
    return character[1]
