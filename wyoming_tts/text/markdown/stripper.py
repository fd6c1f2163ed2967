"""Markdown stripping: the markup is removed, and its meaning for a listener becomes sentences and pauses.

Only line starts, links and code wait for more text; emphasis is recognized by the characters
around it, not by its counterpart, so plain words are never held back. Where Markdown and the plain
text of home automations conflict (`5 * 3`, `snake_case`, `#1`, `3 > 2`), plain text wins.
"""

from __future__ import annotations

import unicodedata
from enum import Enum, auto
from typing import Any

from wyoming_tts.offset_text import join_texts, split_text, standing_for, substitute
from wyoming_tts.text.markdown import syntax, terminal_codes, tex
from wyoming_tts.text.markdown.brackets import BracketReader
from wyoming_tts.text.markdown.emoticons import EmoticonReader
from wyoming_tts.text.markdown.fenced_code import CodeBlockOptions, FencedCodeStripper
from wyoming_tts.text.markdown.html_tags import HtmlTagStripper
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
        self._plain_re = syntax.PLAIN_RE if markdown else syntax.PLAIN_UNMARKED_RE
        self._tex_words = tex_words
        self._run_char = ""
        self._run_chars = 0
        self._brackets = BracketReader(
            self._scanner, writer, markdown=markdown, max_block_chars=max_block_chars
        )
        self._emoticons = EmoticonReader(self._scanner, writer)
        self._html = HtmlTagStripper(self._scanner, writer)
        self._code = FencedCodeStripper(self._scanner, writer, code)
        self._line_start = True
        self._line = _Line.TEXT
        self._indented = False
        self._item_open = False
        self._ruler = False
        self._columns = False
        """The ruler belongs to a table."""
        self._readers = {
            "<": self._less_than,
            "&": self._html.try_entity,
            "[": self._bracket,
            "\\": self._escape,
            "`": self._backticks,
            "!": self._exclamation,
            "*": self._stars,
            "_": self._underscores,
            "~": self._tildes,
            "=": self._equals,
            "#": self._hashes,
            "|": self._pipe,
            "【": self._source,
            ":": self._emoticons.read_face,
            ";": self._emoticons.read_face,
            terminal_codes.ESCAPE: self._terminal_code,
            terminal_codes.SEQUENCE_START: self._terminal_code,
            "\ue200": self._hosted_citation,
            "$": self._dollar,
        }

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
            self._inline()

    # The line.

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

    # Within the line.

    def _inline(self) -> None:
        scanner = self._scanner
        plain = self._plain_re.match(scanner.text, scanner.position)
        if plain:
            self._writer.write(scanner.consume(plain))
            self._run_char = ""
            return
        char, at = scanner.char, scanner.position
        if char == self._run_char and self._run_chars > syntax.MAX_RUN:
            self._pass_run(char)
            return
        if not self._readers[char]():
            self._writer.write(scanner.read(1))
        passed = max(1, scanner.position - at)
        self._run_chars = self._run_chars + passed if char == self._run_char else passed
        self._run_char = char

    def _pass_run(self, char: str) -> None:
        """Skip a run too long to mean anything; examining each of its characters would take too long."""
        scanner = self._scanner
        rest = len(scanner.text) - scanner.position
        run = scanner.read(rest - len(scanner.text[scanner.position :].lstrip(char)))
        if char not in syntax.UNSPOKEN_RUNS:
            self._writer.write(run)

    def _less_than(self) -> bool:
        return self._emoticons.read_heart() or self._html.try_tag()

    def _bracket(self) -> bool:
        found = self._scanner.match(terminal_codes.BARE_COLOR_RE)
        if found:
            self._scanner.advance(found.start("next") - found.start())
            return True
        return self._brackets.read()

    def _terminal_code(self) -> bool:
        found = self._scanner.match(terminal_codes.SEQUENCE_RE)
        if found:
            self._scanner.skip(found)
        return found is not None

    def _dollar(self) -> bool:
        if self._writer.previous.isalnum() or self._writer.previous in "$\\":
            return False
        found = self._scanner.match(tex.dollar_pattern())
        if not found:
            return False
        end = found.end() if found["next"] is None else found.start("next")
        self._scanner.advance(end - self._scanner.position)
        self._say_formula(found)
        return True

    def _say_formula(self, found: Any) -> None:
        spoken = tex.speak_formula(found["tex"], self._tex_words)
        self._writer.write(standing_for(spoken, self._scanner.group(found, "tex")))

    def _exclamation(self) -> bool:
        """An image, where one can begin; an exclamation mark must not be held back."""
        if not self._writer.previous.isspace() and self._writer.previous not in "([>":
            return False
        if self._brackets.link():
            return True
        is_embedded = self._scanner.text.startswith("![[", self._scanner.position)
        if is_embedded:  # a wiki's link to a picture
            self._scanner.advance(1)
        return is_embedded

    def _source(self) -> bool:
        """A citation such as 【4†source】, which hosted models add to what they have looked up."""
        found = self._scanner.match(syntax.SOURCE_RE)
        if not found or "†" not in found.group():
            return False
        self._scanner.skip(found)
        return True

    def _hosted_citation(self) -> bool:
        found = self._scanner.match(syntax.HOSTED_CITATION_RE)
        if found:
            self._scanner.skip(found)
        return found is not None

    def _escape(self) -> bool:
        if code := self._scanner.match(terminal_codes.WRITTEN_SEQUENCE_RE):
            self._scanner.skip(code)
            return True
        if formula := self._scanner.match(tex.backslash_pattern()):
            self._scanner.skip(formula)
            self._say_formula(formula)
            return True
        if not self._markdown:
            return False
        found = self._scanner.match(syntax.ESCAPE_RE)
        if self._writer.in_address or found["next"] not in syntax.ESCAPABLE + "\n":
            return False
        self._scanner.advance(1)
        if found["next"] != "\n":
            self._writer.write(self._scanner.read(1))
        return True

    def _backticks(self) -> bool:
        if self._scanner.match(syntax.LATE_FENCE_RE) and self._code.try_open():
            self._line_start, self._line, self._indented = True, _Line.TEXT, False
            return True
        apostrophe = syntax.LATIN_RE.match(self._writer.previous) is not None
        found = None if apostrophe else self._scanner.match(syntax.CODE_RE)
        if found:
            self._scanner.skip(found)
            self._writer.write(self._scanner.group(found, "code"))
            return True
        found = self._scanner.match(syntax.BACKTICKS_RE)
        run = self._scanner.read(len(found["run"]))
        if apostrophe and syntax.LATIN_RE.match(found["next"]):
            self._writer.write(standing_for("'", run))
        return True

    def _stars(self) -> bool:
        found = self._scanner.match(syntax.STARS_RE)
        run, following = found["run"], found["next"]
        if following in syntax.KEYCAP_PARTS or self._continues_address(following):
            return self._literal(run)
        if (
            len(run) <= len(syntax.POWER)
            and self._is_operator(following)
            and syntax.LEFT_FACTOR_RE.search(self._writer.recent.rstrip())
        ):
            if run == syntax.POWER and following.isdigit():
                self._writer.write(standing_for("^", self._scanner.read(2)))
                return True
            if len(run) == 1 and self._scanner.match(syntax.FACTOR_RE):
                self._writer.write(standing_for("×", self._scanner.read(1)))
                return True
        self._scanner.advance(len(run))
        return True

    def _is_operator(self, following: str) -> bool:
        """Whether both sides are alike: white space, or digits."""
        spaced = self._writer.previous.isspace()
        return following.isspace() if spaced else self._writer.previous.isdigit() and following.isdigit()

    def _underscores(self) -> bool:
        found = self._scanner.match(syntax.UNDERSCORES_RE)
        run, following = found["run"], found["next"]
        previous = self._writer.previous
        within = _is_word(previous) and (_is_word(following) or following == "@")
        alone = len(run) == 1 and previous.isspace() and following.isspace()
        if within or alone or self._continues_address(following):
            return self._literal(run)
        if (
            not _is_word(previous)
            and (mailbox := self._scanner.match(syntax.MAILBOX_RE))
            and mailbox["next"] == "@"
        ):
            return self._literal(mailbox.group()[:-1])
        self._scanner.advance(len(run))
        return True

    def _tildes(self) -> bool:
        found = self._scanner.match(syntax.TILDES_RE)
        run = found["run"]
        if len(run) == 1 or self._continues_address(found["next"]):
            return self._literal(run)
        self._scanner.advance(len(run))
        return True

    def _equals(self) -> bool:
        if self._emoticons.read_face():
            return True
        found = self._scanner.match(syntax.EQUALS_RE)
        if len(found["run"]) < syntax.MAX_EQUALS or self._writer.in_address:
            return self._literal(found["run"])
        self._scanner.advance(syntax.MAX_EQUALS)
        return True

    def _hashes(self) -> bool:
        closing = self._line is _Line.HEADING and self._writer.previous.isspace()
        found = self._scanner.match(syntax.HEADING_END_RE) if closing else None
        if found:
            self._scanner.position = found.end() - 1
        return found is not None

    def _pipe(self) -> bool:
        """Columns without a leading `|`; a lone one between spaces is a pause."""
        found = self._scanner.match(syntax.PIPE_RE)
        if not self._writer.previous.isspace() or not found["next"].isspace():
            return False
        self._scanner.advance(1)
        if found["next"] != "\n":
            self._writer.write_comma()
        return True

    def _continues_address(self, following: str) -> bool:
        """Whether a URL or an e-mail address continues after the character."""
        return self._writer.in_address and (following.isalnum() or following in syntax.IN_ADDRESS)

    def _literal(self, text: str) -> bool:
        self._writer.write(self._scanner.read(len(text)))
        return True


def _is_word(char: str) -> bool:
    return char.isalnum() or unicodedata.category(char)[0] == "M"
