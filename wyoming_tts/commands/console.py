"""What commands print with: tables for people, JSON for programs, and questions that never hang."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterable, Sequence

from wyoming_tts.errors import SpeechError

_PIPE_WIDTH = 400
"""A pipe has no width to fit a table into."""


class CommandFailed(SpeechError):
    """Something beyond this process failed: a server, a file, a player."""


def print_json(value: object) -> None:
    """Print one value for programs, in ASCII where the output cannot take it as it is."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        text = json.dumps(value, indent=2)
    print(text)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, folding: int = 1) -> None:
    """Print rows for people; where the terminal is narrow the last `folding` columns are folded."""
    from rich.console import Console  # noqa: PLC0415 - takes 100 ms that serving need not spend
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for number, column in enumerate(columns):
        table.add_column(column, no_wrap=number < len(columns) - folding, overflow="fold")
    for row in rows:
        table.add_row(*row)
    escape_unencodable_output()
    width = None if sys.stdout.isatty() else _PIPE_WIDTH
    # Names and descriptions are data: no markup is meant in them.
    Console(file=sys.stdout, width=width, markup=False, highlight=False, emoji=False).print(table)


def escape_unencodable_output() -> None:
    """Have standard output write what its encoding lacks as an escape and not fail over it."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def print_note(line: str) -> None:
    """Print a line beside the result: to standard error."""
    print(line, file=sys.stderr)


def confirm(question: str) -> bool:
    """Ask on a terminal; without one nobody could answer, and the command itself is the answer."""
    if not sys.stdin or not sys.stdin.isatty():
        return True
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().casefold() in {"y", "yes"}
