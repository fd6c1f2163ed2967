"""Text with character offsets: a string whose characters know where in an utterance they were written.

The stages of the text front end delete, replace and insert; what is left is mapped back to what was written
by the offsets that its characters carry. A slice and a concatenation keep them, and so do the functions of
this module; what makes a plain string of it (`str.join`, an f-string, `match.group()`) loses them. Plain text
that is joined to it was inserted: it was written nowhere.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Final, NamedTuple, SupportsIndex

_SPAN: Final = "q"
"""Type code of an array of spans, each packed in a number: begin in the upper half, end in the lower."""
_HALF: Final = 32
_LOWER: Final = (1 << _HALF) - 1
_NOWHERE: Final = array(_SPAN, [-1])
"""In place of a span: the character was inserted."""

_slice: Final = str.__getitem__
_new: Final = str.__new__
"""Without `super()`, which takes half of the time; every character passes here several times."""


class Span(NamedTuple):
    """Code points `begin` up to `end` of a text."""

    begin: int
    end: int


class OffsetText(str):
    """A string, and for each of its characters the span of the written text that it stands for.

    A character that was copied stands for itself; all characters of a replacement stand for everything that
    was replaced. An index and iteration give plain characters.
    """

    __slots__ = ("_spans",)
    _spans: array[int]

    @classmethod
    def written(cls, text: str, offset: int = 0) -> OffsetText:
        """Return text as it was written, its first character at an offset."""
        first, step = _packed(offset, offset + 1), _packed(1, 1)
        return cls._of(text, array(_SPAN, range(first, first + step * len(text), step)))

    @classmethod
    def of(cls, text: str) -> OffsetText:
        """Return the text itself if it has offsets, else as one that was inserted."""
        if isinstance(text, OffsetText):
            return text
        return cls._of(text, _NOWHERE * len(text))

    @classmethod
    def _of(cls, text: str, spans: array[int]) -> OffsetText:
        made: OffsetText = _new(cls, text)
        made._spans = spans
        return made

    def __getitem__(self, key: SupportsIndex | slice) -> str:
        """Return a character, plain, or a slice, with its offsets."""
        text = _slice(self, key)
        if not isinstance(key, slice) or not text:
            return text
        if len(text) == len(self) and key.step is None:
            return self
        made = _new(OffsetText, text)
        made._spans = self._spans[key]  # noqa: SLF001 - its own
        return made

    def __add__(self, other: str) -> OffsetText:
        """Join text behind."""
        if not other:
            return self
        more = other._spans if isinstance(other, OffsetText) else _NOWHERE * len(other)
        return self._of(super().__add__(other), self._spans + more)

    def __radd__(self, other: str) -> OffsetText:
        """Join text before."""
        return OffsetText.of(other) + self if other else self

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        """Pickle and copy it as a plain string: offsets mean nothing elsewhere."""
        return str, (str(self),)

    def strip(self, chars: str | None = None, /) -> str:
        """As `str.strip`, with offsets."""
        return self[len(self) - len(super().lstrip(chars)) : len(super().rstrip(chars))]

    def lstrip(self, chars: str | None = None, /) -> str:
        """As `str.lstrip`, with offsets."""
        return self[len(self) - len(super().lstrip(chars)) :]

    def rstrip(self, chars: str | None = None, /) -> str:
        """As `str.rstrip`, with offsets."""
        return self[: len(super().rstrip(chars))]

    def removeprefix(self, prefix: str, /) -> str:
        """As `str.removeprefix`, with offsets."""
        return self[len(self) - len(super().removeprefix(prefix)) :]

    @property
    def span(self) -> Span | None:
        """The least span of the written text that holds all it stands for; None if all of it was inserted."""
        spans = [span for span in self._spans if span >= 0]
        return Span(min(spans) >> _HALF, max(span & _LOWER for span in spans)) if spans else None


def _packed(begin: int, end: int) -> int:
    return begin << _HALF | end


def join_texts(parts: Iterable[str], separator: str = "") -> str:
    """Concatenate texts as `separator.join` does, with their offsets if any has some."""
    if separator:
        parts = [part for text in parts for part in (separator, text)][1:]
    parts = [part for part in parts if part]
    if len(parts) == 1:
        return parts[0]
    text = "".join(parts)
    if OffsetText not in map(type, parts):
        return text
    spans = array(_SPAN)
    for part in parts:
        spans += part._spans if isinstance(part, OffsetText) else _NOWHERE * len(part)  # noqa: SLF001 - this module's
    return OffsetText._of(text, spans)  # noqa: SLF001 - this module's


def standing_for(text: str, replaced: str) -> str:
    """Return text all of which stands for all of another, which it replaces."""
    if not isinstance(replaced, OffsetText) or (span := replaced.span) is None:
        return text
    return OffsetText._of(text, array(_SPAN, [_packed(*span)]) * len(text))  # noqa: SLF001 - this module's


def with_offsets_of(text: str, original: str) -> str:
    """Return text with the offsets of another of the same length, whose characters it replaces one by one."""
    if not isinstance(original, OffsetText):
        return text
    if len(text) != len(original):
        raise ValueError(f"Got {len(text)} characters for {len(original)}, expected as many.")
    return OffsetText._of(text, original._spans)  # noqa: SLF001 - this module's


def replace_characters(text: str, said: Iterable[str]) -> str:
    """Return what is said for each character of a text, in order."""
    if not isinstance(text, OffsetText):
        return "".join(said)
    said = list(said)
    spans = array(_SPAN)
    for each, span in zip(said, text._spans, strict=True):  # noqa: SLF001 - this module's
        spans.extend([span] * len(each))
    return OffsetText._of("".join(said), spans)  # noqa: SLF001 - this module's


def group(match: Any, name: str | int = 0) -> str:
    """Return a group of a match as `match.group(name)` does, with the offsets of the text that was searched.

    A group that did not take part is empty.
    """
    begin, end = match.span(name)
    found: str = match.string[begin:end] if begin >= 0 else ""
    return found


def substitute(pattern: Any, replacement: str | Callable[[Any], str], text: str) -> str:
    """Replace what a pattern matches as `pattern.sub(replacement, text)` does, with offsets.

    A replacement without offsets of its own stands for what it replaces.
    """
    if not isinstance(text, OffsetText):
        return str(pattern.sub(replacement, text))
    parts: list[str] = []
    at = 0
    for match in pattern.finditer(text):
        said = match.expand(replacement) if isinstance(replacement, str) else replacement(match)
        if not isinstance(said, OffsetText):
            said = standing_for(said, group(match))
        parts += [text[at : match.start()], said]
        at = match.end()
    return join_texts([*parts, text[at:]]) if parts else text


def split_text(pattern: Any, text: str) -> list[str]:
    """Split text where a pattern without groups matches, as `pattern.split(text)` does, with offsets."""
    bounds = [0, *(at for found in pattern.finditer(text) for at in found.span()), len(text)]
    return [text[begin:end] for begin, end in zip(bounds[::2], bounds[1::2], strict=True)]


def replace_words(words: str, replaced: str) -> str:
    """Return words in place of others, each for as little as is certain.

    Words that both texts begin or end with keep their own offsets; those between stand for all that is
    between them: in "chapter four" for "chapter IV" one word does.
    """
    if not isinstance(replaced, OffsetText):
        return words
    written = str(replaced)
    if words == written:
        return replaced
    if words[:1] != written[:1] and words[-1:] != written[-1:]:
        return standing_for(words, replaced.strip())
    head = _equal_words(words, written)
    tail = _equal_words(words[head:][::-1], written[head:][::-1])
    said, between = words[head : len(words) - tail], replaced[head : len(replaced) - tail]
    if not said.strip() or not between.strip():
        return standing_for(words, replaced.strip())
    return join_texts(
        [replaced[:head], standing_for(said, between.strip()), replaced[len(replaced) - tail :]]
    )


def _equal_words(text: str, other: str) -> int:
    """Return how many characters of whole words two texts begin with in common."""
    common = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(text, other, strict=False)))
    while common and not (_ends_word(text, common) and _ends_word(other, common)):
        common -= 1
    return common


def _ends_word(text: str, at: int) -> bool:
    return text[at : at + 1].isspace() or text[at - 1].isspace() or at == len(text)


@dataclass(slots=True)
class _Part:
    """A part of a text that waits in a buffer."""

    text: str
    begin: int
    end: int


class OffsetBuffer:
    """Text that grows at its end and is taken from its beginning, in linear time."""

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        self._parts: deque[_Part] = deque()

    def append(self, text: str, begin: int = 0, end: int | None = None) -> None:
        """Add a text, with or without offsets, or some of its characters."""
        end = len(text) if end is None else end
        last = self._parts[-1] if self._parts else None
        if last and last.text is text and last.end == begin:
            last.end = end
        elif begin < end:
            self._parts.append(_Part(text, begin, end))

    def take(self, count: int) -> str:
        """Remove so many characters from the beginning and return them, with the offsets that they have."""
        taken: list[str] = []
        while count and self._parts:
            first = self._parts[0]
            begin, first.begin = first.begin, min(first.end, first.begin + count)
            taken.append(first.text[begin : first.begin])
            count -= first.begin - begin
            if first.begin == first.end:
                self._parts.popleft()
        return join_texts(taken)
