"""Text as it was written for eyes, made fit for a voice, while it is still arriving.

Everything that is not said (white space, asterisks, emoji, invisible characters) is a gap between
things that are; a gap is summed up in a few flags and becomes a blank line, a space or nothing
once the character after it is known. So memory does not grow with a gap, and neither that nor the
few characters held back at the end of a piece let the result depend on how the text was cut.
"""

from __future__ import annotations

from dataclasses import dataclass

import regex  # type: ignore[import-untyped]  # the standard library knows no emoji properties

_OPENING = "[["
_CLOSING = "]]"

_TEXT_PICTURES = "©®™‼⁉ℹ↔↕↖↗↘↙↩↪〰〽㊗㊙"
"""Emoji in name that are letters, punctuation and arrows of ordinary text, unless a variation
selector asks for the picture."""
_PICTURE = (
    rf"(?:[0-9#*]\ufe0f?\u20e3|[{_TEXT_PICTURES}]\ufe0f"
    r"|[[\p{Extended_Pictographic}\p{Emoji_Presentation}\p{Emoji_Modifier}\p{Regional_Indicator}]"
    rf"--[{_TEXT_PICTURES}]])"
)
_INVISIBLE = r"[\p{Cc}\p{Cf}\p{Cn}\p{Co}\p{Cs}\ufe00-\ufe0f\ufffd\U000e0100-\U000e01ef]"

_SPACE_RE = regex.compile(r"\s")
_PICTURE_RE = regex.compile(_PICTURE, regex.V1)
_GAP_RE = regex.compile(rf"(?:\s|{_PICTURE}|\*|{_INVISIBLE})+", regex.V1)
_UNDECIDED_RE = regex.compile(rf"(?:[0-9#*{_TEXT_PICTURES}]\ufe0f?|\[)$")
"""The end of a piece that means something else if a keycap, a selector or a bracket follows."""
_UNDECIDED_CHARS = 2
_NOT_IN_BLOCK_RE = regex.compile(r"[\p{Cc}\p{Cs}]")
"""Piper ends a block at a line's end; lone surrogates cannot even be encoded for an engine."""

_JOINERS = "\u200c\u200d"
_JOINING_SCRIPTS = range(0x0600, 0x1D00)
"""Arabic to Vedic: there a (non-)joiner after a letter is spelling, elsewhere it is noise."""

_SIGN = r"[\p{Sc}%‰+=±×÷&°√∞≈≠≤≥]"
_SPEAKABLE_RE = regex.compile(rf"[\p{{L}}\p{{N}}]|(?:^|\s){_SIGN}[.!?…]*(?:\s|$)")
"""A sign is said when it stands alone; rulers such as `====` and curses such as `@#$%` are pictures."""

_CLINGING = ".,;:!?…)"
"""Punctuation that goes to the word before the emoji, not behind the emoji's space."""

_BLANK_LINE = 2
"""Line ends in a gap from which on it is a blank line."""

MAX_BLOCK_CHARS = 500


@dataclass(frozen=True, slots=True)
class Piece:
    """Some cleaned text, in order."""

    text: str
    raw: bool = False
    """A whole `[[ phonemes ]]` block, exactly as it came."""


def is_speakable(text: str) -> bool:
    """Whether an engine finds anything to say in the text: a letter, a digit or a lone sign."""
    return _SPEAKABLE_RE.search(text) is not None


