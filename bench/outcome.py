"""What a comparison gave: rows of a table, and everything behind them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from wyoming_tts.bench.percentiles import median, ratio


class Failed(Exception):
    """A section could not be measured; the message says why."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    what: str
    theirs: str
    ours: str
    ratio: float | None
    target: str
    met: bool | None
    """None where nothing is promised."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one section measured."""

    section: str
    how: str
    """In a sentence or two, for whoever reads the table."""
    rows: tuple[Row, ...]
    raw: dict[str, Any] = field(default_factory=dict)


def seconds(value: float) -> str:
    """A duration as a person reads it."""
    if value < 0.01:  # noqa: PLR2004 -- seconds
        return f"{value * 1000:.1f} ms"
    return f"{value * 1000:.0f} ms" if value < 1.0 else f"{value:.2f} s"


def megabytes(value: float) -> str:
    """A size as a person reads it."""
    return f"{value / 1e6:.0f} MB"


def compared(
    what: str,
    theirs: list[float],
    ours: list[float],
    *,
    at_most: float | None,
    form: Callable[[float], str] = seconds,
    limit: float | None = None,
) -> Row:
    """A row of two medians; met when ours is at most `at_most` times theirs, and at most `limit` itself."""
    their_median, our_median = median(theirs), median(ours)
    times = ratio(our_median, their_median)
    targets = [] if at_most is None else [f"at most {_fraction(at_most)}"]
    targets += [] if limit is None else [f"at most {form(limit)}"]
    met = None if not targets else _within(times, at_most) and _within(our_median, limit)
    return Row(
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
