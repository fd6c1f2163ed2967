"""Figures of a soak: what was heard by activity, the server's footprint over time, and whether it grows."""

from __future__ import annotations

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from rich.table import Table

from tests.scenarios.paced_listener import HeardText
from tests.scenarios.process_footprint import Footprint

MEGABYTE = 1024 * 1024
_HOUR = 3600.0
SLOPE_LIMIT = 2.0
"""MB an hour of growth that are no leak: less than what an idle allocator does."""
_SLOPE_SECONDS = 1200.0
"""A slope over less than this says little: one segment more in a cache looks like megabytes an hour."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A footprint, seconds after the start."""

    at: float
    footprint: Footprint


@dataclass(frozen=True, slots=True)
class Slope:
    """A line fitted to samples by least squares."""

    per_hour: float
    error: float
    """Standard error of `per_hour`."""
    seconds: float
    """Time that the samples span."""


def fit_slope(points: Sequence[tuple[float, float]]) -> Slope:
    """Fit a line to (seconds, value); NaN for fewer than three points."""
    if len(points) < 3:  # noqa: PLR2004 -- a line through two has no error
        return Slope(math.nan, math.nan, 0.0)
    times, values = zip(*points, strict=True)
    slope, intercept = statistics.linear_regression(times, values)
    mean = statistics.fmean(times)
    spread = sum((at - mean) ** 2 for at in times)
    rest = sum((value - intercept - slope * at) ** 2 for at, value in points)
    error = math.sqrt(rest / (len(points) - 2) / spread)
    return Slope(slope * _HOUR, error * _HOUR, times[-1] - times[0])


@dataclass
class SoakFigures:
    """Collects what the clients report and the samples of the server."""

    warm_up: float
    """Seconds whose samples the slope leaves out: caches fill, voices load, the page is built."""
    samples: list[Sample] = field(default_factory=list)
    _done: Counter[str] = field(default_factory=Counter)
    _errors: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    _heard: dict[str, list[HeardText]] = field(default_factory=lambda: defaultdict(list))

    def add_done(self, activity: str) -> None:
        """Note that an activity ended."""
        self._done[activity] += 1

    def add_heard(self, activity: str, heard: HeardText) -> None:
        """Note what was heard of a text."""
        self._heard[activity].append(heard)
        if heard.error:
            self.add_error(activity, heard.error)

    def add_error(self, activity: str, message: str) -> None:
        """Note a failure."""
        self._errors[activity].append(message)

    @property
    def errors(self) -> list[str]:
        """All failures, with their activity."""
        return [f"{activity}: {message}" for activity, each in self._errors.items() for message in each]

    @property
    def gaps(self) -> int:
        """Underruns of all texts."""
        return sum(text.gaps for heard in self._heard.values() for text in heard)

    @property
    def memory_slope(self) -> Slope:
        """Growth of the tree's PSS in MB an hour, after the warm-up."""
        return fit_slope([(each.at, each.footprint.pss / MEGABYTE) for each in self._settled])

    def problems(self) -> Iterator[str]:
        """Yield what makes the soak fail."""
        slope = self.memory_slope
        if self.errors:
            yield f"{len(self.errors)} errors"
        if self.gaps:
            yield f"{self.gaps} gaps"
        if slope.seconds >= _SLOPE_SECONDS and slope.per_hour - 2 * slope.error > SLOPE_LIMIT:
            yield f"memory grows by {slope.per_hour:.1f} MB/h, at most {SLOPE_LIMIT:g} are expected"

    def activity_table(self) -> Table:
        """What was done and heard, a row for each activity."""
        table = Table("activity", "done", "errors", "first audio", "p95", "worst", "gaps", "worst gap")
        for activity in sorted(self._done.keys() | self._errors.keys()):
            heard = self._heard[activity]
            delays = sorted(text.first_audio for text in heard if text.first_audio is not None)
            table.add_row(
                activity,
                str(self._done[activity]),
                str(len(self._errors[activity])),
                *(_seconds(_quantile(delays, share)) for share in (0.5, 0.95, 1.0)),
                str(sum(text.gaps for text in heard)),
                _seconds(max((text.worst_gap for text in heard), default=None)),
            )
        return table

    def footprint_table(self) -> Table:
        """The server's footprint at the start, after the warm-up and at the end, and its slopes."""
        table = Table("footprint", "start", f"after {self.warm_up:.0f} s", "end", "largest", "an hour")
        settled = self._settled or self.samples
        for name, unit in _MEASURED.items():
            values = [_value(each, name) / unit for each in (self.samples[0], settled[0], settled[-1])]
            slope = fit_slope([(each.at, _value(each, name) / unit) for each in self._settled])
            largest = max(_value(each, name) for each in self.samples) / unit
            label = f"{name} MB" if unit > 1 else name
            cells = (f"{value:.0f}" for value in (*values, largest))
            table.add_row(label, *cells, f"{slope.per_hour:+.1f} ± {slope.error:.1f}")
        return table

    @property
    def _settled(self) -> list[Sample]:
        return [sample for sample in self.samples if sample.at >= self.warm_up]


_MEASURED = {
    "pss": MEGABYTE,
    "rss": MEGABYTE,
    "private": MEGABYTE,
    "descriptors": 1,
    "threads": 1,
    "children": 1,
}


def _value(sample: Sample, name: str) -> float:
    value: float = getattr(sample.footprint, name)
    return value


def _quantile(ordered: Sequence[float], share: float) -> float | None:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.2f} s"
