"""Incremental SSML parser: a document becomes markup parts while it arrives.

Tags are passed to expat whole and one at a time; text is not. So nothing waits for the end of the
document, memory is bounded by the open elements, and the usual attacks on XML parsers fail: there
is no document type, there are no entities except XML's and HTML's characters and nothing external,
and the parser's handlers refuse all of these as well. Fragments without a `speak` element, and
several documents in a row, are read like one document.

Where the W3C leaves a choice, or engines have limits: the content of `audio` is spoken, as if its
file could not be played; `emphasis` has no effect, because a change of style splits a sentence into
two renders, which is worse; a value that makes no sense is ignored. Each such case is logged once.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import NoReturn, TypeAlias
from xml.parsers import expat

from wyoming_tts.errors import MalformedMarkup
from wyoming_tts.offset_text import group, join_texts, standing_for, substitute, with_offsets_of
from wyoming_tts.text.markup import (
    NEUTRAL,
    Break,
    MarkupPart,
    ParagraphEnd,
    PhonemeBlock,
    SentenceEnd,
    SpeakingStyle,
    StyledText,
)
from wyoming_tts.text.ssml.attributes import parse_pause, style_inside
from wyoming_tts.text.ssml.phonemes import parse_phonemes
from wyoming_tts.text.ssml.tokenizer import SsmlToken, SsmlTokenizer, TextPosition

_LOGGER = logging.getLogger(__name__)

SsmlPart: TypeAlias = MarkupPart

MAX_DEPTH = 50
MAX_NAMES = 500
"""Different names of elements and attributes: expat keeps each that it has seen."""
MAX_SAY_AS_CHARS = 1000
"""A longer `say-as` is neither a number nor a date, and is spoken as plain text."""
_MAX_REPLACED_CHARS = 500
"""Of the content that an alias or phonemes replace; whether it is longer is not waited for."""
_MAX_NOTES = 20

_SPACES_RE = re.compile(r"[\t\r\n][ \t\r\n]*| [ \t\r\n]+")
"""White space other than a single space."""
_ROOT = "all"


class _End(IntEnum):
    """What has ended since the last text; a higher value includes the lower ones."""

    NOTHING = 0
    SENTENCE = 1
    PARAGRAPH = 2


_ENDS = {"p": _End.PARAGRAPH, "s": _End.SENTENCE, "speak": _End.SENTENCE}
_STYLED = frozenset({"prosody", "voice", "say-as", "lang", "emphasis", "token", "w"})
"""Elements that at most set a style; any element may set a language."""
_IGNORED = frozenset({"audio", "mark", "meta", "lexicon", "lookup"})
_UNSPOKEN = frozenset({"metadata", "desc", "script", "style"})
_KNOWN = frozenset({"break", "sub", "phoneme"}) | _ENDS.keys() | _STYLED | _IGNORED | _UNSPOKEN


@dataclass(slots=True)
class _Element:
    """An open element."""

    name: str
    position: TextPosition
    style: SpeakingStyle
    silent: bool
    """Its content is not spoken, or was replaced by something else."""


@dataclass(slots=True)
class _Replacement:
    """What is said in place of the content of an open element."""

    part: StyledText | PhonemeBlock
    depth: int
    """Number of elements around that element."""
    content: list[str] = field(default_factory=list)
    content_chars: int = 0

    def add_content(self, text: str) -> None:
        """Add text, as far as it is within the limit."""
        text = text[: _MAX_REPLACED_CHARS - self.content_chars]
        self.content.append(text)
        self.content_chars += len(text)

    def made(self) -> StyledText | PhonemeBlock:
        """Return the part, of which every character stands for the content."""
        content = join_texts(self.content).strip()
        if isinstance(self.part, StyledText):
            return StyledText(standing_for(self.part.text, content), self.part.style)
        return PhonemeBlock(standing_for(self.part.block, content), self.part.style)


class SsmlParser:
    """Parser of one text in SSML; the parts do not depend on the pieces that it arrives in.

    (Only `StyledText`s of one style may be divided elsewhere, unless `say_as` is set.) White space
    collapses to single spaces, as line ends mean nothing in SSML.

    What precedes an error is still returned: the error is raised once nothing is left to return, at the
    latest by `finish`. After that nothing more is returned, whatever is fed.
    """

    def __init__(self, *, logs: bool = True) -> None:
        """Begin a text; `logs` says whether what has no effect in it is logged."""
        self._logs = logs
        self._tokens = SsmlTokenizer()
        self._parser = _strict_parser(self._on_start_element, self._on_end_element)
        self._position = TextPosition(1, 1)
        self._open: list[_Element] = []
        self._names: set[str] = set()
        self._noted: set[str] = set()
        self._parts: list[SsmlPart] = []
        self._text: list[str] = []
        """Text in the current style that is not yet a part."""
        self._text_chars = 0
        self._replacement: _Replacement | None = None
        self._after_space = True
        self._ended = _End.PARAGRAPH
        self._failure: MalformedMarkup | None = None
        self._over = False

    def feed(self, text: str) -> list[SsmlPart]:
        """Take more text; return the parts that it completes.

        Raises:
            MalformedMarkup: the text up to here is malformed; raised once.
        """
        if self._failure is None:
            try:
                for token in self._tokens.feed(text):
                    self._take(token)
            except MalformedMarkup as error:
                self._fail(error)
            if self._style.say_as is None:
                self._flush_text()
        return self._result()

    def finish(self) -> list[SsmlPart]:
        """End the text; return the remaining parts.

        Raises:
            MalformedMarkup: elements are still open, or the text before is malformed.
        """
        if self._failure is None:
            try:
                self._tokens.finish()
                self._check_all_closed()
            except MalformedMarkup as error:
                self._fail(error)
        return self._result()

    def _fail(self, error: MalformedMarkup) -> None:
        self._failure = error
        self._emit_replacement()

    def _result(self) -> list[SsmlPart]:
        parts, self._parts = self._parts, []
        if self._failure is not None and not parts and not self._over:
            self._over = True
            raise self._failure
        return parts

    def _check_all_closed(self) -> None:
        if self._open:
            element = self._open[-1]
            raise element.position.error(
                f"{_describe(element.name)} is not closed; expected its closing tag before the text's end."
            )

    def _take(self, token: SsmlToken) -> None:
        if not token.is_tag:
            if not self._silent:
                self._add_text(token.text)
            elif self._replacement:
                self._replacement.add_content(token.text)
                if self._replacement.content_chars == _MAX_REPLACED_CHARS:
                    self._emit_replacement()
            return
        self._position = token.position
        try:
            self._parser.Parse(token.text)
        except expat.ExpatError as error:
            raise self._tag_error(error) from error

    def _tag_error(self, error: expat.ExpatError) -> MalformedMarkup:
        problem = expat.ErrorString(error.code)
        if problem != "mismatched tag":
            return self._position.error(f"the tag that begins here is not well-formed ({problem}).")
        if not self._open:
            return self._position.error("found a closing tag; expected none, for no element is open.")
        element = self._open[-1]
        return self._position.error(
            f"found another closing tag; expected that of {_describe(element.name)}, opened at line "
            f"{element.position.line}, column {element.position.column}."
        )

    @property
    def _silent(self) -> bool:
        return bool(self._open) and self._open[-1].silent

    @property
    def _style(self) -> SpeakingStyle:
        return self._open[-1].style if self._open else NEUTRAL

    def _on_start_element(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._open) >= MAX_DEPTH:
            raise self._position.error(f"elements are nested more than {MAX_DEPTH} deep; expected fewer.")
        self._names.update((name, *attributes))
        if len(self._names) > MAX_NAMES:
            raise self._position.error(
                f"there are more than {MAX_NAMES} different names; expected those of SSML."
            )
        self._flush_text()
        local = name.rpartition(":")[2]
        style, silent = self._style, self._silent
        if not silent:
            style = style_inside(local, attributes, style, self._note)
            silent = self._start_content(local, attributes, style)
        self._open.append(_Element(name, self._position, style, silent))

    def _on_end_element(self, name: str) -> None:
        if not self._open:
            raise self._position.error(
                f"found the closing tag of {_describe(name)}; expected none, for no element is open."
            )
        self._flush_text()
        element = self._open.pop()
        if self._replacement and self._replacement.depth == len(self._open):
            self._emit_replacement()
        end = _ENDS.get(element.name.rpartition(":")[2])
        if end and not element.silent:
            self._emit_end(end)

    def _start_content(self, name: str, attributes: dict[str, str], style: SpeakingStyle) -> bool:
        """Emit what an element emits where it begins; return whether its content is not spoken."""
        if name in _ENDS:
            self._emit_end(_ENDS[name])
        elif name == "break":
            self._add_break(attributes)
        elif name == "sub":
            return self._add_alias(attributes.get("alias"), style)
        elif name == "phoneme":
            return self._add_phonemes(attributes, style)
        elif name in _IGNORED:
            self._note(f"<{name}> has no effect; its content is spoken")
        elif name not in _UNSPOKEN | _STYLED:
            self._note("an unknown element has no effect; its content is spoken")
        return name in _UNSPOKEN

    def _add_break(self, attributes: dict[str, str]) -> None:
        seconds = parse_pause(attributes.get("time"), attributes.get("strength"))
        if seconds is None:
            self._note(
                "a <break> is ignored because its time or strength is neither '250ms', '1.5s' nor a label"
            )
        elif seconds > 0:
            self._parts.append(Break(seconds))

    def _add_alias(self, alias: str | None, style: SpeakingStyle) -> bool:
        if alias is None:
            self._note("a <sub> has no alias; its content is spoken")
            return False
        if folded := self._collapse_spaces(alias):
            self._replacement = _Replacement(StyledText(folded, style), len(self._open))
        return True

    def _add_phonemes(self, attributes: dict[str, str], style: SpeakingStyle) -> bool:
        block = parse_phonemes(attributes.get("ph", ""), attributes.get("alphabet", ""))
        if block is None:
            self._note(
                "a <phoneme> is ignored because its ph is neither IPA nor X-SAMPA; its content is spoken"
            )
            return False
        self._replacement = _Replacement(PhonemeBlock(block, style), len(self._open))
        self._after_space = False
        self._ended = _End.NOTHING
        return True

    def _emit_replacement(self) -> None:
        """Emit what is said in place of content, all of which has arrived or as much as is waited for."""
        if self._replacement:
            self._parts.append(self._replacement.made())
            self._replacement = None

    def _emit_end(self, end: _End) -> None:
        """Emit the end of a sentence or paragraph, if there was one."""
        if end > self._ended:
            self._parts.append(SentenceEnd() if end is _End.SENTENCE else ParagraphEnd())
            self._ended = end
        self._after_space = True

    def _add_text(self, text: str) -> None:
        folded = self._collapse_spaces(text)
        if not folded:
            return
        self._text.append(folded)
        self._text_chars += len(folded)
        if self._style.say_as and self._text_chars > MAX_SAY_AS_CHARS:
            self._open[-1].style = replace(self._style, say_as=None)
            self._note(f"a <say-as> has more than {MAX_SAY_AS_CHARS} characters; it is read as plain text")

    def _collapse_spaces(self, text: str) -> str:
        """The text with single spaces, and none after a space."""
        folded = substitute(_SPACES_RE, lambda spaces: with_offsets_of(" ", group(spaces)[:1]), text)
        if self._after_space:
            folded = folded.removeprefix(" ")
        if folded:
            self._after_space = folded.endswith(" ")
        if folded.strip(" "):
            self._ended = _End.NOTHING
        return folded

    def _flush_text(self) -> None:
        if self._text:
            self._parts.append(StyledText(join_texts(self._text), self._style))
            self._text.clear()
        self._text_chars = 0

    def _note(self, message: str) -> None:
        """Log once what has no effect, up to a limit, as a hostile text may be full of it."""
        if self._logs and message not in self._noted and len(self._noted) < _MAX_NOTES:
            self._noted.add(message)
            _LOGGER.info("SSML, line %d: %s.", self._position.line, message)


def check_ssml(text: str) -> None:
    """Check that a whole text is well-formed. Takes a millisecond or two for a thousand characters.

    Raises:
        MalformedMarkup: it is not.
    """
    parser = SsmlParser(logs=False)
    parser.feed(text)
    while parser.finish():
        pass


def _describe(name: str) -> str:
    """An element in a message, which may be logged: any other name may be a part of the text."""
    return f"<{name}>" if name in _KNOWN else "an element"


def _strict_parser(
    opened: Callable[[str, dict[str, str]], None], closed: Callable[[str], None]
) -> expat.XMLParserType:
    """A parser inside an element that is never closed, so that it accepts any number of documents."""
    parser = expat.ParserCreate(namespace_separator=None)
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    parser.UnparsedEntityDeclHandler = _refuse
    parser.ExternalEntityRefHandler = _refuse
    parser.Parse(f"<{_ROOT}>")
    parser.StartElementHandler = opened
    parser.EndElementHandler = closed
    return parser


def _refuse(*_: object) -> NoReturn:
    raise AssertionError("The tokenizer lets no declaration through to the parser.")
