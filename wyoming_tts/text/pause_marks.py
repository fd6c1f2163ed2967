"""Pause marks: ellipses and brackets within a sentence become commas, at which every engine pauses.

Piper's phonemizer joins the words around an ellipsis, `Go... now` to one word, and passes over brackets. What
is glued to a word stays: `file(s)`, `f(x)`, `(un)likely`, `a[0]`. So do square brackets around a number or a
letter, as in "choose [1] or [2]", and curly ones, which prose does not have.
"""

from __future__ import annotations

from collections.abc import Iterator

import regex  # type: ignore[import-untyped]  # properties and possessive quantifiers

from wyoming_tts.offset_text import group, join_texts, substitute

_ELLIPSIS_RE = regex.compile(
    r"(?P<before>[\w\p{M}%°\ufdd0,;:!?])(?P<closed>[\"'”’»)\]]*+)\s*+"
    r"(?:(?:\.{2,}+|…)(?:\s?[.…])*+|\.(?:\ \.){2,}+)"
    r"(?P<closers>(?:[\"”’»)\]]|\s»)*+)(?P<space>\s*+)(?=(?P<next>[^\s/\\]))"
)
"""In a sentence; U+FDD0 stands for phonemes. Two dots before a slash are a directory."""
_OMISSION_RE = regex.compile(r"[(\[（]\s?(?:\.{2,}|…)++\s?[)\]）]")
"""Stands for what was left out of a quotation."""
_MARKS = ".,;:!?…—–，。；：？！、،؛؟"
_CLOSING = {"(": ")", "[": "]", "（": "）"}
_WIDE_COMMA = "，"
_KEY_RE = regex.compile(r"[\p{L}\p{N}]{1,3}")
"""A key or a footnote in square brackets."""
_SHORT_WORD_RE = regex.compile(r"(?:^|\s)\p{Ll}$|^\p{Lu}$")
"""An article or preposition of one letter, which engines read by the letter's name before a comma."""
_ITEM_RE = regex.compile(r"\p{L}|\p{N}{1,3}|[ivxIVX]{1,4}")
"""Stands before the bracket of a list's item, as `a)`."""

_SPOKEN_RE = regex.compile(r"[\p{L}\p{N}\ufdd0%€$£]")


def mark_pauses(text: str) -> str:
    """Return a sentence, or part of one, with commas in place of the ellipses and brackets within it."""
    if "…" in text or ".." in text or ". ." in text:
        text = substitute(_ELLIPSIS_RE, _comma_for_ellipsis, substitute(_OMISSION_RE, "...", text))
    return _mark_brackets(text) if any(bracket in text for bracket in "([（）)]") else text


def _comma_for_ellipsis(found: regex.Match[str]) -> str:
    before, closed, closers = (group(found, name) for name in ("before", "closed", "closers"))
    if found["next"] in _MARKS:
        return join_texts([before, closed, closers])
    comma = "" if before in _MARKS else ","
    return join_texts([before, comma, closed, closers, " "])


def _mark_brackets(text: str) -> str:
    edges = sorted(
        edge
        for start, end in _pairs(text)
        if not _is_kept(text, start, end)
        for edge in (start, end)
        if edge is not None
    )
    marked, at = "", 0
    for edge in edges:
        marked += text[at:edge]
        at = edge + 1
        if text[edge] in _CLOSING:
            marked = _open(marked, text[edge])
            at += len(text[at:]) - len(text[at:].lstrip())
        else:
            marked = _close(marked, text[edge], text[at:])
    return marked + text[at:]


def _pairs(text: str) -> Iterator[tuple[int | None, int | None]]:
    """Where brackets open and close; None where the other one is in another segment."""
    opened: list[int] = []
    for at, char in enumerate(text):
        if char in _CLOSING:
            opened.append(at)
        elif char in _CLOSING.values():
            is_pair = bool(opened) and _CLOSING[text[opened[-1]]] == char
            yield (opened.pop() if is_pair else None), at
    for start in opened:
        yield start, None


def _is_kept(text: str, start: int | None, end: int | None) -> bool:
    """Whether brackets belong to a word, or are something other than a parenthesis."""
    bracket = text[start if start is not None else end or 0]
    if start is not None and not _SPOKEN_RE.search(text, start + 1, len(text) if end is None else end):
        return True
    if bracket in "（）":
        return False
    if start is None:
        last_word = text[:end].rpartition(" ")[2]
        return bracket == "]" or not last_word[-1:].isalnum() or _ITEM_RE.fullmatch(last_word) is not None
    if end is None:
        return bracket == "[" or (start > 0 and text[start - 1].isalnum())
    is_glued = (start > 0 and text[start - 1].isalnum()) or text[end + 1 : end + 2].isalnum()
    return is_glued or (bracket == "[" and _KEY_RE.fullmatch(text, start + 1, end) is not None)


def _open(before: str, bracket: str) -> str:
    """The text before an opening bracket, with a comma that begins the parenthesis."""
    if bracket == "（":
        return before + (_WIDE_COMMA if before and before[-1] not in _MARKS else "")
    stripped = before.rstrip()
    if stripped == before:  # nothing, or a quote or dash that the bracket directly follows
        return before
    joined = stripped[-1:] in _MARKS or _SHORT_WORD_RE.search(stripped) is not None
    return stripped + (" " if joined else ", ")


def _close(before: str, bracket: str, after: str) -> str:
    """The text before a closing bracket, with a comma that ends the parenthesis, if more follows."""
    following = after.lstrip()[:1]
    is_spaced = after[:1].isspace() or bracket == "）"
    if not is_spaced or not following or following in _MARKS or before[-1:] in _MARKS:
        return before
    return before.rstrip() + (_WIDE_COMMA if bracket == "）" else ",")
