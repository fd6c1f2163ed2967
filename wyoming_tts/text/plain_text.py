"""Plain-text output of cleaning: white space, emoji, invisible characters and repeated punctuation collapse.

A run of unspoken characters (white space, emoji, invisible characters, dashes) becomes a blank line, the
end of a line, a space, a dash or nothing. Such a gap is summarized in a few flags and resolved once the
character after it is known. So memory does not grow with the gap, and the result does not depend on the
pieces that the text arrives in.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from itertools import groupby
from typing import cast

import regex  # type: ignore[import-untyped]  # the standard library knows no emoji properties

from wyoming_tts.text.emoji_names import emoji_name

_TEXT_PICTURES = "©®™‼⁉ℹ↔↕↖↗↘↙↩↪〰〽㊗㊙"
"""Emoji by definition that are letters, punctuation and arrows in ordinary text, unless a variation
selector requests the picture."""
_SIGN_BLOCKS = (
    r"\u2300-\u245f\u2500-\u27bf\u2800-\u28ff\u2b00-\u2bff\u4dc0-\u4dff"
    r"\U0001d000-\U0001d24f\U0001f000-\U0001faff"
)
"""Blocks of pictures, check marks, boxes, stars and ornaments, which espeak-ng reads as "symbol 2713"."""
_CIRCLED_RE = regex.compile("[\u2460-\u2487\u249c-\u24fe\u2776-\u2793]")
"""Numbers and letters in circles or brackets, which espeak-ng does not know."""
_KEYCAP = r"[0-9#*]\ufe0f?\u20e3"
_SINGLE = (
    rf"(?:[{_TEXT_PICTURES}]\ufe0f"
    r"|[[\p{Extended_Pictographic}\p{Emoji_Presentation}\p{Emoji_Modifier}\p{Regional_Indicator}"
    rf"[[{_SIGN_BLOCKS}]&&[\p{{So}}\p{{Sm}}]]]--[{_TEXT_PICTURES}♭♮♯]])"
)
_PICTURE = rf"(?:{_KEYCAP}|{_SINGLE})"
_SEQUENCE_RE = regex.compile(
    rf"{_KEYCAP}|\p{{Regional_Indicator}}{{2}}"
    rf"|{_SINGLE}[\ufe0f\p{{Emoji_Modifier}}\U000e0020-\U000e007f]{{0,8}}"
    rf"(?:\u200d(?:{_SINGLE}|[♀♂⚕])[\ufe0f\p{{Emoji_Modifier}}]{{0,3}}){{0,6}}\u200d?",
    regex.V1,
)
"""A whole emoji sequence, as its name is looked up; after a joiner at its end more may follow."""
_INVISIBLE = r"[\p{Cc}\p{Cf}\p{Cn}\p{Co}\p{Cs}\ufe00-\ufe0f\ufffd\U000e0100-\U000e01ef]"

_VISIBLE_RE = regex.compile(
    r"[^\s\p{Cc}\p{Cf}\p{Cs}\p{Z}\p{Default_Ignorable_Code_Point}\N{BRAILLE PATTERN BLANK}]", regex.V1
)
"""Private and unassigned characters may be pictures of a font, and emoji newer than this library."""

_SPACE_RE = regex.compile(r"\s")
_PICTURE_RE = regex.compile(_PICTURE, regex.V1)
_NOT_SAID = rf"(?:\s|{_PICTURE}|-|{_INVISIBLE})"
_SAID = r"[\x21-\x2c\x2e-\x7e\p{L}\p{N}]"
_GAP_RE = regex.compile(rf"{_NOT_SAID}{{2,}}|\A | \Z|(?! |(?<={_SAID})-{_SAID}){_NOT_SAID}", regex.V1)
"""All gaps except the usual ones: one space between two words, one hyphen within a word."""
_UNDECIDED_RE = regex.compile(rf"[0-9#*{_TEXT_PICTURES}]\ufe0f?$")
"""The end of a piece whose meaning changes if a keycap or a selector follows."""
_UNDECIDED_CHARS = 2

_JOINERS = "\u200c\u200d"
_JOINING_SCRIPTS = range(0x0600, 0x1D00)
"""Arabic to Vedic: in these a (non-)joiner after a letter is spelling, elsewhere it is noise."""
_CLINGING = ".,;:!?…)"
"""Punctuation that joins the word before the emoji, without the emoji's space."""
UNSPOKEN = "□"
"""Stands for what was left out: as with an emoji, a mark behind it joins the word before it."""
SOFT_LINE_BREAK = "\v"
"""Ends a line as a line end does, but two of them, or one beside a line end, are no blank line: HTML's
`<br>`."""
_BLANK_LINE = 2
"""Line ends that make a gap a blank line."""