class Cleaner:
    r"""Drops what is not said; `feed` takes any pieces, `finish` gives what was held back.

    White space is folded to one space, to `\n\n` where it holds a blank line, to nothing at both
    ends. Emoji count as white space, asterisks and invisible characters as nothing (but asterisks
    keep two numbers apart). A `[[ … ]]` block of up to `max_block_chars` on one line is passed
    untouched; any other `[[` is plain text.
    """

    def __init__(self, *, max_block_chars: int = MAX_BLOCK_CHARS) -> None:
        self._max_block_chars = max_block_chars
        self._held = ""
        self._gap = _Gap()
        self._last = ""

    def feed(self, text: str) -> list[Piece]:
        """Clean some more text; what cannot be decided yet is held back."""
        self._held += text
        return self._scan(final=False)

    def finish(self) -> list[Piece]:
        """End the text."""
        return self._scan(final=True)

    def _scan(self, *, final: bool) -> list[Piece]:
        text = self._held
        pieces: list[Piece] = []
        at = 0
        while (opening := text.find(_OPENING, at)) >= 0:
            end = self._block_end(text, opening)
            if end is None and not final and self._may_still_close(text, opening):
                break
            plain_end = opening + 1 if end is None else opening
            pieces += self._plain(text[at:plain_end])
            if end is not None:
                pieces += self._block(text[opening:end])
            at = plain_end if end is None else end
        else:
            opening = len(text) if final else _decided_end(text, at)
        pieces += self._plain(text[at:opening])
        self._held = text[opening:]
        return pieces

    def _block_end(self, text: str, opening: int) -> int | None:
        closing = text.find(_CLOSING, opening + len(_OPENING), opening + self._max_block_chars)
        if closing < 0 or _NOT_IN_BLOCK_RE.search(text, opening, closing):
            return None
        return closing + len(_CLOSING)

    def _may_still_close(self, text: str, opening: int) -> bool:
        return len(text) - opening < self._max_block_chars and not _NOT_IN_BLOCK_RE.search(text, opening)

    def _plain(self, text: str) -> list[Piece]:
        cleaned = []
        at = 0
        for gap in _GAP_RE.finditer(text):
            cleaned.append(self._joined(text[at : gap.start()]))
            self._gap.add(gap.group(), after=self._last)
            at = gap.end()
        cleaned.append(self._joined(text[at:]))
        kept = "".join(cleaned)
        return [Piece(kept)] if kept else []

    def _block(self, block: str) -> list[Piece]:
        joined = self._joined(block)
        before = joined.removesuffix(block)
        return [Piece(before), Piece(block, raw=True)] if before else [Piece(block, raw=True)]

    def _joined(self, kept: str) -> str:
        """The kept text behind what the gap before it has become."""
        if not kept:
            return ""
        before = self._gap.between(self._last, kept[0])
        self._gap = _Gap()
        self._last = kept[-1]
        return before + kept


def _decided_end(text: str, start: int) -> int:
    """Where the part of `text[start:]` ends that no text to come can change."""
    undecided = _UNDECIDED_RE.search(text, max(start, len(text) - _UNDECIDED_CHARS))
    return undecided.start() if undecided else len(text)


@dataclass(slots=True)
class _Gap:
    """What is known of a run of characters that are not said."""

    begun: bool = False
    spaced: bool = False
    pictured: bool = False
    line_ends: int = 0
    starred: bool = False
    joiner: str = ""

    def add(self, text: str, *, after: str) -> None:
        """Note some more of the run; `after` is the character before all of it."""
        if not self.begun and text[0] in _JOINERS and after and ord(after) in _JOINING_SCRIPTS:
            self.joiner = text[0]
        self.begun = True
        self.spaced = self.spaced or _SPACE_RE.search(text) is not None
        self.pictured = self.pictured or _PICTURE_RE.search(text) is not None
        self.line_ends += text.count("\n") + text.count("\u2028") + 2 * text.count("\u2029")
        self.starred = self.starred or "*" in text

    def between(self, left: str, right: str) -> str:
        """What stands for the run between these two characters; no left one: the text begins."""
        if not left:
            return ""
        if self.line_ends >= _BLANK_LINE:
            return "\n\n"
        if self.pictured and right in _CLINGING:
            return ""
        if self.spaced or self.pictured or (self.starred and left.isdigit() and right.isdigit()):
            return " "
        return self.joiner
