"""Fenced code, which is seldom worth hearing."""

from __future__ import annotations

from dataclasses import dataclass

import regex  # type: ignore[import-untyped]  # partial matches and possessive quantifiers

from wyoming_tts.text.markdown.scanner import TextScanner
from wyoming_tts.text.plain_text import PlainTextWriter

_OPENING_RE = regex.compile(r"(?P<fence>`{3,20}+|~{3,20}+)[^`\n]{0,200}+\n")
_CLOSING_RE = regex.compile(r"[ \t>]{0,40}+(?P<fence>`{3,20}+|~{3,20}+)[ \t\r]{0,20}+\n")


@dataclass(frozen=True, slots=True)
class CodeBlockOptions:
    """What is said of fenced code: nothing, a notice, or its lines."""

    read: bool = False
    notice: str = ""
    """Said in its place unless it is read; empty: nothing."""


class FencedCodeStripper:
    """Takes fenced blocks; one that is never closed lasts to the end of the text."""

    def __init__(self, scan: TextScanner, folder: PlainTextWriter, said: CodeBlockOptions) -> None:
        self._scan = scan
        self._folder = folder
        self._said = said
        self._fence = ""
        self._line_start = True

    @property
    def open(self) -> bool:
        """Inside a block."""
        return bool(self._fence)

    def begin(self) -> bool:
        """Take the opening fence if one stands here."""
        found = self._scan.match(_OPENING_RE)
        if not found:
            return False
        self._scan.passed(found)
        self._fence = found["fence"]
        self._line_start = True
        self._folder.end_sentence()
        self._folder.text("\n\n")
        if self._said.notice and not self._said.read:
            self._folder.text(self._said.notice)
            self._folder.end_sentence()
            self._folder.text("\n\n")
        return True

    def read(self) -> None:
        """Take some of the code."""
        if self._line_start and self._end():
            return
        self._line_start = False
        scan = self._scan
        line_end = scan.text.find("\n", scan.at)
        code = scan.skip((line_end if line_end >= 0 else len(scan.text)) - scan.at)
        if self._said.read:
            self._folder.text(code)
        if line_end >= 0:
            self._end_line()

    def _end_line(self) -> None:
        self._line_start = True
        self._scan.skip(1)
        if self._said.read:
            self._folder.end_sentence()
            self._folder.text("\n")

    def _end(self) -> bool:
        found = self._scan.match(_CLOSING_RE)
        if not found or found["fence"][0] != self._fence[0] or len(found["fence"]) < len(self._fence):
            return False
        self._scan.passed(found)
        self._fence = ""
        self._folder.text("\n\n")
        return True