_REPEATED_RE = regex.compile(r"[!?]+|\.+|,+|;+")
_MAY_REPEAT_RE = regex.compile(r"\A[!?.,;]|[!?]{2}|\.{4}|,,|;;")
_MAX_DOTS = 3
_DASHES = 2
"""Hyphens in a row that make a dash."""

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
        self._gap = _Gap()
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
        self._recent = (self._recent + text)[-_TAIL_CHARS:]
        word = _current_word(self._given_word, text)
        if word != self._given_word:
            self._given_word = word
            self._given_address = None

    def _without_circles(self, text: str) -> str:
        """The text with plain numbers and letters where it has them in circles, except in an address."""
        kept, at, word = [], 0, self._given_word
        for circled in _CIRCLED_RE.finditer(text):
            before = text[at : circled.start()]
            word = _current_word(word, before)
            plain = circled.group() if _is_address(word) else f" {_in_circle(circled.group())} "
            word = _current_word(word, plain)
            kept += [before, plain]
            at = circled.end()
        return "".join([*kept, text[at:]])

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
        for plain, group in groupby(queue, lambda given: isinstance(given, str)):
            if plain:
                self._held += "".join(cast("Iterable[str]", group))
                self._decide(self._decided_end())
                continue
            for given in group:
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
            self._gap = _Gap()
            if self._tail and not _MARK_RE.search(self._tail):
                self._emit(",")
        else:
            self._write_full_stop()

    def _write_raw(self, block: str) -> None:
        before = self._resolve_gap(block[0])
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
            if regex.search(r"\p{Regional_Indicator}$", text):
                return len(text) - 1
        undecided = _UNDECIDED_RE.search(text, max(0, len(text) - _UNDECIDED_CHARS))
        return int(undecided.start()) if undecided else len(text)

    def _decide(self, end: int) -> None:
        text, self._held = self._held[:end], self._held[end:]
        if not self._name_emoji:
            self._fold(text)
            return
        at = 0
        for sequence in _SEQUENCE_RE.finditer(text):
            self._fold(text[at : sequence.start()])
            self._write_emoji_name(sequence.group())
            at = sequence.end()
        self._fold(text[at:])

    def _write_emoji_name(self, sequence: str) -> None:
        name = emoji_name(sequence.rstrip("\u200d"), self._language)
        self._gap.add(" ", after=self._tail[-1:])
        if name and name != self._picture:
            self._keep(name, begins_line=True)
            self._picture = name
        self._gap.add("\U0001f600", after=self._tail[-1:])

    def _fold(self, text: str) -> None:
        at = 0
        for gap in _GAP_RE.finditer(text):
            self._keep(text[at : gap.start()])
            self._gap.add(gap.group(), after=self._tail[-1:])
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
        gap, self._gap = self._gap, _Gap()
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
        self._tail = (self._tail + text)[-_TAIL_CHARS:]
        self._columns += len(text) if text.isascii() else sum(1 + (char >= _WIDE) for char in text)
        if folded:
            self._picture = ""
        self._word = _current_word(self._word, text)

    def _without_repeats(self, text: str) -> str:
        if not _MAY_REPEAT_RE.search(text):
            return text
        kept = []
        at = 0
        for run in _REPEATED_RE.finditer(text):
            if len(run.group()) == 1 and run.start():
                continue
            kept.append(text[at : run.start()])
            kept.append(self._shorten_run(run.group(), text[: run.start()]))
            at = run.end()
        return "".join([*kept, text[at:]])

    def _shorten_run(self, run: str, before: str) -> str:
        if _is_address(_current_word(self._word, before)):
            return run
        earlier = "" if before else self._tail[len(self._tail.rstrip("!?" if run[0] in "!?" else run[0])) :]
        if run[0] == ".":
            return run[: max(0, _MAX_DOTS - len(earlier))]
        return "".join(dict.fromkeys(mark for mark in run if mark not in earlier))


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


@dataclass(slots=True)
class _Gap:
    """Summary of a run of unspoken characters."""

    begun: bool = False
    spaced: bool = False
    pictured: bool = False
    line_ends: int = 0
    softly_broken: bool = False
    joiner: str = ""
    dashes: int = 0
    spaced_before_dash: bool = False
    spaced_behind_dash: bool = False
    broken_before_dash: bool = False

    def add(self, text: str, *, after: str) -> None:
        """Add more of the run; `after` is the character before all of it."""
        if not self.begun and text[0] in _JOINERS and after and ord(after) in _JOINING_SCRIPTS:
            self.joiner = text[0]
        self.begun = True
        head, dash, rest = text.partition("-")
        if not self.dashes:
            self._add_space(head)
            self.spaced_before_dash = self.spaced or self.pictured
            self.broken_before_dash = self.is_broken
        else:
            self.spaced_behind_dash |= self._add_space(head)
        if dash:
            self.dashes += text.count("-")
            self.spaced_behind_dash |= self._add_space(rest)

    def _add_space(self, text: str) -> bool:
        spaced = _SPACE_RE.search(text) is not None
        pictured = _PICTURE_RE.search(text) is not None
        self.spaced |= spaced
        self.pictured |= pictured
        self.line_ends += text.count("\n") + text.count("\u2028") + 2 * text.count("\u2029")
        self.softly_broken |= SOFT_LINE_BREAK in text
        return spaced or pictured

    @property
    def is_line_break(self) -> bool:
        """Whether a line ends in it, and no blank line or dash follows the text before."""
        return self.broken_before_dash and self.line_ends < _BLANK_LINE

    @property
    def is_broken(self) -> bool:
        """Whether a line ends in it."""
        return self.softly_broken or self.line_ends > 0

    @property
    def line_break(self) -> str:
        """What the run becomes where the line before it is a whole."""
        return "\n" + self._sign

    @property
    def _sign(self) -> str:
        """The sign of a number; any other dash is that of a list or a ruler."""
        return "-" if self.dashes == 1 and not self.spaced_behind_dash else ""

    def between(self, left: str, right: str, *, in_address: bool) -> str:
        """What the run becomes between these two characters; `left` is empty at the start of the text."""
        if self.line_ends >= _BLANK_LINE:
            return "\n\n" + self._sign if left else self._sign
        if self.dashes:
            return self._dash(left, in_address=in_address)
        if not left or (self.pictured and right in _CLINGING):
            return ""
        return " " if self.spaced or self.pictured else self.joiner

    def _dash(self, left: str, *, in_address: bool) -> str:
        before = " " if left and self.spaced_before_dash else ""
        behind = " " if self.spaced_behind_dash else ""
        option = (before or not left) and not behind  # as in `--help`
        if self.dashes < _DASHES or (in_address and not before) or (option and self.dashes == _DASHES):
            return (before + "-" * self.dashes + behind) if left or not behind else ""
        return " — " if left else ""
