"""Markdown syntax: the patterns of its markup.

The expressions use possessive quantifiers with limits, so that none of them backtracks, and include
the character that ends them, so that a match on text that is still arriving is final.
"""

from __future__ import annotations

import regex  # type: ignore[import-untyped]  # possessive quantifiers, properties


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_ALWAYS = r"<&\\\[$【\x1b\x9b\ue200"
"""Characters that have a reader whether or not Markdown is read."""


def _plain(read: str) -> regex.Pattern[str]:
    """A run of characters that no reader is for; `:` and `;` only begin an emoticon behind white space."""
    return regex.compile(rf"[^{read}:;]++(?:(?<=[^\s.!?…])[:;]++[^{read}:;]*+)*+")


PLAIN_RE = _plain(rf"\n`!*_~=#|{_ALWAYS}")
PLAIN_UNMARKED_RE = _plain(_ALWAYS)

# At the start of a line.
INDENT_RE = regex.compile(r"[^\S\n]{1,100}+")
LINE_ENDS_RE = regex.compile(r"\n++")
RULER_RE = regex.compile(r"-{3}|\*{3}|_{3}|={3}|(?:_[ \t]){3}")
RULER_REST_RE = regex.compile(r"[-=*_:| \t\r]++")
HEADING_RE = regex.compile(r"#{1,6}+(?=[ \t\r\n])[ \t\r]?")
QUOTE_RE = regex.compile(r">(?P<next>[^\d=])")
_PICTURE_BULLETS = "•‣◦▪●○∙·☐☑☒✓✔✗✘★☆►▶▸▹➤◆◇■□"
BULLET_RE = regex.compile(rf"(?:[-*+–—](?=\s)|[{_PICTURE_BULLETS}]\ufe0f?)")
NUMBER_RE = regex.compile(r"(?P<number>\d{1,3}+)[.)][ \t]{1,8}+(?P<word>\p{L}{0,10}+)(?P<next>\P{L}|\p{L})")
BLOCK_SIGNS = "-*_=+–—" + _PICTURE_BULLETS
TASK_RE = regex.compile(r"\[[ xX]\][ \t]")
ROW_RE = regex.compile(r"\|(?P<cells>[^\n]{1,2000}+)\n")
ROW_RULER_RE = regex.compile(r"[\s:|-]+")
CELL_END_RE = regex.compile(r"(?<!\\)\|")
ESCAPED_PIPE_RE = regex.compile(r"\\\|")
DEFINITION_RE = regex.compile(
    r"\[[^\]\[\n^][^\]\[\n]{0,100}+\]:[ \t]{0,8}+"
    r"(?:<[^<>\n]{0,500}+>|(?:https?|ftp|mailto):[^\s]{0,1000}+|(?:www\.|/|\./|\.\./|#)[^\s]{0,1000}+)"
    r"[ \t]{0,8}+(?:\"[^\"\n]{0,300}+\"|'[^'\n]{0,300}+'|\([^)\n]{0,300}+\))?+[ \t\r]{0,8}+\n"
)
NOTE_DEFINITION_RE = regex.compile(r"\[\^[^\]\s]{1,40}+\]:")
MONTHS = _words(
    "januar jänner februar feber märz april mai juni juli august september oktober november dezember"
    " januari februari maart mei augustus december"
)
"""After `1.` at the start of a line they make a date of it (German, Dutch), not a list."""

# Within a line.
STARS_RE = regex.compile(r"(?P<run>\*{1,8}+)(?P<next>[\s\S])")
FACTOR_RE = regex.compile(r"\*[ \t]{0,4}+(?:[\d(√]|-\d|\p{L}[^\p{L}\p{M}'’])")
LEFT_FACTOR_RE = regex.compile(r"(?:[\p{N})]|(?:^|[\s(])\p{L})$")
UNDERSCORES_RE = regex.compile(r"(?P<run>_{1,8}+)(?P<next>[\s\S])")
MAILBOX_RE = regex.compile(r"_{1,8}+[\p{L}\p{N}_.+%-]{0,64}+(?P<next>[^\p{L}\p{N}_.+%-])")
TILDES_RE = regex.compile(r"(?P<run>~{1,8}+)(?P<next>[\s\S])")
EQUALS_RE = regex.compile(r"(?P<run>={1,8}+)(?P<next>[\s\S])")
HEADING_END_RE = regex.compile(r"#{1,8}+[ \t\r]{0,8}+\n")
PIPE_RE = regex.compile(r"\|(?P<next>[\s\S])")
ESCAPE_RE = regex.compile(r"\\(?P<next>[\s\S])")
ESCAPABLE = "*_`[](){}#~<>|+-.!&$"
CODE_RE = regex.compile(r"`{1,8}+(?P<code>[^`\n]{1,300}+)`{1,8}+(?=[^`])")
LATE_FENCE_RE = regex.compile(r"`{3,20}+[\w+#.-]{0,30}+[ \t\r]{0,8}+\n")
"""Code that begins after words on the same line, as language models write it."""
BACKTICKS_RE = regex.compile(r"(?P<run>`{1,8}+)(?P<next>[\s\S])")
_TARGET = (
    r"(?:\(\s{0,4}+(?:<[^<>\n]{0,2000}+>|[^\s()<>]{0,2000}+(?:\([^\s()]{0,300}+\)[^\s()<>]{0,300}+){0,3}+)"
    r"(?:[ \t]{1,4}+(?:\"[^\"\n]{0,300}+\"|'[^'\n]{0,300}+'|\([^)\n]{0,300}+\)))?+[ \t]{0,4}+\)"
    r"|\[[^\]\[\n]{0,100}+\])"
)
_INNER = rf"(?:[^\[\]\n\\]|\\[^\n]|!?\[[^\[\]\n]{{0,300}}+\]{_TARGET}?+)"
LINK_RE = regex.compile(rf"!?\[(?P<text>{_INNER}{{0,300}}+)\](?P<target>{_TARGET})")
SOURCE_RE = regex.compile(r"【[^】\n]{0,60}+】")
HOSTED_CITATION_RE = regex.compile("\ue200[^\ue201\\n]{0,300}+\ue201")
"""A citation of a hosted model, in private characters that its own client replaces."""
LATIN_RE = regex.compile(r"\p{Latin}")
IN_ADDRESS = "_/%&=?#@+~*-"
KEYCAP_PARTS = "\ufe0f\u20e3"
POWER = "**"
MAX_RUN = 16
MAX_EQUALS = 8
UNSPOKEN_RUNS = "*_~=`#"
