"""Square brackets: phonemes, links, footnotes and citations, each read as a listener needs it.

Phonemes are `[[ ʃɪˈvɔːn ]]` or `[word](/ˈʃɪvɔːn/)`, which Kokoro's servers understand; double brackets
around anything else are a wiki's link or a language model's mistake, and their text is read. A citation,
`[1]` or `[2, 3][a]`, is left out where it directly follows a word or its punctuation; elsewhere it may be
an item, a key or an index.
"""

from __future__ import annotations

import regex  # type: ignore[import-untyped]  # partial matches and possessive quantifiers

from wyoming_tts.ipa import from_misaki, is_certainly_ipa, is_ipa
from wyoming_tts.offset_text import standing_for, with_offsets_of
from wyoming_tts.text.markdown import syntax
from wyoming_tts.text.markdown.scanner import NeedMoreText, TextScanner
from wyoming_tts.text.plain_text import UNSPOKEN, PlainTextWriter

_NOT_IN_BLOCK_RE = regex.compile(r"[\p{Cc}\p{Cs}]")
"""Piper ends a block at the end of a line; lone surrogates cannot be encoded for an engine."""
_PHONEME_LINK_RE = regex.compile(
    r"\[(?P<word>[^\[\]\n]{1,300}+)\]\(/(?P<phonemes>[^/\n()\[\]\p{Cc}\p{Cs}]{1,300}+)/\)"
)
_WIKI_LINK_RE = regex.compile(
    r"\[\[(?P<target>[^\[\]\n|]{1,300}+)(?:\|(?P<label>[^\[\]\n|]{0,300}+)){0,8}+\]\]"
)
_FOOTNOTE_RE = regex.compile(r"\[\^[^\]\s]{1,40}+\]")
_LETTER_RE = regex.compile(r"\p{L}")
_NUMBERED_LINK_RE = regex.compile(r"!?\[\[?\d{1,3}\]?\]\(\s{0,4}<?https?:")
"""A citation with the address of its source."""

_CITATION_RE = regex.compile(
    r"(?:\[(?:\d{1,3}+(?:\ ?[,–-]\ ?\d{1,3}+){0,9}+|[a-z]|citation\ needed|(?:note|nb)\ \d{1,3}+)\])++"
    r"(?:[^.\s\[]|[.\ ][\s\S]|[^\S\ ])"
)
"""With what follows it, which an index has of its own: `a[1].b`, `a[1] = 5`."""
_INDEX_FOLLOWS_RE = regex.compile(r"\][A-Za-z0-9_({=]$|\]\.\w$|\]\ [=+*/<>]$|\[0\]")
_CITED_RE = regex.compile(
    r"(?:[\p{L}\p{M}]{2}|\p{N}{2}|[\p{L}\p{M}\p{N}%)][.,;:!?…]{1,3}|[\p{L}\p{N}.,!?)%][\"'”’»)]|[%°]|°[CF])$"
)
_ARRAYS = frozenset(
    {"arr", "array", "args", "argv", "lst", "list", "items", "nums", "vec", "dict", "tuple", "matrix", "buf"}
)
"""Words before an index rather than a citation."""


class BracketReader:
    """Reads one construct in square brackets at a time, for the Markdown stripper."""

    def __init__(
        self, scanner: TextScanner, writer: PlainTextWriter, *, markdown: bool, max_block_chars: int
    ) -> None:
        self._scanner = scanner
        self._writer = writer
        self._markdown = markdown
        self._max_block_chars = max_block_chars

    def read(self) -> bool:
        """Consume what the bracket at the position begins; False if it is only a bracket."""
        following = self._scanner.peek()
        if following == "[" and self._phoneme_block():
            return True
        if self._phoneme_link() or (self._markdown and self._markdown_bracket(following)):
            return True
        return (following == "[" and self._wiki_link()) or self._citation()

    def _markdown_bracket(self, following: str) -> bool:
        return self._footnote() if following == "^" else self.link()

    def _phoneme_block(self) -> bool:
        scanner = self._scanner
        limit = scanner.position + self._max_block_chars
        closing = scanner.text.find("]]", scanner.position + 2, limit)
        end = closing if closing >= 0 else min(limit, len(scanner.text))
        if _NOT_IN_BLOCK_RE.search(scanner.text, scanner.position, end):
            return False
        if closing < 0 and end < limit and not scanner.complete:
            raise NeedMoreText
        if closing < 0 or not _is_block(scanner.text[scanner.position + 2 : closing]):
            return False
        self._writer.write_block(scanner.read(closing + 2 - scanner.position))
        return True

    def _phoneme_link(self) -> bool:
        found = self._scanner.match(_PHONEME_LINK_RE)
        if not found or not is_certainly_ipa(phonemes := from_misaki(found["phonemes"])):
            return False
        self._scanner.skip(found)
        self._writer.write_block(standing_for(f"[[ {phonemes} ]]", self._scanner.group(found, "word")))
        return True

    def _wiki_link(self) -> bool:
        """The label, or the name of the page; what marks a link as an image is not said either."""
        found = self._scanner.match(_WIKI_LINK_RE)
        if not found:
            return False
        scanner = self._scanner
        name = (scanner.group(found, "label") or scanner.group(found, "target")).lstrip(":")
        scanner.replace(found, with_offsets_of(name.replace("#", " "), name))
        return True

    def _footnote(self) -> bool:
        found = self._scanner.match(_FOOTNOTE_RE)
        if found:
            self._scanner.skip(found)
        return found is not None

    def link(self) -> bool:
        """Replace a link or an image with its text."""
        found = self._scanner.match(syntax.LINK_RE)
        if not found:
            return False
        reference = found["target"].startswith("[")
        if reference and (not _LETTER_RE.search(found["text"]) or self._writer.previous.isalnum()):
            return False
        if _NUMBERED_LINK_RE.match(found.group()):
            self._scanner.skip(found)
            self._writer.write(UNSPOKEN)
        else:
            self._scanner.replace(found, self._scanner.group(found, "text"))
        return True

    def _citation(self) -> bool:
        if not self._is_cited():
            return False
        found = self._scanner.match(_CITATION_RE)
        if not found or _INDEX_FOLLOWS_RE.search(found.group()):
            return False
        self._scanner.advance(found.group().rindex("]") + 1)
        return True

    def _is_cited(self) -> bool:
        """Whether the text before is a word of prose, with its punctuation."""
        word = self._writer.word
        return (
            _CITED_RE.search(self._writer.recent) is not None
            and not any(sign in word for sign in "_$/\\`=")
            and word.lower().rpartition(".")[2] not in _ARRAYS
        )


def _is_block(content: str) -> bool:
    """Whether double brackets hold phonemes; plain letters are if they are one word set off by spaces."""
    is_set_off = content[:1] == content[-1:] == " " and len(content.split()) == 1
    return is_certainly_ipa(content) or (is_set_off and is_ipa(content))
