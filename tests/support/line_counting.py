"""Cost measured in executed lines of Python: the same on every machine, however busy.

Time spent within one line, such as a regular expression that backtracks, is not counted: such input has to be
so large that the test would exceed its time limit.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

_FEW = 500
"""Constant added to the denominator, so that tiny inputs do not show growth."""


def count_lines(work: Callable[[], object]) -> int:
    """Run the work and count the lines executed, including those of everything it calls in this thread."""
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


def measure_growth(work: Callable[[int], object], *, size: int) -> float:
    """Ratio of the lines executed by `work(2 * size)` and by `work(size)`: 2 if linear, 4 if quadratic."""
    work(size)  # so that one-time initialization is not counted
    once, twice = (count_lines(partial(work, each)) for each in (size, 2 * size))
    return twice / (once + _FEW)
