"""Tables of examples in YAML: one test judges all rows of a table, and tells of every row that fails.

A test of its own for each of thousands of rows would cost more to collect and to report than to run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any, TypeVarTuple

import yaml

Row = TypeVarTuple("Row")


def load_yaml(path: Path) -> Any:
    """Load a file of YAML with the parser of libyaml, which is several times as fast."""
    return yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader)


@cache
def load_pairs(path: Path) -> tuple[tuple[str, str], ...]:
    """Load a list of pairs of a text and what is said for it."""
    return tuple((str(text), str(spoken)) for text, spoken in load_yaml(path))


def check_rows(check: Callable[[*Row], None], rows: Iterable[tuple[*Row]]) -> None:
    """Call a check with each row, and fail with all rows for which it failed; without any row too."""
    rows = list(rows)
    assert rows, "the table is empty"
    failures = [failure for row in rows if (failure := _failure(check, row)) is not None]
    if failures:
        raise ExceptionGroup(f"{len(failures)} of {len(rows)} rows fail", failures)


def _failure(check: Callable[[*Row], None], row: tuple[*Row]) -> AssertionError | None:
    try:
        check(*row)
    except AssertionError as error:
        error.add_note(f"The row: {row}")
        return error
    return None
