"""Words of a text that an engine speaks: where each begins and ends, for the timings of words.

A word is what stands between spaces or dashes, without the punctuation around it; a `[[ phonemes ]]` block is
one. In scripts without spaces each character of Han and kana is one, with what modifies it.
"""

from __future__ import annotations

from typing import Final

import regex  # type: ignore[import-untyped]

from wyoming_tts.offset_text import Span

_BLOCK: Final = r"\[\[.*?\]\]"
_MODIFIERS: Final = r"[\p{M}ゃゅょっぁぃぅぇぉゎャュョッァィゥェォヮー々〻]"
"""What is pronounced with the character before it."""
_CHARACTER: Final = rf"[[\p{{Han}}\p{{Hiragana}}\p{{Katakana}}]--{_MODIFIERS}]"
_EDGE: Final = r"[\p{L}\p{N}\p{M}\p{S}]"
"""What a word ends with; symbols are spoken too."""
_BEGINNING: Final = rf"(?:{_EDGE}|[@#](?=[\p{{L}}\p{{N}}]))"
"""What it begins with: "@home" and "#1" say more than their letters."""
_BREAK: Final = r"[\s—–―…、。，；：！？\p{Han}\p{Hiragana}\p{Katakana}]|\](?=[\[\p{L}\p{N}])"
"""What ends a word; of two references side by side, the bracket between them."""
_WORD_RE: Final = regex.compile(
    rf"{_BLOCK}|{_CHARACTER}{_MODIFIERS}*+|(?:(?!\[\[){_BEGINNING}(?:(?:(?!{_BREAK}|\[\[).)*(?!{_BREAK}){_EDGE})?)",
    regex.V1 | regex.DOTALL,
)


def words_of(text: str) -> list[Span]:
    """Return the spans of a text's words, in order."""
    return [Span(*found.span()) for found in _WORD_RE.finditer(text)]
