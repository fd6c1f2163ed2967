"""Rewrite rules of text normalization: a pattern, and the words that replace what it matches.

The constants are the parts that the patterns of many rules share.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import regex  # type: ignore[import-untyped]

APART = r"(?<![\w.,:/°%)\]-])"
"""Before a number: nothing that makes it part of something else."""
NOT_MORE = r"(?![\w°]|[.,:/-]\d)"
"""After a number: the same."""
UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}ー"
"""Characters of words that have no spaces around them, and so do not join a number to a word."""
_GLUED_RE = regex.compile(rf"(?<=[{UNSPACED}])\ +|\ +(?=[{UNSPACED}])")
DASH = r"\ ?[–—]\ ?|-|\ -\ "


@dataclass(frozen=True, slots=True)
class Rule:
    """A pattern and its replacement in words; None leaves the match as it is."""

    pattern: regex.Pattern[str]
    verbalize: Callable[[regex.Match[str]], str | None]
    needs_digit: bool = True
    """Skip the rule where the text has no digit."""


def make_rule(
    pattern: str,
    verbalize: Callable[[regex.Match[str]], str | None],
    *,
    ignore_case: bool = False,
    needs_digit: bool = True,
) -> Rule:
    """Compile a rule; spaces in the pattern are ignored unless they are escaped."""
    flags = regex.VERBOSE | (regex.IGNORECASE if ignore_case else 0)
    return Rule(regex.compile(pattern, flags), verbalize, needs_digit)


def without_spaces(each: Rule) -> Rule:
    """The rule for a language written without spaces: a number may stand between the letters of words."""
    pattern = each.pattern.pattern.replace(r"\w", rf"[\w--[{UNSPACED}]]")
    flags = each.pattern.flags & ~regex.VERSION0 | regex.VERSION1

    def verbalize(match: regex.Match[str]) -> str | None:
        words = each.verbalize(match)
        return None if words is None else _GLUED_RE.sub("", words)

    return replace(each, pattern=regex.compile(pattern, flags), verbalize=verbalize)


def at_sentence_end(match: regex.Match[str]) -> bool:
    """Whether a full stop at the end of the match may also end a sentence."""
    rest = match.string[match.end() : match.end() + 3].lstrip("\"'”’)")
    if not rest.strip():
        return True
    return bool(rest[0] == "\n" or (rest[0] == " " and rest[1:2].isupper()))
