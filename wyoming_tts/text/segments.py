"""Text that is still arriving, cut into segments as soon as each is certain.

sentence-stream finds the sentence boundaries. Two things about it shape this module: its time
grows with the square of a text without boundaries, so text is cut by force before it gets that
far; and what it finds can depend on how the text was cut into pieces, so it is fed in one
canonical way whatever the pieces were: only when a character has come that can decide a boundary,
which is mostly the first letter after a stop, and with all that came before it.
"""

from __future__ import annotations

import unicodedata
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

import regex  # type: ignore[import-untyped]  # the standard library knows no sentence properties
from sentence_stream import SentenceBoundaryDetector

from wyoming_tts.errors import TooLong
from wyoming_tts.speech import Segment, TextFormat
from wyoming_tts.text.cleanup import Cleaner, Piece, is_speakable
from wyoming_tts.text.first_segment import BLOCK, DEFAULT_BOUNDARIES, FirstSegmentFinder, FirstSegmentOptions

_STOP_RE = regex.compile(r"[\p{Sentence_Terminal}…\n]")
"""What can be the start of a boundary; wider than sentence-stream's own set, which costs nothing."""
_ASCII_STOPS = ".!?"
"""No boundary without a space behind them, so a letter right after one is not worth a search."""
_TERMINAL_RE = regex.compile(r"[\p{Sentence_Terminal}…]")
_CLOSERS = " \"'”“’‘»«›‹)]}」』）】》〉〕_"
"""May follow the mark that ends a sentence. Both halves of a pair: languages differ in which closes."""
_BLOCK_RE = regex.compile(f"({BLOCK})")
_HALF_ABBREVIATION_RE = regex.compile(r"(?:^|[^\p{N}]\s)[zuod]\.$|\s[vn]\.$")
"""The first half of `z. B.`, `u. U.`, `5 v. Chr.` and the like, which sentence-stream takes for the
end of a sentence; behind a number it may be a unit."""
_NOT_XML_RE = regex.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_VIRAMA = 9
"""Canonical combining class of the sign that binds the next consonant to this one."""

_GAP_BEGUN_RE = regex.compile(r"[\s\p{Emoji_Presentation}\ufe0f]$")
"""The end of a text whose last word is over."""
_INNER_MARKS = "".join(mark for mark in DEFAULT_BOUNDARIES if not mark.isascii())
_FINISHED_WORD_RE = regex.compile(
    rf"[^.@/\s]*[\p{{L}}\p{{M}}{BLOCK}][.,;:?!{_INNER_MARKS}]+[{regex.escape(_CLOSERS)}]*"
    r"|[^.@/\s]*[\p{L}\p{M}\p{N}][)\]}”»」』）】》〉〕]+"
    rf"|[;:?!…»]+|\S*{BLOCK}"
)
"""A word that is over though no space has come. Not so where a mark stands behind a digit or in
something with dots: the rest of a number or an address may follow."""
_FINISHED_PART_RE = regex.compile(rf"(?<!\p{{N}})[{_INNER_MARKS}]+[”」』）】》〉〕]*(?!\p{{M}})")


@dataclass(frozen=True, slots=True)
class SegmentOptions:
    """How text is cut."""

    auto_punctuation: str = ".?!"
    """Marks one of which a sentence has to end with, else the first is appended; empty: never."""
    sentence_silence: float = 0.0
    """Seconds of silence between two sentences."""
    max_segment_chars: int = 500
    """Longer text without a boundary is cut at a space, if there is one in its second half."""
    max_text_chars: int = 1_000_000
    """Limit of one utterance; a million characters are about 18 hours of speech."""
    first_segment: FirstSegmentOptions = field(default_factory=FirstSegmentOptions)
    """How the first sentence is cut so that it is heard early."""

    def __post_init__(self) -> None:
        if self.max_segment_chars < 1 or self.max_text_chars < 1:
            raise ValueError(
                f"max_segment_chars is {self.max_segment_chars} and max_text_chars is "
                f"{self.max_text_chars}; both must be at least 1."
            )
        if self.sentence_silence < 0:
            raise ValueError(f"sentence_silence is {self.sentence_silence} s; it must be 0 or more.")


