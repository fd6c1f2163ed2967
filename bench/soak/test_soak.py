"""Figures of `script/soak`: its slope, its tables and its verdict."""

from __future__ import annotations

import math
from io import StringIO

import pytest
from rich.console import Console

from bench.soak.figures import MEGABYTE, Sample, SoakFigures, fit_slope
from bench.soak.soak import report
from tests.scenarios.paced_listener import HeardText
from tests.scenarios.process_footprint import Footprint


def heard(first_audio: float | None = 0.1, *, gaps: int = 0, error: str = "") -> HeardText:
    return HeardText(
        began=0.0,
        took=1.0,
        first_audio=first_audio,
        seconds=5.0,
        gaps=gaps,
        worst_gap=0.5 * gaps,
        silence=0.5 * gaps,
        error=error,
    )


def soaked(growth: float, *, seconds: int = 1800, warm_up: float = 300.0) -> SoakFigures:
    """Figures of a server that grows by megabytes an hour, and jumps by 100 while it warms up."""
    figures = SoakFigures(warm_up)
    for at in range(0, seconds, 5):
        pss = 100.0 + growth * at / 3600 + (100.0 if at >= warm_up else 0.0)
        figures.samples.append(Sample(at, Footprint(pss=round(pss * MEGABYTE), descriptors=20, threads=9)))
    return figures


def printed(figures: SoakFigures) -> tuple[int, str]:
    text = StringIO()
    status = report(figures, Console(file=text, width=120))
    return status, text.getvalue()


def test_a_line_has_its_slope_and_no_error() -> None:
    slope = fit_slope([(0.0, 1.0), (1800.0, 2.0), (3600.0, 3.0)])
    assert slope.per_hour == pytest.approx(2.0)
    assert slope.error == pytest.approx(0.0, abs=1e-9)
    assert slope.seconds == 3600.0


def test_noise_around_a_constant_is_told_by_the_error() -> None:
    slope = fit_slope([(at * 10.0, at % 2) for at in range(100)])
    assert abs(slope.per_hour) < 2 * slope.error


def test_a_slope_needs_three_points() -> None:
    assert math.isnan(fit_slope([(0.0, 1.0), (1.0, 2.0)]).per_hour)


def test_the_warm_up_does_not_count_as_growth() -> None:
    assert soaked(0.0).memory_slope.per_hour == pytest.approx(0.0, abs=0.1)
    assert list(soaked(1.0).problems()) == []


def test_growth_errors_and_gaps_fail_the_soak() -> None:
    assert list(soaked(10.0).problems()) == ["memory grows by 10.0 MB/h, at most 2 are expected"]
    figures = soaked(0.0)
    figures.add_heard("converse", heard(gaps=2))
    figures.add_heard("converse", heard(None, error="busy: too many"))
    assert list(figures.problems()) == ["1 errors", "2 gaps"]
    status, text = printed(figures)
    assert status == 1
    assert "1 x converse: busy: too many" in text


def test_a_short_soak_makes_no_claim_about_memory() -> None:
    assert list(soaked(100.0, seconds=600).problems()) == []


def test_the_tables_tell_delays_by_activity_and_the_footprint() -> None:
    figures = soaked(0.0)
    for delay in (0.1, 0.2, 0.9):
        figures.add_done("speak_over_http")
        figures.add_heard("speak_over_http", heard(delay))
    status, text = printed(figures)
    assert status == 0
    assert "No error, no gap." in text
    row = next(line for line in text.splitlines() if "speak_over_http" in line)
    assert [cell.strip() for cell in row.strip("│").split("│")] == (
        ["speak_over_http", "3", "0", "0.20 s", "0.90 s", "0.90 s", "0", "0.00 s"]
    )
    assert any("descriptors" in line and " 20 " in line for line in text.splitlines())
