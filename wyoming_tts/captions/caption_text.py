"""Text of captions: the spoken words as they were written, with the punctuation that stands around them.

Between two words may stand what is written for the eye only, such as Markdown marks, tags, emoji or a block
of code that was left out. Punctuation is kept, the rest is not shown.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final, NamedTuple

from wyoming_tts.speech import SpokenWord

_SENTENCE_ENDS: Final = frozenset(".!?…。．！？｡։؟۔।॥")
_CLAUSE_ENDS: Final = frozenset(",;:、，；：،؛—–―")
_MARKS: Final = _SENTENCE_ENDS | _CLAUSE_ENDS
_SENTENCE_PAUSE: Final = 0.05
"""Seconds of silence behind a full stop that tell that it ends a sentence; some voices make none."""
_SHORT_ABBREVIATION: Final = 3
_ITEM_DIGITS: Final = 3
_LONG_PAUSE: Final = 1.0
"""Seconds of silence that end a sentence for the eye, whatever is written."""
_MAX_GAP: Final = 2000
"""Characters between two words that are looked at, half of them on each side."""
_OMISSION: Final = "x"
"""In place of characters that are not looked at: like a letter that is not spoken."""

_NOT_SHOWN: Final = frozenset("*_#@\\&/•·†‡§[]")
"""Punctuation that is a mark of Markdown, a bullet or a footnote's: what is spoken is part of a word."""
_OPENERS: Final = frozenset("¿¡“‘«‹")
_MARKUP_RE: Final = re.compile(
    r"<[^<>]*>"  # a tag of HTML or SSML
    r"|\]\([^()\s]*\)"  # the target of a link
    r"|(?<=[\s(])!(?=\[)"  # of an image
    r"|\[[A-Za-z]+:[^\[\]]*\]"  # [pause:1s]
)
_PIECE_RE: Final = re.compile(r"(?P<piece>\S+)")
_LINK_RE: Final = re.compile(r"\[([^\[\]]*)\]\([^()]*\)")
_MARKS_RE: Final = re.compile(
    r"\*\*|__|~~|`|^[*_]|[*_]$|</?[A-Za-z][^<>]*>"
    r"|(?<=[^\W\d_])\*|\*(?=[^\W\d_])"  # at a letter it is not said: no operator
)
_MARKED: Final = frozenset("*_~`<&[")
_CONTROLS: Final = frozenset({"Cc", "Cs"})
"""Categories of characters that no caption can hold: controls, and halves of surrogate pairs."""
_UNPRINTABLE: Final = "\ufffd"


class BreakStrength(IntEnum):
    """How well a caption can end after a word."""

    WORD = 0
    CLAUSE = 1
    SENTENCE = 2


class Between(NamedTuple):
    """What is shown between two words."""

    tail: str
    """Belongs to the word before: `.”`."""
    space: str
    head: str
    """Belongs to the word behind: `(`."""
    lines: int = 0
    """Ends of lines in it."""


@dataclass(frozen=True, slots=True)
class CaptionWord:
    """A word as it is shown."""

    spoken: SpokenWord
    text: str
    """With the punctuation around it."""
    space: str = ""
    """Between the previous word and this one: empty in scripts without spaces."""
    strength: BreakStrength = BreakStrength.SENTENCE
    """How well a caption can end after it."""
    begins_line: bool = False
    """Whether it is the first word of a line as it was written."""


class CaptionText:
    """Finds what is shown of words as they are told. The text before a word has to be added before it."""

    def __init__(self, text: str = "") -> None:
        self._text = text
        self._pieces: list[str] = []
        """Text that was added and is not in `_text` yet."""
        self._offset = 0
        """Of the first character of `_text` in the whole text."""
        self._done = 0
        """Characters of `_text` up to the end of the last word."""
        self._last: CaptionWord | None = None

    @property
    def last(self) -> CaptionWord | None:
        """The last word that was told, without what follows it; None once it has been yielded."""
        return self._last

    def add_text(self, text: str) -> None:
        """Take more of the text, as it was written."""
        self._pieces.append(text)

    def add_words(self, words: Iterable[SpokenWord]) -> Iterator[CaptionWord]:
        """Take the next words; yields those whose surroundings are known: all but the last."""
        self._join_pieces()
        for word in words:
            gap = self._take_gap_before(word)
            between = _between(gap if self._last else f" {gap}")
            last, self._last = self._last, _next_word(word, between, is_first=self._last is None)
            if last is not None:
                yield _finished(last, between, word)

    def finish(self) -> Iterator[CaptionWord]:
        """Yield the last word. The whole text must have been added."""
        self._join_pieces()
        if self._last is not None:
            tail = _between(f"{self._text[self._done :]} ").tail
            yield replace(self._last, text=self._last.text + tail, strength=BreakStrength.SENTENCE)
            self._last = None

    def _join_pieces(self) -> None:
        if self._pieces:
            rest = self._text[self._done :]
            self._offset += self._done
            self._done = 0
            self._text = "".join([rest, *self._pieces])
            self._pieces.clear()

    def _take_gap_before(self, word: SpokenWord) -> str:
        begin = max(word.begin - self._offset, self._done)
        gap = self._text[self._done : begin]
        self._done = max(word.end - self._offset, begin)
        return gap


