"""Rewrite rules of text normalization: a pattern, and the words that replace what it matches.

The constants are the parts that the patterns of many rules share.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import regex  # type: ignore[import-untyped]

APART = r"(?<![\w.,:/°%)\]-])"
"""Before a number: nothing that makes it part of something else."""
NOT_MORE = r"(?![\w°]|[.,:/-]\d)"
"""After a number: the same."""
DASH = r"\ ?[–—]\ ?|-|\ -\ |[~〜～]"
"""Between the ends of a range."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A pattern and its replacement in words; None leaves the match as it is."""

    pattern: regex.Pattern[str]
    verbalize: Callable[[regex.Match[str]], str | None]
    needs_digit: bool = True
    """Skip the rule where the text has no digit."""
    capitals: Mapping[str, str] = field(default_factory=dict)
    """Capital letters of the language that differ from what Unicode has, as the Turkish "İ"."""


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


def with_endings(each: Rule, endings: Sequence[Mapping[str, Any]]) -> Rule:
    """The rule for a language that writes the ending of a number or sign behind a mark: "20%-os", "25 °C'de".

    The mark is not said; before some endings the word changes.
    """
    marks = "|".join(str(entry["mark"]) for entry in endings)
    pattern = regex.compile(rf"(?:{each.pattern.pattern})(?P<ending>{marks})?", each.pattern.flags)

    def verbalize(match: regex.Match[str]) -> str | None:
        words = each.verbalize(match)
        if words is None or match["ending"] is None:
            return words
        rest = match.start("ending")
        entry = next(entry for entry in endings if regex.compile(entry["mark"]).match(match.string, rest))
        for changed, becomes in entry.get("changes") or []:
            words = regex.sub(changed, becomes, words)
        return words

    return replace(each, pattern=pattern, verbalize=verbalize)


def at_sentence_end(match: regex.Match[str]) -> bool:
    """Whether a full stop at the end of the match may also end a sentence."""
    rest = match.string[match.end() : match.end() + 3].lstrip("\"'”’)")
    if not rest.strip():
        return True
    return bool(rest[0] == "\n" or (rest[0] == " " and rest[1:2].isupper()))
