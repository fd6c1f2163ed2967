"""YAML syntax errors for people: the line in which the mistake is, and a sentence that can be translated.

A parser notices a mistake only once nothing can follow any more, often lines later: at the end of the file,
for a quote that is not closed, or at the next key, for a key without a colon. What it calls the context is
where the construct began. The line itself is no part of the sentence: it may hold a secret.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import yaml

from wyoming_tts.messages import Message

_NO_COLON: Final = Message("yaml_no_colon", "got no colon in this line, expected `name: value`")
_SECOND_COLON: Final = Message(
    "yaml_second_colon", "got a second colon in this line, expected quotes around what follows the first"
)
_INDENTED: Final = Message(
    "yaml_indented", "got a line that is further in than the one above, which has a value already"
)
_INDENT: Final = Message("yaml_indent", "got a line that is not as far in as those that it belongs to")
_TAB: Final = Message("yaml_tab", "got a tab, expected spaces")
_AFTER_QUOTE: Final = Message(
    "yaml_after_quote", "got more after the closing quote, expected the end of the value"
)
_NOT_CLOSED: Final = Message("yaml_not_closed", "got a bracket or a quote that is not closed")
_COLON: Final = re.compile(r":(?:\s|$)")


@dataclass(frozen=True, slots=True)
class SyntaxProblem:
    """A mistake and its place; line and column count from 1, and line 0 is unknown."""

    line: int
    column: int
    message: Message


def describe_syntax_error(error: yaml.MarkedYAMLError, text: str) -> SyntaxProblem:
    """Return where the mistake is that the parser noticed, and what it is."""
    lines = text.splitlines()
    mark, began = error.problem_mark or error.context_mark, error.context_mark or error.problem_mark
    if mark is None or began is None:
        return SyntaxProblem(0, 0, no_yaml(error.problem))
    found = str(error.problem)
    if "could not find expected ':'" in found:
        return _at(began, _NO_COLON)
    if "mapping values are not allowed" in found:
        return _unexpected_colon(mark, lines)
    context = str(error.context)
    if "flow" in context or ("quoted" in context and "end of stream" in found):
        return _not_closed(began, found, lines)
    return _at(mark, _mistake_at(mark, found, context, lines))


def no_yaml(problem: object) -> Message:
    """Return the sentence for any other mistake, in the parser's words."""
    return Message("no_yaml", "this is no YAML: {problem}", problem=problem)


def _not_closed(began: Any, found: str, lines: Sequence[str]) -> SyntaxProblem:
    if "node content" not in found:
        return _at(began, _NOT_CLOSED)
    if _signs(lines, began):
        return _at(began, no_yaml(found))
    last = max((number for number, line in enumerate(lines, 1) if line.strip()), default=1)
    return SyntaxProblem(last, 1, _NOT_CLOSED)


def _mistake_at(mark: Any, found: str, context: str, lines: Sequence[str]) -> Message:
    if "cannot start any token" in found:
        return _bad_start(_signs(lines, mark)[:1])
    before = _before(lines, mark).rstrip()
    if "block" in context and not before:
        return _INDENT
    return _AFTER_QUOTE if "block" in context and before[-1] in "'\"" else no_yaml(found)


def _bad_start(sign: str) -> Message:
    if sign == "\t":
        return _TAB
    return Message("yaml_start", "got {sign} at the start, expected quotes around what begins so", sign=sign)


def _unexpected_colon(mark: Any, lines: Sequence[str]) -> SyntaxProblem:
    """A line has two colons, or there was none in the lines above, which are read as one text with it."""
    if _COLON.search(_before(lines, mark)):
        return _at(mark, _SECOND_COLON)
    first = None
    for index in range(min(mark.line, len(lines)) - 1, -1, -1):
        line = lines[index]
        if not line.strip():
            continue
        if _COLON.search(line):
            break
        first = index
    if first is not None:
        indent = len(lines[first]) - len(lines[first].lstrip())
        return SyntaxProblem(first + 1, indent + 1, _NO_COLON)
    return _at(mark, _INDENTED)


def _before(lines: Sequence[str], mark: Any) -> str:
    return lines[mark.line][: mark.column] if mark.line < len(lines) else ""


def _signs(lines: Sequence[str], mark: Any) -> str:
    return lines[mark.line][mark.column :] if mark.line < len(lines) else ""


def _at(mark: Any, message: Message) -> SyntaxProblem:
    return SyntaxProblem(mark.line + 1, mark.column + 1, message)
