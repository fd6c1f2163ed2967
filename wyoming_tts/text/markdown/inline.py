"""Inline Markdown: what the marks within a line mean, such as emphasis, code, formulas, links and HTML.

Emphasis is recognized by the characters around it, not by its counterpart, so that nothing is held back for
it. Where Markdown and the plain text of home automations conflict (`5 * 3`, `snake_case`, `#1`, `3 > 2`),
plain text wins.
"""

from __future__ import annotations

import unicodedata
from typing import Any

from wyoming_tts.offset_text import standing_for
from wyoming_tts.text.markdown import syntax, terminal_codes, tex
from wyoming_tts.text.markdown.brackets import BracketReader
from wyoming_tts.text.markdown.emoticons import EmoticonReader
from wyoming_tts.text.markdown.fenced_code import FencedCodeStripper
from wyoming_tts.text.markdown.html_tags import HtmlTagStripper
from wyoming_tts.text.markdown.scanner import TextScanner
from wyoming_tts.text.plain_text import PlainTextWriter


class InlineReader:
    """Reads a run of plain text or one mark at a time, for the Markdown stripper."""

    def __init__(
        self,
        scanner: TextScanner,
        writer: PlainTextWriter,
        *,
        html: HtmlTagStripper,
        code: FencedCodeStripper,
        brackets: BracketReader,
        markdown: bool,
        tex_words: tex.TexWords,
    ) -> None:
        self._scanner = scanner
        self._writer = writer
        self._html = html
        self._code = code
        self._brackets = brackets
        self._emoticons = EmoticonReader(scanner, writer)
        self._markdown = markdown
        self._plain_re = syntax.PLAIN_RE if markdown else syntax.PLAIN_UNMARKED_RE
        self._tex_words = tex_words
        self._in_heading = False
        self._run_char = ""
        self._run_chars = 0
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

    def read(self, *, in_heading: bool) -> None:
        """Read a run of plain characters, or one mark."""
        self._in_heading = in_heading
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
        closing = self._in_heading and self._writer.previous.isspace()
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