def _next_word(word: SpokenWord, before: Between, *, is_first: bool) -> CaptionWord:
    return CaptionWord(
        word,
        before.head + _shown_word(word.text),
        "" if is_first else before.space,
        begins_line=is_first or before.lines > 0,
    )


def _finished(word: CaptionWord, behind: Between, following: SpokenWord) -> CaptionWord:
    is_number = _is_number_of_item(word, behind)
    strength = BreakStrength.WORD if is_number else _strength(word.spoken, behind, following)
    return replace(word, text=word.text + behind.tail, strength=strength)


def _is_number_of_item(word: CaptionWord, behind: Between) -> bool:
    """Whether it is the `2.` before the text of an item; some voices pause there."""
    number = word.spoken.text
    is_number = number.isdecimal() and len(number) <= _ITEM_DIGITS and behind.tail == "."
    return is_number and word.begins_line and not behind.lines


def _strength(word: SpokenWord, behind: Between, following: SpokenWord) -> BreakStrength:
    """Return how well a caption can end between two words, the first of which is no item's number."""
    pause = following.start_time - word.end_time
    mark = next((each for each in reversed(behind.tail) if each in _MARKS), "")
    if behind.lines > 1 or pause >= _LONG_PAUSE:
        return BreakStrength.SENTENCE
    if mark not in _SENTENCE_ENDS:
        return BreakStrength.CLAUSE if mark or behind.lines else BreakStrength.WORD
    if not behind.lines and not behind.tail.endswith(mark) and following.text[:1].islower():
        return BreakStrength.CLAUSE  # “Come!” he said.
    if mark == "." and not behind.lines and _is_abbreviation(word, following, pause):
        return BreakStrength.WORD
    return BreakStrength.SENTENCE


def _is_abbreviation(word: SpokenWord, following: SpokenWord, pause: float) -> bool:
    """Whether the full stop behind a word ends no sentence."""
    if pause >= _SENTENCE_PAUSE and not word.estimated:
        return False
    return len(word.text) <= _SHORT_ABBREVIATION or "." in word.text or following.text[:1].islower()


def _shown_word(text: str) -> str:
    """Return a word without the marks within it: `un**believ**able`."""
    shown = text
    if not _MARKED.isdisjoint(text):
        shown = html.unescape(_MARKS_RE.sub("", _LINK_RE.sub(r"\1", text)))
    return _on_one_line(shown) or _on_one_line(text) or _UNPRINTABLE


def _on_one_line(text: str) -> str:
    if text.isalnum():
        return text
    visible = "".join(" " if unicodedata.category(each) in _CONTROLS else each for each in text)
    return " ".join(visible.split())


def _between(gap: str) -> Between:
    if gap == " ":  # nearly always
        return Between("", " ", "")
    if len(gap) > _MAX_GAP:
        gap = f"{gap[: _MAX_GAP // 2]} {_OMISSION} {gap[-_MAX_GAP // 2 :]}"
    tail, head = _divide(html.unescape(_MARKUP_RE.sub("", gap)))
    space = " " if any(map(_separates, gap)) else ""
    return Between(tail, space, head, gap.count("\n"))


def _separates(character: str) -> bool:
    return character.isspace() or character.isalnum()


def _divide(gap: str) -> tuple[str, str]:
    """Divide the punctuation of a gap between the word before it and the word behind it."""
    pieces = list(_PIECE_RE.finditer(gap))
    if len(pieces) == 1 and len(pieces[0]["piece"]) == len(gap):
        return _divide_attached(gap)
    has_omission = any(map(str.isalnum, gap))
    tail = head = ""
    for found in pieces:
        piece = found["piece"]
        is_omitted = any(map(str.isalnum, piece))
        if found.start("piece") == 0:
            tail += _divide_attached(piece)[0] if is_omitted else _punctuation(piece)
        elif found.end() == len(gap):
            head += _divide_attached(piece)[1] if is_omitted else _punctuation(piece)
        elif has_omission or not (shown := _punctuation(piece)):
            continue
        elif all(map(_is_opener, shown)):
            head += f"{shown} "
        elif "\n" not in gap[: found.start("piece")]:  # a bullet or a rule else
            tail += f" {shown}" if shown == piece else shown  # `Yes 😀!` is `Yes!`
    return tail, head


def _divide_attached(piece: str) -> tuple[str, str]:
    """Divide what has no space in it: closing marks before what was left out, opening ones behind it."""
    first = next((index for index, each in enumerate(piece) if each.isalnum()), len(piece))
    tail, rest = _punctuation(piece[:first]), _punctuation(piece[first:])
    closed = len(tail)
    while closed and _is_opener(tail[closed - 1]):
        closed -= 1
    opened = len(rest)
    while opened and _is_opener(rest[opened - 1]):
        opened -= 1
    return tail[:closed], rest[opened:] if first < len(piece) else tail[closed:]


def _is_opener(character: str) -> bool:
    return character in _OPENERS or unicodedata.category(character) == "Ps"


def _punctuation(text: str) -> str:
    return "".join(
        each for each in text if each not in _NOT_SHOWN and unicodedata.category(each).startswith("P")
    )
