"""Incremental SSML tokenizer: arriving text is divided into text and tags of bounded length.

An XML parser keeps an incomplete token and reads it again with every piece, which costs memory and
quadratic time for one that never ends. Here each character is read once, at most one tag is held,
and document types and entity declarations are refused before any parser sees them. The content of
tags is not validated here, nor whether they match.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html.entities import html5
from typing import TypeAlias

from wyoming_tts.errors import MalformedMarkup
from wyoming_tts.offset_text import group, join_texts, standing_for, substitute

MAX_TAG_CHARS = 4096
"""The phonemes of a long sentence are a tenth of that."""
MAX_REFERENCE_CHARS = 33
"""The longest name in HTML has 31 letters."""
_LAST_CHARACTER = 0x10FFFF

_NOT_XML_RE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters outside XML, dropped as in plain text."""
_MARKUP_START_RE = re.compile("[<&]")
_IN_TAG_RE = re.compile("[<>\"']")
_TAG_START_RE = re.compile(r"</|<[^\W\d]|<:")
_REFERENCE = r"&(?:#(?P<decimal>[0-9]{1,8})|#x(?P<hex>[0-9A-Fa-f]{1,8})|(?P<name>[0-9A-Za-z]{1,31}));"
_REFERENCE_RE = re.compile(_REFERENCE)
_WHOLE_RE = re.compile(rf"(?P<tag></?+(?:[^\W\d]|:)(?>[^<>\"']++|\"[^\"]*+\"|'[^']*+')*+>)|{_REFERENCE}")
"""A tag or reference that arrives whole, as nearly all do, is matched at once."""
_IN_REFERENCE_RE = re.compile("[#0-9A-Za-z;]")
_SKIPPED = {"<!--": "-->", "<?": "?>"}
_CDATA = "<![CDATA["


@dataclass(frozen=True, slots=True)
class TextPosition:
    """A position in the text as it arrived; line and column count from 1."""

    line: int
    column: int

    def error(self, problem: str, *, hint: str = "") -> MalformedMarkup:
        """The error to raise for a problem at this position."""
        return MalformedMarkup(problem, line=self.line, column=self.column, hint=hint)


@dataclass(frozen=True, slots=True)
class SsmlToken:
    """Text with its references resolved, or a whole tag in XML, in which all references are numeric."""

    text: str
    position: TextPosition
    is_tag: bool = False


_Step: TypeAlias = tuple[SsmlToken | None, int]
_State: TypeAlias = Callable[[str, int], _Step]
"""Reads from an index; returns the token it completes, if any, and the index to continue at."""