class Segmenter:
    """Makes segments of one utterance's text, given piece by piece.

    The segments do not depend on how the text was cut into pieces, and nothing is lost: the
    letters and digits of the text (those of keycap emoji apart) are those of the segments, in
    order. Time grows linearly with the text; held are at most two segments' worth of characters.
    An SSML document is not cut: it comes out whole at the end.

    `Segment.sentence` stays empty: a first segment is often spoken before its sentence has come,
    and what it knew of the rest would depend on the pieces.
    """

    def __init__(self, options: SegmentOptions, *, text_format: TextFormat = TextFormat.PLAIN) -> None:
        self._options = options
        self._document: list[str] | None = [] if text_format is TextFormat.SSML else None
        self._cleaner = Cleaner(max_block_chars=options.max_segment_chars)
        self._cutter = _Cutter(options.max_segment_chars, options.first_segment)
        self._characters = 0
        self._word_over = True
        self._silence_due = False
        self._spoken = False

    def feed(self, piece: str) -> list[Segment]:
        """Take some more text; return the segments that it completed.

        Raises:
            TooLong: the text is now over the limit; this piece was not taken.
        """
        if self._characters + len(piece) > self._options.max_text_chars:
            raise TooLong(
                f"The text has more than {self._options.max_text_chars} characters.",
                hint="Send it as several requests.",
            )
        self._characters += len(piece)
        if piece:
            self._word_over = _GAP_BEGUN_RE.search(piece) is not None
        if self._document is not None:
            self._document.append(piece)
            return []
        return self._segments(self._cut(self._cleaner.feed(piece)))

    def flush(self) -> list[Segment]:
        """Return what there is to say by now, without waiting for the end of the sentence.

        The last word is held back unless it is over. The text goes on afterwards; only a part that
        ends like a sentence is followed by a sentence's silence, and no mark is added to any.
        """
        if self._document is not None:
            return []
        return self._segments(self._cutter.flush(word_over=self._word_over))

    def finish(self) -> list[Segment]:
        """End the text; return the segments that are left."""
        if self._document is not None:
            return _whole_document("".join(self._document))
        cuts = [*self._cut(self._cleaner.finish()), *self._cutter.finish()]
        return self._segments(cuts)

    def _cut(self, pieces: Iterable[Piece]) -> Iterator[_Cut]:
        for piece in pieces:
            yield from self._cutter.add(piece)

    def _segments(self, cuts: Iterable[_Cut]) -> list[Segment]:
        return [segment for cut in cuts if (segment := self._segment(cut)) is not None]

    def _segment(self, cut: _Cut) -> Segment | None:
        if not cut.speakable:
            self._silence_due |= cut.ends_sentence
            return None
        pause = self._options.sentence_silence if self._spoken and self._silence_due else 0.0
        self._spoken = True
        self._silence_due = cut.ends_sentence
        return Segment(cut.text(self._options.auto_punctuation), pause_before=pause)


def _whole_document(text: str) -> list[Segment]:
    # XML allows no control characters, and lone surrogates could not be handed to an engine.
    document = _NOT_XML_RE.sub("", text).strip()
    return [Segment(document, text_format=TextFormat.SSML)] if document else []


@dataclass(frozen=True, slots=True)
class _Cut:
    """Text between two cuts, with a placeholder for each of its raw blocks."""

    shadow: str
    blocks: tuple[str, ...]
    ends_sentence: bool
    """False for a forced cut: the sentence goes on."""

    @property
    def speakable(self) -> bool:
        return is_speakable(self.shadow.replace(BLOCK, " ")) or any(
            block[2:-2].strip() for block in self.blocks
        )

    def text(self, auto_punctuation: str) -> str:
        """The text to be spoken."""
        shadow = self.shadow
        if self.ends_sentence and _lacks_mark(shadow, auto_punctuation):
            shadow += auto_punctuation[0]
        blocks = iter(self.blocks)
        return "".join(next(blocks) if part == BLOCK else part for part in _BLOCK_RE.split(shadow))


def _lacks_mark(text: str, marks: str) -> bool:
    if not marks or text[-1] in marks:
        return False
    last = text.rstrip(_CLOSERS)[-1:]
    return last not in marks and not _TERMINAL_RE.match(last)


