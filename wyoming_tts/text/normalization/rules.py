"""Rewrite rules of text normalization: a pattern, and the words that replace what it matches.

The constants are the parts that the patterns of many rules share.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import regex  # type: ignore[import-untyped]

APART = r"(?<![\w.,:/°%)\]-])"
"""Before a number: nothing that makes it a part of something else."""
NOT_MORE = r"(?![\w°]|[.,:/-]\d)"
"""Behind a number: the same."""
DASH = r"\ ?[–—]\ ?|-|\ -\ "


@dataclass(frozen=True, slots=True)
class Rule:
    """What is found in a text and what is said instead; None leaves it as it is."""

    pattern: regex.Pattern[str]
    verbalize: Callable[[regex.Match[str]], str | None]
    needs_digit: bool = True
    """Not worth trying where what it may change holds no digit."""


def make_rule(
    pattern: str,
    verbalize: Callable[[regex.Match[str]], str | None],
    *,
    ignore_case: bool = False,
    needs_digit: bool = True,
) -> Rule:
    """Compile a rule. Spaces in the pattern do not count unless they are escaped."""
    flags = regex.VERBOSE | (regex.IGNORECASE if ignore_case else 0)
    return Rule(regex.compile(pattern, flags), verbalize, needs_digit)


def at_sentence_end(match: regex.Match[str]) -> bool:
    """Whether a full stop at the end of the match may also end a sentence."""
    rest = match.string[match.end() : match.end() + 3].lstrip("\"'”’)")
    if not rest.strip():
        return True
    return bool(rest[0] == "\n" or (rest[0] == " " and rest[1:2].isupper()))
