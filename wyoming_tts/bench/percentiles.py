"""Percentiles, medians and ratios of small samples."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Percentiles of a sample."""

    p50: float
    p95: float
    p99: float
    count: int


def percentile(values: Sequence[float], percent: float) -> float:
    """Percentile of the values, interpolated linearly as numpy does by default.

    The rank among the n sorted values is percent/100 x (n - 1).

    Raises:
        ValueError: there are no values, or percent is outside 0 to 100.
    """
    if not values or not 0.0 <= percent <= 100.0:  # noqa: PLR2004 -- per cent
        raise ValueError(
            f"Got {len(values)} values and {percent} percent; expected at least one, and 0 to 100."
        )
    ordered = sorted(values)
    rank = percent / 100.0 * (len(ordered) - 1)
    below = math.floor(rank)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (rank - below) * (ordered[above] - ordered[below])


def percentiles(values: Iterable[float]) -> Percentiles | None:
    """50th, 95th and 99th percentile of the values; None without values."""
    held = tuple(values)
    if not held:
        return None
    return Percentiles(percentile(held, 50.0), percentile(held, 95.0), percentile(held, 99.0), len(held))


def median(values: Iterable[float | None]) -> float | None:
    """Median of the values that are not None; None if all are."""
    held = [value for value in values if value is not None]
    return percentile(held, 50.0) if held else None


def ratio(ours: float | None, theirs: float | None) -> float | None:
    """`ours` divided by `theirs`; None if either is missing or `theirs` is 0."""
    if ours is None or not theirs:
        return None
    return ours / theirs
