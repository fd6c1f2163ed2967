"""Report of a load test: a table for the terminal, JSON for programs, and a progress bar meanwhile."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table

from wyoming_tts.bench.load_generator import BenchProgress, BenchResult, OnBenchProgress
from wyoming_tts.bench.percentiles import Percentiles, ratio
from wyoming_tts.bench.results import LoadFigures, LoadRatios, compare_figures
from wyoming_tts.bench.targets.listener import PREBUFFER, RequestOutcome

_PIPE_WIDTH = 200
"""Width of the table where standard output is a pipe, which has none."""
_NOTHING = "-"
_LEGEND = (
    "Times in milliseconds, at p50/p95/p99 where three are given. TTFA: from the first text written "
    "(plain: all of it) to the first audio. After sentence: streamed text, from the word that made the end "
    "of the first sentence certain; below 0 if the audio began earlier. RTF: time to the end of the reply "
    "divided by playing time. Underruns: gaps of a player that starts at once, with the worst. Held: the "
    f"same for one that prebuffers {PREBUFFER * 1000:.0f} ms. describe: over HTTP and WebSocket the list of "
    "voices. Per minute: texts spoken to their end, while each listener asks again once it was answered. "
    "Failed: refused, cut off, hung or unanswered."
)


def make_table(result: BenchResult) -> Table:
    """Make a table with a row for each load case and server; with two servers their ratios below."""
    shown = Table(caption=_LEGEND, caption_justify="left", box=None, pad_edge=False)
    for name in ("Load", "Server"):
        shown.add_column(name)
    is_timed = result.options.duration is not None
    for name in (*(["Per minute"] if is_timed else []), "TTFA", "After sentence", "RTF", "Wall", "describe"):
        shown.add_column(name, justify="right")
    for name in ("Underruns", "Held", "Failed"):
        shown.add_column(name)
    for figures in result.by_case():
        for number, each in enumerate(figures):
            per_minute = [_number(each.per_minute, "{:.1f}")] if is_timed else []
            shown.add_row(str(each.case) if number == 0 else "", each.server, *per_minute, *_cells(each))
        if len(figures) == 2:  # noqa: PLR2004 -- two servers
            rates = [ratio(figures[0].per_minute, figures[1].per_minute)] if is_timed else []
            more = [_number(each, "{:.2f}") for each in rates]
            shown.add_row("", "ratio", *more, *_ratio_cells(compare_figures(*figures)), style="bold")
    return shown


def _cells(figures: LoadFigures) -> tuple[str, ...]:
    return (
        _spread(figures.ttfa),
        _spread(figures.after_sentence),
        _number(figures.real_time_factor, "{:.3f}"),
        _milliseconds(figures.wall),
        _spread(figures.described),
        _gaps(figures.underruns, figures.worst_gap),
        _gaps(figures.later_underruns, figures.later_worst_gap),
        format_failures(figures) or "0",
    )


def _ratio_cells(ratios: LoadRatios) -> tuple[str, ...]:
    ttfa = "/".join(_number(each, "{:.2f}") for each in (ratios.ttfa_p50, ratios.ttfa_p95))
    return ttfa, "", "", _number(ratios.wall, "{:.2f}"), _number(ratios.described_p95, "{:.3f}"), "", "", ""


def format_failures(figures: LoadFigures) -> str:
    """Format the failures of a load case, as `3 busy, 1 hung, 2 describe`; empty if there were none."""
    counted = [f"{count} {error}" for error, count in figures.errors.most_common()]
    if hung := figures.outcomes[RequestOutcome.HUNG]:
        counted.append(f"{hung} hung")
    if figures.unanswered:
        counted.append(f"{figures.unanswered} describe")
    return ", ".join(counted)


def _spread(spread: Percentiles | None) -> str:
    if spread is None:
        return _NOTHING
    return "/".join(_milliseconds(value) for value in (spread.p50, spread.p95, spread.p99))


def _milliseconds(seconds: float | None) -> str:
    if seconds is None:
        return _NOTHING
    # Below 10 ms the tenths matter.
    return f"{seconds * 1000:.1f}" if abs(seconds) < 0.01 else f"{seconds * 1000:.0f}"  # noqa: PLR2004


def _number(value: float | None, form: str) -> str:
    return _NOTHING if value is None else form.format(value)


def _gaps(count: int, worst: float) -> str:
    return f"{count} ({_milliseconds(worst)})" if count else "0"


def print_table(result: BenchResult) -> None:
    """Print the table to standard output."""
    Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH).print(make_table(result))


def result_to_json(result: BenchResult) -> dict[str, Any]:
    """Convert to JSON values: figures of each load case, and all rounds in full; times in seconds."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "options": {name: value for name, value in asdict(result.options).items() if name != "api_key"},
        "servers": list(result.servers),
        "loads": [_load_as_json(each) for each in result.figures],
        "ratios": [
            asdict(figures[0].case) | asdict(compare_figures(*figures))
            for figures in result.by_case()
            if len(figures) == 2  # noqa: PLR2004 -- two servers
        ],
    }


def _load_as_json(figures: LoadFigures) -> dict[str, Any]:
    return asdict(figures.case) | {
        "server": figures.server,
        "ttfa": _spread_as_json(figures.ttfa),
        "after_sentence": _spread_as_json(figures.after_sentence),
        "describe": _spread_as_json(figures.described),
        "describe_unanswered": figures.unanswered,
        "real_time_factor": figures.real_time_factor,
        "total": figures.total,
        "wall": figures.wall,
        "transactions_per_minute": figures.per_minute,
        "audio": figures.audio,
        "underruns": figures.underruns,
        "worst_gap": figures.worst_gap,
        "silence": figures.silence,
        "underruns_prebuffered": figures.later_underruns,
        "worst_gap_prebuffered": figures.later_worst_gap,
        "outcomes": dict(figures.outcomes),
        "errors": dict(figures.errors),
        "rounds": [asdict(each) for each in figures.rounds],
    }


def _spread_as_json(spread: Percentiles | None) -> dict[str, Any] | None:
    return None if spread is None else asdict(spread)


@contextmanager
def progress_bar() -> Iterator[OnBenchProgress]:
    """Show a progress bar on standard error, updated between rounds; none where that is not a terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    # Automatic refreshing would run in a thread, in the middle of a measurement.
    with Bar(*columns, console=console, auto_refresh=False, transient=True) as bar:
        task = bar.add_task("", total=None)

        def show(progress: BenchProgress) -> None:
            bar.update(
                task, completed=progress.done, total=progress.total, description=progress.now, refresh=True
            )

        yield show
