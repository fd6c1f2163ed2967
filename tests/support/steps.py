"""Counts the lines of Python that some work runs: its cost, the same on every machine, however busy.

What takes long within one line, such as a regular expression that backtracks, is not seen: such input has to
be so large that the test would run into the time limit that every test has.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

_FEW = 500
"""Lines that do not matter, where next to nothing is to be done."""


def lines_run(work: Callable[[], object]) -> int:
    """Run the work; how many lines it ran, those of everything that it called in this thread included."""
    count = 0

    def trace(_: FrameType, event: str, __: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def growth(work: Callable[[int], object], *, size: int) -> float:
    """How many times the lines of `work(size)` that `work(2 * size)` runs: 2 if linear, 4 if quadratic."""
    work(size)  # what is done once only is not counted
    once, twice = (lines_run(partial(work, each)) for each in (size, 2 * size))
    return twice / (once + _FEW)
