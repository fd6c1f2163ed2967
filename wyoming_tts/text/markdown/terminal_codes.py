"""Terminal control sequences (ANSI, ECMA-48): colours and the like in the output of programs are left out."""

from __future__ import annotations

import regex  # type: ignore[import-untyped]  # partial matches and possessive quantifiers

ESCAPE = "\x1b"
SEQUENCE_START = "\x9b"
"""The same as an escape and `[`."""

_PARAMETERS = r"[0-?]{0,64}+[ -/]{0,8}+[@-~]"
SEQUENCE_RE = regex.compile(
    rf"\x1b(?:\[{_PARAMETERS}|\][^\x07\x1b\n]{{0,500}}+(?:\x07|\x1b\\)|[PX^_][^\x1b\n]{{0,500}}+\x1b\\"
    rf"|[ -/]{{0,8}}+[0-OQ-WYZ\\`-~])|\x9b{_PARAMETERS}"
)
"""A whole sequence; of one that is not closed, only its beginning."""
WRITTEN_SEQUENCE_RE = regex.compile(r"\\(?:033|x1[bB]|u001[bB]|e)\[[0-9;]{0,32}+[A-Za-z]")
"""One whose escape is spelled as in a program's source."""
BARE_COLOR_RE = regex.compile(
    r"\[(?:[139][0-7]?m(?P<next>[\p{Lu}\[])|(?:0|[0-9]{1,2}(?:;[0-9]{1,3}){1,8}+)m(?P<next>[^\]]))"
)
"""One whose escape was lost on the way, with the character behind it; `[5m]` and `[31min]` are none."""
