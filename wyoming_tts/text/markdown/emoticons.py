"""Emoticons: `:)`, `;-D` and `<3` become the emoji that they stand for, and are treated like those.

Only those count that stand alone: behind white space or the end of a sentence, and before white space or a
mark. `<3` may also mean "less than three", so it is a heart only at the end of a line or sentence or beside
another picture, and "love" behind an English pronoun.
"""

from __future__ import annotations

import regex  # type: ignore[import-untyped]  # partial matches and possessive quantifiers

from wyoming_tts.offset_text import standing_for
from wyoming_tts.text.markdown.scanner import TextScanner
from wyoming_tts.text.plain_text import PlainTextWriter

_FACE_RE = regex.compile(
    r"(?:[:;]['’]?[-^o]?(?P<mouth>\)++|\(++|[\]\[DPpO|/\\*])|=-?(?P<mouth>\)++|\(++|[\]D]))(?P<next>[.,!?…]{0,3}+\s)"
)
_HEART_RE = regex.compile(r"(?P<heart><[/\\]?3++)(?P<marks>[ \t.,!?…]{0,8}+)(?P<next>[\s\S])")
_BEFORE_HEART_RE = regex.compile(
    r"(?:[\p{L}\p{M}]{2}|[^\p{L}\p{N}\s=<>+*/×-]|^)\s$(?<!\s(?i:is|are|was|be|if|at|and|or|of|to|than|ist|sind|bei|und|est|et|es|y|e|è)\s)"
)
_AFTER_HEART_RE = regex.compile(r"[^\p{L}\p{N}°%$€£(~±/]")
_LOVING_RE = regex.compile(r"(?:^|\s)(?i:I|we|you|they|u)\s$")
_MOUTHS = {
    **dict.fromkeys(")]", "\U0001f642"),
    **dict.fromkeys("([", "\U0001f641"),
    **dict.fromkeys("Pp", "\U0001f61b"),
    **dict.fromkeys("/\\", "\U0001f615"),
    "D": "\U0001f600",
    "O": "\U0001f62e",
    "|": "\U0001f610",
    "*": "\U0001f618",
}
_WINK, _TEAR, _HEART = "\U0001f609", "\U0001f622", "❤\ufe0f"
_BROKEN_HEART = "\U0001f494"


class EmoticonReader:
    """Reads one emoticon at a time, for the Markdown stripper."""

    def __init__(self, scanner: TextScanner, writer: PlainTextWriter) -> None:
        self._scanner = scanner
        self._writer = writer

    def read_face(self) -> bool:
        """Replace a face at the position, which begins with `:`, `;` or `=`; return whether there was one."""
        if not self._writer.previous.isspace() and self._writer.previous not in ".!?…":
            return False
        found = self._scanner.match(_FACE_RE)
        if not found:
            return False
        face, mouth = found.group().removesuffix(found["next"]), found["mouth"][0]
        picture = _MOUTHS[mouth]
        if face[0] == ";" and mouth in ")]D":
            picture = _WINK
        elif "'" in face or "’" in face:
            picture = _TEAR
        self._replace(len(face), picture)
        return True

    def read_heart(self) -> bool:
        """Replace a heart at the position, which begins with `<`; return whether there was one."""
        recent = self._writer.recent or "\n"
        is_loving = _LOVING_RE.search(recent) is not None
        if not (is_loving or _BEFORE_HEART_RE.search(recent)):
            return False
        found = self._scanner.match(_HEART_RE)
        if not found:
            return False
        is_last = _AFTER_HEART_RE.match(found["next"]) is not None or found["marks"].strip(" \t,") != ""
        if not (is_last or is_loving):
            return False
        heart = _HEART if is_last else "love"
        self._replace(len(found["heart"]), heart if found["heart"][1] == "3" else _BROKEN_HEART)
        return True

    def _replace(self, chars: int, picture: str) -> None:
        self._writer.write(standing_for(picture, self._scanner.read(chars)))
