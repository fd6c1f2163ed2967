"""Regular expressions of a lexicon, limited in what they compile to and in time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import regex  # type: ignore[import-untyped]  # the standard library's has no time limit

from wyoming_tts.messages import Message
from wyoming_tts.text.lexicon.places import EVERYWHERE, UNPLACED, Hit, RulePosition, Scope

_log = logging.getLogger(__name__)

PATTERN_SECONDS: Final = 0.02
"""Time limit of one regular expression on one text; ordinary ones take microseconds."""
ALL_PATTERNS_SECONDS: Final = 0.2
"""Time limit of all of them on one text, as their listener waits for it."""
MAX_PATTERN_SIZE: Final = 5_000
"""Limit of `pattern_size`, 20 ms of compiling; ordinary expressions have a hundred."""

_REPEATED_GROUP = regex.compile(r"\)(?:\s|#[^\n]*\n?)*+(?:(?<plus>\+)|\{\s*+(?<least>\d*+))")
_LEAST = regex.compile(r"\{\s*+(\d++)")
_MAX_DIGITS = 7
_ENDLESS = 10**_MAX_DIGITS
_GROUP = regex.compile(r"\\(?:(?P<number>\d{1,2})|g<(?P<name>\w+)>|(?P<other>.?))", regex.DOTALL)


class PatternRule:
    r"""A regular expression; its replacement may contain `\1` and `\g<name>`, the text of its groups.

    Raises:
        ValueError: it cannot be compiled, would compile to too much, or the replacement names a group that it
            does not have.
    """

    def __init__(
        self,
        written: str,
        replacement: str,
        *,
        exact: bool,
        scope: Scope = EVERYWHERE,
        position: RulePosition = UNPLACED,
    ) -> None:
        self.written = written
        self.scope = scope
        self.position = position
        if pattern_size(written) > MAX_PATTERN_SIZE:
            raise ValueError(
                Message(
                    "pattern_repeats",
                    "the regular expression {pattern} repeats too much: use smaller counts, or fewer groups "
                    "within one another that are repeated",
                    pattern=repr(written),
                )
            )
        try:
            self._compiled = regex.compile(written, 0 if exact else regex.IGNORECASE)
        except Exception as error:
            raise ValueError(
                Message(
                    "pattern_invalid",
                    "the regular expression {pattern} is not valid: {reason}",
                    pattern=repr(written),
                    reason=error,
                )
            ) from error
        self._template = tuple(_parse_template(replacement, self._compiled))
        self._is_off = False

    def __repr__(self) -> str:
        return f"<Pattern {self.written!r}{' off' if self._is_off else ''}>"

    def hits(self, text: str) -> list[Hit]:
        """All its matches; none once it has exceeded the time limit."""
        if self._is_off:
            return []
        try:
            found = list(self._compiled.finditer(text, timeout=PATTERN_SECONDS))
        except TimeoutError:
            self.disable(f"took longer than {PATTERN_SECONDS * 1000:.0f} ms")
            return []
        return [
            Hit(match.start(), match.end(), self._said(match), self.position) for match in found if match[0]
        ]

    def disable(self, reason: str) -> None:
        """Have it match nothing any more."""
        self._is_off = True
        _log.warning(
            "%s: the regular expression %r %s; disabled until the file changes",
            self.position,
            self.written,
            reason,
        )

    def _said(self, match: Any) -> str:
        return "".join(part if isinstance(part, str) else match[part.of] or "" for part in self._template)


@dataclass(frozen=True, slots=True)
class _Group:
    of: int | str


def pattern_size(written: str) -> int:
    """Upper bound of what a regular expression compiles to: every repetition is unrolled to its least count.

    So `((a{9}){9}){9}` makes a thousand of one letter, and a few more levels exhaust the memory.
    """
    groups = [*_REPEATED_GROUP.finditer(written)]
    atoms = sum(_least(match[1]) for match in _LEAST.finditer(written))
    size = len(written) + atoms - sum(_least(group["least"]) for group in groups)
    for group in groups:
        size = min(size * (2 if group["plus"] else 1 + _least(group["least"])), _ENDLESS)
    return size


def _least(digits: str | None) -> int:
    return int(digits or 0) if len(digits or "") <= _MAX_DIGITS else _ENDLESS


def hits_within_time(
    text: str, patterns: list[PatternRule], clock: Callable[[], float]
) -> Iterator[list[Hit]]:
    """The hits of each pattern, until together they took too long; then the slowest of them is disabled."""
    began = at = clock()
    slowest, longest = None, 0.0
    for pattern in patterns:
        yield pattern.hits(text)
        before, at = at, clock()
        if at - before > longest:
            slowest, longest = pattern, at - before
        if slowest is not None and at - began > ALL_PATTERNS_SECONDS:
            slowest.disable(
                f"was the slowest of those that took over {ALL_PATTERNS_SECONDS * 1000:.0f} ms together"
            )
            return


def _parse_template(replacement: str, compiled: Any) -> Iterator[str | _Group]:
    """The replacement in parts, each a string or a group of the expression.

    Raises:
        ValueError: the expression has no such group, or a backslash precedes anything else.
    """
    at = 0
    for match in _GROUP.finditer(replacement):
        yield replacement[at : match.start()]
        at = match.end()
        if match["other"] == "\\":
            yield "\\"
            continue
        if match["other"] is not None:
            raise ValueError(
                Message(
                    "pattern_no_group",
                    r"{group} in the replacement is not a group; write \1, \g<name> or \\",
                    group=repr(match[0]),
                )
            )
        of = int(match["number"]) if match["number"] else match["name"]
        if not _has_group(compiled, of):
            raise ValueError(
                Message(
                    "pattern_other_group",
                    "{group} in the replacement is not a group of the regular expression",
                    group=repr(match[0]),
                )
            )
        yield _Group(of)
    yield replacement[at:]


def _has_group(compiled: Any, of: int | str) -> bool:
    return bool(of in compiled.groupindex if isinstance(of, str) else of <= compiled.groups)
