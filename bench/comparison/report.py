"""Report of a comparison: the page `docs/benchmarks.md`, and its table for a terminal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.table import Table

from bench.comparison.results import ComparisonRow, SectionResult

_HEAD = ("measured", "wyoming-piper", "wyoming-tts", "ratio", "target", "")
_INTRODUCTION = """\
# Benchmarks

Written by `script/bench`, which runs this server and wyoming-piper 2.5.2 on one machine and one voice with
the same versions of the libraries that both use. Only one server is loaded at a time, each is idle before the
next one's turn, and the order changes from round to round. Every request has a text of its own, so nothing
comes from a cache. The figures are medians of {rounds} rounds, measured by a client in a process of its own.
"""


@dataclass(frozen=True, slots=True)
class BenchmarkPage:
    """Content of the page."""

    date: str
    command: str
    rounds: int
    machine: Mapping[str, str]
    versions: Mapping[str, str]
    voices: Mapping[str, str]
    """Voice files by role."""
    outcomes: Sequence[SectionResult]
    took: float
    """Seconds."""


def render_markdown(page: BenchmarkPage) -> str:
    """Render the whole page as Markdown."""
    return "\n".join(
        [
            _INTRODUCTION.format(rounds=page.rounds),
            _table(page.outcomes),
            "",
            "## How",
            "",
            *(f"* **{outcome.section}**: {outcome.how}" for outcome in page.outcomes),
            "",
            "## Where and with what",
            "",
            *_facts(page),
            "",
            "## All numbers",
            "",
            *(_folded(outcome) for outcome in page.outcomes),
        ]
    )


def _table(outcomes: Sequence[SectionResult]) -> str:
    lines = ["| " + " | ".join(_HEAD) + " |", "| --- | ---: | ---: | ---: | --- | --- |"]
    lines += ["| " + " | ".join(_cells(row)) + " |" for outcome in outcomes for row in outcome.rows]
    return "\n".join(lines)


def _cells(row: ComparisonRow) -> tuple[str, ...]:
    return (row.what, row.theirs, row.ours, _ratio(row.ratio), row.target, _verdict(row))


def _ratio(value: float | None) -> str:
    if value is None:
        return ""
    return f"1/{1 / value:.1f}" if 0 < value < 0.5 else f"{value:.2f}"  # noqa: PLR2004 -- 0.85 is no fraction


def _verdict(row: ComparisonRow) -> str:
    return "" if row.met is None else "met" if row.met else "**missed**"


def _facts(page: BenchmarkPage) -> list[str]:
    facts = {
        "Date": page.date,
        "Command": f"`{page.command}` (took {page.took / 60:.0f} minutes)",
        **page.machine,
        **page.versions,
        **page.voices,
    }
    return ["| | |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in facts.items())]


def _folded(outcome: SectionResult) -> str:
    numbers = json.dumps(outcome.raw, ensure_ascii=False)
    summary = f"<details><summary>{outcome.section}; times in seconds, memory in bytes</summary>"
    return f"{summary}\n\n```json\n{numbers}\n```\n\n</details>\n"


def make_terminal_table(outcomes: Sequence[SectionResult]) -> Table:
    """Make the table for a terminal."""
    shown = Table(*_HEAD, box=None)
    for outcome in outcomes:
        for row in outcome.rows:
            shown.add_row(*_cells(row), style="red" if row.met is False else None)
    return shown