class _Cutter:
    """Cuts cleaned text at sentence boundaries and, where none comes in time, by force."""

    def __init__(self, max_chars: int, first: FirstSegmentOptions) -> None:
        self._max_chars = max_chars
        self._first_options = first
        self._first = FirstSegmentFinder(first) if first.enabled else None
        """None once there is a first segment."""
        self._restart()

    def _restart(self) -> None:
        self._detector = SentenceBoundaryDetector()
        self._pending = ""
        """The text since the last cut."""
        self._known = 0
        """How much of it the detector has been given."""
        self._joined = 0
        """How much of it are sentences that are none, and go on."""
        self._blocks: deque[str] = deque()
        self._chars = 0
        """Characters in `_pending`, raw blocks counted in full."""
        self._after_stop = False
        """A stop is pending that may turn out to be a boundary."""

    def add(self, piece: Piece) -> Iterator[_Cut]:
        """Take some more text; yield what it completed."""
        if piece.raw:
            self._blocks.append(piece.text)
            yield from self._take(BLOCK, chars=len(piece.text))
            return
        start = 0
        while start < len(piece.text):
            end = self._unit_end(piece.text, start)
            yield from self._take(piece.text[start:end], chars=end - start)
            start = end

    def flush(self, *, word_over: bool) -> Iterator[_Cut]:
        """Yield what can be said by now; `word_over`: what comes next is no part of the last word."""
        yield from self._detect()
        end = len(self._pending) if word_over else _finished_end(self._pending)
        ends_sentence = _TERMINAL_RE.match(self._pending[:end].rstrip(_CLOSERS)[-1:]) is not None
        if self._cut_before(end, ends_sentence=ends_sentence).speakable:
            yield from self._part(end, ends_sentence=ends_sentence)

    def finish(self) -> Iterator[_Cut]:
        """Yield the rest."""
        yield from self._detect()
        if self._pending:
            yield self._cut(len(self._pending), ends_sentence=True)

    def _unit_end(self, text: str, start: int) -> int:
        if self._after_stop or self._first or not self._pending:
            return start + 1
        end = start + max(1, self._max_chars + 1 - self._chars)
        stop = _STOP_RE.search(text, start, end)
        return int(stop.end()) if stop else min(end, len(text))

    def _take(self, unit: str, *, chars: int) -> Iterator[_Cut]:
        if not self._pending and unit.isspace():  # what was before it has been flushed
            if unit == "\n":
                yield _Cut("", (), ends_sentence=True)
            return
        self._pending += unit
        self._chars += chars
        last = unit[-1]
        letter = last.isalpha() or last == BLOCK
        if self._after_stop and letter and self._pending[-2:-1] not in _ASCII_STOPS:
            yield from self._detect()
        if _STOP_RE.match(last):
            self._after_stop = True
        elif letter:
            self._after_stop = False
        if self._first and (end := self._first.find(self._pending)) and not self._after_stop:
            yield from self._part(end, ends_sentence=False)
        # A space may be the one that the boundary before it waits for; it is not worth a cut.
        if self._chars > self._max_chars and not last.isspace():
            yield from self._detect()
            if self._chars > self._max_chars:  # the detector has found no boundary
                yield from self._part(self._forced_end(), ends_sentence=False)

    def _detect(self) -> Iterator[_Cut]:
        new = self._pending[self._known :]
        for sentence in list(self._detector.add_chunk(new)):
            end = self._pending.index(sentence, self._joined) + len(sentence)
            if _HALF_ABBREVIATION_RE.search(sentence):
                self._joined = end
            else:
                yield self._cut(end, ends_sentence=True)
        self._known = len(self._pending)

    def _part(self, end: int, *, ends_sentence: bool) -> Iterator[_Cut]:
        """Cut where the detector sees no boundary; it starts again behind."""
        yield self._cut(end, ends_sentence=ends_sentence)
        rest, blocks = self._pending, self._blocks
        self._restart()
        for part in _BLOCK_RE.split(rest):
            yield from self.add(Piece(blocks.popleft(), raw=True) if part == BLOCK else Piece(part))

    def _forced_end(self) -> int:
        """The last space in the second half of what fits, so that every cut makes headway."""
        limit = self._fitting()
        space = self._pending.rfind(" ", max(1, limit // 2), limit + 1)
        if space > 0:
            return space
        end = limit
        while end > limit // 2 and _joined_at(self._pending, end):
            end -= 1
        return end if end > limit // 2 else limit

    def _fitting(self) -> int:
        """How much of the pending text has room in a segment; at least one character or block."""
        if not self._blocks:
            return self._max_chars
        room = self._max_chars
        blocks = iter(self._blocks)
        for index, char in enumerate(self._pending):
            room -= len(next(blocks)) if char == BLOCK else 1
            if room < 0:
                return max(1, index)
        return len(self._pending)

    def _cut_before(self, end: int, *, ends_sentence: bool) -> _Cut:
        shadow = self._pending[:end].strip()
        return _Cut(shadow, tuple(islice(self._blocks, shadow.count(BLOCK))), ends_sentence)

    def _cut(self, end: int, *, ends_sentence: bool) -> _Cut:
        cut = self._cut_before(end, ends_sentence=ends_sentence)
        self._pending = self._pending[end:].lstrip()
        for _ in cut.blocks:
            self._blocks.popleft()
        self._chars = len(self._pending) + sum(len(block) - 1 for block in self._blocks)
        self._joined = 0
        if self._first:
            self._first = None if cut.speakable else FirstSegmentFinder(self._first_options)
        return cut


def _finished_end(text: str) -> int:
    """Where the last word of a text starts that may go on; the text's end if none may."""
    start = max(text.rfind(" "), text.rfind("\n")) + 1
    word = text[start:]
    if _FINISHED_WORD_RE.fullmatch(word):
        return len(text)
    parts = list(_FINISHED_PART_RE.finditer(word))
    return start + (parts[-1].end() if parts else 0)


def _joined_at(text: str, index: int) -> bool:
    """Whether a cut before `text[index]` would part what is written as one sign."""
    after, before = text[index], text[index - 1]
    return (
        unicodedata.category(after) in {"Mn", "Mc", "Me", "Cf"}
        or unicodedata.category(before) == "Cf"
        or unicodedata.combining(before) == _VIRAMA
    )
