"""Results of a comparison: rows of a table, their targets, and the raw figures behind them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from wyoming_tts.bench.percentiles import median, ratio


class MeasurementFailed(Exception):
    """A section could not be measured; the message gives the reason."""


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """A row of the table."""

    what: str
    theirs: str
    ours: str
    ratio: float | None
    target: str
    met: bool | None
    """None where there is no target."""


@dataclass(frozen=True, slots=True)
class SectionResult:
    """The result of one section."""

    section: str
    how: str
    """The method, in a sentence or two for the reader of the table."""
    rows: tuple[ComparisonRow, ...]
    raw: dict[str, Any] = field(default_factory=dict)


def format_seconds(value: float) -> str:
    """Format a duration for people."""
    if value < 0.01:  # noqa: PLR2004 -- seconds
        return f"{value * 1000:.1f} ms"
    return f"{value * 1000:.0f} ms" if value < 1.0 else f"{value:.2f} s"


def format_megabytes(value: float) -> str:
    """Format a size in bytes for people."""
    return f"{value / 1e6:.0f} MB"


def compare_medians(
    what: str,
    theirs: list[float],
    ours: list[float],
    *,
    at_most: float | None,
    form: Callable[[float], str] = format_seconds,
    limit: float | None = None,
) -> ComparisonRow:
    """Compare two medians; the target is met if ours is within `at_most` times theirs and within `limit`."""
    their_median, our_median = median(theirs), median(ours)
    times = ratio(our_median, their_median)
    targets = [] if at_most is None else [f"at most {_fraction(at_most)}"]
    targets += [] if limit is None else [f"at most {form(limit)}"]
    met = None if not targets else _within(times, at_most) and _within(our_median, limit)
    return ComparisonRow(
        what,
        "-" if their_median is None else form(their_median),
        "-" if our_median is None else form(our_median),
        times,
        ", ".join(targets),
        met,
    )


def _within(value: float | None, limit: float | None) -> bool:
    return limit is None or (value is not None and value <= limit)


def _fraction(value: float) -> str:
    return f"1/{1 / value:g}" if value < 0.5 else f"{value:.2f}"  # noqa: PLR2004 -- 0.85 is no fraction
