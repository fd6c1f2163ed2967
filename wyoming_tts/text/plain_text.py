"""Plain-text output of cleaning: white space, emoji, invisible characters and repeated punctuation collapse.

A gap between two spoken characters is resolved once the second is known. So memory does not grow with the
gap, and the result does not depend on the pieces that the text arrives in.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from itertools import groupby
from typing import cast

import regex  # type: ignore[import-untyped]  # the standard library knows no emoji properties

from wyoming_tts.offset_text import group, join_texts, standing_for
from wyoming_tts.text.emoji_names import emoji_name
from wyoming_tts.text.gaps import GAP_RE, KEYCAP, SINGLE, TEXT_PICTURES, Gap

_CIRCLED_RE = regex.compile("[\u2460-\u2487\u249c-\u24fe\u2776-\u2793]")
"""Numbers and letters in circles or brackets, which espeak-ng does not know."""
_SEQUENCE_RE = regex.compile(
    rf"{KEYCAP}|\p{{Regional_Indicator}}{{2}}"
    rf"|{SINGLE}[\ufe0f\p{{Emoji_Modifier}}\U000e0020-\U000e007f]{{0,8}}"
    rf"(?:\u200d(?:{SINGLE}|[♀♂⚕])[\ufe0f\p{{Emoji_Modifier}}]{{0,3}}){{0,6}}\u200d?",
    regex.V1,
)
"""A whole emoji sequence, as its name is looked up; after a joiner at its end more may follow."""

_FLAG_BEGUN_RE = regex.compile(r"\p{Regional_Indicator}$")

_VISIBLE_RE = regex.compile(
    r"[^\s\p{Cc}\p{Cf}\p{Cs}\p{Z}\p{Default_Ignorable_Code_Point}\N{BRAILLE PATTERN BLANK}]", regex.V1
)
"""Private and unassigned characters may be pictures of a font, and emoji newer than this library."""

_UNDECIDED_RE = regex.compile(rf"[0-9#*{TEXT_PICTURES}]\ufe0f?$")
"""The end of a piece whose meaning changes if a keycap or a selector follows."""
_UNDECIDED_CHARS = 2

UNSPOKEN = "□"
"""Stands for what was left out: as with an emoji, a mark behind it joins the word before it."""

_REPEATED_RE = regex.compile(r"[!?]+|\.+|,+|;+")
_MAY_REPEAT_RE = regex.compile(r"\A[!?.,;]|[!?]{2}|\.{4}|,,|;;")
_MAX_DOTS = 3

_MARK_RE = regex.compile(r"[\p{Terminal_Punctuation}\p{Sentence_Terminal}…][\p{Pe}\p{Pf}\p{Pi}\"'’]*$")
_LINE_GOES_ON_AFTER = "—–-([{/&+=×÷−<>≤≥"
"""At the end of a line: what needs something behind it."""
_LINE_GOES_ON_RE = regex.compile(
    r"(?:^|[\s(])(?:an|the|of|and|or|with|from|to|at|is|are|was|were"
    r"|der|die|das|dem|den|des|eine|einen|einem|und|oder|mit|von|vom|zum|zur|bei|beim|ist|sind|um"
    r"|le|la|les|un|une|du|de|et|ou|avec|à|est|sont|pour|el|los|las|una|del|con|es|son|en|para"
    r"|il|gli|di|della|è|sono|per|een|het|van|met|zijn)$"
)
"""The last words of a line: articles, conjunctions and the like, as before the value in "It is⏎25 °C"."""
_LINE_GOES_ON_WITH = "—–(/&+=×÷−%°,.;:!?…)]}”»"
"""At the start of a line: what needs something before it."""
_WRAPPED_WIDTHS = range(60, 101)
"""Columns of a line that may have been wrapped, so that a capital behind it may begin a name or a German
noun: text is wrapped at 72 to 100 columns, and is shorter by the word that did not fit. Shorter lines are
verse, addresses and lists of values; what is longer was not wrapped."""
_WIDE = "\u1100"
"""From here on most characters take two columns."""
_TAIL_CHARS = 8
_FULL_STOPS = ((range(0x0900, 0x0980), "।"), (range(0x3040, 0xA000), "。"))
_OTHER = "\ufffc"
"""Stands for a phoneme block among the last characters."""

_SPOKEN_SYMBOL = r"[\p{Sc}%‰+=±×÷&°√∞≈≠≤≥]"
_SPEAKABLE_RE = regex.compile(rf"[\p{{L}}\p{{N}}]|(?:^|\s){_SPOKEN_SYMBOL}[.!?…]*(?:\s|$)")
"""A symbol is spoken when it stands alone; rulers such as `====` and curses such as `@#$%` are not."""

_WORD_CHARS = 100
_WORD_END_RE = regex.compile(r'(?r)[\s<>"]')
"""Searched from the end."""
_ADDRESS_RE = regex.compile(
    r"[a-z][a-z0-9+.-]+://|\bwww\.|[\w.+-]@\w|^[(\[]?(?:[a-z0-9-]+\.)+[a-z]{2,}/", regex.IGNORECASE
)


def has_visible_character(text: str) -> bool:
    """Whether there is more than white space, controls, zero-width characters and other invisible ones.

    What is visible need not be spoken: nothing is said for `***`, or for an emoji that cleaning leaves out.
    """
    return _VISIBLE_RE.search(text) is not None


@dataclass(frozen=True, slots=True)
class TextPiece:
    """A piece of processed text, as it passes from stage to stage."""

    text: str
    raw: bool = False
    """A whole `[[ phonemes ]]` block, exactly as it was written."""


class _Mark(Enum):
    """Structure between two texts."""

    COMMA = auto()
    SENTENCE_END = auto()


@dataclass(frozen=True, slots=True)
class _Block:
    text: str


def is_speakable(text: str) -> bool:
    """Whether the text has anything for an engine to speak: a letter, a digit or a symbol on its own."""
    return _SPEAKABLE_RE.search(text) is not None


class PlainTextWriter:
    """Collects text without markup, and the structure between it; `take` returns what has been decided."""

    def __init__(self, *, name_emoji: bool = False, language: str = "en", line_breaks: bool = True) -> None:
        self._name_emoji = name_emoji
        self._line_breaks = line_breaks
        self._language = language
        self._queue: list[str | _Mark | _Block] = []
        self._ended = True
        """Nothing was written since the last sentence ended."""
        self._recent = ""
        self._given_word = ""
        self._given_address: bool | None = False
        self._held = ""
        self._gap = Gap()
        self._tail = ""
        self._columns = 0
        """Width of the current line."""
        self._word = ""
        self._picture = ""
        self._pieces: list[TextPiece] = []

    @property
    def previous(self) -> str:
        """The character that was written last, white space included; a line end at the start."""
        return self._recent[-1:] or "\n"

    @property
    def word(self) -> str:
        """The current word, as far as it was written."""
        return self._given_word

    @property
    def recent(self) -> str:
        """The last few characters that were written."""
        return self._recent

    @property
    def in_address(self) -> bool:
        """Whether the current word is a URL or an e-mail address."""
        if self._given_address is None:
            self._given_address = _is_address(self._given_word)
        return self._given_address

    @property
    def held(self) -> str:
        """Characters whose meaning depends on the next one."""
        return self._held

    def write(self, text: str) -> None:
        """Add text, including its white space and line ends."""
        if not text:
            return
        if not text.isascii():
            text = self._without_circles(text)
        self._queue.append(text)
        self._ended = self._ended and text.isspace()
        plain = str(text)
        self._recent = (self._recent + plain)[-_TAIL_CHARS:]
        word = _current_word(self._given_word, plain)
        if word != self._given_word:
            self._given_word = word
            self._given_address = None

    def _without_circles(self, text: str) -> str:
        """The text with plain numbers and letters where it has them in circles, except in an address."""
        kept, at, word = [], 0, self._given_word
        for circled in _CIRCLED_RE.finditer(text):
            before, sign = text[at : circled.start()], group(circled)
            word = _current_word(word, str(before))
            parts = [sign] if _is_address(word) else [" ", standing_for(_in_circle(sign), sign), " "]
            word = _current_word(word, "".join(parts))
            kept += [before, *parts]
            at = circled.end()
        return join_texts([*kept, text[at:]]) if at else text

    def write_block(self, block: str) -> None:
        """Add a phoneme block, which passes untouched."""
        self._queue.append(_Block(block))
        self._ended = False
        self._recent = _OTHER
        self._given_word, self._given_address = "", False

    def write_comma(self) -> None:
        """Separate two cells or columns."""
        self._queue.append(_Mark.COMMA)
        self.write(" ")

    def end_sentence(self) -> None:
        """End the text before this as a sentence; a full stop is added unless it ends with a mark."""
        if not self._ended:
            self._queue.append(_Mark.SENTENCE_END)
            self._ended = True

    def take(self, *, final: bool = False) -> list[TextPiece]:
        """Return what is decided; all that is left if `final`."""
        queue, self._queue = self._queue, []
        for plain, items in groupby(queue, lambda given: isinstance(given, str)):
            if plain:
                self._held = join_texts([self._held, *cast("Iterable[str]", items)])
                self._decide(self._decided_end())
                continue
            for given in items:
                self._take_structure(cast("_Mark | _Block", given))
        if final:
            self._settle()
        pieces, self._pieces = self._pieces, []
        return pieces

    def _take_structure(self, given: _Mark | _Block) -> None:
        self._settle()
        if isinstance(given, _Block):
            self._write_raw(given.text)
        elif given is _Mark.COMMA:
            self._gap = Gap()
            if self._tail and not _MARK_RE.search(self._tail):
                self._emit(",")
        else:
            self._write_full_stop()

    def _write_raw(self, block: str) -> None:
        before = self._resolve_gap(block[:1])
        if before:
            self._pieces.append(TextPiece(before))
        self._pieces.append(TextPiece(block, raw=True))
        self._tail = self._word = _OTHER
        self._columns += len(block)

    def _write_full_stop(self) -> None:
        self._gap.dashes = 0
        if not self._tail or _MARK_RE.search(self._tail):
            return
        last = ord(self._tail[-1])
        self._emit(next((stop for script, stop in _FULL_STOPS if last in script), "."))

    def _settle(self) -> None:
        """Decide all held text, as nothing that follows can change it."""
        self._decide(len(self._held))

    def _decided_end(self) -> int:
        text = self._held
        if self._name_emoji:
            sequence = None
            for sequence in _SEQUENCE_RE.finditer(text):  # noqa: B007  # only the last match is used
                pass
            if sequence and sequence.end() == len(text):
                return int(sequence.start())
            if _FLAG_BEGUN_RE.search(text):
                return len(text) - 1
        undecided = _UNDECIDED_RE.search(text, max(0, len(text) - _UNDECIDED_CHARS))
        return int(undecided.start()) if undecided else len(text)

    def _decide(self, end: int) -> None:
        if not end:
            return
        text, self._held = self._held[:end], self._held[end:]
        if not self._name_emoji:
            self._fold(text)
            return
        at = 0
        for sequence in _SEQUENCE_RE.finditer(text):
            self._fold(text[at : sequence.start()])
            self._write_emoji_name(group(sequence))
            at = sequence.end()
        self._fold(text[at:])

    def _write_emoji_name(self, sequence: str) -> None:
        name = emoji_name(str(sequence).rstrip("\u200d"), self._language)
        self._gap.add_picture()
        if name and name != self._picture:
            self._keep(standing_for(name, sequence), begins_line=True)
            self._picture = name
        self._gap.add_picture()

    def _fold(self, text: str) -> None:
        at = 0
        for gap in GAP_RE.finditer(text):
            self._keep(text[at : gap.start()])
            self._gap.add(gap, after=self._tail[-1:])
            at = gap.end()
        self._keep(text[at:])

    def _keep(self, kept: str, *, begins_line: bool = False) -> None:
        """Output spoken text after resolving the gap before it."""
        if kept:
            self._picture = ""
            before = self._resolve_gap(kept[0].upper() if begins_line else kept[0])
            self._emit(before, folded=False)
            self._emit(self._without_repeats(kept), folded=False)

    def _resolve_gap(self, first: str) -> str:
        gap, self._gap = self._gap, Gap()
        before = (
            gap.line_break
            if gap.is_line_break and self._ends_line(first)
            else gap.between(self._tail[-1:], first, in_address=_is_address(self._word))
        )
        if gap.is_broken:
            self._columns = -len(before)
        return before

    def _ends_line(self, first: str) -> bool:
        """Whether a line that ends here, before this character, is a whole and no part of wrapped text."""
        if not self._line_breaks or not self._tail or _MARK_RE.search(self._tail):
            return False
        if self._tail[-1] in _LINE_GOES_ON_AFTER or first in _LINE_GOES_ON_WITH or first.islower():
            return False
        return self._columns not in _WRAPPED_WIDTHS and not _LINE_GOES_ON_RE.search(self._tail)

    def _emit(self, text: str, *, folded: bool = True) -> None:
        if not text:
            return
        self._pieces.append(TextPiece(text))
        plain = str(text)
        self._tail = (self._tail + plain)[-_TAIL_CHARS:]
        self._columns += len(plain) if plain.isascii() else sum(1 + (char >= _WIDE) for char in plain)
        if folded:
            self._picture = ""
        self._word = _current_word(self._word, plain)

    def _without_repeats(self, text: str) -> str:
        if not _MAY_REPEAT_RE.search(text):
            return text
        kept = []
        at = 0
        for run in _REPEATED_RE.finditer(text):
            if len(run.group()) == 1 and run.start():
                continue
            kept.append(text[at : run.start()])
            kept.append(self._shorten_run(group(run), str(text)[: run.start()]))
            at = run.end()
        return join_texts([*kept, text[at:]])

    def _shorten_run(self, run: str, before: str) -> str:
        if _is_address(_current_word(self._word, before)):
            return run
        earlier = "" if before else self._tail[len(self._tail.rstrip("!?" if run[0] in "!?" else run[0])) :]
        if run[0] == ".":
            return run[: max(0, _MAX_DOTS - len(earlier))]
        marks = dict.fromkeys(mark for mark in run if mark not in earlier)
        return join_texts(run[at : at + 1] for at in map(run.index, marks))


def _in_circle(char: str) -> str:
    number = unicodedata.numeric(char, None)
    return unicodedata.normalize("NFKC", char).strip("()") if number is None else str(int(number))


def _current_word(word: str, more: str) -> str:
    """The current word, at most `_WORD_CHARS` of it, after this text was added."""
    end = _WORD_END_RE.search(more)
    if end:
        return more[end.end() : end.end() + _WORD_CHARS]
    return word + more[: _WORD_CHARS - len(word)]


def _is_address(word: str) -> bool:
    if "/" not in word and "@" not in word and "." not in word:
        return False
    return _ADDRESS_RE.search(word) is not None
