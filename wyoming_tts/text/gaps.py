"""Gaps: runs of unspoken characters (white space, emoji, invisible characters, dashes), each summarized.

A gap becomes a blank line, the end of a line, a space, a dash or nothing, once the character after it is
known. What is kept of it does not grow with it, and does not depend on the pieces that it arrives in.
"""

from __future__ import annotations

from dataclasses import dataclass

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
    spaced: bool = False
    pictured: bool = False
    line_ends: int = 0
    softly_broken: bool = False
    joiner: str = ""
    dashes: int = 0
    spaced_before_dash: bool = False
    spaced_behind_dash: bool = False
    broken_before_dash: bool = False
    written_space: str = ""
    """The first white space before any dash."""
    written_space_behind_dash: str = ""
    written_dashes: str = ""
    """The first dash and the last one."""

    def add(self, text: str, *, after: str) -> None:
        """Add more of the run; `after` is the character before all of it."""
        if not self.begun and text.startswith(_JOINERS) and after and ord(after) in _JOINING_SCRIPTS:
            self.joiner = text[:1]
        self.begun = True
        dash = text.find("-")
        head = text if dash < 0 else text[:dash]
        if not self.dashes:
            self.written_space = self.written_space or _first_space(head)
            self._add_space(head)
            self.spaced_before_dash = self.spaced or self.pictured
            self.broken_before_dash = self.is_broken
        else:
            self._add_behind_dash(head)
        if dash >= 0:
            self.dashes += text.count("-")
            last = text.rindex("-")
            self.written_dashes = (self.written_dashes or text[dash : dash + 1])[:1] + text[last : last + 1]
            self._add_behind_dash(text[dash + 1 :])

    def _add_behind_dash(self, text: str) -> None:
        self.written_space_behind_dash = self.written_space_behind_dash or _first_space(text)
        self.spaced_behind_dash |= self._add_space(text)

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
        return self._dash_signs if self.dashes == 1 and not self.spaced_behind_dash else ""

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
        return _space(self.written_space) if self.spaced or self.pictured else self.joiner

    def _dash(self, left: str, *, in_address: bool) -> str:
        before = _space(self.written_space) if left and self.spaced_before_dash else ""
        behind = _space(self.written_space_behind_dash) if self.spaced_behind_dash else ""
        option = (before or not left) and not behind  # as in `--help`
        if self.dashes < _DASHES or (in_address and not before) or (option and self.dashes == _DASHES):
            return (before + self._dash_signs + behind) if left or not behind else ""
        return " — " if left else ""


def _first_space(text: str) -> str:
    """The first white space, with its offset; empty if there is none."""
    found = _SPACE_RE.search(text)
    return group(found) if found else ""


def _space(written: str) -> str:
    """A space in place of white space, or of a picture, which it does not stand for."""
    return with_offsets_of(" ", written) if written else " "