class SsmlTokenizer:
    """Tokenizer of one text; comments and processing instructions of any length are skipped.

    The entities of XML and HTML stand for their characters; no others are known.

    Raises:
        MalformedMarkup: while iterating; the tokens yielded before it are valid.
    """

    def __init__(self) -> None:
        self._state: _State = self._in_text
        self._line = 1
        self._column = 1
        self._began = TextPosition(1, 1)
        """Start of the markup that is being read."""
        self._held: list[str] = []
        """The markup so far, where it is needed."""
        self._held_chars = 0
        self._quote = ""
        self._ending = ""
        self._tail = ""

    @property
    def position(self) -> TextPosition:
        """The position up to which the text was read."""
        return TextPosition(self._line, self._column)

    def feed(self, text: str) -> Iterator[SsmlToken]:
        """Take more text; yield the tokens that it completes."""
        text = substitute(_NOT_XML_RE, "", text)
        at = 0
        while at < len(text):
            token, at = self._state(text, at)
            if token:
                yield token

    def finish(self) -> None:
        """End the text.

        Raises:
            MalformedMarkup: it ends inside markup.
        """
        if self._state != self._in_text:
            raise self._began.error(
                "the text ends inside the markup that begins here; expected its end.",
                hint="Write '&lt;' and '&amp;' for a '<' and an '&' that are text.",
            )

    def _advance(self, text: str, start: int, end: int) -> str:
        passed = text[start:end]
        if lines := passed.count("\n"):
            self._line += lines
            self._column = len(passed) - passed.rfind("\n")
        else:
            self._column += len(passed)
        return passed

    def _in_text(self, text: str, at: int) -> _Step:
        match = _MARKUP_START_RE.search(text, at)
        if match is None:
            position = self.position
            return SsmlToken(self._advance(text, at, len(text)), position), len(text)
        if match.start() > at:
            position = self.position
            return SsmlToken(self._advance(text, at, match.start()), position), match.start()
        self._began = self.position
        if whole := _WHOLE_RE.match(text, at, at + MAX_TAG_CHARS):
            self._advance(text, at, whole.end())
            return self._complete(whole), whole.end()
        self._state = self._in_opening if match[0] == "<" else self._in_reference
        self._held.clear()
        self._held_chars = 0
        self._hold(self._advance(text, at, at + 1))
        return None, at + 1

    def _complete(self, whole: re.Match[str]) -> SsmlToken:
        if whole["tag"]:
            return SsmlToken(self._with_numeric_references(whole["tag"]), self._began, is_tag=True)
        return SsmlToken(standing_for(self._resolve(whole), group(whole)), self._began)

    def _hold(self, text: str) -> None:
        self._held.append(text)
        self._held_chars += len(text)

    def _in_opening(self, text: str, at: int) -> _Step:
        """After a `<`, until it is clear what it opens."""
        opening = "".join(self._held) + text[at]
        if _TAG_START_RE.fullmatch(opening):
            self._state = self._in_tag
            return None, at
        self._hold(self._advance(text, at, at + 1))
        if opening in _SKIPPED:
            self._skip_to(_SKIPPED[opening], self._in_skipped)
        elif opening == _CDATA:
            self._skip_to("]]>", self._in_cdata)
        elif not any(known.startswith(opening) for known in (_CDATA, *_SKIPPED)):
            raise self._opening_error(opening)
        return None, at + 1

    def _opening_error(self, opening: str) -> MalformedMarkup:
        if opening.startswith("<!"):
            return self._began.error(
                "found '<!', as of a document type or an entity declaration, which are refused; "
                "expected an element, text or a comment."
            )
        return self._began.error(
            "found '<'; expected the name of an element behind it.",
            hint="Write '&lt;' for a '<' that is text.",
        )

    def _in_tag(self, text: str, at: int) -> _Step:
        if self._quote:
            found = text.find(self._quote, at)
        else:
            match = _IN_TAG_RE.search(text, at)
            found = match.start() if match else -1
        end = found + 1 if found >= 0 else len(text)
        self._hold(self._advance(text, at, end))
        if self._held_chars > MAX_TAG_CHARS:
            raise self._began.error(
                f"the tag that begins here has more than {MAX_TAG_CHARS} characters; expected '>' before.",
                hint="Look for a quotation mark that is missing.",
            )
        return (self._handle_mark(text[found]) if found >= 0 else None), end

    def _handle_mark(self, mark: str) -> SsmlToken | None:
        """Continue after a quote or bracket in a tag; return the tag if that completes it."""
        if mark == "<":
            raise self._began.error("found another '<' in the tag that begins here; expected '>'.")
        if mark == ">":
            self._state = self._in_text
            return SsmlToken(self._with_numeric_references("".join(self._held)), self._began, is_tag=True)
        self._quote = "" if self._quote else mark
        return None

    def _with_numeric_references(self, tag: str) -> str:
        return _REFERENCE_RE.sub(self._to_numeric_reference, tag) if "&" in tag else tag

    def _to_numeric_reference(self, reference: re.Match[str]) -> str:
        return "".join(f"&#{ord(character)};" for character in self._resolve(reference))

    def _in_reference(self, text: str, at: int) -> _Step:
        character = text[at]
        if not _IN_REFERENCE_RE.match(character) or self._held_chars > MAX_REFERENCE_CHARS:
            raise self._began.error(
                "found '&'; expected an entity such as '&amp;' or a number such as '&#233;'.",
                hint="Write '&amp;' for an '&' that is text.",
            )
        self._hold(self._advance(text, at, at + 1))
        if character != ";":
            return None, at + 1
        self._state = self._in_text
        written = join_texts(self._held)
        reference = _REFERENCE_RE.fullmatch(written)
        if reference is None:
            raise self._began.error("found '&'; expected an entity such as '&amp;'.")
        return SsmlToken(standing_for(self._resolve(reference), written), self._began), at + 1

    def _resolve(self, reference: re.Match[str]) -> str:
        """The characters that a reference stands for."""
        if reference["name"]:
            characters = html5.get(f"{reference['name']};", "")
        else:
            code = int(reference["decimal"] or reference["hex"], 10 if reference["decimal"] else 16)
            characters = _NOT_XML_RE.sub("", chr(code)) if code <= _LAST_CHARACTER else ""
        if not characters:
            raise self._began.error(
                "found an entity that stands for no character; expected one of XML or HTML.",
            )
        return characters

    def _skip_to(self, ending: str, state: _State) -> None:
        self._ending = ending
        self._tail = ""
        self._state = state

    def _in_skipped(self, text: str, at: int) -> _Step:
        return None, self._read_to_ending(text, at)[1]

    def _in_cdata(self, text: str, at: int) -> _Step:
        position = self.position
        content, end = self._read_to_ending(text, at)
        return (SsmlToken(content, position) if content else None), end

    def _read_to_ending(self, text: str, at: int) -> tuple[str, int]:
        """What is certainly before the ending, and the index to continue at; a partial ending is held."""
        seam = self._tail + text[at : at + len(self._ending) - 1]
        in_seam = seam.find(self._ending)
        found = text.find(self._ending, at) if in_seam < 0 else at + in_seam - len(self._tail)
        if in_seam < 0 and found < 0:
            unread = self._tail + text[at:]
            sure = max(0, len(unread) - len(self._ending) + 1)
            self._tail = unread[sure:]
            self._advance(text, at, len(text))
            return unread[:sure], len(text)
        self._state = self._in_text
        end = found + len(self._ending)
        self._advance(text, at, end)
        return (self._tail + text[at:found] if in_seam < 0 else seam[:in_seam]), end
