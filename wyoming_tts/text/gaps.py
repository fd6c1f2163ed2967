"""Gaps: runs of unspoken characters (white space, emoji, invisible characters, dashes), each summarized.

A gap becomes a blank line, the end of a line, a space, a dash or nothing, once the character after it is
known. What is kept of it does not grow with it, and does not depend on the pieces that it arrives in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import regex  # type: ignore[import-untyped]  # the standard library knows no emoji properties

from wyoming_tts.offset_text import group, standing_for, with_offsets_of

TEXT_PICTURES = "©®™‼⁉ℹ↔↕↖↗↘↙↩↪〰〽㊗㊙"
"""Emoji by definition that are letters, punctuation and arrows in ordinary text, unless a variation
selector requests the picture."""
_SIGN_BLOCKS = (
    r"\u2300-\u245f\u2500-\u27bf\u2800-\u28ff\u2b00-\u2bff\u4dc0-\u4dff"
    r"\U0001d000-\U0001d24f\U0001f000-\U0001faff"
)
"""Blocks of pictures, check marks, boxes, stars and ornaments, which espeak-ng reads as "symbol 2713"."""
KEYCAP = r"[0-9#*]\ufe0f?\u20e3"
SINGLE = (
    rf"(?:[{TEXT_PICTURES}]\ufe0f"
    r"|[[\p{Extended_Pictographic}\p{Emoji_Presentation}\p{Emoji_Modifier}\p{Regional_Indicator}"
    rf"[[{_SIGN_BLOCKS}]&&[\p{{So}}\p{{Sm}}]]]--[{TEXT_PICTURES}♭♮♯]])"
)
_PICTURE = rf"(?:{KEYCAP}|{SINGLE})"
_INVISIBLE = r"[\p{Cc}\p{Cf}\p{Cn}\p{Co}\p{Cs}\ufe00-\ufe0f\ufffd\U000e0100-\U000e01ef]"

_SPACE_RE = regex.compile(r"\s")
_PICTURE_RE = regex.compile(_PICTURE, regex.V1)
_NOT_SAID = rf"(?:\s|{_PICTURE}|-|{_INVISIBLE})"
_SAID = r"[\x21-\x2c\x2e-\x7e\p{L}\p{N}]"
GAP_RE = regex.compile(rf"{_NOT_SAID}{{2,}}|\A | \Z|(?! |(?<={_SAID})-{_SAID}){_NOT_SAID}", regex.V1)
"""All gaps except the usual ones: one space between two words, one hyphen within a word."""

_JOINERS = ("\u200c", "\u200d")
_JOINING_SCRIPTS = range(0x0600, 0x1D00)
"""Arabic to Vedic: in these a (non-)joiner after a letter is spelling, elsewhere it is noise."""
_CLINGING = ".,;:!?…)"
"""Punctuation that joins the word before the emoji, without the emoji's space."""
SOFT_LINE_BREAK = "\v"
"""Ends a line as a line end does, but two of them, or one beside a line end, are no blank line: HTML's
`<br>`."""
_BLANK_LINE = 2
"""Line ends that make a gap a blank line."""
_DASHES = 2
"""Hyphens in a row that make a dash."""


@dataclass(slots=True)
class Gap:
    """Summary of a run of unspoken characters."""

    begun: bool = False
    space: Any = None
    """Match of the first white space before any dash."""
    pictured: bool = False
    """Whether a picture is before any dash."""
    line_ends: int = 0
    softly_broken: bool = False
    broken_before_dash: bool = False
    joiner: str = ""
    dashes: int = 0
    written_dashes: str = ""
    """The first dash and the last one."""
    space_behind_dash: Any = None
    """Match of the first white space behind the first dash."""
    pictured_behind_dash: bool = False

    def add(self, found: Any, *, after: str) -> None:
        """Add a match of GAP_RE; `after` is the character before all of the gap."""
        text = found.group()
        if not self.begun and text.startswith(_JOINERS) and after and ord(after) in _JOINING_SCRIPTS:
            self.joiner = group(found)[:1]
        self.begun = True
        written, (begin, end) = found.string, found.span()
        if "-" not in text:
            self._add_space(written, begin, end)
            return
        first, last = written.index("-", begin, end), written.rindex("-", begin, end)
        self._add_space(written, begin, first)
        self.written_dashes = (self.written_dashes or written[first : first + 1])[:1] + written[
            last : last + 1
        ]
        self.dashes += text.count("-")
        self._add_space(written, first + 1, end)

    def add_picture(self) -> None:
        """Add a picture, such as one whose name is said."""
        self.begun = True
        if self.dashes:
            self.pictured_behind_dash = True
        else:
            self.pictured = True

    def _add_space(self, text: str, begin: int, end: int) -> None:
        self.line_ends += (
            text.count("\n", begin, end)
            + text.count("\u2028", begin, end)
            + 2 * text.count("\u2029", begin, end)
        )
        self.softly_broken |= text.find(SOFT_LINE_BREAK, begin, end) >= 0
        space = _SPACE_RE.search(text, begin, end)
        if self.dashes:
            self.space_behind_dash = self.space_behind_dash or space
        else:
            self.space = self.space or space
            self.broken_before_dash = self.is_broken
        if not text.isascii() and _PICTURE_RE.search(text, begin, end):
            self.add_picture()

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
        return self._dash_signs if self.dashes == 1 and not self._is_spaced_behind_dash else ""

    @property
    def _is_spaced_behind_dash(self) -> bool:
        return self.space_behind_dash is not None or self.pictured_behind_dash

    @property
    def _dash_signs(self) -> str:
        return standing_for("-" * self.dashes, self.written_dashes)

    def between(self, left: str, right: str, *, in_address: bool) -> str:
        """What the run becomes between these two characters; `left` is empty at the start of the text."""
        if self.line_ends >= _BLANK_LINE:
            return "\n\n" + self._sign if left else self._sign
        if self.dashes:
            return self._dash(left, in_address=in_address)
        if not left or (self.pictured and right in _CLINGING):
            return ""
        return _space(self.space) if self.space or self.pictured else self.joiner

    def _dash(self, left: str, *, in_address: bool) -> str:
        before = _space(self.space) if left and (self.space or self.pictured) else ""
        behind = _space(self.space_behind_dash) if self._is_spaced_behind_dash else ""
        option = (before or not left) and not behind  # as in `--help`
        if self.dashes < _DASHES or (in_address and not before) or (option and self.dashes == _DASHES):
            return (before + self._dash_signs + behind) if left or not behind else ""
        return " — " if left else ""


def _space(found: Any) -> str:
    """A space in place of white space, or of a picture, which it does not stand for."""
    written = group(found) if found else " "
    return written if written == " " else with_offsets_of(" ", written)
