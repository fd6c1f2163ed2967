"""Console output of the commands: tables for people, JSON for programs, and prompts that never hang."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterable, Sequence

from wyoming_tts.errors import SpeechError

_PIPE_WIDTH = 400
"""Width of a table where standard output is a pipe, which has none."""


class CommandFailed(SpeechError):
    """A command failed because of something outside this process: a server, a file, a player."""


def print_json(value: object) -> None:
    """Print a value as indented JSON, in ASCII where the output's encoding lacks a character."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    print(text if _can_encode(text) else json.dumps(value, indent=2))


def print_json_line(value: object) -> None:
    """Print a value as one line of JSON, at once; in ASCII where the output's encoding lacks a character."""
    line = json.dumps(value, ensure_ascii=False)
    print(line if _can_encode(line) else json.dumps(value), flush=True)


def print_line(line: str) -> None:
    """Print a line at once, with escapes for characters that the output's encoding lacks."""
    if not _can_encode(line):
        line = line.encode(_encoding(), "backslashreplace").decode(_encoding())
    print(line, flush=True)


def _can_encode(text: str) -> bool:
    """Whether standard output's encoding has all characters; none has lone surrogates."""
    try:
        text.encode(_encoding())
    except UnicodeEncodeError:
        return False
    return True


def _encoding() -> str:
    return sys.stdout.encoding or "utf-8"


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, folding: int = 1) -> None:
    """Print a table; where the terminal is too narrow, the last `folding` columns are wrapped."""
    from rich.console import Console  # noqa: PLC0415 - takes 100 ms that serving need not spend
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for number, column in enumerate(columns):
        table.add_column(column, no_wrap=number < len(columns) - folding, overflow="fold")
    for row in rows:
        table.add_row(*row)
    escape_unencodable_output()
    width = None if sys.stdout.isatty() else _PIPE_WIDTH
    # Names and descriptions are data, not markup.
    Console(file=sys.stdout, width=width, markup=False, highlight=False, emoji=False).print(table)


def escape_unencodable_output() -> None:
    """Make standard output escape what its encoding lacks, instead of failing."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def print_note(line: str) -> None:
    """Print a line to standard error, apart from the result."""
    print(line, file=sys.stderr)


def confirm(question: str) -> bool:
    """Ask for confirmation on a terminal; without one nobody could answer, and the command is confirmed."""
    if not sys.stdin or not sys.stdin.isatty():
        return True
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().casefold() in {"y", "yes"}
