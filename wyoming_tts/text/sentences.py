"""Sentence segmentation: arriving text is split into sentences as soon as each boundary is certain.

sentence-stream detects the boundaries. Two of its properties shape this module. Its time grows
with the square of a text without boundaries, so such text is split by force before it gets long.
And its results can depend on the pieces that it is given, so it is fed in one canonical way
whatever pieces arrive: with everything up to a character that can decide a boundary, which is
mostly the first letter after a stop.
"""

from __future__ import annotations

import unicodedata
from collections import deque
from collections.abc import Iterable, Iterator
from copy import copy
from dataclasses import dataclass, replace
from itertools import islice

import regex  # type: ignore[import-untyped]  # the standard library knows no sentence properties
from sentence_stream import SentenceBoundaryDetector

from wyoming_tts.offset_text import OffsetBuffer, join_texts, standing_for
from wyoming_tts.text.first_segment import (
    BLOCK_PLACEHOLDER,
    DEFAULT_BOUNDARIES,
    FirstSegmentFinder,
    FirstSegmentOptions,
)
from wyoming_tts.text.pause_marks import mark_pauses
from wyoming_tts.text.plain_text import TextPiece, is_speakable

_STOP_RE = regex.compile(r"[\p{Sentence_Terminal}…\n]")
"""What a boundary can start with; wider than sentence-stream's own set, which costs nothing."""
_ASCII_STOPS = ".!?"
"""Boundaries only before a space, so a letter directly after one is not worth a search."""
_TERMINAL_RE = regex.compile(r"[\p{Sentence_Terminal}…]")
_CLOSERS = " \"'”“’‘»«›‹)]}」』）】》〉〕_"
"""May follow the mark that ends a sentence; both quotes of a pair, as languages differ in which closes."""
_BLOCK_RE = regex.compile(f"({BLOCK_PLACEHOLDER})")
_HALF_ABBREVIATION_RE = regex.compile(r"(?:^|[^\p{N}]\s)[zuod]\.$|\s[vn]\.$")
"""The first half of `z. B.`, `u. U.`, `5 v. Chr.` and the like, which sentence-stream takes for the
end of a sentence; after a number it may be a unit."""
_MASKED = {"*": "#", "…": "!"}
_MASKS = str.maketrans(_MASKED)
_SPACED_ELLIPSIS_RE = regex.compile(r"…(?=…*\s)")
_BLANK_LINE = "\n\n"
_VIRAMA = 9
"""Canonical combining class of the virama, which joins the next consonant to this one."""

_INNER_MARKS = "".join(mark for mark in DEFAULT_BOUNDARIES if not mark.isascii())
_FINISHED_WORD_RE = regex.compile(
    rf"[^.@/\s]*[\p{{L}}\p{{M}}{BLOCK_PLACEHOLDER}][.,;:?!{_INNER_MARKS}]+[{regex.escape(_CLOSERS)}]*"
    r"|[^.@/\s]*[\p{L}\p{M}\p{N}][)\]}”»」』）】》〉〕]+"
    rf"|[;:?!…»]+|\S*{BLOCK_PLACEHOLDER}"
)
"""A word that is complete although no space follows it yet. After a digit or in a word with dots a
mark does not complete it: the rest of a number or an address may follow."""
_FINISHED_PART_RE = regex.compile(rf"(?<!\p{{N}})[{_INNER_MARKS}]+[”」』）】》〉〕]*(?!\p{{M}})")


@dataclass(frozen=True, slots=True)
class SentencePart:
    """A sentence or part of one, with a placeholder for each phoneme block in it."""

    masked: str
    blocks: tuple[str, ...]
    ends_sentence: bool
    """False if the sentence continues in the next part."""
    ends_line: bool = False
    """A line that is a sentence ends after it."""
    ends_paragraph: bool = False
    """A blank line follows."""

    @property
    def is_speakable(self) -> bool:
        """Whether there is anything for an engine to speak."""
        return is_speakable(self.masked.replace(BLOCK_PLACEHOLDER, " ")) or any(
            block[2:-2].strip() for block in self.blocks
        )

    def render(self, auto_punctuation: str) -> str:
        """The text with its phoneme blocks; a sentence that lacks a mark gets the first of these."""
        masked = mark_pauses(self.masked)
        if self.ends_sentence and _lacks_mark(masked, auto_punctuation):
            masked += auto_punctuation[0]
        return join_texts(_with_blocks(masked, self.blocks))


