"""Digits and signs of other scripts as the ASCII ones that the rules know: `٢٥`, `२५`, `２５`, `٪`, `㎞`.

What a character becomes depends on itself alone or on its neighbours in the same token, so text may be
converted piece by piece, and then window by window.
"""

from __future__ import annotations

import unicodedata

import regex  # type: ignore[import-untyped]

from wyoming_tts.offset_text import substitute
from wyoming_tts.text.unspaced_scripts import UNSPACED_LETTERS

_FULLWIDTH = 0xFF00 - 0x20
"""From a printable ASCII character to its full-width form."""
_SIGNS = {
    **{chr(ord(sign) + _FULLWIDTH): sign for sign in "%+$#&@<=>"},
    "￥": "¥",
    "￡": "£",
    "￠": "¢",
    "￦": "₩",
    "٪": "%",
    "؉": "‰",
}
_SQUARED = r"\u3300-\u3357\u3371-\u33df"
"""Units and words in one square: ㎞, ㌔."""
_FOREIGN_RE = regex.compile(
    rf"[[\p{{Nd}}--0-9]{regex.escape(''.join(_SIGNS))}Ａ-Ｚａ-ｚ{_SQUARED}]|\p{{Bidi_Control}}", regex.V1
)
_BETWEEN_RE = regex.compile(r"(?<=\d)[：．／](?=\d)|－(?=[\d¥$€£])")
_RANGE_RE = regex.compile(
    rf"(?<=\d\ ?[{UNSPACED_LETTERS}\p{{Hangul}}]{{1,2}})[-–—](?=\d)(?!\d{{1,3}}(?:\.\d{{1,2}})?\ ?[°℃℉度])"
    r"|(?<=\d\ ?度)[-–—](?=\d)"
)
"""A dash between two figures with their nouns, `3日-5日`; a temperature may be below zero."""
_MARKS_RE = regex.compile(r"(?<=\d)[٫٬](?=\d)")


def to_ascii_figures(text: str) -> str:
    """Replace digits, signs and units that are written with other characters; drop marks of direction."""
    return text if text.isascii() else substitute(_FOREIGN_RE, _ascii, text)


def _ascii(match: regex.Match[str]) -> str:
    char = match.group()
    digit = unicodedata.decimal(char, None)
    if digit is not None:
        return str(digit)
    found = _SIGNS.get(char)
    if found is not None:
        return found
    return "" if unicodedata.category(char) == "Cf" else unicodedata.normalize("NFKC", char)


def to_ascii_marks(text: str, *, decimal: str, group: str) -> str:
    """Replace the marks inside numbers, times and ranges, one character by one.

    Args:
        text: with ASCII digits.
        decimal: the language's decimal mark.
        group: its mark between groups of three digits.
    """
    if text.isascii():
        return text
    text = _RANGE_RE.sub("〜", text)
    text = _BETWEEN_RE.sub(lambda match: unicodedata.normalize("NFKC", match.group()), text)
    return str(_MARKS_RE.sub(lambda match: decimal if match.group() == "٫" else group, text))
