"""HTML stripping: tags are dropped, but the breaks that they make are kept.

Tags are distinguished from comparison signs by their names and the form of their attributes; what
is not certainly a tag stays. Elements that are not for listeners, such as the thoughts of reasoning
models, are dropped with their content.
"""

from __future__ import annotations

import html
from html.entities import html5

import regex  # type: ignore[import-untyped]  # partial matches

from wyoming_tts.offset_text import group, join_texts, standing_for, substitute
from wyoming_tts.text.gaps import SOFT_LINE_BREAK
from wyoming_tts.text.markdown.scanner import TextScanner
from wyoming_tts.text.plain_text import PlainTextWriter


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NAMES = _words(
    "a abbr acronym address area article aside audio b base bdi bdo big blockquote body br button"
    " canvas caption center cite code col colgroup data datalist dd del details dfn dialog div dl dt"
    " em embed fieldset figcaption figure font footer form h1 h2 h3 h4 h5 h6 head header hgroup hr"
    " html i iframe img input ins kbd label legend li link main map mark menu meta meter nav noscript"
    " object ol optgroup option output p param picture pre progress q rp rt ruby s samp script search"
    " section select slot small source span strike strong style sub summary sup svg table tbody td"
    " template textarea tfoot th thead think thinking time title tr track tt u ul var video wbr"
)
_PARAGRAPHS = _words(
    "address article aside blockquote body dd details dialog div dl dt fieldset figcaption figure"
    " footer form h1 h2 h3 h4 h5 h6 header hr html main nav ol p pre section summary table title ul"
)
_SENTENCES = _words("caption dd dt figcaption h1 h2 h3 h4 h5 h6 li option summary title tr")
"""Elements that end a sentence where they begin or end."""
_CELLS = frozenset({"td", "th"})
_UNSPOKEN = _words("script style template think thinking")
_MIN_UNKNOWN_CHARS = 3
"""Names that are not HTML's count as tags from this length on, and only without attributes that
look like words: `<answer>`, not `<x and y>`."""

_TAG_RE = regex.compile(
    r"<(?P<end>/?)(?P<name>[a-zA-Z][a-zA-Z0-9]{0,20}+(?:[-_:][a-zA-Z0-9]{1,20}+){0,3}+)"
    r"(?P<attributes>(?:\s{1,20}+[a-zA-Z_:@][\w:.-]{0,40}+"
    r"(?:\s{0,5}+=\s{0,5}+(?:\"[^\"<]{0,500}+\"|'[^'<]{0,500}+'|[^\s\"'=<>`]{1,500}+))?+){0,20}+)"
    r"\s{0,20}+/?>"
)
_BARE_ATTRIBUTE_RE = regex.compile(r"\s[^\s=\"']++(?!\s*=)")
_ALT_RE = regex.compile(r"\salt\s*=\s*(?:\"([^\"]*)\"|'([^']*)')", regex.IGNORECASE)
_DECLARATION_RE = regex.compile(r"<(?:![a-zA-Z\[][^<>\n]{0,200}+|\?[a-zA-Z][^<>\n]{0,200}+)>")
_COMMENT_RE = regex.compile("<!--")
_AUTOLINK_RE = regex.compile(
    r"<(?P<address>(?:[a-zA-Z][a-zA-Z0-9+.-]{1,20}+:[^\s<>]{1,1000}+|[\w.+-]{1,64}+@[\w.-]{1,200}+))>"
)
_ENTITY_RE = regex.compile(r"&(?:#[0-9]{1,7}+|#[xX][0-9a-fA-F]{1,6}+|[a-zA-Z][a-zA-Z0-9]{1,31}+);")
_LENIENT_ENTITY_RE = regex.compile(r"&(?:#[0-9]+;?|#[xX][0-9a-fA-F]+;?|[^\t\n\f <&#;]{1,32};?)")
"""What `html.unescape` looks at."""
_AMPERSAND_RE = regex.compile("&amp;")
_COMMENT_END = "-->"
_MAX_END_CHARS = 32


class HtmlTagStripper:
    """Consumes one tag or entity at a time, for the Markdown stripper."""

    def __init__(self, scanner: TextScanner, writer: PlainTextWriter) -> None:
        self._scanner = scanner
        self._writer = writer
        self._until: regex.Pattern | None = None
        self._cell_before = False

    @property
    def is_dropping(self) -> bool:
        """Whether the text is inside an element or comment that is dropped."""
        return self._until is not None

    def drop(self) -> bool:
        """Drop what has arrived of an unspoken element or a comment; return whether it has ended."""
        scanner = self._scanner
        end = self._until.search(scanner.text, scanner.position) if self._until else None
        if end:
            self._until = None
            scanner.position = end.end()
        else:
            scanner.position = max(scanner.position, len(scanner.text) - _MAX_END_CHARS)
        return end is not None

    def try_entity(self) -> bool:
        """Replace an entity with its character; in a URL `&` separates parameters."""
        found = self._scanner.match(_AMPERSAND_RE if self._writer.in_address else _ENTITY_RE)
        if not found or not (found.group()[1] == "#" or found.group()[1:] in html5):
            return False
        entity = self._scanner.consume(found)
        self._writer.write(standing_for(html.unescape(str(entity)), entity))
        return True

    def try_tag(self) -> bool:
        """Consume a tag, autolink, comment or declaration; return whether there was one."""
        scanner = self._scanner
        if found := scanner.match(_TAG_RE):
            return self._tag(found)
        if found := scanner.match(_AUTOLINK_RE):
            scanner.skip(found)
            self._writer.write(self._scanner.group(found, "address").removeprefix("mailto:"))
            return True
        if found := scanner.match(_COMMENT_RE):
            self._until = regex.compile(_COMMENT_END)
        else:
            found = scanner.match(_DECLARATION_RE)
        if found:
            scanner.skip(found)
        return found is not None

    def _tag(self, found: regex.Match) -> bool:
        name = found["name"].lower()
        if not _is_tag(name, found["attributes"]):
            return False
        self._scanner.skip(found)
        if name in _UNSPOKEN and not found["end"]:
            self._until = regex.compile(rf"</{name}\s{{0,20}}>", regex.IGNORECASE)
        elif name == "img":
            self._writer.write(_alternative(self._scanner.group(found, "attributes")))
        else:
            self._break(name, opened=not found["end"])
        return True

    def _break(self, name: str, *, opened: bool) -> None:
        writer = self._writer
        if name in _SENTENCES or (name in _PARAGRAPHS and not opened):
            writer.end_sentence()
        if name in _PARAGRAPHS:
            writer.write("\n\n")
        elif name == "br":
            writer.write(SOFT_LINE_BREAK)
        elif name in _SENTENCES:
            writer.write(" ")
        if name in _CELLS and opened:
            if self._cell_before:
                writer.write_comma()
            self._cell_before = True
        elif name == "tr":
            self._cell_before = False


def _is_tag(name: str, attributes: str) -> bool:
    bare = _BARE_ATTRIBUTE_RE.search(attributes) is not None
    if name in _NAMES:
        return not bare or len(name) > 1
    return len(name) >= _MIN_UNKNOWN_CHARS and not bare


def _alternative(attributes: str) -> str:
    found = _ALT_RE.search(attributes)
    if not found:
        return ""
    written = group(found, 1) or group(found, 2)
    return join_texts(
        [" ", substitute(_LENIENT_ENTITY_RE, lambda entity: html.unescape(entity.group()), written), " "]
    )
