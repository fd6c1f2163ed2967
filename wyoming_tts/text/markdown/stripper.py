"""Markdown stripping: the markup is removed, and its meaning for a listener becomes sentences and pauses.

Here are the lines: headings, lists, tables, rulers and code; `inline` reads what is within one. Only line
starts, links and code wait for more text, so plain words are never held back.
"""

from __future__ import annotations

from enum import Enum, auto

from wyoming_tts.offset_text import join_texts, split_text, substitute
from wyoming_tts.text.markdown import syntax, tex
from wyoming_tts.text.markdown.brackets import BracketReader
from wyoming_tts.text.markdown.fenced_code import CodeBlockOptions, FencedCodeStripper
from wyoming_tts.text.markdown.html_tags import HtmlTagStripper
from wyoming_tts.text.markdown.inline import InlineReader
from wyoming_tts.text.markdown.scanner import NeedMoreText, TextScanner
from wyoming_tts.text.plain_text import PlainTextWriter


class _Line(Enum):
    """The kind of line that is being read."""

    TEXT = auto()
    ITEM = auto()
    HEADING = auto()
    ROW = auto()


class MarkdownStripper:
    """Reads text with Markdown and HTML, and writes what is left to speak to a `PlainTextWriter`.

    Args:
        writer: receives the text and the breaks in it.
        markdown: without it only HTML, models' thoughts, phonemes, citations, emoticons and terminal codes
            are recognized.
        code: what to speak for fenced code.
        max_block_chars: limit of a phoneme block; a longer one is plain text.
        tex_words: what the signs and commands of a formula are called.
    """

    def __init__(
        self,
        writer: PlainTextWriter,
        *,
        markdown: bool,
        code: CodeBlockOptions,
        max_block_chars: int,
        tex_words: tex.TexWords = tex.NO_WORDS,
    ) -> None:
        self._scanner = TextScanner()
        self._writer = writer
        self._markdown = markdown
        self._html = HtmlTagStripper(self._scanner, writer)
        self._code = FencedCodeStripper(self._scanner, writer, code)
        self._inline = InlineReader(
            self._scanner,
            writer,
            html=self._html,
            code=self._code,
            markdown=markdown,
            brackets=BracketReader(self._scanner, writer, markdown=markdown, max_block_chars=max_block_chars),
            tex_words=tex_words,
        )
        self._line_start = True
        self._line = _Line.TEXT
        self._indented = False
        self._item_open = False
        self._ruler = False
        self._columns = False
        """The ruler belongs to a table."""

    @property
    def held(self) -> str:
        """Text whose meaning is not decided yet."""
        return self._scanner.text

    def feed(self, text: str) -> None:
        """Read more text."""
        self._scanner.add(text)
        try:
            while self._scanner.position < len(self._scanner.text):
                self._step()
        except NeedMoreText:
            pass
        self._scanner.add("")

    def finish(self) -> None:
        """End the text, and with it its last line."""
        self.feed("\n")
        self._scanner.complete = True
        self.feed("")
        if self._item_open:
            self._writer.end_sentence()

    def write_block(self, block: str) -> None:
        """Write a phoneme block behind all text so far, of which nothing is held back any more."""
        self._decide()
        self._writer.write_block(block)

    def release_amount(self) -> None:
        """Decide that a `$` and figures held back are an amount, as nothing has followed for long enough."""
        if tex.AMOUNT_RE.fullmatch(self._scanner.text):
            self._decide()

    def release(self) -> None:
        """Decide all that is held back as if a space followed, unless a tag may have begun."""
        if self._scanner.text and not self._scanner.text.startswith("<"):
            self.feed(" ")
            self._decide()

    def _decide(self) -> None:
        self._scanner.complete = True
        self.feed("")
        self._scanner.complete = False

    def _step(self) -> None:
        if self._html.is_dropping:
            if not self._html.drop():
                raise NeedMoreText
        elif self._code.is_open:
            self._code.consume()
        elif self._ruler:
            self._rule()
        elif self._markdown and self._scanner.char == "\n":
            self._end_line()
        elif self._markdown and self._line_start:
            self._start_line()
        else:
            self._read_inline()

    def _end_line(self) -> None:
        if self._line in {_Line.HEADING, _Line.ROW} or (self._line_start and self._item_open):
            self._writer.end_sentence()
            self._item_open = False
        elif self._line is _Line.ITEM:
            self._item_open = True
        found = (
            syntax.LINE_ENDS_RE.match(self._scanner.text, self._scanner.position)
            if self._line_start
            else None
        )
        line_ends = found.group() if found else "\n"
        self._scanner.advance(len(line_ends))
        self._writer.write(line_ends)
        self._line_start, self._line, self._indented = True, _Line.TEXT, False

    def _start_line(self) -> None:
        scanner = self._scanner
        if found := scanner.match(syntax.INDENT_RE):
            self._indented |= self._line is _Line.TEXT
            self._writer.write(scanner.consume(found))
        elif self._quote() or self._block():
            return
        else:
            if self._item_open and not self._indented:
                self._writer.end_sentence()
            self._item_open = False
            self._line_start = False

    def _quote(self) -> bool:
        found = self._scanner.match(syntax.QUOTE_RE) if self._scanner.char == ">" else None
        if found:
            self._scanner.advance(1)
        return found is not None

    def _block(self) -> bool:
        scanner = self._scanner
        match scanner.char:
            case "#":
                return self._heading()
            case "|":
                return self._row()
            case "[":
                return self._definition()
            case "`" | "~":
                return self._code.try_open()
            case digit if digit.isdigit():
                return self._numbered()
        return scanner.char in syntax.BLOCK_SIGNS and (self._begin_rule() or self._bullet())

    def _begin_rule(self) -> bool:
        if self._line is not _Line.TEXT:
            return False
        found = self._scanner.match(syntax.RULER_RE)
        if found:
            self._scanner.skip(found)
            self._line_start = False
            self._ruler = True
            self._columns = False
        return found is not None

    def _rule(self) -> None:
        found = syntax.RULER_REST_RE.match(self._scanner.text, self._scanner.position)
        if found:
            self._columns |= "|" in self._scanner.consume(found)
            return
        self._ruler = False
        if self._scanner.char == "\n":
            self._begin_block(_Line.TEXT)
            self._line_start = True
            self._scanner.advance(1)
            self._writer.write(" " if self._columns else "\n")

    def _begin_block(self, line: _Line) -> None:
        self._writer.end_sentence()
        self._item_open = False
        self._line = line

    def _heading(self) -> bool:
        found = self._scanner.match(syntax.HEADING_RE)
        if found:
            self._begin_block(_Line.HEADING)
            self._scanner.skip(found)
            self._line_start = False
        return found is not None

    def _bullet(self) -> bool:
        found = self._scanner.match(syntax.BULLET_RE)
        if found:
            self._begin_block(_Line.ITEM)
            self._scanner.skip(found)
        return found is not None

    def _numbered(self) -> bool:
        found = self._scanner.match(syntax.NUMBER_RE)
        if (
            not found
            or found["word"].lower() in syntax.MONTHS
            or (not found["word"] and found["next"] == "\n")
        ):
            return False
        self._begin_block(_Line.ITEM)
        self._scanner.position = found.start("word")
        self._writer.write(self._scanner.group(found, "number") + ": ")
        return True

    def _row(self) -> bool:
        found = self._scanner.match(syntax.ROW_RE)
        if not found:
            return False
        if syntax.ROW_RULER_RE.fullmatch(found["cells"]):
            self._scanner.skip(found)
            return True
        self._begin_block(_Line.ROW)
        self._line_start = False
        cells = [cell.strip() for cell in split_text(syntax.CELL_END_RE, self._scanner.group(found, "cells"))]
        cells_text = join_texts([cell for cell in cells if cell], ", ")
        self._scanner.replace(found, substitute(syntax.ESCAPED_PIPE_RE, "|", cells_text) + "\n")
        return True

    def _definition(self) -> bool:
        scanner = self._scanner
        if self._line is _Line.ITEM and (found := scanner.match(syntax.TASK_RE)):
            scanner.skip(found)
        elif found := scanner.match(syntax.NOTE_DEFINITION_RE):
            self._begin_block(_Line.ITEM)
            scanner.skip(found)
        elif found := scanner.match(syntax.DEFINITION_RE):
            self._writer.write("\n")
            scanner.skip(found)
        return found is not None

    def _read_inline(self) -> None:
        self._inline.read(in_heading=self._line is _Line.HEADING)
        if self._code.is_open:
            self._line_start, self._line, self._indented = True, _Line.TEXT, False
