"""Fenced code blocks: skipped, announced or read, as code is seldom worth hearing."""

from __future__ import annotations

from dataclasses import dataclass

import regex  # type: ignore[import-untyped]  # partial matches and possessive quantifiers

from wyoming_tts.text.markdown.scanner import TextScanner
from wyoming_tts.text.plain_text import PlainTextWriter

_OPENING_RE = regex.compile(r"(?P<fence>`{3,20}+|~{3,20}+)[^`\n]{0,200}+\n")
_CLOSING_RE = regex.compile(r"[ \t>]{0,40}+(?P<fence>`{3,20}+|~{3,20}+)[ \t\r]{0,20}+\n")


@dataclass(frozen=True, slots=True)
class CodeBlockOptions:
    """What to speak for fenced code: nothing, a notice, or its lines."""

    read: bool = False
    notice: str = ""
    """Spoken in its place unless it is read; empty: nothing."""


class FencedCodeStripper:
    """Consumes fenced blocks; one that is never closed lasts to the end of the text."""

    def __init__(self, scanner: TextScanner, writer: PlainTextWriter, options: CodeBlockOptions) -> None:
        self._scanner = scanner
        self._writer = writer
        self._options = options
        self._fence = ""
        self._line_start = True

    @property
    def is_open(self) -> bool:
        """Whether the text is inside a block."""
        return bool(self._fence)

    def try_open(self) -> bool:
        """Consume an opening fence; return whether there was one."""
        found = self._scanner.match(_OPENING_RE)
        if not found:
            return False
        self._scanner.skip(found)
        self._fence = found["fence"]
        self._line_start = True
        self._writer.end_sentence()
        self._writer.write("\n\n")
        if self._options.notice and not self._options.read:
            self._writer.write(self._options.notice)
            self._writer.end_sentence()
            self._writer.write("\n\n")
        return True

    def consume(self) -> None:
        """Consume some of the code."""
        if self._line_start and self._try_close():
            return
        self._line_start = False
        scanner = self._scanner
        line_end = scanner.text.find("\n", scanner.position)
        code = scanner.read((line_end if line_end >= 0 else len(scanner.text)) - scanner.position)
        if self._options.read:
            self._writer.write(code)
        if line_end >= 0:
            self._end_line()

    def _end_line(self) -> None:
        self._line_start = True
        self._scanner.advance(1)
        if self._options.read:
            self._writer.end_sentence()
            self._writer.write("\n")

    def _try_close(self) -> bool:
        found = self._scanner.match(_CLOSING_RE)
        if not found or found["fence"][0] != self._fence[0] or len(found["fence"]) < len(self._fence):
            return False
        self._scanner.skip(found)
        self._fence = ""
        self._writer.write("\n\n")
        return True