def _with_blocks(masked: str, blocks: Iterable[str]) -> Iterator[str]:
    """The parts of a text, with its blocks in place of their placeholders."""
    plain, at = str(masked), 0
    for block in blocks:
        end = plain.index(BLOCK_PLACEHOLDER, at)
        yield from (masked[at:end], block)
        at = end + 1
    yield masked[at:]


def _lacks_mark(text: str, marks: str) -> bool:
    if not marks or text[-1] in marks:
        return False
    last = text.rstrip(_CLOSERS)[-1:]
    return last not in marks and not _TERMINAL_RE.match(last)


class SentenceSplitter:
    """Splits text at sentence boundaries and, where none comes within the maximum, at a space or by force."""

    def __init__(self, max_chars: int, first: FirstSegmentOptions) -> None:
        self._max_chars = max_chars
        self._first_options = first
        self._first = FirstSegmentFinder(first) if first.enabled else None
        """None once the first segment is out."""
        self._line_ends = 0
        """Line ends since the last split, while nothing is pending."""
        self._reset()

    def _reset(self) -> None:
        self._detector = SentenceBoundaryDetector()
        self._pending = ""
        """The text since the last split."""
        self._written = OffsetBuffer()
        """The same with its offsets."""
        self._known = 0
        """Characters of it that the detector has been given."""
        self._joined = 0
        """Characters of it at the start whose sentence boundaries were rejected."""
        self._blocks: deque[str] = deque()
        self._chars = 0
        """Characters in `_pending`, with phoneme blocks at full length."""
        self._after_stop = False
        """The last stop may still turn out to be a boundary."""

    def add(self, piece: TextPiece) -> Iterator[SentencePart]:
        """Take more text; yield the parts that it completes."""
        if piece.raw:
            yield from self._end_line()
            self._blocks.append(piece.text)
            written = standing_for(BLOCK_PLACEHOLDER, piece.text)
            yield from self._take(BLOCK_PLACEHOLDER, written=written, begin=0, chars=len(piece.text))
            return
        text, start = str(piece.text), 0
        while start < len(text):
            end = self._unit_end(text, start)
            yield from self._take(text[start:end], written=piece.text, begin=start, chars=end - start)
            start = end

    def lookahead(self, begun: str) -> Iterator[SentencePart]:
        """Yield what the beginning of the next word completes, before the word itself is added.

        Args:
            begun: the space before the word and its letters so far. `add` gets the whole word later, which
                normalization may have replaced by another one that begins with a letter.
        """
        start = len(begun) - len(begun.lstrip())
        if not start or not begun[start : start + 1].isalpha() or not self._pending:
            return
        gap = begun[:start]
        if "\n" in gap and _BLANK_LINE not in gap:
            yield from self._cut_line()
            return
        text = self._pending + begun[: start + 1]
        after_stop = self._after_stop or _BLANK_LINE in gap
        end = self._boundary(text) if after_stop else self._first_end(text)
        if end and end <= len(self._pending):
            yield from self._cut_and_reset(end, ends_sentence=after_stop)

    def _first_end(self, text: str) -> int | None:
        """The end of the first segment that this text completes, if any."""
        return copy(self._first).find(text) if self._first else None

    def _boundary(self, text: str) -> int | None:
        """The end of the first sentence that this text completes, if any."""
        joined = self._joined
        for sentence in copy(self._detector).add_chunk(_for_detector(text[self._known :])):
            end = _end_of(sentence, text, joined)
            if not _HALF_ABBREVIATION_RE.search(sentence):
                return end
            joined = end
        return None

    def flush(self, *, word_over: bool) -> Iterator[SentencePart]:
        """Yield what can be spoken already; unless `word_over`, the last word may go on and is kept."""
        yield from self._detect()
        end = len(self._pending) if word_over else _finished_words_end(self._pending)
        before = self._pending[:end]
        ends_sentence = _ends_with_stop(before)
        if self._part(before, ends_sentence=ends_sentence).is_speakable:
            yield from self._cut_and_reset(end, ends_sentence=ends_sentence)

    def finish(self, *, ends_sentence: bool | None = True) -> Iterator[SentencePart]:
        """Yield the rest; without `ends_sentence` its sentence continues after other markup.

        With None for it the last mark tells.
        """
        yield from self._detect()
        if self._pending:
            if ends_sentence is None:
                ends_sentence = _ends_with_stop(self._pending)
            yield self._cut(len(self._pending), ends_sentence=ends_sentence)

    def _unit_end(self, text: str, start: int) -> int:
        if self._after_stop or self._first or not self._pending:
            return start + 1
        end = start + max(1, self._max_chars + 1 - self._chars)
        stop = _STOP_RE.search(text, start, end)
        return int(stop.end()) if stop else min(end, len(text))

    def _take(self, unit: str, *, written: str, begin: int, chars: int) -> Iterator[SentencePart]:
        """Take characters of a written text."""
        if not self._pending and unit.isspace():  # the text before it has been flushed
            yield from self._count_line_end(unit)
            return
        if not unit.isspace():
            yield from self._end_line()
        self._pending += unit
        self._written.append(written, begin, begin + len(unit))
        self._chars += chars
        last = unit[-1]
        letter = last.isalpha() or last == BLOCK_PLACEHOLDER
        if self._after_stop and letter and self._pending[-2:-1] not in _ASCII_STOPS:
            yield from self._detect()
        if _STOP_RE.match(last):
            self._after_stop = True
        elif letter:
            self._after_stop = False
        if self._first and (end := self._first.find(self._pending)) and not self._after_stop:
            yield from self._cut_and_reset(end, ends_sentence=False)
        # The space may complete the boundary before it, and is not worth a split by itself.
        if self._chars > self._max_chars and not last.isspace():
            yield from self._detect()
            if self._chars > self._max_chars:  # the detector has found no boundary
                yield from self._cut_and_reset(self._forced_end(), ends_sentence=False)

    def _count_line_end(self, unit: str) -> Iterator[SentencePart]:
        """Yield a part without text for a line end behind text that has been split off already."""
        if unit == "\n":
            self._line_ends += 1
            is_blank = self._line_ends >= len(_BLANK_LINE)
            yield SentencePart("", (), ends_sentence=True, ends_line=True, ends_paragraph=is_blank)

    def _end_line(self) -> Iterator[SentencePart]:
        """Cut where a line that is a sentence has ended, which the detector does not know."""
        if self._pending.endswith("\n") and not self._pending.endswith(_BLANK_LINE):
            yield from self._cut_line()

    def _cut_line(self) -> Iterator[SentencePart]:
        yield from self._detect()
        if self._pending:
            yield from self._cut_and_reset(len(self._pending), ends_sentence=True)

    def _detect(self) -> Iterator[SentencePart]:
        new = _for_detector(self._pending[self._known :])
        for sentence in list(self._detector.add_chunk(new)):
            end = _end_of(sentence, self._pending, self._joined)
            if _HALF_ABBREVIATION_RE.search(sentence):
                self._joined = end
            else:
                yield self._cut(end, ends_sentence=True)
        self._known = len(self._pending)

    def _cut_and_reset(self, end: int, *, ends_sentence: bool) -> Iterator[SentencePart]:
        """Cut where the detector sees no boundary, and start it again after the cut."""
        yield self._cut(end, ends_sentence=ends_sentence)
        rest, written, blocks = self._pending, self._written, self._blocks
        self._reset()
        for part in _BLOCK_RE.split(rest):
            text = written.take(len(part))
            yield from self.add(
                TextPiece(blocks.popleft(), raw=True) if part == BLOCK_PLACEHOLDER else TextPiece(text)
            )

    def _forced_end(self) -> int:
        """The last space in the second half of what fits, so that every cut makes progress."""
        limit = self._fitting_chars()
        space = self._pending.rfind(" ", max(1, limit // 2), limit + 1)
        if space > 0:
            return space
        end = limit
        while end > limit // 2 and _is_inside_cluster(self._pending, end):
            end -= 1
        return end if end > limit // 2 else limit

    def _fitting_chars(self) -> int:
        """Characters of the pending text that fit in a segment; at least one character or block."""
        if not self._blocks:
            return self._max_chars
        room = self._max_chars
        blocks = iter(self._blocks)
        for index, char in enumerate(self._pending):
            room -= len(next(blocks)) if char == BLOCK_PLACEHOLDER else 1
            if room < 0:
                return max(1, index)
        return len(self._pending)

    def _part(self, text: str, *, ends_sentence: bool) -> SentencePart:
        masked = text.strip()
        return SentencePart(
            masked, tuple(islice(self._blocks, masked.count(BLOCK_PLACEHOLDER))), ends_sentence
        )

    def _cut(self, end: int, *, ends_sentence: bool) -> SentencePart:
        cut = self._part(self._written.take(end), ends_sentence=ends_sentence)
        self._line_ends = self._gap_at(end).count("\n")
        if self._line_ends:
            cut = replace(cut, ends_line=True, ends_paragraph=self._line_ends >= len(_BLANK_LINE))
        rest = self._pending[end:]
        self._pending = rest.lstrip()
        self._written.take(len(rest) - len(self._pending))
        for _ in cut.blocks:
            self._blocks.popleft()
        self._chars = len(self._pending) + sum(len(block) - 1 for block in self._blocks)
        self._joined = 0
        if self._first:
            self._first = None if cut.is_speakable else FirstSegmentFinder(self._first_options)
        return cut

    def _gap_at(self, end: int) -> str:
        before, behind = self._pending[:end], self._pending[end:]
        return before[len(before.rstrip()) :] + behind[: len(behind) - len(behind.lstrip())]


def _ends_with_stop(text: str) -> bool:
    return _TERMINAL_RE.match(text.rstrip().rstrip(_CLOSERS)[-1:]) is not None


def _for_detector(text: str) -> str:
    """The text as the detector may see it, with the same length.

    It would drop asterisks as Markdown, and end a sentence at any ellipsis of one character, as Chinese does.
    """
    text = text.replace("*", _MASKED["*"])
    return _SPACED_ELLIPSIS_RE.sub(_MASKED["…"], text) if "…" in text else text


def _end_of(sentence: str, text: str, start: int) -> int:
    """Where a sentence that the detector has found ends in the text, some of which may be masked only now."""
    return text.translate(_MASKS).index(sentence.translate(_MASKS), start) + len(sentence)


def ends_with_word(text: str) -> bool:
    """Whether a text ends with a word that is complete although no space follows it yet."""
    return bool(text) and _finished_words_end(text) == len(text)


def _finished_words_end(text: str) -> int:
    """The end of the words that are complete: the start of the last one if it may still go on."""
    start = max(text.rfind(" "), text.rfind("\n")) + 1
    word = text[start:]
    if _FINISHED_WORD_RE.fullmatch(word):
        return len(text)
    parts = list(_FINISHED_PART_RE.finditer(word))
    return start + (parts[-1].end() if parts else 0)


def _is_inside_cluster(text: str, index: int) -> bool:
    """Whether a cut before `text[index]` would split a grapheme cluster."""
    after, before = text[index], text[index - 1]
    return (
        unicodedata.category(after) in {"Mn", "Mc", "Me", "Cf"}
        or unicodedata.category(before) == "Cf"
        or unicodedata.combining(before) == _VIRAMA
    )
